"""Bybit v5: order book streams of linear contracts, inverse contracts and spot, three venues of one protocol.

The same topic (`orderbook.200.BTCUSDT`) exists on each of the three sockets and means another book, hence three names.
Sources: docs "Websocket / Public / Orderbook", "Connect", "Market / Get Instruments Info" (copy of 24 July 2026); a
recording of 9 August 2026. See docs/venues/bybit.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of, utc_of_ms
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules
from l2_exporter.venues.lacking import NoChecksum, NoRestBook

TOPIC = "orderbook."
RESET = 1
"""An update with this number is a snapshot after a restart of the service, whatever its type says."""
INSTRUMENTS_PATH = "/v5/market/instruments-info"
_PUSHES = {"snapshot": Push.SNAPSHOT, "delta": Push.DELTA}
_EXPIRING = re.compile(r".+-\d{1,2}[A-Z]{3}\d{2}|.+[FGHJKMNQUVXZ]\d{2}", re.ASCII)
"""`BTCUSDT-26JUN26` and, inverse, `BTCUSDH26`: month letter and year."""


def _channel(depth: int, interval_ms: int, *, whole: bool = False, proven: bool = False) -> Channel:
    name = f"{TOPIC}{depth}"
    return Channel(
        name=name,
        depth=depth,
        suffix="" if depth == 1000 else name,
        continuity=Continuity.NONE if whole else Continuity.SEQUENCE,
        whole=whole,
        checksum=False,
        event_time="cts",
        time_decimals=3,
        push_interval_ms=interval_ms,
        proven=proven,
    )


@dataclass(frozen=True, slots=True)
class Category:
    """One of the venue's product groups.

    Attributes:
        name: the venue here; word: the product group in the venue's own word.
        markets: what it lists, the best known first.
        per_request: topics in one subscribing frame; spot allows 10, futures name no limit but 21,000 characters.
    """

    name: str
    word: str
    markets: tuple[str, ...]
    per_request: int


LINEAR = Category("bybit", "linear", ("perp", "futures"), 50)
INVERSE = Category("bybit_inverse", "inverse", ("perp", "futures"), 50)
SPOT = Category("bybit_spot", "spot", ("spot",), 10)


class Bybit(NoChecksum, NoRestBook):
    """One product group of Bybit, and each of its connections: they remember nothing, so one serves all."""

    def __init__(self, category: Category) -> None:
        self.name = category.name
        self.markets = category.markets
        self.hosts = (f"stream.bybit.com/v5/public/{category.word}",)
        self.channels = {
            channel.name: channel
            for channel in (
                _channel(1000, 200),
                _channel(200, 100, proven=category is not INVERSE),
                _channel(50, 20),
                _channel(1, 10, whole=True),
            )
        }
        self.link = LinkRules(
            ws_url=f"wss://stream.bybit.com/v5/public/{category.word}",
            rest_url="https://api.bybit.com",
            # 500 connections in 5 minutes; the venue cuts after 10 minutes without a ping or data, and asks for a ping
            # every 20 s (docs "Connect"). How many topics a connection may carry is not limited for futures and spot.
            books_per_connection=50,
            books_per_request=category.per_request,
            requests_per_hour=3600,
            request_burst=20,
            connects_per_s=1.5,
            ping='{"op":"ping"}',
            ping_after_s=20,
            dead_after_s=30,
            deflate=True,
            rest_requests=600,
            rest_per_s=5,
            first_data_s=5,
        )
        self._category = category

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: spot, or what has a date or a month letter at its end is a future, else perpetual."""
        if self._category is SPOT:
            return "spot"
        return "futures" if _EXPIRING.fullmatch(inst) else "perp"

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frame that subscribes (channel, instrument) pairs."""
        return [_operation("subscribe", books)]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one book and subscribe it again: that brings a snapshot."""
        book = [(channel, inst)]
        return [_operation("unsubscribe", book), _operation("subscribe", book)]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame of a public connection.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Bybit sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        topic = text_of(message, "topic")
        if topic is None:
            return [_control(message)]
        name, _, inst = topic.removeprefix(TOPIC).partition(".")
        channel = self.channels.get(TOPIC + name) if topic.startswith(TOPIC) else None
        if channel is None:
            return [Other("push of another channel")]
        return [_book(channel, inst, message)]

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the path that lists the product group, perpetuals and futures together."""
        wanted = {*markets} & {*self.markets}
        return [f"{INSTRUMENTS_PATH}?category={self._category.word}&limit=1000"] if wanted else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name the next page, if there is one (`nextPageCursor`).

        Raises:
            VenueError: as `decode_instruments`.
        """
        cursor = text_of(_result(body), "nextPageCursor")
        if not cursor:
            return []
        return [f"{INSTRUMENTS_PATH}?category={self._category.word}&limit=1000&cursor={quote(cursor, safe='')}"]

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read a page of the list.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        rows = _result(body).get("list")
        if type(rows) is not list or set(map(type, rows)) - {dict}:
            raise VenueError(f"Bybit answered its list of instruments without a list of them: {clip(body)}")
        return [self._instrument(row) for row in rows]

    def _instrument(self, row: dict[str, Any]) -> Instrument:
        inst = text_of(row, "symbol")
        if not inst:
            raise VenueError(f"Bybit listed an instrument without a symbol: {clip(row)}")
        base, quote_ccy = text_of(row, "baseCoin"), text_of(row, "quoteCoin")
        prices, lots = row.get("priceFilter"), row.get("lotSizeFilter")
        spot, inverse = self._category is SPOT, self._category is INVERSE
        settle = None if spot else text_of(row, "settleCoin")
        # Sizes of linear contracts count the base coin, those of inverse ones US dollars: a contract is one of them.
        return Instrument(
            venue=self.name,
            inst=inst,
            symbol=symbol_of(base, quote_ccy, settle),
            base=base,
            quote=quote_ccy,
            settle=settle,
            market=self.market_of(inst),
            kind=None if spot else self._category.word,
            size_unit="quote" if inverse else "base",
            contract_value=None if spot else "1",
            contract_value_ccy=None if spot else quote_ccy if inverse else base,
            tick=amount(text_of(prices, "tickSize")),
            lot=amount(text_of(lots, "basePrecision" if spot else "qtyStep")),
            state=text_of(row, "status"),
            list_utc=utc_of_ms(row.get("launchTime")),
            expiry_utc=utc_of_ms(row.get("deliveryTime")),
            raw=row,
        )


