"""Coinbase Exchange: the channel `full`, every order of a product, and the REST book of orders it is joined with.

Sources: docs.cdp.coinbase.com Exchange "Channels" (full), "WebSocket Authentication", "REST Authentication", "Get
product book" (copies of 2026); twenty frames recorded in 2017. See docs/venues/coinbase.md.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import orjson

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import ConfigError, VenueError, clip
from l2_exporter.core.events import BookPush, Change, OrderChange, Push, Row
from l2_exporter.core.fields import is_counter, odd, text_of
from l2_exporter.core.keys import Keys
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import FROM_ORDERS, BookAsked, Channel, Continuity, Seeding
from l2_exporter.venues.coinbase_frames import event_ns

COMPANY = "Coinbase"
FULL = "full"
KEY_PARTS = ("key", "secret", "passphrase")
WITHOUT_BOOK = frozenset({"received", "activate"})
"""Messages of `full` that change no book: an order was taken, a stop order was triggered."""
PROMISED = frozenset({"received", "open", "match", "change", "done"})
"""Messages that always have a number."""
NOT_FULL = frozenset({"heartbeat", "ticker", "last_match", "status", "subscriptions", "error", "snapshot", "l2update"})
"""Messages that may carry a product's number too, with holes: they are of other channels."""
VERIFY_PATH = "/users/self/verify"

CHANNEL = Channel(
    name=FULL,
    depth=None,
    suffix=FROM_ORDERS,
    continuity=Continuity.SEQUENCE,
    whole=False,
    checksum=False,
    event_time="time",
    time_decimals=6,
    push_interval_ms=None,
    proven=False,
    slots=4,
    needs_keys=True,
    seeding=Seeding.REST,
    orders=True,
)


def read_message(kind: str, message: dict[str, Any]) -> BookPush:
    """Read one message of `full`; one of a type nobody knows says nothing of orders, and its number counts.

    Raises:
        SchemaError: it lacks what its type promises.
    """
    inst, number = text_of(message, "product_id"), message.get("sequence")
    change, wrong = _change(kind, message)
    if not inst or not is_counter(number) or wrong:
        missing = [*([] if inst else ["product_id"]), *([] if is_counter(number) else ["sequence"]), *wrong]
        raise odd(COMPANY, FULL, inst or None, *missing)
    moment_ns = event_ns([message.get("time")])
    changes = () if change is None else (change,)
    return BookPush(Push.DELTA, FULL, inst, [], [], moment_ns, number, number - 1, None, changes)


def _change(kind: str, message: dict[str, Any]) -> tuple[OrderChange | None, list[str]]:
    """Read what a message says of an order, and name what is wrong with it.

    1. The side is the order's; of a match it is the maker's.
    2. A `change` of funds changes no book, nor does one of an order that has not come to rest, which is told yet.
    """
    if kind not in PROMISED or kind in WITHOUT_BOOK:
        return None, []
    side, price, wrong = text_of(message, "side"), text_of(message, "price"), list[str]()
    if side not in ("buy", "sell"):
        wrong.append("side")
    if price is not None and not is_number(price):
        wrong.append("price")
    if kind == "match":
        maker, taker = (_needed(message, key, wrong) for key in ("maker_order_id", "taker_order_id"))
        size = _number(message, "size", wrong)
        return OrderChange(Change.MATCH, maker, side, price, size, maker=maker, taker=taker), wrong
    ident, reason = _needed(message, "order_id", wrong), text_of(message, "reason")
    if kind == "open":
        if price is None or (not wrong and is_zero(price)):
            wrong.append("price")
        return OrderChange(Change.SET, ident, side, price, _number(message, "remaining_size", wrong)), wrong
    if kind == "done":
        left = _number(message, "remaining_size", wrong) if "remaining_size" in message else None
        return OrderChange(Change.DONE, ident, side, price, remaining=left, reason=reason), wrong
    if "new_size" not in message and "new_price" not in message:
        return None, wrong
    size = _number(message, "new_size", wrong)
    price = _number(message, "new_price", wrong) if "new_price" in message else price
    return OrderChange(Change.CHANGE, ident, side, price, size, reason=reason), wrong


def _needed(message: dict[str, Any], key: str, wrong: list[str]) -> str:
    text = text_of(message, key)
    if not text:
        wrong.append(key)
    return text or ""


def _number(message: dict[str, Any], key: str, wrong: list[str]) -> str | None:
    text = text_of(message, key)
    if text is None or not is_number(text):
        wrong.append(key)
    return text


# ---- REST ------------------------------------------------------------------------------------------------------------


def book_path(inst: str) -> str:
    """Name the path of the whole book, order by order."""
    return f"/products/{quote(inst, safe='')}/book?level=3"


def book_asked(url: str) -> BookAsked | None:
    """Tell which book of orders a URL asks for."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    steps = parts.path.split("/")[-3:]
    if len(steps) != 3 or (steps[0], steps[2]) != ("products", "book") or parse_qs(parts.query).get("level") != ["3"]:
        return None
    return BookAsked(unquote(steps[1]), None) if steps[1] else None


def decode_book(inst: str, body: str) -> BookPush:
    """Read the REST book of orders; orders of one price stand in the order of their queue.

    Raises:
        VenueError: an error answer, or not the shape of a book.
    """
    try:
        book = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise VenueError(f"Coinbase answered something else than JSON: {clip(body)}") from error
    number = book.get("sequence") if type(book) is dict else None
    sides = [_rows(book.get(side)) for side in ("bids", "asks")] if is_counter(number) else [None]
    if None in sides:
        raise VenueError(f"Coinbase answered something else than the orders of {inst}: {clip(body)}")
    bids, asks = (side or [] for side in sides)
    return BookPush(Push.SNAPSHOT, FULL, inst, bids, asks, event_ns([book.get("time")]), number, None, None)


def _rows(orders: Any) -> list[Row] | None:
    if type(orders) is not list:
        return None
    for order in orders:
        if type(order) is not list or len(order) < 3 or {*map(type, order[:3])} != {str} or not order[2]:
            return None
        if not all(map(is_number, order[:2])) or is_zero(order[0]) or is_zero(order[1]):
            return None
    return [order[:3] for order in orders]


# ---- keys ------------------------------------------------------------------------------------------------------------


def signed(text: str, keys: Keys, at_ns: int) -> str:
    """Add to a request for `full` what proves who asks ("WebSocket Authentication"); others stay as they are."""
    request = orjson.loads(text)
    if request.get("channels") != [FULL]:
        return text
    stamp = str(at_ns // NS_PER_S)
    parts = {
        "signature": _signature(keys, f"{stamp}GET{VERIFY_PATH}"),
        "key": keys["key"],
        "passphrase": keys["passphrase"],
        "timestamp": stamp,
    }
    return orjson.dumps(request | parts).decode()


def headers(path: str, keys: Keys, at_ns: int) -> Mapping[str, str]:
    """Make the headers that prove who asks ("REST Authentication")."""
    stamp = str(at_ns // NS_PER_S)
    return {
        "CB-ACCESS-KEY": keys["key"],
        "CB-ACCESS-SIGN": _signature(keys, f"{stamp}GET{path}"),
        "CB-ACCESS-TIMESTAMP": stamp,
        "CB-ACCESS-PASSPHRASE": keys["passphrase"],
    }


def _signature(keys: Keys, text: str) -> str:
    """Sign with HMAC-SHA256.

    Raises:
        ConfigError: the secret is not the base64 text that the venue gives out. It is not shown.
    """
    try:
        secret = base64.b64decode(keys["secret"], validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("the secret of Coinbase is not base64 as the venue gives it out") from None
    return base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()
