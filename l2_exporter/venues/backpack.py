"""Backpack: the real-time stream `depth` of spot markets and perpetuals, seeded by REST.

Sources: docs.backpack.exchange "Streams / Depth" and "Markets / Get depth, Get markets" (copies of November 2025); a
survey of the wire of 22 and 23 September 2026, with captured frames. See docs/venues/backpack.md.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from l2_exporter.core.book import best_first
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import utc_ns, utc_text
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Seeding
from l2_exporter.venues.lacking import NoChecksum

NAME = "backpack"
DEPTH = "depth"
SLOTS = 2
NS_PER_US = 1_000
SEED_LEVELS = 1_000
"""The largest number of levels a side that can be asked for by name; without one the whole book may come."""
BOOK_PATH = "/api/v1/depth"
MARKETS_PATH = "/api/v1/markets"
PERP_SUFFIX = "_PERP"

CHANNELS = {
    DEPTH: Channel(
        name=DEPTH,
        depth=None,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="T",
        time_decimals=6,
        push_interval_ms=None,
        proven=False,
        slots=SLOTS,
        seeding=Seeding.REST,
        seed_levels=SEED_LEVELS,
    )
}

_AGGREGATED = re.compile(r"\d+ms\..+", re.ASCII | re.DOTALL)
"""`200ms.SOL_USDC`: streams that put the changes of a while into one message. Ids themselves can hold a dot."""
_MARKETS = {"SPOT": "spot", "PERP": "perp"}

LINK = LinkRules(
    ws_url="wss://ws.backpack.exchange",
    rest_url="https://api.backpack.exchange",
    # No limit is published. The survey had 91 streams on one connection, asked for in one frame, without a refusal.
    books_per_connection=50,
    books_per_request=50,
    requests_per_hour=3_600,
    request_burst=10,
    connects_per_s=1,
    # The venue pings by the protocol every 60 s and answers such pings; it knows no other. Quiet books send nothing.
    ping=None,
    ping_after_s=30,
    dead_after_s=60,
    deflate=True,
    # No limit is published either; the survey asked for 5 books a second without a refusal.
    rest_requests=5,
    rest_per_s=1,
    # Nothing confirms a subscription, and quiet books had their first message after 14 s.
    first_data_s=30,
)


class Backpack(NoChecksum):
    """Backpack as the core sees it, and each of its connections: they remember nothing, so one serves all."""

    name = NAME
    hosts = ("ws.backpack.exchange",)
    markets = ("perp", "spot")
    channels = CHANNELS
    link = LINK

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market from the id: `*_PERP`, else spot."""
        return "perp" if inst.endswith(PERP_SUFFIX) else "spot"

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes (channel, instrument) pairs."""
        return [_request("SUBSCRIBE", books)]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end one subscription and begin it anew: for a stream that brings nothing."""
        return [_request("UNSUBSCRIBE", [(channel, inst)]), _request("SUBSCRIBE", [(channel, inst)])]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Backpack sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        stream = text_of(message, "stream")
        if stream is None:
            return [_control(message)]
        kind, _, inst = stream.partition(".")
        if kind != DEPTH or _AGGREGATED.fullmatch(inst):
            return [Other("push of another stream")]
        return [_book(inst, message.get("data"))]

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the answer of GET /api/v1/depth. Its bids come worst first.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """
        book = _answer(body, f"the book of {inst}")
        if type(book) is not dict or "lastUpdateId" not in book:
            raise VenueError(f"Backpack refused the book of {inst}: {clip(body)}")
        bids, asks, number = book.get("bids"), book.get("asks"), _number(book["lastUpdateId"])
        if not are_rows(bids, SLOTS) or not are_rows(asks, SLOTS) or number is None or bids is None or asks is None:
            raise VenueError(f"Backpack answered the book of {inst} in another shape: {clip(body)}")
        event_ns = epoch_ns(book.get("timestamp"), NS_PER_US)
        return BookPush(Push.SNAPSHOT, channel, inst, *best_first(bids, asks), event_ns, number, None, None)

    def book_path(self, channel: str, inst: str) -> str:
        """Name the REST path of a book."""
        return f"{BOOK_PATH}?symbol={quote(inst, safe='')}&limit={SEED_LEVELS}"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        query = parse_qs(parts.query)
        inst, levels = query.get("symbol", [""])[0], query.get("limit", [""])[0]
        if not parts.path.endswith(BOOK_PATH) or not inst:
            return None
        return BookAsked(inst, int(levels[:9]) if levels.isascii() and levels.isdecimal() else None)

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the REST path that lists all markets."""
        return [MARKETS_PATH] if {*markets} & {*self.markets} else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """The list is whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list of markets; those of a kind that is not recorded (predictions, for one) are passed over.

        One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

        Raises:
            VenueError: an error answer, or not the shape of a list of markets.
        """
        rows = _answer(body, "its list of markets")
        if type(rows) is not list or set(map(type, rows)) not in (set(), {dict}):
            raise VenueError(f"Backpack refused its list of markets: {clip(body)}")
        return [_instrument(row, market) for row in rows if (market := self._market_listed(row)) is not None]

    def _market_listed(self, row: dict[str, Any]) -> str | None:
        """Tell a row's market; None for a kind that is not recorded, or that its id does not tell."""
        inst, kind = text_of(row, "symbol"), text_of(row, "marketType")
        if not inst or kind is None:
            raise VenueError(f"Backpack listed a market without symbol and marketType: {clip(row)}")
        market = _MARKETS.get(kind)
        return market if market == self.market_of(inst) else None