def _operation(op: str, books: Sequence[tuple[str, str]]) -> str:
    return orjson.dumps({"op": op, "args": [f"{channel}.{inst}" for channel, inst in books]}).decode()


def _control(message: dict[str, Any]) -> Event:
    """Read an acknowledgement (which names no topic), an error or the answer to a ping."""
    op = text_of(message, "op")
    if message.get("success") is False:
        return Refused("", text_of(message, "ret_msg") or "")
    return Other(f"answer to {clip(op)}", known=op in ("subscribe", "unsubscribe", "ping", "pong"))


def _book(channel: Channel, inst: str, message: dict[str, Any]) -> BookPush:
    push = _PUSHES.get(text_of(message, "type") or "")
    book = message.get("data")
    if not inst or push is None or type(book) is not dict:
        missing = [name for name, there in (("topic", inst), ("type", push), ("data", type(book) is dict)) if not there]
        raise odd("Bybit", channel.name, inst or None, *missing)
    bids, asks, number = book.get("b"), book.get("a"), book.get("u")
    wrong = [name for name, rows in (("b", bids), ("a", asks)) if not are_rows(rows, 2)]
    wrong += [] if is_counter(number) else ["u"]
    # 1. `cts` is the matching engine's time; topics that lack it have `ts`, when the frame was made.
    wrong += [] if "cts" in message or "ts" in message else ["cts"]
    if wrong or bids is None or asks is None or number is None:
        raise odd("Bybit", channel.name, inst, *wrong)
    event_ns = epoch_ns(message.get("cts", message.get("ts")), NS_PER_MS)
    if channel.whole:
        return BookPush(Push.WHOLE, channel.name, inst, bids, asks, event_ns, number, None, None)
    # 2. A delta follows the number before its own; a snapshot can come at any time and replaces everything.
    if push is Push.SNAPSHOT or number == RESET:
        return BookPush(Push.SNAPSHOT, channel.name, inst, bids, asks, event_ns, number, None, None)
    return BookPush(Push.DELTA, channel.name, inst, bids, asks, event_ns, number, number - 1, None)


def _result(body: str) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(
            f"Bybit answered its list of instruments with something else than JSON: {clip(body)}"
        ) from error
    result = answer.get("result") if type(answer) is dict and answer.get("retCode") == 0 else None
    if type(result) is not dict:
        raise VenueError(f"Bybit refused its list of instruments: {clip(body)}")
    return result
