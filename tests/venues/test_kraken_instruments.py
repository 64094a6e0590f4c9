"""What Kraken lists: pairs called as the socket calls them, whichever names the list is in."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.venues.kraken import Kraken

KRAKEN = Kraken()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)

# Rows of the venue's list, captured by third parties in August and September 2026, fee tables left out.
BTC_USD = (
    '{"altname":"XBTUSD","wsname":"XBT/USD","aclass_base":"currency","base":"%s","aclass_quote":"currency",'
    '"quote":"%s","execution_venue":"international","lot":"unit","cost_decimals":5,"pair_decimals":1,"lot_decimals":8,'
    '"lot_multiplier":1,"margin_call":80,"margin_stop":40,"ordermin":"0.00005","costmin":"0.5","tick_size":"0.1",'
    '"status":"online"}'
)
NEW = f'{{"error":[],"result":{{"BTC/USD":{BTC_USD % ("BTC", "USD")}}}}}'
OLD = (
    f'{{"error":[],"result":{{"XXBTZUSD":{BTC_USD % ("XXBT", "ZUSD")},'
    '"XETHXXBT":{"altname":"ETHXBT","wsname":"ETH/XBT","base":"XETH","quote":"XXBT","pair_decimals":6,"lot_decimals":8,'
    '"lot_multiplier":1,"tick_size":"0.000001","status":"online"},'
    '"XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD","base":"XXDG","quote":"ZUSD","pair_decimals":7,"lot_decimals":8,'
    '"lot_multiplier":1,"tick_size":"0.0000001","status":"online"},'
    '"ACAEUR":{"altname":"ACAEUR","wsname":"ACA/EUR","base":"ACA","quote":"ZEUR","pair_decimals":5,"lot_decimals":8,'
    '"lot_multiplier":1,"tick_size":"0.00001","status":"cancel_only"},'
    '"0GEUR":{"altname":"0GEUR","wsname":"0G/EUR","base":"0G","quote":"ZEUR","lot":"unit5","pair_decimals":3,'
    '"lot_decimals":5,"lot_multiplier":1,"status":"online"}}}'
)


def test_a_pair_is_called_as_the_socket_calls_it() -> None:
    wanted = Instrument(
        venue="kraken",
        inst="BTC/USD",
        symbol="BTC/USD",
        base="BTC",
        quote="USD",
        market="spot",
        size_unit="base",
        tick="0.1",
        lot="0.00000001",
        state="online",
        raw=json.loads(BTC_USD % ("BTC", "USD")),
    )
    assert KRAKEN.decode_instruments(NEW) == [wanted]
    assert KRAKEN.code_of(wanted) == "BTC/USD"


def test_a_list_in_the_older_names_gives_the_same_ids() -> None:
    found = [(each.inst, each.tick, each.lot, each.state) for each in KRAKEN.decode_instruments(OLD)]
    assert found == [
        ("BTC/USD", "0.1", "0.00000001", "online"),
        ("ETH/BTC", "0.000001", "0.00000001", "online"),
        ("DOGE/USD", "0.0000001", "0.00000001", "online"),
        ("ACA/EUR", "0.00001", "0.00000001", "cancel_only"),
        ("0G/EUR", "0.001", "0.00001", "online"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        '{"error":["EGeneral:Internal error"],"result":null}',
        '{"error":["EGeneral:Too many requests"]}',
        '{"error":[],"result":[]}',
        '{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD"}}}',
        "<html>",
    ],
)
def test_an_answer_that_lists_nothing_is_a_venue_error(body: str) -> None:
    with pytest.raises(VenueError):
        KRAKEN.decode_instruments(body)


def test_spot_is_listed_at_once_by_the_newer_names() -> None:
    assert KRAKEN.instrument_paths(["perp", "spot"]) == ["/0/public/AssetPairs?assetVersion=1"]
    assert KRAKEN.instrument_paths(["perp"]) == []
    assert KRAKEN.further_instrument_paths(NEW) == []
    assert KRAKEN.market_of("ETH/BTC") == "spot"


@given(st.text(max_size=60) | JSON.map(json.dumps) | st.dictionaries(st.text(max_size=4), JSON).map(json.dumps))
def test_any_list_gives_instruments_or_a_venue_error(body: str) -> None:
    for wrapped in (body, f'{{"error":[],"result":{body}}}'):
        with contextlib.suppress(VenueError):
            for instrument in KRAKEN.decode_instruments(wrapped):
                assert "/" in instrument.inst
