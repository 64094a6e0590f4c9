"""Kraken: what the venue lists. The metadata half of `kraken`.

The REST list has three names for a pair, and the socket (v2) takes none of the first two: the key `XXBTZUSD` and
`wsname` `XBT/USD` are refused there, which wants `BTC/USD`. Asked for with `assetVersion=1` the list is keyed by those
newer names. Answers captured from the venue are in tests/venues/test_kraken.py.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.instrument import Instrument, amount, symbol_of

NAME = "kraken"
PAIRS_PATH = "/0/public/AssetPairs?assetVersion=1"
RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
"""Assets whose name in `wsname` the socket no longer takes; of all others it is the same."""
MAX_DECIMALS = 30


def instrument_paths(markets: Sequence[str]) -> list[str]:
    """Name the REST path that lists spot pairs."""
    return [PAIRS_PATH] if "spot" in markets else []


def further_instrument_paths(body: str) -> list[str]:
    """The list is whole."""
    return []


def decode_instruments(body: str) -> list[Instrument]:
    """Read the list of pairs.

    One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

    Raises:
        VenueError: an error answer, or not the shape of a list of pairs.
    """
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(f"Kraken answered its list of pairs with something else than JSON: {clip(body)}") from error
    rows = answer.get("result") if type(answer) is dict else None
    # 1. `error` may hold warnings beside a result; an error has none.
    if type(rows) is not dict or set(map(type, rows.values())) not in (set(), {dict}):
        raise VenueError(f"Kraken refused its list of pairs: {clip(body)}")
    return [_pair(_symbol(key, row), row) for key, row in rows.items()]


def _symbol(key: str, row: dict[str, Any]) -> tuple[str, str]:
    """Name a pair as the socket does: by the newer key, else by the older `wsname` with what has been renamed."""
    base, _, quote = key.partition("/")
    if not quote:
        name = row.get("wsname")
        base, _, quote = name.partition("/") if type(name) is str else ("", "", "")
        base, quote = RENAMED.get(base, base), RENAMED.get(quote, quote)
    if not base or not quote:
        raise VenueError(f"Kraken listed a pair without a name: {clip(key)} {clip(row)}")
    return base, quote


def _pair(symbol: tuple[str, str], row: dict[str, Any]) -> Instrument:
    base, quote = symbol
    state = row.get("status")
    return Instrument(
        venue=NAME,
        inst=f"{base}/{quote}",
        symbol=symbol_of(base, quote),
        base=base,
        quote=quote,
        market="spot",
        size_unit="base",
        tick=amount(row.get("tick_size")) or _step(row.get("pair_decimals")),
        lot=_step(row.get("lot_decimals")),
        state=state if type(state) is str and state else None,
        raw=row,
    )


def _step(decimals: Any) -> str | None:
    """Write the step of a number with so many decimals: `0.01` for 2."""
    if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
        return None
    return f"0.{'1':0>{decimals}}" if decimals else "1"
