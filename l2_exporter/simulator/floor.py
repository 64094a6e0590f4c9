"""The trading floor: every market of the venue, moved step by step, and the streams that speak of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from l2_exporter.simulator.dialect import Book, Channel, Dialect
from l2_exporter.simulator.faults import FaultPlan
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Market, Row
from l2_exporter.simulator.orderfloor import OrderFloor
from l2_exporter.simulator.orders import OrderMarket
from l2_exporter.simulator.orderstream import OrderStream
from l2_exporter.simulator.stream import Stream
from l2_exporter.simulator.truth import BOOK_DEPTH, Truth
from l2_exporter.simulator.wire import Push

Key = TypeVar("Key")


class Floor:
    """Markets by instrument, in the order of the listing. One stands still until its book is asked for the first time.

    Args:
        seed: of every market; each mixes in its own id.
        keepalive_ns: for every channel; None: as the venue does.
    """

    def __init__(
        self,
        dialect: Dialect,
        instruments: Mapping[str, Instrument],
        plan: FaultPlan,
        truth: Truth,
        seed: int,
        keepalive_ns: int | None,
    ) -> None:
        self._dialect = dialect
        self._instruments = instruments
        self._plan = plan
        self._truth = truth
        self._seed = f"{seed}/market"
        self._channels = {
            name: channel if keepalive_ns is None else replace(channel, keepalive_ns=keepalive_ns)
            for name, channel in dialect.channels.items()
        }
        telling_orders = {name: channel for name, channel in self._channels.items() if channel.orders is not None}
        self._orders = OrderFloor(telling_orders, instruments, truth, self._seed)
        self._markets: dict[str, Market] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._states: dict[tuple[str, str], None] = {}

    def subscribed(self, channel: str, inst: str, now_ns: int) -> Push:
        """Open a stream, if it is not open yet, and return its first push for the new client."""
        if self._channels[channel].orders is not None:
            return self._checked_orders(*self._orders.subscribed(channel, inst, now_ns), now_ns)
        market = self._market(inst, now_ns)
        stream = self._streams.setdefault((inst, channel), Stream(self._channels[channel], market))
        return self._checked(stream, stream.whole(), now_ns)

    def unsubscribed(self, channel: str, inst: str) -> None:
        """Close a stream that nobody follows any more."""
        self._streams.pop((inst, channel), None)
        self._orders.unsubscribed(channel, inst)

    def order_book(self, inst: str, now_ns: int) -> Book:
        """Return all orders of an instrument as they are now."""
        return self._orders.book(inst, now_ns)

    def order_seq(self, inst: str, now_ns: int) -> int:
        """Return the number of the last message of an instrument's orders."""
        return self._orders.market(inst, now_ns).seq

    def book(self, inst: str, depth: int, now_ns: int) -> Book:
        """Return a book as it is now."""
        market = self._market(inst, now_ns)
        window = market.window(depth)
        return Book(tuple(window.bids.values()), tuple(window.asks.values()), market.moved_ns, market.seq)

    def step(self, now_ns: int) -> Iterator[Push]:
        """Move every market once; give what each stream has to say, in the venue's order."""
        self._reset(now_ns)
        for inst in self._instruments:
            if inst in self._orders.markets:
                yield from self._order_step(inst, now_ns)
            market = self._markets.get(inst)
            if market is None:
                continue
            moved = self._moved(inst, market, now_ns)
            for name in self._channels:
                stream = self._streams.get((inst, name))
                push = None if stream is None else (moved and stream.moved(now_ns)) or stream.kept_alive(now_ns)
                if stream is not None and push:
                    yield self._checked(stream, push, now_ns)

    def _order_step(self, inst: str, now_ns: int) -> Iterator[Push]:
        """Move a market of orders once; what is pushed is checked while its stream shows just that."""
        self._orders.markets[inst].crossed = self._in_state("crossed", inst, now_ns)
        if not self._in_state("quiet", inst, now_ns):
            for stream, push in self._orders.moved(inst, now_ns):
                yield self._checked_orders(stream, push, now_ns)
        for stream, push in self._orders.kept_alive(inst, now_ns):
            yield self._checked_orders(stream, push, now_ns)

    @property
    def running(self) -> list[str]:
        """Return the instruments whose market moves, in the order in which they were asked for."""
        return list(self._markets)

    @property
    def running_orders(self) -> list[str]:
        """Return the instruments whose orders move, in the order in which they were asked for."""
        return list(self._orders.markets)

    def _market(self, inst: str, now_ns: int) -> Market:
        if inst not in self._markets:
            instrument = self._instruments[inst]
            market = Market(instrument, self._dialect.row, self._seed, now_ns, self._dialect.max_step)
            self._markets[inst] = market
            self._tell(inst, market)
        return self._markets[inst]

    def _moved(self, inst: str, market: Market, now_ns: int) -> bool:
        market.crossed = self._in_state("crossed", inst, now_ns)
        if self._in_state("quiet", inst, now_ns) or not market.step(now_ns):
            return False
        self._tell(inst, market)
        return True

    def _tell(self, inst: str, market: Market) -> None:
        window = market.window(BOOK_DEPTH)
        bids, asks = window.bids.values(), window.asks.values()
        self._truth.book_moved(inst, market.seq, market.prev_seq, market.moved_ns, bids, asks)

    def _in_state(self, state: str, inst: str, now_ns: int) -> bool:
        """Tell whether a market is in a state, and note when it comes into it."""
        trigger = self._plan.lasting(state, now_ns, inst)
        if trigger is None:
            self._states.pop((state, inst), None)
        else:
            self._enter(state, inst, now_ns, trigger.spec.text)
        return trigger is not None

    def _enter(self, state: str, inst: str, now_ns: int, detail: str) -> None:
        if (state, inst) not in self._states:
            self._states[state, inst] = None
            self._truth.fault_done(state, now_ns, inst=inst, detail=detail)

    def _reset(self, now_ns: int) -> None:
        for trigger in self._plan.of("reset"):
            markets: list[tuple[str, Market | OrderMarket]] = [*self._markets.items(), *self._orders.markets.items()]
            struck = [(inst, market) for inst, market in markets if trigger.spec.selects(inst)]
            if not struck or not trigger.take(now_ns):
                continue
            for inst, market in struck:
                market.reset()
                self._truth.fault_done("reset", now_ns, inst=inst, detail="with the next step")

    def _checksum_word(self, inst: str, default: str, now_ns: int) -> str:
        """Tell which checksum is sent: what the venue sends today; before it changes, the right one."""
        given = self._plan.words("checksum", inst)
        words = [word for begin_ns, word in given if begin_ns <= now_ns]
        before = "right" if any(word == "change" for _, word in given) else default
        return words[-1] if words else before

    def _checked(self, stream: Stream, push: Push, now_ns: int) -> Push:
        """Put the checksum into a push, as the setting has it."""
        window = stream.window
        return self._summed(stream.channel, push, window.bids, window.asks, self._dialect.checksum, now_ns)

    def _checked_orders(self, stream: OrderStream, push: Push, now_ns: int) -> Push:
        style, window = stream.channel.orders, stream.window
        if style is None or style.checksum is None:
            return push
        return self._summed(stream.channel, push, window.bids, window.asks, style.checksum, now_ns)

    def _summed(
        self,
        channel: Channel,
        push: Push,
        bid_rows: Mapping[Key, Row],
        ask_rows: Mapping[Key, Row],
        compute: Callable[[Sequence[Row], Sequence[Row]], int],
        now_ns: int,
    ) -> Push:
        word = self._checksum_word(push.inst, channel.sums, now_ns)
        if not channel.checksum or word == "absent":
            return push
        if word == "zero":
            return replace(push, checksum=0)
        bids, asks = tuple(bid_rows.values()), tuple(ask_rows.values())
        if word == "change":
            self._enter("checksum", push.inst, now_ns, "from now on of the book with its sides exchanged")
            bids, asks = asks, bids
        return replace(push, checksum=compute(bids, asks))
