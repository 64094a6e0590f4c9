"""What one channel says about one instrument: the same to every client, whenever it subscribed."""

from collections.abc import Mapping

from l2_exporter.simulator.dialect import Channel
from l2_exporter.simulator.market import Market, Row, Window
from l2_exporter.simulator.wire import Kind, Push


class Stream:
    """Follows a market and makes the channel's pushes.

    Attributes:
        window: the book as it was last pushed.
        seq: its sequence number: what the next push chains to.
    """

    def __init__(self, channel: Channel, market: Market) -> None:
        self.channel = channel
        self._market = market
        self.window: Window = market.window(channel.depth)
        self.seq = market.seq
        self._moved_ns = market.moved_ns
        self._pushed_ns = market.moved_ns

    def whole(self) -> Push:
        """Make the push that tells a new client the book as the others have it."""
        kind = Kind.WHOLE if self.channel.whole else Kind.SNAPSHOT
        return self._push(kind, self.window.bids, self.window.asks, self._moved_ns, None)

    def moved(self, now_ns: int) -> Push | None:
        """Make the push for the market's last step; None if the channel's window is as it was."""
        window = self._market.window(self.channel.depth)
        bids, asks = self._market.changes(self.window, window, truncated=self.channel.truncates)
        if self.channel.whole and window == self.window:
            return None
        if not bids and not asks:
            return None
        prev, self.seq = self.seq, self._market.seq
        self.window, self._moved_ns, self._pushed_ns = window, self._market.moved_ns, now_ns
        if self.channel.whole:
            return self._push(Kind.WHOLE, window.bids, window.asks, now_ns, prev)
        return Push(Kind.DELTA, self._name, self._inst, tuple(bids), tuple(asks), self._moved_ns, self.seq, prev)

    def kept_alive(self, now_ns: int) -> Push | None:
        """Make the push that is due after a long silence; None before."""
        if now_ns - self._pushed_ns < self.channel.keepalive_ns:
            return None
        self._pushed_ns = now_ns
        if self.channel.whole:
            return self._push(Kind.WHOLE, self.window.bids, self.window.asks, self._moved_ns, self.seq)
        return Push(Kind.KEEPALIVE, self._name, self._inst, (), (), now_ns, self.seq, self.seq)

    @property
    def _name(self) -> str:
        return self.channel.name

    @property
    def _inst(self) -> str:
        return self._market.instrument.inst

    def _push(self, kind: Kind, bids: Mapping[int, Row], asks: Mapping[int, Row], ts_ns: int, prev: int | None) -> Push:
        return Push(kind, self._name, self._inst, tuple(bids.values()), tuple(asks.values()), ts_ns, self.seq, prev)
