"""A seeded, moving book of single orders: one instrument's orders in price-time priority, and what happens to them.

Pure: no clock, no socket, no set is ever iterated. The same seed and the same steps give the same orders under any hash
seed. Orders come to rest, shrink, move, are cancelled, and are filled in the order of their queues by those that cross.
"""

from collections.abc import Iterable, Iterator
from random import Random

from l2_exporter.simulator.instrument import Grid, Instrument
from l2_exporter.simulator.market import PULL
from l2_exporter.simulator.orderevents import Happening, Message, OrderEvent, OrderStyle, Row
from l2_exporter.simulator.orderqueue import Order, Queues

FIRST_SEQ = 3_000_000_000
FIRST_TRADE = 17_000_000
FEWEST, MOST = 100, 300
"""Orders a side, whatever the pace says of levels: 100 at least, 300 at most."""
SPREAD_NS = 100_000_000
"""Event times of a step lie behind the step before, and within this span."""
RESTED_NS = 37_000_000
"""From one order of the first book to the next."""
ADDED, CANCELLED, AMENDED, TAKEN = 0.40, 0.66, 0.82, 0.985
"""Of all actions, added up: what is left stands for placing a stop order, or adds too."""
MOVES = (-1, -1, 0, 0, 0, 0, 0, 1, 1)
NEAR, NEAR_TICKS = 0.35, 4
ON_TICK = 0.8
ROUND = 0.25
OWN = 0.02
"""How often an order meets another one of the same trader."""


