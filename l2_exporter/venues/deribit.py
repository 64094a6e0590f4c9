"""Deribit: order book streams over JSON-RPC, and its instruments.

Sources: docs "book.{instrument_name}.{interval}", "public/set_heartbeat", "public/get_instruments" (copies of 2025 and
2026); recordings of April and July 2021 of the stream `raw`. See docs/venues/deribit.md.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Row, Say, Subscribed, Unsubscribed
from l2_exporter.core.fields import epoch_ns, odd, text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of, utc_of_ms
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules
from l2_exporter.venues.lacking import NoChecksum, NoRestBook

NAME = "deribit"
BOOK = "book."
SUBSCRIBE_ID, UNSUBSCRIBE_ID, HEARTBEAT_ID, TEST_ID = 1, 2, 3, 4
HEARTBEAT_S = 30
INSTRUMENTS_PATH = "/api/v2/public/get_instruments?currency=any&expired=false&kind="
CHANGES = frozenset({"new", "change", "delete"})
_KINDS = {"perp": "future", "futures": "future", "option": "option", "spot": "spot"}
_PUSHES = {"snapshot": Push.SNAPSHOT, "change": Push.DELTA}
_MARKETS = (
    (re.compile(r".+-PERPETUAL"), "perp"),
    (re.compile(r".+-\d{1,2}[A-Z]{3}\d{2}", re.ASCII), "futures"),
    (re.compile(r".+-\d{1,2}[A-Z]{3}\d{2}-[\dd]+-[CP]", re.ASCII), "option"),
)
"""`BTC-PERPETUAL`, `BTC-26JUN26`, `BTC-26JUN26-100000-C` (strikes write their point as `d`); else spot, `BTC_USDC`."""
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)


def _channel(interval: str, interval_ms: int | None, *, needs_keys: bool = False, proven: bool = False) -> Channel:
    name = f"{BOOK}{interval}"
    return Channel(
        name=name,
        depth=None,
        suffix="" if interval == "100ms" else name,
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="timestamp",
        time_decimals=3,
        push_interval_ms=interval_ms,
        proven=proven,
        needs_keys=needs_keys,
    )


CHANNELS = {
    channel.name: channel for channel in (_channel("100ms", 100), _channel("raw", None, needs_keys=True, proven=True))
}


class Deribit(NoChecksum, NoRestBook):
    """Deribit as the core sees it, and each of its connections: they remember nothing, so one serves all."""

    name = NAME
    hosts = ("deribit.com",)
    markets = ("perp", "futures", "option", "spot")
    channels = CHANNELS
    link = LinkRules(
        ws_url="wss://www.deribit.com/ws/api/v2",
        rest_url="https://www.deribit.com",
        # 500 channels a subscribing call, frames of at most 32 kB; subscribing 3.3 times a second, 10 at once; 32
        # connections an address. The venue sends a heartbeat as often as it is asked to, and wants it answered.
        books_per_connection=250,
        books_per_request=250,
        requests_per_hour=3600,
        request_burst=5,
        connects_per_s=1,
        ping=None,
        ping_after_s=HEARTBEAT_S + 15,
        dead_after_s=HEARTBEAT_S + 30,
        deflate=True,
        rest_requests=20,
        rest_per_s=2,
        first_data_s=5,
    )

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market from the shape of the id."""
        return next((market for pattern, market in _MARKETS if pattern.fullmatch(inst)), "spot")

    def opened(self) -> list[str]:
        """Ask for heartbeats: a dead link shows by them."""
        return [_request(HEARTBEAT_ID, "public/set_heartbeat", {"interval": HEARTBEAT_S})]

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes (channel, instrument) pairs."""
        return [_request(SUBSCRIBE_ID, "public/subscribe", {"channels": [_topic(*book) for book in books]})]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one book and subscribe it again: that brings a snapshot."""
        topic = {"channels": [_topic(channel, inst)]}
        return [
            _request(UNSUBSCRIBE_ID, "public/unsubscribe", topic),
            _request(SUBSCRIBE_ID, "public/subscribe", topic),
        ]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame. Numbers keep the text they have on the wire.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        message = _loaded(frame, "a frame")
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        if message.get("method") == "heartbeat":
            return _heartbeat(message)
        if message.get("method") == "subscription":
            return _pushed(message.get("params"))
        return _answer(message)

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name one path for each kind that is wanted; perpetuals are futures there."""
        return [INSTRUMENTS_PATH + kind for kind in dict.fromkeys(_KINDS[one] for one in markets if one in _KINDS)]

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name nothing: a list comes whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read a list. Combinations of several instruments are left out: their books are none of one instrument.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        answer = _loaded(body, "its list of instruments")
        rows = answer.get("result") if type(answer) is dict else None
        if type(rows) is not list or set(map(type, rows)) - {dict}:
            raise VenueError(f"Deribit answered its list of instruments without a list of them: {clip(body)}")
        return [self._instrument(row) for row in rows if text_of(row, "kind") in _KINDS.values()]

    def _instrument(self, row: dict[str, Any]) -> Instrument:
        inst = text_of(row, "instrument_name")
        if not inst:
            raise VenueError(f"Deribit listed an instrument without a name: {clip(row)}")
        market = self.market_of(inst)
        spot, option = market == "spot", market == "option"
        base, counter = text_of(row, "base_currency"), text_of(row, "quote_currency")
        settle = None if spot else text_of(row, "settlement_currency")
        inverse = text_of(row, "instrument_type") == "reversed"
        # Sizes count US dollars for inverse futures and perpetuals, the base coin for all else (docs, "amount").
        dollars = inverse and not option
        return Instrument(
            venue=NAME,
            inst=inst,
            # The quote of an option that is settled in its base is the base itself: its strike is in dollars.
            symbol=symbol_of(base, "USD" if inverse else counter, settle),
            base=base,
            quote="USD" if inverse else counter,
            settle=settle,
            market=market,
            kind=None if spot else "inverse" if inverse else "linear",
            size_unit="quote" if dollars else "base",
            contract_value=None if spot else amount(row.get("contract_size")),
            contract_value_ccy=None if spot else "USD" if dollars else base,
            tick=amount(row.get("tick_size")),
            lot=amount(row.get("min_trade_amount")),
            state=text_of(row, "state"),
            list_utc=utc_of_ms(row.get("creation_timestamp")),
            expiry_utc=utc_of_ms(row.get("expiration_timestamp")) if market in ("futures", "option") else None,
            strike=amount(row.get("strike")) if option else None,
            right=text_of(row, "option_type") if option else None,
            raw=row,
        )


def _topic(channel: str, inst: str) -> str:
    """Write `book.BTC-PERPETUAL.100ms` of `book.100ms` and the instrument."""
    return f"{BOOK}{inst}.{channel.removeprefix(BOOK)}"


def _named(topic: str) -> tuple[str, str]:
    """Split a topic into the channel's name here and the instrument."""
    inst, _, interval = topic.removeprefix(BOOK).rpartition(".")
    return (f"{BOOK}{interval}", inst) if topic.startswith(BOOK) else ("", "")


