"""Which states of a book become lines: one a bucket of book time, the last one (docs/FORMAT.md, "Sampling rule").

Knows nothing of books and rows: it is told book times and receive times, and answers when the line of a bucket is due.
"""

from dataclasses import dataclass
from typing import Protocol

from l2_exporter.core.timetext import END_OF_TIME_NS, HOUR_NS, hour_of

HOURS_REMEMBERED = 48
NEVER_NS = END_OF_TIME_NS


@dataclass(frozen=True, slots=True)
class Floor:
    """The last line an hour file already holds: nothing at or before it is written again."""

    event_ns: int
    gap: bool


class FloorOf(Protocol):
    """Answers with the last line of the hour file of this hour (counted from 1970), None without one."""

    def __call__(self, hour: int) -> Floor | None: ...


class Sampler:
    """The buckets of one book. All times are integer nanoseconds.

    Attributes:
        deadline_ns: when the open bucket closes by itself, in elapsed time; None: no bucket, or no deadline.
        is_open: a bucket waits for its line.
        open_until_ns: no update before this book time closes the open bucket: most are told apart by it alone.
    """

    __slots__ = (
        "_cadence",
        "_closed",
        "_floor_of",
        "_floors",
        "_grace",
        "_open",
        "_written",
        "deadline_ns",
        "is_open",
        "open_until_ns",
    )

    def __init__(self, cadence_ns: int, grace_ns: int, floor_of: FloorOf) -> None:
        self._cadence = cadence_ns
        self._grace = grace_ns
        self._floor_of = floor_of
        self._floors: dict[int, tuple[Floor | None, ...]] = {}
        self._written: dict[int, tuple[int, bool]] = {}
        self._open: int | None = None
        self.is_open = False
        self.open_until_ns = NEVER_NS
        self._closed: int | None = None
        self.deadline_ns: int | None = None

    def closes_before(self, book_ns: int) -> bool:
        """Tell whether an update that brings the book to this time belongs to a later bucket than the open one."""
        return self._open is not None and self._bucket(book_ns) > self._open

    def updated(self, book_ns: int, elapsed_ns: int | None) -> None:
        """Note an applied update; the first of a bucket opens it and fixes its deadline."""
        if self._open is not None:
            return
        self._open = self._bucket(book_ns)
        self.is_open = True
        self.open_until_ns = self._surely_open_until(book_ns)
        if elapsed_ns is not None:
            end_ns = (self._open + 1) * self._cadence
            self.deadline_ns = elapsed_ns + (end_ns - book_ns) + self._grace

    def close(self) -> None:
        """Close the open bucket, if there is one; its number is used up whether or not a line was written."""
        if self._open is not None:
            self._closed = self._open
        self._open = None
        self.is_open = False
        self.open_until_ns = NEVER_NS
        self.deadline_ns = None

    def ascends(self, book_ns: int, gap: bool) -> bool:
        """Tell whether a line would come after all this run has made for its hour, and note it if so."""
        hour = hour_of(book_ns)
        last = self._written.get(hour)
        if last is not None and (book_ns, gap) <= last:
            return False
        self._written.pop(hour, None)
        self._written[hour] = (book_ns, gap)
        if len(self._written) > HOURS_REMEMBERED:
            del self._written[next(iter(self._written))]
        return True

    def _bucket(self, book_ns: int) -> int:
        """Assign a bucket: never one that is closed, by this run or by the lines of an earlier one.

        While the book is not past the file's last line no line of it could ascend; leaving that line's bucket out
        there makes a repeated run sample exactly as the first one did.
        """
        bucket = book_ns // self._cadence
        if self._closed is not None and self._closed >= bucket:
            bucket = self._closed + 1
        for floor in self._floors_of(hour_of(book_ns)):
            if floor is not None and book_ns > floor.event_ns:
                bucket = max(bucket, floor.event_ns // self._cadence + 1)
        return bucket

    def _surely_open_until(self, book_ns: int) -> int:
        """Tell until when no later book time can belong to another bucket than this one, which has just been opened."""
        hour = hour_of(book_ns)
        if any(floor is not None and floor.event_ns >= book_ns for floor in self._floors_of(hour)):
            return book_ns
        return min((book_ns // self._cadence + 1) * self._cadence, (hour + 1) * HOUR_NS)

    def _floors_of(self, hour: int) -> tuple[Floor | None, ...]:
        """Return the last lines that can have closed a bucket of this hour; a bucket may reach into the next hour."""
        floors = self._floors.get(hour)
        if floors is None:
            hours = (hour,) if HOUR_NS % self._cadence == 0 else (hour - 1, hour)
            floors = self._floors[hour] = tuple(self._floor_of(one) for one in hours)
            if len(self._floors) > HOURS_REMEMBERED:
                del self._floors[next(iter(self._floors))]
        return floors
