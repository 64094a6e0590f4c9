"""Numbers as text: which texts are numbers, when two are equal, and exact means."""

import re
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.decimaltext import all_numbers, fits_float, is_number, is_zero, mean_text

NUMBERS = st.from_regex(r"\A[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?(30|[12]?[0-9]))?\Z", fullmatch=True).filter(
    str.isascii
)


@pytest.mark.parametrize("text", ["0", "007", "1.0", "43250.5", "1e-8", "1E+5", "9" * 64, "0." + "1" * 60, "1e30"])
def test_numbers(text: str) -> None:
    assert is_number(text)
    assert all_numbers(["1", text])


@pytest.mark.parametrize(
    "text",
    [
        *["", " 1", "1 ", "+1", "-1", ".5", "1.", "1..2", "1.2.3", "1,2", "1_0", "NaN", "inf", "0x1", "1e400"],
        *["1e-31", "١", "1\n", "9" * 65, "e5", "1e", "²"],
    ],
)
def test_what_is_no_number(text: str) -> None:
    assert not is_number(text)
    assert not all_numbers(["1", text])
    assert not all_numbers([text])


@given(st.lists(st.one_of(NUMBERS, st.text(max_size=6)), max_size=6))
def test_many_at_once_are_judged_as_each(texts: list[str]) -> None:
    assert all_numbers(texts) == all(is_number(text) for text in texts)


@pytest.mark.parametrize("wrong", [1, None, ["1"], b"1"])
def test_only_text_is_judged(wrong: object) -> None:
    with pytest.raises(TypeError):
        all_numbers(["1", wrong])  # type: ignore[list-item]


@given(NUMBERS)
def test_zero_is_numeric(text: str) -> None:
    assert is_zero(text) == (Decimal(text) == 0)


@given(NUMBERS.filter(fits_float), NUMBERS.filter(fits_float))
def test_short_numbers_compare_as_keys_as_they_do_exactly(a: str, b: str) -> None:
    assert (float(a) < float(b)) == (Decimal(a) < Decimal(b))
    assert (float(a) == float(b)) == (Decimal(a) == Decimal(b))


@given(NUMBERS, NUMBERS)
def test_mean_is_exact_plain_and_bare(a: str, b: str) -> None:
    text = mean_text(a, b)
    with localcontext(prec=300):
        assert Decimal(text) * 2 == Decimal(a) + Decimal(b)
    assert re.fullmatch(r"0|[1-9]\d*|(?:0|[1-9]\d*)\.\d*[1-9]", text, re.ASCII)


def test_mean_of_the_documented_example() -> None:
    assert mean_text("43250.5", "43251.0") == "43250.75"
    assert mean_text("100", "100.00") == "100"
