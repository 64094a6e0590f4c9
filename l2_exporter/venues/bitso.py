"""Bitso, spot: the channel `diff-orders`, every order of a book, joined with the REST book of orders.

Sources: docs.bitso.com "Book Diff-Orders Channel", "List Order Book", "List Available Books", "Rate Limits" (copies of
2025); frames of 22 September 2026 in a third party's survey of the wire. See docs/venues/bitso.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Change, Event, OrderChange, Other, Push, Refused, Row, Subscribed
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, symbol_of
from l2_exporter.core.timetext import NS_PER_MS, utc_ns
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Seeding
from l2_exporter.venues.lacking import NoChecksum

NAME = "bitso"
ORDERS = "diff-orders"
SLOTS = 4
BOOK_PATH = "/v3/order_book"
BOOKS_PATH = "/v3/available_books"
SIDES = {0: "buy", 1: "sell"}
ANSWERS = {"action", "error"}
"""Members of answers to requests, which name the channel too; a push has none of them."""
MOST_DIGITS = 18

CHANNELS = {
    ORDERS: Channel(
        name=ORDERS,
        depth=None,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="sent",
        time_decimals=3,
        push_interval_ms=None,
        proven=False,
        slots=SLOTS,
        seeding=Seeding.REST,
        orders=True,
    )
}

LINK = LinkRules(
    ws_url="wss://ws.bitso.com",
    rest_url="https://api.bitso.com",
    # No limits of connections, books or messages are published.
    books_per_connection=25,
    books_per_request=1,
    requests_per_hour=3600,
    request_burst=25,
    connects_per_s=1,
    # A quiet connection hears a `ka` every 20 s (survey); none of our own is documented.
    ping=None,
    ping_after_s=25,
    dead_after_s=50,
    deflate=False,
    # 60 public requests a minute and address, then a minute without ("Rate Limits").
    rest_requests=40,
    rest_per_s=60,
    first_data_s=10,
)


class Bitso(NoChecksum):
    """Bitso as the core sees it, and each of its connections: the protocol remembers nothing."""

    name = NAME
    hosts = ("ws.bitso.com",)
    markets = ("spot",)
    channels = CHANNELS
    link = LINK

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Every book is a spot pair."""
        return "spot"

    # ---- the socket -------------------------------------------------------------------------------------------------

    def opened(self) -> list[str]:
        """Say nothing: subscriptions come first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write a frame for each book."""
        return [orjson.dumps({"action": "subscribe", "book": inst, "type": name}).decode() for name, inst in books]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Ask for a book again, of which nothing has come; the venue says so if it was subscribed already.

        No end of a subscription is documented. A book that has lost something is fetched by REST.
        """
        return self.subscribe([(channel, inst)])

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a frame of orders that lacks what its channel promises.
            VenueError: not JSON.
        """
        message = _loaded(frame)
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        if message.get("type") == ORDERS and not message.keys() & ANSWERS:
            return [_orders(message)]
        return [_answer(message)]

    # ---- REST -------------------------------------------------------------------------------------------------------

    def book_path(self, channel: str, inst: str) -> str:
        """Name the path of the whole book, order by order."""
        return f"{BOOK_PATH}?{urlencode({'book': inst, 'aggregate': 'false'})}"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for; one of levels is of no use."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        query = parse_qs(parts.query)
        if not parts.path.endswith(BOOK_PATH) or query.get("aggregate") != ["false"] or len(query.get("book", [])) != 1:
            return None
        return BookAsked(query["book"][0], None)

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the orders of a book.

        1. Orders of one price stand in the order of the answer: its documents promise none, and name no time of entry.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """
        book = _payload(body)
        sequence = _sequence(book.get("sequence")) if type(book) is dict else None
        sides = [_rows(book.get(side), inst) for side in ("bids", "asks")] if sequence is not None else []
        if sequence is None or None in sides:
            raise VenueError(f"Bitso answered something else than the book of {inst}: {clip(body)}")
        bids, asks = (side or [] for side in sides)
        event_ns = _time(text_of(book, "updated_at"))
        return BookPush(Push.SNAPSHOT, channel, inst, bids, asks, event_ns, sequence, None, None)

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the path that lists all books."""
        return [BOOKS_PATH] if "spot" in markets else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """The list is whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list of books.

        One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

        Raises:
            VenueError: an error answer, or not the shape of a list of books.
        """
        rows = _payload(body)
        if type(rows) is not list or set(map(type, rows)) not in (set(), {dict}):
            raise VenueError(f"Bitso refused its list of books: {clip(body)}")
        return [_listed(row) for row in rows]


