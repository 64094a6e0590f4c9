"""Event times that cannot be: one far ahead of everything else the venue has said (docs/FORMAT.md, "Event time").

Our own wall clock is no judge of a venue's: event times are compared with earlier ones plus elapsed local time.
"""

from l2_exporter.core.timetext import NS_PER_S

AHEAD_NS = 60 * NS_PER_S
AGREEING = 10


class VenueClock:
    """The greatest event time a venue has sent, carried on by elapsed time.

    Attributes:
        newest_ns: the greatest event time that was believed; 0: none was.
    """

    __slots__ = ("_agreeing", "_candidate", "_lead", "_offset", "newest_ns")

    def __init__(self) -> None:
        self._offset: int | None = None
        self._candidate = 0
        self._agreeing = 0
        self._lead: int | None = None
        self.newest_ns = 0

    def accepts(self, event_ns: int, elapsed_ns: int | None) -> bool:
        """Take note of an event time; False if it is more than 60 s ahead and nine others before it do not agree."""
        if elapsed_ns is None:
            self._agreeing = 0
            self.newest_ns = max(self.newest_ns, event_ns)
            return True
        offset = event_ns - elapsed_ns
        if self._offset is None or offset <= self._offset + AHEAD_NS:
            if event_ns > self.newest_ns:
                self.newest_ns = event_ns
            if self._lead is None or offset > self._lead:
                self._lead = offset
            if self._offset is None or offset > self._offset:
                self._offset = offset
            self._agreeing = 0
            return True
        agrees = self._agreeing > 0 and abs(offset - self._candidate) <= AHEAD_NS
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._candidate = offset
        if self._agreeing < AGREEING:
            return False
        self._offset, self._agreeing = offset, 0
        self._lead = offset
        self.newest_ns = max(self.newest_ns, event_ns)
        return True

    def leapt(self) -> None:
        """Take note that elapsed time has leapt: whether the venue's has too, its next event time tells."""
        self._lead = None

    def now_ns(self, elapsed_ns: int | None) -> int:
        """Tell the venue's time; 0 while nothing is known of it."""
        if self._lead is None or elapsed_ns is None:
            return self.newest_ns
        now_ns, newest_ns = self._lead + elapsed_ns, self.newest_ns
        return now_ns if now_ns > newest_ns else newest_ns  # `max` takes 100 ns longer, with every input

    def mark(self) -> tuple[int | None, int, int, int | None, int]:
        """Return what `reset` goes back to."""
        return self._offset, self._candidate, self._agreeing, self._lead, self.newest_ns

    def reset(self, mark: tuple[int | None, int, int, int | None, int]) -> None:
        """Forget the event times since a mark: their messages turned out to be rejected."""
        self._offset, self._candidate, self._agreeing, self._lead, self.newest_ns = mark
