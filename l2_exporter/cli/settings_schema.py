"""Every setting there is: its name in l2.toml, how its value is read, and its default. No file, no environment."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from l2_exporter.archive.layout import Vault
from l2_exporter.cli.settings_values import (
    Place,
    one_of,
    read_duration,
    read_file,
    read_instruments,
    read_path,
    read_truth,
    seconds,
    show_plain,
    show_seconds,
    unless_unset,
    url,
    whole,
    wrong,
)
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS, NS_PER_S
from l2_exporter.venues.registry import VENUES

T_co = TypeVar("T_co", covariant=True)

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The words of `[log] level`, as the numbers of the logging module."""

_LEVEL_LIMITS = {"gzip": 9, "zstd": 22}


@dataclass(frozen=True, slots=True)
class Key(Generic[T_co]):
    """One setting.

    Attributes:
        name: its section and key in l2.toml, `record.depth`; `vault` stands outside of sections.
        read: checks a value as TOML or the command line gives it and returns it ready for use, or raises ConfigError.
        default: a value as TOML would give it; None: nothing is set.
        show: turns a value that was read into what JSON and a user can read.
        unset: what holds where nothing is set, in words.
    """

    name: str
    read: Callable[[object, Place], T_co]
    default: object
    show: Callable[[object], object] = show_plain
    unset: str = "not set"

    @property
    def section(self) -> str:
        """The section it stands in, `record` or `venue.okx`; empty at the top."""
        return self.name.rpartition(".")[0]


VAULT = Key("vault", read_path, "vault")
INSTRUMENTS = Key("record.instruments", read_instruments, ["okx:BTC-USDT-SWAP", "okx:ETH-USDT-SWAP"])
CADENCE = Key("record.cadence_s", seconds(10 * NS_PER_MS, HOUR_NS), 2, show_seconds)
DEPTH = Key("record.depth", whole(1, 100_000), 400)
GRACE = Key("record.grace_s", seconds(0, 60 * NS_PER_S), 1, show_seconds)
ORDER_BOOKS = Key("record.order_books_s", seconds(NS_PER_S, HOUR_NS), 60, show_seconds)
MAX_ORDERS = Key("record.max_orders", whole(100, 100_000_000), 1_000_000)
TAPE = Key("record.tape", read_truth, False)
FSYNC = Key("record.fsync_s", seconds(100 * NS_PER_MS, 60 * NS_PER_S), 5, show_seconds)
MAX_INSTRUMENTS = Key("record.max_instruments", whole(1, 10_000), 200)

LOG_FILE = Key("log.file", read_path, str(Vault(Path()).recorder_log()))
"""Its default is relative to the vault."""

LOG_LEVEL = Key("log.level", one_of(list(LEVELS)), "info")
LOG_MAX_BYTES = Key("log.max_bytes", whole(64 * 1024, 1024**3), 10 * 1024**2)
LOG_KEEP = Key("log.keep", whole(0, 100), 5)

COMPRESS_AFTER = Key("retention.compress_after", read_duration, "6h")
COMPRESS_L3_AFTER = Key("retention.compress_l3_after", read_duration, "1h")
DELETE_AFTER = Key("retention.delete_after", read_duration, "5d")
CODEC = Key("retention.codec", one_of(list(_LEVEL_LIMITS)), "gzip")
CODEC_LEVEL = Key(
    "retention.level", unless_unset(whole(1, max(_LEVEL_LIMITS.values()))), None, unset="the codec's usual one"
)
TAPE_AFTER = Key("retention.tape_after", unless_unset(read_duration), None, unset="as delete_after")
LEDGER_AFTER = Key("retention.ledger_after", read_duration, "never")


@dataclass(frozen=True, slots=True)
class VenueKeys:
    """The settings of one venue; None: what the venue itself says."""

    ws_url: Key[str | None]
    rest_url: Key[str | None]
    channel: Key[str]
    max_per_connection: Key[int | None]
    checksum_resync: Key[int]
    ca_file: Key[Path | None]
    key_file: Key[Path | None]
    max_message_mib: Key[int]


def venue_keys(venue: str) -> VenueKeys:
    """Return the settings of one venue. The default channel is the first of its table."""
    channels, link, own = list(VENUES[venue].channels), VENUES[venue].link, "the venue's own"
    section = f"venue.{venue}"
    return VenueKeys(
        ws_url=Key(f"{section}.ws_url", unless_unset(url("wss", "ws")), None, unset=f"{own}, {link.ws_url}"),
        rest_url=Key(f"{section}.rest_url", unless_unset(url("https", "http")), None, unset=f"{own}, {link.rest_url}"),
        channel=Key(f"{section}.channel", one_of(channels), channels[0]),
        max_per_connection=Key(
            f"{section}.max_per_connection",
            unless_unset(whole(1, 1_000)),
            None,
            unset=f"{own}, {link.books_per_connection}",
        ),
        checksum_resync=Key(f"{section}.checksum_resync", whole(0, 1_000), 3),
        ca_file=Key(f"{section}.ca_file", unless_unset(read_file), None, unset="the certificates of the system"),
        key_file=Key(f"{section}.key_file", unless_unset(read_file), None, unset=f"L2_{venue.upper()}_... variables"),
        max_message_mib=Key(f"{section}.max_message_mib", whole(1, 1024), 32),
    )


def check_count(instruments: object, most: object, place: Place) -> None:
    """Refuse more instruments than max_instruments."""
    if isinstance(instruments, tuple) and isinstance(most, int) and len(instruments) > most:
        raise ConfigError(f"{place.label} names {len(instruments)} instruments, max_instruments allows {most}")


def check_codec_level(level: object, codec: object, place: Place) -> None:
    """Refuse a level that the codec does not have."""
    highest = _LEVEL_LIMITS[str(codec)]
    if isinstance(level, int) and level > highest:
        raise wrong(place, f"a whole number from 1 to {highest} for {codec}", level)


def all_keys() -> list[Key[object]]:
    """List every setting, in the order of a complete l2.toml."""
    record: list[Key[object]] = [
        VAULT,
        INSTRUMENTS,
        CADENCE,
        DEPTH,
        GRACE,
        TAPE,
        FSYNC,
        MAX_INSTRUMENTS,
        ORDER_BOOKS,
        MAX_ORDERS,
    ]
    for venue in VENUES:
        keys = venue_keys(venue)
        record += [keys.ws_url, keys.rest_url, keys.channel]
        record += [keys.max_per_connection, keys.checksum_resync, keys.ca_file, keys.key_file]
        record.append(keys.max_message_mib)
    retention = [COMPRESS_AFTER, COMPRESS_L3_AFTER, DELETE_AFTER, CODEC, CODEC_LEVEL, TAPE_AFTER, LEDGER_AFTER]
    return [*record, *retention, LOG_FILE, LOG_LEVEL, LOG_MAX_BYTES, LOG_KEEP]
