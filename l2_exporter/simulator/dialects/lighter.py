"""Lighter, server side: `order_book` by market number, a greeting, clients that must keep talking, markets by REST.

Written from the project's venue notes on Lighter, and checked against captured frames. Not known from either: whether
and when the server asks by a ping of its own, how it ends a connection, and what it says to texts it cannot read.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
LISTED_AGO_NS = 365 * DAY_NS
NS_PER_US = 1_000
BOOKS = "order_book"
WHOLE_BOOK = 10_000
SENT_AFTER_MS = 18
"""What lies between the last change of a book and the sending of the frame that tells it."""
ASKS_AFTER_NS = 60 * NS_PER_S
CUTS_AFTER_NS = 120 * NS_PER_S
"""The client must say something at least every 2 minutes, whatever is sent to it."""
CUT = HangUp(1000, "")
MAX_MESSAGES = 200
MESSAGES_WINDOW_NS = 60 * NS_PER_S
FIRST_SPOT_ID = 2_048
FIRST_INVENTED_ID = 200
COLLATERAL = "USDC"

_KNOWN: Mapping[str, tuple[int, int, Grid, Grid]] = {
    "ETH": (0, 206_454, Grid(1, 2, padded=True), Grid(1, 4, padded=True)),
    "LIT/USDC": (2_049, 12_345, Grid(1, 4, padded=True), Grid(1, 2, padded=True)),
    "BTC": (1, 898_883, Grid(1, 1, padded=True), Grid(1, 5, padded=True)),
    "SOL": (2, 135_310, Grid(1, 3, padded=True), Grid(1, 3, padded=True)),
    "ETH/USDC": (2_048, 206_460, Grid(1, 2, padded=True), Grid(1, 4, padded=True)),
    "1000PEPE": (4, 46_125, Grid(1, 7, padded=True), Grid(1, 0)),
}
"""Number, start price in ticks, tick and lot of what is known; everything else is invented."""
_INVENTED = (Grid(1, 4, padded=True), Grid(1, 2, padded=True))
_ID = re.compile(r"(?P<base>[A-Z0-9]{1,20})(?:/(?P<quote>[A-Z0-9]{1,20}))?", re.ASCII)

Json = dict[str, object]


@dataclass(slots=True)
class _Client:
    """What the server remembers of a connection: when it heard of it, when it asked, and what it was asked for."""

    heard_ns: int
    asked_ns: int
    messages_ns: deque[int] = field(default_factory=deque)


class Lighter:
    """Lighter as a client sees it."""

    name = "lighter"
    ws_path = "/stream"
    channels: Mapping[str, Channel] = {
        BOOKS: Channel(BOOKS, WHOLE_BOOK, whole=False, checksum=False, keepalive_ns=NEVER_NS),
    }
    max_step = 70
    broken_field = ('"bids":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "checksum", "bad_checksum", "reset"})

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}/lighter")
        self._clients: dict[str, _Client] = {}
        self._numbers: dict[str, int] = {}
        self._insts: dict[str, str] = {}
        self._lots: dict[str, Grid] = {}
        self._kinds: Mapping[str, Callable[[Link, Json], list[Action]]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "ping": lambda link, request: [Tell('{"type":"pong"}')],
            "pong": lambda link, request: [],
        }

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, perpetuals and spot, then invented ones, 32 in all."""
        return [*_KNOWN, *(f"SIM{number:02d}" for number in range(1, 33 - len(_KNOWN)))]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a symbol; from now on its market has a number.

        Raises:
            ConfigError: neither like `ETH` nor like `LIT/USDC`.
        """
        match = _ID.fullmatch(inst)
        if match is None:
            raise ConfigError(f"Lighter has no symbols like {clip(inst)}; write it like ETH or, for spot, LIT/USDC")
        base, spot = match["base"], match["quote"] is not None
        drawn = (FIRST_INVENTED_ID + len(self._numbers), Random(f"price/{base}").randint(20_000, 90_000), *_INVENTED)
        number, price, tick, lot = _KNOWN.get(inst) or drawn
        invented_spot = spot and inst not in _KNOWN
        number = self._numbers.setdefault(inst, number + FIRST_SPOT_ID if invented_spot else number)
        self._insts[str(number)], self._lots[inst] = inst, lot
        return Instrument(
            inst=inst,
            base=base,
            quote=match["quote"] or COLLATERAL,
            settle="" if spot else COLLATERAL,
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
            pace=Pace(price, 4_000, 60, 90, 6, 0.97),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size; how many orders it has is not told."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError("Lighter has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the stream only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Greet a new connection."""
        self._clients[link.conn] = _Client(link.opened_ns, link.opened_ns)
        session = UUID(int=self._random.getrandbits(128), version=4)
        return [Tell(_text({"session_id": str(session), "type": "connected"}))]

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        client = self._clients[link.conn]
        client.heard_ns = client.asked_ns = venue.now_ns
        if not self._is_in_budget(client, venue.now_ns):
            return [_error(30009, "Too Many Websocket Messages!")]
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        act = self._kinds.get(str(request.get("type"))) if isinstance(request, dict) else None
        return [_error(30005, "Invalid Channel")] if act is None else act(link, request)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Ask a client that says nothing, once; cut it after 2 minutes."""
        client = self._clients[link.conn]
        if venue.now_ns - client.heard_ns >= CUTS_AFTER_NS:
            return [CUT]
        if venue.now_ns - client.asked_ns < ASKS_AFTER_NS:
            return []
        client.asked_ns = venue.now_ns
        return [Tell('{"type":"ping"}')]

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._clients.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the recorded order; silence is never broken by a repetition."""
        if push.kind is Kind.KEEPALIVE:
            return []
        fresh, lot = push.kind is Kind.SNAPSHOT, self._lots[push.inst]
        changed_us, offset = push.ts_ns // NS_PER_US, push.seq // 8
        book: Json = {
            "code": 0,
            "asks": _levels(push.asks, lot),
            "bids": _levels(push.bids, lot),
            "offset": offset,
            "nonce": push.seq,
            "last_updated_at": changed_us,
            "begin_nonce": 0 if push.prev is None else push.prev,
        }
        frame: Json = {
            "channel": f"{BOOKS}:{self._numbers[push.inst]}",
            "last_updated_at": changed_us,
            "offset": offset,
            "order_book": book,
            "timestamp": push.ts_ns // NS_PER_MS + SENT_AFTER_MS,
            "type": f"{'subscribed' if fresh else 'update'}/{BOOKS}",
        }
        return [_text(frame)]

    def notice(self, link: Link) -> str:
        """Announce nothing: the venue cuts unannounced."""
        return ""

    def requested_inst(self, request: Request) -> str | None:
        """Name no instrument: books are not served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer the list of markets, or that of one."""
        if request.path != "/api/v1/orderBookDetails":
            return Reply(404, _text({"code": 404, "message": "not found"}))
        wanted = request.query.get("market_id", "255")
        rows = {market: self._listed(market, wanted, venue) for market in ("perp", "spot")}
        lists = {"order_book_details": rows["perp"], "spot_order_book_details": rows["spot"]}
        return Reply(200, _text({"code": 200, **lists}))

    def too_many_requests(self) -> Reply:
        """Answer 429; the venue names no time to wait."""
        return Reply(429, _text({"code": 23000, "message": "Too Many Requests!"}))

    def _is_in_budget(self, client: _Client, now_ns: int) -> bool:
        """Count a message; at most 200 a minute."""
        while client.messages_ns and client.messages_ns[0] <= now_ns - MESSAGES_WINDOW_NS:
            client.messages_ns.popleft()
        if len(client.messages_ns) >= MAX_MESSAGES:
            return False
        client.messages_ns.append(now_ns)
        return True

    def _subscribe(self, link: Link, request: Json) -> list[Action]:
        """Start a book; its snapshot is the answer. A second subscription is refused, and brings none."""
        inst = self._inst_asked(request)
        if inst is None:
            return [_error(30005, "Invalid Channel")]
        if (BOOKS, inst) in link.books:
            return [_error(30003, f"Already Subscribed to : {BOOKS}:{self._numbers[inst]}")]
        return [Subscribe(BOOKS, inst)]

    def _unsubscribe(self, link: Link, request: Json) -> list[Action]:
        """End a book; the answer is the only frame that is written with spaces."""
        inst = self._inst_asked(request)
        if inst is None:
            return [_error(30005, "Invalid Channel")]
        answer = f'{{"type": "unsubscribed", "channel": "{BOOKS}:{self._numbers[inst]}"}}'
        return [Unsubscribe(BOOKS, inst), Tell(answer)]

    def _inst_asked(self, request: Json) -> str | None:
        """Read `order_book/0`."""
        name, _, number = str(request.get("channel")).partition("/")
        return self._insts.get(number) if name == BOOKS else None

    def _listed(self, market: str, wanted: str, venue: Venue) -> list[Json]:
        """Write the rows of one market, all or that of one number; 255 stands for all."""
        own = [one for one in venue.instruments.values() if one.market == market]
        return [self._row_of(one) for one in own if wanted in ("255", str(self._numbers[one.inst]))]

    def _row_of(self, one: Instrument) -> Json:
        return {
            "symbol": one.inst,
            "market_id": self._numbers[one.inst],
            "market_type": one.market,
            "status": "active",
            "min_base_amount": one.lot.step,
            "supported_size_decimals": one.lot.decimals,
            "supported_price_decimals": one.tick.decimals,
            "supported_quote_decimals": 6,
            "size_decimals": one.lot.decimals,
            "price_decimals": one.tick.decimals,
            "last_trade_price": 0,
        }


def _levels(rows: Sequence[Row], lot: Grid) -> list[Json]:
    """Write levels as objects, sizes with all decimals of the market, zero too."""
    return [{"price": price, "size": lot.text(0) if size == "0" else size} for price, size in rows]


def _error(code: int, message: str) -> Tell:
    return Tell(_text({"error": {"code": code, "message": message}}))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
