"""Durations, and which limits count for a dataset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.policy import HOUR_NS, NS_PER_S, Limits, Policy, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("90m", 5400), ("6h", 21_600), ("5d", 432_000), ("0s", 0), ("never", None)]
)
def test_durations(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == (None if seconds is None else seconds * NS_PER_S)


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "6H", "-1h", "1.5h", "6h ", "1234567h", "٦h", "Never", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no time such as"):
        parse_duration(text)


@given(st.integers(0, 999_999), st.sampled_from("smhd"))
def test_a_duration_is_written_as_it_is_read(count: int, unit: str) -> None:
    ns = parse_duration(f"{count}{unit}")
    assert parse_duration(duration_text(ns)) == ns
    assert duration_text(None) == "never"


def test_limits_of_datasets_from_the_closest_name() -> None:
    usual, own, name, level = (Limits(n * HOUR_NS, None) for n in range(4))
    datasets = {"l2_spot.books5": own, "l2_spot": name, "l3": level}
    policy = Policy(usual, usual, datasets=datasets)
    found = {
        one: policy.of_dataset(one) for one in ("l2_spot.books5", "l2_spot.x", "l2_spot", "l3_spot_books", "l2_perps")
    }
    assert list(found.values()) == [own, name, name, level, usual]
