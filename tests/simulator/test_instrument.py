"""Prices and sizes as text: plain decimals, no trailing zeros, no exponents."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.simulator.instrument import Grid


@pytest.mark.parametrize(
    ("grid", "count", "text"),
    [
        (Grid(1, 1), 301_840, "30184"),
        (Grid(1, 1), 301_813, "30181.3"),
        (Grid(5, 4), 100, "0.05"),
        (Grid(1, 8), 1, "0.00000001"),
        (Grid(1, 0), 700, "700"),
        (Grid(25, 2), 2, "0.5"),
        (Grid(1, 2), 0, "0"),
    ],
)
def test_text_of_a_count_of_steps(grid: Grid, count: int, text: str) -> None:
    assert grid.text(count) == text


@given(st.integers(1, 99), st.integers(0, 12), st.integers(0, 10**12))
def test_text_is_the_exact_number_without_trailing_zeros(units: int, decimals: int, count: int) -> None:
    text = Grid(units, decimals).text(count)
    assert Decimal(text) == Decimal(units * count).scaleb(-decimals)
    assert "." not in text or not text.endswith(("0", "."))