def _request(number: int, method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, separators=(",", ":"))


def _loaded(text: str | bytes, what: str) -> Any:
    """Read JSON with every number as its own text."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise VenueError(f"Deribit sent {what} that is not JSON ({error}): {clip(text)}") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _pushed(params: Any) -> list[Event]:
    """Read a push: of a book, or of another channel."""
    topic = text_of(params, "channel")
    name, inst = _named(topic or "")
    if name not in CHANNELS:
        return [Other("push of another channel", known=topic is not None)]
    return [_book(CHANNELS[name], inst, params.get("data"))]


def _heartbeat(message: dict[str, Any]) -> list[Event]:
    """Answer the venue's question whether we are there; a plain heartbeat wants none."""
    if text_of(message.get("params"), "type") == "test_request":
        return [Say(_request(TEST_ID, "public/test", {}))]
    return [Other("heartbeat")]


def _answer(message: dict[str, Any]) -> list[Event]:
    """Read the answer to a request of ours. A channel that is missing in it was not subscribed."""
    error, result = message.get("error"), message.get("result")
    if type(error) is dict:
        return [Refused(str(error.get("code", "")), str(error.get("message", "")))]
    if type(result) is not list:
        return [Other("answer", known="result" in message)]
    kind = Unsubscribed if message.get("id") == str(UNSUBSCRIBE_ID) else Subscribed
    books = [_named(topic) for topic in result if type(topic) is str]
    return [kind(name, inst) for name, inst in books if name in CHANNELS] or [Other("answer")]


def _book(channel: Channel, inst: str, book: Any) -> BookPush:
    push = _PUSHES.get(text_of(book, "type") or "")
    if not inst or push is None:
        raise odd("Deribit", channel.name, inst or None, "type" if inst else "channel")
    bids, asks = _rows(book.get("bids")), _rows(book.get("asks"))
    seq, prev_seq = _number(book.get("change_id")), _number(book.get("prev_change_id"))
    wrong = [name for name, rows in (("bids", bids), ("asks", asks)) if rows is None]
    wrong += [] if seq is not None else ["change_id"]
    wrong += [] if prev_seq is not None or push is Push.SNAPSHOT else ["prev_change_id"]
    wrong += [] if "timestamp" in book else ["timestamp"]
    if wrong or bids is None or asks is None:
        raise odd("Deribit", channel.name, inst, *wrong)
    event_ns = epoch_ns(book["timestamp"], NS_PER_MS)
    return BookPush(push, channel.name, inst, bids, asks, event_ns, seq, prev_seq, None)


def _rows(changes: Any) -> list[Row] | None:
    """Read `[action, price, amount]` rows; None if they are none. A deletion's amount is 0 on the wire."""
    if type(changes) is not list or not all(type(row) is list and len(row) >= 3 for row in changes):
        return None
    rows = [row[1:3] for row in changes]
    if not are_rows(rows, 2) or any(type(row[0]) is not str or row[0] not in CHANGES for row in changes):
        return None
    return [[row[1], "0"] if row[0] == "delete" else row[1:3] for row in changes]


def _number(value: Any) -> int | None:
    """Read a whole number that fits 64 bits; its text came from the wire."""
    if type(value) is not str or _DIGITS.fullmatch(value) is None:
        return None
    number = int(value)
    return number if -(1 << 63) <= number < 1 << 63 else None
