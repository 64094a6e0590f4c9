"""Bitfinex: what the venue lists. The metadata half of `bitfinex`.

Sources: docs.bitfinex.com "Configs" (`pub:list:pair:exchange`, `pub:list:pair:futures`), "Platform" (prices have 5
significant digits, amounts 8 decimals); a third party's survey of 22 September 2026 for what derivatives count.
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.instrument import Instrument, symbol_of

NAME = "bitfinex"
CONF_PATH = "/v2/conf/pub:list:pair:"
LISTS = {"spot": "exchange", "perp": "futures"}
LOT = "0.00000001"
DERIVATIVE = "F0"
"""What the currencies of a derivative end with: `BTCF0:USTF0`."""
_SHORT = 3
_PERP = re.compile(r"t.+F0:.+F0", re.ASCII)


def market_of(inst: str) -> str:
    """Tell the market from the id: `tBTCF0:USTF0` is a perpetual, `tBTCUSD` and `tDOGE:USD` are spot pairs."""
    return "perp" if _PERP.fullmatch(inst) else "spot"


def instrument_paths(markets: Sequence[str]) -> list[str]:
    """Name one list for each market."""
    return [f"{CONF_PATH}{LISTS[market]}" for market in markets if market in LISTS]


def further_instrument_paths(body: str) -> list[str]:
    """A list is whole."""
    return []


def decode_instruments(body: str) -> list[Instrument]:
    """Read the answer of such a path, `[["BTCUSD","DOGE:USD"]]`: a list for each thing asked for.

    Raises:
        VenueError: an error answer, or not the shape of lists of pairs.
    """
    try:
        lists = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise VenueError(f"Bitfinex answered its list of pairs with something else than JSON: {clip(body)}") from error
    # 1. An error is a list too: ["error",10020,"symbol: invalid"].
    if type(lists) is not list or set(map(type, lists)) != {list}:
        raise VenueError(f"Bitfinex answered its list of pairs with something else: {clip(body)}")
    return [_instrument(pair) for pairs in lists for pair in pairs]


def _instrument(pair: Any) -> Instrument:
    """Describe a pair. Sizes count the base currency, also of a derivative, which is worth one of it."""
    if type(pair) is not str or not pair:
        raise VenueError(f"Bitfinex listed something else than a pair: {clip(pair)}")
    inst = f"t{pair}"
    market = market_of(inst)
    spot = market == "spot"
    # 2. A pair is written without a colon if both currencies have three letters.
    base, _, quote = pair.partition(":") if ":" in pair else (pair[:_SHORT], "", pair[_SHORT:])
    if not spot:
        base, quote = base.removesuffix(DERIVATIVE), quote.removesuffix(DERIVATIVE)
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base or None, quote or None, None if spot else quote),
        base=base or None,
        quote=quote or None,
        settle=None if spot else quote,
        market=market,
        # 3. Also those settled in bitcoin are linear: `ETHF0:BTCF0` is quoted in bitcoin too.
        kind=None if spot else "linear",
        size_unit="base",
        contract_value=None if spot else "1",
        contract_value_ccy=None if spot else base,
        # 4. A price has 5 significant digits: its step changes with it, and there is no tick.
        tick=None,
        lot=LOT,
        raw={"pair": pair},
    )
