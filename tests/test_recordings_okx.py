"""Every OKX recording, replayed through the command line, against the naive replay: the same lines, to the byte."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recordings import OKX_V5, load, needs_recordings, path_of
from tests.reference.naive_okx import replay
from tests.tools.mutator import reference_books, snapshots_at
from tests.tools.replaying import (
    arguments,
    assert_same_lines,
    declared_windows,
    expected_windows,
    hour_files,
    in_order,
    run_replay,
    write_tape,
)

every_recording = pytest.mark.parametrize("name", OKX_V5, ids=lambda name: name.split("/")[1].removesuffix(".jsonl.gz"))
SECOND_NS = 10**9


@needs_recordings
@every_recording
def test_lines_equal_the_naive_replay(name, tmp_path):
    expected = replay([load(name)])
    run_replay(tmp_path, path_of(name))
    assert_same_lines(hour_files(tmp_path), expected.files)
    assert declared_windows(tmp_path) == []
    assert expected.checksums["mismatch"] == 0
    sent = sum(counters["applied"] for counters in expected.counters.values())
    assert expected.checksums["ok"] + expected.checksums["unchecked"] == sent


@needs_recordings
@every_recording
@pytest.mark.parametrize(("cadence", "depth"), [("0.1", "25"), ("2", "25"), ("7", "400")])
def test_any_cadence_and_depth_gives_the_naive_lines(name, cadence, depth, tmp_path):
    expected = replay([load(name)], cadence_s=cadence, depth=int(depth))
    run_replay(tmp_path, path_of(name), options=["--cadence", cadence, "--depth", depth])
    assert_same_lines(hour_files(tmp_path), expected.files)


@needs_recordings
@every_recording
def test_a_second_replay_adds_nothing(name, tmp_path):
    run_replay(tmp_path, path_of(name))
    once = hour_files(tmp_path)
    assert once
    run_replay(tmp_path, path_of(name))
    assert hour_files(tmp_path) == once


@needs_recordings
@every_recording
def test_hash_seeds_change_no_byte(name, tmp_path):
    results = []
    for seed in ("0", "4242"):
        vault = tmp_path / seed
        command = [sys.executable, "-m", "l2_exporter", *arguments(vault, [path_of(name)])]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
        results.append(hour_files(vault))
    assert results[0]
    assert results[0] == results[1]


def cuts(name: str, count: int) -> list[int]:
    """Choose where to cut a recording: behind its first line, before its last one, and somewhere between."""
    last = count - 1
    between = random.Random(name).sample(range(2, last), min(3, last - 2))
    return sorted({1, last, *between})


@needs_recordings
@every_recording
@pytest.mark.parametrize("subscribes_again", [False, True])
def test_a_tape_in_two_parts_equals_two_naive_runs(name, subscribes_again, tmp_path):
    lines = load(name)
    states = reference_books(lines) if subscribes_again else {}
    for cut in cuts(name, len(lines)):
        parts = [lines[:cut], [*snapshots_at(lines, states, cut), *lines[cut:]]]
        vault = tmp_path / str(cut)
        expected = None
        for number, part in enumerate(parts):
            expected = replay([part], existing=expected and expected.files)
            run_replay(vault, write_tape(tmp_path / f"{cut}-{number}.jsonl", part))
            assert_same_lines(hour_files(vault), expected.files)
        restarts = [window for window in declared_windows(vault) if window.inst in {i for _, i in expected.counters}]
        assert in_order(restarts) == in_order(expected_windows(expected))


@needs_recordings
@every_recording
@pytest.mark.parametrize("shift_ns", [-3600 * SECOND_NS, 10 * SECOND_NS])
def test_a_wrong_receive_clock_moves_receive_times_only(name, shift_ns, tmp_path):
    lines = load(name)
    moved = [{**line, "recv_ns": line["recv_ns"] and line["recv_ns"] + shift_ns} for line in lines]
    run_replay(tmp_path / "right", path_of(name))
    run_replay(tmp_path / "wrong", write_tape(tmp_path / "moved.jsonl", moved))
    assert without_receive_times(tmp_path / "wrong") == without_receive_times(tmp_path / "right")
    assert_same_lines(hour_files(tmp_path / "wrong"), replay([moved]).files)


def without_receive_times(vault: Path) -> dict[str, list[dict]]:
    files = {path: [json.loads(line) for line in lines] for path, lines in hour_files(vault).items()}
    for lines in files.values():
        for line in lines:
            del line["received_utc"]
    return files
