"""The Binance recordings: each line is a naive replay's book at that number and time, every lost update is declared."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.recordings import load, needs_recordings
from tests.reference.naive_binance import states
from tests.tools.replaying import hour_files, ledger, write_tape

FIRST_LINES = 1000
RECORDINGS = {
    "binance_usdm/cryptofeed-20210405-5sym-100ms": ("binance", "T"),
    "binance_usdm/cryptofeed-20210722-4sym-100ms": ("binance", "T"),
    "binance_usdm/hftbacktest-20230404_05-btcusdt-0ms-midnight": ("binance", "T"),
    "binance_usdm/hftbacktest-20240718_19-btcusdt-0ms-midnight": ("binance", "T"),
    "binance_usdm/hftbacktest-20240808-btcusdt-0ms": ("binance", "T"),
    "binance_coinm/cryptofeed-20210722-100ms": ("binance_coinm", "T"),
    "binance_coinm/hftbacktest-20240808_09-btcusd_perp-0ms-midnight": ("binance_coinm", "T"),
    "binance_spot/cryptofeed-20210417-100ms": ("binance_spot", "E"),
    "binance_spot/cryptofeed-20211012-100ms": ("binance_spot", "E"),
    "binance_spot/hftbacktest-20240808_09-btcusdt-100ms-midnight": ("binance_spot", "E"),
}
every_recording = pytest.mark.parametrize("name", RECORDINGS)


def lines_of(name: str) -> list[dict[str, Any]]:
    """Return the beginning of a recording; without books that have no REST answer in it."""
    return load(name + ".jsonl.gz")[:FIRST_LINES]


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


def compare(line: dict[str, Any], expected: dict[tuple[str, int], Any], depth: int) -> None:
    """Hold a line against the state at its number: same levels, texts and time, and what is not known is said."""
    state = expected[line["instId"], line["seqId"]]
    assert (line[f"bids_top{depth}"], line[f"asks_top{depth}"]) == (state.bids, state.asks)
    assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
    assert ("partial_depth" in line["flags"]) == any(state.short)
    assert {*line["flags"]} <= {"partial_depth", "seeded_from_rest"}


@needs_recordings
@pytest.mark.parametrize(
    ("name", "cadence", "depth"),
    [
        pytest.param(name, *how, marks=[pytest.mark.soak] * ((number + place) % 2))
        for number, name in enumerate(RECORDINGS)
        for place, how in enumerate((("0.2", 400), ("2", 1000)))
    ],
)
def test_each_line_is_the_naive_book(name: str, cadence: str, depth: int, tmp_path: Path) -> None:
    venue, time = RECORDINGS[name]
    lines = lines_of(name)
    replay(tmp_path / "v", write_tape(tmp_path / "t.jsonl", lines), "--cadence", cadence, "--depth", str(depth))
    expected = states(lines, depth, time)
    found = written(tmp_path / "v")
    for line in found:
        compare(line, expected, depth)
        assert line["exchange"] == venue
        assert not line["gap_detected"]
    assert {line["instId"] for line in found} == {inst for inst, _ in expected}
    assert [event for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary", "event_time_odd")] == []
    seeded = [line["instId"] for line in found if "seeded_from_rest" in line["flags"]]
    assert sorted(seeded) == sorted({line["instId"] for line in found})


@needs_recordings
@every_recording
def test_a_second_replay_adds_nothing(name: str, tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", lines_of(name)[:800])
    replay(tmp_path / "v", tape)
    once = hour_files(tmp_path / "v")
    replay(tmp_path / "v", tape)
    assert hour_files(tmp_path / "v") == once


def joined_updates(lines: list[dict[str, Any]]) -> list[int]:
    """Find updates behind the REST book that another one of their symbol follows."""
    answered: set[str] = set()
    places: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if line["dir"] == "http":
            answered.add(line["url"].split("symbol=")[1].split("&")[0])
        elif line["dir"] == "in":
            update = json.loads(line["frame"]).get("data", {})
            if update.get("s") in answered:
                places.setdefault(update["s"], []).append(place)
    # The first ones behind the answer can be contained in it: their loss is none.
    return [place for found in places.values() for place in found[50:-1]]


@needs_recordings
@every_recording
def test_every_lost_update_is_declared_for_its_symbol_alone(name: str, tmp_path: Path) -> None:
    lines = lines_of(name)
    places = joined_updates(lines)
    for number, place in enumerate(random.Random(name).sample(places, min(3, len(places)))):
        update = json.loads(lines[place]["frame"])["data"]
        tape = write_tape(tmp_path / f"{number}.jsonl", lines[:place] + lines[place + 1 :])
        replay(tmp_path / str(number), tape)
        gaps = [event for event in ledger(tmp_path / str(number)) if event["kind"] == "gap"]
        # The next one names the lost one: as the one before it, or by beginning right behind it.
        assert [(gap["instId"], gap["reason"], gap["got"]) for gap in gaps] == [(update["s"], "sequence", update["u"])]
