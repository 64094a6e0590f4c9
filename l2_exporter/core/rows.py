"""The shape of levels as they come from a venue: lists of `[price, size, ...]` in decimal text.

Their numbers serve to sort a book and to find what is removed, and are read here together, where the texts are checked:
one pass of the JSON library over all texts of a message costs two fifths of what `float` does with the prices alone.
"""

from itertools import chain
from typing import NamedTuple

import orjson

from l2_exporter.core.decimaltext import FLOAT_DIGITS, all_numbers, is_number, is_zero
from l2_exporter.core.events import Numbers, Row

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
    return not value or _numbers(value, slots) is not None or _are_closely(value, slots)


class Sides(NamedTuple):
    """The levels of a message.

    Attributes:
        numbers: of bids and asks, where all texts are short and plain.
    """

    bids: list[Row]
    asks: list[Row]
    numbers: tuple[Numbers, Numbers] | None


def sides_of(bids: object, asks: object, slots: int) -> Sides | None:
    """Read the sides of a message; None unless both `are_rows`."""
    if type(bids) is not list or type(asks) is not list:
        return None
    both = bids + asks
    numbers = _numbers(both, slots) if both else None
    if numbers is None:
        return Sides(bids, asks, None) if are_rows(bids, slots) and are_rows(asks, slots) else None
    width = len(numbers) // len(both)
    end = len(bids) * width
    return Sides(
        bids,
        asks,
        ((numbers[:end:width], numbers[1:end:width]), (numbers[end::width], numbers[end + 1 :: width])),
    )


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
