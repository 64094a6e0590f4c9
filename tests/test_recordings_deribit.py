"""The Deribit recordings: each line is a naive replay's book at that number and time; every lost frame is declared."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.recordings import load, needs_recordings, path_of
from tests.reference.naive_deribit import states
from tests.tools.replaying import hour_files, ledger, write_tape

RECORDINGS = ("deribit/cryptofeed-20210405-raw.jsonl.gz", "deribit/cryptofeed-20210722-raw.jsonl.gz")
every_recording = pytest.mark.parametrize("name", RECORDINGS)


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


@needs_recordings
@every_recording
@pytest.mark.parametrize("cadence", ["2", "0.01"])
def test_each_line_is_the_naive_book(name: str, cadence: str, tmp_path: Path) -> None:
    replay(tmp_path, path_of(name), "--cadence", cadence)
    expected = states(load(name))
    lines = written(tmp_path)
    for line in lines:
        state = expected[line["instId"], line["seqId"]]
        assert (line["bids_top400"], line["asks_top400"]) == (state.bids, state.asks)
        assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
        assert (line["exchange"], line["market"], line["channel"]) == ("deribit", "option", "book.raw")
        assert (line["gap_detected"], line["flags"]) == (False, [])
    assert {line["instId"] for line in lines} == {inst for inst, _ in expected}
    assert [event["kind"] for event in ledger(tmp_path) if event["kind"] in ("gap", "canary", "event_time_odd")] == []


@needs_recordings
def test_a_book_that_begins_empty_with_number_zero_is_followed(tmp_path: Path) -> None:
    lines = load(RECORDINGS[0])
    begins = {inst for inst, number in states(lines) if number == 0}
    replay(tmp_path, path_of(RECORDINGS[0]), "--cadence", "0.01")
    numbers = {inst: [line["seqId"] for line in written(tmp_path) if line["instId"] == inst] for inst in begins}
    assert begins
    assert all(found[0] == 0 for found in numbers.values())


@needs_recordings
@every_recording
def test_every_lost_change_is_declared_for_its_book_alone(name: str, tmp_path: Path) -> None:
    lines = load(name)
    changes: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if line["dir"] == "in" and '"type":"change"' in line["frame"]:
            changes.setdefault(json.loads(line["frame"])["params"]["data"]["instrument_name"], []).append(place)
    seen = [(inst, place) for inst, places in changes.items() for place in places[:-1]]
    for number, (inst, place) in enumerate(seen[::7]):
        tape = write_tape(tmp_path / f"{number}.jsonl", lines[:place] + lines[place + 1 :])
        replay(tmp_path / str(number), tape)
        (gap,) = [event for event in ledger(tmp_path / str(number)) if event["kind"] == "gap"]
        assert (gap["instId"], gap["reason"]) == (inst, "sequence")
