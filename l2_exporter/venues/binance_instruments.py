"""What Binance and Aster list: the metadata half of `binance`.

Sources: docs "Exchange Information" of USD-M, COIN-M and spot, and of Aster (copies of 2026).
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.fields import text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of, utc_of_ms

_EXPIRING = re.compile(r".+_\d{6}", re.ASCII)


def market_of(markets: Sequence[str], inst: str) -> str:
    """Tell the market of an id in a product group with these markets."""
    if "spot" in markets:
        return "spot"
    return "futures" if _EXPIRING.fullmatch(inst) else "perp"


def decode(company: str, venue: str, markets: Sequence[str], body: str) -> list[Instrument]:
    """Read the answer of GET .../exchangeInfo.

    Raises:
        VenueError: an error answer, or not the shape of a list of instruments.
    """
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        what = f"{company} answered its list of instruments with something else than JSON"
        raise VenueError(f"{what}: {clip(body)}") from error
    rows = answer.get("symbols") if type(answer) is dict else None
    if type(rows) is not list or set(map(type, rows)) - {dict}:
        raise VenueError(f"{company} answered its list of instruments without `symbols`: {clip(body)}")
    return [_instrument(company, venue, markets, row) for row in rows]


def _instrument(company: str, venue: str, markets: Sequence[str], row: dict[str, Any]) -> Instrument:
    inst = text_of(row, "symbol")
    if not inst:
        raise VenueError(f"{company} listed an instrument without a symbol: {clip(row)}")
    market = market_of(markets, inst)
    spot = market == "spot"
    base, counter = text_of(row, "baseAsset"), text_of(row, "quoteAsset")
    settle = None if spot else text_of(row, "marginAsset")
    # 1. COIN-M names the worth of a contract (100 USD for BTC, else 10), is settled in the base, and its sizes count
    #    contracts. 2. USD-M and Aster have none: their sizes count the base, and a contract is one of it.
    size = row.get("contractSize")
    inverse = size is not None
    worth = amount(str(size)) if inverse else "1"
    return Instrument(
        venue=venue,
        inst=inst,
        symbol=symbol_of(base, counter, settle),
        base=base,
        quote=counter,
        settle=settle,
        market=market,
        kind=None if spot else "inverse" if inverse else "linear",
        size_unit="contract" if inverse else "base",
        contract_value=None if spot else worth,
        contract_value_ccy=None if spot else counter if inverse else base,
        tick=_step(row, "PRICE_FILTER", "tickSize"),
        lot=_step(row, "LOT_SIZE", "stepSize"),
        state=text_of(row, "contractStatus") or text_of(row, "status"),
        list_utc=utc_of_ms(str(row.get("onboardDate", ""))),
        expiry_utc=utc_of_ms(str(row.get("deliveryDate", ""))) if market == "futures" else None,
        raw=row,
    )


def _step(row: dict[str, Any], kind: str, name: str) -> str | None:
    """Read a step from the filters; `pricePrecision` is none."""
    filters = row.get("filters")
    found = [one for one in filters if text_of(one, "filterType") == kind] if type(filters) is list else []
    return amount(text_of(found[0], name)) if found else None
