"""Gate.io: order book streams of USDT-settled perpetuals and of spot, two venues of one protocol.

`*.obu` pushes its own first book; `*.order_book_update` tells the changes of a window of 100 levels, whose first book
is asked of REST. Both name the first and the last change of an update (`U`, `u`); every change of a book has a number.
Sources: docs "Futures WebSocket v4" and "Spot WebSocket v4", sections order book (copies of November 2025);
announcements of 13 and 30 May 2025 (`obu`) and of 12 February 2026 (`*.system`); a recording of April 2021; somebody's
captures of 15 September 2026. See docs/venues/gate.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn
from urllib.parse import parse_qs, quote, urlsplit

from l2_exporter.core.decimaltext import is_number
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.fields import is_counter, text_of
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.timetext import END_OF_TIME_NS, NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Seeding
from l2_exporter.venues import gate_instruments
from l2_exporter.venues.gate_frames import SLOTS, GateConnection, request, rows_of
from l2_exporter.venues.lacking import NoChecksum

OBU, UPDATES = "obu", "order_book_update"
OBU_LEVELS, UPDATE_LEVELS = 400, 100
DEFAULT_LEVELS = 10
"""Of a REST book for which none are asked."""
_MOST_LEVEL_DIGITS, _MOST_DIGITS = 6, 19


@dataclass(frozen=True, slots=True)
class Product:
    """One product group.

    Attributes:
        name: the venue here; word: what its channels begin with.
        update_payload: speed of the changes, and their level where it can be chosen.
        channels: what is recorded of it, the default first; proven: those of which a recording replays.
        query: what a REST book's address calls the instrument.
        time_ns: unit of the times of a REST book.
        first_data_s: time a subscription may take to bring its first message; a stream of changes can be quiet.
    """

    name: str
    word: str
    market: str
    ws_url: str
    channels: tuple[str, ...]
    proven: tuple[str, ...]
    update_payload: tuple[str, ...]
    book_path: str
    listing_path: str
    query: str
    time_ns: int
    first_data_s: float


FUTURES = Product(
    name="gate",
    word="futures",
    market="perp",
    ws_url="wss://fx-ws.gateio.ws/v4/ws/usdt",
    channels=(OBU, UPDATES),
    proven=(),
    update_payload=("100ms", str(UPDATE_LEVELS)),
    book_path="/api/v4/futures/usdt/order_book",
    listing_path="/api/v4/futures/usdt/contracts",
    query="contract",
    time_ns=NS_PER_S,
    first_data_s=10,
)
SPOT = Product(
    name="gate_spot",
    word="spot",
    market="spot",
    ws_url="wss://api.gateio.ws/ws/v4/",
    channels=(UPDATES, OBU),
    proven=(UPDATES,),
    update_payload=("100ms",),
    book_path="/api/v4/spot/order_book",
    listing_path="/api/v4/spot/currency_pairs",
    query="currency_pair",
    time_ns=NS_PER_MS,
    first_data_s=30,
)


class Gate(NoChecksum):
    """One product group as the core sees it."""

    def __init__(self, product: Product) -> None:
        self.name = product.name
        self.markets = (product.market,)
        self.hosts = (product.ws_url.removeprefix("wss://").rstrip("/"),)
        self.channels = {f"{product.word}.{kind}": _channel(product, kind) for kind in product.channels}
        self.link = LinkRules(
            ws_url=product.ws_url,
            rest_url="https://api.gateio.ws",
            # 300 connections an address ("Futures WebSocket v4"); how many books one carries is not limited: 150 of
            # them, subscribed one by one at once, were served (captures of 2026).
            books_per_connection=50,
            books_per_request=1,
            requests_per_hour=3600,
            request_burst=60,
            connects_per_s=1,
            # A connection without subscriptions that says nothing was closed after 30 s (captures of 2026).
            ping=request(f"{product.word}.ping"),
            ping_after_s=15,
            dead_after_s=30,
            # Not negotiated (captures of 2026).
            deflate=False,
            # Half of 200 requests in 10 s ("API v4", rate limit rule): others may share the address.
            rest_requests=100,
            rest_per_s=10,
            first_data_s=product.first_data_s,
        )
        self._product = product

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which remembers what it has asked for."""
        return GateConnection(self._product.word, self._product.update_payload, self.channels)

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: each socket has one."""
        return self._product.market

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the REST path of a book with as many levels as the stream of changes has; `obu` brings its own."""
        if self.channels[channel].seeding is not Seeding.REST:
            return None
        product = self._product
        return f"{product.book_path}?{product.query}={quote(inst, safe='')}&limit={UPDATE_LEVELS}&with_id=true"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        query = parse_qs(parts.query)
        inst, levels = query.get(self._product.query, [""])[0], query.get("limit", [""])[0]
        if parts.path != self._product.book_path or not inst:
            return None
        numeric = levels.isascii() and levels.isdecimal() and len(levels) < _MOST_LEVEL_DIGITS
        return BookAsked(inst, int(levels) if numeric else DEFAULT_LEVELS)

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the answer of GET .../order_book, cut to the levels that the channel has.

        Raises:
            VenueError: an error answer, or not the shape of a book with its number.
        """
        try:
            book = json.loads(body, parse_float=str, parse_int=str, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise VenueError(f"Gate answered the book of {inst} with something else than JSON: {clip(body)}") from error
        number = _counter(text_of(book, "id"))
        if number is None:
            raise VenueError(f"Gate refused the book of {inst}, or gave no number: {clip(body)}")
        bids, asks = rows_of(book.get("bids")), rows_of(book.get("asks"))
        if bids is None or asks is None:
            raise VenueError(f"Gate answered the book of {inst} without levels: {clip(body)}")
        depth = self.channels[channel].depth
        event_ns = _time_ns(text_of(book, "update"), self._product.time_ns)
        return BookPush(Push.SNAPSHOT, channel, inst, bids[:depth], asks[:depth], event_ns, number, None, None)

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the path that lists the product group."""
        return [self._product.listing_path] if self._product.market in markets else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name nothing: the list comes whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        return gate_instruments.decode(self.name, self._product.market, body)


def _channel(product: Product, kind: str) -> Channel:
    pushed = kind == OBU
    return Channel(
        name=f"{product.word}.{kind}",
        depth=OBU_LEVELS if pushed else UPDATE_LEVELS,
        suffix="" if kind == product.channels[0] else kind,
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="t",
        time_decimals=3,
        push_interval_ms=100,
        proven=kind in product.proven,
        slots=SLOTS,
        seeding=Seeding.PUSHED if pushed else Seeding.REST,
        seed_levels=None if pushed else UPDATE_LEVELS,
    )


def _counter(text: str | None) -> int | None:
    """Read the number of a book; None for anything else."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        return None
    return int(text) if is_counter(int(text)) else None


def _time_ns(text: str | None, unit_ns: int) -> int | None:
    """Read an epoch time that may have decimals; None for what is none."""
    if text is None or not is_number(text):
        return None
    event_ns = int(Decimal(text) * unit_ns)
    return event_ns if 0 < event_ns < END_OF_TIME_NS else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
