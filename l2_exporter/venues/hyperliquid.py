"""Hyperliquid: the channel `l2Book`, every push a whole book of twenty levels a side, of perpetuals and spot pairs.

Sources: docs "Websocket / Subscriptions", "Timeouts and heartbeats", "Rate limits", "Info endpoint" (read in September
2026); the venue's own Python client; a survey of the wire of 24 September 2026. See docs/venues/hyperliquid.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Row, Subscribed, Unsubscribed
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.instrument import Instrument, symbol_of
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Connection, Continuity, LinkRules, Post
from l2_exporter.venues.lacking import NoChecksum, NoRestBook

NAME = "hyperliquid"
BOOK = "l2Book"
SLOTS = 4
GREETING = ("Websocket connection established.", b"Websocket connection established.")
"""A first frame that is no JSON: the venue's own client passes over it (python-sdk, `websocket_manager.py`)."""
INFO_PATH = "/info"
DOLLAR, COLLATERAL = "USD", "USDC"
COLLATERAL_INDEX = 0
MOST_DECIMALS = 18
_SPOT_MARKS = ("@", "#")
"""`@107`, a pair by its number; `#5160`, one side of an outcome, which is traded like spot (and never listed here)."""

CHANNELS = {
    BOOK: Channel(
        name=BOOK,
        depth=20,
        suffix="",
        continuity=Continuity.NONE,
        whole=True,
        checksum=False,
        event_time="data.time",
        time_decimals=3,
        # Pushed whether the book has changed or not: a book that misses eleven pushes in a row is not quiet but gone.
        push_interval_ms=5_000,
        stale_after_s=60,
        proven=True,
        slots=SLOTS,
    )
}

LINK = LinkRules(
    ws_url="wss://api.hyperliquid.xyz/ws",
    rest_url="https://api.hyperliquid.xyz",
    # An address has 10 connections (100 in older copies), 30 new ones a minute, 1,000 subscriptions, and 2,000 messages
    # a minute over all connections ("Rate limits"): each of ten may have a tenth.
    books_per_connection=100,
    books_per_request=1,
    requests_per_hour=12_000,
    request_burst=100,
    connects_per_s=0.5,
    # The venue closes what it has sent nothing for 60 s ("Timeouts and heartbeats"); a pong counts as something sent.
    ping='{"method":"ping"}',
    ping_after_s=20,
    dead_after_s=30,
    deflate=False,
    # 1,200 a minute, of which every list costs 20 ("Rate limits").
    rest_requests=60,
    rest_per_s=60,
    first_data_s=10,
)


