"""The Bybit recording: each line is a naive replay's book at that number and time, and every lost frame is declared."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.recordings import load, needs_recordings
from tests.reference.naive_bybit import states
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "bybit/cryptofeed-20260809-v5-orderbook200-2conns.jsonl.gz"
SOCKETS = {"bybit": "linear", "bybit_spot": "spot"}
every_socket = pytest.mark.parametrize("venue", SOCKETS)


def lines_of(venue: str) -> list[dict[str, Any]]:
    """Return what came on one venue's socket: the topics of both are called alike."""
    return [line for line in load(NAME) if line["url"].endswith(SOCKETS[venue])]


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


@needs_recordings
@every_socket
@pytest.mark.parametrize(("cadence", "depth"), [("2", 400), ("0.1", 200), ("0.5", 25)])
def test_each_line_is_the_naive_book(venue: str, cadence: str, depth: int, tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", lines_of(venue))
    replay(tmp_path / "vault", tape, "--cadence", cadence, "--depth", str(depth))
    shown = min(depth, 200)
    expected = states(lines_of(venue), shown)
    lines = written(tmp_path / "vault")
    assert len(lines) > 10
    for line in lines:
        state = expected[line["instId"], line["seqId"]]
        assert (line[f"bids_top{shown}"], line[f"asks_top{shown}"]) == (state.bids, state.asks)
        assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
        assert line["prevSeqId"] in (line["seqId"] - 1, None)
        assert (line["gap_detected"], line["flags"], line["checksum_ok"]) == (False, [], None)
    assert {line["instId"] for line in lines} == {inst for inst, _ in expected}
    assert [event for event in ledger(tmp_path / "vault") if event["kind"] in ("gap", "canary")] == []


@needs_recordings
@every_socket
def test_a_second_replay_adds_nothing_and_the_venue_is_known_by_its_address(venue: str, tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", lines_of(venue))
    replay(tmp_path / "vault", tape)
    once = hour_files(tmp_path / "vault")
    replay(tmp_path / "vault", tape)
    assert hour_files(tmp_path / "vault") == once
    assert {path.split("/")[1] for path in once} == {venue}


def updates(lines: Sequence[dict[str, Any]]) -> list[int]:
    """Find the updates that another one of the same book follows: the loss of the last of all shows nothing."""
    found: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        message = json.loads(line["frame"]) if line["dir"] == "in" else {}
        if message.get("type") == "delta":
            found.setdefault(message["topic"], []).append(place)
    return sorted(place for places in found.values() for place in places[:-1])


@needs_recordings
@every_socket
def test_every_lost_update_is_declared_for_its_book_alone(venue: str, tmp_path: Path) -> None:
    lines = lines_of(venue)
    for number, place in enumerate(random.Random(7).sample(updates(lines), 6)):
        lost = json.loads(lines[place]["frame"])
        tape = write_tape(tmp_path / f"{number}.jsonl", lines[:place] + lines[place + 1 :])
        vault = tmp_path / str(number)
        replay(vault, tape)
        (gap,) = [event for event in ledger(vault) if event["kind"] == "gap"]
        assert (gap["instId"], gap["reason"]) == (lost["data"]["s"], "sequence")
        assert (gap["expected"], gap["got"]) == (lost["data"]["u"] - 1, lost["data"]["u"])
