"""The shape of levels as they come from a venue: lists of `[price, size, ...]` in decimal text."""

from itertools import chain

from l2_exporter.core.decimaltext import all_numbers, is_number, is_zero


def are_rows(value: object, slots: int) -> bool:
    """Tell whether a decoded JSON value is a list of levels that a book can hold.

    Each is a list of at least `slots` (two or more) strings; the first two are unsigned decimal numbers, the price
    above zero. Further strings are the venue's own and may be anything.
    """
    if type(value) is not list:
        return False
    if not value:
        return True
    if set(map(type, value)) != {list} or min(map(len, value)) < slots:
        return False
    try:
        plain = all_numbers(list(chain.from_iterable(value)))
    except TypeError:
        return False
    if not plain and not all(is_number(row[0]) and is_number(row[1]) for row in value):
        return False
    return not any(is_zero(row[0]) for row in value if row[0][0] == "0")
