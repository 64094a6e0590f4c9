"""The truth of single orders: every message of one instrument, and from it the book behind any of them.

Nothing is digested until it is asked for: messages are kept as they came, with a copy of the book now and then, so
that a market of orders loses no speed to its truth.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

import orjson

from l2_exporter.simulator.orderevents import Message, OrderEvent

COPIED = 256
"""Messages from one copy of the book to the next."""

OrderRow = tuple[str, str, str]
"""Price text, size text, order id."""

Rows = Sequence[Sequence[str]]
_Side = dict[str, tuple[int, OrderRow]]
_Sides = tuple[_Side, _Side]


@dataclass(frozen=True, slots=True)
class OrderBookLine:
    """An instrument's orders behind a message.

    Attributes:
        seq: number of the message.
        prev: number of the message before.
        ts_ns: its event time.
        events: what it told; empty for the book an instrument begins with.
        orders_sha256: `orders_digest` of all orders.
        bids: all orders that rest, best price first, in the order of their queues: price, size, order id.
        asks: the same of the other side.
    """

    inst: str
    seq: int
    prev: int
    ts_ns: int
    events: tuple[OrderEvent, ...]
    orders_sha256: str
    bids: tuple[OrderRow, ...]
    asks: tuple[OrderRow, ...]


def orders_digest(bids: Rows, asks: Rows) -> str:
    """Digest a book of orders: sha256, in hex, of `[bids,asks]` as compact JSON, rows of price, size and order id."""
    return sha256(orjson.dumps((bids, asks))).hexdigest()


def levels_of(orders: Iterable[OrderRow]) -> tuple[tuple[str, str, str, str], ...]:
    """Add up one side's orders, best first, to levels: price, total, `0`, number of orders.

    The total is exact, in plain decimals without trailing zeros; the price is the text of the first order there.
    """
    found: list[tuple[str, str, str, str]] = []
    texts: dict[str, list[str]] = {}
    for price, size, _ in orders:
        texts.setdefault(price, []).append(size)
    totals: dict[Decimal, tuple[str, list[str]]] = {}
    for price, sizes in texts.items():
        totals.setdefault(Decimal(price), (price, []))[1].extend(sizes)
    for price, sizes in totals.values():
        found.append((price, _plain(sum(map(Decimal, sizes), Decimal(0))), "0", str(len(sizes))))
    return tuple(found)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class OrderLog:
    """One instrument's messages, the newest that are not forgotten, and the book behind each of them.

    Args:
        first: the book it begins with: its number, and an `open` for every order, those of a queue in their order.
    """

    def __init__(self, inst: str, first: Message) -> None:
        self.inst = inst
        self._live: _Sides = ({}, {})
        self._blocks: deque[tuple[_Sides, list[Message]]] = deque()
        self._begin = self._end = 0
        self._places: dict[int, int] = {}
        self._cursor: tuple[int, _Sides] = (-1, ({}, {}))
        for event in first.events:
            _apply(self._live, event)
        self._keep(first._replace(events=()))

    def add(self, message: Message) -> None:
        """Note a message."""
        for event in message.events:
            _apply(self._live, event)
        self._keep(message)

    def forget_first(self) -> None:
        """Forget the oldest message that is kept."""
        self._places.pop(self._message(self._begin).seq, None)
        self._begin += 1
        if self._begin % COPIED == 0:
            self._blocks.popleft()

    def __contains__(self, seq: int) -> bool:
        return seq in self._places

    def line(self, seq: int) -> OrderBookLine:
        """Return the orders behind a message.

        Raises:
            KeyError: there was none, or it is forgotten.
        """
        return self._line(self._places[seq])

    def line_at(self, ts_ns: int) -> OrderBookLine | None:
        """Return the orders behind the last message whose event time is not later; None if there is none."""
        places = range(self._begin, self._end)
        place = bisect_right(places, ts_ns, key=lambda place: self._message(place).ts_ns)
        return self._line(places[place - 1]) if place else None

    @property
    def messages(self) -> list[Message]:
        """Return the messages, in order."""
        return [self._message(place) for place in range(self._begin, self._end)]

    def _keep(self, message: Message) -> None:
        if self._end % COPIED == 0:
            self._blocks.append((_copied(self._live), []))
        self._blocks[-1][1].append(message)
        self._places[message.seq] = self._end
        self._end += 1

    def _block(self, place: int) -> tuple[_Sides, list[Message]]:
        return self._blocks[place // COPIED - self._begin // COPIED]

    def _message(self, place: int) -> Message:
        return self._block(place)[1][place % COPIED]

    def _line(self, place: int) -> OrderBookLine:
        message = self._message(place)
        sides = self._book(place)
        bids, asks = (
            tuple(row for _, row in sorted(side.values(), key=lambda order: sign * order[0]))
            for sign, side in zip((-1, 1), sides, strict=True)
        )
        digest = orders_digest(bids, asks)
        return OrderBookLine(self.inst, message.seq, message.prev, message.ts_ns, message.events, digest, bids, asks)

    def _book(self, place: int) -> _Sides:
        """Replay up to a message, from the copy before it or from where the last look was."""
        copy, messages = self._block(place)
        at, sides = self._cursor
        if not place - place % COPIED <= at <= place:
            at, sides = place - place % COPIED, _copied(copy)
        for message in messages[at % COPIED + 1 : place % COPIED + 1]:
            for event in message.events:
                _apply(sides, event)
        self._cursor = (place, sides)
        return sides


def _copied(sides: _Sides) -> _Sides:
    return sides[0].copy(), sides[1].copy()


def _apply(sides: _Sides, event: OrderEvent) -> None:
    """Do to the book what an event says; what stays at its price stays in its place."""
    if not event.left:
        return
    side = sides[0 if event.is_bid else 1]
    if event.left == "0":
        del side[event.order_id]
        return
    known = side.get(event.order_id)
    if known is not None and known[0] != event.tick:
        del side[event.order_id]
    side[event.order_id] = (event.tick, (event.price, event.left, event.order_id))
