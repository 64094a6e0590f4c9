"""The dialects there are. A new venue is one file in `dialects` and one line here."""

from collections.abc import Callable
from difflib import get_close_matches

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.simulator.dialect import Dialect
from l2_exporter.simulator.dialects import binance, bybit, gate, kucoin
from l2_exporter.simulator.dialects.aster import Aster
from l2_exporter.simulator.dialects.backpack import Backpack
from l2_exporter.simulator.dialects.bitfinex import Bitfinex
from l2_exporter.simulator.dialects.bitso import Bitso
from l2_exporter.simulator.dialects.coinbase import Coinbase
from l2_exporter.simulator.dialects.deribit import Deribit
from l2_exporter.simulator.dialects.hyperliquid import Hyperliquid
from l2_exporter.simulator.dialects.kraken import Kraken
from l2_exporter.simulator.dialects.lighter import Lighter
from l2_exporter.simulator.dialects.okx import Okx
from l2_exporter.simulator.dialects.poloniex import Poloniex

MakeDialect = Callable[[int], Dialect]
"""Makes a dialect from the seed of its exchange."""

DIALECTS: dict[str, MakeDialect] = {
    "okx": Okx,
    "binance": binance.Binance,
    "binance_coinm": binance.coinm,
    "binance_spot": binance.spot,
    "aster": Aster,
    "bybit": bybit.Bybit,
    "bybit_inverse": bybit.inverse,
    "bybit_spot": bybit.spot,
    "deribit": Deribit,
    "kraken": Kraken,
    "poloniex": Poloniex,
    "lighter": Lighter,
    "backpack": Backpack,
    "coinbase": Coinbase,
    "bitfinex": Bitfinex,
    "gate": gate.Gate,
    "gate_spot": gate.spot,
    "kucoin": kucoin.Kucoin,
    "kucoin_spot": kucoin.spot,
    "hyperliquid": Hyperliquid,
    "bitso": Bitso,
}


def dialect_named(venue: str) -> MakeDialect:
    """Find a venue's dialect.

    Raises:
        ConfigError: there is none.
    """
    if venue not in DIALECTS:
        near = get_close_matches(venue, DIALECTS, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(DIALECTS)}"
        raise ConfigError(f"no venue {clip(venue)} can be simulated; {hint}")
    return DIALECTS[venue]
