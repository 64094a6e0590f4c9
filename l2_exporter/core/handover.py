"""A book kept twice for a while: the connection that is to go on with it, beside the one that will be closed."""

from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.sequence import HELD_LIMIT, Verdict
from l2_exporter.core.state import BookState
from l2_exporter.core.venue import Channel, Scope, Seeding


class Heir:
    """What the new connection has made of the book so far.

    Where the stream knows changes only, there is no book to compare: both connections give the same numbers, and the
    heir keeps its deltas until one of them is the one the live book stands at, or follows it.

    Attributes:
        conn: the new connection.
        state: its book; None before its first snapshot, and after a message that did not follow.
        broken: such a message has come, and no snapshot since.
        deltas: an unbroken row of changes with their arrival, on a stream that knows changes only.
    """

    __slots__ = ("_comparable", "_joins_rest", "broken", "conn", "deltas", "state")

    def __init__(self, conn: str, channel: Channel) -> None:
        self.conn = conn
        self.state: BookState | None = None
        self.broken = False
        self.deltas: list[tuple[BookPush, Stamp]] = []
        self._joins_rest = channel.seeding is Seeding.REST
        self._comparable = channel.scope is Scope.BOOK

    def pushed(self, push: BookPush, event_ns: int | None, stamp: Stamp) -> None:
        """Take a message of the new connection; one that does not follow the last makes its book useless.

        Args:
            event_ns: its event time if that can be believed.
        """
        if self._joins_rest:
            self._keep(push, stamp)
        elif push.push is not Push.DELTA:
            self.broken = False
            self.state = BookState()
            self.state.book.replace(push.bids, push.asks)
            self.state.applied(push, event_ns, stamp.recv_ns)
        elif self.state is not None:
            verdict = self.state.chain.judge(push)
            if verdict is Verdict.CONTINUES:
                self.state.book.apply(push.bids, push.asks)
                self.state.applied(push, event_ns, stamp.recv_ns)
            elif verdict is not Verdict.DUPLICATE:
                self.state = None
                self.broken = True

    def meets(self, state: BookState) -> bool:
        """Tell whether both connections have brought the book to the same number: nothing was missed between them."""
        at = state.chain.seq
        if not self._comparable or at is None:
            return False
        if self._joins_rest:
            return any(push.seq == at for push, _ in self.deltas)
        return self.state is not None and self.state.chain.seq == at

    def agrees(self, state: BookState) -> bool:
        """Tell whether both books are the same; where only changes are known their numbers are all there is."""
        own = self.state
        if self._joins_rest:
            return True
        return own is not None and state.book.same_levels(own.book.bids.rows, own.book.asks.rows)

    def follows(self, state: BookState) -> bool:
        """Tell whether its row of changes continues a book that gets no more from its own connection."""
        at = state.chain.seq
        if not self._joins_rest or at is None:
            return False
        return any(push.prev_seq is not None and push.prev_seq == at for push, _ in self.deltas) or self.meets(state)

    def since(self, state: BookState) -> list[tuple[BookPush, Stamp]]:
        """Return the changes beyond the number a book stands at."""
        at = state.chain.seq
        places = [place for place, (push, _) in enumerate(self.deltas) if push.prev_seq == at]
        return self.deltas[places[-1] :] if places else []

    def _keep(self, push: BookPush, stamp: Stamp) -> None:
        if push.seq is None or push.prev_seq is None:
            return
        if self.deltas:
            last = self.deltas[-1][0]
            if (last.prev_seq, last.seq) == (push.prev_seq, push.seq):
                return
            if last.seq != push.prev_seq:
                self.deltas.clear()
            elif len(self.deltas) >= HELD_LIMIT:
                del self.deltas[0]
        self.deltas.append((push, stamp))
