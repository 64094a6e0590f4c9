"""The shape of levels as they come from a venue: lists of `[price, size, ...]` in decimal text.

Their numbers serve to sort a book and to find what is removed, and are read here together, where the texts are checked:
one pass of the JSON library over all texts of a message costs two fifths of what `float` does with the prices alone,
and compiled code a third of that.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from operator import gt, lt
from typing import TYPE_CHECKING, cast

import orjson

from l2_exporter.core.decimaltext import FLOAT_DIGITS, all_numbers, is_number, is_zero
from l2_exporter.core.events import Numbers, Row
from l2_exporter.core.speedups import compiled

if TYPE_CHECKING:
    from l2_exporter.core._compiled import Numbers as PackedNumbers

MOST_SLOTS = 8

_DIGITS = b"0123456789."
_ALL_ZERO = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_LONG = b"0" * (FLOAT_DIGITS + 1)
_MARKS = [b"[" + b",".join([b'""'] * slots) + b"]," for slots in range(MOST_SLOTS + 1)]
"""What is left of a row in JSON without digits and points, by its slots."""


def are_rows(value: object, slots: int) -> bool:
    """Tell whether a decoded JSON value is a list of levels that a book can hold.

    Each is a list of at least `slots` (two or more) strings; the first two are unsigned decimal numbers, the price
    above zero. Further strings are the venue's own and may be anything.
    """
    if type(value) is not list:
        return False
    if compiled is not None and compiled.numbers_of(value, slots) is not None:
        return True
    return not value or _numbers(value, slots) is not None or _are_closely(value, slots)


def plain_numbers(rows: list[Row]) -> Numbers | None:
    """Read the numbers of rows if all are short and plain, and if that is faster than one by one."""
    return None if compiled is None else compiled.numbers_of(rows, 2)


def any_removed(numbers: Numbers) -> bool:
    """Tell whether one of the sizes is zero."""
    packed = _packed(numbers)
    if packed is not None:
        return packed.removes()
    _, sizes = numbers
    return not all(sizes)


def in_order(numbers: Numbers, *, descending: bool) -> bool:
    """Tell whether each price is beyond the one before it, below it if they descend."""
    packed = _packed(numbers)
    if packed is not None:
        return packed.ascends(-1.0 if descending else 1.0)
    prices, _ = numbers
    return all(map(gt if descending else lt, prices, prices[1:]))


def _packed(numbers: Numbers) -> "PackedNumbers | None":
    """Return numbers that compiled code keeps; None for lists."""
    return cast("PackedNumbers", numbers) if compiled is not None and type(numbers) is compiled.Numbers else None


Sides = tuple[list[Row], list[Row], tuple[Numbers, Numbers] | None]
"""Bids and asks of a message, and the numbers of both where all texts are short and plain."""


def sides_of(bids: object, asks: object, slots: int) -> Sides | None:
    """Read the sides of a message; None unless both `are_rows`."""
    if type(bids) is not list or type(asks) is not list:
        return None
    if compiled is not None:
        bid_numbers, ask_numbers = compiled.numbers_of(bids, slots), compiled.numbers_of(asks, slots)
        if bid_numbers is not None and ask_numbers is not None:
            return bids, asks, (bid_numbers, ask_numbers) if bids or asks else None
        return (bids, asks, None) if are_rows(bids, slots) and are_rows(asks, slots) else None
    both = bids + asks
    numbers = _numbers(both, slots) if both else None
    if numbers is None:
        return (bids, asks, None) if are_rows(bids, slots) and are_rows(asks, slots) else None
    width = len(numbers) // len(both)
    end = len(bids) * width
    return bids, asks, ((numbers[:end:width], numbers[1:end:width]), (numbers[end::width], numbers[end + 1 :: width]))


def _numbers(rows: list[Row], slots: int) -> list[float] | None:
    """Read all texts of levels, the same number in each, as numbers; None if they are not all short and plain.

    JSON writes strings in one way only: if nothing but quotes, commas and brackets is left without digits and points,
    and these as in such a list, then it is one, and every text is made of digits and points. JSON's own grammar allows
    no others of these than `7` and `7.5`.
    """
    first = rows[0]
    width = len(first) if type(first) is list else 0
    if not slots <= width <= MOST_SLOTS:
        return None
    try:
        text = orjson.dumps(rows)
        if text.translate(None, _DIGITS) != b"[%b]" % (_MARKS[width] * len(rows))[:-1]:
            return None
        plain = text.translate(None, b'"[]')
        if _LONG in plain.translate(_ALL_ZERO):
            return None
        numbers: list[float] = orjson.loads(b"[" + plain + b"]")
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return None
    return numbers if all(numbers[::width]) else None


def _are_closely(rows: list[Row], slots: int) -> bool:
    if set(map(type, rows)) != {list} or min(map(len, rows)) < slots:
        return False
    try:
        plain = all_numbers(list(chain.from_iterable(rows)))
    except TypeError:
        return False
    if not plain and not all(is_number(row[0]) and is_number(row[1]) for row in rows):
        return False
    return not any(is_zero(row[0]) for row in rows if row[0][0] == "0")


def alternating(bids: Sequence[Row], asks: Sequence[Row], most: int) -> bytes:
    """Join price and size of bids and asks in turn by colons; the longer side goes on alone.

    Args:
        most: levels of each side.
    """
    if compiled is not None and type(bids) is type(asks) is compiled.Levels:
        joined: bytes = compiled.alternating(bids, asks, most)
        return joined
    best_bids, best_asks = bids[:most], asks[:most]
    if len(best_bids) == len(best_asks):
        # One text a pair of levels, cold in memory: 4.9 us of 25 levels, filling every fourth place of a list 6.3 us.
        pairs = zip(best_bids, best_asks, strict=False)
        return ":".join([f"{bid[0]}:{bid[1]}:{ask[0]}:{ask[1]}" for bid, ask in pairs]).encode()
    levels = zip_longest(best_bids, best_asks, fillvalue=())
    return ":".join([text for pair in levels for row in pair for text in row[:2]]).encode()
