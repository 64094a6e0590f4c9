"""What KuCoin lists, in the form of all venues: what a contract is worth, in published examples."""

import json
from typing import Any

import pytest

from l2_exporter.core.errors import VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.venues.kucoin import FUTURES, SPOT, Kucoin

FUTURE, PAIR = Kucoin(FUTURES), Kucoin(SPOT)
# Docs "Get Symbols List" of futures (copy of 2023), shortened: each contract is worth 0.001 BTC.
LINEAR = """{"symbol":"XBTUSDTM","rootSymbol":"USDT","type":"FFWCSX","firstOpenDate":1585555200000,"expireDate":null,
"baseCurrency":"XBT","quoteCurrency":"USDT","settleCurrency":"USDT","maxPrice":1000000.0,"lotSize":1,"tickSize":0.10,
"multiplier":0.001,"makerFeeRate":2.0E-4,"isQuanto":true,"isInverse":false,"status":"Open"}"""
# An answer of /api/v1/contracts/active of 2022, shortened; docs "Get Symbol": each contract is worth 1 USD.
INVERSE = """{"symbol":"XBTUSDM","rootSymbol":"XBT","type":"FFWCSX","firstOpenDate":1552638575000,"expireDate":null,
"baseCurrency":"XBT","quoteCurrency":"USD","settleCurrency":"XBT","maxPrice":1000000.0000000000,"lotSize":1,
"tickSize":1.0,"multiplier":-1.0,"isQuanto":false,"isInverse":true,"status":"Open"}"""
# The same with a delivery date, as lists of 2025 have them.
DATED = """{"symbol":"XBTMU26","type":"FFICSX","firstOpenDate":1774000000000,"expireDate":1790323200000,
"baseCurrency":"XBT","quoteCurrency":"USD","settleCurrency":"XBT","lotSize":1,"tickSize":0.1,"multiplier":-1.0,
"isInverse":true,"status":"Open"}"""
# Docs "Get Symbol Detail" of spot (copy of 2025), shortened.
BTC: dict[str, Any] = {
    "symbol": "BTC-USDT",
    "baseCurrency": "BTC",
    "quoteCurrency": "USDT",
    "market": "USDS",
    "baseIncrement": "0.00000001",
    "quoteIncrement": "0.000001",
    "priceIncrement": "0.1",
    "enableTrading": True,
    "baseMinSize": "0.00001",
    "name": "BTC-USDT",
}


def listed(venue: Kucoin, row: str) -> Instrument:
    (found,) = venue.decode_instruments(f'{{"code":"200000","data":[{row}]}}')
    return found


def facts(found: Instrument) -> tuple[object, ...]:
    return (found.market, found.kind, found.size_unit, found.contract_value, found.contract_value_ccy)


def test_a_linear_contract_is_its_multiplier_of_the_base_whatever_it_says_of_quanto() -> None:
    found = listed(FUTURE, LINEAR)
    assert facts(found) == ("perp", "linear", "contract", "0.001", "XBT")
    assert (found.symbol, found.tick, found.lot, found.state) == ("XBT/USDT:USDT", "0.1", "1", "Open")
    assert (found.list_utc, found.expiry_utc) == ("2020-03-30T08:00:00.000Z", None)
    assert (found.raw["tickSize"], found.raw["makerFeeRate"], found.raw["expireDate"]) == ("0.10", "2.0E-4", None)


def test_an_inverse_contract_is_one_dollar_for_its_multiplier_of_minus_one() -> None:
    found = listed(FUTURE, INVERSE)
    assert facts(found) == ("perp", "inverse", "contract", "1", "USD")
    assert (found.symbol, found.settle, found.tick) == ("XBT/USD:XBT", "XBT", "1")


def test_a_contract_with_a_delivery_date_is_a_future() -> None:
    found = listed(FUTURE, DATED)
    assert facts(found) == ("futures", "inverse", "contract", "1", "USD")
    assert found.expiry_utc == "2026-09-25T08:00:00.000Z"


@pytest.mark.parametrize(
    ("inst", "market"),
    [
        ("XBTUSDTM", "perp"),
        ("ETHUSDCM", "perp"),
        ("XBTUSDM", "perp"),
        ("XBTMZ26", "futures"),
        ("10000CATUSDTM", "perp"),
    ],
)
def test_the_market_is_told_by_the_id(inst: str, market: str) -> None:
    assert FUTURE.market_of(inst) == market
    assert PAIR.market_of(inst) == "spot"


def test_a_pair() -> None:
    found = listed(PAIR, json.dumps(BTC))
    assert facts(found) == ("spot", None, "base", None, None)
    assert (found.symbol, found.settle, found.tick, found.lot) == ("BTC/USDT", None, "0.1", "0.00000001")
    assert found.state == "trading enabled"
    assert listed(PAIR, json.dumps(BTC | {"enableTrading": False})).state == "trading disabled"
    assert listed(PAIR, json.dumps(BTC | {"enableTrading": None})).state is None


def test_lists_are_asked_for_where_they_are() -> None:
    assert FUTURE.instrument_paths(["futures", "spot"]) == ["/api/v1/contracts/active"]
    assert PAIR.instrument_paths(["spot"]) == ["/api/v2/symbols"]
    assert (FUTURE.instrument_paths(["spot"]), PAIR.instrument_paths(["option"])) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[" * 100_000,
        '{"code":"429000","msg":"Too Many Requests"}',
        '{"code":"200000","data":{}}',
        '{"code":"200000","data":[1]}',
        '{"code":"200000","data":[{"symbol":""}]}',
        '{"code":"200000","data":[{"symbol":"\\ud800"}]}',
        '{"code":"200000","data":[{"symbol":"A","tickSize":Infinity}]}',
    ],
)
def test_what_is_no_list_is_an_error_of_the_venue(body: str) -> None:
    with pytest.raises(VenueError):
        FUTURE.decode_instruments(body)
