"""OKX v5: order book channels of the public WebSocket and the REST book.

Sources: docs-v5 "Order book channel" and "GET / Order book" (copies of July 2026), help notice of 21 May 2026 on the
checksum, change log of 12 February 2026 on the initial snapshot; recordings of 2022 to 2026. See docs/venues/okx.md.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from l2_exporter.core.book import best_first
from l2_exporter.core.errors import SchemaError, VenueError, clip
from l2_exporter.core.events import (
    WHOLE,
    BookPush,
    ClosingSoon,
    Event,
    Other,
    Push,
    Refused,
    Row,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.core.fields import are_counters, is_counter
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.rows import alternating, are_rows, sides_of
from l2_exporter.core.timetext import END_OF_TIME_NS, NS_PER_MS
from l2_exporter.core.venue import BookAsked, Channel, Continuity, LinkRules
from l2_exporter.venues import okx_instruments

NAME = "okx"
HOSTS = ("okx.com",)
CHECKSUM_LEVELS = 25
STALE_AFTER_S = 185
"""A book without change gets a keep-alive, or its last state again, about every 60 s; three of them may be missed."""
SLOTS = 2
"""A level is `[price, size, "0", orders]`; only the first two are needed to keep a book."""
NOTICE_CLOSING = "64008"
REST_BOOK_PATH = "/api/v5/market/books"


def _deltas(name: str, depth: int, suffix: str, interval_ms: int, *, needs_keys: bool, proven: bool) -> Channel:
    return Channel(
        name=name,
        depth=depth,
        suffix=suffix,
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=True,
        event_time="data[].ts",
        time_decimals=3,
        push_interval_ms=interval_ms,
        proven=proven,
        stale_after_s=STALE_AFTER_S,
        slots=SLOTS,
        checksum_depth=CHECKSUM_LEVELS,
        needs_keys=needs_keys,
    )


def _wholes(name: str, depth: int, interval_ms: int) -> Channel:
    return Channel(
        name=name,
        depth=depth,
        suffix=name,
        continuity=Continuity.NONE,
        whole=True,
        checksum=False,
        event_time="data[].ts",
        time_decimals=3,
        push_interval_ms=interval_ms,
        proven=False,
        stale_after_s=STALE_AFTER_S,
        slots=SLOTS,
    )


CHANNELS = {
    channel.name: channel
    for channel in (
        _deltas("books", 400, "", 100, needs_keys=False, proven=True),
        _deltas("books-l2-tbt", 400, "books-l2-tbt", 10, needs_keys=True, proven=True),
        _deltas("books50-l2-tbt", 50, "books50-l2-tbt", 10, needs_keys=True, proven=False),
        _wholes("books5", 5, 100),
        _wholes("bbo-tbt", 1, 10),
    )
}

_MARKETS = (
    (re.compile(r".+-SWAP"), "perp"),
    (re.compile(r".+-\d{6}-[\d.]+-[CP]", re.ASCII), "option"),
    (re.compile(r".+-\d{6}", re.ASCII), "futures"),
)
_ACTIONS = {"snapshot": Push.SNAPSHOT, "update": Push.DELTA}


LINK = LinkRules(
    ws_url="wss://ws.okx.com:8443/ws/v5/public",
    rest_url="https://www.okx.com",
    # The venue advises fewer than 30 depth channels a connection, allows 480 requests an hour on it and 3 connection
    # attempts a second, and closes a link that is silent for 30 s (docs-v5, "WebSocket / Connect").
    books_per_connection=25,
    books_per_request=25,
    requests_per_hour=480,
    request_burst=60,
    connects_per_s=3,
    ping="ping",
    ping_after_s=20,
    dead_after_s=30,
    deflate=True,
    rest_requests=40,
    rest_per_s=2,
    first_data_s=5,
)


class Okx:
    """OKX as the core sees it, and each of its connections: they remember nothing, so one serves all."""

    name = NAME
    hosts = HOSTS
    markets = ("perp", "futures", "spot", "option")
    channels = CHANNELS
    link = LINK
    instrument_paths = staticmethod(okx_instruments.instrument_paths)
    further_instrument_paths = staticmethod(okx_instruments.further_instrument_paths)
    decode_instruments = staticmethod(okx_instruments.decode_instruments)

    def connection(self, codes: Mapping[str, str]) -> "Okx":
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def market_of(self, inst: str) -> str:
        """Tell the market from the id: `*-SWAP`, `*-YYMMDD-STRIKE-C|P`, `*-YYMMDD`, else spot."""
        return next((market for pattern, market in _MARKETS if pattern.fullmatch(inst)), "spot")

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame of a public connection.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: neither JSON nor one of the venue's plain texts.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            if frame in ("pong", b"pong"):
                return [Other("pong")]
            raise VenueError(f"OKX sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        arg = message.get("arg")
        name = arg.get("channel") if type(arg) is dict else None
        channel = CHANNELS.get(name) if type(name) is str else None
        if "event" in message and (channel is None or "data" not in message):
            return [_control(message)]
        if channel is None or type(arg) is not dict:
            return [Other("push of another channel", known=type(arg) is dict)]
        return _books(channel, arg, message)

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the answer of GET /api/v5/market/books.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"OKX answered the book of {inst} with something else than JSON: {clip(body)}") from error
        if type(answer) is not dict or answer.get("code") != "0":
            raise VenueError(f"OKX refused the book of {inst}: {clip(body)}")
        books = answer.get("data")
        if type(books) is not list or len(books) != 1 or type(books[0]) is not dict:
            raise VenueError(f"OKX answered the book of {inst} without one book in `data`: {clip(body)}")
        book = _book(channel, inst, Push.SNAPSHOT, books[0], by_number=False)
        depth = CHANNELS[channel].depth
        bids, asks = best_first(book.bids, book.asks)
        return book._replace(bids=bids[:depth], asks=asks[:depth], prev_seq=None, checksum=None, numbers=None)

    def book_path(self, channel: str, inst: str) -> str:
        """Name the REST path of a book, at the channel's full depth."""
        return f"{REST_BOOK_PATH}?instId={quote(inst, safe='')}&sz={CHANNELS[channel].depth}"

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        query = parse_qs(parts.query)
        inst, levels = query.get("instId", [""])[0], query.get("sz", [""])[0]
        if not parts.path.endswith(REST_BOOK_PATH) or not inst:
            return None
        return BookAsked(inst, int(levels) if levels.isascii() and levels.isdecimal() else None)

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes (channel, instrument) pairs."""
        return [_operation("subscribe", books)]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one book and subscribe it again."""
        book = [(channel, inst)]
        return [_operation("unsubscribe", book), _operation("subscribe", book)]

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, signed, of the best 25 levels: `bid price:size:ask price:size:...`, texts as sent."""
        unsigned = zlib.crc32(alternating(bids, asks, CHECKSUM_LEVELS))
        return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether there is something to check: since 23 June 2026 the field is a constant 0."""
        return bool(checksum)


