"""Damaged OKX recordings: every lost frame lies in a declared window, nothing else does, no line is wrong."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.recordings import OKX_V5, load, needs_recordings
from tests.reference.naive_okx import best_first, replay, utc_ns
from tests.tools.mutator import Damage, State, add_sequence, inject_snapshots, mutate, parsed, reference_books
from tests.tools.replaying import (
    Window,
    arguments,
    assert_same_lines,
    declared_windows,
    expected_windows,
    first_live,
    hour_files,
    in_order,
    run_replay,
    write_tape,
)

LIQUID, FEW_LEVELS = OKX_V5[1], OKX_V5[0]  # `books` of 2022-05, `books-l2-tbt` of 2022-02
HITS = 8  # of each operation on a tape, about
LOSING = ("drop", "cut")  # the frame never arrives; a swap loses nothing, but breaks the chain

on_both = pytest.mark.parametrize("name", [LIQUID, FEW_LEVELS], ids=["books", "books-l2-tbt"])
ten_seeds = pytest.mark.parametrize(
    "seed", [*range(1, 3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 11))]
)
"""Two of them with every test run."""


class Damaged(NamedTuple):
    """A damaged tape beside the clean one."""

    clean: Sequence[dict[str, Any]]
    states: dict[int, State]
    lines: list[dict[str, Any]]
    damages: list[Damage]


@cache
def clean_tape(name: str, sequence: bool, keep: str) -> tuple[list[dict[str, Any]], dict[int, State]]:
    lines = load(name)
    lines = add_sequence(lines, 2022, keep=keep) if sequence else lines
    return lines, reference_books(lines)


def damaged(name: str, seed: int, operations: Iterable[str], *, sequence: bool, keep: str = "keep") -> Damaged:
    """Damage a recording, and let a fresh snapshot follow each loss."""
    clean, states = clean_tape(name, sequence, keep)
    mutated, damages = mutate(clean, seed, **dict.fromkeys(operations, HITS / len(clean)))
    lines = inject_snapshots(clean, mutated, damages, seed, states=states)
    return Damaged(clean, states, lines, damages)


def moved_the_chain(tape: Damaged, damage: Damage) -> bool:
    """Tell whether the frame was more than a repetition: keep-alives and repeated snapshots move nothing."""
    earlier = [n for n, state in tape.states.items() if state.inst == damage.inst and n < damage.index]
    return not earlier or tape.states[earlier[-1]].data["seqId"] != damage.seq


def is_followed(tape: Damaged, damage: Damage) -> bool:
    """Tell whether any frame of the instrument comes later, which alone can show that one is missing."""
    later = [line for line in tape.lines if line["place"] > damage.index or line.get("injected")]
    damaged_places = {one.index for one in tape.damages if one.op == "cut"}
    return any(
        line["place"] >= damage.index and (frame := parsed(line)) and frame["arg"]["instId"] == damage.inst
        for line in later
        if line["place"] not in damaged_places or line.get("injected")
    )


def assert_windows_cover_the_losses(tape: Damaged, windows: Sequence[Window], live: dict[str, int]) -> None:
    for damage in tape.damages:
        if damage.op not in LOSING or not moved_the_chain(tape, damage) or not is_followed(tape, damage):
            continue
        was_live = damage.inst in live and damage.event_ns > live[damage.inst]
        mine = [window for window in windows if window.inst == damage.inst]
        assert not was_live or any(window.reaches(damage.event_ns) for window in mine), damage


def assert_windows_have_a_cause(tape: Damaged, windows: Sequence[Window]) -> None:
    fresh = {
        (frame["arg"]["instId"], int(frame["data"][0]["ts"]) * 10**6)
        for line in tape.lines
        if (frame := parsed(line)) and frame["action"] == "snapshot"
    }
    breaking = [damage for damage in tape.damages if damage.op in (*LOSING, "swap")]
    for window in windows:
        if window.reason == "venue_reset":
            assert (window.inst, window.until_ns) in fresh, window
        else:
            assert window.reason == "sequence", window
            mine = [damage for damage in breaking if damage.inst == window.inst]
            assert any(window.reaches(damage.event_ns) for damage in mine), window


def parsed_lines(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


def assert_no_line_inside(vault: Path, windows: Sequence[Window]) -> None:
    for line in parsed_lines(vault):
        for window in windows:
            if window.inst == line["instId"]:
                assert not window.surrounds(utc_ns(line["timestamp_utc"])), (window, line["timestamp_utc"])


def assert_books_are_the_clean_ones(tape: Damaged, vault: Path) -> None:
    """Whatever was damaged: a line with a seqId shows the undamaged book of that seqId."""
    books = {(state.inst, state.data["seqId"]): state for state in tape.states.values()}
    for line in parsed_lines(vault):
        state = books[line["instId"], line["seqId"]]
        assert line["bids_top400"] == best_first(state.bids, bids=True)
        assert line["asks_top400"] == best_first(state.asks, bids=False)


@needs_recordings
@on_both
@ten_seeds
def test_with_a_sequence_no_loss_stays_undeclared(name, seed, tmp_path):
    tape = damaged(name, seed, ("drop", "swap", "repeat", "cut"), sequence=True, keep="zero")
    run_replay(tmp_path / "vault", write_tape(tmp_path / "tape.jsonl", tape.lines))
    windows = declared_windows(tmp_path / "vault")
    assert windows
    assert_windows_cover_the_losses(tape, windows, first_live(tmp_path / "vault"))
    assert_windows_have_a_cause(tape, windows)
    assert_no_line_inside(tmp_path / "vault", windows)
    assert_books_are_the_clean_ones(tape, tmp_path / "vault")
    expected = replay([tape.lines])
    assert_same_lines(hour_files(tmp_path / "vault"), expected.files)
    assert in_order(windows) == in_order(expected_windows(expected))


@needs_recordings
@on_both
@ten_seeds
def test_with_sequence_and_checksum_lines_equal_the_naive_replay(name, seed, tmp_path):
    tape = damaged(name, seed, ("drop", "swap", "repeat", "cut", "corrupt"), sequence=True)
    run_replay(tmp_path / "vault", write_tape(tmp_path / "tape.jsonl", tape.lines))
    expected = replay([tape.lines])
    assert_same_lines(hour_files(tmp_path / "vault"), expected.files)
    windows = declared_windows(tmp_path / "vault")
    assert in_order(windows) == in_order(expected_windows(expected))
    assert_no_line_inside(tmp_path / "vault", windows)


@needs_recordings
@on_both
@ten_seeds
def test_with_the_checksum_alone_lines_equal_the_naive_replay(name, seed, tmp_path):
    tape = damaged(name, seed, ("drop", "swap", "repeat", "cut", "corrupt"), sequence=False)
    run_replay(tmp_path / "vault", write_tape(tmp_path / "tape.jsonl", tape.lines))
    expected = replay([tape.lines])
    assert_same_lines(hour_files(tmp_path / "vault"), expected.files)
    windows = declared_windows(tmp_path / "vault")
    assert in_order(windows) == in_order(expected_windows(expected))
    assert_no_line_inside(tmp_path / "vault", windows)
    lost, found = detected(tape, windows)
    assert (lost, found) == detected(tape, expected_windows(expected))
    print(f"\n{name} seed {seed}: {found} of {lost} lost frames lie in a declared window")


def detected(tape: Damaged, windows: Sequence[Window]) -> tuple[int, int]:
    """Count lost frames, and those in a window."""
    lost = [damage for damage in tape.damages if damage.op in LOSING]
    found = [d for d in lost if any(w.inst == d.inst and w.reaches(d.event_ns) for w in windows)]
    return len(lost), len(found)


# ------------------------------------------------------------------------------------------------ killed runs

# Ends the process like a power switch after the k-th write; the product itself has no such hook.
KILLER = """
import os, sys
from l2_exporter.archive.disk import Disk
from l2_exporter.cli.main import cli

