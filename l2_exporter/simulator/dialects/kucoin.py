"""KuCoin, server side: connections by ticket, topics of changes, one change a message for futures.

Written from the project's venue notes on KuCoin and the documents they name, and checked against recorded frames of
spot. Not known from either: what an error says but for its number, and how a client without a valid ticket is turned
away. The REST half is `kucoin_rest`.
"""

from collections.abc import Mapping, Sequence
from itertools import count, repeat
from urllib.parse import parse_qs, urlsplit

import orjson

from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.dialects import kucoin_rest
from l2_exporter.simulator.dialects.kucoin_rest import FUTURES, SPOT, Product, Rest
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
WHOLE_BOOK = 10_000
LIFE_NS = DAY_NS
CLIENT_SILENCE_NS = 60 * NS_PER_S
"""A client that has not pinged for so long is cut."""
PER_REQUEST = 100
PER_CONNECTION = 400
"""Topics of spot on one connection; futures have no limit."""

FULL, LEVELS = "level2", "level2Depth50"
_FULL = Channel(FULL, WHOLE_BOOK, whole=False, checksum=False, keepalive_ns=NEVER_NS, pushes_snapshot=False)
_LEVELS = Channel(LEVELS, 50, whole=True, checksum=False, keepalive_ns=NEVER_NS)
_TOPICS = {
    FUTURES.name: {"/contractMarket/level2": FULL},
    SPOT.name: {"/market/level2": FULL, "/spotMarket/level2Depth50": LEVELS},
}

Json = dict[str, object]


class Kucoin:
    """One of the two exchanges as a client sees it."""

    ws_path = "/endpoint"
    max_step = 0
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "reset", "no_snapshot", "checksum", "bad_checksum"})

    def __init__(self, seed: int, product: Product = FUTURES) -> None:
        self.name = product.name
        self.channels: Mapping[str, Channel] = {FULL: _FULL, LEVELS: _LEVELS} if product.is_spot else {FULL: _FULL}
        self.broken_field = ('"changes":', '"deltas":') if product.is_spot else ('"change":', '"delta":')
        self._product = product
        self._topics = _TOPICS[product.name]
        self._rest = Rest(product, seed)
        self._heard_ns: dict[str, int] = {}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, of each kind, then invented ones, 32 in all."""
        return kucoin_rest.default_insts(self._product, start_ns)

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

        Raises:
            ConfigError: the exchange has no ids like this.
        """
        return kucoin_rest.instrument(self._product, inst, start_ns)

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError(f"{self.name} has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the one endpoint; whether a client has a ticket shows once it is connected."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Welcome a client by the id it chose, or turn it away if it has no ticket, or one that has expired."""
        query = parse_qs(urlsplit(link.path).query)
        conn_id = query.get("connectId", [link.conn])[0]
        if not self._rest.is_valid(query.get("token", [""])[0], link.opened_ns):
            return [_error(conn_id, 401, "token is invalid"), HangUp(1000, "")]
        self._heard_ns[link.conn] = link.opened_ns
        return [Tell(_text({"id": conn_id, "type": "welcome"}))]

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame; numbers of requests come back as texts."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            return [_error(link.conn, 400, "not an object")]
        number, kind, topic = str(request.get("id", "")), request.get("type"), request.get("topic")
        if kind == "ping":
            self._heard_ns[link.conn] = venue.now_ns
            return [Tell(_text({"id": number, "type": "pong"}))]
        if kind not in ("subscribe", "unsubscribe") or not isinstance(topic, str):
            return [_error(number, 400, "type or topic is not supported")]
        head, _, names = topic.partition(":")
        channel, insts = self._topics.get(head), names.split(",")
        if channel is None or not {*insts} <= {*venue.instruments}:
            return [_error(number, 404, f"topic {topic[:64]} is not found")]
        held = len(link.books) if self._product.is_spot else 0
        if len(insts) > PER_REQUEST or (kind == "subscribe" and held + len(insts) > PER_CONNECTION):
            return [_error(number, 509, "exceed max subscription count limitation")]
        ack = [Tell(_text({"id": number, "type": "ack"}))] if request.get("response") is True else []
        act = Subscribe if kind == "subscribe" else Unsubscribe
        return [*ack, *(act(channel, inst) for inst in insts)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Cut a client that has not pinged for a minute, however much was sent to it, and what is a day old."""
        if venue.now_ns - link.opened_ns >= LIFE_NS:
            return [HangUp(1001, "")]
        return [HangUp(1000, "")] if venue.now_ns - self._heard_ns[link.conn] >= CLIENT_SILENCE_NS else []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._heard_ns.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push: whole levels, all changes of a pair in one message, or each change of a contract in its own."""
        topic = next(head for head, channel in self._topics.items() if channel == push.channel)
        head: Json = {"topic": f"{topic}:{push.inst}", "type": "message"}
        ms = push.ts_ns // NS_PER_MS
        if push.channel == LEVELS:
            data: Json = {"asks": push.asks, "bids": push.bids, "timestamp": ms}
            return [_text({**head, "subject": "level2", "data": data})]
        if push.kind is Kind.KEEPALIVE or push.prev is None:
            return []
        if self._product.is_spot:
            return [_text({**head, "subject": "trade.l2update", "data": _changes(push, push.prev, ms)})]
        return [
            _text({**head, "subject": "level2", "sn": number, "data": _change(number, side, row, ms)})
            for number, (side, row) in zip(count(push.prev + 1), _told(push, push.prev), strict=False)
        ]

    def notice(self, link: Link) -> str:
        """Announce nothing: the venue cuts unannounced."""
        raise NotImplementedError("KuCoin announces no close")

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        return request.query.get("symbol") if request.path in self._product.book_paths else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        return self._rest.answer(request, venue)

    def too_many_requests(self) -> Reply:
        """Answer 429 with the venue's own code."""
        return kucoin_rest.too_many_requests()


def spot(seed: int) -> Kucoin:
    """Make the dialect of spot."""
    return Kucoin(seed, SPOT)


def _told(push: Push, prev: int) -> list[tuple[str, Row]]:
    """List what each number of a push stands for: the first ones for nothing, the others for a change each."""
    changes = [*(("buy", row) for row in push.bids), *(("sell", row) for row in push.asks)]
    return [*repeat(("sell", ("0", "0")), push.seq - prev - len(changes)), *changes]


def _change(number: int, side: str, row: Row, ms: int) -> Json:
    return {"sequence": number, "change": f"{row[0]},{side},{row[1]}", "timestamp": ms}


def _changes(push: Push, prev: int, ms: int) -> Json:
    """Write the changes of a pair: rows with their own numbers; a row of price 0 for a number without a change."""
    sides: dict[str, list[list[str]]] = {"sell": [], "buy": []}
    for number, (side, row) in zip(count(prev + 1), _told(push, prev), strict=False):
        sides[side].append([*row, str(number)])
    numbers: Json = {"sequenceEnd": push.seq, "sequenceStart": prev + 1}
    return {"changes": {"asks": sides["sell"], "bids": sides["buy"]}, **numbers, "symbol": push.inst, "time": ms}


def _error(number: str, code: int, data: str) -> Tell:
    return Tell(_text({"id": number, "type": "error", "code": code, "data": data}))


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
