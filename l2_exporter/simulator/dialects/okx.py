"""OKX v5, server side: subscriptions with one acknowledgement per arg, book pushes, text ping, REST books and listings.

Written from the project's venue notes on OKX (frames, codes, limits, REST) and from nothing else; the numbers of the
close codes and the messages of errors are the venue's published ones. It shares no code with the recorder's decoder.
"""

import re
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from random import Random

import orjson

from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import (
    Action,
    Channel,
    HangUp,
    Link,
    Request,
    Subscribe,
    Tell,
    Unsubscribe,
    Venue,
)
from l2_exporter.simulator.dialects import okx_rest
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

MAX_OPS = 480
OPS_WINDOW_NS = 3600 * NS_PER_S
MAX_ARGS_BYTES = 64 * 1024
IDLE_NS = 30 * NS_PER_S
IDLE_CLOSE = HangUp(4004, "No data received in 30s")
CHECKSUM_LEVELS = 25
SIGN = 1 << 31
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("bbo-tbt", 1, whole=True, checksum=False),
        Channel("books-l2-tbt", 400, whole=False, checksum=True),
        Channel("books50-l2-tbt", 50, whole=False, checksum=True),
        Channel("books", 400, whole=False, checksum=True),
        Channel("books5", 5, whole=True, checksum=False),
    )
}
"""In the order in which one connection gets them within a step."""

EXCLUSIONS = {
    "books-l2-tbt": ("books", "books50-l2-tbt"),
    "books": ("books-l2-tbt",),
    "books50-l2-tbt": ("books-l2-tbt",),
}
"""Channels that one connection cannot have together for one instrument."""

SILENT_CHANNELS = ("instruments", "status", "tickers", "trades")
"""Acknowledged like the real ones; nothing is ever pushed on them here."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_ACTIONS = {Kind.SNAPSHOT: "snapshot", Kind.DELTA: "update", Kind.KEEPALIVE: "update"}

Json = dict[str, object]


@dataclass(slots=True)
class _Client:
    """What the server remembers of a connection: its id, and when it was asked for something."""

    conn_id: str
    ops_ns: deque[int] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that is being answered: its answers carry the connection's id, and the request's if it had one."""

    conn_id: str
    request_id: Json

    def ack(self, event: str, arg: Json) -> Tell:
        return Tell(_text({**self.request_id, "event": event, "arg": arg, "connId": self.conn_id}))

    def error(self, code: str, msg: str) -> Tell:
        members = {"event": "error", "code": code, "msg": msg, "connId": self.conn_id}
        return Tell(_text({**self.request_id, **members}))


