"""Gate.io, server side: JSON requests by channel, books pushed whole (`obu`) or as changes (`order_book_update`).

Written from the project's venue notes on Gate, the documents they name, and frames that others captured in 2023 and
2026. One dialect for two product groups; the REST half is `gate_rest`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.dialects.gate_rest import FUTURES, SPOT, Product, Rest, default_insts, instrument
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
OUT_AFTER_MS = 20
"""What lies between a change in the matching engine (`t`) and the message that tells it (`time_ms`)."""
IDLE_NS = 30 * NS_PER_S
"""A connection without subscriptions on which nothing was said for so long is closed."""
OBU, UPDATES = "obu", "order_book_update"
OBU_LEVELS, UPDATE_LEVELS = 400, 100
SPEED = "100ms"
UPGRADE = "The connection will soon be closed for a service upgrade. Please reconnect."

_STREAM = re.compile(r"ob\.(?P<inst>.+)\.(?P<level>\d{1,4})", re.ASCII | re.DOTALL)
Json = dict[str, object]


class Gate:
    """One product group as a client sees it."""

    max_step = 30
    broken_field = ('"u":', '"lastId":')

    def __init__(self, seed: int, product: Product = FUTURES) -> None:
        self.name = product.name
        self.ws_path = product.ws_path
        self.lacks: frozenset[str] = frozenset({"maintenance", "reset", "checksum", "bad_checksum"})
        if product.is_spot:
            self.lacks |= {"no_snapshot"}
        self.channels: Mapping[str, Channel] = {
            channel.name: channel
            for channel in (
                Channel(f"{product.word}.{OBU}", OBU_LEVELS, whole=False, checksum=False, keepalive_ns=NEVER_NS),
                Channel(
                    f"{product.word}.{UPDATES}",
                    UPDATE_LEVELS,
                    whole=False,
                    checksum=False,
                    keepalive_ns=NEVER_NS,
                    pushes_snapshot=False,
                ),
            )
        }
        self._product = product
        self._rest = Rest(product)
        self._random = Random(f"{seed}/{product.name}")
        self._conn_ids: dict[str, str] = {}
        self._acts: dict[str, Callable[[str, str], Action]] = {"subscribe": Subscribe, "unsubscribe": Unsubscribe}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, then invented ones, 32 in all."""
        return default_insts()

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id like `BTC_USDT`.

        Raises:
            ConfigError: the product group has no ids like this.
        """
        return instrument(self._product, inst, start_ns)

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute nothing: no channel has a checksum."""
        raise NotImplementedError(f"{self.name} has no checksum")

    def accepts(self, path: str) -> bool:
        """Serve the socket of this product group only."""
        return path.rstrip("/") == self.ws_path.rstrip("/")

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._conn_ids[link.conn] = f"{self._random.getrandbits(64):016x}"
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return [self._refusal(link, {}, venue, 1, "request message need json scheme")]
        if not isinstance(request, dict):
            return [self._refusal(link, {}, venue, 1, "invalid argument struct")]
        channel, event, payload = request.get("channel"), request.get("event"), request.get("payload")
        if channel == f"{self._product.word}.ping":
            head = self._head(link, request, venue)
            return [_tell({**head, "channel": f"{self._product.word}.pong", "event": "", "result": None})]
        if not isinstance(channel, str) or channel not in self.channels:
            return [self._refusal(link, request, venue, 2, f"Unknown channel {str(channel)[:64]}")]
        act = self._acts.get(str(event))
        if act is None or not isinstance(payload, list) or not all(isinstance(one, str) for one in payload):
            return [self._refusal(link, request, venue, 2, "invalid argument")]
        if self.channels[channel].pushes_snapshot:
            return self._of_streams(link, request, venue, act)
        return self._of_changes(link, request, venue, act)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Close a connection that wants nothing and says nothing; pings are the protocol's own."""
        idle = not link.books and venue.now_ns - link.active_ns >= IDLE_NS
        return [HangUp(1001, "")] if idle else []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._conn_ids.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push; what has not changed is not said again."""
        if push.kind is Kind.KEEPALIVE:
            return []
        ms = push.ts_ns // NS_PER_MS
        out_ms = ms + OUT_AFTER_MS
        head: Json = {"time": out_ms // 1000, "time_ms": out_ms, "channel": push.channel, "event": "update"}
        write = self._stream if self.channels[push.channel].pushes_snapshot else self._changes
        return [_text({**head, "result": {"t": ms, **write(push)}})]

    def notice(self, link: Link) -> str:
        """Announce that this connection will be closed for an upgrade of the service."""
        head: Json = {"time": 1770694860, "time_ms": 1770694860773, "channel": f"{self._product.word}.system"}
        return _text({**head, "event": "update", "result": {"type": "upgrade", "msg": UPGRADE}})

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        return request.query.get(self._product.query) if request.path == self._product.book_path else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        return self._rest.answer(request, venue)

    def too_many_requests(self) -> Reply:
        """Answer 429 with the venue's own label; it names no time to wait."""
        return self._rest.too_many_requests()

    def _of_streams(self, link: Link, request: Json, venue: Venue, act: Callable[[str, str], Action]) -> list[Action]:
        """Start or end `obu` streams: one that does not exist is confirmed and silent, a second one refused."""
        channel, payload = str(request["channel"]), _payload(request)
        books = []
        for stream in payload:
            match = _STREAM.fullmatch(stream)
            if match is None or match["inst"] not in venue.instruments or match["level"] != str(OBU_LEVELS):
                continue
            if act is Subscribe and (channel, match["inst"]) in link.books:
                return [self._refusal(link, request, venue, 2, f"Alert sub {stream}")]
            books.append(match["inst"])
        return [self._success(link, request, venue), *(act(channel, inst) for inst in books)]

    def _of_changes(self, link: Link, request: Json, venue: Venue, act: Callable[[str, str], Action]) -> list[Action]:
        """Start or end the changes of one book."""
        inst, speed, *levels = [*_payload(request), "", ""][: max(2, len(_payload(request)))]
        if inst not in venue.instruments:
            return [self._refusal(link, request, venue, 2, f"unknown currency pair {inst}")]
        if speed != SPEED:
            return [self._refusal(link, request, venue, 2, f"provided interval not supported: {speed}")]
        if self._product.is_spot and levels:
            return [self._refusal(link, request, venue, 2, "invalid argument")]
        if levels not in ([], [str(UPDATE_LEVELS)]):
            return [self._refusal(link, request, venue, 2, f"provided level not supported: {levels[0]}")]
        return [self._success(link, request, venue), act(str(request["channel"]), inst)]

    def _head(self, link: Link, request: Json, venue: Venue) -> Json:
        """Begin an answer; a request's number is sent back."""
        ms = venue.now_ns // NS_PER_MS
        number = {"id": request["id"]} if isinstance(request.get("id"), int) else {}
        return {"time": ms // 1000, "time_ms": ms, **number, "conn_id": self._conn_ids[link.conn]}

    def _answer(self, link: Link, request: Json, venue: Venue, **members: object) -> Tell:
        asked: Json = {"channel": request.get("channel", ""), "event": request.get("event", "")}
        if "payload" in request:
            asked["payload"] = request["payload"]
        traced = {**self._head(link, request, venue), "trace_id": f"{self._random.getrandbits(128):032x}"}
        return _tell({**traced, **asked, **members})

    def _success(self, link: Link, request: Json, venue: Venue) -> Tell:
        return self._answer(link, request, venue, result={"status": "success"})

    def _refusal(self, link: Link, request: Json, venue: Venue, code: int, message: str) -> Tell:
        error = {"code": code, "message": message}
        return self._answer(link, request, venue, error=error, result={"status": "fail"})

    def _stream(self, push: Push) -> Json:
        """Write what `obu` says: all of it, or what has changed; a side without rows is left out."""
        whole = push.kind is Kind.SNAPSHOT
        full: Json = {"full": True} if whole else {}
        first: Json = {} if whole else {"U": _first(push)}
        sides = {name: rows for name, rows in (("b", push.bids), ("a", push.asks)) if rows}
        return {**full, "s": f"ob.{push.inst}.{OBU_LEVELS}", **first, "u": push.seq, **sides}

    def _changes(self, push: Push) -> Json:
        """Write changes as the product group does."""
        numbers: Json = {"U": _first(push), "u": push.seq}
        if self._product.is_spot:
            old: Json = {"l": str(UPDATE_LEVELS), "e": "depthUpdate", "E": push.ts_ns // NS_PER_S, "s": push.inst}
            return {**old, **numbers, "b": push.bids, "a": push.asks}
        sides = {"a": _levels(push.asks), "b": _levels(push.bids)}
        return {**numbers, "s": push.inst, **sides, "l": str(UPDATE_LEVELS)}


def spot(seed: int) -> Gate:
    """Make the dialect of spot."""
    return Gate(seed, SPOT)


def _first(push: Push) -> int:
    """Number the first change of a push: it follows the last one of the push before."""
    return push.seq if push.prev is None else push.prev + 1


def _levels(rows: Sequence[Row]) -> list[Json]:
    """Write levels as objects, sizes as whole numbers."""
    return [{"p": row[0], "s": int(row[1])} for row in rows]


def _payload(request: Json) -> list[str]:
    payload = request["payload"]
    return [str(one) for one in payload] if isinstance(payload, list) else []


def _tell(value: Json) -> Tell:
    return Tell(_text(value))


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
