"""Coinbase Exchange's channel `full`, server side: every event of every order, for clients with a key.

Part of the dialect `coinbase`. Written from the project's venue notes, and checked against the recorded frames of 2017.
Those do not agree on `activate`: the documents' example has no `sequence`, and yet every message is said to have one;
here it has. Not known: the text for wrong headers. How old a timestamp is, is not looked at.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_of
from random import Random

from l2_exporter.core.timetext import DAY_NS, utc_text
from l2_exporter.simulator.dialect import Channel, Request, Venue
from l2_exporter.simulator.dialects.coinbase_advanced import ZERO_TIME, Json, text
from l2_exporter.simulator.orderevents import OrderEvent, OrderStyle, Row
from l2_exporter.simulator.ordertruth import OrderRow, levels_of
from l2_exporter.simulator.wire import Kind, Push, Reply

FULL = "full"
TEST_KEY = "5d41402abc4b2a76b9719d911017c592"
TEST_SECRET = "c2ltdWxhdGVkIGV4Y2hhbmdlLCB0ZXN0IGtleSBvbmx5LCBubyBzZWNyZXQ="
TEST_PASSPHRASE = "simulated"
"""The one key that is accepted. It opens nothing else."""
LOGIN_PATH = "/users/self/verify"
NO_KEY = "level2, level3, and full channels now require authentication."
HEADERS = ("cb-access-key", "cb-access-sign", "cb-access-timestamp", "cb-access-passphrase")
ALL_LEVELS = 400
HAS_CLIENT_ID = "012345"


def signature(timestamp: str, path: str, secret: str = TEST_SECRET) -> str:
    """Sign a GET of a path, with its query, as a client must."""
    message = f"{timestamp}GET{path}".encode()
    return b64encode(hmac_of(b64decode(secret), message, sha256).digest()).decode()


def may_subscribe(request: Json) -> bool:
    """Tell whether a subscription is signed with the key."""
    return _is_signed([request.get(name) for name in ("key", "signature", "timestamp", "passphrase")], LOGIN_PATH)


def may_ask(request: Request) -> bool:
    """Tell whether a request is signed with the key, or not at all: the documents do not agree on who may ask."""
    given = [request.headers.get(name) for name in HEADERS]
    return all(each is None for each in given) or _is_signed(given, request.target)


def _is_signed(given: Sequence[object], path: str) -> bool:
    if not all(isinstance(each, str) and each.isascii() for each in given):
        return False
    key, sign, timestamp, passphrase = map(str, given)
    is_known = (key, passphrase) == (TEST_KEY, TEST_PASSPHRASE)
    return is_known and compare_digest(sign, signature(timestamp, path))


def full_frames(push: Push) -> list[str]:
    """Write the one event of a push; there is no keep-alive and no snapshot."""
    if push.kind is not Kind.DELTA:
        return []
    time = utc_text(push.ts_ns, 6) if push.ts_ns else ZERO_TIME
    tail: Json = {"product_id": push.inst, "sequence": push.seq, "time": time}
    return [text({"type": event.kind} | _facts(event) | tail) for event in push.events]


def _facts(event: OrderEvent) -> Json:
    """List what is said of an event, but where and when it happened."""
    side = "buy" if event.is_bid else "sell"
    order: Json = {"order_id": event.order_id}
    match event.kind:
        case "received":
            kind: Json = {"order_type": "limit" if event.price else "market", "size": event.size}
            price: Json = {"price": event.price} if event.price else {}
            own: Json = {"client_oid": _client_id(event)} if event.order_id[-1] in HAS_CLIENT_ID else {}
            return order | kind | price | {"side": side} | own
        case "open":
            return {"side": side, "price": event.price} | order | {"remaining_size": event.size}
        case "match":
            ids: Json = {"maker_order_id": event.order_id, "taker_order_id": event.other_id}
            return {"trade_id": event.trade_id} | ids | {"side": side, "size": event.size, "price": event.price}
        case "change":
            sizes: Json = {"side": side, "old_size": event.old_size, "new_size": event.size}
            return {"reason": event.reason} | order | sizes | _prices(event)
        case "done":
            rest: Json = {"price": event.price, "remaining_size": event.size} if event.price else {}
            return {"side": side} | order | {"reason": event.reason} | rest
        case "activate":
            stop: Json = {"stop_type": "entry", "side": side, "stop_price": event.price, "size": event.size}
            return order | stop | {"private": False}


def _prices(event: OrderEvent) -> Json:
    """Write the prices of a change: one, none of a market order, or two if the order was modified."""
    if event.reason == "modify_order":
        return {"old_price": event.old_price, "new_price": event.price}
    return {"price": event.price or None}


def _client_id(event: OrderEvent) -> str:
    return f"{event.order_id[:8][::-1]}{event.order_id[8:]}"


def order_book(inst: str, level: str, request: Request, venue: Venue) -> Reply:
    """Answer a book: the best price, all levels, or at level 3 every order."""
    if not may_ask(request):
        return Reply(401, text({"message": "invalid signature"}))
    book = venue.order_book(inst)
    if level == "3":
        sides: Json = {"bids": _orders(book.bids), "asks": _orders(book.asks)}
    else:
        depth = 1 if level == "1" else ALL_LEVELS
        sides = {"bids": _levels(book.bids, depth), "asks": _levels(book.asks, depth)}
    about: Json = {"sequence": book.seq, "auction_mode": False, "auction": None, "time": utc_text(book.ts_ns, 6)}
    return Reply(200, text(sides | about))


def _orders(rows: Sequence[Row]) -> list[OrderRow]:
    return [(price, size, order_id) for price, size, order_id, _ in rows]


def _levels(rows: Sequence[Row], depth: int) -> list[tuple[str, str, int]]:
    return [(price, total, int(count)) for price, total, _, count in levels_of(_orders(rows))[:depth]]


def _make_id(random: Random, number: int) -> str:
    bits = random.getrandbits(128)
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[bits & 3]}{digits[17:20]}-{digits[20:]}"


STYLE = OrderStyle(_make_id, each_event=True, activates=True, time_ns=1_000)
FULL_CHANNEL = Channel(
    FULL, 10**9, whole=False, checksum=False, keepalive_ns=10_000 * DAY_NS, pushes_snapshot=False, orders=STYLE
)
