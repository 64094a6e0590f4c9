"""Kraken spot, WebSocket v2, server side: books at five depths for the client to truncate, heartbeats, pairs by REST.

Written from the project's venue notes on Kraken, and checked against recorded frames. Not known from either: the texts
of the errors for requests that are no JSON, have no method, or end a subscription there is none of.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import NS_PER_S, utc_text
from l2_exporter.simulator.dialect import Action, Channel, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10_000 * 24 * 3600 * NS_PER_S
CHECKSUM_LEVELS = 10
WIRE_BOOK = "book"
DEFAULT_DEPTH = 10
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel(name, depth, whole=False, checksum=True, keepalive_ns=NEVER_NS, sums="right", truncates=True)
        for name, depth in (("book", 1000), ("book-500", 500), ("book-100", 100), ("book-25", 25), ("book-10", 10))
    )
}
"""The wire knows one channel, `book`, and a depth."""

PAIRS_PATH = "/0/public/AssetPairs"
STATUS_PATH = "/0/public/SystemStatus"
QTY_DECIMALS = 8
OLD_NAMES = {"BTC": ("XXBT", "XBT"), "DOGE": ("XXDG", "XDG"), "ETH": ("XETH", "ETH"), "USD": ("ZUSD", "USD")}
"""What REST calls an asset unless asked for the newer names: in `base` and `quote`, and in `wsname`."""

PACE = Pace(price=0, size=4_000_000, fewest=120, most=160, touches=14, activity=0.98)
_PRICES = {
    "BTC": (788_715, Grid(1, 1, padded=True)),
    "ETH": (230_012, Grid(1, 2, padded=True)),
    "SOL": (14_305, Grid(1, 2, padded=True)),
    "DOGE": (2_014_050, Grid(1, 7, padded=True)),
}
_ID = re.compile(r"(?P<base>[A-Z0-9.]{1,20})/(?P<quote>[A-Z0-9.]{1,20})", re.ASCII)

Json = dict[str, object]


class Kraken:
    """Kraken as a client sees it."""

    name = "kraken"
    ws_path = "/v2"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 1
    broken_field = ('"bids":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "no_snapshot", "reset"})
    """Nothing announces a close, a subscription always brings a snapshot, and there are no numbers."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}/kraken")

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known pairs, then invented ones."""
        known = ["BTC/USD", "ETH/USD", "SOL/USD", "DOGE/USD", "BTC/EUR", "ETH/BTC"]
        return known + [f"SIM{number:02d}/USD" for number in range(1, 27)]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a pair.

        Raises:
            ConfigError: not like `BTC/USD`.
        """
        match = _ID.fullmatch(inst)
        if match is None:
            raise ConfigError(f"Kraken has no pairs like {clip(inst)}; write it like BTC/USD")
        base, quote = match["base"], match["quote"]
        price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4, padded=True))
        return Instrument(
            inst=inst,
            base=base,
            quote=quote,
            settle="",
            market="spot",
            kind="",
            tick=tick,
            lot=Grid(1, QTY_DECIMALS, padded=True),
            contract_value="",
            contract_ccy="",
            listed_ns=start_ns,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, PACE.size, PACE.fewest, PACE.most, PACE.touches, PACE.activity),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size; how many orders it has is not told."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, unsigned, of the ten best asks and then the ten best bids, digits only."""
        digits = ""
        for price, size in (*asks[:CHECKSUM_LEVELS], *bids[:CHECKSUM_LEVELS]):
            digits += "".join(price.split(".")).lstrip("0") + "".join(size.split(".")).lstrip("0")
        return zlib.crc32(digits.encode())

    def accepts(self, path: str) -> bool:
        """Serve version 2 only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say at once that the system is online."""
        status = {
            "version": "2.0.10",
            "system": "online",
            "api_version": "v2",
            "connection_id": self._random.getrandbits(63),
        }
        return [_tell({"channel": "status", "type": "update", "data": [status]})]

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        now = utc_text(venue.now_ns, 6)
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            return [_tell({"error": "Malformed request", "success": False, "time_in": now, "time_out": now})]
        method, params = request.get("method"), request.get("params")
        marks: Json = {"req_id": request["req_id"]} if isinstance(request.get("req_id"), int) else {}
        if method == "ping":
            return [_tell({"method": "pong", **marks, "time_in": now, "time_out": now})]
        if method not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            return [_refusal(str(method), "Unsupported method", now, marks)]
        if params.get("channel") != WIRE_BOOK:
            return [_refusal(method, "Unsupported channel", now, marks)]
        symbols = params.get("symbol")
        if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
            return [_refusal(method, "Symbol(s) not found", now, marks)]
        answer = _subscribe if method == "subscribe" else _unsubscribe
        depth = params.get("depth", DEFAULT_DEPTH)
        return [action for symbol in symbols for action in answer(link, symbol, depth, venue, marks)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Send a heartbeat after a second without anything else, once there is a subscription."""
        if not link.books or venue.now_ns - link.active_ns < NS_PER_S:
            return []
        return [_tell({"channel": "heartbeat"})]

    def closed(self, link: Link) -> None:
        """Forget a connection: there is nothing to forget."""

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the recorded order; numbers with all their digits, which JSON libraries would drop."""
        kind = "snapshot" if push.kind is Kind.SNAPSHOT else "update"
        checksum = "" if push.checksum is None else f'"checksum":{push.checksum},'
        return [
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":{orjson.dumps(push.inst).decode()},'
            f'"bids":[{_levels(push.bids)}],"asks":[{_levels(push.asks)}],{checksum}'
            f'"timestamp":"{utc_text(push.ts_ns, 6)}"}}]}}'
        ]

    def notice(self, link: Link) -> str:
        """Announce nothing: a close comes without warning."""
        raise NotImplementedError("Kraken announces no close on the socket")

    def requested_inst(self, request: Request) -> str | None:
        """No book is served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        if request.path == STATUS_PATH:
            away = any(window.begin_ns <= venue.now_ns < window.end_ns for window in venue.maintenances)
            result: Json = {"status": "maintenance" if away else "online", "timestamp": utc_text(venue.now_ns, 6)}
            return _reply({"error": [], "result": result})
        if request.path != PAIRS_PATH:
            return _reply({"error": ["EGeneral:Unknown method"]})
        is_new = request.query.get("assetVersion") == "1"
        return _reply({"error": [], "result": dict(_listed(inst, is_new) for inst in venue.instruments.values())})

    def too_many_requests(self) -> Reply:
        """Refuse as a public endpoint does."""
        return _reply({"error": ["EGeneral:Too many requests"]}, status=429)


def _subscribe(link: Link, symbol: str, depth: object, venue: Venue, marks: Json) -> list[Action]:
    """Begin a subscription; one symbol has one, whatever its depth."""
    now = utc_text(venue.now_ns, 6)
    if symbol not in venue.instruments:
        return [_refusal("subscribe", f"Currency pair not supported {symbol}", now, {"symbol": symbol} | marks)]
    channel = _channel_of(depth)
    if channel is None:
        return [_refusal("subscribe", "Subscription depth not supported", now, {"symbol": symbol} | marks)]
    if any(inst == symbol for _, inst in link.books):
        return [_refusal("subscribe", "Already subscribed", now, {"symbol": symbol} | marks)]
    result = {"channel": WIRE_BOOK, "depth": depth, "snapshot": True, "symbol": symbol}
    return [_accepted("subscribe", result, now, marks), Subscribe(channel, symbol)]


def _unsubscribe(link: Link, symbol: str, depth: object, venue: Venue, marks: Json) -> list[Action]:
    """End a subscription; the depth must be the one it has."""
    now = utc_text(venue.now_ns, 6)
    channel = _channel_of(depth)
    if channel is None or (channel, symbol) not in link.books:
        return [_refusal("unsubscribe", "Subscription Not Found", now, {"symbol": symbol} | marks)]
    result = {"channel": WIRE_BOOK, "depth": depth, "symbol": symbol}
    return [_accepted("unsubscribe", result, now, marks), Unsubscribe(channel, symbol)]


def _channel_of(depth: object) -> str | None:
    return next((channel.name for channel in CHANNELS.values() if channel.depth == depth), None)


def _accepted(method: str, result: Json, now: str, marks: Json) -> Tell:
    return _tell({"method": method, **marks, "result": result, "success": True, "time_in": now, "time_out": now})


def _refusal(method: str, error: str, now: str, marks: Json) -> Tell:
    return _tell({"error": error, "method": method, **marks, "success": False, "time_in": now, "time_out": now})


def _levels(rows: Sequence[Row]) -> str:
    zero = f"0.{'0' * QTY_DECIMALS}"
    return ",".join(f'{{"price":{price},"qty":{zero if size == "0" else size}}}' for price, size in rows)


def _listed(inst: Instrument, is_new: bool) -> tuple[str, Json]:
    """Write a pair, with its key: in the newer names or the older ones; `wsname` is always an older one."""
    (base, ws_base), (quote, ws_quote) = (OLD_NAMES.get(asset, (asset, asset)) for asset in (inst.base, inst.quote))
    key = inst.inst if is_new else f"{base}{quote}"
    row: Json = {
        "altname": f"{ws_base}{ws_quote}",
        "wsname": f"{ws_base}/{ws_quote}",
        "aclass_base": "currency",
        "base": inst.base if is_new else base,
        "aclass_quote": "currency",
        "quote": inst.quote if is_new else quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": inst.tick.decimals,
        "lot_decimals": inst.lot.decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [],
        "fees_maker": [],
        "fee_volume_currency": "USD" if is_new else "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": inst.tick.step,
        "status": "online",
        "execution_venue": "international",
    }
    return key, row


def _reply(answer: Json, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(answer).decode())


def _tell(frame: Json) -> Tell:
    return Tell(orjson.dumps(frame).decode())
