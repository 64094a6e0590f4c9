"""Kraken, spot, WebSocket v2: the channel `book` at each depth it is offered at.

Sources: docs.kraken.com "Book", "Heartbeat", "Ping", guides "WebSocket v2 checksum" and "Reconnection" (copies of 2025
and 2026), notes of a third party on 5,129 messages at depth 1000 (August 2026), recordings of 2021 and 2026. See
docs/venues/kraken.md.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Never

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Row, Subscribed, Unsubscribed
from l2_exporter.core.fields import odd, text_of
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import END_OF_TIME_NS, utc_ns
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules
from l2_exporter.venues import kraken_instruments
from l2_exporter.venues.lacking import NoRestBook

NAME = kraken_instruments.NAME
HOSTS = (
    "ws.kraken.com/v2",
    "ws-auth.kraken.com/v2",
    "ws-l3.kraken.com/v2",
    "beta-ws.kraken.com/v2",
    "uws.kraken.com/v2",
)
"""Without the path it is v1; futures.kraken.com is another exchange, with a protocol of its own."""
WIRE_BOOK = "book"
CHECKSUM_LEVELS = 10
MAX_CHECKSUM = (1 << 32) - 1
SLOTS = 2
SILENT_CHANNELS = ("executions", "balances", "heartbeat", "instrument", "level3", "ohlc", "status", "ticker", "trade")
"""Channels whose frames say nothing of our books."""


def _book_channel(name: str, depth: int, suffix: str, *, proven: bool) -> Channel:
    return Channel(
        name=name,
        depth=depth,
        suffix=suffix,
        continuity=Continuity.CHECKSUM,
        whole=False,
        checksum=True,
        event_time="data[].timestamp",
        time_decimals=6,
        push_interval_ms=None,
        proven=proven,
        slots=SLOTS,
        checksum_depth=CHECKSUM_LEVELS,
        truncates=True,
    )


CHANNELS = {
    channel.name: channel
    for channel in (
        # Deep enough for 400 levels a side. The recording of the present protocol is one of depth 10.
        _book_channel("book", 1000, "", proven=False),
        _book_channel("book-500", 500, "book-500", proven=False),
        _book_channel("book-100", 100, "book-100", proven=False),
        _book_channel("book-25", 25, "book-25", proven=False),
        _book_channel("book-10", 10, "book-10", proven=True),
    )
}
"""One a depth: the wire calls all of them `book`, and only the confirmation of a subscription tells which one it is."""

_BY_DEPTH = {str(channel.depth): channel.name for channel in CHANNELS.values()}
_PUSHES = {"snapshot": Push.SNAPSHOT, "update": Push.DELTA}

LINK = LinkRules(
    ws_url="wss://ws.kraken.com/v2",
    rest_url="https://api.kraken.com",
    # No limit of books is published for this channel (200 for `level3`); with 25 of them a snapshot each is 2 MB.
    books_per_connection=25,
    books_per_request=25,
    # No limit of requests is published for public channels; clients report one a second.
    requests_per_hour=3600,
    request_burst=30,
    # About 150 attempts in 10 minutes and address; above that all are refused for 10 minutes ("Rate limits").
    connects_per_s=0.25,
    # A heartbeat comes every second in which nothing else does, once there is a subscription ("Heartbeat"): 5 s of
    # silence are odd ("Reconnection").
    ping='{"method":"ping"}',
    ping_after_s=5,
    dead_after_s=15,
    deflate=False,
    # Public REST: about one request a second ("Rate limits").
    rest_requests=1,
    rest_per_s=1,
    first_data_s=10,
)


class Kraken(NoRestBook):
    """Kraken as the core sees it."""

    name = NAME
    hosts = HOSTS
    markets = ("spot",)
    channels = CHANNELS
    link = LINK
    instrument_paths = staticmethod(kraken_instruments.instrument_paths)
    further_instrument_paths = staticmethod(kraken_instruments.further_instrument_paths)
    decode_instruments = staticmethod(kraken_instruments.decode_instruments)

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which remembers the depth of each book on it."""
        return KrakenConnection()

    def code_of(self, instrument: Instrument) -> str:
        """The wire calls an instrument by its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Every instrument is a spot pair."""
        return "spot"

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, unsigned, of the best 10 asks, then the best 10 bids, each price and size.

        Texts as sent, without the point and without leading zeros (guide "WebSocket v2 checksum").
        """
        rows = [*asks[:CHECKSUM_LEVELS], *bids[:CHECKSUM_LEVELS]]
        cells = [cell.replace(".", "").lstrip("0") for row in rows for cell in row[:2]]
        return zlib.crc32("".join(cells).encode())

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether there is something to check. 0 is the sum of a book without levels, which needs no check.

        Of any other book one in four thousand millions has it; a venue that sent 0 for all would have switched its
        checksums off, as another one has done.
        """
        return bool(checksum)


