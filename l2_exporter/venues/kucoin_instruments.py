"""What KuCoin lists: the metadata half of `kucoin`.

Sources: docs "Get Symbols List" and "Get Symbol Detail" of futures and of spot (copies of 2025); answers of
/api/v1/contracts/active of 2022 and 2023, as clients keep them for their tests.
"""

import re
from collections.abc import Sequence
from typing import Any

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.fields import text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of, utc_of_ms

CONTRACTS_PATH = "/api/v1/contracts/active"
SYMBOLS_PATH = "/api/v2/symbols"
_EXPIRING = re.compile(r".+[FGHJKMNQUVXZ]\d{2}", re.ASCII)
"""`XBTMU26`: the letter of a month, and a year. Perpetuals end with M (`XBTUSDTM`)."""
_STATES = {True: "trading enabled", False: "trading disabled"}


def path_of(markets: Sequence[str]) -> str:
    """Name the path that lists these markets."""
    return SYMBOLS_PATH if "spot" in markets else CONTRACTS_PATH


def market_of(markets: Sequence[str], inst: str) -> str:
    """Tell the market of an id of the exchange that has these markets."""
    if "spot" in markets:
        return "spot"
    return "futures" if _EXPIRING.fullmatch(inst) else "perp"


def decode(venue: str, markets: Sequence[str], row: dict[str, Any]) -> Instrument:
    """Read one entry of a list, numbers as texts.

    Raises:
        VenueError: it names no instrument.
    """
    inst = text_of(row, "symbol")
    if not inst:
        raise VenueError(f"KuCoin listed an instrument without a symbol: {clip(row)}")
    return _pair(venue, inst, row) if "spot" in markets else _contract(venue, market_of(markets, inst), inst, row)


def _contract(venue: str, market: str, inst: str, row: dict[str, Any]) -> Instrument:
    base, counter, settle = (text_of(row, name) for name in ("baseCurrency", "quoteCurrency", "settleCurrency"))
    # Sizes count contracts ("lots"). A linear one is `multiplier` of the base coin, an inverse one so many US dollars,
    # and then the number is negative ("Get Symbol": XBTUSDTM 0.001 BTC, XBTUSDM 1 USD). `isQuanto` is deprecated and
    # "of no use": it is true of XBTUSDTM, which is linear.
    inverse = row.get("isInverse") is True
    return Instrument(
        venue=venue,
        inst=inst,
        symbol=symbol_of(base, counter, settle),
        base=base,
        quote=counter,
        settle=settle,
        market=market,
        kind="inverse" if inverse else "linear",
        size_unit="contract",
        contract_value=amount((text_of(row, "multiplier") or "").removeprefix("-")),
        contract_value_ccy=counter if inverse else base,
        tick=amount(row.get("tickSize")),
        lot=amount(row.get("lotSize")),
        state=text_of(row, "status"),
        list_utc=utc_of_ms(row.get("firstOpenDate")),
        expiry_utc=utc_of_ms(row.get("expireDate")),
        raw=row,
    )


def _pair(venue: str, inst: str, row: dict[str, Any]) -> Instrument:
    base, counter, enabled = text_of(row, "baseCurrency"), text_of(row, "quoteCurrency"), row.get("enableTrading")
    return Instrument(
        venue=venue,
        inst=inst,
        symbol=symbol_of(base, counter),
        base=base,
        quote=counter,
        market="spot",
        size_unit="base",
        tick=amount(row.get("priceIncrement")),
        lot=amount(row.get("baseIncrement")),
        state=_STATES[enabled] if type(enabled) is bool else None,
        raw=row,
    )
