"""Binance, server side: streams of changes on combined and raw sockets, confirmed whether they exist or not.

Written from the project's venue notes on Binance and Aster and checked against recorded frames. The REST half is
`binance_rest`; the company Aster, which speaks the same protocol, is data in `aster`.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.dialects.binance_rest import Product, Rest, default_insts, instrument, padded
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Push, Reply

NEVER_NS = 10**6 * DAY_NS
WHOLE_BOOK = 10_000
OUT_AFTER_MS = 3
"""What lies between a change in the matching engine (`T`) and the message that tells it (`E`)."""
LIFE_NS = DAY_NS
"""A connection of this age is cut without notice."""
PACE_NS = NS_PER_S
TOO_FAST = HangUp(1008, "Too many requests")

DEPTH, PARTIAL, TICKER = "depth", "depth20", "bookTicker"
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel(TICKER, 1, whole=True, checksum=False, keepalive_ns=NEVER_NS),
        Channel(PARTIAL, 20, whole=True, checksum=False, keepalive_ns=NEVER_NS),
        Channel(DEPTH, WHOLE_BOOK, whole=False, checksum=False, keepalive_ns=NEVER_NS, pushes_snapshot=False),
    )
}
"""In the order in which one connection gets them within a step."""

USDM = Product(
    name="binance",
    kind="linear",
    quotes=("USDT", "USDC"),
    ws_path="/public/stream",
    book_path="/fapi/v1/depth",
    listing_path="/fapi/v1/exchangeInfo",
    messages_per_s=10,
    weights={5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20},
    weight_per_minute=2400,
    default_levels=500,
)
COINM = Product(
    name="binance_coinm",
    kind="inverse",
    quotes=("USD",),
    ws_path="/stream",
    book_path="/dapi/v1/depth",
    listing_path="/dapi/v1/exchangeInfo",
    messages_per_s=10,
    weights=USDM.weights,
    weight_per_minute=2400,
    default_levels=500,
)
SPOT = Product(
    name="binance_spot",
    kind="",
    quotes=("USDT", "USDC", "BTC"),
    ws_path="/stream",
    book_path="/api/v3/depth",
    listing_path="/api/v3/exchangeInfo",
    messages_per_s=5,
    weights={100: 5, 500: 25, 1000: 50, 5000: 250},
    weight_per_minute=6000,
    default_levels=100,
    decimals=8,
)

_STREAM = re.compile(r"(?P<symbol>[a-z0-9_]+)@(?P<channel>depth20|depth|bookTicker)(?:@\d+ms)?", re.ASCII)
Json = dict[str, object]


@dataclass(slots=True)
class _Client:
    """What the server remembers of a connection: how it wants pushes, what it called streams, when it spoke."""

    combined: bool
    streams: dict[tuple[str, str], str] = field(default_factory=dict)
    spoke_ns: deque[int] = field(default_factory=deque)


class Binance:
    """One product group as a client sees it."""

    broken_field = ('"b":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "reset", "no_snapshot", "checksum", "bad_checksum"})

    def __init__(self, seed: int, product: Product = USDM) -> None:
        self.name = product.name
        self.ws_path = product.ws_path
        # Ids run over all symbols of a futures engine, so those of one symbol are far apart; spot counts each symbol.
        self.max_step = 20 if product.is_spot else 4_000
        self.channels: Mapping[str, Channel] = {DEPTH: CHANNELS[DEPTH]} if product.is_spot else CHANNELS
        self._product = product
        self._rest = Rest(product)
        self._clients: dict[str, _Client] = {}
        self._methods = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": self._list,
            "SET_PROPERTY": self._set_property,
        }

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, of each kind, then invented ones, 32 in all."""
        return default_insts(self._product, start_ns)

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

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
        """Serve the combined socket (`.../stream`) and the raw one (`.../ws`)."""
        return path in (self.ws_path, _raw(self.ws_path))

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._clients[link.conn] = _Client(combined=link.path.partition("?")[0] != _raw(self.ws_path))
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame; one that speaks too fast is cut."""
        client = self._clients[link.conn]
        if self._is_too_fast(client, venue.now_ns):
            return [TOO_FAST]
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            return [_error(None, 3, f"Invalid JSON: {error}")]
        if not isinstance(request, dict):
            return [_error(None, 2, "Invalid request: not an object")]
        number, method = request.get("id"), request.get("method")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return [_error(None, 2, "Invalid request: request ID must be an unsigned integer")]
        act = self._methods.get(str(method))
        if act is None:
            known = ", ".join(f"`{name}`" for name in self._methods)
            return [_error(number, 2, f"Invalid request: unknown variant `{method}`, expected one of {known}")]
        return act(link, client, request, venue)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Cut a connection that has reached its age; pings are the protocol's own and not this file's business."""
        return [HangUp(1001, "")] if venue.now_ns - link.opened_ns >= LIFE_NS else []

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._clients.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push, wrapped with the name of its stream on the combined socket."""
        client = self._clients[link.conn]
        data = self._best(push) if push.channel == TICKER else self._book(push)
        if not client.combined:
            return [_text(data)]
        return [_text({"stream": client.streams[push.channel, push.inst], "data": data})]

    def notice(self, link: Link) -> str:
        """Announce nothing: the venue cuts unannounced."""
        return ""

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for."""
        return request.query.get("symbol") if request.path == self._product.book_path else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        return self._rest.answer(request, venue)

    def too_many_requests(self) -> Reply:
        """Answer 429 with the venue's own code and the time to wait."""
        return self._rest.too_many_requests()

    def _is_too_fast(self, client: _Client, now_ns: int) -> bool:
        """Count a message against the limit of a connection."""
        while client.spoke_ns and client.spoke_ns[0] <= now_ns - PACE_NS:
            client.spoke_ns.popleft()
        client.spoke_ns.append(now_ns)
        return len(client.spoke_ns) > self._product.messages_per_s

    def _subscribe(self, link: Link, client: _Client, request: Json, venue: Venue) -> list[Action]:
        """Confirm every stream; those that do not exist, or are not in lower case, deliver nothing."""
        names = _names(request)
        if names is None:
            return [_error(request["id"], 2, "Invalid request: params must be a list of texts")]
        books = {name: book for name in names if (book := self._book_of(name, venue)) is not None}
        for name, book in books.items():
            client.streams.setdefault(book, name)
        return [_result(request["id"], None), *(Subscribe(*book) for book in books.values())]

    def _unsubscribe(self, link: Link, client: _Client, request: Json, venue: Venue) -> list[Action]:
        names = _names(request)
        if names is None:
            return [_error(request["id"], 2, "Invalid request: params must be a list of texts")]
        gone = [book for book, name in client.streams.items() if name in names]
        for book in gone:
            del client.streams[book]
        return [_result(request["id"], None), *(Unsubscribe(*book) for book in gone)]

    def _list(self, link: Link, client: _Client, request: Json, venue: Venue) -> list[Action]:
        return [_result(request["id"], list(client.streams.values()))]

    def _set_property(self, link: Link, client: _Client, request: Json, venue: Venue) -> list[Action]:
        match request.get("params"):
            case ["combined", bool(combined)]:
                client.combined = combined
                return [_result(request["id"], None)]
            case ["combined", _]:
                return [_error(request["id"], 1, "Invalid value type: expected Boolean")]
            case _:
                return [_error(request["id"], 0, "Unknown property")]

    def _book_of(self, name: str, venue: Venue) -> tuple[str, str] | None:
        """Tell which book a stream carries; None: nothing is ever pushed on it."""
        match = _STREAM.fullmatch(name)
        if match is None or match["channel"] not in self.channels or match["symbol"].upper() not in venue.instruments:
            return None
        return match["channel"], match["symbol"].upper()

    def _book(self, push: Push) -> Json:
        """Write changes, or the best 20 levels: the same object but for what its rows mean."""
        rows: Json = {"b": padded(self._product, push.bids), "a": padded(self._product, push.asks)}
        previous = push.seq - 1 if push.prev is None else push.prev
        ms = push.ts_ns // NS_PER_MS
        if self._product.is_spot:
            ids: Json = {"U": previous + 1, "u": push.seq}
            return {"e": "depthUpdate", "E": ms, "s": push.inst, **ids, **rows}
        ids = {"U": previous + 1 + (push.seq - previous) // 3, "u": push.seq, "pu": previous}
        head: Json = {"e": "depthUpdate", "E": ms + OUT_AFTER_MS, "T": ms, "s": push.inst}
        return {**head, **self._pair(push.inst), **ids, **rows}

    def _best(self, push: Push) -> Json:
        """Write the best prices; a side without orders has zeros."""
        (bid,), (ask,) = push.bids or (("0", "0"),), push.asks or (("0", "0"),)
        ms = push.ts_ns // NS_PER_MS
        head: Json = {"e": "bookTicker", "u": push.seq, "s": push.inst, **self._pair(push.inst)}
        return head | {"b": bid[0], "B": bid[1], "a": ask[0], "A": ask[1], "T": ms, "E": ms + OUT_AFTER_MS}

    def _pair(self, inst: str) -> Json:
        """Name the underlying, as COIN-M does."""
        return {"ps": inst.partition("_")[0]} if self._product.kind == "inverse" else {}


def coinm(seed: int) -> Binance:
    """Make the dialect of COIN-M futures."""
    return Binance(seed, COINM)


def spot(seed: int) -> Binance:
    """Make the dialect of spot."""
    return Binance(seed, SPOT)


def _raw(ws_path: str) -> str:
    """Name the path of the socket whose pushes are not wrapped."""
    return ws_path.removesuffix("/stream") + "/ws"


def _names(request: Json) -> list[str] | None:
    params = request.get("params")
    return params if isinstance(params, list) and all(isinstance(name, str) for name in params) else None


def _result(number: object, result: object) -> Tell:
    return Tell(_text({"result": result, "id": number}))


def _error(number: object, code: int, msg: str) -> Tell:
    return Tell(_text({"error": {"code": code, "msg": msg}} | ({} if number is None else {"id": number})))


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
