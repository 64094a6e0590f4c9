"""Bitfinex v2, server side: `book` by channel number, one frame a level, one number for all arrays of a connection.

Written from the project's venue notes on Bitfinex, and checked against recorded frames. Not known from either: what is
answered to an object without an event, and how a connection without a subscription is ended (here: closed properly).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import unquote
from uuid import UUID

import orjson

from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.dialects import bitfinex_pairs
from l2_exporter.simulator.dialects.bitfinex_raw import (
    CHECKED,
    RAW,
    RAW_CHANNELS,
    RAW_LENGTHS,
    number_text,
    raw_rows,
    signed_crc,
)
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10_000 * 24 * 3600 * NS_PER_S
HEARTBEAT_NS = 15 * NS_PER_S
UNUSED_NS = 60 * NS_PER_S
MAX_CHANNELS = 25
TIMESTAMP, SEQ_ALL, OB_CHECKSUM = 32_768, 65_536, 131_072
SERVED_FLAGS = TIMESTAMP | SEQ_ALL | OB_CHECKSUM
LEVEL_LENGTHS = {"250": "book", "100": "book-100", "25": "book-25", "1": "book-1"}
LENGTHS = {"P0": LEVEL_LENGTHS, RAW: RAW_LENGTHS}
"""The wire knows one channel, `book`, a precision and a length."""
CHANNELS = {
    name: Channel(name, int(length), whole=False, checksum=True, keepalive_ns=NEVER_NS, sums="right")
    for length, name in LEVEL_LENGTHS.items()
} | RAW_CHANNELS
CONF_PATH = "/v2/conf/"
STATUS_PATH = "/v2/platform/status"
LISTS = {"pub:list:pair:exchange": "spot", "pub:list:pair:futures": "perp"}

Json = dict[str, object]
Book = tuple[str, str]


@dataclass(slots=True)
class _Client:
    """What the server remembers of a connection.

    Attributes:
        sent: how many arrays were sent to it.
        chans: the numbers of its channels.
        spoke_ns: when each channel said something last.
        shown: the levels a client has of each channel, as (is bid, price).
    """

    flags: int = 0
    sent: int = 0
    chans: dict[Book, int] = field(default_factory=dict)
    spoke_ns: dict[Book, int] = field(default_factory=dict)
    shown: dict[Book, set[tuple[bool, str]]] = field(default_factory=dict)


class Bitfinex:
    """Bitfinex as a client sees it."""

    name = "bitfinex"
    ws_path = "/ws/2"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 1
    broken_field = (",", ",null,")
    lacks: frozenset[str] = frozenset({"notice", "no_snapshot", "reset"})
    """What is announced asks for a new connection at once, a subscription always brings a snapshot, and numbers are of
    connections."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}/bitfinex")
        self._clients: dict[str, _Client] = {}
        self._last_chan = self._random.randrange(100_000, 900_000)
        self._events: Mapping[str, Callable[[Link, Json, Venue], list[Action]]] = {
            "conf": self._conf,
            "ping": self._ping,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known symbols, then invented ones."""
        return bitfinex_pairs.default_insts()

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a symbol.

        Raises:
            ConfigError: neither like `tBTCUSD` nor like `tDOGE:USD` nor like `tBTCF0:USTF0`.
        """
        return bitfinex_pairs.instrument(inst, start_ns)

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level, numbers as JavaScript writes them; a deleted one has no orders."""
        return (number_text(price), number_text(size), "0", str(orders))

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, signed, of price and amount of the best 25 levels, bid and ask by turns."""
        told: list[str] = []
        for place in range(CHECKED):
            told += [f"{row[0]}:{row[1]}" for row in bids[place : place + 1]]
            told += [f"{row[0]}:-{row[1]}" for row in asks[place : place + 1]]
        return signed_crc(told)

    def accepts(self, path: str) -> bool:
        """Serve version 2 only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Greet a new connection."""
        self._clients[link.conn] = _Client()
        server = UUID(int=self._random.getrandbits(128), version=4)
        return [_tell({"event": "info", "version": 2, "serverId": str(server), "platform": {"status": 1}})]

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame; a text that is no JSON gets no answer."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return []
        event = request.get("event") if isinstance(request, dict) else None
        act = self._events.get(str(event))
        return [_error(10000, f"event: invalid ({event})", {})] if act is None else act(link, request, venue)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Let channels that say nothing have their heartbeats; end a connection nobody uses."""
        if not link.books and venue.now_ns - link.active_ns >= UNUSED_NS:
            return [HangUp(1000, "")]
        client = self._clients[link.conn]
        silent = [book for book, spoke_ns in client.spoke_ns.items() if venue.now_ns - spoke_ns >= HEARTBEAT_NS]
        return [Tell(self._array(client, book, '"hb"', venue.now_ns, venue.now_ns)) for book in silent]

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._clients.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push: a snapshot whole, changes row by row and behind them the checksum."""
        client, book = self._clients[link.conn], (push.channel, push.inst)
        if push.kind is Kind.SNAPSHOT:
            client.shown[book] = set()
        payloads = raw_rows(push) if book[0] in RAW_CHANNELS else _levels(push, client.shown[book])
        if push.kind is Kind.SNAPSHOT:
            payloads = [f"[{','.join(payloads)}]"]
        if payloads and push.kind is Kind.DELTA and push.checksum is not None and client.flags & OB_CHECKSUM:
            payloads.append(f'"cs",{push.checksum}')
        return [self._array(client, book, payload, link.active_ns, push.ts_ns) for payload in payloads]

    def notice(self, link: Link) -> str:
        """Announce nothing: what the venue announces asks for a new connection at once."""
        raise NotImplementedError("Bitfinex announces no close that leaves time")

    def requested_inst(self, request: Request) -> str | None:
        """No book is served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer lists of pairs, and whether there is maintenance."""
        if request.path == STATUS_PATH:
            away = any(window.begin_ns <= venue.now_ns < window.end_ns for window in venue.maintenances)
            return _reply([0 if away else 1])
        if not request.path.startswith(CONF_PATH):
            return Reply(404, f"Cannot GET /api{request.path}", {"Content-Type": "text/html"})
        wanted = unquote(request.path.removeprefix(CONF_PATH)).split(",")
        pairs = [(inst.inst.removeprefix("t"), inst.market) for inst in venue.instruments.values()]
        return _reply([[pair for pair, market in pairs if market == LISTS.get(name)] for name in wanted])

    def too_many_requests(self) -> Reply:
        """Refuse as a public endpoint does; it names no time to wait."""
        return _reply({"error": "ERR_RATE_LIMIT"}, status=429)

    def _array(self, client: _Client, book: Book, payload: str, now_ns: int, ts_ns: int) -> str:
        """Write an array, with what the client wants behind the payload."""
        client.sent += 1
        client.spoke_ns[book] = now_ns
        number = f",{client.sent}" if client.flags & SEQ_ALL else ""
        time = f",{ts_ns // NS_PER_MS}" if client.flags & TIMESTAMP else ""
        return f"[{client.chans[book]},{payload}{number}{time}]"

    def _conf(self, link: Link, request: Json, venue: Venue) -> list[Action]:
        """Grant the flags there are."""
        flags = request.get("flags")
        granted = flags & SERVED_FLAGS if isinstance(flags, int) else 0
        self._clients[link.conn].flags = granted
        return [_tell({"event": "conf", "status": "OK", "flags": granted})]

    def _ping(self, link: Link, request: Json, venue: Venue) -> list[Action]:
        return [_tell({"event": "pong", "ts": venue.now_ns // NS_PER_MS, "cid": request.get("cid")})]

    def _subscribe(self, link: Link, request: Json, venue: Venue) -> list[Action]:
        """Begin a subscription; the same a second time is refused, and brings no snapshot."""
        client = self._clients[link.conn]
        wanted = _wanted(request)
        error = _wrong(wanted, venue)
        if error:
            return [_error(10300, error, wanted)]
        inst, name = str(wanted["symbol"]), LENGTHS[str(wanted["prec"])][str(wanted["len"])]
        book = (name, inst)
        if book in client.chans:
            return [_error(10301, "subscribe: dup", wanted | {"chanId": client.chans[book]})]
        if len(client.chans) >= MAX_CHANNELS:
            return [_error(10305, "subscribe: limit", {})]
        self._last_chan += self._random.randint(1, 400)
        client.chans[book] = self._last_chan
        sub_id = {"subId": request["subId"]} if "subId" in request else {}
        manner = {key: wanted[key] for key in ("symbol", "prec", "freq", "len")}
        ack = {"event": "subscribed", "channel": "book", "chanId": self._last_chan, **manner, **sub_id}
        return [_tell({**ack, "pair": inst.removeprefix("t")}), Subscribe(name, inst)]

    def _unsubscribe(self, link: Link, request: Json, venue: Venue) -> list[Action]:
        """End a subscription: its number means nothing from now on."""
        client, chan = self._clients[link.conn], request.get("chanId")
        book = next((book for book, known in client.chans.items() if known == chan), None)
        if book is None:
            return [_error(10400, "unsubscribe: invalid", {"chanId": chan})]
        for memory in (client.chans, client.spoke_ns, client.shown):
            memory.pop(book, None)
        return [Unsubscribe(*book), _tell({"event": "unsubscribed", "status": "OK", "chanId": chan})]


def _levels(push: Push, shown: set[tuple[bool, str]]) -> list[str]:
    """Write the levels of a push, those that go first; none goes that was never shown."""
    gone, there = [], []
    for is_bid, rows in ((True, push.bids), (False, push.asks)):
        sign = "" if is_bid else "-"
        for price, size, _, orders in rows:
            level = (is_bid, price)
            if size != "0":
                shown.add(level)
                there.append(f"[{price},{orders},{sign}{size}]")
            elif level in shown:
                shown.remove(level)
                gone.append(f"[{price},0,{sign}1]")
    return gone + there


def _wanted(request: Json) -> Json:
    """Fill in what a subscription leaves out; a symbol is taken without its `t` too."""
    wanted = {"prec": "P0", "freq": "F0", "len": "25"} | {
        key: value for key, value in request.items() if key not in ("event", "subId")
    }
    symbol = str(wanted.get("symbol", wanted.get("pair", "")))
    return {**wanted, "symbol": symbol if symbol[:1] in ("t", "f") else f"t{symbol}", "len": str(wanted["len"])}


def _wrong(wanted: Json, venue: Venue) -> str:
    """Name what is wrong with a subscription; only books at P0 and raw ones are simulated, in real time."""
    if wanted.get("channel") != "book":
        return "channel: unknown"
    if wanted["symbol"] not in venue.instruments:
        return "symbol: invalid"
    lengths = LENGTHS.get(str(wanted["prec"]))
    if lengths is None:
        return "precision: invalid"
    if wanted["freq"] != "F0":
        return "frequency: invalid"
    return "" if wanted["len"] in lengths else "length: invalid"


def _error(code: int, text: str, asked: Json) -> Tell:
    """Write an error behind what was asked for."""
    pair = {"pair": str(asked["symbol"])[1:]} if "symbol" in asked else {}
    return _tell({**asked, "event": "error", "msg": text, "code": code, **pair})


def _reply(answer: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(answer).decode())


def _tell(message: Json) -> Tell:
    return Tell(orjson.dumps(message).decode())
