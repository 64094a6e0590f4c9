"""How an episode begins: the state made of a pushed book, or of a REST book and the deltas that continue it."""

from l2_exporter.core.book import Book
from l2_exporter.core.checking import Checked, ChecksumWatch
from l2_exporter.core.declaring import Declarations
from l2_exporter.core.events import BookPush
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.orderbook import OrderBook
from l2_exporter.core.seeking import Joined
from l2_exporter.core.state import BookState
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.venue import Channel, Scope


def begun(channel: Channel, push: BookPush, event_ns: int | None, recv_ns: int | None, most_orders: int) -> BookState:
    """Make a state of a whole book, by what its channel promises.

    Raises:
        BookError: it is a book of orders that cannot be.
    """
    book = OrderBook(channel.window, most_orders) if channel.orders else Book()
    state = BookState(book, dated=bool(channel.event_time))
    state.chain.linkwide = channel.scope is Scope.LINK
    state.book.take(push, None)
    trim(channel, state)
    state.applied(push, event_ns, recv_ns)
    return state


def trim(channel: Channel, state: BookState) -> None:
    """Keep the best levels only, where the venue leaves that to the client."""
    if channel.truncates and channel.depth is not None:
        state.book.keep(channel.depth)


class FreshBooks:
    """Makes the fresh states of one book, and dates its messages."""

    def __init__(self, channel: Channel, shared: Surroundings, watch: ChecksumWatch, says: Declarations) -> None:
        self._channel = channel
        self._shared = shared
        self._watch = watch
        self._says = says

    def pushed(self, push: BookPush, after_gap: bool, stamp: Stamp) -> tuple[BookState, Checked]:
        """Make a state of a whole book, and check it."""
        most = self._shared.most_orders
        state = begun(self._channel, push, self.event_time(push, stamp), stamp.recv_ns, most)
        state.after_gap = after_gap
        checked = self._check(state, push, stamp)
        state.chain.joining = self._channel.overlaps
        return state, checked

    def joined(
        self,
        book: BookPush,
        levels: int | None,
        continuing: Joined,
        after_gap: bool,
        book_stamp: Stamp,
        stamp: Stamp,
    ) -> BookState:
        """Make a state of a REST book and the deltas that continue it; the last of them is checked.

        Args:
            levels: how many a side the book has at most: beyond a full side's last one nothing is known. None: it has
                all the channel knows.
            book_stamp: the arrival of the book.
            stamp: the arrival of what completed it: the book, or the first delta it had to wait for.
        """
        # A REST book that has no time of its own is dated by the deltas behind it.
        event_ns = None if book.event_ns is None else self.event_time(book, book_stamp)
        state = begun(self._channel, book, event_ns, book_stamp.recv_ns, self._shared.most_orders)
        state.after_gap = after_gap
        state.from_rest = True
        state.chain.joining = True
        if levels is not None:
            state.book.cover(levels)
        for push, pushed_at in continuing:
            event_ns = self.event_time(push, pushed_at)
            state.book.take(push, None)  # for who reads the episode, its orders were there when it began
            # The book was known when it was complete, not when its last delta came.
            state.applied(push, event_ns, stamp.recv_ns)
        if continuing:
            self._check(state, continuing[-1][0], stamp)
        return state

    def event_time(self, push: BookPush, stamp: Stamp) -> int | None:
        """Return the event time if it can be believed; where the channel has none, the time of arrival."""
        if not self._channel.event_time:
            return stamp.recv_ns
        believed = push.event_ns is not None and self._shared.clock.accepts(push.event_ns, stamp.elapsed_ns)
        if believed is self._says.odd_time:
            self._says.event_time(push, believed, stamp)
        return push.event_ns if believed else None

    def _check(self, state: BookState, last: BookPush, stamp: Stamp) -> Checked:
        """Check a fresh book by the message that completed it."""
        checked = self._watch.check(last, state.book)
        state.checked(checked.ok)
        self._says.checked(checked, self._watch, last, state, stamp)
        return checked
