"""The recording of a raw Bitfinex book: every event, book and level is a naive replay's, crossed spells included.

It has neither numbers nor times. Each frame is told with a number and a time of ours behind it, 7 ms after the one
before: what lines show of those is ours, all else is the venue's.
"""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from l2_exporter.core.events import BookPush, Push
from l2_exporter.venues.bitfinex import Bitfinex
from tests.recordings import needs_recordings, path_of
from tests.reference.naive_orders import NaiveOrders
from tests.tools.replaying import ledger

NAME = "bitfinex/nautilus-202103-R0-tBTCUSD.jsonl.gz"
SNAPSHOT_2017 = path_of("frames/bitfinex/bitfinex-api-node-2017-R0-snapshot.json")
FIRST_MS = 1_614_600_000_000
STEP_MS = 7
ALL = 100_000
CUT = 3_000
SPELL = 33_249
"""Here begins a spell of six frames in which the book is crossed: a match reaches the client order by order."""

Line = dict[str, Any]


class Frame(NamedTuple):
    """A frame of data: its place in the recording, what is ours, and its payload, numbers as texts."""

    number: int
    time_ms: int
    payload: Any


def tape(path: Path, first: int, last: int, lost: frozenset[int] = frozenset()) -> Path:
    """Write a tape of the acknowledgement, the snapshot as it would be at `first`, and the frames up to `last`."""
    with path.open("w") as out:
        for number, line in enumerate(raw()):
            frame = line["frame"]
            if number >= 2:
                frame = f"{frame[:-1]},{number - 1},{FIRST_MS + STEP_MS * number}]"
            if number not in lost and (number < 3 or first <= number <= last):
                recv_ns = (FIRST_MS + STEP_MS * number + 5) * 1_000_000
                out.write(json.dumps(line | {"frame": frame, "recv_ns": recv_ns}) + "\n")
            if number >= last:
                break
    return path


def raw() -> Iterator[dict[str, Any]]:
    """Yield the recording's lines."""
    with gzip.open(path_of(NAME), "rt") as lines:
        yield from map(json.loads, lines)


def frames(last: int) -> Iterator[Frame]:
    """Yield the frames of data up to one."""
    for number, line in enumerate(islice(raw(), last + 1)):
        if number >= 2:
            payload = json.loads(line["frame"], parse_int=str, parse_float=str)[1]
            yield Frame(number, FIRST_MS + STEP_MS * number, payload)


def tell(book: NaiveOrders, row: list[str]) -> None:
    """Apply `[id, price, amount]`."""
    ident, price, amount = row
    side = "sell" if amount.startswith("-") else "buy"
    if price == "0":
        order = book.find(ident)
        assert order is not None
        assert order.side == side
        book.tell("done", ident, side, None, None)
    else:
        book.tell("set", ident, side, price, amount.removeprefix("-"))


def is_crossed(book: NaiveOrders) -> bool:
    bids, asks = book.queue("buy"), book.queue("sell")
    return bool(bids) and bool(asks) and Decimal(bids[0][0]) >= Decimal(asks[0][0])


