"""Poloniex spot, server side: `book_lv2`, clients that must keep talking, pairs by REST.

Written from the project's venue notes on Poloniex, and checked against recorded frames. Not known from either: what
errors say, but for that of a second subscription.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10_000 * 24 * 3600 * NS_PER_S
BOOKS = "book_lv2"
DEPTH = 20
SILENT_CHANNELS = ("candles_minute_1", "currencies", "exchange", "symbols", "ticker", "trades")
"""Acknowledged like the real ones; nothing is ever pushed on them here."""
CLIENT_SILENCE_NS = 30 * NS_PER_S
CUT = HangUp(1000, "")
"""It ends a session "without warning"."""
PAIRS_PATH = "/markets"
BOOK_PATH = re.compile(r"/markets/(?P<inst>[A-Z0-9]+_[A-Z0-9]+)/orderBook", re.ASCII)
BOOK_LIMITS = ("5", "10", "20", "50", "100", "150")
LISTED_NS = 1_659_018_819_512 * NS_PER_MS

_PRICES = {
    "BTC": (7_887_150, Grid(1, 2), Grid(1, 6)),
    "ETH": (230_012, Grid(1, 2), Grid(1, 6)),
    "SOL": (143_050, Grid(1, 3), Grid(1, 6)),
    "TRX": (31_405, Grid(1, 5), Grid(1, 4)),
}
_ID = re.compile(r"(?P<base>[A-Z0-9]{1,20})_(?P<quote>[A-Z0-9]{1,20})", re.ASCII)

Json = dict[str, object]


class Poloniex:
    """Poloniex as a client sees it."""

    name = "poloniex"
    ws_path = "/ws/public"
    channels: Mapping[str, Channel] = {
        BOOKS: Channel(BOOKS, DEPTH, whole=False, checksum=False, keepalive_ns=NEVER_NS),
    }
    max_step = 15
    broken_field = ('"bids":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "no_snapshot"})
    """Nothing announces a close, and a subscription always brings a snapshot."""

    def __init__(self, seed: int) -> None:
        self._heard_ns: dict[str, int] = {}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known pairs, then invented ones."""
        known = ["BTC_USDT", "ETH_USDT", "SOL_USDT", "TRX_USDT", "ETH_BTC"]
        return known + [f"SIM{number:02d}_USDT" for number in range(1, 28)]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a pair.

        Raises:
            ConfigError: not like `BTC_USDT`.
        """
        match = _ID.fullmatch(inst)
        if match is None:
            raise ConfigError(f"Poloniex has no pairs like {clip(inst)}; write it like BTC_USDT")
        base = match["base"]
        drawn = (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4), Grid(1, 4))
        price, tick, lot = _PRICES.get(base) or drawn
        return Instrument(
            inst=inst,
            base=base,
            quote=match["quote"],
            settle="",
            market="spot",
            kind="",
            tick=tick,
            lot=lot,
            contract_value="",
            contract_ccy="",
            listed_ns=LISTED_NS,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, size=340_000, fewest=25, most=60, touches=6, activity=0.98),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size; how many orders it has is not told."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError("Poloniex has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the public endpoint only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first, and had better do so."""
        self._heard_ns[link.conn] = link.opened_ns
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        self._heard_ns[link.conn] = venue.now_ns
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            return [_error("Bad request")]
        event, channels, symbols = request.get("event"), request.get("channel"), request.get("symbols")
        if event == "ping":
            return [_tell({"event": "pong"})]
        if event not in ("subscribe", "unsubscribe") or not isinstance(channels, list) or len(channels) != 1:
            return [_error("Bad request")]
        if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
            return [_error("Bad request")]
        insts = [*venue.instruments] if symbols == ["all"] else symbols
        if channels[0] in SILENT_CHANNELS:
            return [_tell({"event": event, "channel": channels[0], "symbols": symbols})]
        if channels[0] != BOOKS or not {*insts} <= {*venue.instruments}:
            return [_error("Subscription failed (invalid channel or symbol)")]
        ack = _tell({"event": event, "channel": BOOKS, "symbols": symbols})
        if event == "unsubscribe":
            return [ack, *(Unsubscribe(BOOKS, inst) for inst in insts)]
        if any((BOOKS, inst) in link.books for inst in insts):
            return [_error("Subscription failed (already subscribed)")]
        return [ack, *(Subscribe(BOOKS, inst) for inst in insts)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Cut a client that has said nothing for 30 s, however much was sent to it."""
        return [CUT] if venue.now_ns - self._heard_ns[link.conn] >= CLIENT_SILENCE_NS else []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._heard_ns.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the recorded order. `lastId` of a snapshot is a number too: the one before its own."""
        created_ms = push.ts_ns // NS_PER_MS
        book: Json = {
            "symbol": push.inst,
            "createTime": created_ms,
            "asks": push.asks,
            "bids": push.bids,
            "lastId": push.seq - 1 if push.prev is None else push.prev,
            "id": push.seq,
            "ts": max(created_ms, link.active_ns // NS_PER_MS),
        }
        action = "snapshot" if push.kind is Kind.SNAPSHOT else "update"
        return [orjson.dumps({"channel": BOOKS, "data": [book], "action": action}).decode()]

    def notice(self, link: Link) -> str:
        """Announce nothing: a close comes without warning."""
        raise NotImplementedError("Poloniex announces no close")

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        match = BOOK_PATH.fullmatch(request.path)
        return None if match is None else match["inst"]

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        if request.path == PAIRS_PATH:
            return _reply([_listed(inst) for inst in venue.instruments.values()])
        inst, limit = self.requested_inst(request), request.query.get("limit", "10")
        if inst is None or inst not in venue.instruments or limit not in BOOK_LIMITS:
            return _reply({"code": 21301, "message": "Invalid symbol or parameter"}, status=400)
        book = venue.book(inst, int(limit))
        ts = venue.now_ns // NS_PER_MS
        bids, asks = ([cell for row in side for cell in row] for side in (book.bids, book.asks))
        return _reply({"time": book.ts_ns // NS_PER_MS, "scale": "0.01", "asks": asks, "bids": bids, "ts": ts})

    def too_many_requests(self) -> Reply:
        """Refuse a request that came too soon after others."""
        return _reply({"code": 429, "message": "Too many requests"}, status=429)


def _listed(inst: Instrument) -> Json:
    """Write a pair as the list has it."""
    listed_ms = inst.listed_ns // NS_PER_MS
    return {
        "symbol": inst.inst,
        "baseCurrencyName": inst.base,
        "quoteCurrencyName": inst.quote,
        "displayName": f"{inst.base}/{inst.quote}",
        "state": "NORMAL",
        "visibleStartTime": listed_ms,
        "tradableStartTime": listed_ms,
        "symbolTradeLimit": {
            "symbol": inst.inst,
            "priceScale": inst.tick.decimals,
            "quantityScale": inst.lot.decimals,
            "amountScale": 2,
            "minQuantity": inst.lot.step,
            "minAmount": "1",
            "highestBid": "0",
            "lowestAsk": "0",
        },
        "crossMargin": {"supportCrossMargin": False, "maxLeverage": 1},
    }


def _error(message: str) -> Tell:
    return _tell({"event": "error", "message": message})


def _tell(frame: Json) -> Tell:
    return Tell(orjson.dumps(frame).decode())


def _reply(answer: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(answer).decode())
