"""A book kept twice for a while: the connection that is to go on with it, beside the one that will be closed."""

from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.sequence import Verdict
from l2_exporter.core.state import BookState


class Heir:
    """What the new connection has made of the book so far.

    Attributes:
        conn: the new connection.
        state: its book; None before its first snapshot, and after a message that did not follow.
        broken: such a message has come, and no snapshot since.
    """

    __slots__ = ("broken", "conn", "state")

    def __init__(self, conn: str) -> None:
        self.conn = conn
        self.state: BookState | None = None
        self.broken = False

    def pushed(self, push: BookPush, event_ns: int | None, recv_ns: int | None) -> None:
        """Take a message of the new connection; one that does not follow the last makes its book useless.

        Args:
            event_ns: its event time if that can be believed.
        """
        if push.push is not Push.DELTA:
            self.broken = False
            self.state = BookState()
            self.state.book.replace(push.bids, push.asks)
            self.state.applied(push, event_ns, recv_ns)
        elif self.state is not None:
            verdict = self.state.chain.judge(push)
            if verdict is Verdict.CONTINUES:
                self.state.book.apply(push.bids, push.asks)
                self.state.applied(push, event_ns, recv_ns)
            elif verdict is not Verdict.DUPLICATE:
                self.state = None
                self.broken = True

    def meets(self, state: BookState) -> bool:
        """Tell whether both connections have brought the book to the same number: nothing was missed between them."""
        return self.state is not None and self.state.chain.seq is not None and self.state.chain.seq == state.chain.seq

    def agrees(self, state: BookState) -> bool:
        """Tell whether both books are the same."""
        own = self.state
        return own is not None and state.book.same_levels(own.book.bids.rows, own.book.asks.rows)
