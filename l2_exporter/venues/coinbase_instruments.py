"""Coinbase Exchange: what the venue lists. The metadata half of `coinbase`.

Source: docs.cdp.coinbase.com Exchange "Get all known trading pairs" (copy of 2026); an answer captured on 19 June 2026
is in tests/venues/test_coinbase_instruments.py. Advanced Trade lists its products elsewhere, spot under the same ids.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.fields import text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of

NAME = "coinbase"
PRODUCTS_PATH = "/products"


def instrument_paths(markets: Sequence[str]) -> list[str]:
    """Name the REST path that lists all products; every one is a spot pair."""
    return [PRODUCTS_PATH] if "spot" in markets else []


def further_instrument_paths(body: str) -> list[str]:
    """The list is whole."""
    return []


def decode_instruments(body: str) -> list[Instrument]:
    """Read the list of products, delisted ones among them.

    One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

    Raises:
        VenueError: an error answer, or not the shape of a list of products.
    """
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(f"Coinbase answered its products with something else than JSON: {clip(body)}") from error
    if type(answer) is not list:
        raise VenueError(f"Coinbase refused its list of products: {clip(body)}")
    return [_instrument(row) for row in answer]


def _instrument(row: Any) -> Instrument:
    inst, base, quote = (text_of(row, name) for name in ("id", "base_currency", "quote_currency"))
    if not inst or not base or not quote:
        raise VenueError(f"Coinbase listed a product without id and currencies: {clip(row)}")
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote),
        base=base,
        quote=quote,
        market="spot",
        size_unit="base",
        tick=amount(row.get("quote_increment")),
        lot=amount(row.get("base_increment")),
        state=text_of(row, "status") or None,
        raw=row,
    )
