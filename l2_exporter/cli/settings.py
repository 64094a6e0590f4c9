"""The settings of a command: flags over environment over l2.toml over defaults, checked and typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from l2_exporter.cli import settings_schema as schema
from l2_exporter.cli.settings_merge import Merge, Origin, Setting, Source, find_vault
from l2_exporter.cli.settings_values import Instrument
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.runtime.logs import LogSettings
from l2_exporter.venues.registry import VENUES

__all__ = [
    "Configuration",
    "Examination",
    "Origin",
    "RecordSettings",
    "Setting",
    "SettingsError",
    "Source",
    "VenueSettings",
    "examine",
    "find_vault",
    "load",
]


class SettingsError(ConfigError):
    """Settings that cannot be, one problem a line.

    Attributes:
        problems: a line each, naming the file, variable or flag.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """How books are recorded. `max_instruments` has been checked already."""

    instruments: tuple[Instrument, ...]
    cadence_ns: int
    depth: int
    grace_ns: int
    tape: bool
    fsync_s: float
    max_instruments: int
    order_books_ns: int = 60 * NS_PER_S
    max_orders: int = 1_000_000


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How one venue is reached; None: as the venue's own table says.

    Attributes:
        checksum_resync: mismatches in a row that are a loss where a sequence proves continuity too; 0: never.
    """

    ws_url: str | None
    rest_url: str | None
    channel: str
    max_per_connection: int | None
    checksum_resync: int
    ca_file: Path | None
    key_file: Path | None = None
    max_message_mib: int = 32


@dataclass(frozen=True, slots=True)
class Configuration:
    """The merged settings.

    Attributes:
        file: the l2.toml they were read from, None: there is none.
        venues: every venue there is, whether or not it is recorded.
        retention: the section of the file, unchecked: the retention job reads it for itself.
        sources: where each value came from, by full name such as `record.depth`.
    """

    file: Path | None
    vault: Path
    record: RecordSettings
    venues: Mapping[str, VenueSettings]
    log: LogSettings
    retention: Mapping[str, object]
    sources: Mapping[str, Source]

    def origin_of(self, name: str) -> Origin:
        """Tell where a value came from, by full name: `vault`, `record.depth`, `venue.okx.ws_url`."""
        return self.sources[name].origin


@dataclass(frozen=True, slots=True)
class Examination:
    """What `config` tells of the settings.

    Attributes:
        file: the l2.toml they were read from, None: there is none.
        vault: None if its value has a problem.
        settings: every value that has no problem, with where it came from.
        problems: everything that is wrong, the retention job's section included.
    """

    file: Path | None
    vault: Path | None
    settings: Sequence[Setting]
    problems: Sequence[str]


def load(flags: Mapping[str, object]) -> Configuration:
    """Merge and check all settings but those of the retention job.

    Args:
        flags: what the command line gave: `config`, `vault`, `instruments`, `cadence`, `depth`, `tape`, `log_file`,
            and lists of `venue=address` as `ws_url` and `rest_url`. None, False, an empty text or list: not given.

    Raises:
        SettingsError: naming everything that is wrong (exit 2).
    """
    try:
        merge = Merge(flags)
    except ConfigError as error:
        raise SettingsError([str(error)]) from error
    problems = merge.problems(retention=False)
    if problems:
        raise SettingsError(problems)
    return Configuration(
        file=merge.file.path,
        vault=merge.value(schema.VAULT),
        record=_record(merge),
        venues=MappingProxyType({venue: _venue(merge, venue) for venue in VENUES}),
        log=_log(merge),
        retention=MappingProxyType(dict(merge.file.retention)),
        sources=MappingProxyType(merge.sources),
    )


def examine(flags: Mapping[str, object]) -> Examination:
    """Merge all settings and list what is wrong with them, without raising for it."""
    try:
        merge = Merge(flags)
    except ConfigError as error:
        return Examination(None, None, (), (str(error),))
    settings = merge.settings()
    vault = merge.value(schema.VAULT) if any(one.name == schema.VAULT.name for one in settings) else None
    return Examination(merge.file.path, vault, settings, merge.problems(retention=True))


def _record(merge: Merge) -> RecordSettings:
    return RecordSettings(
        instruments=merge.value(schema.INSTRUMENTS),
        cadence_ns=merge.value(schema.CADENCE),
        depth=merge.value(schema.DEPTH),
        grace_ns=merge.value(schema.GRACE),
        order_books_ns=merge.value(schema.ORDER_BOOKS),
        max_orders=merge.value(schema.MAX_ORDERS),
        tape=merge.value(schema.TAPE),
        fsync_s=merge.value(schema.FSYNC) / NS_PER_S,
        max_instruments=merge.value(schema.MAX_INSTRUMENTS),
    )


def _venue(merge: Merge, venue: str) -> VenueSettings:
    keys = schema.venue_keys(venue)
    return VenueSettings(
        ws_url=merge.value(keys.ws_url),
        rest_url=merge.value(keys.rest_url),
        channel=merge.value(keys.channel),
        max_per_connection=merge.value(keys.max_per_connection),
        checksum_resync=merge.value(keys.checksum_resync),
        ca_file=merge.value(keys.ca_file),
        key_file=merge.value(keys.key_file),
        max_message_mib=merge.value(keys.max_message_mib),
    )


def _log(merge: Merge) -> LogSettings:
    return LogSettings(
        file=merge.value(schema.LOG_FILE),
        level=schema.LEVELS[merge.value(schema.LOG_LEVEL)],
        max_bytes=merge.value(schema.LOG_MAX_BYTES),
        keep=merge.value(schema.LOG_KEEP),
    )
