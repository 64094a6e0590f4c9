"""Bitso, server side: `diff-orders`, every change of every order, and `orders`, the best 20 a side, whole each time.

Written from the project's venue notes and Bitso's pages "Diff-Orders Channel", "List Order Book" and "List Available
Books", and checked against frames seen in September 2026. Those show what the pages do not: a cancelled order has
amount and value too, and a moved one is cancelled and opened again under its id, in two messages. The REST half is
`bitso_rest`. Not known: how often keep-alives come, and whether there is a way to unsubscribe (here: none).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from string import ascii_letters, digits

import orjson

from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, Link, Request, Subscribe, Tell, Venue
from l2_exporter.simulator.dialects import bitso_rest
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.orderevents import OrderEvent, OrderStyle, Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10_000 * DAY_NS
ALIVE_NS = 5 * NS_PER_S
DIFF, ORDERS, TRADES = "diff-orders", "orders", "trades"
BEST = 20
ID_LENGTH = 16
VALUE = Decimal("0.00000001")
NEVER_UPDATED = "0123"
"""Last signs of the ids of orders whose cancellation has no time of update; some do, on which rule is not known."""

Json = dict[str, object]


def _make_id(random: Random, number: int) -> str:
    return "".join(random.choices(ascii_letters + digits, k=ID_LENGTH))


STYLE = OrderStyle(_make_id, moves_in_two=True)


@dataclass(slots=True)
class _Client:
    """What the server remembers of a connection: when it was last kept alive, and what it subscribed."""

    alive_ns: int
    subscribed: dict[tuple[str, str], None]


class Bitso:
    """Bitso as a client sees it."""

    name = "bitso"
    ws_path = "/"
    channels: Mapping[str, Channel] = {
        DIFF: Channel(DIFF, 10**9, False, False, NEVER_NS, pushes_snapshot=False, orders=STYLE),
        ORDERS: Channel(ORDERS, BEST, True, False, NEVER_NS, orders=STYLE),
    }
    max_step = 1
    broken_field = ('"payload":', '"entries":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "no_snapshot", "reset", "checksum", "bad_checksum"})
    """Nothing is announced, no book is pushed at first, numbers rise by one, and there is no checksum."""

    def __init__(self, seed: int) -> None:
        self._rest = bitso_rest.Rest()
        self._clients: dict[str, _Client] = {}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known books, then invented ones."""
        return bitso_rest.default_insts()

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a book.

        Raises:
            ConfigError: not like `btc_mxn`.
        """
        return bitso_rest.instrument(inst, start_ns)

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level; no channel shows any."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError("Bitso has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the root only."""
        return path in ("", self.ws_path)

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._clients[link.conn] = _Client(link.opened_ns, {})
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame; there is nothing but subscriptions, one each."""
        time: Json = {"time": venue.now_ns // NS_PER_MS}
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        channel = request.get("type") if isinstance(request, dict) else None
        if channel not in (DIFF, ORDERS, TRADES) or request.get("action") != "subscribe":
            return [_tell({"error": "invalid message"} | time)]
        about: Json = {"action": "subscribe"}
        inst = str(request.get("book"))
        if inst not in venue.instruments:
            refusal = f"This book is not supported - {inst[:64]}"
            return [_tell(about | {"type": channel, "error": refusal} | time)]
        subscribed = self._clients[link.conn].subscribed
        if (channel, inst) in subscribed:
            known = f"Already subscribed to channel: {channel}:{inst}"
            return [_tell(about | {"response": known} | time | {"type": channel, "book": inst})]
        subscribed[channel, inst] = None
        taken = _tell(about | {"response": "ok"} | time | {"type": channel, "book": inst})
        return [taken] if channel == TRADES else [taken, Subscribe(channel, inst)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Send keep-alives, whatever else is sent."""
        client = self._clients[link.conn]
        if venue.now_ns - client.alive_ns < ALIVE_NS:
            return []
        client.alive_ns = venue.now_ns
        return [_tell({"type": "ka"})]

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        del self._clients[link.conn]

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push; there is no keep-alive of a book."""
        sent: Json = {"sent": push.ts_ns // NS_PER_MS}
        if push.channel == ORDERS:
            sides: Json = {"bids": [_best(row, 0) for row in push.bids], "asks": [_best(row, 1) for row in push.asks]}
            return [_text({"payload": sides} | sent | {"book": push.inst, "type": ORDERS})]
        if push.kind is not Kind.DELTA:
            return []
        entries = [entry for event in push.events for entry in _entries(event, push.ts_ns // NS_PER_MS)]
        return [_text({"book": push.inst, "sequence": push.seq, "type": DIFF, "payload": entries} | sent)]

    def notice(self, link: Link) -> str:
        """Announce nothing: a close comes without warning."""
        raise NotImplementedError("Bitso announces no close")

    def requested_inst(self, request: Request) -> str | None:
        """Name the book that a request asks for."""
        return self._rest.requested_inst(request)

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        return self._rest.answer(request, venue)

    def too_many_requests(self) -> Reply:
        """Refuse as the venue does: 60 requests a minute, then a minute nothing; it names no time to wait."""
        return bitso_rest.failure(429, "0200", "Too many requests")


def _entries(event: OrderEvent, at_ms: int) -> list[Json]:
    """Write what an event does to an order of the book; nothing for one that is not in it."""
    if not event.left:
        return []
    rest: Json = {"o": event.order_id, "r": event.price}
    side: Json = {"t": 0 if event.is_bid else 1}
    entered: Json = {"d": event.entered_ns // NS_PER_MS}
    if event.kind == "match" and event.left == "0":
        return [entered | rest | {"s": "completed"} | side | {"z": at_ms}]
    amount = event.size if event.left == "0" else event.left
    value: Json = {"v": f"{(Decimal(amount) * Decimal(event.price)).quantize(VALUE):f}"}
    held = {"a": amount} | entered | rest
    if event.left == "0":
        updated_ms = 0 if event.order_id[-1] in NEVER_UPDATED else at_ms
        return [held | {"s": "cancelled"} | side | value | {"z": updated_ms}]
    is_new = event.kind == "open" and event.entered_ns // NS_PER_MS == at_ms
    return [held | {"s": "open"} | side | value | ({} if is_new else {"z": at_ms})]


def _best(row: Row, side: int) -> Json:
    """Write an order of the best ones."""
    price, size, order_id, entered_ms = row
    value = f"{Decimal(size) * Decimal(price):f}"
    value = value.rstrip("0").rstrip(".") if "." in value else value
    return {"a": size, "d": int(entered_ms), "o": order_id, "r": price, "s": "undefined", "t": side, "v": value}


def _tell(message: Json) -> Tell:
    return Tell(_text(message))


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
