"""Backpack, server side: the stream `depth` of changes without confirmations, books and markets by REST.

Written from the project's venue notes on Backpack, and checked against captured frames. What the notes warn of is done
here: REST writes prices without the zeros at their end that the socket writes, its bids come worst first, its number is
a text, and it can be ahead of the socket. The venue's pings are of the protocol and not this file's business.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
LISTED_AGO_NS = 365 * DAY_NS
NS_PER_US = 1_000
DEPTH = "depth"
WHOLE_BOOK = 10_000
OUT_AFTER_US = 215
"""What lies between a change in the matching engine and the message that tells it."""
BOOK_PATH = "/api/v1/depth"
MARKETS_PATH = "/api/v1/markets"
LIMITS = ("5", "10", "20", "50", "100", "500", "1000")
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
SILENT_STREAMS = ("bookTicker", "kline", "liquidation", "markPrice", "openInterest", "ticker", "trade")
"""Taken like the real ones; nothing is ever pushed on them here."""

_PRICES = {
    "BTC": (866_559, Grid(1, 1, padded=True), Grid(1, 5, padded=True)),
    "ETH": (276_310, Grid(1, 2, padded=True), Grid(1, 4, padded=True)),
    "SOL": (14_512, Grid(1, 2, padded=True), Grid(1, 2, padded=True)),
    "kSHIB": (6_178, Grid(1, 6, padded=True), Grid(1, 0)),
    "AAPL.US": (34_032, Grid(1, 2, padded=True), Grid(1, 2, padded=True)),
}
"""Start price in ticks, tick and lot of what is known; everything else is invented."""
_INVENTED = (Grid(1, 4, padded=True), Grid(1, 2, padded=True))
_ID = re.compile(r"(?P<base>[A-Za-z0-9.]{1,20})_(?P<quote>[A-Z0-9]{1,20})(?P<perp>_PERP)?", re.ASCII)
_WINDOW = re.compile(r"\d+ms\..+", re.ASCII | re.DOTALL)
_WINDOWS = ("200ms", "600ms", "1000ms")

Json = dict[str, object]


class Backpack:
    """Backpack as a client sees it."""

    name = "backpack"
    ws_path = "/"
    channels: Mapping[str, Channel] = {
        DEPTH: Channel(DEPTH, WHOLE_BOOK, whole=False, checksum=False, keepalive_ns=NEVER_NS, pushes_snapshot=False),
    }
    max_step = 1
    broken_field = ('"b":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "checksum", "bad_checksum", "no_snapshot", "reset"})

    def __init__(self, seed: int) -> None:
        self._lots: dict[str, Grid] = {}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, perpetuals and spot, then invented ones, 32 in all."""
        known = ["SOL_USDC_PERP", "BTC_USDC_PERP", "SOL_USDC", "kSHIB_USDC_PERP", "AAPL.US_USDC_PERP", "ETH_USDC"]
        return [*known, *(f"SIM{number:02d}_USDC_PERP" for number in range(1, 33 - len(known)))]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

        Raises:
            ConfigError: neither like `SOL_USDC` nor like `SOL_USDC_PERP`.
        """
        match = _ID.fullmatch(inst)
        if match is None:
            raise ConfigError(f"Backpack has no ids like {clip(inst)}; write it like SOL_USDC or SOL_USDC_PERP")
        base, quote, spot = match["base"], match["quote"], match["perp"] is None
        drawn = (Random(f"price/{base}").randint(20_000, 90_000), *_INVENTED)
        price, tick, lot = _PRICES.get(base) or drawn
        self._lots[inst] = lot
        return Instrument(
            inst=inst,
            base=base,
            quote=quote,
            settle="" if spot else quote,
            market="spot" if spot else "perp",
            kind="" if spot else "linear",
            tick=tick,
            lot=lot,
            contract_value="" if spot else "1",
            contract_ccy="" if spot else base,
            listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, 3_000, 120, 160, 4, 0.96),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError("Backpack has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the root, where a client may leave the slash out."""
        return path in ("", self.ws_path)

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame: mostly with nothing."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        method = request.get("method") if isinstance(request, dict) else None
        streams = request.get("params") if isinstance(request, dict) else None
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(streams, list):
            return [_error(4002, "Parse error")]
        return [action for stream in streams for action in _taken(method == "SUBSCRIBE", stream, venue)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Say nothing: a quiet book sends nothing at all."""
        return []

    def closed(self, link: Link) -> None:
        """Remember nothing of a connection."""

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the captured order. There are changes only."""
        if push.kind is not Kind.DELTA or push.prev is None:
            return []
        lot, engine_us = self._lots[push.inst], push.ts_ns // NS_PER_US
        data: Json = {
            "E": engine_us + OUT_AFTER_US,
            "T": engine_us,
            "U": push.prev + 1,
            "a": _padded(push.asks, lot),
            "b": _padded(push.bids, lot),
            "e": "depth",
            "s": push.inst,
            "u": push.seq,
        }
        return [_text({"data": data, "stream": f"{push.channel}.{push.inst}"})]

    def notice(self, link: Link) -> str:
        """Announce nothing: a server that shuts down sends a close frame."""
        return ""

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        return request.query.get("symbol") if request.path == BOOK_PATH else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        if request.path == MARKETS_PATH:
            return Reply(200, _text([_listed(one) for one in venue.instruments.values()]))
        if request.path == BOOK_PATH:
            return _book(request.query, venue)
        return Reply(404, "not found", PLAIN)

    def too_many_requests(self) -> Reply:
        """Answer 429; the venue names no time to wait."""
        return _refusal(429, "TOO_MANY_REQUESTS", "Too many requests.")


def _taken(subscribes: bool, stream: object, venue: Venue) -> list[Action]:
    """Take one stream in; what there is none of is met with silence."""
    kind, _, inst = str(stream).partition(".")
    if kind in SILENT_STREAMS:
        return []
    if kind != DEPTH:
        return [_error(4006, "Invalid stream")]
    if _WINDOW.fullmatch(inst):
        return [] if inst.partition(".")[0] in _WINDOWS else [_error(4008, "Invalid depth window")]
    if inst not in venue.instruments:
        return []
    return [Subscribe(DEPTH, inst) if subscribes else Unsubscribe(DEPTH, inst)]


def _padded(rows: Sequence[Row], lot: Grid) -> list[Row]:
    """Write sizes with all decimals of the market, zero too."""
    return [(price, lot.text(0) if size == "0" else size) for price, size in rows]


def _book(query: Mapping[str, str], venue: Venue) -> Reply:
    """Answer a book: bids worst first, prices without zeros at their end; without a limit the whole of it."""
    inst, limit = query.get("symbol", ""), query.get("limit")
    if limit is not None and limit not in LIMITS:
        why = 'failed to parse "DepthLimit": Expect a valid enumeration value.'
        return Reply(400, f"failed to parse parameter `limit`: {why}", PLAIN)
    if inst not in venue.instruments:
        return _refusal(400, "INVALID_CLIENT_REQUEST", "Invalid market symbol")
    book = venue.book(inst, WHOLE_BOOK if limit is None else int(limit))
    bids, asks = ([(_stripped(price), size) for price, size in rows] for rows in (book.bids, book.asks))
    timestamp = book.ts_ns // NS_PER_US
    return Reply(200, _text({"asks": asks, "bids": bids[::-1], "lastUpdateId": str(book.seq), "timestamp": timestamp}))


def _stripped(price: str) -> str:
    return price.rstrip("0").rstrip(".") if "." in price else price


def _listed(one: Instrument) -> Json:
    """Write a market; times name no zone."""
    spot = one.market == "spot"
    created = datetime.fromtimestamp(one.listed_ns // NS_PER_S, UTC)
    return {
        "baseSymbol": one.base,
        "createdAt": created.strftime("%Y-%m-%dT%H:%M:%S.000000"),
        "filters": {
            "price": {"maxPrice": None, "minPrice": one.tick.step, "tickSize": one.tick.step},
            "quantity": {"maxQuantity": None, "minQuantity": one.lot.step, "stepSize": one.lot.step},
        },
        "fundingInterval": None if spot else 3_600_000,
        "marketType": "SPOT" if spot else "PERP",
        "orderBookState": "Open",
        "quoteSymbol": one.quote,
        "symbol": one.inst,
        "visible": True,
    }


def _error(code: int, message: str) -> Tell:
    return Tell(_text({"id": None, "error": {"code": code, "message": message}}))


def _refusal(status: int, code: str, message: str) -> Reply:
    return Reply(status, _text({"code": code, "message": message}))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
