"""Work on every core with results in the order in which it was given, and no more of it in memory than is under way."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from l2_exporter.core.errors import ArchiveError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 1
"""Jobs a process that wait, so that none is idle."""


def in_order(work: Callable[[T], R], jobs: Iterable[T], processes: int) -> Iterator[R]:
    """Yield the result of each job, in the order of the jobs, whatever the number of processes.

    Args:
        work: with its arguments and results something that can be pickled, where there is more than one process.
        processes: 1: everything is done in this one.

    Raises:
        ArchiveError: a process was killed, as when memory runs out.
    """
    if processes <= 1:
        yield from map(work, jobs)
        return
    # Spawned, not forked: the same on every system, and safe beside threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_leave_interrupts) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) > processes * (1 + AHEAD):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ArchiveError(f"a process that was reading was killed ({error}); try --jobs 1") from error
        finally:
            for future in waiting:
                future.cancel()


def _leave_interrupts() -> None:
    """Leave Ctrl-C to the process that began all this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
