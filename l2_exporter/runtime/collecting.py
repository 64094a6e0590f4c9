"""When Python's garbage collector runs while a recording does: seldom, as it walks every level of every book.

Counting references frees what a message leaves behind. What needs the collector comes with connections and errors.
With 500 books the usual thresholds led to five collections a second, the longest of 0.1 s, in which nothing was
received, and to 5 % more CPU.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from l2_exporter.core.records import LedgerRecord, Record

THRESHOLDS = (50_000, 1_000, 1_000)
LOOK_S = 60.0
QUIET_LOOKS = 360


@contextmanager
def seldom() -> Iterator[None]:
    """Let collections of their own accord be rare."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Collector:
    """Collects within a minute after a connection has ended, and every six hours where none does.

    With 500 books a collection takes 0.6 s, in which frames wait.
    """

    def __init__(self) -> None:
        self._is_due = False
        self._quiet = 0

    def saw(self, record: Record) -> None:
        """Look at a record: what an ended connection leaves behind is to be collected."""
        if isinstance(record, LedgerRecord) and record.kind == "disconnected":
            self._is_due = True

    async def run(self) -> None:
        """Look once a minute, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Collect if it is time."""
        self._quiet += 1
        if self._is_due or self._quiet >= QUIET_LOOKS:
            self._is_due, self._quiet = False, 0
            gc.collect()
