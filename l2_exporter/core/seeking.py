"""Asks for a fresh book until one comes: what is held back meanwhile, which way to ask, and when to ask again.

It never touches the book: what a fresh one leads to is the keeper's work.
"""

from collections.abc import Callable

from l2_exporter.core.declaring import Declarations
from l2_exporter.core.events import BookPush
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec
from l2_exporter.core.recovery import CLEARED_AFTER_NS, Recovery
from l2_exporter.core.sequence import Holdback
from l2_exporter.core.state import Standing
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Seeding

Joined = list[tuple[BookPush, Stamp]]
"""The deltas that continue a REST book, with their arrival."""


class Seeker:
    """The search for one book.

    Args:
        again: makes the next attempt.
    """

    def __init__(
        self,
        spec: BookSpec,
        shared: Surroundings,
        recovery: Recovery,
        says: Declarations,
        again: Callable[[Stamp], None],
    ) -> None:
        venue = shared.checks.venue
        self._spec = spec
        self._shared = shared
        self._recovery = recovery
        self._says = says
        self._again = again
        self._held = Holdback()
        self._waiting: tuple[BookPush, Stamp, int | None] | None = None
        self._joins_rest = venue.channels[spec.channel].seeding is Seeding.REST
        self._is_dated = bool(venue.channels[spec.channel].event_time)
        self._has_rest = venue.book_path(spec.channel, spec.inst) is not None
        self._expects_first = True
        self._asked_rest = False
        self._phase = 0

    @property
    def standing(self) -> Standing:
        """Where a book stands that is looked for."""
        return Standing.SUSPECT if self._recovery.suspect else Standing.SEEDING

    def subscribed(self, stamp: Stamp) -> None:
        """Begin with a new subscription; if nothing comes, ask again."""
        self.suspended()
        self.call_later(int(self._shared.checks.venue.link.first_data_s * NS_PER_S), stamp, self._again)

    def suspended(self) -> None:
        """Wait for a new subscription: the connection is gone."""
        self.settled()
        self._expects_first = True
        self._asked_rest = False
        if self._joins_rest:
            self._held.clear()  # else a late answer would make the book live by what a connection that is gone brought

    def settled(self) -> None:
        """Forget what was to be done later: the book is lost, or found."""
        self._phase += 1

    def found(self, stamp: Stamp) -> None:
        """End the search; the attempts are forgiven if the book stays live."""
        self.settled()
        self._expects_first = self._asked_rest = False
        self._held.clear()
        self._waiting = None
        self.call_later(CLEARED_AFTER_NS, stamp, lambda _stamp: self._recovery.clear())

    def hold(self, push: BookPush, stamp: Stamp) -> bool:
        """Hold a delta back; tell whether it is the moment to ask for the book it continues."""
        held_before = self._held.any
        self._held.add(push, stamp)
        if self._joins_rest:
            return self._held.any and not held_before and not self._asked_rest
        if self._expects_first and push.seq is not None and self._has_rest:
            # The first message of a subscription is no snapshot: this venue (or this day) sends none.
            self._shared.pushes_snapshots = False
            return True
        return False

    def joined(self, book: BookPush, stamp: Stamp, levels: int | None) -> Joined | None:
        """Return the deltas held back that continue a REST book, None if it cannot be joined (yet).

        Where the stream knows changes only, its silence proves nothing: the book waits for the first of them. One that
        has no event time waits for one that goes beyond it: until then nobody could say since when the book is known.
        """
        self._asked_rest = False
        continuing = self._held.continuing(book)
        undated = book.event_ns is None and self._is_dated and continuing == []
        if self._joins_rest and (undated or not self._held.any):
            self._waiting = (book, stamp, levels)
            return None
        return continuing

    @property
    def is_waiting(self) -> bool:
        """Whether a REST book waits for a delta."""
        return self._waiting is not None

    def waiting(self) -> tuple[BookPush, Stamp, int | None] | None:
        """Take out the REST book that waits for a first delta, and the levels it was asked for."""
        taken, self._waiting = self._waiting, None
        return taken

    def attempt(self, standing: Standing, stamp: Stamp) -> None:
        """Ask for a fresh book, and again after a while if none has come; once the budget is spent, rarely."""
        was_suspect = self._recovery.suspect
        by_rest = self._by_rest(standing)
        self.settled()
        self._expects_first = False
        self._asked_rest = by_rest
        wait_ns = self._recovery.attempt()
        if self._recovery.suspect and not was_suspect:
            self._says.note("suspect", stamp, reason="budget_spent", detail={"attempts": self._recovery.attempts})
        else:
            reason = "rest" if by_rest else "resubscribe"
            self._says.note("resync", stamp, reason=reason, detail={"attempt": self._recovery.attempts})
            self._shared.ask(self._spec.channel, self._spec.inst, by_rest)
        self.call_later(wait_ns, stamp, self._again)

    def call_later(self, wait_ns: int, stamp: Stamp, action: Callable[[Stamp], None]) -> None:
        """Call after a time unless the book is lost or found before."""
        if stamp.elapsed_ns is None:
            return
        phase = self._phase

        def call(at: Stamp) -> None:
            if self._phase == phase:
                action(at)

        self._shared.timers.set(stamp.elapsed_ns + wait_ns, call)

    def _by_rest(self, standing: Standing) -> bool:
        """Choose the way: a stream that has delivered nothing is subscribed anew, whatever it was confirmed."""
        if not self._has_rest:
            return False
        if self._joins_rest:
            return standing is Standing.LOST or self._held.any
        return self._shared.pushes_snapshots is False or (standing is not Standing.LOST and self._held.any)