def replay(vault: Path, path: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(path), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def lines(vault: Path, dataset: str) -> list[Line]:
    paths = sorted((vault / "raw/bitfinex" / dataset / "tBTCUSD").rglob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def assert_event(line: Line, told: tuple[str, str, str | None, str | None, Decimal | None], frame: Frame) -> None:
    kind, ident, side, price, remaining = told
    assert (line["type"], line["order_id"], line["side"], line["seqId"]) == (kind, ident, side, frame.number - 1)
    assert line["price"] == price
    assert Decimal(line["remaining"]) == remaining
    assert line["size"] == (None if kind == "done" else line["remaining"])
    assert (line["reason"], line["maker_order_id"], line["taker_order_id"]) == (None, None, None)


@needs_recordings
@pytest.mark.parametrize(
    ("frames_told", "cadence"), [(SPELL + 50, "0.04"), pytest.param(ALL, "2", marks=pytest.mark.soak)]
)
def test_events_books_and_levels_are_the_naive_ones(frames_told: int, cadence: str, tmp_path: Path) -> None:
    vault = tmp_path / "v"
    replay(vault, tape(tmp_path / "tape.jsonl", 0, frames_told), "--cadence", cadence)
    events = lines(vault, "l3_spot.25")
    books = {line["n"]: line for line in lines(vault, "l3_spot_books.25")}
    levels = {line["seqId"]: line for line in lines(vault, "l2_spot.from_l3-25")}
    assert events.pop(0)["type"] == "live"
    assert [event["n"] for event in events] == [*range(1, len(events) + 1)]
    naive, crossed = NaiveOrders(), 0
    for frame in frames(frames_told):
        if isinstance(frame.payload[0], list):
            for row in frame.payload:
                tell(naive, row)
            naive.log.clear()
        else:
            tell(naive, frame.payload)
            assert_event(events[frame.number - 3], naive.log[-1], frame)
        book, level = books.pop(frame.number - 2, None), levels.pop(frame.number - 1, None)
        if book is not None:
            assert [[row[0], Decimal(row[1]), row[2]] for row in book["bids_top25"]] == [*map(list, naive.queue("buy"))]
            assert [[row[0], Decimal(row[1]), row[2]] for row in book["asks_top25"]] == [
                *map(list, naive.queue("sell"))
            ]
        if level is not None:
            assert ("crossed" in level["flags"]) is is_crossed(naive)
            crossed += is_crossed(naive)
            for field, side in (("bids_top25", "buy"), ("asks_top25", "sell")):
                told = [(Decimal(price), Decimal(size), int(count)) for price, size, _, count in level[field]]
                assert told == naive.levels(side)
    assert len(naive.log) == len(events) == frames_told - 2
    assert (books, levels) == ({}, {})
    assert crossed > 0 or cadence == "2"
    assert [entry["kind"] for entry in ledger(vault) if entry["kind"] in ("gap", "canary", "schema_break")] == []


@needs_recordings
def test_a_second_replay_adds_nothing_to_any_of_the_three(tmp_path: Path) -> None:
    path = tape(tmp_path / "tape.jsonl", 0, CUT)
    replay(tmp_path / "v", path)
    once = {file: file.read_bytes() for file in (tmp_path / "v/raw").rglob("*.jsonl")}
    assert len(once) == 3
    replay(tmp_path / "v", path)
    assert {file: file.read_bytes() for file in (tmp_path / "v/raw").rglob("*.jsonl")} == once


@needs_recordings
def test_every_lost_frame_is_declared_and_nothing_is_written_behind_it(tmp_path: Path) -> None:
    for number in Random(7).sample(range(4, 1_500), 6):
        vault = tmp_path / str(number)
        replay(vault, tape(tmp_path / "tape.jsonl", 0, 1_600, frozenset({number})))
        (gap,) = [entry for entry in ledger(vault) if entry["kind"] == "gap"]
        assert (gap["reason"], gap["expected"], gap["got"]) == ("sequence", number - 1, number)
        assert gap["detail"]["also"] == ["l3_spot_books.25", "l2_spot.from_l3-25"]
        for dataset in ("l3_spot.25", "l3_spot_books.25", "l2_spot.from_l3-25"):
            told = lines(vault, dataset)
            assert told[-1]["flags"] == (["gap"] if dataset == "l3_spot.25" else [*told[-1]["flags"]])
            assert max(line["seqId"] for line in told) == number - 2


@needs_recordings
def test_a_raw_snapshot_of_2017_is_read() -> None:
    link = Bitfinex().connection({})
    assert link.decode(
        '{"event":"subscribed","channel":"book","chanId":7,"symbol":"tBTCUSD","prec":"R0","freq":"F0","len":"25"}'
    )
    (frame,) = json.loads(SNAPSHOT_2017.read_text())["frames"]
    (event,) = link.decode(frame.replace("[999,", "[7,", 1))
    assert isinstance(event, BookPush)
    rows = json.loads(frame, parse_int=str, parse_float=str)[1]
    assert [[ident, price, size] for price, size, ident in event.bids] == [row for row in rows if row[2][0] != "-"]
    assert [[ident, price, f"-{size}"] for price, size, ident in event.asks] == [
        row for row in rows if row[2][0] == "-"
    ]
    assert (event.push, event.channel) == (Push.SNAPSHOT, "book-R0-25")


def test_checksums_of_orders_are_those_of_the_documents() -> None:
    """The vector of "WebSocket checksum" for raw books; the order of the rows is that of queues, not of ids."""
    bids = [["10", "1", "1235"], ["10", "0.5", "1234"]]
    asks = [["11", "0.25", "2234"], ["12", "2", "2235"]]
    assert Bitfinex().checksum(bids, asks) == 1447967471
    assert Bitfinex().checksum(bids[::-1], asks) == 1447967471
