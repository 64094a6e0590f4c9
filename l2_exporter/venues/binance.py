"""Binance: order book streams of USD-M futures, COIN-M futures and spot, venues of one protocol; Aster speaks it too.

A stream tells changes only: a REST book is joined with them. Ids run over all symbols of the engine; a futures update
names the one before it (`pu`), a spot update begins one after it. Sources: docs "How to manage a local order book
correctly", "Diff. Book Depth Streams", "Partial Book Depth Streams", "Live Subscribing/Unsubscribing" (copies of 2026),
change notice of 6 March 2026 on addresses; recordings of 2021 to 2024. See docs/venues/binance.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import DELTA, WHOLE, BookPush, ClosingSoon, Event, Other, Push, Refused
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.rows import are_rows, sides_of
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Seeding
from l2_exporter.venues import binance_instruments
from l2_exporter.venues.lacking import NoChecksum

DAY_S = 86_400
BOOK_LEVELS = 1000
_MOST_DIGITS = 6
DEPTH, PARTIAL, TICKER = "depth", "depth20", "bookTicker"
_STREAMS = {DEPTH: "depth@100ms", PARTIAL: "depth20@100ms", TICKER: "bookTicker"}
_KINDS = re.compile(r"(?P<channel>depth20|depth|bookTicker)(?:@\d+ms)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Product:
    """One product group of a company that speaks this protocol.

    Attributes:
        company: how messages call it; name: the venue here.
        paths: REST path of books, and of the list of instruments.
        names_previous: an update names the one before it; else it begins one behind it.
        channels: what is recorded of it, the default first.
        streams: subscriptions a connection carries at most, and in one request.
        book_weight: of a REST book of 1000 levels, out of `weight` a minute.
        default_levels: of a REST book for which none are asked.
    """

    company: str
    name: str
    markets: tuple[str, ...]
    hosts: tuple[str, ...]
    ws_url: str
    rest_url: str
    paths: tuple[str, str]
    names_previous: bool
    channels: tuple[str, ...]
    streams: tuple[int, int]
    book_weight: int
    weight: int
    default_levels: int
    proven: bool


USDM = Product(
    company="Binance",
    name="binance",
    markets=("perp", "futures"),
    hosts=("fstream.binance.com",),
    # Books moved to /public on 23 April 2026; the old root was still answered for them in July.
    ws_url="wss://fstream.binance.com/public/stream",
    rest_url="https://fapi.binance.com",
    paths=("/fapi/v1/depth", "/fapi/v1/exchangeInfo"),
    names_previous=True,
    channels=(DEPTH, PARTIAL, TICKER),
    streams=(200, 50),
    book_weight=20,
    weight=2400,
    default_levels=500,
    proven=True,
)
COINM = Product(
    company="Binance",
    name="binance_coinm",
    markets=("perp", "futures"),
    hosts=("dstream.binance.com",),
    ws_url="wss://dstream.binance.com/stream",
    rest_url="https://dapi.binance.com",
    paths=("/dapi/v1/depth", "/dapi/v1/exchangeInfo"),
    names_previous=True,
    channels=(DEPTH, PARTIAL, TICKER),
    streams=(200, 50),
    book_weight=20,
    weight=2400,
    default_levels=500,
    proven=True,
)
SPOT = Product(
    company="Binance",
    name="binance_spot",
    markets=("spot",),
    hosts=("stream.binance.com",),
    ws_url="wss://stream.binance.com:9443/stream",
    rest_url="https://api.binance.com",
    paths=("/api/v3/depth", "/api/v3/exchangeInfo?permissions=SPOT"),
    names_previous=False,
    channels=(DEPTH,),
    streams=(200, 50),
    book_weight=50,
    weight=6000,
    default_levels=100,
    proven=True,
)


class Binance(NoChecksum):
    """One product group, and each of its connections: they remember nothing, so one serves all."""

    def __init__(self, product: Product) -> None:
        self.name = product.name
        self.markets = product.markets
        self.hosts = product.hosts
        self.channels = {name: _CHANNELS[name](product) for name in product.channels}
        self.link = LinkRules(
            ws_url=product.ws_url,
            rest_url=product.rest_url,
            # 10 messages a second on a connection (spot 5), pongs included; connections live for 24 h; the server pings
            # every 3 to 5 minutes; 300 connection attempts in 5 minutes (docs "Websocket Market Streams", "Connect").
            books_per_connection=product.streams[0],
            books_per_request=product.streams[1],
            requests_per_hour=2 * 3600,
            request_burst=2,
            connects_per_s=1,
            ping=None,
            ping_after_s=60,
            dead_after_s=90,
            deflate=True,
            # Half the budget of the address: others may share it.
            rest_requests=product.weight // 2,
            rest_per_s=60,
            first_data_s=10,
            book_weight=product.book_weight,
            life_s=DAY_S,
        )
        self._product = product

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id, in lower case where it names streams."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: spot, or `*_YYMMDD` futures, else perpetual."""
        return binance_instruments.market_of(self.markets, inst)

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes (channel, instrument) pairs."""
        return [_operation("SUBSCRIBE", books)]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one stream and subscribe it again."""
        book = [(channel, inst)]
        return [_operation("UNSUBSCRIBE", book), _operation("SUBSCRIBE", book)]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame, wrapped with the name of its stream or not.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(
                f"{self._product.company} sent a frame that is not JSON ({error}): {clip(frame)}"
            ) from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        stream = text_of(message, "stream")
        if stream is not None:
            kind = _KINDS.fullmatch(stream.partition("@")[2])
            return self._pushed(kind["channel"] if kind else "", message.get("data"))
        if "e" in message:
            return self._pushed({"depthUpdate": DEPTH, TICKER: TICKER}.get(text_of(message, "e") or "", ""), message)
        return [_answer(message)]

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the answer of GET .../depth.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """
        try:
            book = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            company = self._product.company
            raise VenueError(
                f"{company} answered the book of {inst} with something else than JSON: {clip(body)}"
            ) from error
        if type(book) is not dict or not is_counter(book.get("lastUpdateId")):
            raise VenueError(f"{self._product.company} refused the book of {inst}: {clip(body)}")
        bids, asks = book.get("bids"), book.get("asks")
        if bids is None or asks is None or not (are_rows(bids, 2) and are_rows(asks, 2)):
            raise VenueError(f"{self._product.company} answered the book of {inst} without levels: {clip(body)}")
        event_ns = epoch_ns(book.get("T"), NS_PER_MS)
        return BookPush(Push.SNAPSHOT, channel, inst, bids, asks, event_ns, book["lastUpdateId"], None, None)

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the REST path of a book, with as many levels as there are; whole books need none."""
        if self.channels[channel].whole:
            return None
        return f"{self._product.paths[0]}?symbol={quote(inst, safe='')}&limit={BOOK_LEVELS}"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for; recordings have older versions of the path."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        query = parse_qs(parts.query)
        inst, levels = query.get("symbol", [""])[0], query.get("limit", [""])[0]
        if not parts.path.endswith("/depth") or not inst:
            return None
        numeric = levels.isascii() and levels.isdecimal() and len(levels) < _MOST_DIGITS
        return BookAsked(inst, int(levels) if numeric else self._product.default_levels)

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the path that lists the product group, perpetuals and futures together."""
        return [self._product.paths[1]] if {*markets} & {*self.markets} else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name nothing: the list comes whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        return binance_instruments.decode(self._product.company, self.name, self.markets, body)

    def _pushed(self, channel: str, data: Any) -> list[Event]:
        """Read what a stream has pushed, by the channel its name tells."""
        if channel == "" or channel not in self.channels:
            return [ClosingSoon("serverShutdown", "")] if _is_shutdown(data) else [Other("push of another channel")]
        inst = text_of(data, "s")
        if not inst:
            raise odd(self._product.company, channel, None, "s")
        return [_ticker(self._product, inst, data) if channel == TICKER else self._book(channel, inst, data)]

    def _book(self, channel: str, inst: str, data: dict[str, Any]) -> BookPush:
        names_previous, time = self._product.names_previous, self.channels[channel].event_time
        bids, asks, first, last = data.get("b"), data.get("a"), data.get("U"), data.get("u")
        previous = data.get("pu") if names_previous else _before(first)
        sides = sides_of(bids, asks, 2)
        wrong = [] if sides is not None else [name for name in ("b", "a") if not are_rows(data.get(name), 2)]
        wrong += [] if is_counter(last) else ["u"]
        wrong += [] if is_counter(previous) else ["pu" if names_previous else "U"]
        wrong += [] if time in data else [time]
        if wrong or sides is None:
            raise odd(self._product.company, channel, inst, *wrong)
        push = DELTA if channel == DEPTH else WHOLE
        bids, asks, numbers = sides
        event_ns = epoch_ns(data[time], NS_PER_MS)
        return BookPush(push, channel, inst, bids, asks, event_ns, last, previous, None, (), numbers)


def _deltas(product: Product) -> Channel:
    return Channel(
        name=DEPTH,
        depth=None,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="T" if product.names_previous else "E",
        time_decimals=3,
        push_interval_ms=100,
        proven=product.proven,
        seeding=Seeding.REST,
        seed_levels=BOOK_LEVELS,
    )


def _wholes(name: str, depth: int, interval_ms: int | None) -> Channel:
    return Channel(
        name=name,
        depth=depth,
        suffix=name,
        continuity=Continuity.NONE,
        whole=True,
        checksum=False,
        event_time="T",
        time_decimals=3,
        push_interval_ms=interval_ms,
        proven=False,
    )


_CHANNELS: dict[str, Callable[[Product], Channel]] = {
    DEPTH: _deltas,
    PARTIAL: lambda product: _wholes(PARTIAL, 20, 100),
    TICKER: lambda product: _wholes(TICKER, 1, None),
}


def _before(first: Any) -> int | None:
    """Return the number before an update that begins with this one."""
    return first - 1 if is_counter(first) else None


def _operation(method: str, books: Sequence[tuple[str, str]]) -> str:
    params = [f"{inst.lower()}@{_STREAMS[channel]}" for channel, inst in books]
    return orjson.dumps({"method": method, "params": params, "id": 1}).decode()


def _answer(message: dict[str, Any]) -> Event:
    """Read the answer to a request of ours: it names no stream, and confirms also those that never deliver."""
    error = message.get("error", message)
    if type(error) is dict and "code" in error:
        return Refused(str(error["code"]), str(error.get("msg", "")))
    return Other("answer", known="result" in message)


def _is_shutdown(data: Any) -> bool:
    """Tell whether the venue announces a restart (spot: `serverShutdown`)."""
    return text_of(data, "e") == "serverShutdown"


def _ticker(product: Product, inst: str, data: dict[str, Any]) -> BookPush:
    """Read the best prices: a book of one level a side. A side without orders has price 0."""
    texts = [text_of(data, name) for name in ("b", "B", "a", "A")]
    wrong = [name for name, text in zip("bBaA", texts, strict=True) if text is None or not is_number(text)]
    wrong += [] if is_counter(data.get("u")) else ["u"]
    wrong += [] if "T" in data else ["T"]
    if wrong:
        raise odd(product.company, TICKER, inst, *wrong)
    bid, bid_size, ask, ask_size = [text or "" for text in texts]
    bids = [] if is_zero(bid) else [[bid, bid_size]]
    asks = [] if is_zero(ask) else [[ask, ask_size]]
    return BookPush(Push.WHOLE, TICKER, inst, bids, asks, epoch_ns(data["T"], NS_PER_MS), data["u"], None, None)
