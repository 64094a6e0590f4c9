"""The clocks of this machine: when something arrived, and whether time has been set or has stood still for us."""

import time
from dataclasses import dataclass

from l2_exporter.core.inputs import Stamp
from l2_exporter.core.timetext import NS_PER_S

STEP_NS = NS_PER_S
"""A wall clock that moves by more than this against elapsed time has been set."""
STALL_NS = 2 * NS_PER_S
"""A gap between two ticks longer than this means that we, not the venue, stood still."""
SLEEP_NS = 30 * NS_PER_S

_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
"""Counts while the machine sleeps, which the ordinary monotonic clock of Linux does not."""


class Clock:
    """Wall clock and elapsed time, in nanoseconds."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970 UTC."""
        return time.time_ns()

    def elapsed_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back and, where there is one, counts through sleep."""
        return time.monotonic_ns() if _BOOT_CLOCK is None else time.clock_gettime_ns(_BOOT_CLOCK)

    def stamp(self) -> Stamp:
        """Return both, as the arrival of an input."""
        return Stamp(self.wall_ns(), self.elapsed_ns())


@dataclass(slots=True)
class Finding:
    """Something the clocks have shown.

    Attributes:
        kind: the ledger's word, clock_step or sleep.
    """

    kind: str
    detail: dict[str, object]


class ClockWatch:
    """Compares both clocks from tick to tick.

    Attributes:
        stalled: the last tick came so late that nothing can be said of how long others were silent.
    """

    def __init__(self, first: Stamp) -> None:
        self.stalled = False
        self._wall_ns = first.recv_ns or 0
        self._elapsed_ns = first.elapsed_ns or 0

    def ticked(self, stamp: Stamp) -> list[Finding]:
        """Take the time of a tick; return what has happened since the last one."""
        wall_ns, elapsed_ns = stamp.recv_ns or 0, stamp.elapsed_ns or 0
        passed_ns = elapsed_ns - self._elapsed_ns
        step_ns = (wall_ns - self._wall_ns) - passed_ns
        self._wall_ns, self._elapsed_ns = wall_ns, elapsed_ns
        self.stalled = passed_ns > STALL_NS
        found = []
        if passed_ns > SLEEP_NS:
            found.append(Finding("sleep", {"seconds": round(passed_ns / NS_PER_S, 3)}))
        if abs(step_ns) > STEP_NS:
            found.append(Finding("clock_step", {"seconds": round(step_ns / NS_PER_S, 3)}))
        return found
