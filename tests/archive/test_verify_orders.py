"""Verifying order by order: sound archives have no defect, and each way of spoiling one is told by line and word."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.venues.bitfinex import Bitfinex
from l2_exporter.venues.registry import line_rules
from tests.archive.records import digest
from tests.archive.samples import encode
from tests.tools.order_tapes import Options, parts_of
from tests.tools.order_world import BOOKS, EVENTS, HOUR, INST, LEVELS, VENUE, OrderWorld, lively, text
from tests.tools.replaying import write_tape

RULES = line_rules()
Spoil = Callable[[OrderWorld], tuple[str, int]]
"""Spoils a world; tells dataset and place of the line that must be named, counted from 0."""


def found(root: Path) -> list[tuple[str, int, str]]:
    """Verify a vault; tell dataset (or folder), line and word of each defect."""
    return [(defect.path.parts[-4], defect.line, str(defect.reason)) for defect in verify([root], RULES)]


def one_hour(seed: int = 3, **options: Any) -> OrderWorld:
    """Make a world of two episodes within one hour."""
    world = OrderWorld(seed, steps_ms=(0, 1, 3), **options)
    world.now_ns += 100_000 * 10**6
    world.begin()
    world.happen(60)
    world.write_levels()
    world.write_book()
    world.happen(5)
    world.lose()
    world.begin()
    world.happen(40)
    world.now_ns += 10**6
    world.happen(1)
    world.write_book()
    world.stop()
    return world


def place_of(world: OrderWorld, dataset: str, *, after: int = 0, **wanted: object) -> int:
    """Find the first line behind a place whose fields are these."""
    lines = world.lines[dataset]
    return next(at for at in range(after, len(lines)) if wanted.items() <= lines[at].items())


# ---- sound archives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [25, 3])
@pytest.mark.parametrize("seed", range(4))
def test_what_the_naive_model_writes_has_no_defect(seed: int, depth: int, tmp_path: Path) -> None:
    lively(seed, depth=depth).write(tmp_path)
    assert found(tmp_path) == []


MIXES = {
    "losses": Options(messages=150, leaps=2),
    "restarts": Options(messages=80, lost=5, closed=3, older=10, undated=3),
    "few levels": Options(messages=120, depth=3, orders=60),
    "too many orders": Options(messages=200, max_orders=30, orders=60, prices=30),
}


@pytest.mark.parametrize("mix", MIXES)
def test_what_replays_write_has_no_defect(mix: str, tmp_path: Path) -> None:
    parts = parts_of(7, MIXES[mix], 3 if mix == "restarts" else 1)
    for number, part in enumerate([*parts, *reversed(parts)]):
        tape = write_tape(tmp_path / f"{number}.jsonl", part)
        done = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(tmp_path / "v")], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert found(tmp_path / "v") == []
    lines = b"".join(path.read_bytes() for path in (tmp_path / "v" / "raw" / VENUE / EVENTS).rglob("*.jsonl"))
    assert (b'"partial_depth"' in lines) is (mix == "too many orders")


def test_checksum_of_a_book_line_is_that_of_its_orders_and_none_is_expected_of_its_levels(tmp_path: Path) -> None:
    world = one_hour()
    book, levels = world.lines[BOOKS][1], world.lines[LEVELS][1]
    sides = [[row[:3] for row in book[f"{side}_top25"]] for side in ("bids", "asks")]
    checksum = Bitfinex().checksum(*sides)
    book |= {"checksum": checksum, "checksum_ok": True}
    levels |= {"checksum": checksum, "checksum_ok": True}
    world.write(tmp_path / "right")
    assert found(tmp_path / "right") == []
    book["checksum"] = checksum ^ 1
    world.write(tmp_path / "wrong")
    assert found(tmp_path / "wrong") == [(BOOKS, 2, "checksum")]


# ---- single values -----------------------------------------------------------------------------------------------

VALUES = [
    (EVENTS, "type", {"type": "change"}, "opened", "event"),
    (EVENTS, "order_id", {"type": "open"}, None, "event"),
    (EVENTS, "order_id", {"type": "open"}, "", "event"),
    (EVENTS, "order_id", {"type": "gap"}, "7", "event"),
    (EVENTS, "side", {"type": "open"}, "bid", "event"),
    (EVENTS, "side", {"type": "open"}, None, "event"),
    (EVENTS, "price", {"type": "open"}, "0", "event"),
    (EVENTS, "price", {"type": "open"}, "1e99", "event"),
    (EVENTS, "price", {"type": "open"}, 7, "type"),
    (EVENTS, "size", {"type": "open"}, "-1", "event"),
    (EVENTS, "size", {"type": "open"}, "77", "event"),
    (EVENTS, "size", {"type": "done"}, "77", "event"),
    (EVENTS, "size", {"type": "match"}, None, "event"),
    (EVENTS, "size", {"type": "match"}, "0.0001", "contradiction"),
    (EVENTS, "size", {"type": "change"}, "77", "contradiction"),
    (EVENTS, "remaining", {"type": "match"}, "77", "contradiction"),
    (EVENTS, "remaining", {"type": "change"}, None, "contradiction"),
    (EVENTS, "remaining", {"type": "done", "reason": None}, "77", "contradiction"),
    (EVENTS, "remaining", {"type": "open"}, "1.", "event"),
    (EVENTS, "price", {"type": "done", "reason": None}, "77", "contradiction"),
    (EVENTS, "reason", {"type": "match"}, "canceled", "event"),
    (EVENTS, "reason", {"type": "open"}, "canceled", "event"),
    (EVENTS, "maker_order_id", {"type": "match"}, "7", "event"),
    (EVENTS, "maker_order_id", {"type": "open"}, "7", "event"),
    (EVENTS, "taker_order_id", {"type": "done"}, "7", "event"),
    (EVENTS, "flags", {"type": "open"}, ["gap"], "flags"),
    (EVENTS, "flags", {"type": "live", "flags": ["after_gap"]}, [], "flag_after_gap"),
    (EVENTS, "flags", {"type": "live", "flags": []}, ["after_gap"], "flag_first"),
    (EVENTS, "flags", {"type": "gap"}, [], "flags"),
    (EVENTS, "flags", {"type": "open"}, [1], "type"),
    (EVENTS, "exchange", {"type": "open"}, "okx", "path"),
    (EVENTS, "market", {"type": "open"}, "perp", "path"),
    (EVENTS, "channel", {"type": "open"}, "book", "path"),
    (EVENTS, "channel", {"type": "open"}, "book-R9", "channel_unknown"),
    (EVENTS, "instId", {"type": "open"}, "tETHUSD", "path"),
    (EVENTS, "timestamp_utc", {"type": "open"}, "2026-11-26T16:00:30Z", "time"),
    (EVENTS, "received_utc", {"type": "open"}, "2026-11-26T15:59:30.000Z", "time"),
    (EVENTS, "live_since_utc", {"type": "open"}, "2026-11-26T15:59:30.0001Z", "time"),
    (EVENTS, "live_since_utc", {"type": "open"}, "2026-11-26T18:59:30.000Z", "episode"),
    (EVENTS, "live_since_utc", {"type": "open"}, "2026-11-26T15:00:00.000Z", "no_live"),
    (EVENTS, "n", {"type": "live"}, 1, "mark"),
    (EVENTS, "n", {"type": "open"}, 0, "mark"),
    (EVENTS, "seqId", {"type": "open"}, 0, "numbers"),
    (BOOKS, "n", {"gap_detected": False}, 999, "number"),
    (BOOKS, "n", {"gap_detected": False}, -1, "number"),
    (BOOKS, "seqId", {"gap_detected": False}, 1, "numbers"),
    (BOOKS, "received_utc", {"gap_detected": False}, "2026-11-26T16:00:00.000000Z", "time"),
    (BOOKS, "mid_price", {"gap_detected": False}, "1", "mid"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [["1", "1", "x", "2026-11-26T19:00:00.000Z"]], "level"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [["1", "1", "", None]], "level"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [["1", "1", "x"]], "level"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [["1", "1", "x", None], ["1", "1", "x", None]], "order_id"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [["1", "1", "x", None], ["2", "1", "y", None]], "level_order"),
    (BOOKS, "bids_top25", {"gap_detected": False}, [[str(90 - n), "1", str(n), None] for n in range(26)], "depth"),
    (BOOKS, "channel", {"gap_detected": False}, "book", "path"),
    (LEVELS, "seqId", {"gap_detected": False}, 1, "numbers"),
    (LEVELS, "bids_top25", {"gap_detected": False}, [["1", "1", "0", "1"]], "replayed"),
]


@pytest.mark.parametrize(("dataset", "name", "line", "value", "word"), VALUES)
def test_a_wrong_value(
    dataset: str, name: str, line: dict[str, object], value: object, word: str, tmp_path: Path
) -> None:
    world = one_hour()
    at = place_of(world, dataset, after=1 if line.get("flags") else 0, **line)
    if dataset == EVENTS and word == "contradiction":
        at = next(
            place
            for place in range(at, len(world.lines[EVENTS]))
            if line.items() <= world.lines[EVENTS][place].items() and world.lines[EVENTS][place]["price"] is not None
        )
    world.lines[dataset][at][name] = value
    world.write(tmp_path)
    assert (dataset, at + 1, word) in found(tmp_path)


def test_lines_of_another_hour(tmp_path: Path) -> None:
    world = one_hour()
    vault = world.write(tmp_path)
    path = vault.hour_file(VENUE, EVENTS, INST, HOUR + 1)
    path.rename(vault.hour_file(VENUE, EVENTS, INST, HOUR + 2))
    told = found(tmp_path)
    assert [place for place in told if place[0] == EVENTS] == [
        (EVENTS, number, "hour") for number in range(1, len(world.lines[EVENTS]) + 1)
    ]


@pytest.mark.parametrize("dataset", [EVENTS, BOOKS])
def test_a_field_that_is_missing_or_out_of_order(dataset: str, tmp_path: Path) -> None:
    for name, spoil in (("gone", lambda line: line.pop("n")), ("moved", lambda line: line.update(n=line.pop("seqId")))):
        world = one_hour()
        spoil(world.lines[dataset][1])
        world.write(tmp_path / name)
        assert (dataset, 2, "fields") in found(tmp_path / name)


# ---- lines -------------------------------------------------------------------------------------------------------


def removed(world: OrderWorld) -> tuple[str, int]:
    at = place_of(world, EVENTS, after=20, type="open")
    del world.lines[EVENTS][at]
    return "number", at


def doubled(world: OrderWorld) -> tuple[str, int]:
    world.lines[EVENTS].insert(20, world.lines[EVENTS][20])
    return "order", 21


def swapped(world: OrderWorld) -> tuple[str, int]:
    lines = world.lines[EVENTS]
    lines[20], lines[21] = lines[21], lines[20]
    return "order", 21


def without_gap(world: OrderWorld) -> tuple[str, int]:
    at = place_of(world, EVENTS, type="gap")
    del world.lines[EVENTS][at]
    return "mark", at


def without_live(world: OrderWorld) -> tuple[str, int]:
    at = place_of(world, EVENTS, after=1, type="live")
    del world.lines[EVENTS][at]
    return "number", at


def gap_too_many(world: OrderWorld) -> tuple[str, int]:
    lines = world.lines[EVENTS]
    names = ("order_id", "side", "price", "size", "remaining", "reason", "maker_order_id", "taker_order_id")
    lines[30] |= {"type": "gap", "flags": ["gap"], **dict.fromkeys(names)}
    return "gap_undeclared", 30


def behind_gap(world: OrderWorld) -> tuple[str, int]:
    at = place_of(world, EVENTS, type="gap") + 1
    before = world.lines[EVENTS][at - 2]
    late = before | {"n": before["n"] + 2, "timestamp_utc": world.lines[EVENTS][at - 1]["timestamp_utc"]}
    world.lines[EVENTS].insert(at, late)
    return "mark", at


def open_twice(world: OrderWorld) -> tuple[str, int]:
    first = place_of(world, EVENTS, type="open")
    at = place_of(world, EVENTS, after=first + 1, type="open")
    world.lines[EVENTS][at]["order_id"] = world.lines[BOOKS][0]["bids_top25"][0][2]
    world.lines[EVENTS][at]["side"] = "buy"
    return "contradiction", at


@pytest.mark.parametrize(
    "spoil", [removed, doubled, swapped, without_gap, without_live, gap_too_many, behind_gap, open_twice]
)
def test_a_spoilt_row_of_events(spoil: Spoil, tmp_path: Path) -> None:
    world = one_hour()
    word, at = spoil(world)
    world.write(tmp_path)
    assert (EVENTS, at + 1, word) in found(tmp_path)


def test_an_episode_without_its_first_book(tmp_path: Path) -> None:
    world = one_hour()
    at = place_of(world, BOOKS, after=1, n=0)
    del world.lines[BOOKS][at]
    world.write(tmp_path)
    begun = place_of(world, EVENTS, after=1, type="live")
    assert found(tmp_path) == [(EVENTS, begun + 2, "mark"), (BOOKS, at + 1, "flag_after_gap")]


def test_a_line_of_any_dataset_within_a_loss(tmp_path: Path) -> None:
    for dataset in (BOOKS, LEVELS):
        world = one_hour()
        at = place_of(world, dataset, gap_detected=True)
        lost = world.lines[dataset][at]
        inside = text(world.episodes[0].until_ns + 10**6)
        world.lines[dataset].insert(at + 1, lost | {"gap_detected": False, "flags": [], "timestamp_utc": inside})
        world.write(tmp_path / dataset)
        assert (dataset, at + 2, "in_gap") in found(tmp_path / dataset)


def test_a_gap_line_that_the_ledger_does_not_know(tmp_path: Path) -> None:
    world = one_hour()
    world.ledger = [line for line in world.ledger if line["kind"] != "gap"]
    world.write(tmp_path)
    told = found(tmp_path)
    for dataset in (EVENTS, BOOKS, LEVELS):
        at = place_of(world, dataset, **({"type": "gap"} if dataset == EVENTS else {"gap_detected": True}))
        assert (dataset, at + 1, "gap_undeclared") in told


@pytest.mark.parametrize("seed", range(6))
def test_a_consistent_lie_about_an_order_shows_in_the_next_book(seed: int, tmp_path: Path) -> None:
    """A price or size that nothing else in its line contradicts: the books and levels behind it do."""
    world = one_hour(seed)
    dice = random.Random(seed)
    resting = {row[2] for side in ("bids_top25", "asks_top25") for row in world.lines[BOOKS][-1][side]}
    last_book = world.lines[BOOKS][-1]
    lies = [
        line
        for line in world.lines[EVENTS]
        if line["type"] == "open"
        and line["order_id"] in resting
        and line["n"] <= last_book["n"]
        and line["live_since_utc"] == last_book["live_since_utc"]
    ]
    lie = dice.choice(lies)
    lie |= {"price": "3"} if dice.random() < 0.5 else {"size": "999", "remaining": "999"}
    world.write(tmp_path)
    words = {word for _, _, word in found(tmp_path)}
    assert words
    assert words <= {"replayed", "contradiction"}


# ---- hours -------------------------------------------------------------------------------------------------------


def three_hours(root: Path) -> Vault:
    """Write an episode of three hours, each of them with events."""
    world = OrderWorld(4, steps_ms=(150_000,))
    world.begin()
    world.happen(40)
    world.stop()
    return world.write(root)


def test_an_hour_that_is_missing_and_one_that_retention_deleted(tmp_path: Path) -> None:
    vault = three_hours(tmp_path)
    path = vault.hour_file(VENUE, EVENTS, INST, HOUR + 1)
    data = path.read_bytes()
    assert found(tmp_path) == []
    path.unlink()
    assert found(tmp_path) == [(EVENTS, 1, "number")]
    assert found(vault.hour_file(VENUE, EVENTS, INST, HOUR + 2)) == []
    day, hours = path.parent.name, (f"{path.parent.name}T16:00:00Z", f"{path.parent.name}T17:00:00Z")
    tombstone = {
        "format": 1, "at": f"{day}T23:00:00Z", "action": "deleted", "what": "hour", "venue": VENUE, "dataset": EVENTS,
        "inst": INST, "from": hours[0], "until": hours[1], "reason": "hour ended 5 d 0 h ago, limit 5d",
        "path": path.relative_to(tmp_path).as_posix(), "lines": data.count(b"\n"), "bytes": len(data),
        "sha256": digest(data), "stored_path": path.relative_to(tmp_path).as_posix(), "stored_bytes": len(data),
        "stored_sha256": digest(data), "manifest_sha256": None, "manifest": None,
    }  # fmt: skip
    record = vault.retention_file(day)
    record.parent.mkdir(parents=True)
    record.write_bytes(encode([tombstone]))
    assert found(tmp_path) == []


def test_compressed_hours_are_one_with_plain_ones(tmp_path: Path) -> None:
    vault = three_hours(tmp_path)
    for dataset in (EVENTS, BOOKS):
        path = vault.hour_file(VENUE, dataset, INST, HOUR)
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert found(tmp_path) == []


def test_lines_that_the_disk_refused_are_missing_by_right(tmp_path: Path) -> None:
    world = one_hour()
    lines = world.lines[EVENTS]
    refused, again = lines[20], lines[30]
    del lines[20:30]
    world.write(tmp_path / "without")
    assert (EVENTS, 21, "number") in found(tmp_path / "without")
    said = dict.fromkeys(world.ledger[1]) | {key: world.ledger[1][key] for key in ("venue", "conn", "instId")}
    said["detail"] = {"dataset": EVENTS}
    suspended = said | {
        "at": refused["received_utc"],
        "kind": "write_suspended",
        "since_event": refused["timestamp_utc"],
    }
    resumed = suspended | {"at": again["received_utc"], "kind": "write_resumed", "until_event": again["timestamp_utc"]}
    world.ledger[2:2] = [suspended, resumed]
    world.write(tmp_path / "with")
    assert [told for told in found(tmp_path / "with") if told[2] != "replayed"] == []
