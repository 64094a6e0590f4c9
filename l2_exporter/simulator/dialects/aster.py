"""Aster futures, server side: the protocol of `binance` with paths of its own, perpetuals only."""

from dataclasses import replace

from l2_exporter.simulator.dialects.binance import USDM, Binance

FUTURES = replace(
    USDM,
    name="aster",
    quotes=("USDT",),
    ws_path="/stream",
    book_path="/fapi/v3/depth",
    listing_path="/fapi/v3/exchangeInfo",
    expires=False,
)


class Aster(Binance):
    """Aster futures as a client sees them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, FUTURES)
