"""Coinbase, server side: the feeds of Coinbase Exchange and of Advanced Trade at one address, products by REST.

Written from the project's venue notes on Coinbase, and checked against recorded frames. A connection speaks the
protocol of its first subscription: a list of `channels` is Exchange's, one `channel` Advanced Trade's. Not known from
either source: the texts of errors but Exchange's for products and channels, and the codes connections are closed with.
Exchange's channel of single orders, `full`, is `coinbase_full`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_S, utc_text
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Unsubscribe, Venue
from l2_exporter.simulator.dialects import coinbase_full
from l2_exporter.simulator.dialects.coinbase_advanced import (
    LEVEL2,
    ZERO_TIME,
    Json,
    Talk,
    acknowledgements,
    advanced,
    error,
    heartbeat,
    l2_data,
    products,
    tell,
    text,
)
from l2_exporter.simulator.dialects.coinbase_full import FULL
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Kind, Push, Reply

NEVER_NS = 10_000 * DAY_NS
SUBSCRIBE_WITHIN_NS = 5 * NS_PER_S
QUIET_NS = 90 * NS_PER_S
"""Advanced Trade closes what is quiet for so long; heartbeats are no silence."""
BATCH = "level2_batch"
BATCH_ACKED = "level2_50"
CHANNELS = {
    name: Channel(name, 400, whole=False, checksum=False, keepalive_ns=NEVER_NS) for name in (BATCH, LEVEL2)
} | {FULL: coinbase_full.FULL_CHANNEL}
WITH_KEYS = ("level2", "level3", "user")
"""Channels of Exchange that want a key and are not simulated; nor is any but `full` for who has one."""
PRODUCTS_PATH = "/products"
FIRST_TRADE = 1_068_572_090

_PRICES = {
    "BTC": (6_508_366, Grid(1, 2)),
    "ETH": (191_944, Grid(1, 2)),
    "SOL": (14_305, Grid(1, 2)),
    "DOGE": (20_140, Grid(1, 5)),
}
_BOOK_PATH = re.compile(r"/products/(?P<inst>[^/]+)/book")
_ID = re.compile(r"(?P<base>[A-Z0-9]{1,20})-(?P<quote>[A-Z0-9]{1,20})", re.ASCII)


class Coinbase:
    """Coinbase as a client sees it."""

    name = "coinbase"
    ws_path = "/"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 1
    broken_field = ('"product_id":', '"productId":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "no_snapshot", "reset", "checksum", "bad_checksum"})
    """Nothing is announced, a subscription brings a snapshot always or never, books have neither numbers nor checksums;
    those of `full` rise by one."""

    def __init__(self, seed: int) -> None:
        self._talks: dict[str, Talk] = {}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known products, then invented ones."""
        known = ["BTC-USD", "ETH-USD", "SOL-USD", "DOGE-USD", "BTC-EUR", "ETH-BTC"]
        return known + [f"SIM{number:02d}-USD" for number in range(1, 27)]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of a product.

        Raises:
            ConfigError: not like `BTC-USD`.
        """
        match = _ID.fullmatch(inst)
        if match is None:
            raise ConfigError(f"Coinbase has no products like {clip(inst)}; write it like BTC-USD")
        base, quote = match["base"], match["quote"]
        price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))
        return Instrument(
            inst=inst,
            base=base,
            quote=quote,
            settle="",
            market="spot",
            kind="",
            tick=tick,
            lot=Grid(1, 8),
            contract_value="",
            contract_ccy="",
            listed_ns=start_ns,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, 4_000_000, 220, 280, 10, 0.97),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level: price and size."""
        return (price, size)

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Give none: the venue has no checksum, and no channel here says it has."""
        return 0

    def accepts(self, path: str) -> bool:
        """Serve both protocols at the root."""
        return path in ("", self.ws_path)

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first, and soon."""
        self._talks[link.conn] = Talk()
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
            return [error("Malformed request", None)]
        talk = self._talks[link.conn]
        is_advanced = "channel" in request
        if talk.advanced is not None and talk.advanced is not is_advanced:
            return [error("Failed to subscribe", "not the protocol of this connection")]
        actions = (advanced if is_advanced else _exchange)(talk, request, venue)
        if talk.names:
            talk.advanced = is_advanced
        return actions

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Acknowledge, send heartbeats, cut who says nothing or has nothing to hear."""
        talk, now_ns = self._talks[link.conn], venue.now_ns
        if talk.advanced is None and now_ns - link.opened_ns >= SUBSCRIBE_WITHIN_NS:
            return [HangUp(1000, "no subscription")]
        if talk.advanced and "heartbeats" not in talk.names and now_ns - link.active_ns >= QUIET_NS:
            return [HangUp(1000, "quiet")]
        told = acknowledgements(talk, now_ns)
        if now_ns - talk.beat_ns < NS_PER_S:
            return told
        talk.beat_ns = now_ns
        return told + (heartbeat(talk, link, now_ns) if talk.advanced else _heartbeats(talk, venue))

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        del self._talks[link.conn]

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push in the protocol of the connection."""
        talk = self._talks[link.conn]
        if push.channel == FULL:
            talk.heard(push)
            return coinbase_full.full_frames(push)
        return [l2_data(talk, push) if talk.advanced else _batch(push)]

    def notice(self, link: Link) -> str:
        """Announce nothing: a close comes without warning."""
        raise NotImplementedError("Coinbase announces no close on the socket")

    def requested_inst(self, request: Request) -> str | None:
        """Name the product whose book a request asks for."""
        match = _BOOK_PATH.fullmatch(request.path)
        return match["inst"] if match else None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request; books are those of `full`."""
        wanted = self.requested_inst(request)
        if wanted is not None and wanted in venue.instruments:
            return coinbase_full.order_book(wanted, request.query.get("level", "1"), request, venue)
        if request.path == PRODUCTS_PATH:
            return _reply([_listed(inst) for inst in venue.instruments.values()])
        inst = venue.instruments.get(request.path.removeprefix(PRODUCTS_PATH + "/"))
        return _reply({"message": "NotFound"}, 404) if inst is None else _reply(_listed(inst))

    def too_many_requests(self) -> Reply:
        """Refuse as a public endpoint does."""
        return _reply({"message": "Public rate limit exceeded"}, 429)


def _exchange(talk: Talk, request: Json, venue: Venue) -> list[Action]:
    """Answer Exchange's request: every product that is not listed is refused by itself, a channel refuses all."""
    kind, wanted = str(request["type"]), request.get("channels")
    if not isinstance(wanted, list) or not wanted:
        return [error("Failed to subscribe", "channels required")]
    chosen: list[tuple[str, list[str]]] = []
    refused: dict[str, None] = {}
    for each in wanted:
        name, ids = (each.get("name"), each) if isinstance(each, dict) else (each, request)
        if name in WITH_KEYS or (name == FULL and kind == "subscribe" and not coinbase_full.may_subscribe(request)):
            return [error("Failed to subscribe", coinbase_full.NO_KEY)]
        if name not in (BATCH, FULL, "heartbeat"):
            return [error("Failed to subscribe", f"{str(name)[:64]} is not a valid channel")]
        listed, unlisted = products(ids.get("product_ids"), venue)
        chosen.append((name, listed))
        refused |= dict.fromkeys(unlisted)
    actions: list[Action] = [error("Failed to subscribe", f"{each} is not a valid product") for each in refused]
    for name, listed in chosen:
        talk.joined(kind, name, listed)
    if any(listed for _, listed in chosen):
        actions.append(tell({"type": "subscriptions", "channels": _channels(talk)}))
    act: Callable[[str, str], Action] = Subscribe if kind == "subscribe" else Unsubscribe
    return actions + [act(name, inst) for name, listed in chosen if name in CHANNELS for inst in listed]


