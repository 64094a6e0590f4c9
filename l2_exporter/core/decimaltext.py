"""Decimal numbers as the venue's own text: is it one, which number is it, and the exact mean of two.

A price or size is never turned into a float that is written anywhere. Floats serve as sort keys only, and only where
they are exact as keys: two decimals of at most 15 significant digits have the same float if and only if they are equal,
and their floats are ordered as they are. Longer texts are keyed by Decimal.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

MAX_TOKEN_CHARS = 64
MAX_EXPONENT = 30
FLOAT_DIGITS = 15

Key = float | Decimal
"""What a side is sorted by: equal if and only if the numbers are."""

_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_PLAIN_LIST = re.compile(r"(?:[0-9]{1,30}+(?:\.[0-9]{1,30}+)?+,)*+")
_EXACT = Context(prec=4 * MAX_TOKEN_CHARS, Emax=10_000, Emin=-10_000)


def is_number(text: str) -> bool:
    """Tell whether a text is an unsigned decimal number we keep: plain or with a small exponent, at most 64 chars."""
    if len(text) > MAX_TOKEN_CHARS or _TOKEN.fullmatch(text) is None:
        return False
    mark = text.lower().find("e")
    return mark < 0 or abs(int(text[mark + 1 :])) <= MAX_EXPONENT


def all_numbers(tokens: Sequence[str]) -> bool:
    """Tell whether every token is such a number. One match over the joined text decides the common case of plain ones.

    Raises:
        TypeError: a token is not a str.
    """
    joined = ",".join(tokens)
    if _PLAIN_LIST.fullmatch(joined + ",") is not None and joined.count(",") == len(tokens) - 1:
        return True
    return all(map(is_number, tokens))


def is_zero(text: str) -> bool:
    """Tell whether a number's text is numerically zero (`0`, `0.00`, `0e-8`)."""
    return text[0] in "0." and not text.lower().partition("e")[0].strip("0.")


def fits_float(text: str) -> bool:
    """Tell whether a number has at most 15 significant digits, so that its float is exact as a key."""
    if len(text) <= FLOAT_DIGITS:
        return True
    return len(text.lower().partition("e")[0].replace(".", "").strip("0")) <= FLOAT_DIGITS


def mean_text(a: str, b: str) -> str:
    """Return the exact mean of two numbers in plain notation without trailing zeros (`43250.75`, `100`, `0`)."""
    return _plain(_EXACT.divide(_EXACT.add(Decimal(a), Decimal(b)), Decimal(2)))


def sum_text(numbers: Iterable[str]) -> str:
    """Return the exact sum of numbers, written as `mean_text` writes."""
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, Decimal(number))
    return _plain(total)


def difference_text(a: str, b: str) -> str:
    """Return `a - b`, exact, written as `mean_text` writes; below zero with a minus."""
    return _plain(_EXACT.subtract(Decimal(a), Decimal(b)))


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
