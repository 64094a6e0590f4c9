"""Levels as they come, against what docs/FORMAT.md says of prices and sizes, one text after the other."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.rows import are_rows, sides_of

TEXTS = st.one_of(
    st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(
        [
            "0",
            "0.0",
            "00",
            "007",
            "1.",
            ".5",
            ".",
            "1.2.3",
            "1,2",
            "-1",
            "+1",
            "1_0",
            "nan",
            "inf",
            "1e5",
            "1E-31",
            "0e8",
            "0x1",
            "true",
            "null",
            "[1",
            "1]",
            '1"',
            '","',
            "],[",
            "\\",
            "é",
            "１",
        ]
    ),
    st.sampled_from(["", " 1", "1 ", "\ud800", "123456789012345", "1234567890.123456", "9" * 64, "9" * 65]),
)
VALUES = st.one_of(TEXTS, st.integers(0, 9), st.floats(0, 9), st.none(), st.booleans(), st.lists(TEXTS, max_size=2))
ROWS = st.one_of(st.lists(TEXTS, min_size=2, max_size=4), st.lists(VALUES, max_size=4), VALUES, st.just({"1": "2"}))
LISTS = st.one_of(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=5), st.lists(ROWS, max_size=4), VALUES)


def is_number(text: str) -> bool:
    match = re.fullmatch(r"[0-9]+(?:\.[0-9]+)?(?:[eE]([+-]?[0-9]{1,3}))?", text)
    return match is not None and len(text) <= 64 and abs(int(match[1] or 0)) <= 30


def naive(value: object, slots: int) -> bool:
    if not isinstance(value, list):
        return False
    for row in value:
        if not isinstance(row, list) or len(row) < slots or not all(isinstance(text, str) for text in row):
            return False
        if not is_number(row[0]) or not is_number(row[1]) or Decimal(row[0]) == 0:
            return False
    return True


@given(LISTS, st.integers(2, 4))
def test_rows_are_judged_as_text_by_text(value: object, slots: int) -> None:
    assert are_rows(value, slots) is naive(value, slots)


@given(LISTS, LISTS)
def test_sides_are_read_if_both_are_rows_and_their_numbers_are_those_of_the_texts(bids: object, asks: object) -> None:
    sides = sides_of(bids, asks, 2)
    assert (None if sides is None else sides[:2]) == ((bids, asks) if naive(bids, 2) and naive(asks, 2) else None)
    if sides is not None and sides[2] is not None:
        for rows, (prices, sizes) in zip(sides[:2], sides[2], strict=True):
            assert prices == [float(row[0]) for row in rows]
            assert sizes == [float(row[1]) for row in rows]


@pytest.mark.parametrize("long", ["1234567890123456", "1.234567890123456", "0.1000000000000001"])
def test_numbers_of_more_than_15_digits_are_left_to_exact_keys(long: str) -> None:
    assert sides_of([[long, "1"]], [["2", "1"]], 2) == ([[long, "1"]], [["2", "1"]], None)
    shorter = long[:15]
    assert sides_of([["2", "1"]], [[shorter, "0.0"]], 2) == (
        [["2", "1"]],
        [[shorter, "0.0"]],
        (([2], [1]), ([float(shorter)], [0])),
    )