def _request(method: str, books: Sequence[tuple[str, str]]) -> str:
    return orjson.dumps({"method": method, "params": [f"{channel}.{inst}" for channel, inst in books]}).decode()


def _control(message: dict[str, Any]) -> Event:
    """Read an error; nothing else is ever answered."""
    error = message.get("error")
    if type(error) is not dict:
        return Other("neither stream nor error", known=False)
    text = text_of(error, "message")
    return Refused(str(error.get("code", ""))[:20], clip(error) if text is None else text)


def _book(inst: str, book: Any) -> BookPush:
    if not inst or type(book) is not dict:
        missing = [name for name, there in (("stream", inst), ("data", type(book) is dict)) if not there]
        raise odd("Backpack", DEPTH, inst or None, *missing)
    bids, asks, first, last = book.get("b"), book.get("a"), book.get("U"), book.get("u")
    wrong = [name for name, rows in (("b", bids), ("a", asks)) if not are_rows(rows, SLOTS)]
    wrong += [name for name, number in (("U", first), ("u", last)) if not is_counter(number)]
    wrong += [] if wrong or 0 <= book["U"] <= book["u"] else ["U"]
    wrong += [] if book.get("s") == inst else ["s"]
    wrong += [] if "T" in book else ["T"]
    if wrong or bids is None or asks is None or first is None or last is None:
        raise odd("Backpack", DEPTH, inst, *wrong)
    # 1. A message holds the changes U to u, and U is one more than the u before it. `T` is the matching engine's time,
    #    in microseconds, a number or its digits.
    return BookPush(Push.DELTA, DEPTH, inst, bids, asks, epoch_ns(book["T"], NS_PER_US), last, first - 1, None)


def _answer(body: str, what: str) -> Any:
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(f"Backpack answered {what} with something else than JSON: {clip(body)}") from error
    return answer


def _number(value: Any) -> int | None:
    """Read a counter, whole number or its digits."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    return value if is_counter(value) and value >= 0 else None


def _instrument(row: dict[str, Any], market: str) -> Instrument:
    """Describe a market. A size counts the base asset, also of a perpetual: a contract is one of it."""
    base, quote_ccy = text_of(row, "baseSymbol"), text_of(row, "quoteSymbol")
    filters, spot = row.get("filters"), market == "spot"
    prices, sizes = (filters.get(name) if type(filters) is dict else None for name in ("price", "quantity"))
    return Instrument(
        venue=NAME,
        inst=row["symbol"],
        symbol=symbol_of(base, quote_ccy, None if spot else quote_ccy),
        base=base,
        quote=quote_ccy,
        settle=None if spot else quote_ccy,
        market=market,
        kind=None if spot else "linear",
        size_unit="base",
        contract_value=None if spot else "1",
        contract_value_ccy=None if spot else base,
        tick=amount(text_of(prices, "tickSize")),
        lot=amount(text_of(sizes, "stepSize")),
        state=text_of(row, "orderBookState"),
        list_utc=_utc(text_of(row, "createdAt")),
        raw=row,
    )


def _utc(text: str | None) -> str | None:
    """Write `2025-01-21T06:34:54.691858`, which names no zone and is UTC, as our own text; None for anything else."""
    try:
        moment_ns = utc_ns(f"{text}Z")
    except ValueError:
        return None
    return utc_text(moment_ns, 3) if moment_ns > 0 else None
