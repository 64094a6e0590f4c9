"""One clock for a simulated exchange and for a recorder in a process of its own: it runs, and a test makes it jump."""

import mmap
import time
from pathlib import Path

from l2_exporter.simulator.server import SimulatedExchange

_RECORDER = """
import mmap, time
from l2_exporter.runtime.clock import Clock
_file = open({path!r}, "rb")
_jumped = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
def _elapsed_ns(self):
    return time.monotonic_ns() - {begin} + int.from_bytes(_jumped[:8], "little")
Clock.elapsed_ns = _elapsed_ns
Clock.wall_ns = lambda self: {start} + _elapsed_ns(self)
"""


class SetTime:
    """Wall clock and elapsed time of a small world.

    Args:
        path: a file through which the other process sees the jumps.
    """

    def __init__(self, path: Path, start_ns: int) -> None:
        self.start_ns = start_ns
        self._begin = time.monotonic_ns()
        path.write_bytes(bytes(8))
        self._file = path.open("r+b")
        self._shared = mmap.mmap(self._file.fileno(), 8)
        self._path = path

    @property
    def recorder_code(self) -> str:
        """Python that makes a recorder live by this clock, executed before it begins."""
        return _RECORDER.format(path=str(self._path), begin=self._begin, start=self.start_ns)

    def now_ns(self) -> int:
        """Tell the time."""
        return self.start_ns + time.monotonic_ns() - self._begin + int.from_bytes(self._shared[:8], "little")

    def jump_to(self, moment_ns: int) -> None:
        """Let the time until a moment pass at once; it goes on from there."""
        gone_ns = moment_ns - self.start_ns - (time.monotonic_ns() - self._begin)
        self._shared[:8] = max(0, gone_ns).to_bytes(8, "little")

    def close(self) -> None:
        """Let go of the file."""
        self._shared.close()
        self._file.close()


class SetTimeExchange(SimulatedExchange):
    """A simulated exchange that lives by a clock of ours."""

    clock: SetTime

    def _now_ns(self) -> int:
        return self.clock.now_ns()