class Okx:
    """OKX as a client sees it."""

    name = "okx"
    ws_path = "/ws/v5/public"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 20
    broken_field = ('"bids":', '"bidLevels":')
    lacks: frozenset[str] = frozenset()

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}/okx")
        self._clients: dict[str, _Client] = {}
        self._ops = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "login": self._login}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, one of each kind, then invented ones, 64 in all."""
        return okx_rest.default_insts(start_ns)

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

        Raises:
            ConfigError: OKX has no ids like this.
        """
        return okx_rest.instrument(inst, start_ns)

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price, size, "0" (once liquidation orders), number of orders."""
        return (price, size, "0", str(orders))

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, signed, of the best 25 levels: `bid price:size:ask price:size:...`, texts as sent."""
        parts: list[str] = []
        for pair in zip_longest(bids[:CHECKSUM_LEVELS], asks[:CHECKSUM_LEVELS]):
            parts += [f"{row[0]}:{row[1]}" for row in pair if row is not None]
        return (zlib.crc32(":".join(parts).encode()) ^ SIGN) - SIGN

    def accepts(self, path: str) -> bool:
        """Serve the public endpoint only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._clients[link.conn] = _Client(f"{self._random.getrandbits(32):08x}")
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        if frame in ("ping", b"ping"):
            return [Tell("pong")]
        client = self._clients[link.conn]
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            text = frame if isinstance(frame, str) else frame.decode(errors="replace")
            return [_Asked(client.conn_id, {}).error("60012", f"Invalid request: {text[:200]}")]
        asked = _Asked(client.conn_id, _request_id(request))
        op = self._ops.get(str(request.get("op")))
        if op is None:
            return [asked.error("60019", f"Invalid op: {str(request.get('op'))[:200]}")]
        if not self._is_in_budget(client, venue.now_ns):
            return [asked.error("60014", "Requests too frequent")]
        args = request.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
            return [asked.error("60013", "Invalid args")]
        return [action for arg in args for action in op(link, asked, arg, venue)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Cut a connection over which nothing went for 30 s."""
        return [IDLE_CLOSE] if venue.now_ns - link.active_ns >= IDLE_NS else []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._clients.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the documented order."""
        book: Json = {"asks": push.asks, "bids": push.bids}
        if push.channel == "books5":
            book["instId"] = push.inst
        book["ts"] = str(push.ts_ns // NS_PER_MS)
        if push.checksum is not None:
            book["checksum"] = push.checksum
        if push.kind is not Kind.WHOLE:
            book["prevSeqId"] = -1 if push.prev is None else push.prev
        book["seqId"] = push.seq
        frame: Json = {"arg": {"channel": push.channel, "instId": push.inst}}
        if push.kind is not Kind.WHOLE:
            frame["action"] = _ACTIONS[push.kind]
        return [_text(frame | {"data": [book]})]

    def notice(self, link: Link) -> str:
        """Write notice 64008, sent 60 s before a service upgrade."""
        message = "The connection will soon be closed for a service upgrade. Please reconnect."
        conn_id = self._clients[link.conn].conn_id
        return _text({"event": "notice", "code": "64008", "msg": message, "connId": conn_id})

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        return request.query.get("instId") if request.path == okx_rest.BOOK_PATH else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        return okx_rest.answer(request, venue)

    def too_many_requests(self) -> Reply:
        """Answer 429 with the venue's own code."""
        return okx_rest.too_many_requests()

    def _is_in_budget(self, client: _Client, now_ns: int) -> bool:
        """Count a request; at most 480 an hour and connection, whatever the number of args."""
        while client.ops_ns and client.ops_ns[0] <= now_ns - OPS_WINDOW_NS:
            client.ops_ns.popleft()
        if len(client.ops_ns) >= MAX_OPS:
            return False
        client.ops_ns.append(now_ns)
        return True

    def _subscribe(self, link: Link, asked: _Asked, arg: Json, venue: Venue) -> list[Action]:
        channel, inst = arg.get("channel"), arg.get("instId")
        if channel in SILENT_CHANNELS:
            return [asked.ack("subscribe", arg)]
        if not isinstance(channel, str) or not isinstance(inst, str):
            return [asked.error("60013", "Invalid args")]
        if channel not in self.channels or inst not in venue.instruments:
            what = f"Wrong URL or channel:{channel[:64]},instId:{inst[:64]} doesn't exist."
            return [asked.error("60018", f"{what} Please use the correct URL, channel and parameters.")]
        if any((other, inst) in link.books for other in EXCLUSIONS.get(channel, ())):
            return [asked.error("64004", f"{channel} of {inst}: order book channels that exclude each other")]
        if len(channel + inst) + sum(len(name + book) for name, book in link.books) > MAX_ARGS_BYTES:
            return [asked.error("60013", "Invalid args: the channels of a connection are longer than 64 KB")]
        return [asked.ack("subscribe", arg), Subscribe(channel, inst)]

    def _unsubscribe(self, link: Link, asked: _Asked, arg: Json, venue: Venue) -> list[Action]:
        return [asked.ack("unsubscribe", arg), Unsubscribe(str(arg.get("channel")), str(arg.get("instId")))]

    def _login(self, link: Link, asked: _Asked, arg: Json, venue: Venue) -> list[Action]:
        """Believe every signature: nobody's keys belong here."""
        return [Tell(_text({"event": "login", "code": "0", "msg": "", "connId": asked.conn_id}))]


def _request_id(request: Json) -> Json:
    """Return the member `id` if it is one: up to 32 letters and digits."""
    given = request.get("id")
    return {"id": given} if isinstance(given, str) and _REQUEST_ID.fullmatch(given) else {}


def _text(frame: Json) -> str:
    return orjson.dumps(frame).decode()
