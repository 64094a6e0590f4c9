"""What is recorded of individual orders, beside the levels made of them: each event, and whole books now and then.

Any moment of an episode can be built again: from the last whole book before it and the events since
(docs/FORMAT.md, "Order events"). An episode begins with a whole book, and both ends of it stand among the events.
"""

from collections.abc import Sequence

from l2_exporter.core.events import BookPush, OrderChange
from l2_exporter.core.hours import BookHours
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.lines import Lines
from l2_exporter.core.orderbook import OrderBook
from l2_exporter.core.records import BookSpec, LateLine, OrderRecord
from l2_exporter.core.state import BookState
from l2_exporter.core.surroundings import Surroundings

LIVE, GAP = "live", "gap"
"""The types of the two lines that are no events of orders."""


class OrderLog:
    """The order-level output of one book.

    Args:
        spec: of the events.
        books: the lines with whole books.
    """

    def __init__(self, spec: BookSpec, shared: Surroundings, books: Lines, hours: BookHours) -> None:
        self.spec = spec
        self.books = books
        self._hours = hours
        self._shared = shared
        self._said_cut = False
        self._is_undated = False

    def begun(self, state: BookState, stamp: Stamp) -> None:
        """Begin an episode: say so, and write the book it begins with; one without a time waits for its first."""
        self._said_cut = False
        self._is_undated = state.book_ns is None
        if self._is_undated:
            return
        flags = tuple(
            word for word, applies in (("after_gap", state.after_gap), ("seeded_from_rest", state.from_rest)) if applies
        )
        self._mark(LIVE, state, flags)
        self.books.begun()
        self.books.write(state)
        self.books.sample(state, stamp)

    def lost(self, state: BookState, intact: bool) -> None:
        """End an episode."""
        self._mark(GAP, state, (GAP,))
        self.books.lost(state, intact)

    def applied(self, changes: Sequence[OrderChange], push: BookPush, state: BookState, stamp: Stamp) -> None:
        """Write what an update has done to orders."""
        if state.book_ns is None or state.live_since_ns is None:
            return
        if self._is_undated:
            self.begun(state, stamp)  # the book it begins with holds this update
            return
        self.books.sample(state, stamp)
        if self._hours.is_over(state.book_ns):
            # They count, so that a reader sees that some are missing.
            state.events += len(changes)
            self._shared.out += [LateLine(self.spec, state.book_ns, state.recv_ns) for _ in changes]
            return
        flags = ("partial_depth",) if self._is_cut(state) else ()
        for change in changes:
            state.events += 1
            self._shared.out.append(
                OrderRecord(
                    self.spec,
                    state.book_ns,
                    state.recv_ns,
                    change.kind.value,
                    change,
                    push.seq,
                    flags,
                    state.live_since_ns,
                    state.events,
                )
            )
        if self.books.is_owed_first and state.book_ns > state.live_since_ns:
            self.books.write(state)  # the book it began with was of the last line's moment, and not written

    def newly_cut(self, state: BookState) -> bool:
        """Tell, once an episode, that there were more orders than are held."""
        if self._said_cut or not self._is_cut(state):
            return False
        self._said_cut = True
        return True

    def _mark(self, kind: str, state: BookState, flags: tuple[str, ...]) -> None:
        if state.book_ns is None or state.live_since_ns is None:
            return
        if kind == GAP:
            state.events += 1
        if self._hours.is_over(state.book_ns):
            self._shared.out.append(LateLine(self.spec, state.book_ns, state.recv_ns))
            return
        self._shared.out.append(
            OrderRecord(
                self.spec,
                state.book_ns,
                state.recv_ns,
                kind,
                None,
                state.chain.seq,
                flags,
                state.live_since_ns,
                state.events,
            )
        )

    @staticmethod
    def _is_cut(state: BookState) -> bool:
        return isinstance(state.book, OrderBook) and state.book.is_cut
