"""Every venue there is: one line each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.events import Row
from l2_exporter.core.venue import Venue
from l2_exporter.venues import (
    aster,
    backpack,
    binance,
    bitfinex,
    bitso,
    bybit,
    coinbase,
    deribit,
    gate,
    hyperliquid,
    kraken,
    kucoin,
    lighter,
    okx,
    poloniex,
)

_ALL: tuple[Venue, ...] = (
    okx.Okx(),
    *(binance.Binance(product) for product in (binance.USDM, binance.COINM, binance.SPOT)),
    aster.Aster(),
    *(bybit.Bybit(category) for category in (bybit.LINEAR, bybit.INVERSE, bybit.SPOT)),
    deribit.Deribit(),
    kraken.Kraken(),
    poloniex.Poloniex(),
    lighter.Lighter(),
    backpack.Backpack(),
    coinbase.Coinbase(),
    bitfinex.Bitfinex(),
    bitso.Bitso(),
    *(gate.Gate(product) for product in (gate.FUTURES, gate.SPOT)),
    *(kucoin.Kucoin(product) for product in (kucoin.FUTURES, kucoin.SPOT)),
    hyperliquid.Hyperliquid(),
)

VENUES = {venue.name: venue for venue in _ALL}


def venue_named(name: str) -> Venue:
    """Return a venue by its name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return VENUES[name]
    except KeyError:
        raise ConfigError(f"no venue is called {name!r}; there are: {', '.join(VENUES)}") from None


def venue_of_url(url: str) -> str | None:
    """Tell which venue an address belongs to, by its host, and by its path where that tells sockets apart.

    A recording can begin with a REST answer; its host counts where only one venue has it.
    """
    parts = urlsplit(url)
    for venue in VENUES.values():
        for place in venue.hosts:
            domain, slash, path = place.partition("/")
            host = parts.hostname or ""
            if (host == domain or host.endswith("." + domain)) and parts.path.startswith(slash + path):
                return venue.name
    asked = [venue.name for venue in VENUES.values() if urlsplit(venue.link.rest_url).hostname == parts.hostname]
    return asked[0] if len(asked) == 1 else None


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What the lines of one channel promise, for `verify` (docs/FORMAT.md, "The snapshot line")."""

    decimals: int
    depth: int | None
    slots: int
    suffix: str
    has_event_time: bool
    checksum: Callable[[Sequence[Row], Sequence[Row]], int] | None
    checksum_depth: int
    orders: bool


def line_rules() -> dict[tuple[str, str], ChannelRules]:
    """Return the rules of every channel, by (exchange, channel)."""
    return {
        (venue.name, channel.name): ChannelRules(
            decimals=channel.time_decimals,
            depth=channel.depth,
            slots=channel.slots,
            suffix=channel.suffix,
            has_event_time=bool(channel.event_time),
            checksum=venue.checksum if channel.checksum else None,
            checksum_depth=channel.checksum_depth,
            orders=channel.orders,
        )
        for venue in VENUES.values()
        for channel in venue.channels.values()
    }
