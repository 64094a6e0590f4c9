"""The Hyperliquid recording: each line is a naive replay's book of its interval, and a lost book costs itself only."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.recordings import load, needs_recordings
from tests.reference.naive_hyperliquid import State, sampled, states
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "hyperliquid/hftbacktest-20250126-l2Book-BTC.jsonl.gz"
PLACE = "raw/hyperliquid/l2_perps/BTC/2025-01-26/19.jsonl"


def replay(vault: Path, lines: list[dict[str, Any]], *options: str) -> dict[str, Any]:
    """Replay lines; the venue is known by the address in them. Returns what the one book's summary says."""
    tape = write_tape(vault.with_suffix(".jsonl"), lines)
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), "--json", *options])
    assert result.exit_code == 0, result.output
    (book,) = json.loads(result.stdout)["books"]
    return dict(book)


def written(vault: Path, depth: int = 20) -> list[State]:
    """Read the lines back; whatever else they promise is checked."""
    files = hour_files(vault)
    assert [*files] == [PLACE]
    found = []
    for line in map(json.loads, files[PLACE]):
        assert (line["seqId"], line["prevSeqId"], line["checksum"], line["checksum_ok"]) == (None, None, None, None)
        assert (line["gap_detected"], line["flags"]) == (False, [])
        bids, asks = line[f"bids_top{depth}"], line[f"asks_top{depth}"]
        found.append(State(line["instId"], bids, asks, ms(line["timestamp_utc"]), ns(line["received_utc"])))
    return found


def expected(lines: list[dict[str, Any]], cadence_ms: int, depth: int = 20) -> list[State]:
    """Return what the lines must say: receive times have six decimals."""
    return [
        each._replace(bids=each.bids[:depth], asks=each.asks[:depth], recv_ns=each.recv_ns // 1000 * 1000)
        for each in sampled(lines, cadence_ms)
    ]


def ns(text: str) -> int:
    """Read a time of the recording's minute (2025-01-26, 19:14) in nanoseconds."""
    assert text.startswith("2025-01-26T19:14:")
    seconds, _, fraction = text[17:-1].partition(".")
    return (1_737_918_840 + int(seconds)) * 10**9 + int(fraction.ljust(9, "0"))


def ms(text: str) -> int:
    """Read such a time in milliseconds."""
    return ns(text) // 10**6


@needs_recordings
@pytest.mark.parametrize(("cadence", "depth"), [("2", 400), ("1", 20), ("0.1", 20), ("0.5", 5)])
def test_each_line_is_the_naive_book_of_its_interval(cadence: str, depth: int, tmp_path: Path) -> None:
    replay(tmp_path / "v", load(NAME), "--cadence", cadence, "--depth", str(depth))
    shown = min(depth, 20)
    assert written(tmp_path / "v", shown) == expected(load(NAME), round(float(cadence) * 1000), shown)
    assert [event["kind"] for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary", "stale")] == []


@needs_recordings
def test_first_book_that_came_twice_is_a_duplicate(tmp_path: Path) -> None:
    lines = load(NAME)
    first, second = (json.loads(line["frame"]) for line in lines[:2])
    assert first == second
    book = replay(tmp_path / "v", lines)
    counts = {"received": 46, "applied": 45, "duplicate": 1, "before_seed": 0, "rejected": 0, "ignored": 0}
    assert book["messages"] == counts
    assert len(states(lines)) == 45


@needs_recordings
def test_other_book_of_the_same_time_replaces_the_first(tmp_path: Path) -> None:
    lines = load(NAME)
    lines[1]["frame"] = lines[1]["frame"].replace('"sz":"3.03622"', '"sz":"3.5"', 1)
    book = replay(tmp_path / "v", lines, "--cadence", "0.1")
    assert (book["messages"]["applied"], book["messages"]["duplicate"]) == (46, 0)
    first, second = states(lines)[:2]
    assert first.time_ms == second.time_ms
    assert written(tmp_path / "v")[0].bids == second.bids != first.bids


@needs_recordings
def test_second_replay_adds_nothing(tmp_path: Path) -> None:
    replay(tmp_path / "v", load(NAME))
    once = hour_files(tmp_path / "v")
    assert len(once[PLACE]) == len(sampled(load(NAME), 2000))
    replay(tmp_path / "v", load(NAME))
    assert hour_files(tmp_path / "v") == once


@needs_recordings
@pytest.mark.parametrize("seed", range(12))
def test_lost_book_costs_itself_only_and_nothing_can_tell(seed: int, tmp_path: Path) -> None:
    lines = load(NAME)
    del lines[random.Random(seed).randrange(2, len(lines))]
    replay(tmp_path / "v", lines, "--cadence", "0.1")
    wanted = expected(lines, 100)
    assert written(tmp_path / "v") == wanted
    assert len(wanted) == len(expected(load(NAME), 100)) - 1
    assert [event["kind"] for event in ledger(tmp_path / "v") if event["kind"] == "gap"] == []