class KrakenConnection:
    """One connection, and which of our channels each book on it is: frames carry no depth.

    A connection has one subscription a symbol: a second one is refused with "Already subscribed", whatever its depth.
    """

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._confirmed: dict[str, str | None] = {}

    def opened(self) -> list[str]:
        """Say nothing: subscriptions come first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write a frame for each depth."""
        insts: dict[str, list[str]] = {}
        for channel, inst in books:
            insts.setdefault(channel, []).append(inst)
            self._asked[inst] = channel
        return [_request("subscribe", channel, symbols) for channel, symbols in insts.items()]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end one subscription and begin it anew; the venue takes them in order."""
        return [_request("unsubscribe", channel, [inst]), *self.subscribe([(channel, inst)])]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        message = _loaded(frame)
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        channel = message.get("channel")
        if channel == WIRE_BOOK and "method" not in message:
            return self._books(message)
        if "method" in message or "success" in message or "error" in message:
            return [self._answer(message)]
        known = type(channel) is str and channel in SILENT_CHANNELS
        return [Other(f"channel {clip(channel)}", known=known)]

    def _answer(self, message: dict[str, Any]) -> Event:
        """Read the answer to a request."""
        method, result = text_of(message, "method"), message.get("result")
        if message.get("success") is False or "error" in message:
            return _refused(message)
        if method == "pong":
            return Other("pong")
        inst = text_of(result, "symbol")
        if method not in ("subscribe", "unsubscribe") or text_of(result, "channel") != WIRE_BOOK or not inst:
            return Other(f"answer to {clip(method)}", known=method in ("subscribe", "unsubscribe"))
        depth = text_of(result, "depth")
        channel = self._channel_of(inst) if depth is None else _BY_DEPTH.get(depth)
        if method == "subscribe" and (inst in self._asked or not self._asked):
            self._confirmed[inst] = channel
        if channel is None:
            return Other(f"book of depth {clip(depth)}", known=False)
        return Subscribed(channel, inst) if method == "subscribe" else Unsubscribed(channel, inst)

    def _channel_of(self, inst: str) -> str | None:
        """Tell which channel a book is of: as confirmed, else as asked for, else the default. None: of none of ours."""
        if inst in self._confirmed:
            return self._confirmed[inst]
        return self._asked.get(inst, WIRE_BOOK)

    def _books(self, message: dict[str, Any]) -> list[Event]:
        """Read a push; in practice it holds one book."""
        entries = message.get("data")
        if type(entries) is not list or not entries or set(map(type, entries)) != {dict}:
            raise odd("Kraken", WIRE_BOOK, None, "data")
        push = _PUSHES.get(text_of(message, "type") or "")
        return [self._book(push, entry, len(entries)) for entry in entries]

    def _book(self, push: Push | None, entry: dict[str, Any], books: int) -> Event:
        inst = text_of(entry, "symbol")
        if not inst:
            raise odd("Kraken", WIRE_BOOK, None, "data[].symbol", books=books)
        channel = self._channel_of(inst)
        if channel is None:
            return Other("book of a depth that is none of ours", known=False)
        bids, asks = _rows(entry.get("bids")), _rows(entry.get("asks"))
        wrong = [] if push is not None else ["type"]
        wrong += [name for name, rows in (("bids", bids), ("asks", asks)) if rows is None]
        # A snapshot had no time at first (copies of 2023), today it has.
        wrong += [] if "timestamp" in entry or push is Push.SNAPSHOT else ["timestamp"]
        wrong += [] if _is_checksum(entry.get("checksum")) else ["checksum"]
        if push is None or bids is None or asks is None or wrong:
            raise odd("Kraken", channel, inst, *wrong, books=books)
        checksum = entry.get("checksum")
        event_ns = _event_ns(entry.get("timestamp"))
        return BookPush(
            push, channel, inst, bids, asks, event_ns, None, None, None if checksum is None else int(checksum)
        )


def _refuse(token: str) -> Never:
    raise ValueError(f"{token} is no number")


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse)
"""Keeps each number as the text that was sent: trailing zeros decide a checksum."""


def _loaded(frame: str | bytes) -> Any:
    """Read JSON; numbers become texts.

    Raises:
        VenueError: it is none.
    """
    try:
        text = frame if isinstance(frame, str) else frame.decode()
        if "\\u" in text or not text.isascii():
            orjson.loads(text)  # refuses halves of surrogate pairs, which no file of ours could hold
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise VenueError(f"Kraken sent something else than JSON: {clip(frame)}") from error


def _rows(levels: Any) -> list[Row] | None:
    """Read levels `{"price":78871.5,"qty":0.01266503}`; None if they are not such."""
    if type(levels) is not list:
        return None
    try:
        rows = [[level["price"], level["qty"]] for level in levels]
    except (KeyError, TypeError):
        return None
    return rows if are_rows(rows, SLOTS) else None


def _is_checksum(value: Any) -> bool:
    """Tell whether a value is an unsigned 32-bit number, as text, or missing."""
    if type(value) is not str:
        return value is None
    return value.isascii() and value.isdecimal() and len(value) <= 10 and int(value) <= MAX_CHECKSUM


def _event_ns(timestamp: Any) -> int | None:
    """Read `2026-08-24T22:21:57.110183Z`; None for what is no time after 1970."""
    try:
        event_ns = utc_ns(timestamp)
    except (TypeError, ValueError):
        return None
    return event_ns if 0 < event_ns < END_OF_TIME_NS else None


def _refused(message: dict[str, Any]) -> Refused:
    """Read an error; some of them name the symbol beside their text only."""
    text, symbol = text_of(message, "error") or clip(message.get("error")), text_of(message, "symbol")
    named = symbol is None or symbol in text
    return Refused(text_of(message, "method") or "", text if named else f"{text} {symbol}")


def _request(method: str, channel: str, insts: Sequence[str]) -> str:
    params: dict[str, object] = {"channel": WIRE_BOOK, "symbol": list(insts), "depth": CHANNELS[channel].depth}
    if method == "subscribe":
        params["snapshot"] = True
    return orjson.dumps({"method": method, "params": params}).decode()