class OrderMarket:
    """One instrument's orders, and the number of the last message.

    Attributes:
        seq: number of the last message; a reset lets it fall.
        moved_ns: time of the last message.
        crossed: while true, nothing is matched and the best bid stands above the best ask.
    """

    def __init__(self, instrument: Instrument, style: OrderStyle, seed: str, start_ns: int) -> None:
        self.instrument, self.style = instrument, style
        self.crossed = False
        self._random = Random(f"{seed}/orders/{instrument.inst}")
        tick, lot, pace = instrument.tick, instrument.lot, instrument.pace
        self._fine = int(10**style.decimals)
        self._tick = Grid(tick.units, tick.decimals + style.decimals, tick.padded)
        self._lot, self._total = lot, Grid(lot.units, lot.decimals)
        self._home = self._mid = pace.price * self._fine
        self._fewest = min(max(FEWEST, pace.fewest), MOST - 1)
        self._most = max(min(MOST, pace.most), self._fewest + 40)
        self._mean_ticks = self._fewest / 3
        self._bids, self._asks = Queues(-1), Queues(1)
        self._number, self._trade = 0, FIRST_TRADE + self._random.randrange(1_000_000)
        self._resetting = False
        self.seq = FIRST_SEQ + self._random.randrange(1_000_000_000)
        self.moved_ns = self._stepped_ns = start_ns - start_ns % style.time_ns
        self._open_first()

    def opening(self) -> Message:
        """Return the book as it is as a message without a predecessor: an `open` for every order, by priority."""
        orders = [*self._bids.orders(), *self._asks.orders()]
        events = tuple(_event("open", order, order.size, order.size) for order in orders)
        return Message(self.seq, self.seq, self.moved_ns, events)

    def step(self, now_ns: int) -> Iterator[Message]:
        """Let the market move once.

        The book is as behind a message when that is given, and only then. Where every event is a message it is as
        behind the last of the action.
        """
        if self._random.random() >= self.instrument.pace.activity:
            return
        self._drift()
        for ts_ns in self._times(now_ns):
            for events in self._act(ts_ns):
                for told in [(event,) for event in events] if self.style.each_event else [tuple(events)]:
                    yield self._told(told, ts_ns)

    def reset(self) -> None:
        """Let the next message's number fall below every one before."""
        self._resetting = True

    def rows(self, depth: int) -> tuple[list[Row], list[Row]]:
        """List the best orders of both sides, in the order in which they are filled."""
        return self._bids.rows(depth), self._asks.rows(depth)

    def levels(self, depth: int) -> tuple[list[Row], list[Row]]:
        """List the best levels of both sides, best first: price, size, `0`, number of orders."""
        return self._levels(self._bids, depth), self._levels(self._asks, depth)

    def _levels(self, side: Queues, depth: int) -> list[Row]:
        return [(price, self._total.text(lots), "0", str(count)) for price, lots, count in side.levels(depth)]

    def _open_first(self) -> None:
        """Fill both sides, half way between the fewest orders and the most."""
        count = (self._fewest + self._most) // 2
        for number in range(count):
            entered_ns = self.moved_ns - (count - number) * RESTED_NS
            for side in (self._bids, self._asks):
                order = self._new(side, entered_ns - entered_ns % self.style.time_ns)
                self._stand(order, self._free_key(side, near=0), self._lots())
                side.add(order)

    def _told(self, events: tuple[OrderEvent, ...], ts_ns: int) -> Message:
        prev = self.seq
        self.seq = prev // 2 if self._resetting else prev + 1
        self._resetting = False
        self.moved_ns = ts_ns
        return Message(self.seq, prev, ts_ns, events)

    def _times(self, now_ns: int) -> list[int]:
        """Choose the times of this step's actions, ascending."""
        touches = self.instrument.pace.touches
        begin_ns = max(self.moved_ns, self._stepped_ns, now_ns - SPREAD_NS)
        span_ns, step_ns = max(now_ns - begin_ns, 0), self.style.time_ns
        count = self._random.randint(max(touches // 2, 1), touches + touches // 2)
        self._stepped_ns = now_ns
        times = sorted(begin_ns + int(self._random.random() * span_ns) for _ in range(count))
        return [max(time_ns - time_ns % step_ns, self.moved_ns) for time_ns in times]

    def _drift(self) -> None:
        """Move the middle, in the long run back to the first price; orders that it passes are filled next."""
        if self.crossed:
            return
        move = self._random.choice(MOVES)
        if self._random.random() < PULL:
            move += 1 if self._mid < self._home else -1
        move *= self._random.randint(1, self._fine)
        self._mid = min(max(self._mid + move, self._home * 3 // 4), self._home * 5 // 4)

    def _act(self, ts_ns: int) -> Iterable[list[OrderEvent]]:
        """Let one trader do something; gives the events of one message, or of two."""
        urgent = self._urgent(ts_ns)
        if urgent:
            return [urgent]
        random = self._random
        side = self._bids if random.random() < 0.5 else self._asks
        kind = random.random()
        if side.count >= self._most:
            return [self._cancel(side, side.last())]
        if side.count < self._fewest or kind < ADDED:
            return [self._add(side, self._free_key(side), ts_ns)]
        if kind < CANCELLED:
            return [self._cancel(side, self._pick(side))]
        if kind < AMENDED:
            return self._amend(side, self._pick(side))
        if kind < TAKEN and not self.crossed and self._other(side).count > self._fewest // 2:
            return [self._take(side, ts_ns)]
        return [self._activate(side, ts_ns) if self.style.activates else self._add(side, self._free_key(side), ts_ns)]

    def _urgent(self, ts_ns: int) -> list[OrderEvent]:
        """Do what must come first: cross the book or end that, or fill the orders that the middle has passed."""
        for side in (self._bids, self._asks):
            if not side.count:
                return self._add(side, self._floor(side), ts_ns)
        bid, ask = -self._bids.keys[0], self._asks.keys[0]
        if self.crossed:
            return [] if bid > ask else self._add(self._bids, -(ask + 2 * self._fine), ts_ns)
        if bid >= ask:
            return self._cancel(self._bids, self._bids.first())
        for taker, makers in ((self._bids, self._asks), (self._asks, self._bids)):
            limit = -self._floor(taker)
            if makers.keys[0] <= limit:
                passed = makers.lots_up_to(limit)
                lots = passed if self._random.random() < 0.5 else int(passed * self._random.uniform(0.4, 1.6)) or 1
                return self._cross(taker, makers, limit, lots, ts_ns)
        return []

    def _take(self, taker: Queues, ts_ns: int) -> list[OrderEvent]:
        """Fill orders of the other side, by a market order or by a limit at its best price."""
        makers = self._other(taker)
        limit = makers.keys[0] if self._random.random() < 0.5 else None
        return self._cross(taker, makers, limit, self._lots() * self._random.randint(1, 3), ts_ns)

    def _cross(self, taker: Queues, makers: Queues, limit: int | None, lots: int, ts_ns: int) -> list[OrderEvent]:
        """Send an order that is filled at once as far as it goes.

        Args:
            limit: the makers' last key that it takes; None: a market order.
        """
        order = self._new(taker, ts_ns)
        if limit is None:
            order.stand(0, "", lots, self._size(lots))
        else:
            self._stand(order, -limit, lots)
        events = [_event("received", order, order.size, "")]
        while order.lots and makers.count and (limit is None or makers.keys[0] <= limit):
            maker = makers.first()
            if self._random.random() >= OWN:
                events += self._match(order, makers, maker)
            else:
                events += self._prevent(order, makers, maker)
        if events[-1].order_id == order.order_id and events[-1].kind == "done":
            return events
        if not order.lots:
            return [*events, _event("done", order, "0", "", reason="filled")]
        if limit is None:
            return [*events, _event("done", order, order.size, "", reason="canceled")]
        taker.add(order)
        self._mid = order.tick if order.is_bid else order.tick - 1
        return [*events, _event("open", order, order.size, order.size)]

    def _match(self, taker: Order, makers: Queues, maker: Order) -> list[OrderEvent]:
        """Fill a resting order as far as the other one goes."""
        lots, before = min(taker.lots, maker.lots), maker.size
        self._trade += 1
        self._shrink(taker, lots)
        self._shrink(maker, lots)
        size, left = self._size(lots), maker.size if maker.lots else "0"
        match = _event("match", maker, size, left)
        match = match._replace(old_size=before, other_id=taker.order_id, trade_id=self._trade)
        if maker.lots:
            return [match]
        makers.remove(maker)
        return [match, _event("done", maker, "0", "", reason="filled")]

    def _prevent(self, taker: Order, makers: Queues, maker: Order) -> list[OrderEvent]:
        """Prevent a trade with oneself: the smaller order is cancelled, the greater one shrinks by it."""
        lots = min(taker.lots, maker.lots)
        events = []
        if maker.lots == lots:
            makers.remove(maker)
            events.append(_event("done", maker, maker.size, "0", reason="canceled"))
        else:
            before = maker.size
            self._shrink(maker, lots)
            events.append(_changed(maker, before, maker.price, maker.size, "STP"))
        if taker.lots == lots:
            taker.lots = 0
            return [*events, _event("done", taker, taker.size, "", reason="canceled")]
        before = taker.size
        self._shrink(taker, lots)
        return [*events, _changed(taker, before, taker.price, "", "STP")]

    def _add(self, side: Queues, key: int, ts_ns: int) -> list[OrderEvent]:
        order = self._new(side, ts_ns)
        self._stand(order, key, self._lots())
        side.add(order)
        return [_event("received", order, order.size, ""), _event("open", order, order.size, order.size)]

    def _cancel(self, side: Queues, order: Order) -> list[OrderEvent]:
        side.remove(order)
        return [_event("done", order, order.size, "0", reason="canceled")]

    def _amend(self, side: Queues, order: Order) -> Iterator[list[OrderEvent]]:
        """Let an order shrink, which keeps its place, or move to another price, which does not."""
        random = self._random
        price, size, key = order.price, order.size, self._free_key(side)
        if key == order.key or random.random() < 0.5:
            yield self._lessen(side, order)
            return
        cancelled = self._cancel(side, order)
        if self.style.moves_in_two:
            yield cancelled
        self._stand(order, key, order.lots if random.random() < 0.7 else self._lots())
        side.add(order)
        if self.style.moves_in_two:
            yield [_event("open", order, order.size, order.size)]
        else:
            yield [_changed(order, size, price, order.size, "modify_order")]

    def _lessen(self, side: Queues, order: Order) -> list[OrderEvent]:
        size = order.size
        if order.lots == 1:
            return self._cancel(side, order)
        self._shrink(order, min(1 + int(order.lots * self._random.uniform(0.1, 0.7)), order.lots - 1))
        return [_changed(order, size, order.price, order.size, "modify_order")]

    def _activate(self, side: Queues, ts_ns: int) -> list[OrderEvent]:
        order = self._new(side, ts_ns)
        self._stand(order, self._free_key(side), self._lots())
        return [_event("activate", order, order.size, "")]

    def _new(self, side: Queues, entered_ns: int) -> Order:
        self._number += 1
        order_id = self.style.make_id(self._random, self._number)
        return Order(order_id, is_bid=side.sign < 0, entered_ns=entered_ns)

    def _stand(self, order: Order, key: int, lots: int) -> None:
        price = self._tick.text(-key if order.is_bid else key)
        order.stand(key, self.style.number(price), lots, self._size(lots))

    def _shrink(self, order: Order, lots: int) -> None:
        order.stand(order.key, order.price, order.lots - lots, self._size(order.lots - lots))

    def _size(self, lots: int) -> str:
        return self.style.number(self._lot.text(lots))

    def _lots(self) -> int:
        """Choose the size of an order; some are round."""
        mean = self.instrument.pace.size
        lots = 1 + int(self._random.expovariate(1 / mean))
        unit = int(10 ** (len(str(mean)) - 1))
        return max(lots // unit, 1) * unit if self._random.random() < ROUND else lots

    def _pick(self, side: Queues) -> Order:
        return side.pick(self._random, len(side.keys) / 3)

    def _other(self, side: Queues) -> Queues:
        return self._asks if side is self._bids else self._bids

    def _floor(self, side: Queues) -> int:
        """Name the best key of a side: bids stand at or below the middle, asks above it."""
        return -self._mid if side is self._bids else self._mid + 1

    def _free_key(self, side: Queues, near: float = NEAR) -> int:
        """Choose a level that crosses nothing; most are on the instrument's tick, away from the middle."""
        random = self._random
        if random.random() < near:
            away = random.randrange(NEAR_TICKS * self._fine)
        else:
            away = int(random.expovariate(1 / (self._mean_ticks * self._fine)))
        key = self._floor(side) + away % (self._mid // 2)
        if self._fine > 1 and random.random() < ON_TICK:
            key += -key % self._fine
        return key


def _event(kind: Happening, order: Order, size: str, left: str, *, reason: str = "") -> OrderEvent:
    tick = order.tick if order.price else 0
    return OrderEvent(
        kind, order.order_id, order.is_bid, tick, order.price, size, left, order.entered_ns, reason=reason
    )


def _changed(order: Order, old_size: str, old_price: str, left: str, reason: str) -> OrderEvent:
    event = _event("change", order, order.size, left, reason=reason)
    return event._replace(old_price=old_price, old_size=old_size)