class Hyperliquid(NoChecksum, NoRestBook):
    """Hyperliquid, and each of its connections: they remember nothing, so one serves all."""

    name = NAME
    hosts = ("api.hyperliquid.xyz",)
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
        """Tell the market: spot pairs have a slash, or `@` and a number ("Info endpoint", Perpetuals vs Spot)."""
        return "spot" if "/" in inst or inst.startswith(_SPOT_MARKS) else "perp"

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frames that subscribe (channel, instrument) pairs, one each."""
        return [_request("subscribe", inst) for _, inst in books]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one book and subscribe it again; a second subscription is refused."""
        return [_request("unsubscribe", inst), _request("subscribe", inst)]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        if frame in GREETING:
            return [Other("greeting")]
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Hyperliquid sent a frame that is not JSON ({error}): {clip(frame)}") from error
        channel, data = text_of(message, "channel"), message.get("data") if type(message) is dict else None
        if channel == BOOK:
            return [_book(data)]
        if channel == "subscriptionResponse":
            return [_answer(data)]
        if channel == "error":
            return [Refused("", data if type(data) is str else clip(data))]
        return [Other(f"push of {clip(channel)}", known=channel is not None)]

    def instrument_paths(self, markets: Sequence[str]) -> list[Post]:
        """Name the lists: the venue's own perpetuals, the exchanges that others run on it (HIP-3), spot pairs."""
        types = {"perp": ("meta", "perpDexs"), "spot": ("spotMeta",)}
        return [_info(type=name) for market in self.markets if market in markets for name in types[market]]

    def further_instrument_paths(self, body: str) -> list[Post]:
        """Name the lists of the exchanges in an answer that names exchanges.

        Raises:
            VenueError: as `decode_instruments`.
        """
        answer = _answered(body)
        return [_info(type="meta", dex=name) for name in _exchanges(answer)] if type(answer) is list else []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read a list of perpetuals or of spot pairs; one of exchanges has no instruments itself.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """
        answer = _answered(body)
        if type(answer) is list:
            _exchanges(answer)
            return []
        rows = answer.get("universe") if type(answer) is dict else None
        if rows is None or not _are_objects(rows):
            raise VenueError(f"Hyperliquid answered its list of instruments without a list of them: {clip(body)}")
        if "tokens" not in answer:
            return [self._perp(row, answer.get("collateralToken")) for row in rows]
        if not _are_objects(answer["tokens"]):
            raise VenueError(f"Hyperliquid listed its spot pairs without a list of their tokens: {clip(body)}")
        tokens = {token["index"]: token for token in answer["tokens"] if is_counter(token.get("index"))}
        return [self._pair(row, tokens) for row in rows]

    def _perp(self, row: dict[str, Any], collateral: object) -> Instrument:
        inst = self._id(row, "perp")
        base = inst.rpartition(":")[2] or None
        # A list that names no collateral is of old, when there was one. Which token another number is, spotMeta tells.
        dollars = collateral is None or (type(collateral) is int and collateral == COLLATERAL_INDEX)
        settle = COLLATERAL if dollars else None
        return Instrument(
            venue=NAME,
            inst=inst,
            symbol=symbol_of(base, DOLLAR, settle),
            base=base,
            quote=DOLLAR,
            settle=settle,
            market="perp",
            kind="linear",
            size_unit="base",
            contract_value="1",
            contract_value_ccy=base,
            lot=_lot(row),
            state="delisted" if row.get("isDelisted") is True else None,
            raw=row if collateral is None else {**row, "collateralToken": collateral},
        )

    def _pair(self, row: dict[str, Any], tokens: Mapping[int, dict[str, Any]]) -> Instrument:
        pair = row.get("tokens")
        if type(pair) is not list or len(pair) != 2 or not all(is_counter(index) for index in pair):
            raise VenueError(f"Hyperliquid listed a spot pair without its two tokens: {clip(row)}")
        first, second = (tokens.get(index) for index in pair)
        base, quote = text_of(first, "name"), text_of(second, "name")
        return Instrument(
            venue=NAME,
            inst=self._id(row, "spot"),
            symbol=symbol_of(base, quote),
            base=base,
            quote=quote,
            market="spot",
            size_unit="base",
            lot=_lot(first),
            raw=row,
        )

    def _id(self, row: dict[str, Any], market: str) -> str:
        """Return the name of a row; its market must be seen from it, since lines have nothing else to go by."""
        inst = text_of(row, "name")
        if not inst or self.market_of(inst) != market:
            raise VenueError(f"Hyperliquid listed an instrument of {market} without a name of that market: {clip(row)}")
        return inst


def _request(method: str, inst: str) -> str:
    return orjson.dumps({"method": method, "subscription": {"type": BOOK, "coin": inst}}).decode()


def _info(**members: str) -> Post:
    return Post(INFO_PATH, orjson.dumps(members).decode())


def _answer(data: Any) -> Event:
    """Read an acknowledgement: it repeats what was asked for."""
    wanted = data.get("subscription") if type(data) is dict else None
    inst, method = text_of(wanted, "coin"), text_of(data, "method")
    if method not in ("subscribe", "unsubscribe") or text_of(wanted, "type") != BOOK or not inst:
        return Other(f"answer to {clip(method)}", known=method in ("subscribe", "unsubscribe"))
    return Subscribed(BOOK, inst) if method == "subscribe" else Unsubscribed(BOOK, inst)


def _book(data: Any) -> Event:
    inst, levels = text_of(data, "coin"), data.get("levels") if type(data) is dict else None
    sides = [_rows(side) for side in levels] if type(levels) is list else []
    missing = [] if inst else ["coin"]
    missing += [] if len(sides) == 2 and None not in sides else ["levels"]
    missing += [] if type(data) is dict and "time" in data else ["time"]
    if missing or not inst:
        raise odd("Hyperliquid", BOOK, inst or None, *missing)
    # 1. The same channel can be asked for with five levels ("fast"); such frames say so, and are not this book.
    if data.get("fast") is True:
        return Other("push of the fast book")
    bids, asks = (side or [] for side in sides)
    return BookPush(Push.WHOLE, BOOK, inst, bids, asks, epoch_ns(data["time"], NS_PER_MS), None, None, None)


def _rows(levels: Any) -> list[Row] | None:
    """Turn `{"px","sz","n"}` into price, size, "0", number of orders; None unless all are such."""
    if not _are_objects(levels):
        return None
    rows: list[Row] = []
    for level in levels:
        orders = level.get("n")
        if not is_counter(orders) or orders < 0:
            return None
        rows.append([level.get("px"), level.get("sz"), "0", str(orders)])
    return rows if are_rows(rows, SLOTS) else None


def _are_objects(value: Any) -> bool:
    return type(value) is list and set(map(type, value)) <= {dict}


def _lot(row: Any) -> str | None:
    """Write the step of sizes: `szDecimals` behind the point ("Tick and lot size"). Prices have no step."""
    decimals = row.get("szDecimals") if type(row) is dict else None
    if type(decimals) is not int or not 0 <= decimals <= MOST_DECIMALS:
        return None
    return f"0.{'0' * (decimals - 1)}1" if decimals else "1"


def _exchanges(answer: list[Any]) -> list[str]:
    """Name the exchanges of an answer to `perpDexs`; the venue's own stands there as null."""
    names = [text_of(each, "name") for each in answer if each is not None]
    if not all(names):
        raise VenueError(f"Hyperliquid listed an exchange without a name: {clip(answer)}")
    return [name for name in names if name]


def _answered(body: str) -> Any:
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(
            f"Hyperliquid answered its list of instruments with something else than JSON: {clip(body)}"
        ) from error
    return answer
