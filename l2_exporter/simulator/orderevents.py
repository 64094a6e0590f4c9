"""What happens to single orders, and how a venue tells of them: the vocabulary of order-level (L3) channels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

Row = tuple[str, ...]
"""An order that rests, as channels show it: price text, size text, order id, time of entry in milliseconds."""

Happening = Literal["received", "open", "match", "change", "done", "activate"]


class OrderEvent(NamedTuple):
    """One thing that happened to one order.

    Attributes:
        kind: `received`: an order came in; `open`: it, or what is left of it, rests now; `match`: a resting order was
            filled, fully or partly; `change`: another size or price; `done`: the order is over; `activate`: a stop
            order was placed.
        tick: price in ticks of the order book; orders are sorted by it. 0 for market orders.
        price: its text; empty for market orders. In a `change` the new one.
        size: what the event is about: of `received` the whole order, of `open` what rests, of `match` what was traded,
            of `change` the new size, of `done` what was not filled.
        left: what rests of the order behind the event; `0`: it is in the book no longer; empty: it was not in the book,
            and is not now. An order keeps its place in the queue unless its price changes.
        entered_ns: when the order came in.
        old_price, old_size: those before a `change`; of a `match`, old_size is the maker's before it.
        reason: of `done` `filled` or `canceled`, of `change` `STP` or `modify_order`.
        other_id: of a `match` the taker.
        trade_id: of a `match`, rising by one.
    """

    kind: Happening
    order_id: str
    is_bid: bool
    tick: int
    price: str
    size: str
    left: str
    entered_ns: int
    old_price: str = ""
    old_size: str = ""
    reason: str = ""
    other_id: str = ""
    trade_id: int = 0


class Message(NamedTuple):
    """What a venue tells at once: one number, one time, one event or several.

    Attributes:
        seq: number of the message, one above `prev`.
        ts_ns: event time; it never falls.
    """

    seq: int
    prev: int
    ts_ns: int
    events: tuple[OrderEvent, ...]


def _as_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class OrderStyle:
    """How a venue treats and tells single orders.

    Attributes:
        make_id: makes an order id from a generator and the order's number.
        each_event: every event is a message; else every action is one, with all its events.
        moves_in_two: another price is told as a cancellation and a new order of the same id, in two messages.
        activates: placing a stop order is told.
        time_ns: event times are whole multiples of this.
        decimals: digits behind those of the instrument's tick; most orders stand on the tick.
        number: writes a price or size, given in plain decimals, as the venue does.
        checksum: computes the checksum of a client's window, given its bids and asks; None: there is none.
    """

    make_id: Callable[[Random, int], str]
    each_event: bool = False
    moves_in_two: bool = False
    activates: bool = False
    time_ns: int = 1_000_000
    decimals: int = 0
    number: Callable[[str], str] = _as_is
    checksum: Callable[[Sequence[Row], Sequence[Row]], int] | None = None
