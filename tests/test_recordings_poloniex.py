"""The Poloniex recording: each line is a naive replay's book, and every lost frame is declared for its book alone."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.venues.registry import line_rules
from tests.recordings import load, needs_recordings
from tests.reference.naive_poloniex import pushes, sampled, states
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "poloniex/cryptofeed-20220821b-book_lv2.jsonl.gz"
HOUR_MS = 3_600_000


def tape_of(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    """Write a tape without receive times: no deadline closes a bucket, only what comes later does."""
    return write_tape(path, [{**line, "recv_ns": None} for line in lines])


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each instrument."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for own in hour_files(vault).values():
        for raw in own:
            lines.setdefault(json.loads(raw)["instId"], []).append(json.loads(raw))
    return lines


@needs_recordings
@pytest.mark.parametrize(("cadence_ms", "depth"), [(10, 20), (500, 5), (2000, 400)])
def test_each_line_is_the_naive_book(cadence_ms: int, depth: int, tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "tape.jsonl", load(NAME))
    replay(tmp_path / "v", tape, "--cadence", f"{cadence_ms / 1000}", "--depth", str(depth))
    known, shown = states(load(NAME)), min(depth, 20)
    expected, lines = sampled(known, cadence_ms), written(tmp_path / "v")
    assert {inst: [line["seqId"] for line in own] for inst, own in lines.items()} == expected
    for inst, own in lines.items():
        for line in own:
            state = known[inst][line["seqId"]]
            assert (line[f"bids_top{shown}"], line[f"asks_top{shown}"]) == (state.bids[:shown], state.asks[:shown])
            assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
            assert line["prevSeqId"] == state.last_id
            assert (line["gap_detected"], line["flags"], line["checksum_ok"]) == (False, [], None)
    odd = [event for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary", "event_time_odd")]
    assert odd == []
    assert [*verify([tmp_path / "v"], line_rules())] == []


@needs_recordings
def test_quiet_books_stand_in_the_hour_they_were_sent_in(tmp_path: Path) -> None:
    """One of them had not changed for 8.8 hours when it was subscribed."""
    ages = {book["symbol"]: book["ts"] - book["createTime"] for action, book in pushes(load(NAME)) if action[0] == "s"}
    assert (max(ages.values()), ages["GF_USDT"]) == (31_665_117, 31_665_117)
    replay(tmp_path / "v", tape_of(tmp_path / "tape.jsonl", load(NAME)))
    assert {path.split("/", 4)[4] for path in hour_files(tmp_path / "v")} == {"2022-08-21/23.jsonl"}


@needs_recordings
def test_engine_times_of_updates_never_fall_in_a_book() -> None:
    newest: dict[str, int] = {}
    for action, book in pushes(load(NAME)):
        if action == "update":
            assert newest.get(book["symbol"], 0) <= book["createTime"] <= book["ts"]
            newest[book["symbol"]] = book["createTime"]
    assert len(newest) == 6


@needs_recordings
def test_a_second_replay_adds_nothing(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", load(NAME))
    replay(tmp_path / "v", tape)
    once = hour_files(tmp_path / "v")
    assert {path.split("/")[1] for path in once} == {"poloniex"}
    replay(tmp_path / "v", tape)
    assert hour_files(tmp_path / "v") == once


def updates(lines: Sequence[dict[str, Any]]) -> list[int]:
    """Find the updates that another one of the same book follows: the loss of the last of all shows nothing."""
    found: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        for action, book in pushes([line]):
            if action == "update":
                found.setdefault(book["symbol"], []).append(place)
    return sorted(place for places in found.values() for place in places[:-1])


@needs_recordings
@pytest.mark.parametrize("number", range(12))
def test_every_lost_update_is_declared_for_its_book_alone(number: int, tmp_path: Path) -> None:
    lines = load(NAME)
    place = random.Random(7).sample(updates(lines), 12)[number]
    ((_, lost),) = pushes([lines[place]])
    replay(tmp_path / "v", tape_of(tmp_path / "tape.jsonl", lines[:place] + lines[place + 1 :]), "--cadence", "0.01")
    (gap,) = [event for event in ledger(tmp_path / "v") if event["kind"] == "gap"]
    assert (gap["instId"], gap["reason"], gap["until_event"]) == (lost["symbol"], "sequence", None)
    assert (gap["expected"], gap["got"]) == (lost["lastId"], lost["id"])
    (*_, last) = written(tmp_path / "v")[lost["symbol"]]
    assert (last["seqId"], last["gap_detected"]) == (lost["lastId"], True)


@needs_recordings
def test_numbers_rise_by_more_than_one_at_times() -> None:
    """Why the rule is equality with `lastId`, not the number before plus one."""
    steps = [book["id"] - book["lastId"] for action, book in pushes(load(NAME)) if action == "update"]
    assert (len(steps), sum(step != 1 for step in steps), max(steps)) == (283, 32, 15)
