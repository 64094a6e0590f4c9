"""Selections: ids, symbols, wire codes, patterns and exclusions mean what is listed, or nothing, or an error."""

from collections.abc import Sequence

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.selection import is_plain, select


def listed(inst: str, market: str, base: str, quote: str, settle: str | None = None, code: str = "") -> Instrument:
    symbol = f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"
    return Instrument(
        venue="v", inst=inst, market=market, symbol=symbol, base=base, quote=quote, settle=settle, raw={"code": code}
    )


LISTED = [
    listed("BTC-USDT", "spot", "BTC", "USDT"),
    listed("ETH-USDT", "spot", "ETH", "USDT"),
    listed("BTC-USDT-SWAP", "perp", "BTC", "USDT", "USDT", code="7"),
    listed("ETH-USDT-SWAP", "perp", "ETH", "USDT", "USDT"),
    listed("BTC-USD-SWAP", "perp", "BTC", "USD", "BTC"),
    listed("BTC-USDT-270326", "futures", "BTC", "USDT", "USDT"),
    listed("XBTUSD", "perp", "SOL", "USD", "USDC"),
    listed("XBTUSDM", "perp", "SOL", "USD", "USDC"),
]


def chosen(*items: str, known: Sequence[Instrument] = LISTED) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = select("v", items, known, lambda one: str(one.raw["code"]) or one.inst)
    return found.insts, found.unknown


@pytest.mark.parametrize(
    ("items", "insts"),
    [
        (("BTC-USDT-SWAP",), ("BTC-USDT-SWAP",)),
        (("BTC/USDT",), ("BTC-USDT",)),
        (("BTC-USDT",), ("BTC-USDT",)),
        (("BTC/USDT:USDT",), ("BTC-USDT-SWAP",)),
        (("BTC/USD:BTC",), ("BTC-USD-SWAP",)),
        (("7",), ("BTC-USDT-SWAP",)),
        (("*-USDT-SWAP",), ("BTC-USDT-SWAP", "ETH-USDT-SWAP")),
        (("*-USDT-SWAP", "!ETH*"), ("BTC-USDT-SWAP",)),
        (("!ETH-USDT-SWAP", "*-USDT-SWAP"), ("BTC-USDT-SWAP",)),
        (("BTC-US*", "!BTC/USDT", "!*-270326"), ("BTC-USDT-SWAP", "BTC-USD-SWAP")),
        (("ETH-USDT", "BTC-USDT", "*-USDT"), ("ETH-USDT", "BTC-USDT")),
        (("BTC-USDT-27032[0-9]",), ("BTC-USDT-270326",)),
        (("BTC-USDT", "!BTC-USDT"), ()),
    ],
)
def test_what_items_mean(items: tuple[str, ...], insts: tuple[str, ...]) -> None:
    assert chosen(*items) == (insts, ())


@pytest.mark.parametrize("item", ["DOGE-USDT", "btc-usdt", "BTC/EUR", "*-EUR", "BTC/USDT:BTC", "8", ""])
def test_what_names_nothing_is_told(item: str) -> None:
    assert chosen("BTC-USDT", item) == (("BTC-USDT",), (item,))


def test_an_exclusion_that_takes_nothing_away_is_no_error() -> None:
    assert chosen("BTC-USDT", "!DOGE*") == (("BTC-USDT",), ())


def test_two_meanings_are_an_error_that_names_both() -> None:
    with pytest.raises(ConfigError, match="v:SOL/USD:USDC can mean XBTUSD or XBTUSDM; name one of them by its id"):
        chosen("SOL/USD:USDC")


def test_a_symbol_in_an_id_s_place_gives_way_to_the_id() -> None:
    known = [listed("A-B", "perp", "A", "B", "B"), listed("AB", "spot", "A", "B")]
    assert chosen("A-B", known=known) == (("A-B",), ())
    assert chosen("A/B", known=known) == (("AB",), ())


def test_only_patterns_and_exclusions_can_change_from_day_to_day() -> None:
    assert is_plain(["BTC-USDT", "BTC/USDT:USDT"])
    assert not is_plain(["BTC-USDT", "!ETH-USDT"])
    assert not is_plain(["*-SWAP"])
