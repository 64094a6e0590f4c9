"""Time as integer nanoseconds since 1970 UTC, and its text in the archive. Digits are cut, never rounded."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from l2_exporter.core.errors import ConfigError

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 24 * HOUR_NS
END_OF_TIME_NS = 253_402_300_800 * NS_PER_S
"""The first nanosecond of the year 10000: no text of ours reaches it."""

_TEXT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


@lru_cache(maxsize=256)
def _seconds_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def utc_text(ns: int, decimals: int) -> str:
    """Write a moment as `YYYY-MM-DDTHH:MM:SS.fffZ` with exactly `decimals` digits (1 to 9)."""
    seconds, fraction = divmod(ns, NS_PER_S)
    return f"{_seconds_text(seconds)}.{fraction:09d}"[: 20 + decimals] + "Z"


def utc_ns(text: str) -> int:
    """Read a moment that `utc_text` wrote, or one without a fraction.

    Raises:
        ValueError: the text is no such moment.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a UTC time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S + int((match[7] or "0").ljust(9, "0"))


def hour_of(ns: int) -> int:
    """Number the UTC hour a moment lies in, counted from 1970."""
    return ns // HOUR_NS


def date_of(ns: int) -> str:
    """Name the UTC date of a moment, `2026-11-21`."""
    return _seconds_text(ns // NS_PER_S)[:10]


def seconds_to_ns(text: str, what: str) -> int:
    """Turn a user's decimal text of seconds into whole milliseconds, as nanoseconds.

    Raises:
        ConfigError: not plain decimal text, or finer than a millisecond.
    """
    match = re.fullmatch(r"(\d{1,9})(?:\.(\d+))?", text, re.ASCII)
    if match is None:
        raise ConfigError(f"{what} must be seconds in plain decimals such as 2 or 0.5, not {text!r}")
    fraction = (match[2] or "").rstrip("0")
    if len(fraction) > 3:
        raise ConfigError(f"{what} must be whole milliseconds, not {text!r}")
    return int(match[1]) * NS_PER_S + int(fraction.ljust(3, "0") or "0") * NS_PER_MS
