"""The part of the trading floor where single orders are traded: their markets, and the streams that speak of them."""

from collections.abc import Iterator, Mapping

from l2_exporter.simulator.dialect import Book, Channel
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.orders import OrderMarket
from l2_exporter.simulator.orderstream import OrderStream
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Push

ALL = 10**9


class OrderFloor:
    """Markets of orders by instrument. One stands still until somebody asks for its orders the first time.

    Args:
        channels: the venue's channels that tell orders, by name.
        seed: of every market; each mixes in its own id.
    """

    def __init__(
        self, channels: Mapping[str, Channel], instruments: Mapping[str, Instrument], truth: Truth, seed: str
    ) -> None:
        self._channels = channels
        self._style = next((channel.orders for channel in channels.values() if channel.orders is not None), None)
        self._instruments = instruments
        self._truth = truth
        self._seed = seed
        self.markets: dict[str, OrderMarket] = {}
        self._streams: dict[tuple[str, str], OrderStream] = {}

    def subscribed(self, channel: str, inst: str, now_ns: int) -> tuple[OrderStream, Push]:
        """Open a stream, if it is not open yet, and return it with its first push for the new client."""
        market = self.market(inst, now_ns)
        key = (inst, channel)
        if key not in self._streams:
            self._streams[key] = OrderStream(self._channels[channel], market)
        return self._streams[key], self._streams[key].whole()

    def unsubscribed(self, channel: str, inst: str) -> None:
        """Close a stream that nobody follows any more."""
        self._streams.pop((inst, channel), None)

    def book(self, inst: str, now_ns: int) -> Book:
        """Return all orders as they are now."""
        market = self.market(inst, now_ns)
        return Book(*market.rows(ALL), market.moved_ns, market.seq)

    def moved(self, inst: str, now_ns: int) -> Iterator[tuple[OrderStream, Push]]:
        """Move a market once; give what each stream has to say, message by message."""
        for message in self.markets[inst].step(now_ns):
            self._truth.orders_moved(inst, message)
            for name in self._channels:
                stream = self._streams.get((inst, name))
                push = None if stream is None else stream.moved(message, now_ns)
                if stream is not None and push is not None:
                    yield stream, push

    def kept_alive(self, inst: str, now_ns: int) -> Iterator[tuple[OrderStream, Push]]:
        """Give what is due after a long silence."""
        for name in self._channels:
            stream = self._streams.get((inst, name))
            push = None if stream is None else stream.kept_alive(now_ns)
            if stream is not None and push is not None:
                yield stream, push

    def market(self, inst: str, now_ns: int) -> OrderMarket:
        """Return an instrument's market; it begins now if nobody asked before.

        Raises:
            LookupError: the venue has no channel that tells orders.
        """
        if inst not in self.markets:
            if self._style is None:
                raise LookupError(f"no channel tells the orders of {inst}")
            market = OrderMarket(self._instruments[inst], self._style, self._seed, now_ns)
            self.markets[inst] = market
            self._truth.orders_began(inst, market.opening())
        return self.markets[inst]