def _control(message: dict[str, Any]) -> Event:
    """Read an acknowledgement, an error or a notice."""
    kind = message["event"]
    code, text = str(message.get("code", "")), str(message.get("msg", ""))
    channel, inst = _text_of(message.get("arg"), "channel"), _text_of(message.get("arg"), "instId")
    if kind in ("subscribe", "unsubscribe") and channel in CHANNELS and inst:
        return Subscribed(channel, inst) if kind == "subscribe" else Unsubscribed(channel, inst)
    if kind == "error":
        return Refused(code, text)
    if kind == "notice" and code == NOTICE_CLOSING:
        return ClosingSoon(code, text)
    return Other(f"event {clip(kind)}")


def _books(channel: Channel, arg: dict[str, Any], message: dict[str, Any]) -> list[Event]:
    """Read a push of a book channel."""
    inst, action = arg.get("instId"), message.get("action")
    if type(inst) is not str or not inst:
        raise _odd(channel.name, None, "arg.instId")
    push = WHOLE if channel.whole else _ACTIONS.get(action) if type(action) is str else None
    if push is None:
        raise _odd(channel.name, inst, "action")
    books = message.get("data")
    if type(books) is not list or not books:
        raise _odd(channel.name, inst, "data")
    if len(books) == 1 and type(books[0]) is dict:
        return [_book(channel.name, inst, push, books[0])]
    if set(map(type, books)) != {dict}:
        raise _odd(channel.name, inst, "data", books=len(books))
    try:
        return [_book(channel.name, inst, push, book) for book in books]
    except SchemaError as error:
        error.books = len(books)
        raise


def _book(channel: str, inst: str, push: Push, book: dict[str, Any], *, by_number: bool = True) -> BookPush:
    get = book.get
    seq, prev_seq, checksum = get("seqId"), get("prevSeqId"), get("checksum")
    sides = sides_of(get("bids"), get("asks"), SLOTS)
    wrong = [] if sides is not None else [name for name in ("bids", "asks") if not are_rows(get(name), SLOTS)]
    if "ts" not in book:
        wrong.append("ts")
    if not are_counters(seq, prev_seq, checksum):
        wrong += [name for name in ("seqId", "prevSeqId", "checksum") if name in book and not is_counter(book[name])]
    if push is not WHOLE and by_number and (seq is None) != (prev_seq is None):
        wrong.append("seqId" if seq is None else "prevSeqId")
    if wrong or sides is None:
        raise _odd(channel, inst, *wrong)
    bids, asks, numbers = sides
    return BookPush(push, channel, inst, bids, asks, _event_ns(get("ts")), seq, prev_seq, checksum, (), numbers)


def _event_ns(ts: Any) -> int | None:
    """Read epoch milliseconds, text or number; None for what is no time: zero, not digits, beyond the year 9999."""
    if type(ts) is int:
        ts = str(ts)
    if type(ts) is not str or not (ts.isascii() and ts.isdecimal()) or len(ts) > 15:
        return None
    event_ns = int(ts) * NS_PER_MS
    return event_ns if 0 < event_ns < END_OF_TIME_NS else None


def _text_of(value: Any, key: str) -> str | None:
    text = value.get(key) if type(value) is dict else None
    return text if type(text) is str else None


def _odd(channel: str, inst: str | None, *missing: str, books: int = 1) -> SchemaError:
    return SchemaError(
        f"OKX {channel} of {inst or 'no instrument'}: missing or wrong: {', '.join(missing)}",
        channel=channel,
        inst=inst,
        missing=missing,
        books=books,
    )


def _operation(op: str, books: Sequence[tuple[str, str]]) -> str:
    args = [{"channel": channel, "instId": inst} for channel, inst in books]
    return orjson.dumps({"op": op, "args": args}).decode()
