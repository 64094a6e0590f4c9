"""What a channel of orders tells of one instrument, event by event, reckoned from the exchange's truth.

The meaning of each field is that of docs/FORMAT.md, "The event line". A venue tells what happened in its own way: of
what its messages say to a client, nothing is read here but the truth they were made from. Where a channel shows a
window of the best orders, its events are the differences of that window from one message to the next.
"""

from bisect import bisect_left, bisect_right, insort_right
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from l2_exporter.core.venue import Channel
from l2_exporter.simulator.orderevents import OrderEvent
from l2_exporter.simulator.ordertruth import OrderRow
from l2_exporter.simulator.truth import Truth

Rows = tuple[OrderRow, ...]
Sides = tuple[Rows, Rows]
"""Bids and asks, best price first, each queue in its order: price, size, order id."""
SIDES = ("buy", "sell")


class Told(NamedTuple):
    """What an event line says, by the names of its fields."""

    type: str
    order_id: str
    side: str
    price: str | None
    size: str | None
    remaining: str | None
    reason: str | None = None
    maker_order_id: str | None = None
    taker_order_id: str | None = None


def plain(text: str) -> str:
    """Write a number in plain notation without trailing zeros."""
    written = f"{Decimal(text):f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _by_coinbase(event: OrderEvent) -> Told | None:
    """Tell an event as `full` does: each kind has a type of its own, and a taker is told of too."""
    order = (event.order_id, SIDES[not event.is_bid], event.price or None)
    match event.kind:
        case "open":
            return Told("open", *order, event.size, event.size)
        case "match":
            return Told("match", *order, event.size, plain(event.left), None, event.order_id, event.other_id)
        case "change":
            return Told("change", *order, event.size, event.size if event.left else None, event.reason)
        case "done":
            return Told("done", *order, None, event.size if event.price else None, event.reason)
        case _:
            return None


def _by_bitso(event: OrderEvent) -> Told | None:
    """Tell an event as `diff-orders` does: what rests of an order now, or why it is gone; nothing of takers."""
    order = (event.order_id, SIDES[not event.is_bid], event.price)
    if event.left == "":
        return None
    if event.left == "0":
        is_filled = event.kind == "match"
        return Told("done", *order, None, "0" if is_filled else event.size, "filled" if is_filled else "canceled")
    return Told("open" if event.kind == "open" else "change", *order, event.left, event.left)


BY_EVENT: Mapping[str, Callable[[OrderEvent], Told | None]] = {"coinbase": _by_coinbase, "bitso": _by_bitso}
"""How a venue tells an event, for those that tell every one; the others show a window."""


def differences(before: Sides, after: Sides) -> Iterator[Told]:
    """Tell what turns one window of orders into another: first what goes, of both sides, then what is new or other."""
    olds, news = ([{row[2]: row for row in side} for side in sides] for sides in (before, after))
    for name, old, new in zip(SIDES, olds, news, strict=True):
        yield from (
            Told("done", ident, name, price, None, size) for price, size, ident in old.values() if ident not in new
        )
    for name, old, new in zip(SIDES, olds, news, strict=True):
        for row in new.values():
            price, size, ident = row
            if old.get(ident) != row:
                yield Told("change" if ident in old else "open", ident, name, price, size, size)


def applied(sides: Sides, told: Told) -> Sides:
    """Do to a book what an event says: what keeps its price keeps its place, all else goes to the end of its queue."""
    at = SIDES.index(told.side)
    rows = [*sides[at]]
    held = next((row for row in rows if row[2] == told.order_id), None)
    price, left = told.price, told.remaining
    if held is not None and told.type != "done" and price == held[0] and left not in (None, "0"):
        rows[rows.index(held)] = (held[0], left or "", held[2])
    else:
        rows = [row for row in rows if row is not held]
        if told.type in ("open", "change") and price is not None and left is not None:
            sign = -1 if at == 0 else 1
            insort_right(rows, (price, left, told.order_id), key=lambda row: sign * Decimal(row[0]))
    return (tuple(rows), sides[1]) if at == 0 else (sides[0], tuple(rows))


class Story:
    """All that one channel tells of one instrument.

    A moment of it is the number of events told so far, over all messages.

    Attributes:
        messages: of the market, in order; the first is the book it began with.
        places: of messages, by their numbers.
        told: all events, in order.
        behind: how many events have been told behind each message.
    """

    def __init__(self, channel: Channel, venue: str, inst: str, truth: Truth) -> None:
        self.inst = inst
        self._truth = truth
        self._window = channel.window
        self.messages = truth.order_messages(inst)
        self.places = {message.seq: place for place, message in enumerate(self.messages)}
        self._shown: dict[int, Sides] = {}
        self.told: list[Told] = []
        self.behind: list[int] = []
        by_event = BY_EVENT.get(venue)
        for place, message in enumerate(self.messages):
            if by_event is None:
                self.told += differences(self.shown(place - 1), self.shown(place)) if place else ()
            else:
                self.told += [told for event in message.events if (told := by_event(event)) is not None]
            self.behind.append(len(self.told))

    def shown(self, place: int) -> Sides:
        """Return the orders that the channel shows behind a message."""
        if place not in self._shown:
            line = self._truth.order_book(self.inst, self.messages[place].seq)
            assert line is not None, f"the truth has forgotten {self.inst} at {self.messages[place].seq}"
            self._shown[place] = (line.bids[: self._window], line.asks[: self._window])
        return self._shown[place]

    def begin(self, place: int) -> int:
        """Tell how many events had been told before a message."""
        return self.behind[place - 1] if place else 0

    def place_of(self, number: int) -> int:
        """Tell in which message the event was told that made so many."""
        return bisect_left(self.behind, number)

    def book(self, number: int) -> Sides:
        """Return the orders behind so many events; several events of one message can come in frames of their own."""
        place = self.place_of(number)
        if self.behind[place] == number:
            return self.shown(place)
        sides = self.shown(place - 1)
        for told in self.told[self.begin(place) : number]:
            sides = applied(sides, told)
        return sides

    def number_at(self, ts_ns: int) -> int:
        """Tell how many events had been told at a moment."""
        place = bisect_right(self.messages, ts_ns, key=lambda message: message.ts_ns)
        return self.begin(place)

    def holds_together(self) -> bool:
        """Tell whether the events, applied one by one, lead from each book of the truth to the next."""
        for before, after in pairwise(range(len(self.messages))):
            sides = self.shown(before)
            for told in self.told[self.begin(after) : self.behind[after]]:
                sides = applied(sides, told)
            if sides != self.shown(after):
                return False
        return True
