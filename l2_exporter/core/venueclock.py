"""Event times that cannot be: one far ahead of everything else the venue has said (docs/FORMAT.md, "Event time").

Our own wall clock is no judge of a venue's: event times are compared with earlier ones plus elapsed local time.
"""

from l2_exporter.core.timetext import NS_PER_S

AHEAD_NS = 60 * NS_PER_S
AGREEING = 10


class VenueClock:
    """The greatest event time a venue has sent, carried on by elapsed time."""

    __slots__ = ("_agreeing", "_candidate", "_offset")

    def __init__(self) -> None:
        self._offset: int | None = None
        self._candidate = 0
        self._agreeing = 0

    def accepts(self, event_ns: int, elapsed_ns: int | None) -> bool:
        """Take note of an event time; False if it is more than 60 s ahead and nine others before it do not agree."""
        if elapsed_ns is None:
            self._agreeing = 0
            return True
        offset = event_ns - elapsed_ns
        if self._offset is None or offset <= self._offset + AHEAD_NS:
            self._offset = offset if self._offset is None else max(offset, self._offset)
            self._agreeing = 0
            return True
        agrees = self._agreeing > 0 and abs(offset - self._candidate) <= AHEAD_NS
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._candidate = offset
        if self._agreeing < AGREEING:
            return False
        self._offset, self._agreeing = offset, 0
        return True

    def mark(self) -> tuple[int | None, int, int]:
        """Return what `reset` goes back to."""
        return self._offset, self._candidate, self._agreeing

    def reset(self, mark: tuple[int | None, int, int]) -> None:
        """Forget the event times since a mark: their messages turned out to be rejected."""
        self._offset, self._candidate, self._agreeing = mark
