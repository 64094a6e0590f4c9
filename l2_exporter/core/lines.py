"""The lines of one book in one dataset: when a state of it is due to be written, and that it is written once."""

from collections.abc import Callable

from l2_exporter.core.hours import BookHours
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec, LateLine, SnapshotRecord
from l2_exporter.core.sampling import Sampler
from l2_exporter.core.state import BookState
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import hour_of

Make = Callable[[BookState, BookSpec, bool, bool], SnapshotRecord | None]
"""Makes the record of a state: (state, spec, is the gap line, is the first line of its episode)."""


class Lines:
    """One dataset's lines of one book.

    Args:
        state_of: tells the book's state when a deadline has come.
        make: makes the record.
        hours: of the book.
        leads: these lines lead the hours on; else those of another dataset do.
    """

    __slots__ = ("_first", "_hours", "_leads", "_make", "_sampler", "_shared", "_state_of", "spec")

    def __init__(
        self,
        spec: BookSpec,
        shared: Surroundings,
        sampler: Sampler,
        state_of: Callable[[], BookState],
        make: Make,
        hours: BookHours,
        *,
        leads: bool,
    ) -> None:
        self.spec = spec
        self._shared = shared
        self._sampler = sampler
        self._state_of = state_of
        self._make = make
        self._first = False
        self._hours = hours
        self._leads = leads

    def begun(self) -> None:
        """Take note of a new episode: its first line says so."""
        self._first = True

    def closing(self, book_ns: int | None, state: BookState) -> SnapshotRecord | None:
        """Make the line of the open bucket if an update brings the book beyond it; None if it does not."""
        sampler = self._sampler
        if book_ns is None or book_ns < sampler.open_until_ns or not sampler.closes_before(book_ns):
            return None
        return self._make(state, self.spec, False, self._first)

    def closed(self, record: SnapshotRecord) -> None:
        """Hand over the line of the open bucket, and close it."""
        self.emit(record)
        self._sampler.close()

    def sample(self, state: BookState, stamp: Stamp) -> None:
        """Let the update just applied open its bucket, if none is open."""
        if state.book_ns is None or self._sampler.is_open:
            return
        self._sampler.updated(state.book_ns, stamp.elapsed_ns)
        if self._sampler.deadline_ns is not None:
            self._shared.timers.set(self._sampler.deadline_ns, self._due)

    def close(self, state: BookState) -> None:
        """Write the line of the open bucket: its time is over."""
        if self._sampler.is_open:
            self.emit(self._make(state, self.spec, False, self._first))
            self._sampler.close()

    def close_before(self, book_ns: int | None, state: BookState) -> None:
        """Write the line of the open bucket if an update brings the book beyond it."""
        record = self.closing(book_ns, state)
        if record is not None:
            self.closed(record)

    def lost(self, state: BookState, intact: bool) -> None:
        """Write the line of the last good state, if that is intact; it takes the place of the open bucket's."""
        if intact:
            self.emit(self._make(state, self.spec, True, self._first))
        self._sampler.close()

    @property
    def is_owed_first(self) -> bool:
        """Whether no line of the episode has been made yet."""
        return self._first

    def write(self, state: BookState) -> None:
        """Write a line of the state as it is, whatever bucket is open."""
        self.emit(self._make(state, self.spec, False, self._first))

    def emit(self, record: SnapshotRecord | None) -> None:
        """Hand a line over if it ascends; only a line that can be written uses up the marks of an episode's first line.

        One whose hour is over is only counted.
        """
        if record is None:
            return
        if self._is_over(record.event_ns):
            self._shared.out.append(LateLine(record.spec, record.event_ns, record.recv_ns))
        elif self._sampler.ascends(record.event_ns, record.gap):
            self._first = False
            if self._leads:
                self._hours.made(record.event_ns)
            self._shared.out.append(record)

    def _is_over(self, event_ns: int) -> bool:
        if self._hours.is_over(event_ns):
            return True
        return not self._shared.history.takes_lines(self.spec, hour_of(event_ns))

    def _due(self, stamp: Stamp) -> None:
        deadline_ns = self._sampler.deadline_ns
        if deadline_ns is not None and stamp.elapsed_ns is not None and deadline_ns <= stamp.elapsed_ns:
            self.close(self._state_of())
