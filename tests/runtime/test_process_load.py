"""What a recorder costs: memory that does not grow, and the share of a processor (figures with `pytest -s`)."""

import os
import time
from pathlib import Path

import pytest

from tests.tools.processes import exchange, line_count, recorder, state_is, status_of, until, verify

RUN_S = 60


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.soak
@pytest.mark.parametrize("count", [2, 50])
def test_memory_stays_and_nothing_waits(tmp_path: Path, count: int) -> None:
    vault = tmp_path / "vault"
    with exchange(interval_ns=100_000_000, instruments=count) as served:
        insts = [*served.exchange.instruments]
        with recorder(vault, served, insts=insts) as process:
            until(state_is(vault, process, "live"), "live")
            pid = process.popen.pid
            begin_s, begin_cpu_s, begin_mb = time.monotonic(), cpu_s(pid), memory_mb(pid)
            half_mb = 0.0
            while time.monotonic() - begin_s < RUN_S:
                if time.monotonic() - begin_s > RUN_S / 2 and not half_mb:
                    half_mb = memory_mb(pid)
                found = status_of(vault, process) or {}
                assert found["inputs_waiting"] < 1000
                assert found["sync_lag_s"] < 6
                time.sleep(0.5)
            end_mb, used_s = memory_mb(pid), cpu_s(pid) - begin_cpu_s
            assert process.stop() == 0, process.said
        memory = f"memory {begin_mb:.0f} MB, {half_mb:.0f} MB, {end_mb:.0f} MB"
        share = f"processor {used_s:.1f} s = {100 * used_s / RUN_S:.0f} %"
        print(f"\n{count} instruments at 10/s for {RUN_S} s: {memory}; {share}; {line_count(vault)} lines")
    assert end_mb < half_mb + 5
    assert verify(vault) == ""
