"""The limits: after which age what is compressed and what is deleted. Pure; ages are nanoseconds, None means never."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

NS_PER_S = 1_000_000_000
HOUR_NS = 3600 * NS_PER_S
NEVER = "never"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


class Codec(StrEnum):
    """How files are compressed; the value is the word in settings and records."""

    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def suffix(self) -> str:
        """What is appended to the name of the plain file."""
        return {Codec.GZIP: ".gz", Codec.ZSTD: ".zst"}[self]

    @property
    def usual_level(self) -> int:
        """Level where none is asked for; docs/BENCHMARKS.md has the figures, docs/RETENTION.md the reason."""
        return {Codec.GZIP: 6, Codec.ZSTD: 9}[self]

    @property
    def highest_level(self) -> int:
        """Greatest level there is; the least is 1."""
        return {Codec.GZIP: 9, Codec.ZSTD: 22}[self]


@dataclass(frozen=True, slots=True)
class Limits:
    """The ages at which one kind of file is compressed and deleted; None: never."""

    compress_after_ns: int | None
    delete_after_ns: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides what happens to a file.

    Attributes:
        hours: the limits of hour files.
        tapes: the limits of tapes.
        ledger_after_ns: the age at which a day of the ledger is deleted; None: never.
        datasets: limits of hour files that differ, by dataset (`l2_spot.books5`), by its name without the channel
            (`l2_spot`), or by its level (`l3`); the first of these that is there counts.
        level: of the codec.
    """

    hours: Limits
    tapes: Limits
    ledger_after_ns: int | None = None
    datasets: Mapping[str, Limits] = field(default_factory=lambda: MappingProxyType({}))
    codec: Codec = Codec.GZIP
    level: int = Codec.GZIP.usual_level

    def of_dataset(self, dataset: str) -> Limits:
        """Return the limits of a dataset's hour files."""
        for name in (dataset, dataset.partition(".")[0], dataset.partition("_")[0]):
            if name in self.datasets:
                return self.datasets[name]
        return self.hours


def parse_duration(text: str) -> int | None:
    """Read `30s`, `90m`, `6h` or `5d` as nanoseconds, `never` as None.

    Raises:
        ValueError: it is none of these.
    """
    if text == NEVER:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'{text[:200]!r} is no time such as "90m", "6h", "5d", or "never"')
    return int(match[1]) * _UNITS[match[2]] * NS_PER_S


def duration_text(ns: int | None) -> str:
    """Write a limit as a user would: in its largest whole unit."""
    if ns is None:
        return NEVER
    seconds = ns // NS_PER_S
    unit = next(unit for unit in reversed(_UNITS) if seconds % _UNITS[unit] == 0) if seconds else "s"
    return f"{seconds // _UNITS[unit]}{unit}"
