"""The garbage collector runs when it is told to, and what it has to free does not pile up."""

import gc
import weakref

from l2_exporter.core.records import LedgerRecord
from l2_exporter.runtime.collecting import QUIET_LOOKS, THRESHOLDS, Collector, seldom


class Circle:
    """Refers to itself: no count of references frees it."""

    def __init__(self) -> None:
        self.me = self


def test_thresholds_are_high_for_as_long_as_it_is_asked() -> None:
    before = gc.get_threshold()
    with seldom():
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_threshold() == before


def test_it_collects_after_an_ended_connection_and_else_once_in_many_looks() -> None:
    collector = Collector()
    with seldom():
        for looks in (QUIET_LOOKS, 1):
            left = weakref.ref(Circle())
            for _ in range(looks - 1):
                collector.look()
                assert left() is not None
            if looks == 1:
                collector.saw(LedgerRecord(1, "live"))
                collector.look()
                assert left() is not None
                collector.saw(LedgerRecord(2, "disconnected"))
            collector.look()
            assert left() is None
