"""Metadata in one form: what a change is, exact amounts, near names."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.decimaltext import is_number
from l2_exporter.core.instrument import Instrument, amount, changes, expired, near, product, symbol_of, utc_of_ms
from l2_exporter.core.timetext import utc_ns

SWAP = Instrument(
    venue="okx",
    inst="BTC-USDT-SWAP",
    symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    market="perp",
    kind="linear",
    size_unit="contract",
    contract_value="0.01",
    contract_value_ccy="BTC",
    tick="0.1",
    lot="0.01",
    state="live",
    list_utc="2019-11-12T15:16:48.000Z",
    raw={"instId": "BTC-USDT-SWAP", "lever": "100"},
)
IDS = ["BTC-USD-SWAP", "BTC-USDT", "BTC-USDT-SWAP", "ETH-USDT", "ETH-USDT-SWAP", "btc-usdt", "PEPE-USDT-SWAP"]


def test_nothing_changed() -> None:
    assert changes(SWAP, replace(SWAP)) == ()


def test_changes_are_named_in_the_order_of_the_format() -> None:
    new = replace(SWAP, state="suspend", lot="0.1", tick=None, expiry_utc="2026-11-21T08:00:00.000Z")
    assert changes(SWAP, new) == ("tick", "lot", "state", "expiry_utc")


def test_raw_fields_are_no_change() -> None:
    assert changes(SWAP, replace(SWAP, raw={"instId": "BTC-USDT-SWAP", "lever": "50"})) == ()


def test_metadata_can_be_keys() -> None:
    assert {SWAP: 1}[replace(SWAP)] == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0.1", "0.1"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("1e-8", "0.00000001"),
        ("2.50E+3", "2500"),
        ("0.000000000000000000123456789012345", "0.000000000000000000123456789012345"),
        ("0", None),
        ("0.00", None),
        ("-1", None),
        ("NaN", None),
        ("", None),
        (" 1", None),
        ("٣", None),
        (0.1, None),
        (None, None),
    ],
)
def test_amounts(text: object, plain: str | None) -> None:
    assert amount(text) == plain


@pytest.mark.parametrize(
    ("value", "multiplier", "worth"),
    [
        ("0.01", "1", "0.01"),
        ("100", "1", "100"),
        ("1", "0.01", "0.01"),
        ("0.1", "0.1", "0.01"),  # as floats: 0.010000000000000002
        ("1000000000000000.1", "1000000000000000.1", "1000000000000000200000000000000.01"),
        ("1e3", "0.5", "500"),
        ("1", "", None),
        (None, "1", None),
        ("1", "0", None),
        ("9" * 64, "9" * 64, None),
    ],
)
def test_products_are_exact(value: object, multiplier: object, worth: str | None) -> None:
    assert product(value, multiplier) == worth


@given(st.decimals("1e-15", "1e15", places=15), st.decimals("1e-10", "1e10", places=10))
def test_a_product_is_the_exact_number_in_plain_text(first: Decimal, second: Decimal) -> None:
    worth = product(format(first, "f"), format(second, "f"))
    assert worth is not None
    assert is_number(worth)
    assert "e" not in worth
    assert Fraction(worth) == Fraction(first) * Fraction(second)


@given(st.text(max_size=80))
def test_an_amount_is_a_number_that_is_its_own_amount(text: str) -> None:
    plain = amount(text)
    if plain is not None:
        assert Decimal(plain) == Decimal(text) > 0
        assert amount(plain) == plain


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        ("1573557408000", "2019-11-12T11:16:48.000Z"),
        ("1734422400123", "2024-12-17T08:00:00.123Z"),
        ("", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 15, None),
        ("9" * 5000, None),
        (1734422400123, None),
        (None, None),
    ],
)
def test_moments(ms: object, text: str | None) -> None:
    assert utc_of_ms(ms) == text


def test_symbols() -> None:
    assert symbol_of("BTC", "USDT") == "BTC/USDT"
    assert symbol_of("BTC", "USD", "BTC") == "BTC/USD:BTC"
    assert symbol_of("BTC", "USD", "") == "BTC/USD"
    assert symbol_of(None, "USD") is None
    assert symbol_of("BTC", None, "BTC") is None


def test_an_instrument_expires_at_its_time() -> None:
    future = replace(SWAP, expiry_utc="2024-12-20T08:00:00.000Z")
    end_ns = utc_ns("2024-12-20T08:00:00Z")
    assert not expired(future, end_ns - 1)
    assert expired(future, end_ns)
    assert not expired(SWAP, end_ns)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ("BTC-USD-SWAPP", ["BTC-USD-SWAP", "BTC-USDT-SWAP"]),
        ("BTC-USDT-SWAP", ["BTC-USDT-SWAP", "BTC-USD-SWAP", "ETH-USDT-SWAP"]),
        ("btc-usdt-swap", ["BTC-USDT-SWAP", "BTC-USD-SWAP", "ETH-USDT-SWAP"]),
        ("BTCUSDT", ["BTC-USDT", "btc-usdt"]),
        ("ZZZZ", []),
        ("", []),
    ],
)
def test_near_names(wanted: str, matches: list[str]) -> None:
    assert near(wanted, IDS)[: len(matches) or 1] == matches
    assert len(near(wanted, IDS)) <= 3


def test_near_names_do_not_depend_on_the_order_of_what_is_known() -> None:
    assert near("BTC-USD-SWAPP", reversed([*IDS, *IDS])) == near("BTC-USD-SWAPP", IDS)
