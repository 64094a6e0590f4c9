"""KuCoin: order book streams of futures and of spot, two venues of one protocol; each connection needs a ticket.

A stream tells changes only: a REST book is joined with them. Sources: docs "Websocket / Introduction", "Orderbook -
Increment" (spot and futures), "Orderbook - Level50", "Get Part Order Book", "Get Full Order Book", "Rate Limit" (copies
of 2025 and 2026); a recording of spot of April 2021. See docs/venues/kucoin.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.fields import epoch_ns
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Post, Seeding
from l2_exporter.venues import kucoin_instruments
from l2_exporter.venues.kucoin_answers import answered, counter_of, side_of, ticket_of
from l2_exporter.venues.kucoin_link import (
    FULL,
    FUTURES_TOPIC,
    LEVELS,
    LEVELS_TOPIC,
    PING,
    PING_EVERY_S,
    SPOT_TOPIC,
    KucoinLink,
)
from l2_exporter.venues.lacking import NoChecksum

DAY_S = 86_400
TICKET = Post("/api/v1/bullet-public")
SPOT_LEVELS = 100
WHOLE_BOOK = 1_000_000
"""Levels a side: more than there are."""


@dataclass(frozen=True, slots=True)
class Product:
    """One of the company's two exchanges.

    Attributes:
        hosts: where its sockets live or have lived.
        topics: the beginning of each channel's topics, the default channel first.
        book_path: REST path of a book; seed_levels: levels a side it has at most.
        book_time: the field, and how many nanoseconds one unit of it has.
        all_books: levels a side of a REST book, by the end of its path, those included that others have recorded.
        per_request: topics in one subscribing frame.
        book_weight: of a REST book.
    """

    name: str
    markets: tuple[str, ...]
    hosts: tuple[str, ...]
    ws_url: str
    rest_url: str
    topics: Mapping[str, str]
    book_path: str
    seed_levels: int | None
    book_time: tuple[str, int]
    all_books: Mapping[str, int | None]
    per_request: int
    book_weight: int


FUTURES = Product(
    name="kucoin",
    markets=("perp", "futures"),
    hosts=("ws-api-futures.kucoin.com",),
    ws_url="wss://ws-api-futures.kucoin.com/",
    rest_url="https://api-futures.kucoin.com",
    topics={FULL: FUTURES_TOPIC},
    book_path="/api/v1/level2/snapshot",
    seed_levels=None,
    book_time=("ts", 1),
    all_books={"/level2/snapshot": None, "/level2/depth100": 100, "/level2/depth20": 20},
    # The page of the futures topic names one symbol a topic, that of the spot topic several.
    per_request=1,
    book_weight=3,
)
SPOT = Product(
    name="kucoin_spot",
    markets=("spot",),
    # The second is where the recording of 2021 was made.
    hosts=("ws-api-spot.kucoin.com", "push-private.kucoin.com"),
    ws_url="wss://ws-api-spot.kucoin.com/",
    rest_url="https://api.kucoin.com",
    topics={FULL: SPOT_TOPIC, LEVELS: LEVELS_TOPIC},
    # The whole book (/api/v3/market/orderbook/level2) needs an API key, this one needs none.
    book_path=f"/api/v1/market/orderbook/level2_{SPOT_LEVELS}",
    seed_levels=SPOT_LEVELS,
    book_time=("time", NS_PER_MS),
    all_books={"/orderbook/level2": WHOLE_BOOK, "/orderbook/level2_100": 100, "/orderbook/level2_20": 20},
    per_request=100,
    book_weight=4,
)


class Kucoin(NoChecksum):
    """One of the two exchanges."""

    def __init__(self, product: Product) -> None:
        self.name = product.name
        self.markets = product.markets
        self.hosts = product.hosts
        self.channels = {name: _CHANNELS[name](product) for name in product.topics}
        self.link = LinkRules(
            ws_url=product.ws_url,
            rest_url=product.rest_url,
            # 30 new connections a minute, 100 messages in 10 s, 400 topics a connection (spot; futures have no limit),
            # 100 topics a request (docs "Rate Limit"); a connection is ended after 24 h (docs "Introduction").
            books_per_connection=100,
            books_per_request=product.per_request,
            requests_per_hour=4 * 3600,
            request_burst=50,
            connects_per_s=0.5,
            # The ticket names 18 s for a ping and 10 s for its answer (`pingInterval`, `pingTimeout`).
            ping=PING,
            ping_after_s=PING_EVERY_S,
            dead_after_s=PING_EVERY_S + 10,
            deflate=False,
            # Half the 2,000 in 30 s of the public pool: others may share the address.
            rest_requests=1000,
            rest_per_s=30,
            first_data_s=10,
            book_weight=product.book_weight,
            life_s=DAY_S,
        )
        self._product = product

    def ticket_path(self) -> Post:
        """Name the path that gives a ticket to anybody; one of the other exchange is none here."""
        return TICKET

    def address(self, ws_url: str, body: str) -> str:
        """Make the address of a new connection. What is wrong is said without what a ticket may hold.

        Args:
            ws_url: the address in the settings; where it is not the venue's own, its host is kept.
            body: the answer.

        Raises:
            VenueError: an error answer, no ticket, or one that leads out of the company's domain.
        """
        ticket = ticket_of(body)
        # The user's own address is his to answer for; the venue's ticket must not lead anywhere else.
        endpoint = ticket.endpoint() if ws_url == self.link.ws_url else ws_url
        mark = "&" if "?" in endpoint else "?"
        return f"{endpoint}{mark}token={quote(ticket.token, safe='')}&connectId={ticket.conn_id}"

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection: it remembers which request asked for which books, and when it said something."""
        return KucoinLink(self.channels, self._product.topics)

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: spot; what ends with a month letter and a year is a future, else perpetual."""
        return kucoin_instruments.market_of(self.markets, inst)

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read a REST book. Futures write numbers, and null for a side without orders.

        A contract that has never traded is answered with number -1 or 0: only a change that follows that number joins.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """
        book = answered(body, f"KuCoin refused the book of {inst}")
        sides = [side_of(book, name) for name in ("bids", "asks")]
        number = counter_of(book.get("sequence")) if type(book) is dict else None
        if number is None or sides[0] is None or sides[1] is None:
            raise VenueError(f"KuCoin answered the book of {inst} without levels or number: {clip(body)}")
        time, unit_ns = self._product.book_time
        return BookPush(
            Push.SNAPSHOT, channel, inst, sides[0], sides[1], epoch_ns(book.get(time), unit_ns), number, None, None
        )

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the REST path of a book; channels that push whole books need none."""
        if self.channels[channel].whole:
            return None
        return f"{self._product.book_path}?symbol={quote(inst, safe='')}"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for; recordings have other versions and depths of the path."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        inst = parse_qs(parts.query).get("symbol", [""])[0]
        found = [levels for end, levels in self._product.all_books.items() if parts.path.endswith(end)]
        return BookAsked(inst, found[0]) if found and inst else None

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the path that lists what is traded."""
        return [kucoin_instruments.path_of(self.markets)] if {*markets} & {*self.markets} else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name nothing: the list comes whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        rows = answered(body, "KuCoin refused its list of instruments")
        if type(rows) is not list or set(map(type, rows)) - {dict}:
            raise VenueError(f"KuCoin answered its list of instruments without a list of them: {clip(body)}")
        return [kucoin_instruments.decode(self.name, self.markets, row) for row in rows]


def _changes(product: Product) -> Channel:
    spot = product.seed_levels is not None
    return Channel(
        name=FULL,
        depth=None,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="data.time" if spot else "data.timestamp",
        time_decimals=3,
        push_interval_ms=None,
        proven=spot,
        seeding=Seeding.REST,
        seed_levels=product.seed_levels,
    )


def _wholes(product: Product) -> Channel:
    return Channel(
        name=LEVELS,
        depth=50,
        suffix=LEVELS,
        continuity=Continuity.NONE,
        whole=True,
        checksum=False,
        event_time="data.timestamp",
        time_decimals=3,
        push_interval_ms=100,
        proven=False,
    )


_CHANNELS = {FULL: _changes, LEVELS: _wholes}
