"""What Coinbase lists, in the normal form."""

import json

import pytest

from l2_exporter.core.errors import VenueError
from l2_exporter.venues.coinbase import Coinbase

COINBASE = Coinbase()

# GET /products/BTC-USD, captured by a third party on 19 June 2026; a list of such is GET /products.
PRODUCT = (
    '{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001",'
    '"display_name":"BTC-USD","min_market_funds":"1","margin_enabled":false,"post_only":false,"limit_only":false,'
    '"cancel_only":false,"status":"online","status_message":"","trading_disabled":false,"fx_stablecoin":false,'
    '"max_slippage_percentage":"0.02000000","auction_mode":false,"high_bid_limit_percentage":""}'
)


def test_listing_in_the_normal_form() -> None:
    assert COINBASE.instrument_paths(["perp", "spot"]) == ["/products"]
    assert COINBASE.instrument_paths(["perp", "futures", "option"]) == []
    assert COINBASE.further_instrument_paths("[]") == []
    (one,) = COINBASE.decode_instruments(f"[{PRODUCT}]")
    assert (one.venue, one.inst, one.symbol, one.base, one.quote, one.settle) == (
        "coinbase",
        "BTC-USD",
        "BTC/USD",
        "BTC",
        "USD",
        None,
    )
    assert (one.market, one.kind, one.size_unit, one.contract_value) == ("spot", None, "base", None)
    assert (one.tick, one.lot, one.state, one.list_utc) == ("0.01", "0.00000001", "online", None)
    assert one.raw == json.loads(PRODUCT)
    assert COINBASE.code_of(one) == "BTC-USD"


def test_delisted_products_and_odd_steps() -> None:
    changed = json.loads(PRODUCT) | {"status": "delisted", "quote_increment": "", "base_increment": 0.1}
    (one,) = COINBASE.decode_instruments(json.dumps([changed]))
    assert (one.state, one.tick, one.lot) == ("delisted", None, None)


@pytest.mark.parametrize(
    "body",
    [
        '{"message":"Public rate limit exceeded"}',
        "<html>",
        "[1]",
        f'[{PRODUCT},{{"id":""}}]',
        PRODUCT.replace("BTC-USD", "").join("[]"),
        "[" * 2000,
        '[{"id":"A-B","base_currency":"A","quote_currency":null}]',
    ],
)
def test_answers_that_are_no_list_of_products(body: str) -> None:
    with pytest.raises(VenueError, match="Coinbase"):
        COINBASE.decode_instruments(body)
