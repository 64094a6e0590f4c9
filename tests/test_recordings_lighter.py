"""Lighter's recordings: each line is a naive replay's book; with the chain of today every lost frame is declared."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.core.timetext import utc_text
from l2_exporter.venues.registry import line_rules
from tests.recordings import ROOT, load, needs_recordings
from tests.reference.naive_lighter import books, sampled
from tests.tools.replaying import hour_files, ledger, write_tape

OVERLAP = "lighter/nautilus-20251208-order_book1-start_overlap.jsonl.gz"
LONG = "lighter/nautilus-20251210-order_book1-BTC.jsonl.gz"
CAPTURED = ROOT / "frames" / "lighter" / "collector-20260728-verbatim-chain.json"
URL = "wss://mainnet.zklighter.elliot.ai/stream"

Tape = Sequence[dict[str, Any]]


def undated(lines: Tape) -> list[dict[str, Any]]:
    """Take the receive times out: no deadline closes a bucket, only what comes later does."""
    return [{**line, "recv_ns": None} for line in lines]


def chained(lines: Tape) -> list[dict[str, Any]]:
    """Put `begin_nonce` into a recording that is older than it: the nonce before, 0 in the snapshot.

    An update that the snapshot holds begins before it.
    """
    before, found = 0, []
    for line in undated(lines):
        message = json.loads(line["frame"])
        if "order_book" in message:
            nonce = message["order_book"]["nonce"]
            message["order_book"]["begin_nonce"] = before if nonce > before else nonce - 1
            before, line["frame"] = nonce, json.dumps(message)
        found.append(line)
    return found


def captured() -> list[dict[str, Any]]:
    """Return the frames of July 2026 as a tape."""
    frames = json.loads(CAPTURED.read_text(encoding="utf-8"))["frames"]
    return [{"recv_ns": None, "conn": "lighter", "dir": "in", "url": URL, "frame": frame} for frame in frames]


def replay(vault: Path, lines: Tape, *options: str) -> dict[str, Any]:
    """Replay lines through the command line; return what it sums up."""
    tape = write_tape(vault.with_suffix(".jsonl"), lines)
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), "--json", *options])
    assert result.exit_code == 0, result.output
    assert [*verify([vault], line_rules())] == []
    return json.loads(result.output[result.output.index("{") :])


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


def said(vault: Path, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in ledger(vault) if event["kind"] in kinds]


@needs_recordings
@pytest.mark.parametrize("name", [OVERLAP, LONG])
@pytest.mark.parametrize(("cadence", "depth"), [("2", 400), ("0.1", 50), ("0.5", 5000)])
def test_each_line_is_the_naive_book(name: str, cadence: str, depth: int, tmp_path: Path) -> None:
    lines = undated(load(name))
    replay(tmp_path / "v", lines, "--cadence", cadence, "--depth", str(depth))
    expected = sampled(lines, round(float(cadence) * 1_000_000), depth)
    found = written(tmp_path / "v")
    for line, state in zip(found, expected, strict=True):
        assert line["timestamp_utc"] == utc_text(state.time_us * 1000, 6)
        assert (line[f"bids_top{depth}"], line[f"asks_top{depth}"]) == (state.bids, state.asks)
        assert (line["instId"], line["seqId"], line["prevSeqId"]) == ("1", None, None)
        assert (line["gap_detected"], line["flags"], line["checksum_ok"]) == (False, [], None)
    assert [*hour_files(tmp_path / "v")] == [f"raw/lighter/l2_perps/1/{path_of(found)}"]
    assert said(tmp_path / "v", "gap", "canary", "event_time_odd") == []


def path_of(lines: Tape) -> str:
    """Name the hour file of lines that are all in one hour."""
    (date, hour) = {line["timestamp_utc"][:13] for line in lines}.pop().split("T")
    return f"{date}/{hour}.jsonl"


@needs_recordings
@pytest.mark.parametrize("name", [OVERLAP, LONG])
def test_second_replay_adds_nothing(name: str, tmp_path: Path) -> None:
    replay(tmp_path / "v", load(name))
    once = hour_files(tmp_path / "v")
    assert once != {}
    replay(tmp_path / "v", load(name))
    assert hour_files(tmp_path / "v") == once


@needs_recordings
@pytest.mark.parametrize("name", [OVERLAP, LONG])
def test_with_the_chain_of_today_nothing_is_lost_and_lines_are_the_same(name: str, tmp_path: Path) -> None:
    lines = chained(load(name))
    replay(tmp_path / "v", lines, "--cadence", "0.1")
    expected = sampled(lines, 100_000, 400)
    found = written(tmp_path / "v")
    for line, state in zip(found, expected, strict=True):
        assert (line["bids_top400"], line["asks_top400"]) == (state.bids, state.asks)
        assert (line["seqId"], line["prevSeqId"]) == (state.nonce, state.begin_nonce or None)
    assert said(tmp_path / "v", "gap", "canary") == []


@needs_recordings
def test_update_that_the_snapshot_holds_is_no_loss_and_not_applied(tmp_path: Path) -> None:
    numbers = [message["order_book"]["nonce"] for message in books(load(OVERLAP))]
    assert numbers[0] == numbers[1]
    summary = replay(tmp_path / "v", chained(load(OVERLAP)))
    (book,) = summary["books"]
    counts = {"received": 15, "applied": 14, "duplicate": 0, "before_seed": 1, "rejected": 0, "ignored": 0}
    assert book["messages"] == counts


@needs_recordings
@pytest.mark.parametrize("part", range(2))
def test_every_lost_update_is_declared(part: int, tmp_path: Path) -> None:
    lines = chained(load(LONG))[:400]
    for number, place in enumerate(random.Random(part).sample(range(2, len(lines) - 1), 6)):
        lost, after = (json.loads(lines[place + step]["frame"])["order_book"] for step in (0, 1))
        vault = tmp_path / str(number)
        replay(vault, lines[:place] + lines[place + 1 :], "--cadence", "0.1")
        (gap,) = said(vault, "gap")
        assert (gap["instId"], gap["reason"]) == ("1", "sequence")
        assert (gap["expected"], gap["got"]) == (lost["begin_nonce"], after["begin_nonce"])
        found = written(vault)
        assert (found[-1]["seqId"], found[-1]["flags"]) == (lost["begin_nonce"], ["gap"])
        assert [line["seqId"] for line in found if line["seqId"] >= lost["nonce"]] == []


@needs_recordings
def test_captured_frames_of_today_chain_until_some_are_missing(tmp_path: Path) -> None:
    replay(tmp_path / "v", captured(), "--cadence", "0.01")
    found = written(tmp_path / "v")
    numbers = [(line["seqId"], line["prevSeqId"]) for line in found]
    assert numbers == [
        (17926042877, None),
        (17926042944, 17926042877),
        (17926043003, 17926042944),
        (17926043048, 17926043003),
    ]
    assert [line["timestamp_utc"] for line in found] == [
        "2026-07-28T15:28:50.119936Z",
        "2026-07-28T15:28:50.170379Z",
        "2026-07-28T15:28:50.221157Z",
        "2026-07-28T15:28:50.249625Z",
    ]
    assert found[-1]["bids_top400"] == [
        ["1914.25", "0.4622"],
        ["1914.24", "0.5488"],
        ["1914.18", "8.5318"],
        ["1914.11", "10.2437"],
        ["1914.07", "88.0308"],
        ["1914.04", "199.7482"],
        ["1913.90", "13.3579"],
        ["1913.57", "0.0522"],
        ["1912.64", "127.6970"],
        ["1912.61", "0.1045"],
        ["1910.70", "0.2093"],
    ]
    (gap,) = said(tmp_path / "v", "gap")
    assert (gap["reason"], gap["expected"], gap["got"]) == ("sequence", 17926043048, 17926044752)
    refusals = [event["detail"]["code"] for event in said(tmp_path / "v", "canary")]
    assert refusals == ["30005", "30005", "30003", "30009"]
