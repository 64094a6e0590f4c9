"""What Gate.io lists: the metadata half of `gate`.

Sources: docs "API v4", "Query all futures contracts", "Query all supported currency pairs" (copies of November 2025).
"""

from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.fields import text_of
from l2_exporter.core.instrument import Instrument, amount, symbol_of, utc_of_ms


def decode(venue: str, market: str, body: str) -> list[Instrument]:
    """Read a list of contracts, or of pairs.

    One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

    Raises:
        VenueError: an error answer, or not the shape of such a list.
    """
    try:
        rows = orjson.loads(body)
        orjson.dumps(rows)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(
            f"Gate answered its list of instruments with something else than JSON: {clip(body)}"
        ) from error
    if type(rows) is not list or set(map(type, rows)) - {dict}:
        raise VenueError(f"Gate refused its list of instruments: {clip(body)}")
    return [_pair(venue, row) if market == "spot" else _contract(venue, row) for row in rows]


def _contract(venue: str, row: dict[str, Any]) -> Instrument:
    """Describe a USDT-settled perpetual: a contract is `quanto_multiplier` of the base, sizes count contracts."""
    inst = _id(row, "name")
    base, _, quote = inst.rpartition("_")
    # Sizes are whole contracts, but for those with `enable_decimal`, whose step nothing tells.
    lot = None if row.get("enable_decimal") is True else "1"
    return Instrument(
        venue=venue,
        inst=inst,
        symbol=symbol_of(base, quote, quote),
        base=base,
        quote=quote,
        settle=quote,
        market="perp",
        kind="linear",
        size_unit="contract",
        contract_value=amount(text_of(row, "quanto_multiplier")),
        contract_value_ccy=base,
        tick=amount(text_of(row, "order_price_round")),
        lot=lot,
        state=text_of(row, "status"),
        list_utc=_utc(row.get("launch_time")),
        raw=row,
    )


def _pair(venue: str, row: dict[str, Any]) -> Instrument:
    """Describe a pair: sizes count the base."""
    inst, base, quote = _id(row, "id"), text_of(row, "base"), text_of(row, "quote")
    return Instrument(
        venue=venue,
        inst=inst,
        symbol=symbol_of(base, quote),
        base=base,
        quote=quote,
        market="spot",
        size_unit="base",
        tick=_step(row.get("precision")),
        lot=_step(row.get("amount_precision")),
        state=text_of(row, "trade_status"),
        list_utc=_utc(row.get("buy_start")),
        raw=row,
    )


def _id(row: dict[str, Any], name: str) -> str:
    inst = text_of(row, name)
    if not inst:
        raise VenueError(f"Gate listed an instrument without `{name}`: {clip(row)}")
    return inst


def _utc(seconds: Any) -> str | None:
    """Write epoch seconds as UTC text."""
    return utc_of_ms(f"{seconds}000") if type(seconds) is int else None


def _step(decimals: Any) -> str | None:
    """Write the step of a number with so many decimals: `0.01` for 2."""
    return amount(f"1e-{decimals}") if type(decimals) is int else None
