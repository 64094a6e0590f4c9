"""What OKX lists, on answers captured from the venue: contract values, currencies, options; any text is survived."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.venues.okx import Okx

OKX = Okx()

# Captured answers, without the order limits (test data of nautilus_trader, 2024 to 2025; examples of docs-v5, 2026).
BTC_USDT_SWAP = {
    "alias": "",
    "baseCcy": "",
    "ctMult": "1",
    "ctType": "linear",
    "ctVal": "0.01",
    "ctValCcy": "BTC",
    "expTime": "",
    "futureSettlement": False,
    "instFamily": "BTC-USDT",
    "instId": "BTC-USDT-SWAP",
    "instIdCode": 10459,
    "instType": "SWAP",
    "lever": "100",
    "listTime": "1573557408000",
    "lotSz": "0.01",
    "minSz": "0.01",
    "optType": "",
    "quoteCcy": "",
    "ruleType": "normal",
    "settleCcy": "USDT",
    "state": "live",
    "stk": "",
    "tickSz": "0.1",
    "tradeQuoteCcyList": [],
    "uly": "BTC-USDT",
}
BTC_USD_SWAP = {
    **BTC_USDT_SWAP,
    "ctType": "inverse",
    "ctVal": "100",
    "ctValCcy": "USD",
    "instFamily": "BTC-USD",
    "instId": "BTC-USD-SWAP",
    "instIdCode": 10458,
    "listTime": "1535424203000",
    "lotSz": "1",
    "minSz": "1",
    "settleCcy": "BTC",
    "uly": "BTC-USD",
}
BTC_USD_FUTURE = {
    "alias": "this_week",
    "baseCcy": "",
    "ctMult": "1",
    "ctType": "inverse",
    "ctVal": "100",
    "ctValCcy": "USD",
    "expTime": "1734681600000",
    "instFamily": "BTC-USD",
    "instId": "BTC-USD-241220",
    "instType": "FUTURES",
    "lever": "20",
    "listTime": "1733472600725",
    "lotSz": "1",
    "minSz": "1",
    "optType": "",
    "quoteCcy": "",
    "ruleType": "normal",
    "settleCcy": "BTC",
    "state": "live",
    "stk": "",
    "tickSz": "0.1",
    "uly": "BTC-USD",
}
BTC_USD_CALL = {
    "alias": "",
    "baseCcy": "",
    "ctMult": "0.01",
    "ctType": "",
    "ctVal": "1",
    "ctValCcy": "BTC",
    "expTime": "1734422400000",
    "instFamily": "BTC-USD",
    "instId": "BTC-USD-241217-92000-C",
    "instType": "OPTION",
    "lever": "",
    "listTime": "1734165000000",
    "lotSz": "1",
    "minSz": "1",
    "optType": "C",
    "quoteCcy": "",
    "settleCcy": "BTC",
    "state": "live",
    "stk": "92000",
    "tickSz": "0.0001",
    "uly": "BTC-USD",
}
BTC_USDT = {
    "baseCcy": "BTC",
    "ctMult": "",
    "ctType": "",
    "ctVal": "",
    "ctValCcy": "",
    "expTime": "",
    "instFamily": "",
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "lever": "10",
    "listTime": "1606468572000",
    "lotSz": "0.00000001",
    "minSz": "0.00001",
    "optType": "",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "state": "live",
    "stk": "",
    "tickSz": "0.1",
    "uly": "",
    "upcChg": [{"param": "tickSz", "newValue": "0.0001", "effTime": "1704876947000"}],
}


def body(*rows: object) -> str:
    return json.dumps({"code": "0", "msg": "", "data": list(rows)})


def one(row: dict[str, object]) -> Instrument:
    (instrument,) = OKX.decode_instruments(body(row))
    return instrument


def test_a_linear_swap_is_worth_a_hundredth_of_its_base() -> None:
    assert one(BTC_USDT_SWAP) == Instrument(
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
        list_utc="2019-11-12T11:16:48.000Z",
        raw=BTC_USDT_SWAP,
    )


def test_an_inverse_swap_is_worth_a_hundred_of_its_quote_and_settled_in_its_base() -> None:
    assert one(BTC_USD_SWAP) == Instrument(
        venue="okx",
        inst="BTC-USD-SWAP",
        symbol="BTC/USD:BTC",
        base="BTC",
        quote="USD",
        settle="BTC",
        market="perp",
        kind="inverse",
        size_unit="contract",
        contract_value="100",
        contract_value_ccy="USD",
        tick="0.1",
        lot="1",
        state="live",
        list_utc="2018-08-28T02:43:23.000Z",
        raw=BTC_USD_SWAP,
    )


def test_a_future_ends() -> None:
    assert one(BTC_USD_FUTURE) == Instrument(
        venue="okx",
        inst="BTC-USD-241220",
        symbol="BTC/USD:BTC",
        base="BTC",
        quote="USD",
        settle="BTC",
        market="futures",
        kind="inverse",
        size_unit="contract",
        contract_value="100",
        contract_value_ccy="USD",
        tick="0.1",
        lot="1",
        state="live",
        list_utc="2024-12-06T08:10:00.725Z",
        expiry_utc="2024-12-20T08:00:00.000Z",
        raw=BTC_USD_FUTURE,
    )


def test_an_option_has_strike_and_right_and_its_multiplier_counts() -> None:
    assert one(BTC_USD_CALL) == Instrument(
        venue="okx",
        inst="BTC-USD-241217-92000-C",
        symbol="BTC/USD:BTC",
        base="BTC",
        quote="USD",
        settle="BTC",
        market="option",
        kind="inverse",
        size_unit="contract",
        contract_value="0.01",
        contract_value_ccy="BTC",
        tick="0.0001",
        lot="1",
        state="live",
        list_utc="2024-12-14T08:30:00.000Z",
        expiry_utc="2024-12-17T08:00:00.000Z",
        strike="92000",
        right="call",
        raw=BTC_USD_CALL,
    )
    assert one({**BTC_USD_CALL, "optType": "P"}).right == "put"


def test_spot_counts_its_base_and_has_no_contract() -> None:
    assert one(BTC_USDT) == Instrument(
        venue="okx",
        inst="BTC-USDT",
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        market="spot",
        size_unit="base",
        tick="0.1",
        lot="0.00000001",
        state="live",
        list_utc="2020-11-27T09:16:12.000Z",
        raw=BTC_USDT,
    )


@pytest.mark.parametrize("settle", ["USDⓈ", "USD", "USDC"])
def test_a_family_settled_in_dollars_is_not_its_coin_settled_sister(settle: str) -> None:
    """docs-v5, "Trading Account", table of uly, instFamily and settleCcy."""
    changed = {"instId": "BTC-USD_UM-SWAP", "instFamily": "BTC-USD_UM", "uly": "BTC-USD", "settleCcy": settle}
    linear = one({**BTC_USDT_SWAP, **changed})
    assert (linear.symbol, linear.kind, linear.settle) == (f"BTC/USD:{settle}", "linear", settle)
    option = one({**BTC_USD_CALL, **changed, "instId": "BTC-USD_UM-241217-92000-C"})
    assert (option.symbol, option.kind) == (f"BTC/USD:{settle}", "linear")


def test_the_pair_comes_from_the_family_where_the_underlying_is_missing() -> None:
    perpetual = one({**BTC_USDT_SWAP, "instId": "BTC-USD_UM_XPERP-310404", "uly": "", "instFamily": "BTC-USD_UM_XPERP"})
    assert (perpetual.base, perpetual.quote) == ("BTC", "USD")


@pytest.mark.parametrize(
    ("changed", "unknown"),
    [
        ({"tickSz": "", "lotSz": None}, ("tick", "lot")),
        ({"tickSz": 0.1, "lotSz": "0"}, ("tick", "lot")),
        ({"ctVal": ""}, ("contract_value",)),
        ({"ctMult": ""}, ("contract_value",)),
        ({"ctValCcy": ""}, ("contract_value_ccy",)),
        ({"uly": "", "instFamily": ""}, ("symbol", "base", "quote")),
        ({"uly": "BTC-USDT-X"}, ("symbol", "base", "quote")),
        ({"uly": ["BTC-USDT"], "instFamily": 7}, ("symbol", "base", "quote")),
        ({"ctType": "", "instType": "SWAP"}, ("kind",)),
        ({"ctType": "cubic"}, ("kind",)),
        ({"state": ""}, ("state",)),
        ({"listTime": ""}, ("list_utc",)),
        ({"listTime": "soon"}, ("list_utc",)),
    ],
)
def test_what_is_not_told_is_null_and_the_rest_stays(changed: dict[str, object], unknown: tuple[str, ...]) -> None:
    row = {**BTC_USDT_SWAP, **changed}
    whole, partial = one(BTC_USDT_SWAP), one(row)
    different = {name for name in whole.__slots__ if name != "raw" and getattr(whole, name) != getattr(partial, name)}
    assert different == set(unknown)
    assert {getattr(partial, name) for name in unknown} == {None}
    assert partial.raw == row


def test_an_option_of_unknown_settlement_has_no_kind() -> None:
    assert one({**BTC_USD_CALL, "settleCcy": "ETH"}).kind is None
    assert one({**BTC_USD_CALL, "settleCcy": ""}).kind is None


def test_an_announced_contract_without_id_is_passed_over() -> None:
    announced = dict.fromkeys(BTC_USD_FUTURE, "") | {"instType": "FUTURES", "state": "preopen"}
    assert [each.inst for each in OKX.decode_instruments(body(announced, BTC_USD_FUTURE))] == ["BTC-USD-241220"]


def test_order_is_the_venues() -> None:
    rows = (BTC_USDT_SWAP, BTC_USD_SWAP, BTC_USDT)
    assert [each.inst for each in OKX.decode_instruments(body(*rows))] == [row["instId"] for row in rows]


def test_paths() -> None:
    root = "/api/v5/public"
    assert OKX.instrument_paths(["spot", "perp", "futures"]) == [
        f"{root}/instruments?instType=SPOT",
        f"{root}/instruments?instType=SWAP",
        f"{root}/instruments?instType=FUTURES",
    ]
    assert OKX.instrument_paths(["option", "lottery"]) == [f"{root}/underlying?instType=OPTION"]
    assert OKX.instrument_paths([]) == []


def test_options_are_asked_for_by_underlying() -> None:
    underlyings = body(["BTC-USD", "ETH-USD", "A&B-USD"])
    assert OKX.decode_instruments(underlyings) == []
    assert OKX.further_instrument_paths(underlyings) == [
        "/api/v5/public/instruments?instType=OPTION&uly=BTC-USD",
        "/api/v5/public/instruments?instType=OPTION&uly=ETH-USD",
        "/api/v5/public/instruments?instType=OPTION&uly=A%26B-USD",
    ]
    assert OKX.further_instrument_paths(body(BTC_USD_CALL)) == []


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("<html>blocked</html>", "something else than JSON"),
        ("", "something else than JSON"),
        ("\ud800", "something else than JSON"),
        ('{"code":"0","data":[{"instId":' + "[" * 600 + "]" * 600 + "}]}", "something else than JSON"),
        ('{"code":"50015","msg":"Either parameter uly or instFamily is required","data":[]}', "refused.*uly"),
        ('{"code":0,"data":[]}', "refused"),
        ("[]", "refused"),
        ('{"code":"0"}', "without a list"),
        ('{"code":"0","data":{}}', "without a list"),
        ('{"code":"0","data":[1]}', "without a list"),
        ('{"code":"0","data":[{},[]]}', "without a list"),
        ('{"code":"0","data":[{}]}', "without a known instId"),
        ('{"code":"0","data":[{"instId":"BTC-USDT"}]}', "without a known instId"),
        ('{"code":"0","data":[{"instId":7,"instType":"SPOT"}]}', "without a known instId"),
        ('{"code":"0","data":[{"instId":"BTC-USDT","instType":"MARGIN"}]}', "without a known instId"),
    ],
)
def test_anything_else_is_a_venue_error(answer: str, what: str) -> None:
    with pytest.raises(VenueError, match=what) as caught:
        OKX.decode_instruments(answer)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("row", [[7], [""], [None], [["BTC-USD"]]])
def test_an_underlying_without_a_name_is_a_venue_error(row: list[object]) -> None:
    with pytest.raises(VenueError, match="without a name"):
        OKX.further_instrument_paths(body(row))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
VALUES = JSON | st.sampled_from(
    ["", "0", "1", "1e-8", "-1", "9" * 99, "1734422400000", "BTC-USD", "BTC", "C", "inverse"]
)
ROWS = st.fixed_dictionaries(
    {
        "instId": st.text(max_size=9) | VALUES,
        "instType": st.sampled_from(["SPOT", "SWAP", "FUTURES", "OPTION"]) | VALUES,
    },
    optional={name: VALUES for name in BTC_USD_CALL if name not in ("instId", "instType")},
)


def assert_lists(answer: str) -> None:
    """Decode; instruments that can be written to a file, or a VenueError, are both fine."""
    for read in (OKX.decode_instruments, OKX.further_instrument_paths):
        try:
            found = read(answer)
        except VenueError:
            continue
        for each in found:
            assert isinstance(each, str) or (each.inst and orjson.dumps(each))


@given(st.text(max_size=100) | st.builds(json.dumps, JSON))
def test_any_text_gives_instruments_or_a_venue_error(answer: str) -> None:
    assert_lists(answer)


@given(st.lists(ROWS | st.lists(VALUES, max_size=2), max_size=3))
def test_any_rows_give_instruments_or_a_venue_error(rows: list[object]) -> None:
    assert_lists(body(*rows))