def _channels(talk: Talk) -> list[Json]:
    """List all subscriptions of a connection; the venue has another name for one of its channels."""
    return [
        {"name": BATCH_ACKED if name == BATCH else name, "product_ids": [*insts], "account_ids": None}
        for name, insts in talk.names.items()
    ]


def _batch(push: Push) -> str:
    time = utc_text(push.ts_ns, 6) if push.ts_ns else ZERO_TIME
    if push.kind is Kind.SNAPSHOT:
        sides: Json = {"asks": push.asks, "bids": push.bids}
        return text({"type": "snapshot", "product_id": push.inst, **sides, "time": time})
    rows = [("buy", row) for row in push.bids] + [("sell", row) for row in push.asks]
    changes = [(side, row[0], "0.00000000" if row[1] == "0" else row[1]) for side, row in rows]
    return text({"type": "l2update", "product_id": push.inst, "changes": changes, "time": time})


def _heartbeats(talk: Talk, venue: Venue) -> list[Action]:
    """Write the heartbeats of Exchange: one of each product."""
    found: list[Action] = []
    for inst in talk.names.get("heartbeat", {}):
        of_orders = inst in talk.names.get(FULL, {})
        seq = venue.order_seq(inst) if of_orders else venue.book(inst, 1).seq
        trade = talk.trades.get(inst, FIRST_TRADE) if of_orders else FIRST_TRADE + seq % 1_000_000
        marks: Json = {"last_trade_id": trade, "product_id": inst, "sequence": seq}
        found.append(tell({"type": "heartbeat", **marks, "time": utc_text(venue.now_ns, 6)}))
    return found


def _listed(inst: Instrument) -> Json:
    return {
        "id": inst.inst,
        "base_currency": inst.base,
        "quote_currency": inst.quote,
        "quote_increment": inst.tick.step,
        "base_increment": inst.lot.step,
        "display_name": inst.inst,
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def _reply(answer: object, status: int = 200) -> Reply:
    return Reply(status, text(answer))
