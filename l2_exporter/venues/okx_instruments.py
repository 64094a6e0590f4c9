"""OKX v5: what the venue lists. The metadata half of `okx`, which is at the size a file should have.

Sources: docs-v5 "Public Data / Get instruments" and "Get underlying" (copies of 2025 and 2026). Answers captured from
the venue are in tests/venues/test_okx_instruments.py.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.instrument import Instrument, amount, product, symbol_of, utc_of_ms

NAME = "okx"
INSTRUMENTS_PATH = "/api/v5/public/instruments"
UNDERLYINGS_PATH = "/api/v5/public/underlying?instType=OPTION"
KINDS = ("linear", "inverse")
RIGHTS = {"C": "call", "P": "put"}
_TYPES = {"spot": "SPOT", "perp": "SWAP", "futures": "FUTURES", "option": "OPTION"}
_MARKETS = {inst_type: market for market, inst_type in _TYPES.items()}


def instrument_paths(markets: Sequence[str]) -> list[str]:
    """Name the REST paths that list these markets.

    Options cannot be listed at once (code 50015): their underlyings are asked for first, and lead further.
    """
    types = [_TYPES[market] for market in markets if market in _TYPES]
    return [UNDERLYINGS_PATH if kind == "OPTION" else f"{INSTRUMENTS_PATH}?instType={kind}" for kind in types]


def further_instrument_paths(body: str) -> list[str]:
    """Name the paths an answer leads to: one for each underlying that has options.

    By `uly`, not `instFamily`: newer documents name only the latter, but one underlying can have several families
    (`BTC-USD`, `BTC-USD_UM`) or none of its own name, and their list cannot be asked for. Both work in August 2026.

    Raises:
        VenueError: as `decode_instruments`.
    """
    names = [name for row in _rows(body) if type(row) is list for name in row]
    if any(type(name) is not str or not name for name in names):
        raise VenueError(f"OKX listed an underlying without a name: {clip(body)}")
    return [f"{INSTRUMENTS_PATH}?instType=OPTION&uly={quote(name, safe='')}" for name in names]


def decode_instruments(body: str) -> list[Instrument]:
    """Read an answer of either path. An answer that lists underlyings holds no instruments.

    One row that cannot be told apart spoils the answer: to leave it out would make its instrument look delisted.

    Raises:
        VenueError: an error answer, or not the shape of a list of instruments.
    """
    # 1. A contract that is announced has no id yet: its row is passed over ("Get instruments", notes on listTime).
    return [_instrument(row) for row in _rows(body) if type(row) is dict and row.get("instId") != ""]


def _rows(body: str) -> list[Any]:
    try:
        answer = orjson.loads(body)
        orjson.dumps(answer)  # refuses what is nested too deeply to be written to our own files
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise VenueError(f"OKX answered its list of instruments with something else than JSON: {clip(body)}") from error
    if type(answer) is not dict or answer.get("code") != "0":
        raise VenueError(f"OKX refused its list of instruments: {clip(body)}")
    rows = answer.get("data")
    if type(rows) is not list or set(map(type, rows)) not in (set(), {dict}, {list}):
        raise VenueError(f"OKX answered its list of instruments without a list of them in `data`: {clip(body)}")
    return rows


def _instrument(row: dict[str, Any]) -> Instrument:
    inst, market = _text(row, "instId"), _MARKETS.get(_text(row, "instType") or "")
    if inst is None or market is None:
        raise VenueError(f"OKX listed an instrument without a known instId and instType: {clip(row)}")
    if market == "spot":
        return _spot(inst, row)
    return _derivative(inst, market, row)


def _spot(inst: str, row: dict[str, Any]) -> Instrument:
    base, quote_ccy = _text(row, "baseCcy"), _text(row, "quoteCcy")
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote_ccy),
        base=base,
        quote=quote_ccy,
        market="spot",
        size_unit="base",
        tick=amount(row.get("tickSz")),
        lot=amount(row.get("lotSz")),
        state=_text(row, "state"),
        list_utc=utc_of_ms(row.get("listTime")),
        expiry_utc=utc_of_ms(row.get("expTime")),
        raw=row,
    )


def _derivative(inst: str, market: str, row: dict[str, Any]) -> Instrument:
    base, quote_ccy = _pair(row)
    settle = _text(row, "settleCcy")
    return Instrument(
        venue=NAME,
        inst=inst,
        symbol=symbol_of(base, quote_ccy, settle),
        base=base,
        quote=quote_ccy,
        settle=settle,
        market=market,
        kind=_kind(row, base, quote_ccy, settle),
        size_unit="contract",
        contract_value=product(row.get("ctVal"), row.get("ctMult")),
        contract_value_ccy=_text(row, "ctValCcy"),
        tick=amount(row.get("tickSz")),
        lot=amount(row.get("lotSz")),
        state=_text(row, "state"),
        list_utc=utc_of_ms(row.get("listTime")),
        expiry_utc=utc_of_ms(row.get("expTime")),
        strike=amount(row.get("stk")) if market == "option" else None,
        right=RIGHTS.get(_text(row, "optType") or "") if market == "option" else None,
        raw=row,
    )


def _pair(row: dict[str, Any]) -> tuple[str | None, str | None]:
    """Split the underlying; baseCcy and quoteCcy are for spot only. The family `BTC-USD_UM` is of BTC-USD."""
    base, _, quote_ccy = (_text(row, "uly") or (_text(row, "instFamily") or "").partition("_")[0]).partition("-")
    return (base, quote_ccy) if base and quote_ccy and "-" not in quote_ccy else (None, None)


def _kind(row: dict[str, Any], base: str | None, quote_ccy: str | None, settle: str | None) -> str | None:
    """Tell the kind: as sent, or for options (which have no ctType) from what they are settled in."""
    kind = _text(row, "ctType")
    if kind is not None:
        return kind if kind in KINDS else None
    if base is None or quote_ccy is None or settle is None or row["instType"] != "OPTION":
        return None
    if settle == base:
        return "inverse"
    return "linear" if settle.startswith(quote_ccy) else None  # USD, USDC and USDⓈ all stand for the quote USD


def _text(row: dict[str, Any], key: str) -> str | None:
    """Return a text that says something: OKX writes "" where a field does not apply."""
    value = row.get(key)
    return value if type(value) is str and value else None
