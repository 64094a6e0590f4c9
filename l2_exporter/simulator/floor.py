"""The trading floor: every market of the venue, moved step by step, and the streams that speak of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from l2_exporter.simulator.dialect import Book, Dialect
from l2_exporter.simulator.faults import FaultPlan
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Market
from l2_exporter.simulator.stream import Stream
from l2_exporter.simulator.truth import BOOK_DEPTH, Truth
from l2_exporter.simulator.wire import Push


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
        self._markets: dict[str, Market] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._states: dict[tuple[str, str], None] = {}

    def subscribed(self, channel: str, inst: str, now_ns: int) -> Push:
        """Open a stream, if it is not open yet, and return its first push for the new client."""
        market = self._market(inst, now_ns)
        stream = self._streams.setdefault((inst, channel), Stream(self._channels[channel], market))
        return self._checked(stream, stream.whole(), now_ns)

    def unsubscribed(self, channel: str, inst: str) -> None:
        """Close a stream that nobody follows any more."""
        self._streams.pop((inst, channel), None)

    def book(self, inst: str, depth: int, now_ns: int) -> Book:
        """Return a book as it is now."""
        market = self._market(inst, now_ns)
        window = market.window(depth)
        return Book(tuple(window.bids.values()), tuple(window.asks.values()), market.moved_ns, market.seq)

    def step(self, now_ns: int) -> Iterator[Push]:
        """Move every market once; give what each stream has to say, in the venue's order."""
        self._reset(now_ns)
        for inst in self._instruments:
            market = self._markets.get(inst)
            if market is None:
                continue
            moved = self._moved(inst, market, now_ns)
            for name in self._channels:
                stream = self._streams.get((inst, name))
                push = None if stream is None else (moved and stream.moved(now_ns)) or stream.kept_alive(now_ns)
                if stream is not None and push:
                    yield self._checked(stream, push, now_ns)

    @property
    def running(self) -> list[str]:
        """Return the instruments whose market moves, in the order in which they were asked for."""
        return list(self._markets)

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
            insts = [inst for inst in self._markets if trigger.spec.selects(inst)]
            if not insts or not trigger.take(now_ns):
                continue
            for inst in insts:
                self._markets[inst].reset()
                self._truth.fault_done("reset", now_ns, inst=inst, detail="with the next step")

    def _checksum_word(self, inst: str, default: str, now_ns: int) -> str:
        """Tell which checksum is sent: what the venue sends today; before it changes, the right one."""
        given = self._plan.words("checksum", inst)
        words = [word for begin_ns, word in given if begin_ns <= now_ns]
        before = "right" if any(word == "change" for _, word in given) else default
        return words[-1] if words else before

    def _checked(self, stream: Stream, push: Push, now_ns: int) -> Push:
        """Put the checksum into a push, as the setting has it."""
        word = self._checksum_word(push.inst, stream.channel.sums, now_ns)
        if not stream.channel.checksum or word == "absent":
            return push
        if word == "zero":
            return replace(push, checksum=0)
        bids, asks = tuple(stream.window.bids.values()), tuple(stream.window.asks.values())
        if word == "change":
            self._enter("checksum", push.inst, now_ns, "from now on of the book with its sides exchanged")
            bids, asks = asks, bids
        return replace(push, checksum=self._dialect.checksum(bids, asks))
