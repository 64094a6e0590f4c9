"""Bitfinex v2: what stands in its frames. Nothing here depends on what was said before on a connection.

Data come in arrays `[chanId, payload, number, time]`. Arrays may grow at their end ("General", array length): places
are counted from the front, and what is behind them is left alone. Numbers keep the text they have on the wire.
"""

import json
import re
from typing import Any, Never

import orjson

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import Change, OrderChange, Push, Row
from l2_exporter.core.rows import are_rows

TIMESTAMP, SEQ_ALL, OB_CHECKSUM, BULK_UPDATES = 1 << 15, 1 << 16, 1 << 17, 1 << 29
"""Flags of a connection ("General", configuration): a time in each array, a number in each, checksums of books, and
several updates in one array."""
HEARTBEAT, CHECKSUM = "hb", "cs"
TIME_DIGITS = 12
"""A time in milliseconds has 13 digits; no connection lasts until its arrays' numbers have as many."""

_COUNT = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_CHECKSUM = re.compile(r"-?\d{1,10}", re.ASCII)


def _refuse(token: str) -> Never:
    raise ValueError(f"{token} is no number")


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse)
"""Keeps each number as the text that was sent: `7e-7`, not `0.0000007`, goes into a checksum."""


def loaded(frame: str | bytes) -> Any:
    """Read JSON; numbers become texts.

    Raises:
        VenueError: it is none.
    """
    try:
        text = frame if isinstance(frame, str) else frame.decode()
        if "\\u" in text or not text.isascii():
            orjson.loads(text)  # refuses halves of surrogate pairs, which no file of ours could hold
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise VenueError(f"Bitfinex sent something else than JSON: {clip(frame)}") from error


def whole_number(text: Any) -> int | None:
    """Read a number without sign, of at most 18 digits, given as text; None for anything else."""
    return int(text) if type(text) is str and _NUMBER.fullmatch(text) is not None else None


def tail_of(message: list[Any], granted: int | None) -> tuple[int | None, Any]:
    """Read the number of an array, and its time as it was sent, None where there is none.

    Args:
        granted: the flags that tell what is there; None: nothing was said of them, and the looks of it must tell.
    """
    tail = message[_head(message) :]
    if granted is not None:
        wanted = [flag for flag in (SEQ_ALL, TIMESTAMP) if granted & flag]
    elif len(tail) == 1 and type(tail[0]) is str and len(tail[0]) >= TIME_DIGITS:
        wanted = [TIMESTAMP]
    else:
        wanted = [SEQ_ALL, TIMESTAMP]
    found = dict(zip(wanted, tail, strict=False))
    return whole_number(found.get(SEQ_ALL)), found.get(TIMESTAMP)


def _head(message: list[Any]) -> int:
    """Count the elements before number and time: the channel, and a payload of one or, behind its kind, two parts."""
    payload = message[1]
    is_kind = type(payload) is str and payload != HEARTBEAT
    has_part = payload == CHECKSUM or (len(message) > 2 and type(message[2]) is list)
    return 3 if is_kind and has_part else 2


def is_list_of_levels(payload: Any) -> bool:
    """Tell `[[price,count,amount]]` and `[]` from one level."""
    return type(payload) is list and (not payload or type(payload[0]) is list)


def sides_of(levels: list[Any], push: Push) -> tuple[list[Row], list[Row]] | None:
    """Read `[price, count, amount]` levels into rows, bids and asks; None if they are no such.

    1. The sign of an amount names the side, positive bids, negative asks, and is no part of the size.
    2. Count 0 removes the level, whatever the amount; a snapshot removes nothing.
    """
    bids: list[Row] = []
    asks: list[Row] = []
    for level in levels:
        if type(level) is not list or len(level) < 3 or {*map(type, level[:3])} != {str}:
            return None
        price, count, amount = level[:3]
        size = amount.removeprefix("-")
        if not are_rows([[price, size]], 2) or is_zero(size) or _COUNT.fullmatch(count) is None:
            return None
        is_removed = count == "0"
        if is_removed and push is Push.SNAPSHOT:
            return None
        side = bids if size == amount else asks
        side.append([price, "0" if is_removed else size, "0", count])
    return bids, asks


def orders_of(orders: list[Any]) -> tuple[list[Row], list[Row]] | None:
    """Read the `[order id, price, amount]` of a raw book into rows, bids and asks; None if they are no such."""
    bids: list[Row] = []
    asks: list[Row] = []
    for each in orders:
        order = _order(each)
        if order is None or is_zero(order[1]):
            return None
        ident, price, size, is_bid = order
        (bids if is_bid else asks).append([price, size, ident])
    return bids, asks


def change_of(payload: Any) -> OrderChange | None:
    """Read one `[order id, price, amount]` of a raw book; None if it is no such.

    Price 0 takes the order away, and the amount, 1 or -1, names its side; else it rests as told.
    """
    order = _order(payload)
    if order is None:
        return None
    ident, price, size, is_bid = order
    side = "buy" if is_bid else "sell"
    if is_zero(price):
        return OrderChange(Change.DONE, ident, side)
    return OrderChange(Change.SET, ident, side, price, size)


def _order(order: Any) -> tuple[str, str, str, bool] | None:
    """Read an order: id, price, size without sign, and whether it is a bid."""
    if type(order) is not list or len(order) < 3 or {*map(type, order[:3])} != {str}:
        return None
    ident, price, amount = order[:3]
    size = amount.removeprefix("-")
    if _NUMBER.fullmatch(ident) is None or not is_number(price) or not is_number(size) or is_zero(size):
        return None
    return ident, price, size, size == amount


def checksum_of(message: list[Any]) -> int | None:
    """Read the third element of `[chanId,"cs",-1175357890]`, a signed 32-bit number; None if it is no such."""
    text = message[2] if len(message) > 2 else None
    if type(text) is not str or _CHECKSUM.fullmatch(text) is None:
        return None
    checksum = int(text)
    return checksum if -(1 << 31) <= checksum < 1 << 31 else None
