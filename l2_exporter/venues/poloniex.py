"""Poloniex, spot: the channel `book_lv2`, the best 20 levels a side.

Sources: api-docs.poloniex.com "Spot / WebSocket" and "Order Book Level 2" (copies of 2026), recording of 2022. See
docs/venues/poloniex.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Say, Subscribed, Unsubscribed
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, symbol_of, utc_of_ms
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules
from l2_exporter.venues.lacking import NoChecksum, NoRestBook

NAME = "poloniex"
BOOKS = "book_lv2"
DEPTH = 20
SLOTS = 2
PING = '{"event":"ping"}'
PING_EVERY_MS = 10_000
"""The venue ends a connection whose client says nothing for 30 s, however much it sends itself ("Overview"). Links ask
silent venues only, so a busy one is asked here, by the time its pushes carry."""
MARKETS_PATH = "/markets"
MAX_DECIMALS = 30

CHANNELS = {
    BOOKS: Channel(
        name=BOOKS,
        depth=DEPTH,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="data[].createTime; of a snapshot data[].ts",
        time_decimals=3,
        push_interval_ms=None,
        proven=True,
        slots=SLOTS,
    )
}

_PUSHES = {"snapshot": Push.SNAPSHOT, "update": Push.DELTA}
_TIMES = {Push.SNAPSHOT: "ts", Push.DELTA: "createTime"}
"""A snapshot's `createTime` is when the book last changed (8.8 hours before, in one recorded case). Dated by that it
would stand among the lines of that hour, and all that came later would look as if it were from the future. `ts` is when
it was sent, and it is the book of that moment."""

LINK = LinkRules(
    ws_url="wss://ws.poloniex.com/ws/public",
    rest_url="https://api.poloniex.com",
    # No limit of books is published.
    books_per_connection=50,
    books_per_request=50,
    # 500 requests a second and connection, 2000 connections an address (spot "Overview"); 10 a second are enough.
    requests_per_hour=36_000,
    request_burst=10,
    connects_per_s=2,
    # At the latest 10 s (busy) + 10 s (silent) behind what was said last: below the venue's 30 s.
    ping=PING,
    ping_after_s=10,
    dead_after_s=25,
    deflate=False,
    # Asked for one list only.
    rest_requests=5,
    rest_per_s=1,
    first_data_s=10,
)


class Poloniex(NoChecksum, NoRestBook):
    """Poloniex as the core sees it."""

    name = NAME
    hosts = ("ws.poloniex.com/ws/public",)
    markets = ("spot",)
    channels = CHANNELS
    link = LINK

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which remembers when it said something last."""
        return PoloniexConnection()

    def code_of(self, instrument: Instrument) -> str:
        """The wire calls an instrument by its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Every instrument is a spot pair."""
        return "spot"

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the REST path that lists spot pairs."""
        return [MARKETS_PATH] if "spot" in markets else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """The list is whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list of pairs.

        One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

        Raises:
            VenueError: an error answer, or not the shape of a list of pairs.
        """
        try:
            rows = orjson.loads(body)
            orjson.dumps(rows)  # refuses what is nested too deeply to be written to our own files
        except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
            raise VenueError(f"Poloniex answered its list with something else than JSON: {clip(body)}") from error
        if type(rows) is not list or set(map(type, rows)) not in (set(), {dict}):
            raise VenueError(f"Poloniex refused its list of pairs: {clip(body)}")
        return [_pair(row) for row in rows]


class PoloniexConnection:
    """One connection, and the time of the push at which it asked last whether the venue is there."""

    def __init__(self) -> None:
        self._asked_ms: int | None = None

    def opened(self) -> list[str]:
        """Say nothing: subscriptions come first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes instruments."""
        return [_request("subscribe", [inst for _, inst in books])]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end one subscription and begin it anew."""
        return [_request("unsubscribe", [inst]), _request("subscribe", [inst])]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Poloniex sent something else than JSON: {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        if "event" in message:
            return _answers(message)
        channel = text_of(message, "channel")
        if channel != BOOKS:
            return [Other(f"channel {clip(channel)}", known=channel is not None)]
        books = _books(message)
        return [*books, *self._ping(message["data"][-1]["ts"])]

    def _ping(self, ts_ms: int) -> list[Event]:
        """Ask whether the venue is there, once in a while: it wants to hear from us."""
        if self._asked_ms is not None and abs(ts_ms - self._asked_ms) < PING_EVERY_MS:
            return []
        is_first, self._asked_ms = self._asked_ms is None, ts_ms
        return [] if is_first else [Say(PING)]


def _answers(message: dict[str, Any]) -> list[Event]:
    """Read the answer to a request."""
    event, insts = text_of(message, "event"), message.get("symbols")
    if event == "error":
        return [Refused("error", text_of(message, "message") or clip(message.get("message")))]
    if event in ("subscribe", "unsubscribe"):
        if message.get("channel") != BOOKS or type(insts) is not list or set(map(type, insts)) != {str}:
            return [Other(f"answer to {event}")]
        confirms = Subscribed if event == "subscribe" else Unsubscribed
        return [confirms(BOOKS, inst) for inst in insts]
    return [Other(f"event {clip(event)}", known=event in ("pong", "unsubscribe_all", "list_subscriptions"))]


def _books(message: dict[str, Any]) -> list[Event]:
    """Read a push; in practice it holds one book."""
    entries = message.get("data")
    if type(entries) is not list or not entries or set(map(type, entries)) != {dict}:
        raise odd("Poloniex", BOOKS, None, "data")
    push = _PUSHES.get(text_of(message, "action") or "")
    return [_book(push, entry, len(entries)) for entry in entries]


def _book(push: Push | None, entry: dict[str, Any], books: int) -> BookPush:
    inst = text_of(entry, "symbol")
    if not inst:
        raise odd("Poloniex", BOOKS, None, "data[].symbol", books=books)
    wrong = [] if push is not None else ["action"]
    wrong += [name for name in ("bids", "asks") if not are_rows(entry.get(name), SLOTS)]
    wrong += [name for name in ("id", "lastId", "createTime", "ts") if not is_counter(entry.get(name))]
    if push is None or wrong:
        raise odd("Poloniex", BOOKS, inst, *wrong, books=books)
    event_ns = epoch_ns(entry[_TIMES[push]], NS_PER_MS)
    return BookPush(push, BOOKS, inst, entry["bids"], entry["asks"], event_ns, entry["id"], entry["lastId"], None)


def _request(event: str, insts: Sequence[str]) -> str:
    return orjson.dumps({"event": event, "channel": [BOOKS], "symbols": list(insts)}).decode()


def _pair(row: dict[str, Any]) -> Instrument:
    inst, limits = text_of(row, "symbol"), row.get("symbolTradeLimit")
    if not inst:
        raise VenueError(f"Poloniex listed a pair without a symbol: {clip(row)}")
    base, quote = text_of(row, "baseCurrencyName"), text_of(row, "quoteCurrencyName")
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote),
        base=base,
        quote=quote,
        market="spot",
        size_unit="base",
        tick=_step(limits, "priceScale"),
        lot=_step(limits, "quantityScale"),
        state=text_of(row, "state"),
        list_utc=utc_of_ms(str(row.get("tradableStartTime"))),
        raw=row,
    )


def _step(limits: Any, key: str) -> str | None:
    """Write the step of a number with so many decimals: `0.01` for 2."""
    decimals = limits.get(key) if type(limits) is dict else None
    if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
        return None
    return f"0.{'1':0>{decimals}}" if decimals else "1"
