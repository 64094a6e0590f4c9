"""Aster futures: the protocol of `binance` with addresses and limits of its own.

Sources: the venue's API documents, futures V3 (copy of 30 June 2026). See docs/venues/aster.md.
"""

from l2_exporter.venues.binance import DEPTH, PARTIAL, TICKER, Binance, Product

FUTURES = Product(
    company="Aster",
    name="aster",
    markets=("perp",),
    hosts=("fstream.asterdex.com",),
    ws_url="wss://fstream.asterdex.com/stream",
    rest_url="https://fapi.asterdex.com",
    paths=("/fapi/v3/depth", "/fapi/v3/exchangeInfo"),
    names_previous=True,
    channels=(DEPTH, PARTIAL, TICKER),
    streams=(200, 50),
    book_weight=20,
    weight=2400,
    default_levels=500,
    proven=False,
)


class Aster(Binance):
    """Aster futures."""

    def __init__(self) -> None:
        super().__init__(FUTURES)
