"""Verifying one line: a good one has no defect, and each way of spoiling it is told by its own word."""

import json
from pathlib import Path

import pytest

from l2_exporter.archive.layout import parse_hour_path
from l2_exporter.archive.verify_line import HourChecker
from tests.archive.samples import (
    ASKS,
    BIDS,
    DATASET,
    DAY,
    HOUR,
    INST,
    RULES,
    START,
    VENUE,
    Line,
    Sample,
    crc,
    encode,
    gap_line,
    line,
)

WITHOUT_VERDICT = {"checksum": 0, "checksum_ok": None}


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def told(sample: Sample, *made: Line | bytes, path: Path | None = None) -> list[tuple[int, str]]:
    """Check these lines as the sample hour; tell line and word of each defect."""
    place = sample.place() if path is None else parse_hour_path(path, sample.vault.root)
    assert place is not None
    checker = HourChecker(place, RULES)
    raws = [one if isinstance(one, bytes) else encode([one])[:-1] for one in made]
    return [(number, str(flaw)) for number, raw in enumerate(raws, 1) for flaw, _ in checker.check(raw)]


def book(bids: list[list[str]], asks: list[list[str]], **changes: object) -> Line:
    """Make a line of another book in which all that follows from the levels is right."""
    bid, ask = (side[0][0] if side else None for side in (bids, asks))
    derived = {"best_bid": bid, "best_ask": ask, "checksum": crc(bids, asks)}
    return line(bids_top400=bids, asks_top400=asks, **{**derived, **changes})


def levels(count: int, first: int, step: int) -> list[list[str]]:
    return [[str(first + step * place), "1", "0", "1"] for place in range(count)]


@pytest.mark.parametrize(
    "good",
    [
        line(),
        line(new_field={"a": 1.5}, another=None),
        line(received_utc=None),
        line(**WITHOUT_VERDICT),
        line(checksum=None, checksum_ok=None, seqId=None, prevSeqId=None),
        line(checksum=12345, checksum_ok=None),
        line(checksum=12345, checksum_ok=False, flags=["checksum_mismatch"]),
        line(seqId=2**70, prevSeqId=-1),
        line(timestamp_utc=START),
        line(timestamp_utc=f"{DAY}T15:59:59.999Z"),
        line(flags=["after_gap", "seeded_from_rest"]),
        gap_line("01.000", flags=["gap", "after_gap"]),
        book([], ASKS, mid_price=None),
        book(BIDS, [], mid_price=None),
        book([], [], mid_price=None, **WITHOUT_VERDICT),
        book([["2", "1", "0", "1"]], [["1", "1", "0", "1"]], mid_price="1.5", flags=["crossed"]),
        book([["1.0", "1", "0", "1"]], [["1", "1", "0", "1"]], mid_price="1", flags=["crossed"]),
        book(levels(400, 1000, -1), levels(400, 1001, 1), mid_price="1000.5"),
        book(
            [["0.30000000000000000001", "1", "0", "1"], ["0.3", "1", "0", "1"]],
            ASKS,
            mid_price="21625.650000000000000000005",
        ),
    ],
)
def test_good_lines(sample: Sample, good: Line) -> None:
    assert told(sample, good) == []


