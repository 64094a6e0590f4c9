"""Lighter (zkLighter): the channel `order_book`, the whole book of perpetuals and spot markets.

Sources: apidocs.lighter.xyz "websocket reference" and "Market data" (copies of 2026); frames captured on 28 July 2026;
recordings of December 2025, one field older. See docs/venues/lighter.md.

The wire calls a market by its number, everything else here by its symbol (`ETH`, `LIT/USDC`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Row, Say, Subscribed, Unsubscribed
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, symbol_of
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules
from l2_exporter.venues.lacking import NoChecksum, NoRestBook

NAME = "lighter"
BOOKS = "order_book"
SLOTS = 2
NS_PER_US = 1_000
PING = '{"type":"ping"}'
PONG = '{"type":"pong"}'
PING_EVERY_MS = 30_000
"""The venue ends a connection on which the client says nothing for 2 minutes, however much it sends itself ("Market
data", keepalive). Links ask silent venues only, so a busy one is asked here, by the time its pushes carry."""
DETAILS_PATH = "/api/v1/orderBookDetails"
COLLATERAL = "USDC"
"""Perpetuals are quoted and settled in it; their list names neither."""
MAX_DECIMALS = 30

CHANNELS = {
    BOOKS: Channel(
        name=BOOKS,
        depth=None,
        suffix="",
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=False,
        event_time="order_book.last_updated_at",
        time_decimals=6,
        push_interval_ms=50,
        proven=True,
        slots=SLOTS,
        # The first update behind a snapshot can be one that the snapshot holds (recording of 8 December 2025).
        overlaps=True,
    )
}

_PUSHES = {"subscribed/order_book": Push.SNAPSHOT, "update/order_book": Push.DELTA}
_KNOWN = frozenset({"connected", "pong", "subscribed", "unsubscribed", "update"})
"""What comes before the slash in the type of a frame that carries no book of ours."""
_LISTS = {"order_book_details": "perp", "spot_order_book_details": "spot"}

LINK = LinkRules(
    ws_url="wss://mainnet.zklighter.elliot.ai/stream",
    rest_url="https://mainnet.zklighter.elliot.ai",
    # An address has 100 subscriptions a connection (500 in newer copies), 200 messages a minute over all connections,
    # 80 new connections a minute ("websocket reference", limits). Two full connections stay below that.
    books_per_connection=100,
    books_per_request=1,
    requests_per_hour=3_600,
    request_burst=25,
    connects_per_s=1,
    ping=PING,
    # At the latest 30 s (busy) + 30 s (silent) behind what was said last: below the venue's 2 minutes.
    ping_after_s=30,
    dead_after_s=45,
    deflate=True,
    # 60 requests a minute and address; asked for one list only.
    rest_requests=10,
    rest_per_s=60,
    first_data_s=10,
)


class Lighter(NoChecksum, NoRestBook):
    """Lighter as the core sees it."""

    name = NAME
    hosts = ("mainnet.zklighter.elliot.ai",)
    markets = ("perp", "spot")
    channels = CHANNELS
    link = LINK

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which knows the markets' numbers and when it said something last."""
        return LighterConnection(codes)

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: the number of its market."""
        number = instrument.raw.get("market_id")
        return str(number) if type(number) is int else instrument.inst

    def market_of(self, inst: str) -> str:
        """Tell the market: symbols of spot markets have a slash."""
        return "spot" if "/" in inst else "perp"

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the REST path that lists perpetuals and spot markets together."""
        return [DETAILS_PATH] if {*markets} & {*self.markets} else []

    def further_instrument_paths(self, body: str) -> list[str]:
        """The list is whole."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the list of markets; those of a kind that is not recorded are passed over.

        One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

        Raises:
            VenueError: an error answer, or not the shape of a list of markets.
        """
        try:
            answer = orjson.loads(body)
            orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
        except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
            raise VenueError(
                f"Lighter answered its list of markets with something else than JSON: {clip(body)}"
            ) from error
        if type(answer) is not dict or answer.get("code") != 200:
            raise VenueError(f"Lighter refused its list of markets: {clip(body)}")
        found = []
        for name, market in _LISTS.items():
            rows = answer.get(name, [])
            if type(rows) is not list or set(map(type, rows)) not in (set(), {dict}):
                raise VenueError(f"Lighter answered its list of markets without a list in `{name}`: {clip(body)}")
            found += [_instrument(row, market) for row in rows if self._is_recorded(row, market)]
        return found

    def _is_recorded(self, row: dict[str, Any], market: str) -> bool:
        """Tell whether a row is what its list and its symbol say it is."""
        symbol = text_of(row, "symbol")
        if not symbol or type(row.get("market_id")) is not int:
            raise VenueError(f"Lighter listed a market without symbol and market_id: {clip(row)}")
        return (text_of(row, "market_type") or market) == market == self.market_of(symbol)


class LighterConnection:
    """One connection: the markets' numbers, and the time of the push at which it asked last for a sign of life."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        self._codes = codes
        self._insts: dict[str, str] = {}
        self._asked_ms: int | None = None

    def opened(self) -> list[str]:
        """Say nothing: the venue speaks first, and wants no answer."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frames that subscribe instruments, one each."""
        return [self._request("subscribe", inst) for _, inst in books]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end a subscription and begin it anew.

        A second subscription without the end of the first is refused (30003) and brings no snapshot.
        """
        return [self._request("unsubscribe", inst), self._request("subscribe", inst)]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Lighter sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        push = _PUSHES.get(text_of(message, "type") or "")
        if push is None:
            return [self._control(message)]
        book = self._book(push, message)
        # 1. The answer to a subscription is the snapshot itself.
        confirmed: list[Event] = [Subscribed(BOOKS, book.inst)] if push is Push.SNAPSHOT else []
        return [*confirmed, book, *self._ping(message.get("timestamp"))]

    def _control(self, message: dict[str, Any]) -> Event:
        """Read a greeting, a ping, an answer, an error or a push of another channel."""
        kind = text_of(message, "type")
        error = message if kind == "error" else message.get("error")
        if type(error) is dict:
            text = text_of(error, "message")
            return Refused(str(error.get("code", ""))[:20], clip(error) if text is None else text)
        if kind == "ping":
            return Say(PONG)
        inst = self._inst_of(message)
        if kind == "unsubscribed" and inst is not None:
            return Unsubscribed(BOOKS, inst)
        return Other(f"type {clip(kind)}", known=(kind or "").partition("/")[0] in _KNOWN)

    def _book(self, push: Push, message: dict[str, Any]) -> BookPush:
        inst, book = self._inst_of(message), message.get("order_book")
        if inst is None or type(book) is not dict:
            missing = [name for name, there in (("channel", inst), ("order_book", type(book) is dict)) if not there]
            raise odd("Lighter", BOOKS, inst, *missing)
        bids, asks = _rows(book.get("bids", "")), _rows(book.get("asks", ""))
        wrong = [name for name, rows in (("bids", bids), ("asks", asks)) if rows is None]
        wrong += [name for name in ("nonce", "begin_nonce") if name in book and not is_counter(book[name])]
        wrong += ["nonce"] if "begin_nonce" in book and "nonce" not in book else []
        dated = "last_updated_at" in book or "timestamp" in message
        wrong += [] if dated else ["last_updated_at"]
        if wrong or bids is None or asks is None:
            raise odd("Lighter", BOOKS, inst, *wrong)
        # 2. `last_updated_at` is in microseconds; frames of 2025 lack it and have `timestamp`, milliseconds of sending.
        if "last_updated_at" in book:
            event_ns = epoch_ns(book["last_updated_at"], NS_PER_US)
        else:
            event_ns = epoch_ns(message["timestamp"], NS_PER_MS)
        # 3. `begin_nonce` of an update is the nonce of the one before; a snapshot's is 0 and says nothing. Frames of
        #    2025 lack it, and a nonce alone proves nothing, since nonces have holes. `offset` has holes too today.
        seq = book["nonce"] if "begin_nonce" in book else None
        prev_seq = book.get("begin_nonce") if push is Push.DELTA else None
        return BookPush(push, BOOKS, inst, bids, asks, event_ns, seq, prev_seq, None)

    def _inst_of(self, message: dict[str, Any]) -> str | None:
        """Return the symbol of the market in `order_book:1`; a number that nobody has named stands for itself."""
        name, _, code = (text_of(message, "channel") or "").partition(":")
        if name != BOOKS or not code:
            return None
        inst = self._insts.get(code)
        if inst is None or self._codes.get(inst) != code:
            self._insts = {number: symbol for symbol, number in self._codes.items()}
            inst = self._insts.get(code, code)
        return inst

    def _ping(self, sent_ms: Any) -> list[Event]:
        """Ask for a sign of life once in a while: the venue wants to hear from us."""
        if type(sent_ms) is not int or (self._asked_ms is not None and abs(sent_ms - self._asked_ms) < PING_EVERY_MS):
            return []
        is_first, self._asked_ms = self._asked_ms is None, sent_ms
        return [] if is_first else [Say(PING)]

    def _request(self, kind: str, inst: str) -> str:
        return orjson.dumps({"type": kind, "channel": f"{BOOKS}/{self._codes.get(inst, inst)}"}).decode()


def _rows(levels: Any) -> list[Row] | None:
    """Turn `{"price","size"}` objects into rows; an empty side can be null. None for anything else."""
    if levels is None:
        return []
    if type(levels) is not list:
        return None
    try:
        rows = [[level["price"], level["size"]] for level in levels]
    except (KeyError, TypeError):
        return None
    return rows if are_rows(rows, SLOTS) else None


def _instrument(row: dict[str, Any], market: str) -> Instrument:
    """Describe a market. A size counts the base asset, also of a perpetual: a contract is one of it."""
    inst, spot = row["symbol"], market == "spot"
    base, quote = inst.split("/", 1) if spot else (inst, COLLATERAL)
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote, None if spot else COLLATERAL),
        base=base,
        quote=quote,
        settle=None if spot else COLLATERAL,
        market=market,
        kind=None if spot else "linear",
        size_unit="base",
        contract_value=None if spot else "1",
        contract_value_ccy=None if spot else base,
        tick=_step(row.get("price_decimals")),
        lot=_step(row.get("size_decimals")),
        state=text_of(row, "status"),
        raw=row,
    )


def _step(decimals: Any) -> str | None:
    """Write the step of a number with so many decimals: `0.01` for 2."""
    if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
        return None
    return f"0.{'1':0>{decimals}}" if decimals else "1"
