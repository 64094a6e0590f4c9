"""Moments as text: digits are cut, never rounded, and read back as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import (
    END_OF_TIME_NS,
    HOUR_NS,
    date_of,
    hour_of,
    seconds_to_ns,
    utc_ns,
    utc_text,
)


def test_digits_are_cut_and_padded() -> None:
    ns = 1_700_000_000_129_999_999
    assert utc_text(ns, 3) == "2023-11-14T22:13:20.129Z"
    assert utc_text(ns, 6) == "2023-11-14T22:13:20.129999Z"
    assert utc_text(1_700_000_000_000_000_000, 9) == "2023-11-14T22:13:20.000000000Z"


@given(st.integers(0, END_OF_TIME_NS - 1), st.sampled_from([3, 6, 9]))
def test_text_reads_back_cut(ns: int, decimals: int) -> None:
    unit = 10 ** (9 - decimals)
    assert utc_ns(utc_text(ns, decimals)) == ns // unit * unit


@given(st.integers(0, END_OF_TIME_NS - 1))
def test_hour_and_date_are_those_of_the_text(ns: int) -> None:
    text = utc_text(ns, 3)
    assert utc_text(hour_of(ns) * HOUR_NS, 1)[:13] == text[:13]
    assert date_of(ns) == text[:10]


@pytest.mark.parametrize(
    "text", ["", "2023-11-14", "2023-11-14T22:13:20.1", "2023-13-14T22:13:20Z", "２023-11-14T22:13:20Z"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        utc_ns(text)


@pytest.mark.parametrize(
    ("text", "ms"), [("2", 2000), ("0.5", 500), ("0.010", 10), ("3600.000", 3_600_000), ("1.2500", 1250)]
)
def test_seconds_of_a_user(text: str, ms: int) -> None:
    assert seconds_to_ns(text, "--cadence") == ms * 1_000_000


@pytest.mark.parametrize("text", ["", "two", "-1", "1e3", "0.0001", "1,5", " 2", "inf", "2s"])
def test_seconds_that_are_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--cadence must be"):
        seconds_to_ns(text, "--cadence")
