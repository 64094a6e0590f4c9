"""A book kept twice for a while: the connection that is to go on with it, beside the one that will be closed."""

from l2_exporter.core.errors import BookError
from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.freshbooks import begun, trim
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.sequence import HELD_LIMIT, Verdict
from l2_exporter.core.state import BookState, agree
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

    __slots__ = ("_channel", "_comparable", "_joins_rest", "_most_orders", "broken", "conn", "deltas", "state")

    def __init__(self, conn: str, channel: Channel, most_orders: int) -> None:
        self.conn = conn
        self._most_orders = most_orders
        self.state: BookState | None = None
        self.broken = False
        self.deltas: list[tuple[BookPush, Stamp]] = []
        self._channel = channel
        self._joins_rest = channel.seeding is Seeding.REST
        self._comparable = channel.scope is Scope.BOOK

    def pushed(self, push: BookPush, event_ns: int | None, stamp: Stamp) -> None:
        """Take a message of the new connection; one that does not follow the last makes its book useless.

        Args:
            event_ns: its event time if that can be believed.
        """
        if not self._channel.event_time:
            event_ns = stamp.recv_ns
        try:
            self._take(push, event_ns, stamp)
        except BookError:
            self.missed()

    def _take(self, push: BookPush, event_ns: int | None, stamp: Stamp) -> None:
        if self._joins_rest:
            self._keep(push, stamp)
        elif push.push is Push.CHECKSUM:
            if self.state is not None:
                self.state.checksum = push.checksum
        elif push.push is not Push.DELTA:
            self.broken = False
            self.state = begun(self._channel, push, event_ns, stamp.recv_ns, self._most_orders)
            self.state.chain.joining = self._channel.overlaps
        elif self.state is not None:
            self._apply(self.state, push, event_ns, stamp)

    def missed(self) -> None:
        """Take note that a message of the new connection is missing: its book is useless."""
        if not self._joins_rest:  # a row of changes shows by itself where it is broken
            self.state = None
            self.broken = True

    def unread(self) -> None:
        """Take note of a frame that could not be read: without numbers it may have been a message of this book."""
        if self.state is not None and self.state.chain.seq is None and not self._channel.whole:
            self.missed()

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
        return own is not None and agree(state.book, own.book)

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

    def _apply(self, state: BookState, push: BookPush, event_ns: int | None, stamp: Stamp) -> None:
        verdict = state.chain.judge(push)
        if verdict is Verdict.CONTINUES:
            state.book.take(push, None)  # the episode that begins with this book has not begun yet
            trim(self._channel, state)
            state.applied(push, event_ns, stamp.recv_ns)
        elif verdict not in (Verdict.DUPLICATE, Verdict.CONTAINED):
            self.missed()

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
