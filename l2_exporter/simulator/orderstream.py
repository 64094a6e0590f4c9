"""What one channel says about the single orders of one instrument: the same to every client."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from l2_exporter.simulator.dialect import Channel
from l2_exporter.simulator.orderevents import Message, Row
from l2_exporter.simulator.orders import OrderMarket
from l2_exporter.simulator.wire import Kind, Push

ORDER_ID = 2


@dataclass(frozen=True, slots=True)
class OrderWindow:
    """The best orders of a book by id, in the order in which they are filled."""

    bids: Mapping[str, Row]
    asks: Mapping[str, Row]


class OrderStream:
    """Follows a market of orders, message by message, and makes the channel's pushes.

    Channels that begin with a snapshot, or whose pushes are whole, show a window; the others tell every event.

    Attributes:
        window: the orders as they were last pushed.
        seq: number of the message that was pushed last.
    """

    def __init__(self, channel: Channel, market: OrderMarket) -> None:
        self.channel = channel
        self._market = market
        self._windowed = channel.whole or channel.pushes_snapshot
        self.window = self._seen() if self._windowed else OrderWindow({}, {})
        self.seq = market.seq
        self._moved_ns = self._pushed_ns = market.moved_ns

    def whole(self) -> Push:
        """Make the push that tells a new client the window as the others have it."""
        kind = Kind.WHOLE if self.channel.whole else Kind.SNAPSHOT
        return self._push(kind, [*self.window.bids.values()], [*self.window.asks.values()], self._moved_ns, None)

    def moved(self, message: Message, now_ns: int) -> Push | None:
        """Make the push for the market's last message; None if the channel's window is as it was."""
        if not self._windowed:
            self._pushed_ns, self.seq = now_ns, message.seq
            return replace(self._push(Kind.DELTA, (), (), message.ts_ns, message.prev), events=message.events)
        old, new = self.window, self._seen()
        bids, asks = _changes(old.bids, new.bids), _changes(old.asks, new.asks)
        if not bids and not asks:
            return None
        prev, self.seq = self.seq, message.seq
        self.window, self._moved_ns, self._pushed_ns = new, message.ts_ns, now_ns
        if self.channel.whole:
            return self._push(Kind.WHOLE, [*new.bids.values()], [*new.asks.values()], message.ts_ns, prev)
        return self._push(Kind.DELTA, bids, asks, message.ts_ns, prev)

    def kept_alive(self, now_ns: int) -> Push | None:
        """Make the push that is due after a long silence; None before."""
        if now_ns - self._pushed_ns < self.channel.keepalive_ns:
            return None
        self._pushed_ns = now_ns
        if self.channel.whole:
            window = self.window
            return self._push(Kind.WHOLE, [*window.bids.values()], [*window.asks.values()], self._moved_ns, self.seq)
        return self._push(Kind.KEEPALIVE, (), (), now_ns, self.seq)

    def _seen(self) -> OrderWindow:
        bids, asks = self._market.rows(self.channel.depth)
        return OrderWindow({row[ORDER_ID]: row for row in bids}, {row[ORDER_ID]: row for row in asks})

    def _push(self, kind: Kind, bids: Sequence[Row], asks: Sequence[Row], ts_ns: int, prev: int | None) -> Push:
        inst = self._market.instrument.inst
        return Push(kind, self.channel.name, inst, tuple(bids), tuple(asks), ts_ns, self.seq, prev)


def _changes(old: Mapping[str, Row], new: Mapping[str, Row]) -> list[Row]:
    """List the rows that turn one window into another: first what goes, with size `0`, then what is new or other.

    What is new stands behind what was there at its price, so that a client that appends keeps the queues.
    """
    gone = [(row[0], "0", *row[2:]) for order_id, row in old.items() if order_id not in new]
    return gone + [row for order_id, row in new.items() if old.get(order_id) != row]
