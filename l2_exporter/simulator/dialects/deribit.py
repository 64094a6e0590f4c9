"""Deribit, server side: JSON-RPC subscriptions of books, heartbeats that must be answered, listings by REST.

Written from the project's venue notes on Deribit and from nothing else. Prices and amounts are JSON numbers with the
text the market gives them, a point always among it, as the venue's floats have.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
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
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10**6 * DAY_NS
ALL_LEVELS = 400
LISTED_AGO_NS = 365 * DAY_NS
INSTRUMENTS_PATH = "/api/v2/public/get_instruments"
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("book.raw", ALL_LEVELS, whole=False, checksum=False, keepalive_ns=NEVER_NS),
        Channel("book.100ms", ALL_LEVELS, whole=False, checksum=False, keepalive_ns=NEVER_NS),
    )
}
_KINDS = {"perp": "future", "spot": "spot"}
_PRICES = {"BTC": (651_404, Grid(5, 1)), "ETH": (35_012, Grid(5, 2)), "SOL": (95_310, Grid(1, 3))}
_ID = re.compile(r"(?P<base>[A-Z0-9]{1,12})(?:_(?P<quote>USDC))?(?P<perp>-PERPETUAL)?", re.ASCII)

Json = dict[str, object]


@dataclass(slots=True)
class _Client:
    """A connection: how often it wants a heartbeat, and when it last had one or answered it."""

    interval_ns: int = 0
    asked_ns: int = 0
    answered: bool = True


class Deribit:
    """Deribit as a client sees it."""

    name = "deribit"
    ws_path = "/ws/api/v2"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 9
    broken_field = ('"bids":', '"bidLevels":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "checksum", "bad_checksum"})

    def __init__(self, seed: int) -> None:
        self._clients: dict[str, _Client] = {}
        self._shown: dict[tuple[str, str], tuple[int, tuple[set[str], set[str]], str]] = {}
        self._calls = {
            "public/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "public/set_heartbeat": self._set_heartbeat,
            "public/test": self._test,
        }

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, one of each kind, then invented ones, 32 in all."""
        known = ["BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC", "SOL_USDC-PERPETUAL", "ETH_USDC"]
        return known + [f"SIM{number:02d}_USDC-PERPETUAL" for number in range(1, 33 - len(known))]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id: `BTC-PERPETUAL` (inverse), `SOL_USDC-PERPETUAL`, `BTC_USDC`.

        Raises:
            ConfigError: the id has none of these shapes.
        """
        match = _ID.fullmatch(inst)
        if match is None or not (match["quote"] or match["perp"]):
            raise ConfigError(f"the simulated Deribit has no ids like {clip(inst)}; write it like BTC-PERPETUAL")
        base, spot, inverse = match["base"], match["perp"] is None, match["quote"] is None
        price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))
        return Instrument(
            inst=inst,
            base=base,
            quote="USD" if inverse else "USDC",
            settle="" if spot else base if inverse else "USDC",
            market="spot" if spot else "perp",
            kind="" if spot else "inverse" if inverse else "linear",
            tick=tick,
            lot=Grid(10, 0) if inverse else Grid(1, 4),
            contract_value="" if spot else "10" if inverse else "0.0001",
            contract_ccy="" if spot else "USD" if inverse else base,
            listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, 3_000, 210, 250, 9, 0.9),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and amount, as floats are written."""
        return (_float(price), "0" if size == "0" else _float(size))

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Give none: the venue has no checksum, and no channel here says it has."""
        return 0

    def accepts(self, path: str) -> bool:
        """Serve the one endpoint."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        self._clients[link.conn] = _Client()
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a call."""
        try:
            call = orjson.loads(frame)
        except orjson.JSONDecodeError:
            call = None
        if not isinstance(call, dict):
            return [_error(None, -32700, "Parse error")]
        method, params = self._calls.get(str(call.get("method"))), call.get("params")
        if method is None:
            return [_error(call.get("id"), -32601, "Method not found")]
        if not isinstance(params, dict):
            return [_error(call.get("id"), -32602, "Invalid params")]
        return method(link, call.get("id"), params, venue)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Ask a client that wants heartbeats whether it is there; cut one that has not answered the last question."""
        client = self._clients[link.conn]
        if not client.interval_ns or venue.now_ns - client.asked_ns < client.interval_ns:
            return []
        if not client.answered:
            return [HangUp(1000, "heartbeat not answered")]
        client.asked_ns, client.answered = venue.now_ns, False
        return [Tell(_text({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}))]

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._clients.pop(link.conn, None)

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push; what is new and what a change follows from what the stream has shown so far."""
        key = (push.channel, push.inst)
        if push.kind is not Kind.DELTA:
            levels = ({row[0] for row in push.bids}, {row[0] for row in push.asks})
            self._shown.setdefault(key, (push.seq, levels, ""))
            return [_push(push, _rows(push.bids, set()), _rows(push.asks, set()))]
        seq, (bids, asks), text = self._shown.get(key, (0, (set(), set()), ""))
        if seq != push.seq:
            text = _push(push, _rows(push.bids, bids), _rows(push.asks, asks))
            self._shown[key] = (push.seq, (_after(bids, push.bids), _after(asks, push.asks)), text)
        return [text]

    def notice(self, link: Link) -> str:
        """Announce nothing."""
        return ""

    def requested_inst(self, request: Request) -> str | None:
        """Name no instrument: books are not served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer the list of one kind of instruments."""
        if request.path != INSTRUMENTS_PATH:
            return Reply(404, _text({"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}}))
        kind = request.query.get("kind")
        rows = [_listed(one) for one in venue.instruments.values() if kind in (None, "", _KINDS[one.market])]
        return Reply(200, _text({"jsonrpc": "2.0", "result": rows, **_timing(venue)}))

    def too_many_requests(self) -> Reply:
        """Answer 429 with the venue's code; it names no time to wait."""
        return Reply(429, _text({"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}}))

    def _subscribe(self, link: Link, number: object, params: Json, venue: Venue) -> list[Action]:
        books = [book for book in map(_book, _channels(params)) if book[0] in CHANNELS and book[1] in venue.instruments]
        result = [_topic(*book) for book in books]
        return [_result(number, result, venue), *(Subscribe(*book) for book in books)]

    def _unsubscribe(self, link: Link, number: object, params: Json, venue: Venue) -> list[Action]:
        books = [book for book in map(_book, _channels(params)) if book in link.books]
        result = [_topic(*book) for book in books]
        return [_result(number, result, venue), *(Unsubscribe(*book) for book in books)]

    def _set_heartbeat(self, link: Link, number: object, params: Json, venue: Venue) -> list[Action]:
        interval = params.get("interval")
        if not isinstance(interval, int) or interval < 10:
            return [_error(number, -32602, "Invalid params")]
        client = self._clients[link.conn]
        client.interval_ns, client.asked_ns = interval * NS_PER_S, venue.now_ns
        return [_result(number, "ok", venue)]

    def _test(self, link: Link, number: object, params: Json, venue: Venue) -> list[Action]:
        self._clients[link.conn].answered = True
        return [_result(number, {"version": "1.2.26"}, venue)]


def _float(text: str) -> str:
    return text if "." in text else text + ".0"


def _channels(params: Json) -> list[str]:
    channels = params.get("channels")
    return [one for one in channels if isinstance(one, str)] if isinstance(channels, list) else []


def _book(topic: str) -> tuple[str, str]:
    """Split `book.BTC-PERPETUAL.100ms` into channel and instrument."""
    parts = topic.split(".")
    return (f"book.{parts[2]}", parts[1]) if len(parts) == 3 and parts[0] == "book" else ("", "")


def _topic(channel: str, inst: str) -> str:
    return f"book.{inst}.{channel.removeprefix('book.')}"


def _rows(rows: Sequence[Row], shown: set[str]) -> str:
    """Write rows as `["new",30184.5,120.0]`."""
    return ",".join(f'["{_action(row, shown)}",{row[0]},{_float(row[1])}]' for row in rows)


def _action(row: Row, shown: set[str]) -> str:
    if row[1] == "0":
        return "delete"
    return "change" if row[0] in shown else "new"


def _after(shown: set[str], rows: Sequence[Row]) -> set[str]:
    gone = {row[0] for row in rows if row[1] == "0"}
    return (shown | {row[0] for row in rows}) - gone


def _push(push: Push, bids: str, asks: str) -> str:
    """Write a frame, keys in the recorded order; levels are numbers, so it is put together as text."""
    delta = push.kind is Kind.DELTA
    prev = f'"prev_change_id":{push.prev},' if delta else ""
    head = f'"type":"{"change" if delta else "snapshot"}","timestamp":{push.ts_ns // NS_PER_MS},{prev}'
    book = f'{head}"instrument_name":"{push.inst}","change_id":{push.seq},"bids":[{bids}],"asks":[{asks}]'
    params = f'{{"channel":"{_topic(push.channel, push.inst)}","data":{{{book}}}}}'
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{params}}}'


def _listed(one: Instrument) -> Json:
    spot = one.market == "spot"
    row: Json = {
        "instrument_name": one.inst,
        "kind": _KINDS[one.market],
        "state": "open",
        "is_active": True,
        "base_currency": one.base,
        "quote_currency": one.quote,
        "tick_size": float(one.tick.step),
        "min_trade_amount": float(one.lot.step),
        "creation_timestamp": one.listed_ns // NS_PER_MS,
        "expiration_timestamp": 32_503_708_800_000,
    }
    if spot:
        return row
    kind = "reversed" if one.kind == "inverse" else "linear"
    size = {"contract_size": float(one.contract_value), "instrument_type": kind}
    return row | size | {"settlement_currency": one.settle, "settlement_period": "perpetual"}


def _timing(venue: Venue) -> Json:
    now_us = venue.now_ns // 1000
    return {"usIn": now_us, "usOut": now_us + 100, "usDiff": 100, "testnet": True}


def _result(number: object, result: object, venue: Venue) -> Tell:
    return Tell(_text({"jsonrpc": "2.0", "id": number, "result": result, **_timing(venue)}))


def _error(number: object, code: int, message: str) -> Tell:
    return Tell(_text({"jsonrpc": "2.0", "id": number, "error": {"message": message, "code": code}}))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
