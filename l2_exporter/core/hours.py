"""When an hour is over, book by book (docs/FORMAT.md, "The manifest"): then it can be sealed, and is never reopened.

An hour of a book is over when the book has gone beyond it, or when the venue's clock is 120 s past its end. That clock
is the greatest event time carried on by elapsed time. Our own clock seals nothing: it may be wrong by hours.
"""

from collections.abc import Callable, Iterable

from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec, HourOver, HoursOver
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S, hour_of

LATE_NS = 120 * NS_PER_S
LOOK_EVERY_NS = 30 * NS_PER_S
MOST_HOURS = 24 * 31
"""Hours that are over at once, after a long sleep of the machine; those before them get no manifest."""

Counted = Callable[[], tuple[dict[str, int], dict[str, int]]]
"""Tells how many messages of a book were what so far, and how many checksums."""


class BookHours:
    """The hours of one book.

    Attributes:
        begin_ns, end_ns: of the hour that is not over, as book time; both 0: none has begun.
    """

    __slots__ = ("_checksums", "_counted", "_datasets", "_hour", "_messages", "_shared", "_whole", "begin_ns", "end_ns")

    def __init__(self, datasets: Iterable[tuple[BookSpec, int]], shared: Surroundings, counted: Counted) -> None:
        """Begin with no hour.

        Args:
            datasets: each with its cadence in milliseconds, 0 where lines have none.
        """
        self.begin_ns = self.end_ns = 0
        self._datasets = tuple(datasets)
        self._shared = shared
        self._counted = counted
        self._hour: int | None = None
        self._whole = False
        self._messages, self._checksums = counted()

    def is_over(self, event_ns: int) -> bool:
        """Tell whether the hour of a line is over, by what this run has done or by the venue's clock."""
        hour = hour_of(event_ns)
        if self._shared.venue_ns > (hour + 1) * HOUR_NS + LATE_NS:
            self.pass_to(hour_of(self._shared.venue_ns - LATE_NS - 1))
            return True
        return self._hour is not None and hour < self._hour and self._whole

    def made(self, event_ns: int) -> None:
        """Take note of a line: the hours before its own are over."""
        hour = hour_of(event_ns)
        if self._hour is None or (hour < self._hour and not self._whole):
            # Not even begun, or by the venue's clock alone: the book says better where it stands.
            self._begin(hour, whole=False)
        elif hour > self._hour:
            self.pass_to(hour)

    def pass_to(self, hour: int) -> None:
        """Take note that every hour before this one is over."""
        if self._hour is None:
            self._begin(hour, whole=False)
            return
        if hour - self._hour > MOST_HOURS:
            self._over(self._hour)
            self._begin(hour - MOST_HOURS, whole=True)
        while self._hour < hour:
            self._over(self._hour)
            self._begin(self._hour + 1, whole=True)

    def _begin(self, hour: int, *, whole: bool) -> None:
        self._hour = hour
        self._whole = whole
        self.begin_ns = hour * HOUR_NS
        self.end_ns = self.begin_ns + HOUR_NS

    def _over(self, hour: int) -> None:
        messages, checksums = self._counted()
        record = HourOver(
            self._datasets,
            hour,
            self._shared.stamp.recv_ns,
            _since(messages, self._messages),
            _since(checksums, self._checksums),
            self._whole,
        )
        self._messages, self._checksums = messages, checksums
        self._shared.out.append(record)


class HourWatch:
    """Looks every 30 s which hours the venue's clock has left behind, also of books that say nothing.

    Args:
        all_hours: the hours of every book there is.

    Attributes:
        is_due: it is time to look.
    """

    def __init__(self, shared: Surroundings, all_hours: Callable[[], Iterable[BookHours]]) -> None:
        self.is_due = False
        self._shared = shared
        self._all_hours = all_hours
        self._limit: int | None = None

    def started(self, stamp: Stamp) -> None:
        """Begin to look."""
        if stamp.elapsed_ns is not None:
            self._shared.timers.set(stamp.elapsed_ns + LOOK_EVERY_NS, self._became_due)

    def look(self) -> None:
        """Look, after an input has been processed."""
        stamp, venue_ns = self._shared.stamp, self._shared.venue_ns
        self.is_due = False
        self.started(stamp)
        if not venue_ns:
            return
        limit = hour_of(venue_ns - LATE_NS - 1)
        for hours in self._all_hours():
            hours.pass_to(limit)
        if limit != self._limit:
            self._limit = limit
            self._shared.out.append(HoursOver(limit, stamp.recv_ns))

    def _became_due(self, _stamp: Stamp) -> None:
        self.is_due = True


def _since(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}
