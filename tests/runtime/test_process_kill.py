"""A recorder that is killed, at any moment and in the middle of any write, and started again in the same vault."""

import json
import random
import time
from pathlib import Path

import pytest

from tests.tools.processes import (
    INSTRUMENTS,
    Entry,
    Process,
    SimulatedExchange,
    exchange,
    ledger,
    lines,
    recorder,
    state_is,
    until,
    verify,
)

LATEST_S = 1.2
BUSY, IDLE = ("--cadence", "0.05", "--tape"), ("--cadence", "1")
LATEST_WRITE = {BUSY: 150, IDLE: 20}

KILLED_IN_A_WRITE = """
import os, signal
write, left = os.write, {number}
def last_write(fd, data):
    global left
    left -= 1
    if left == 0:
        write(fd, bytes(data)[: int(len(data) * {part})])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(fd, data)
os.write = last_write
"""

Tails = dict[Path, tuple[bytes, bytes]]


def tails(vault: Path) -> Tails:
    """Return the whole lines of each line file, and what stands behind them."""
    found = {}
    for path in sorted([*vault.glob("raw/okx/*/*/*/*.jsonl"), *vault.glob("meta/okx/events/*.jsonl")]):
        whole, end, torn = path.read_bytes().rpartition(b"\n")
        found[path] = (whole + end, torn)
    return found


def newest(found: Tails) -> dict[str, str]:
    """Return the time of the newest whole line of each instrument; if it has none, when it became live."""
    times, lives = {}, {}
    for whole, _ in found.values():
        fields = json.loads(whole.splitlines()[-1]) if whole else {}
        if "timestamp_utc" in fields:
            times[fields["instId"]] = fields["timestamp_utc"]
        elif "kind" in fields:
            entries = [json.loads(line) for line in whole.splitlines()]
            lives |= {entry["instId"]: entry["until_event"] for entry in entries if entry["kind"] == "live"}
    return lives | times


def said_by_run(vault: Path, number: int) -> list[Entry]:
    """Return what the ledger says from the start of one run on, counted from 0."""
    events = ledger(vault, torn=True)
    starts = [place for place, entry in enumerate(events) if entry["kind"] == "started"]
    return events[starts[number] :] if number < len(starts) else []


def run_until_killed(vault: Path, served: SimulatedExchange, chance: random.Random, *args: str) -> None:
    """Record and be killed: from outside at any moment, or by its own hand within any write."""
    if chance.random() < 0.5:
        with recorder(vault, served, *args) as process:
            time.sleep(chance.random() * LATEST_S)  # this moment is what is tried; nothing is waited for
            process.kill()
        return
    number, part = chance.randrange(1, LATEST_WRITE[args]), chance.choice((0, 0.01, 0.5, 0.999, 1))
    with recorder(vault, served, *args, inject=KILLED_IN_A_WRITE.format(number=number, part=part)) as process:
        assert process.ended() == -9, process.said


def restart(vault: Path, served: SimulatedExchange, *args: str) -> None:
    """Start again, be killed once all is live, and check what the start made of what it found."""
    found = tails(vault)
    starts = len(ledger(vault, "started", torn=True))

    def is_live(process: Process) -> bool:
        assert process.popen.poll() is None, process.said
        return {entry["instId"] for entry in said_by_run(vault, starts) if entry["kind"] == "live"} == {*INSTRUMENTS}

    with recorder(vault, served, *args) as process:
        until(lambda: is_live(process), "live again")
        process.kill()
    declared = {
        entry["instId"]: entry["since_event"]
        for entry in said_by_run(vault, starts)
        if entry["kind"] == "gap" and entry["reason"] == "restart"
    }
    assert declared == newest(found)
    for path, (whole, torn) in found.items():
        assert path.read_bytes().startswith(whole)
        assert not torn or path.with_suffix(".torn").read_bytes().endswith(torn)


def assert_sound(vault: Path) -> None:
    """Check all lines against each other, and each loss for its one end."""
    for of_book in lines(vault).values():
        places = [(line["timestamp_utc"], line["gap_detected"]) for line in of_book]
        assert places == sorted(set(places))
    gaps = [entry["id"] for entry in ledger(vault, "gap")]
    ends = [entry["id"] for entry in ledger(vault, "live") if entry["id"]]
    assert len(gaps) == len(set(gaps))
    assert sorted(gaps) == sorted(ends)
    assert verify(vault) == ""
    assert not [*vault.rglob(".tmp-*")]


def kill_often(vault: Path, times: int, seed: int, *args: str) -> None:
    """Kill and restart, then stop cleanly and look at all of it."""
    chance = random.Random(seed)
    with exchange() as served:
        for _ in range(times):
            run_until_killed(vault, served, chance, *args)
            restart(vault, served, *args)
        with recorder(vault, served, *args) as process:
            until(state_is(vault, process, "live"), "live")
            assert process.stop() == 0, process.said
    assert_sound(vault)


@pytest.mark.parametrize(("seed", "args"), [(1, BUSY), (2, IDLE)])
def test_nothing_is_torn_repeated_or_undeclared_after_kills(tmp_path: Path, seed: int, args: tuple[str, ...]) -> None:
    kill_often(tmp_path / "vault", 3, seed, *args)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_torn_repeated_or_undeclared_after_two_hundred(tmp_path: Path, seed: int) -> None:
    kill_often(tmp_path / "vault", 10, 100 + seed, *(BUSY, IDLE)[seed % 2])
