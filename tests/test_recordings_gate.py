"""The Gate spot recording: each line is a naive replay's book, every lost update is declared for its pair alone."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.venues.registry import line_rules
from tests.recordings import load, needs_recordings
from tests.reference.naive_gate import State, pair_asked, states, steps, update_of
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "gate/cryptofeed-20210422-v4-spot-order_book_update.jsonl.gz"
WINDOW = 100


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


def compare(line: dict[str, Any], state: State, depth: int) -> None:
    """Hold a line against the state at its number: same levels, texts and time."""
    assert (line[f"bids_top{depth}"], line[f"asks_top{depth}"]) == (state.bids, state.asks)
    assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
    assert (line["gap_detected"], line["checksum"], line["checksum_ok"]) == (False, None, None)


@needs_recordings
@pytest.mark.parametrize(("cadence", "depth"), [("0.01", 400), ("0.5", 25), ("2", 100)])
def test_each_line_is_the_naive_book(cadence: str, depth: int, tmp_path: Path) -> None:
    shown = min(depth, WINDOW)
    replay(tmp_path / "v", write_tape(tmp_path / "t.jsonl", load(NAME)), "--cadence", cadence, "--depth", str(depth))
    expected, lines = states(load(NAME), shown), written(tmp_path / "v")
    for line in lines:
        compare(line, expected[line["instId"], line["seqId"]], shown)
        assert (line["exchange"], line["market"], line["channel"]) == ("gate_spot", "spot", "spot.order_book_update")
    assert {line["instId"] for line in lines} == {pair for pair, _ in expected}
    firsts = [line for line in lines if line["flags"] == ["seeded_from_rest"]]
    assert sorted(line["instId"] for line in firsts) == sorted({pair for pair, _ in expected})
    assert all(line["flags"] == [] for line in lines if line not in firsts)
    assert [event for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary", "event_time_odd")] == []
    assert [*verify([tmp_path / "v"], line_rules())] == []


@needs_recordings
def test_at_the_finest_cadence_every_moment_has_its_line(tmp_path: Path) -> None:
    replay(tmp_path / "v", write_tape(tmp_path / "t.jsonl", load(NAME)), "--cadence", "0.01")
    last: dict[tuple[str, int], int] = {}
    for (pair, number), state in states(load(NAME), WINDOW).items():
        last[pair, state.time_ms // 10] = number
    found = sorted((line["instId"], line["seqId"]) for line in written(tmp_path / "v"))
    assert found == sorted((pair, number) for (pair, _), number in last.items())
    assert len(found) == 159


@needs_recordings
def test_the_server_keeps_the_window_so_that_a_book_of_100_levels_is_all_there_is() -> None:
    """What leaves the window is deleted, what comes into it is told: why such a book is not marked as partly known."""
    books = {pair: book for pair, book, is_book in steps(load(NAME)) if is_book}
    known = states(load(NAME), 400)
    assert {state.unknown for state in known.values()} == {0}
    for (pair, _), state in known.items():
        for side, rows in (("bids", state.bids), ("asks", state.asks)):
            full = len(books[pair][side]) == WINDOW
            assert len(rows) == WINDOW if full else len(rows) <= WINDOW
    entered = [
        (pair, row)
        for pair, update, is_book in steps(load(NAME))
        if not is_book and len(books[pair]["bids"]) == WINDOW
        for row in update["b"]
        if float(row[0]) < float(books[pair]["bids"][-1][0]) and float(row[1])
    ]
    assert {pair for pair, _ in entered} == {"OMG_USDT", "NEO_BTC"}


@needs_recordings
def test_engine_times_never_fall_in_a_book() -> None:
    newest: dict[str, int] = {}
    for line in load(NAME):
        update = update_of(line)
        if update is not None:
            assert newest.get(update["s"], 0) <= update["t"]
            newest[update["s"]] = update["t"]
    assert len(newest) == 10


@needs_recordings
def test_a_second_replay_adds_nothing_and_the_venue_is_known_by_its_address(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", load(NAME))
    replay(tmp_path / "v", tape)
    once = hour_files(tmp_path / "v")
    assert {path.split("/")[1] for path in once} == {"gate_spot"}
    replay(tmp_path / "v", tape)
    assert hour_files(tmp_path / "v") == once


def joined_updates(lines: list[dict[str, Any]]) -> list[int]:
    """Find the updates behind the REST book of their pair that it does not contain, and that another one follows."""
    numbers: dict[str, int] = {}
    places: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        asked, update = pair_asked(line), update_of(line)
        if asked is not None:
            numbers[asked] = json.loads(line["frame"])["id"]
        elif update is not None and update["u"] > numbers.get(update["s"], update["u"]):
            places.setdefault(update["s"], []).append(place)
    # The first one makes the book live: without it the next one does not join, and nothing was lost that was known.
    return [place for found in places.values() for place in found[1:-1]]


@needs_recordings
@pytest.mark.parametrize("number", range(12))
def test_every_lost_update_is_declared_for_its_pair_alone(number: int, tmp_path: Path) -> None:
    lines = load(NAME)
    place = random.Random(5).sample(joined_updates(lines), 12)[number]
    lost = update_of(lines[place]) or {}
    tape = write_tape(tmp_path / "tape.jsonl", lines[:place] + lines[place + 1 :])
    replay(tmp_path / "v", tape, "--cadence", "0.01")
    (gap,) = [event for event in ledger(tmp_path / "v") if event["kind"] == "gap"]
    assert (gap["instId"], gap["reason"]) == (lost["s"], "sequence")
    assert (gap["expected"], gap["got"]) == (lost["U"] - 1, lost["u"])
    (*_, last) = [line for line in written(tmp_path / "v") if line["instId"] == lost["s"]]
    assert (last["seqId"], last["gap_detected"]) == (lost["U"] - 1, True)
