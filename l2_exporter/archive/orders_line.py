"""Stored lines of order events and of books of orders, read back and held against their contract's shape.

A day of a busy book has more than a hundred million events: what can be looked up is looked up.
"""

from functools import lru_cache
from typing import NamedTuple

import orjson

from l2_exporter.archive import schema
from l2_exporter.archive.defects import Flaw, FlawError, said
from l2_exporter.archive.schema import BOOK_NUMBER, EVENT_FIELDS, words
from l2_exporter.archive.stored import StoredLine, check_fields, decode_line, read_object
from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import utc_ns

LIVE, GAP, OPEN, CHANGE, MATCH, DONE = words(schema.EVENT_TYPES)
MARKS = (LIVE, GAP)
SIDES = ("buy", "sell")
BUY, SELL = SIDES

_NAMES = tuple(field.name for field in EVENT_FIELDS)
_FLAGS = _NAMES.index("flags")
_STAMP_AT = len('{"timestamp_utc":"')
_SECONDS = len("2026-11-21T15:30:45.")
_HEAD = b'{"timestamp_utc":"'


class OrderEvent(NamedTuple):
    """A line of order events as it stands in a file."""

    timestamp_utc: str
    exchange: str
    market: str
    channel: str
    inst: str
    type: str
    order_id: str | None
    side: str | None
    price: str | None
    size: str | None
    remaining: str | None
    reason: str | None
    maker: str | None
    taker: str | None
    seq: int | None
    received_utc: str | None
    flags: list[str]
    live_since_utc: str
    number: int


class StoredBook(NamedTuple):
    """A line with a whole book of orders; `number` is its `n`."""

    line: StoredLine
    number: int


def decode_event(raw: bytes) -> OrderEvent:
    """Read one line of order events.

    Raises:
        FlawError: it is no JSON object of the contract's fields in their order and types.
    """
    try:
        value = orjson.loads(raw)
        plain = type(value) is dict and tuple(value) == _NAMES and orjson.dumps(value) == raw
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        plain = False
    if not plain:
        value = read_object(raw)
    event = tuple(value.values())[: len(_NAMES)]
    if not plain or not _are_typed(tuple(map(type, event))) or (event[_FLAGS] and {*map(type, event[_FLAGS])} != {str}):
        check_fields(value, EVENT_FIELDS)
    return OrderEvent(*event)


def decode_book(raw: bytes) -> StoredBook:
    """Read one line with a whole book of orders.

    Raises:
        FlawError: it is no JSON object of the contract's fields in their order and types.
    """
    line = decode_line(raw)
    fields = (*schema.snapshot_fields(line.depth), BOOK_NUMBER)
    value = read_object(raw)
    check_fields(value, fields)
    return StoredBook(line, value[BOOK_NUMBER.name])


def check_order_rows(side: str, rows: list[list[str]]) -> None:
    """Refuse a row that is not price, size, order id, and time of entry or null.

    Raises:
        FlawError: naming the side and the row.
    """
    for row in rows:
        kinds = [*map(type, row)] if type(row) is list else []
        if kinds[:3] != [str, str, str] or kinds[3:] not in ([str], [type(None)]):
            raise FlawError(Flaw.LEVEL, f"{side} {clip(row)} is not price, size, order id and time of entry")
        if not row[2] or not all(is_number(token) and not is_zero(token) for token in row[:2]):
            raise FlawError(Flaw.LEVEL, f"{side} {clip(row)} is not a positive price and size of an order")


def stamp_of(raw: bytes) -> bytes:
    """Cut the text of `timestamp_utc` out of a line without reading the rest of it. Texts of a dataset sort as times.

    Raises:
        FlawError: the line does not begin with it.
    """
    if not raw.startswith(_HEAD):
        raise FlawError(Flaw.FIELDS, f"timestamp_utc should stand where {clip(raw[:60])} is")
    return raw[_STAMP_AT : raw.index(b'"', _STAMP_AT)] if b'"' in raw[_STAMP_AT : _STAMP_AT + 40] else b""


def event_ns(name: str, text: str, decimals: int | None = None) -> int:
    """Read a stored time as `stored.time_ns` does, and faster where many lie in one second.

    Raises:
        FlawError: it is no such time, or has another number of decimals.
    """
    fraction = text[_SECONDS:-1]
    digits = len(fraction)
    try:
        if text[-1:] == "Z" and 0 < digits <= 9 and fraction.isdigit() and fraction.isascii():
            moment = _second_ns(text[:_SECONDS]) + int(fraction.ljust(9, "0"))
        else:
            moment = utc_ns(text)
            digits = 0
    except ValueError as error:
        raise FlawError(Flaw.TIME, f"{said(name, text)}, not a UTC time") from error
    if decimals is not None and digits != decimals:
        raise FlawError(Flaw.TIME, f"{said(name, text)}, not with {decimals} decimals")
    return moment


@lru_cache(maxsize=64)
def _second_ns(text: str) -> int:
    """Read `2026-11-21T15:30:45.`"""
    return utc_ns(text + "0Z")


@lru_cache(maxsize=512)
def _are_typed(found: tuple[type, ...]) -> bool:
    """Tell whether values of these types may stand in an event's fields; texts and integers are told apart here."""
    kinds = {
        schema.Type.INTEGER: int,
        schema.Type.WORDS: list,
    }
    return all(
        field.nullable if kind is type(None) else kind is kinds.get(field.type, str)
        for kind, field in zip(found, EVENT_FIELDS, strict=True)
    )
