"""Bybit v5, server side: topics on the linear, inverse and spot sockets, a JSON ping, listings by REST.

Written from the project's venue notes on Bybit and from nothing else. Update ids rise by one per topic; the market's
own numbers, which do not, stand in `seq`, as the venue's cross sequence does.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
REPEATED_NS = 3 * NS_PER_S
"""The channel of the best prices repeats itself after so long a silence."""
FIRST_ID = 18_521_288
LISTED_AGO_NS = 365 * DAY_NS
PAGE = 1000
INSTRUMENTS_PATH = "/v5/market/instruments-info"
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("orderbook.1000", 1000, whole=False, checksum=False, keepalive_ns=NEVER_NS),
        Channel("orderbook.200", 200, whole=False, checksum=False, keepalive_ns=NEVER_NS),
        Channel("orderbook.50", 50, whole=False, checksum=False, keepalive_ns=NEVER_NS),
        Channel("orderbook.1", 1, whole=True, checksum=False, keepalive_ns=REPEATED_NS),
    )
}
QUOTES = {"linear": "USDT", "inverse": "USD", "spot": "USDT"}
_PRICES = {"BTC": (651_404, Grid(1, 1)), "ETH": (350_012, Grid(1, 2)), "SOL": (95_310, Grid(1, 3))}
_KNOWN = ("BTC", "ETH", "SOL", "XRP", "DOGE")

Json = dict[str, object]


class Bybit:
    """One product group of Bybit as a client sees it."""

    channels: Mapping[str, Channel] = CHANNELS
    max_step = 40
    broken_field = ('"b":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "checksum", "bad_checksum"})

    def __init__(self, seed: int, name: str = "bybit", word: str = "linear") -> None:
        self.name = name
        self.ws_path = f"/v5/public/{word}"
        self._word = word
        self._random = Random(f"{seed}/{name}")
        self._conn_ids: dict[str, str] = {}
        self._ids: dict[tuple[str, str], tuple[int, int]] = {}
        self._ops = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, then invented ones, 32 in all."""
        bases = [*_KNOWN, *(f"SIM{number:02d}" for number in range(1, 33 - len(_KNOWN)))]
        return [base + QUOTES[self._word] for base in bases]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id like `BTCUSDT`.

        Raises:
            ConfigError: this product group has no ids like it.
        """
        quote = QUOTES[self._word]
        match = re.fullmatch(rf"([A-Z0-9]{{1,20}}){quote}", inst, re.ASCII)
        if match is None:
            raise ConfigError(f"Bybit {self._word} has no ids like {clip(inst)}; write it like BTC{quote}")
        base, spot, inverse = match[1], self._word == "spot", self._word == "inverse"
        price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))
        return Instrument(
            inst=inst,
            base=base,
            quote=quote,
            settle="" if spot else base if inverse else quote,
            market="spot" if spot else "perp",
            kind="" if spot else self._word,
            tick=tick,
            lot=Grid(1, 6 if spot else 0 if inverse else 3),
            contract_value="" if spot else "1",
            contract_ccy="" if spot else quote if inverse else base,
            listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, 3_000, 230, 280, 10, 0.95),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Give none: the venue has no checksum, and no channel here says it has."""
        return 0

    def accepts(self, path: str) -> bool:
        """Serve the socket of this product group only."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._conn_ids[link.conn] = f"{self._random.getrandbits(64):016x}"
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return [self._refusal(link, "", "error:request not json")]
        if not isinstance(request, dict):
            return [self._refusal(link, "", "error:request not an object")]
        op = str(request.get("op"))
        if op == "ping":
            return [self._answer(link, request, "ping", "pong")]
        act, args = self._ops.get(op), request.get("args")
        if act is None or not isinstance(args, list) or not args:
            return [self._refusal(link, op, f"error:unknown op {op[:64]}")]
        topics = [_topic(arg) for arg in args]
        for arg, topic in zip(args, topics, strict=True):
            if topic is None or topic[0] not in CHANNELS or topic[1] not in venue.instruments:
                return [self._refusal(link, op, f"error:handler not found,topic:{str(arg)[:64]}")]
        ack = self._answer(link, request, op, op if self._word == "spot" else "")
        return [ack, *(act(link, topic) for topic in topics if topic is not None)]

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Say nothing: the venue cuts only after ten minutes without a ping or data, and data never stop here."""
        return []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._conn_ids.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, keys in the order of its product group."""
        kind = "delta" if push.kind is Kind.DELTA else "snapshot"
        head: Json = {"topic": f"{push.channel}.{push.inst}"}
        ts: Json = {"ts": push.ts_ns // NS_PER_MS + 2}
        typed: Json = {"type": kind}
        body: Json = {"s": push.inst, "b": push.bids, "a": push.asks, "u": self._id(push), "seq": push.seq}
        ts_first = self._word == "spot" or push.channel == "orderbook.1"
        head |= {**ts, **typed} if ts_first else {**typed, **ts}
        return [_text(head | {"data": body, "cts": push.ts_ns // NS_PER_MS})]

    def notice(self, link: Link) -> str:
        """Announce nothing: the venue cuts unannounced."""
        return ""

    def requested_inst(self, request: Request) -> str | None:
        """Name no instrument: books are not served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer the list of instruments, page by page."""
        if request.path != INSTRUMENTS_PATH:
            return Reply(404, _text({"retCode": 404, "retMsg": "not found"}))
        if request.query.get("category") != self._word:
            return Reply(200, _text({"retCode": 10001, "retMsg": "params error: Category is invalid", "result": {}}))
        limit = min(int(request.query.get("limit", "500")), PAGE)
        start = int(request.query.get("cursor") or "0")
        listed = list(venue.instruments.values())
        more = str(start + limit) if start + limit < len(listed) else ""
        rows = [self._listed(one) for one in listed[start : start + limit]]
        result = {"category": self._word, "list": rows, "nextPageCursor": more}
        return Reply(200, _text({"retCode": 0, "retMsg": "OK", "result": result, "time": venue.now_ns // NS_PER_MS}))

    def too_many_requests(self) -> Reply:
        """Answer 403, as the venue does where an address asks too often; it names no time to wait."""
        return Reply(403, _text({"retCode": 10006, "retMsg": "Too many visits!", "result": {}}))

    def _id(self, push: Push) -> int:
        """Number a topic's pushes one by one; the same push has the same number on every connection."""
        key = (push.channel, push.inst)
        seq, number = self._ids.get(key, (push.seq, FIRST_ID))
        if push.seq != seq:
            number += 1
        self._ids[key] = (push.seq, number)
        return number

    def _subscribe(self, link: Link, topic: tuple[str, str]) -> Action:
        return Subscribe(*topic)

    def _unsubscribe(self, link: Link, topic: tuple[str, str]) -> Action:
        return Unsubscribe(*topic)

    def _answer(self, link: Link, request: Json, op: str, message: str) -> Tell:
        answer: Json = {"success": True, "ret_msg": message, "conn_id": self._conn_ids[link.conn]}
        if self._word != "spot":
            answer["req_id"] = str(request.get("req_id", ""))
        return Tell(_text(answer | {"op": op}))

    def _refusal(self, link: Link, op: str, message: str) -> Tell:
        members = {"success": False, "ret_msg": message, "conn_id": self._conn_ids[link.conn], "op": op}
        return Tell(_text(members))

    def _listed(self, one: Instrument) -> Json:
        spot = one.market == "spot"
        lots = {"basePrecision": one.lot.step} if spot else {"qtyStep": one.lot.step, "minOrderQty": one.lot.step}
        row: Json = {"symbol": one.inst, "status": "Trading", "baseCoin": one.base, "quoteCoin": one.quote}
        if not spot:
            kind = "InversePerpetual" if one.kind == "inverse" else "LinearPerpetual"
            times = {"launchTime": str(one.listed_ns // NS_PER_MS), "deliveryTime": "0"}
            row |= {"contractType": kind, "settleCoin": one.settle, **times}
        return row | {"priceFilter": {"tickSize": one.tick.step}, "lotSizeFilter": lots}


def inverse(seed: int) -> Bybit:
    """Make the dialect of inverse contracts."""
    return Bybit(seed, "bybit_inverse", "inverse")


def spot(seed: int) -> Bybit:
    """Make the dialect of spot."""
    return Bybit(seed, "bybit_spot", "spot")


def _topic(arg: object) -> tuple[str, str] | None:
    """Split `orderbook.200.BTCUSDT`."""
    if not isinstance(arg, str) or arg.count(".") != 2:
        return None
    channel, _, inst = arg.rpartition(".")
    return channel, inst


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
