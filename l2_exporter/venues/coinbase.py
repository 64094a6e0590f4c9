"""Coinbase: `level2_batch` and `full` of Coinbase Exchange, `level2` of Advanced Trade: two protocols of one company.

Sources: docs.cdp.coinbase.com Exchange "WebSocket Overview", "Channels", "Rate limits", "Get all known trading pairs",
Advanced Trade "WebSocket Overview", "WebSocket Channels" (copies of 2026); frames of Exchange captured by a third party
on 25 August 2026; a recording of Advanced Trade of 9 August 2026. See docs/venues/coinbase.md.

A frame tells its protocol by its shape: Advanced Trade names a `channel` and a `sequence_num`, Exchange a `type`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Numbered, Other, Push, Refused, Subscribed, Unsubscribed
from l2_exporter.core.fields import is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules, Scope
from l2_exporter.venues import coinbase_full, coinbase_instruments
from l2_exporter.venues.coinbase_frames import (
    SUBSCRIPTIONS,
    Levels,
    advanced_ids,
    exchange_ids,
    read_changes,
    read_sides,
    read_updates,
)
from l2_exporter.venues.lacking import NoChecksum

NAME = coinbase_instruments.NAME
COMPANY = "Coinbase"
BATCH = "level2_batch"
LEVEL2 = "level2"
L2_DATA = "l2_data"
"""What Advanced Trade calls the frames of `level2`."""
BATCH_NAMES = (BATCH, "level2_50")
"""What Exchange calls the channel in an acknowledgement: the second name (frame captured on 25 August 2026)."""
HEARTBEATS = '{"type":"subscribe","channel":"heartbeats"}'
_ORDERS = ("activate", "auction", "change", "done", "heartbeat", "heartbeats", "open", "received", "status")
_TRADES = ("candles", "futures_balance_summary", "last_match", "market_trades", "match", "ticker", "ticker_batch")
SILENT = frozenset(_ORDERS + _TRADES)
"""Types of Exchange and channels of Advanced Trade whose frames say nothing of our books."""
OWN_BOOKS = ("USDT-USDC", "EURC-USDC")
"""The only products in USDC that have books of their own ("WebSocket Channels")."""

CHANNELS = {
    BATCH: Channel(
        name=BATCH,
        depth=None,
        suffix="",
        continuity=Continuity.NONE,
        whole=False,
        checksum=False,
        event_time="time",
        time_decimals=6,
        push_interval_ms=50,
        proven=False,
    ),
    LEVEL2: Channel(
        name=LEVEL2,
        depth=None,
        suffix="advanced",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="events[].updates[].event_time",
        time_decimals=6,
        push_interval_ms=None,
        proven=True,
        scope=Scope.LINK,
        ws_url="wss://advanced-trade-ws.coinbase.com",
    ),
    coinbase_full.FULL: coinbase_full.CHANNEL,
}

_EVENTS = {"snapshot": Push.SNAPSHOT, "update": Push.DELTA}
_TYPES = {"snapshot": Push.SNAPSHOT, "l2update": Push.DELTA}
_DERIVATIVES = (
    (re.compile(r".+-PERP-INTX"), "perp"),
    (re.compile(r".+-\d{2}[A-Z]{3}\d{2}-CDE", re.ASCII), "futures"),
)

LINK = LinkRules(
    ws_url="wss://ws-feed.exchange.coinbase.com",
    rest_url="https://api.exchange.coinbase.com",
    # No limit of products is published. Where a connection is counted, one lost frame costs all of its books, and a
    # snapshot of a liquid one is 5 MB (recording of 9 August 2026).
    books_per_connection=10,
    books_per_request=10,
    # Advanced Trade takes 8 messages a second and address without keys, Exchange 100 ("Rate limits").
    requests_per_hour=14_400,
    request_burst=4,
    # 8 connections a second and address, either feed ("Rate limits"); each says two things at first.
    connects_per_s=4,
    # Neither feed has a ping of its own. Advanced Trade sends a heartbeat every second; a quiet book of Exchange
    # nothing.
    ping=None,
    ping_after_s=10,
    dead_after_s=25,
    deflate=True,
    # Exchange takes 10 public requests a second and address ("Rate limits"); asked for one list only.
    rest_requests=5,
    rest_per_s=1,
    first_data_s=10,
)


class Coinbase(NoChecksum):
    """Coinbase as the core sees it."""

    name = NAME
    hosts = ("ws-feed.exchange.coinbase.com", "ws-direct.exchange.coinbase.com", "advanced-trade-ws.coinbase.com")
    markets = ("spot",)
    channels = CHANNELS
    link = LINK
    instrument_paths = staticmethod(coinbase_instruments.instrument_paths)
    further_instrument_paths = staticmethod(coinbase_instruments.further_instrument_paths)
    decode_instruments = staticmethod(coinbase_instruments.decode_instruments)
    book_asked = staticmethod(coinbase_full.book_asked)
    key_parts = coinbase_full.KEY_PARTS
    signed = staticmethod(coinbase_full.signed)
    headers = staticmethod(coinbase_full.headers)

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the path of a book of orders; books of levels cannot be joined with their streams."""
        return coinbase_full.book_path(inst) if channel == coinbase_full.FULL else None

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the REST book of orders.

        Raises:
            VenueError: an error answer, or a channel that cannot be joined with one.
        """
        if channel != coinbase_full.FULL:
            raise VenueError(f"a REST book of Coinbase cannot be joined with {channel}, so that of {inst} is not read")
        return coinbase_full.decode_book(inst, body)

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which remembers what was subscribed on it."""
        return CoinbaseConnection()

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: spot, but for what Advanced Trade calls `*-PERP-INTX` and `*-28NOV25-CDE`."""
        return next((market for pattern, market in _DERIVATIVES if pattern.fullmatch(inst)), "spot")


class CoinbaseConnection:
    """One connection: what was subscribed on it and what of that was confirmed, each by channel, in order."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, None]] = {name: {} for name in CHANNELS}
        self._confirmed: dict[str, dict[str, None]] = {name: {} for name in CHANNELS}
        self._has_heartbeats = False

    def opened(self) -> list[str]:
        """Say nothing: subscriptions come first, within the 5 s the venue waits for them."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write a frame for each channel, and once one for the heartbeats of Advanced Trade.

        Its channels close after 60 to 90 s without an update; heartbeats keep them open ("WebSocket Channels").
        """
        insts: dict[str, list[str]] = {}
        for channel, inst in books:
            insts.setdefault(channel, []).append(inst)
            self._asked[channel][inst] = None
        texts = [_request("subscribe", channel, each) for channel, each in insts.items()]
        if LEVEL2 in insts and not self._has_heartbeats:
            self._has_heartbeats = True
            texts.append(HEARTBEATS)
        return texts

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end one subscription and begin it anew, with a new snapshot."""
        return [_request("unsubscribe", channel, [inst]), *self.subscribe([(channel, inst)])]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame of either protocol.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Coinbase sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        if "channel" in message:
            return self._advanced(message)
        kind = text_of(message, "type")
        push = _TYPES.get(kind or "")
        if push is not None:
            return self._exchange_book(push, message)
        if kind is not None and self._is_full(kind, message):
            return [coinbase_full.read_message(kind, message)]
        return self._exchange_control(kind, message)

    # ---- Advanced Trade ---------------------------------------------------------------------------------------------

    def _advanced(self, message: dict[str, Any]) -> list[Event]:
        """Read a frame of Advanced Trade: every one has a number, one more than the one before on its connection."""
        channel, number = text_of(message, "channel"), message.get("sequence_num")
        if channel == L2_DATA:
            return self._advanced_books(message, number)
        numbered: list[Event] = [Numbered(number)] if is_counter(number) else []
        if channel == SUBSCRIPTIONS:
            return [*numbered, *self._acknowledged(LEVEL2, advanced_ids(message, LEVEL2))]
        return [*numbered, Other(f"channel {clip(channel)}", known=channel in SILENT)]

    def _advanced_books(self, message: dict[str, Any], number: Any) -> list[Event]:
        """Read a frame with the books of one product or several."""
        entries = message.get("events")
        if type(entries) is not list or not entries or set(map(type, entries)) != {dict}:
            raise odd(COMPANY, LEVEL2, None, "events")
        found: list[Event] = []
        for entry in entries:
            product, kind, levels = text_of(entry, "product_id"), text_of(entry, "type"), read_updates(entry)
            wrong = [] if is_counter(number) else ["sequence_num"]
            wrong += [] if kind in _EVENTS else ["type"]
            books = sum(text_of(other, "product_id") == product for other in entries)
            insts = self._named(LEVEL2, product, [*wrong, *levels.wrong], books)
            push = _EVENTS[kind or ""]
            found += [_push(push, LEVEL2, inst, levels, number) for inst in insts]
        # 1. The number of a frame that cannot be read is never told: the next one shows that one is missing, and what
        #    it said of other books is declared lost with it.
        return [Numbered(number), *found]

    # ---- Exchange ---------------------------------------------------------------------------------------------------

    def _exchange_book(self, push: Push, message: dict[str, Any]) -> list[Event]:
        """Read a snapshot or an update; it has no number, and may lack its time."""
        levels = read_sides(message) if push is Push.SNAPSHOT else read_changes(message)
        insts = self._named(BATCH, text_of(message, "product_id"), levels.wrong)
        return [_push(push, BATCH, inst, levels, None) for inst in insts]

    def _is_full(self, kind: str, message: dict[str, Any]) -> bool:
        """Tell whether a message is one of `full`: of a known type, or a product's with a number.

        3. A connection that subscribes nothing is somebody else's recording.
        4. By the documents' example `activate` has no number, and then says nothing.
        """
        if kind in coinbase_full.NOT_FULL or not (self._asked[coinbase_full.FULL] or not any(self._asked.values())):
            return False
        return kind in coinbase_full.PROMISED or ("product_id" in message and "sequence" in message)

    def _exchange_control(self, kind: str | None, message: dict[str, Any]) -> list[Event]:
        """Read an acknowledgement, an error (of either protocol) or a frame of another channel."""
        if kind == SUBSCRIPTIONS:
            batch = self._acknowledged(BATCH, exchange_ids(message, BATCH_NAMES))
            full = self._acknowledged(coinbase_full.FULL, exchange_ids(message, (coinbase_full.FULL,)))
            return [event for event in [*batch, *full] if type(event) is not Other] or batch
        if kind == "error":
            text, reason = text_of(message, "message") or clip(message.get("message")), text_of(message, "reason")
            return [Refused(kind, text) if reason is None else Refused(text, reason)]
        return [Other(f"type {clip(kind)}", known=kind in SILENT)]

    # ---- both -------------------------------------------------------------------------------------------------------

    def _named(self, channel: str, product: str | None, wrong: Sequence[str], books: int = 1) -> list[str]:
        """Tell which instruments a product's message is of.

        Raises:
            SchemaError: it names none, or something is wrong with it.
        """
        insts = self._insts(channel, product) if product else []
        if wrong or not product:
            missing = [*([] if product else ["product_id"]), *wrong]
            raise odd(COMPANY, channel, insts[0] if insts else None, *missing, books=books)
        return insts

    def _insts(self, channel: str, product: str) -> list[str]:
        """Tell which instruments a product is: those subscribed that have its name, or stand for it.

        2. A subscription of `BTC-USDC` delivers `BTC-USD` (Advanced Trade "WebSocket Channels"); who subscribes both
           gets both. Of Exchange nobody says so: there a product is taken for another only if it was not subscribed.
        """
        asked, twin = self._asked[channel], product + "C"
        names = (product, twin) if product.endswith("-USD") and twin not in OWN_BOOKS else (product,)
        found = [inst for inst in names if inst in asked] or [product]
        return found if channel == LEVEL2 else found[:1]

    def _acknowledged(self, channel: str, products: Iterable[str] | None) -> list[Event]:
        """Tell what a list of all subscriptions of a connection changes; None: it was no such list."""
        if products is None:
            return [Other("subscriptions without a list", known=False)]
        before = self._confirmed[channel]
        now = dict.fromkeys(inst for product in products for inst in self._insts(channel, product))
        self._confirmed[channel] = now
        ended: list[Event] = [Unsubscribed(channel, inst) for inst in before if inst not in now]
        begun: list[Event] = [Subscribed(channel, inst) for inst in now if inst not in before]
        return [*ended, *begun] or [Other(SUBSCRIPTIONS)]


def _push(push: Push, channel: str, inst: str, levels: Levels, number: int | None) -> BookPush:
    return BookPush(push, channel, inst, levels.bids, levels.asks, levels.event_ns, number, None, None)


def _request(kind: str, channel: str, insts: Sequence[str]) -> str:
    """Write a request: Advanced Trade takes one channel each, Exchange a list of them."""
    request: dict[str, object] = {"type": kind, "product_ids": [*insts]}
    request |= {"channel": channel} if channel == LEVEL2 else {"channels": [channel]}
    return orjson.dumps(request).decode()