left, append = int(sys.argv[1]), Disk.append

def append_and_count(*args, **kwargs):
    global left
    result = append(*args, **kwargs)
    left -= 1
    if left == 0:
        os._exit(9)
    return result

Disk.append = append_and_count
cli(sys.argv[2:])
"""
KILLS = 12


@pytest.fixture
def count_appends(monkeypatch):
    """Count the writes of a replay in this process."""
    from l2_exporter.archive.disk import Disk

    append = Disk.append
    calls = []

    def append_and_count(*args, **kwargs):
        calls.append(None)
        return append(*args, **kwargs)

    monkeypatch.setattr(Disk, "append", append_and_count)
    return calls


@needs_recordings
def test_a_killed_replay_is_completed_by_the_next_to_the_same_bytes(tmp_path, count_appends):
    lines = damaged(LIQUID, 1, ("drop", "cut"), sequence=True, keep="zero").lines
    tape = write_tape(tmp_path / "tape.jsonl", lines)
    run_replay(tmp_path / "whole", tape)
    expected, total = hour_files(tmp_path / "whole"), len(count_appends)
    assert total >= KILLS
    partial = set()
    for kill in sorted(1 + number * (total - 1) // (KILLS - 1) for number in range(KILLS)):
        vault = tmp_path / f"killed-{kill}"
        command = [sys.executable, "-c", KILLER, str(kill), *arguments(vault, [tape])]
        killed = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=60)
        assert killed.returncode == 9, killed.stderr.decode()
        partial.add(sum(map(len, hour_files(vault).values())))
        run_replay(vault, tape)
        assert_same_lines(hour_files(vault), expected)
    assert len(partial) > KILLS // 2  # the kills did fall between different lines
