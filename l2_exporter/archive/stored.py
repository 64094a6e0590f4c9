"""Stored lines read back: JSON objects held against the fields of the public format, in their order and types."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from l2_exporter.archive import schema
from l2_exporter.archive.defects import Flaw, FlawError, Rows, said
from l2_exporter.archive.schema import Field, Type
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import utc_ns

RECEIVE_DECIMALS = 6

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BLANK = re.compile(rb"[ \t\r\n]")
_BIDS = re.compile(r"bids_top([1-9]\d{0,4})", re.ASCII)
_BIDS_PLACE = 5


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_TESTS: Mapping[Type, Callable[[object], bool]] = {
    Type.TEXT: _is_text,
    Type.TIME: _is_text,
    Type.DECIMAL: _is_text,
    Type.INTEGER: _is_integer,
    Type.NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    Type.BOOLEAN: lambda value: isinstance(value, bool),
    Type.LEVELS: lambda value: isinstance(value, list),
    Type.WORDS: lambda value: isinstance(value, list) and all(map(_is_text, value)),
    Type.SCALAR: lambda value: _is_integer(value) or _is_text(value),
    Type.OBJECT: lambda value: isinstance(value, dict),
    Type.LIST: lambda value: isinstance(value, list),
}


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A snapshot line as it stands in a file. `bids` and `asks` are as stored; their levels are not checked yet.

    Attributes:
        depth: the number in the names of the level fields.
    """

    depth: int
    timestamp_utc: str
    exchange: str
    market: str
    channel: str
    inst: str
    bids: Rows
    asks: Rows
    best_bid: str | None
    best_ask: str | None
    mid_price: str | None
    checksum: int | None
    seq: int | None
    prev_seq: int | None
    gap: bool
    received_utc: str | None
    checksum_ok: bool | None
    flags: list[str]
    live_since_utc: str


def decode_line(raw: bytes) -> StoredLine:
    """Read one snapshot line.

    Raises:
        FlawError: it is no JSON object of the contract's fields in their order and types.
    """
    value = read_object(raw)
    names = list(value)
    match = _BIDS.fullmatch(names[_BIDS_PLACE]) if len(names) > _BIDS_PLACE else None
    depth = int(match[1]) if match else schema.DEFAULT_DEPTH
    fields = _snapshot_fields(depth)
    check_fields(value, fields)
    return StoredLine(depth, *list(value.values())[: len(fields)])


def read_object(raw: bytes) -> dict[str, Any]:
    """Read one compact JSON object.

    Raises:
        FlawError: it is none, has blanks between its tokens, or a key stands twice.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FlawError(Flaw.NOT_JSON, str(error)) from error
    if not isinstance(value, dict):
        raise FlawError(Flaw.NOT_JSON, f"not an object but {clip(value)}")
    try:
        as_written = orjson.dumps(value) == raw
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        as_written = False
    return value if as_written else _read_closely(raw)


def check_fields(value: Mapping[str, object], fields: Sequence[Field]) -> None:
    """Hold an object's first fields against a table; further ones behind them are allowed.

    Raises:
        FlawError: a field is missing, out of place, or of another type.
    """
    names = list(value)
    for place, field in enumerate(fields):
        if place >= len(names) or names[place] != field.name:
            found = clip(names[place]) if place < len(names) else "the end"
            raise FlawError(Flaw.FIELDS, f"{field.name} should stand where {found} is")
        item = value[field.name]
        if not (field.nullable if item is None else _TESTS[field.type](item)):
            raise FlawError(Flaw.TYPE, f"{said(field.name, item)}, not {field.type.value}")


def time_ns(name: str, text: str, decimals: int | None = None) -> int:
    """Read a stored time, with exactly so many decimals if it is told how many.

    Raises:
        FlawError: it is no such time.
    """
    try:
        moment = utc_ns(text)
    except ValueError as error:
        raise FlawError(Flaw.TIME, f"{said(name, text)}, not a UTC time") from error
    if decimals is not None and len(text) != len("2026-11-21T15:30:45.Z") + decimals:
        raise FlawError(Flaw.TIME, f"{said(name, text)}, not with {decimals} decimals")
    return moment


@lru_cache(maxsize=64)
def _snapshot_fields(depth: int) -> tuple[Field, ...]:
    return schema.snapshot_fields(depth)


def _read_closely(raw: bytes) -> dict[str, Any]:
    """Read an object that is not written as we would: find blanks and repeated keys, keep numbers of any size."""
    if _BLANK.search(_STRING.sub(b"", raw)):
        raise FlawError(Flaw.NOT_COMPACT, "blanks between its tokens")
    try:
        value: dict[str, Any] = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FlawError(Flaw.NOT_JSON, str(error)) from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise FlawError(Flaw.FIELDS, f"{next(name for name in names if names.count(name) > 1)} stands twice")
    return value