def _loaded(text: str | bytes) -> Any:
    try:
        value = orjson.loads(text)
        orjson.dumps(value)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(f"Bitso sent something else than JSON: {clip(text)}") from error
    return value


def _payload(body: str) -> Any:
    """Read a REST answer; None for one that is no success."""
    answer = _loaded(body)
    return answer.get("payload") if type(answer) is dict and answer.get("success") is True else None


def _answer(message: dict[str, Any]) -> Event:
    """Read the answer to a request, a keep-alive, or a push of another channel.

    1. The confirmation of the documents does not name its book, that of the survey does.
    """
    error = text_of(message, "error")
    if error is not None:
        return Refused("error", error)
    kind, book = text_of(message, "type"), text_of(message, "book")
    if message.get("action") == "subscribe":
        is_new = message.get("response") == "ok"
        return Subscribed(ORDERS, book) if is_new and kind == ORDERS and book else Other("answer to subscribe")
    return Other(f"type {clip(kind)}", known=kind in ("ka", "orders", "trades"))


def _orders(message: dict[str, Any]) -> BookPush:
    inst, number, entries = text_of(message, "book"), message.get("sequence"), message.get("payload")
    if not inst:
        raise odd("Bitso", ORDERS, None, "book")
    changes = [_change(entry) for entry in entries] if type(entries) is list else [None]
    wrong = [] if None not in changes else ["payload"]
    wrong += [name for name in ("sequence", "sent") if not is_counter(message.get(name))]
    if wrong or not is_counter(number):
        raise odd("Bitso", ORDERS, inst, *wrong)
    told = tuple(change for change in changes if change is not None)
    event_ns = epoch_ns(message["sent"], NS_PER_MS)
    return BookPush(Push.DELTA, ORDERS, inst, [], [], event_ns, number, number - 1, None, told)


def _change(entry: Any) -> OrderChange | None:
    """Read what has become of one order; None if that cannot be told.

    1. `open` with an id that rests already is what is left of it: the book knows. `completed` has no amount.
    2. An order that was changed is cancelled in one message and opened again, with its old id, in the next.
    """
    ident, price, state = text_of(entry, "o"), text_of(entry, "r"), text_of(entry, "s")
    side = SIDES.get(entry["t"]) if type(entry) is dict and type(entry.get("t")) is int else None
    if not ident or side is None or price is None or not is_number(price) or is_zero(price):
        return None
    left = text_of(entry, "a")
    if left is not None and not is_number(left):
        return None
    if state == "open":
        return None if left is None else OrderChange(Change.SET, ident, side, price, left)
    if state == "cancelled":
        return OrderChange(Change.DONE, ident, side, price, remaining=left, reason="canceled")
    if state == "completed":
        return OrderChange(Change.DONE, ident, side, price, remaining="0", reason="filled")
    return None


def _rows(orders: Any, inst: str) -> list[Row] | None:
    """Read one side of a REST book; None if it is none."""
    if type(orders) is not list:
        return None
    rows: list[Row] = []
    for order in orders:
        price, amount, ident = (text_of(order, key) for key in ("price", "amount", "oid"))
        if price is None or amount is None or not ident or text_of(order, "book") not in (inst, None):
            return None
        if not is_number(price) or is_zero(price) or not is_number(amount) or is_zero(amount):
            return None
        rows.append([price, amount, ident])
    return rows


def _sequence(value: Any) -> int | None:
    """Read a sequence number: REST writes it as text."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS:
        return int(value)
    return value if is_counter(value) else None


def _time(text: str | None) -> int | None:
    """Read a time with the offset of UTC behind it, `2016-04-08T17:52:31.000+00:00`; None for any other."""
    for offset in ("+00:00", "+0000"):
        if text is not None and text.endswith(offset):
            text = text.removesuffix(offset) + "Z"
    try:
        return None if text is None else utc_ns(text)
    except ValueError:
        return None


def _listed(row: dict[str, Any]) -> Instrument:
    inst = text_of(row, "book")
    if not inst:
        raise VenueError(f"Bitso listed a book without a name: {clip(row)}")
    base, _, quote = inst.upper().partition("_")
    tick = text_of(row, "tick_size")
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote) if quote else None,
        base=base,
        quote=quote or None,
        market="spot",
        size_unit="base",
        tick=tick if tick is not None and is_number(tick) else None,
        raw=row,
    )
