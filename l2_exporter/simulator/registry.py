"""The dialects there are. A new venue is one file in `dialects` and one line here."""

from collections.abc import Callable
from difflib import get_close_matches

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.simulator.dialect import Dialect
from l2_exporter.simulator.dialects import bybit
from l2_exporter.simulator.dialects.okx import Okx

MakeDialect = Callable[[int], Dialect]
"""Makes a dialect from the seed of its exchange."""

DIALECTS: dict[str, MakeDialect] = {
    "okx": Okx,
    "bybit": bybit.Bybit,
    "bybit_inverse": bybit.inverse,
    "bybit_spot": bybit.spot,
}


def dialect_named(venue: str) -> MakeDialect:
    """Find a venue's dialect.

    Raises:
        ConfigError: there is none.
    """
    if venue not in DIALECTS:
        near = get_close_matches(venue, DIALECTS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(DIALECTS)}"
        raise ConfigError(f"no venue {clip(venue)} can be simulated; {hint}")
    return DIALECTS[venue]
