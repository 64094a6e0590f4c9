"""Bitfinex, server side: what is listed, and how lively its books are."""

import re
from random import Random

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.simulator.instrument import Grid, Instrument, Pace

AMOUNTS = Grid(1, 8)
LOTS = 10**8
"""Lots in one of the base currency."""

_KNOWN = {
    "tBTCUSD": (86_719, Grid(1, 0), LOTS // 3),
    "tVETBTC": (100, Grid(1, 8), 150_000 * LOTS),
    "tBTCF0:USTF0": (86_704, Grid(1, 0), LOTS // 20),
    "tETHUSD": (23_001, Grid(1, 1), 5 * LOTS),
    "tDOGE:USD": (20_140, Grid(1, 5), 3_000 * LOTS),
    "tETHF0:USTF0": (23_005, Grid(1, 1), 2 * LOTS),
}
"""Start price in ticks, tick and mean amount of what is known; everything else is invented.

A price has 5 significant digits. Those of `tVETBTC` lie around 0.000001, where numbers are written with exponents.
"""
_DEEP = "tBTCUSD"
"""Its book has more levels than the longest one that is served at times, and fewer at others."""
_ID = re.compile(
    r"t(?:(?P<base>[A-Z0-9]{2,20}):(?P<quote>[A-Z0-9]{2,20})|(?P<base3>[A-Z0-9]{3})(?P<quote3>[A-Z0-9]{3}))", re.ASCII
)
_PERP = re.compile(r"t[A-Z0-9]+F0:[A-Z0-9]+F0", re.ASCII)


def default_insts() -> list[str]:
    """List the best known symbols, then invented ones, 32 in all."""
    return [*_KNOWN, *(f"tSIM{number:02d}:USD" for number in range(1, 33 - len(_KNOWN)))]


def instrument(inst: str, start_ns: int) -> Instrument:
    """Invent the listing of a symbol.

    Raises:
        ConfigError: not a symbol of a pair.
    """
    match = _ID.fullmatch(inst)
    if match is None:
        raise ConfigError(
            f"Bitfinex has no symbols like {clip(inst)}; write it like tBTCUSD, tDOGE:USD or, for perpetuals, "
            "tBTCF0:USTF0"
        )
    base, quote = match["base"] or match["base3"], match["quote"] or match["quote3"]
    perp = _PERP.fullmatch(inst) is not None
    if perp:
        base, quote = base.removesuffix("F0"), quote.removesuffix("F0")
    invented = (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4), 200 * LOTS)
    price, tick, size = _KNOWN.get(inst) or invented
    fewest, most = (248, 280) if inst == _DEEP else (40, 60)
    return Instrument(
        inst=inst,
        base=base,
        quote=quote,
        settle=quote if perp else "",
        market="perp" if perp else "spot",
        kind="linear" if perp else "",
        tick=tick,
        lot=AMOUNTS,
        contract_value="1" if perp else "",
        contract_ccy=base if perp else "",
        listed_ns=start_ns,
        expiry_ns=None,
        strike="",
        right="",
        pace=Pace(price, size, fewest, most, 4, 0.97),
    )
