"""What must not hold a recorder up: a disk slow to sync, a reader of its status, a console that nobody reads."""

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from tests.tools.processes import (
    exchange,
    ledger,
    line_count,
    live_in,
    recorder,
    state_is,
    status_of,
    until,
    verify,
)

SLOW = """
import os, time
fsync, flag = os.fsync, {flag!r}
def slow(fd):
    if os.path.exists(flag):
        time.sleep({seconds})
    fsync(fd)
os.fsync = slow
"""
OFTEN = "import l2_exporter.runtime.record as r; r.STATUS_EVERY_S = {}"


def longest_pause(vault: Path, seconds: float) -> float:
    """Watch the lines for a while; return the longest time in which none came."""
    begin_s = last_s = time.monotonic()
    count, longest = line_count(vault), 0.0
    while (now_s := time.monotonic()) - begin_s < seconds:
        found = line_count(vault)
        if found > count:
            count, last_s = found, now_s
        longest = max(longest, now_s - last_s)
        time.sleep(0.01)
    return longest


def test_a_slow_sync_delays_no_line(tmp_path: Path) -> None:
    vault, flag = tmp_path / "vault", tmp_path / "slow"
    config = tmp_path / "l2.toml"
    config.write_text("[record]\nfsync_s = 0.2\n")
    inject = SLOW.format(flag=str(flag), seconds=1.5) + OFTEN.format(0.1)
    args = ("--config", str(config), "--cadence", "0.05", "--tape")
    with exchange() as served, recorder(vault, served, *args, inject=inject) as process:
        until(state_is(vault, process, "live"), "live")
        flag.touch()
        assert longest_pause(vault, 4) < 0.75
        lag_s = until(lambda: status_of(vault, process) or {}, "a status")["sync_lag_s"]
        assert 0 < lag_s < 10
        flag.unlink()
        until(lambda: (status_of(vault, process) or {})["sync_lag_s"] < 0.5, "it has caught up")
        assert process.stop() == 0, process.said
    assert verify(vault) == ""


def test_a_reader_of_the_status_never_sees_half_of_it(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, recorder(vault, served, inject=OFTEN.format(0.002)) as process:
        until(state_is(vault, process, "live"), "live")
        seen: set[str] = set()
        until(
            lambda: seen.add(str((status_of(vault, process) or {})["written_utc"])) or len(seen) > 100, "100 statuses"
        )
        assert process.stop() == 0, process.said


def full_pipe() -> tuple[int, int]:
    """Make a pipe that takes nothing any more."""
    reading, writing = os.pipe()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        fcntl.fcntl(writing, fcntl.F_SETFL, flags)
    return reading, writing


def test_a_console_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    reading, writing = full_pipe()
    try:
        with exchange() as served, recorder(vault, served, "--cadence", "0.05", stdout=writing) as process:
            until(live_in(vault), "live")
            assert longest_pause(vault, 1) < 0.75
            assert process.stop(signal.SIGTERM) == 0, process.complaint
            assert process.complaint == ""
    finally:
        os.close(reading)
        os.close(writing)
    assert verify(vault) == ""


def test_a_process_that_was_halted_goes_on_where_it_was(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    inject = "import l2_exporter.runtime.clock as c; c.SLEEP_NS, c.STALL_NS = 10**9, 5 * 10**8"
    with exchange() as served, recorder(vault, served, "--cadence", "0.05", inject=inject) as process:
        until(live_in(vault), "live")
        process.send(signal.SIGSTOP)
        time.sleep(2)  # the halt itself
        process.send(signal.SIGCONT)
        until(lambda: ledger(vault, "sleep", torn=True), "noticed")
        before = line_count(vault)
        until(lambda: line_count(vault) > before + 10, "lines go on")
        assert process.stop() == 0, process.said
    (slept,) = ledger(vault, "sleep")
    assert 1.5 < slept["detail"]["seconds"] < 5
    assert not {"gap", "stale", "disconnected", "clock_step"} & {entry["kind"] for entry in ledger(vault)}
    assert verify(vault) == ""


@pytest.mark.soak
def test_what_a_loss_of_power_could_take_stays_young(tmp_path: Path) -> None:
    vault, lags = tmp_path / "vault", []
    inject = OFTEN.format(0.1)
    with exchange() as served, recorder(vault, served, "--cadence", "0.05", "--tape", inject=inject) as process:
        until(state_is(vault, process, "live"), "live")
        end_s = time.monotonic() + 30
        while time.monotonic() < end_s:
            lags.append((status_of(vault, process) or {})["sync_lag_s"])
            time.sleep(0.05)
        assert process.stop() == 0, process.said
    print(f"sync_lag_s: at most {max(lags)}")
    assert 4 < max(lags) < 6