@pytest.mark.parametrize(
    ("flaw", "bad"),
    [
        ("not_json", b""),
        ("not_json", b"{"),
        ("not_json", b"[1]"),
        ("not_json", b"\0\0\0"),
        ("not_json", encode([line()])[:-1].replace(b"perp", b"\xff")),
        ("not_json", encode([line(deep=0)])[:-2] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        ("not_json", encode([line()])[:-2] + b',"x":' + b"9" * 5000 + b"}"),
        ("not_compact", json.dumps(line()).encode()),
        ("not_compact", b" " + encode([line()])[:-1]),
        ("not_compact", encode([line()])[:-1] + b"\r"),
        ("fields", encode([line()])[:-2] + b',"seqId":8}'),
        (
            "fields",
            encode([line()])[:-1].replace(b'"gap_detected":false', b'"gap_detected":false,"gap_detected":false'),
        ),
        ("fields", b"{}"),
        ("fields", line(received_utc=...)),
        ("fields", line(live_since_utc=...)),
        ("fields", line(bids_top400=...)),
        ("fields", {"x": 1} | line()),
        ("fields", line(asks_top400=...) | {"asks_top400": ASKS}),
        ("fields", encode([line()])[:-1].replace(b"asks_top400", b"asks_top399")),
        ("fields", encode([line()])[:-1].replace(b"_top400", b"_top0")),
        ("type", line(timestamp_utc=1)),
        ("type", line(timestamp_utc=None)),
        ("type", line(best_bid=43250.5)),
        ("type", line(mid_price=43250.75)),
        ("type", line(checksum="7")),
        ("type", line(checksum=7.0)),
        ("type", line(seqId="7")),
        ("type", line(seqId=True)),
        ("type", line(gap_detected=0)),
        ("type", line(gap_detected=None)),
        ("type", line(checksum_ok=1)),
        ("type", line(flags=None)),
        ("type", line(flags=[1])),
        ("type", line(bids_top400={})),
        ("type", line(live_since_utc=None)),
        ("path", line(exchange="kraken")),
        ("path", line(market="spot")),
        ("path", line(market="swap")),
        ("path", line(channel="books-l2-tbt")),
        ("path", line(instId="ETH-USDT-SWAP")),
        ("channel_unknown", line(channel="books9")),
        ("time", line(timestamp_utc=f"{DAY} 15:00:01.000")),
        ("time", line(timestamp_utc=f"{DAY}T15:00:01Z")),
        ("time", line(timestamp_utc=f"{DAY}T15:00:01.000000Z")),
        ("time", line(timestamp_utc=f"{DAY}T15:61:01.000Z")),
        ("time", line(received_utc=f"{DAY}T15:00:01.000Z")),
        ("time", line(live_since_utc=f"{DAY}T15:00:00.000000Z")),
        ("hour", line(timestamp_utc=f"{DAY}T16:00:00.000Z")),
        ("hour", line(timestamp_utc=f"{DAY}T14:59:59.999Z", live_since_utc=f"{DAY}T14:00:00.000Z")),
        ("depth", book(levels(401, 1000, -1), levels(1, 1001, 1), mid_price="1000.5")),
        ("depth", encode([line()])[:-1].replace(b"_top400", b"_top500")),
        ("level", book([["43250.5"]], ASKS, checksum=0, checksum_ok=None)),
        ("level", line(bids_top400=[["43250.5", "100"]])),
        ("level", line(bids_top400=[["43250.5", 100, "0", "5"]])),
        ("level", line(bids_top400=["43250.5"])),
        ("level", line(bids_top400=[{"price": "1"}])),
        ("level", line(asks_top400=[["43251.0", "0", "0", "6"]])),
        ("level", line(asks_top400=[["43251.0", "0.00", "0", "6"]])),
        ("level", line(asks_top400=[["43251.0", "-1", "0", "6"]])),
        ("level", line(asks_top400=[["0", "1", "0", "6"]])),
        ("level", line(asks_top400=[["", "1", "0", "6"]])),
        ("level", line(asks_top400=[["NaN", "1", "0", "6"]])),
        ("level", line(asks_top400=[["1,2", "1", "0", "6"]])),
        ("level", line(asks_top400=[["1e31", "1", "0", "6"]])),
        ("level_order", book(BIDS[:1] + BIDS[:0:-1], ASKS)),
        ("level_order", book(BIDS, ASKS[:1] + ASKS[:0:-1])),
        ("level_order", book([*BIDS[:2], ["43250", "9", "0", "1"], BIDS[2]], ASKS)),
        (
            "level_order",
            book([["0.3", "1", "0", "1"], ["0.30000000000000000001", "1", "0", "1"]], ASKS, mid_price="21625.65"),
        ),
        ("best", line(best_bid="43250.50")),
        ("best", line(best_bid="43250.0")),
        ("best", line(best_bid=None)),
        ("best", line(best_ask="43252")),
        ("mid", line(mid_price="43250.750")),
        ("mid", line(mid_price="43250.7")),
        ("mid", line(mid_price=None)),
        ("mid", book([], ASKS, mid_price="43251")),
        ("flags", line(flags=["new_word"])),
        ("flags", line(flags=["seeded_from_rest", "after_gap"])),
        ("flags", line(flags=["after_gap", "after_gap"])),
        ("flag_gap", line(flags=["gap"])),
        ("flag_gap", line(gap_detected=True)),
        ("flag_crossed", line(flags=["crossed"])),
        ("flag_crossed", book([["2", "1", "0", "1"]], [["1", "1", "0", "1"]], mid_price="1.5")),
        ("flag_crossed", book([["1.0", "1", "0", "1"]], [["1", "1", "0", "1"]], mid_price="1")),
        ("flag_event_time", line(flags=["no_event_time"])),
        (
            "flag_partial",
            book(levels(400, 1000, -1), levels(400, 1001, 1), mid_price="1000.5", flags=["partial_depth"]),
        ),
        ("flag_checksum", line(flags=["checksum_mismatch"])),
        ("flag_checksum", line(checksum=12345, checksum_ok=False)),
        ("flag_checksum", line(flags=["checksum_mismatch"], **WITHOUT_VERDICT)),
        ("checksum_ok", line(checksum=None)),
        ("checksum_ok", line(checksum=0)),
        ("checksum_ok", line(checksum=None, checksum_ok=False, flags=["checksum_mismatch"])),
        ("checksum", line(checksum=12345)),
        ("checksum", line(checksum_ok=False, flags=["checksum_mismatch"])),
        ("checksum", book([["43250.5", "101", "0", "5"]], ASKS, checksum=crc(BIDS, ASKS))),
        ("episode", line(live_since_utc=f"{DAY}T15:00:01.001Z")),
    ],
)
def test_a_bad_line_has_exactly_its_own_defect(sample: Sample, flaw: str, bad: Line | bytes) -> None:
    assert told(sample, bad) == [(1, flaw)]


def test_order_within_the_hour(sample: Sample) -> None:
    assert told(sample, line("01.000"), gap_line("01.000"), line("02.000")) == []
    assert told(sample, line("01.000"), line("01.000")) == [(2, "order")]
    assert told(sample, gap_line("01.000"), line("01.000")) == [(2, "order")]
    assert told(sample, line("05.000"), line("03.000"), line("04.000"), line("06.000")) == [(2, "order"), (3, "order")]
    later = line(timestamp_utc=f"{DAY}T16:00:00.000Z")
    assert told(sample, line("05.000"), later, line("06.000")) == [(2, "hour")]


def test_a_defect_does_not_hide_others(sample: Sample) -> None:
    assert told(sample, line(instId="X", best_bid="1", mid_price="1", flags=["gap"])) == [
        (1, "path"),
        (1, "flag_gap"),
        (1, "best"),
        (1, "mid"),
    ]


def test_an_unknown_channel_is_told_once_a_file(sample: Sample) -> None:
    odd = {"channel": "books9"}
    assert told(sample, line("01.000", **odd), line("02.000", **odd)) == [(1, "channel_unknown")]


def test_the_dataset_of_a_channel_that_is_not_the_default(sample: Sample) -> None:
    path = sample.vault.hour_file(VENUE, "l2_perps.books5", INST, HOUR)
    five = {"channel": "books5", **WITHOUT_VERDICT}
    raw = encode([line(**five)])[:-1].replace(b"_top400", b"_top5")
    assert told(sample, raw, path=path) == []
    assert told(sample, raw) == [(1, "path")]
    assert told(sample, encode([line(**five)])[:-1].replace(b"_top400", b"_top6"), path=path) == [(1, "depth")]


def test_a_channel_without_event_time(sample: Sample) -> None:
    path = sample.vault.hour_file("slow", DATASET, INST, HOUR)
    received = f"{DAY}T15:00:01.000250Z"
    rows = {"bids_top400": [["43250.5", "100"]], "asks_top400": [["43251.0", "150"]]}
    times = {"timestamp_utc": received, "received_utc": received, "live_since_utc": received}
    good = {"exchange": "slow", "channel": "book", "flags": ["no_event_time"], **rows, **times, **WITHOUT_VERDICT}
    assert told(sample, line(**good), path=path) == []
    assert told(sample, line(**good | {"received_utc": f"{DAY}T15:00:01.000249Z"}), path=path) == []
    for change in ({"flags": []}, {"received_utc": None}, {"received_utc": f"{DAY}T15:00:01.000251Z"}):
        assert told(sample, line(**good | change), path=path) == [(1, "flag_event_time")]


def test_a_checksum_is_computed_again_only_where_all_it_covers_is_stored(sample: Sample) -> None:
    bids, asks = levels(30, 1000, -1), levels(30, 1001, 1)
    whole = {**book(bids[:25], asks[:25], mid_price="1000.5"), "checksum": crc(bids, asks)}
    assert told(sample, whole) == []
    assert told(sample, whole | {"checksum": 1}) == [(1, "checksum")]

    def cut(count: int, checksum: int, **changes: object) -> bytes:
        made = book(bids[:count], asks[:count], mid_price="1000.5", checksum=checksum, **changes)
        return encode([made])[:-1].replace(b"_top400", b"_top20")

    assert told(sample, cut(20, 1)) == []
    assert told(sample, cut(19, 1)) == [(1, "checksum")]
    assert told(sample, cut(19, crc(bids[:19], asks[:19]))) == []
    assert told(sample, cut(19, 1, flags=["partial_depth"])) == []
