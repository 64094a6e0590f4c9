"""How one value of l2.toml or of the command line is read: checked for type and range, and made ready for use."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from l2_exporter.archive.layout import LayoutError, encode_inst, refuse_clashes
from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.selection import EXCLUDES
from l2_exporter.core.timetext import NS_PER_S, seconds_to_ns
from l2_exporter.venues import okx
from l2_exporter.venues.registry import venue_named

T = TypeVar("T")

Instrument = tuple[str, str]
"""(venue, instrument), both as the archive's paths name them."""

BARE_VENUE = okx.NAME
"""The venue of an instrument that is named without one."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DURATION = re.compile(r"\d{1,6}[smhd]", re.ASCII)


class FloatText(str):
    """A float of l2.toml as it was written; read as a binary float it would no longer be what the user wrote."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was found.

    Attributes:
        label: how a message names it: `l2.toml: [record] depth`, `--depth`, `L2_VAULT`.
        folder: what a relative path there is relative to.
    """

    label: str
    folder: Path


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that somebody may have meant."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)), None)


def wrong(place: Place, must: str, value: object) -> ConfigError:
    """Word what a value must be and what it is."""
    shown = str(value) if isinstance(value, FloatText) else clip(value)
    return ConfigError(f"{place.label} must be {must}, not {shown}")


def show_plain(value: object) -> object:
    """Turn a value into what JSON and a user can read: paths as text, instruments as `venue:INST`."""
    if isinstance(value, Path):
        return str(value)
    return [":".join(instrument) for instrument in value] if isinstance(value, tuple) else value


def show_seconds(ns: object) -> object:
    """Write nanoseconds, in whole milliseconds, as seconds."""
    if not isinstance(ns, int):
        return ns
    return ns // NS_PER_S if ns % NS_PER_S == 0 else ns / NS_PER_S


def read_path(value: object, place: Place) -> Path:
    """Read a path; a relative one is relative to the place it was found in."""
    if isinstance(value, FloatText) or not isinstance(value, str | Path) or not str(value):
        raise wrong(place, "a path in quotes", value)
    text = str(value)
    if _CONTROL.search(text):
        raise ConfigError(
            f"{place.label} {clip(text)} holds a control character: in double quotes a backslash begins an escape; "
            "use single quotes, like 'C:\\temp\\new'"
        )
    if text.startswith("~"):
        raise ConfigError(f"{place.label} {clip(text)} begins with ~, which is not expanded: write the whole path")
    return (place.folder / text).absolute()


def read_file(value: object, place: Place) -> Path:
    """Read the path of a file that is there."""
    path = read_path(value, place)
    if not path.is_file():
        raise ConfigError(f"{place.label}: there is no file {path}")
    return path


def whole(low: int, high: int) -> Callable[[object, Place], int]:
    """Read a whole number within limits, both included."""

    def read(value: object, place: Place) -> int:
        if type(value) is not int or not low <= value <= high:
            raise wrong(place, f"a whole number from {low} to {high}", value)
        return value

    return read


def seconds(low_ns: int, high_ns: int) -> Callable[[object, Place], int]:
    """Read seconds, given as a number or as decimal text, as nanoseconds: whole milliseconds within the limits."""

    def read(value: object, place: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise wrong(place, "seconds such as 2 or 0.5", value)
        ns = seconds_to_ns(str(value), place.label)
        if not low_ns <= ns <= high_ns:
            limits = f"{show_seconds(low_ns)} and {show_seconds(high_ns)}"
            raise ConfigError(f"{place.label} must lie between {limits} seconds, not {value}")
        return ns

    return read


def read_truth(value: object, place: Place) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise wrong(place, "true or false", value)
    return value


def one_of(words: Sequence[str]) -> Callable[[object, Place], str]:
    """Read one of a closed list of words."""

    def read(value: object, place: Place) -> str:
        if value in words and isinstance(value, str):
            return value
        near = nearest(value.lower(), words) if isinstance(value, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        raise ConfigError(f"{wrong(place, 'one of ' + ', '.join(words), value)}{hint}")

    return read


def url(*schemes: str) -> Callable[[object, Place], str]:
    """Read an address. It is written to ledger and tape as it is, so it must hold no password."""

    def read(value: object, place: Place) -> str:
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
            raise wrong(place, f"an address such as {schemes[0]}://127.0.0.1:8080/path", value)
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise wrong(place, f"an address that begins with {' or '.join(f'{name}://' for name in schemes)}", value)
        if "@" in parts.netloc:
            raise ConfigError(f"{place.label} must hold no user name and no password: it is written to the archive")
        return value

    return read


def read_duration(value: object, place: Place) -> str:
    """Read a time such as 90m, 6h or 5d, or never; it stays as it is written."""
    if not isinstance(value, str) or not (value == "never" or _DURATION.fullmatch(value)):
        raise wrong(place, 'a time such as "90m", "6h", "5d", or "never"', value)
    return value


def read_instruments(value: object, place: Place) -> tuple[Instrument, ...]:
    """Read a list of `venue:INST`, split at the first colon; a bare id means OKX.

    INST may be a symbol or a pattern (core.selection); `!venue:INST` and `venue:!INST` exclude.
    """
    if not isinstance(value, list | tuple) or not value:
        raise wrong(place, 'a list such as ["okx:BTC-USDT-SWAP"]', value)
    insts: dict[str, list[str]] = {}
    instruments = [_read_instrument(text, place) for text in value]
    for venue, inst in instruments:
        if inst in insts.setdefault(venue, []):
            raise ConfigError(f"{place.label} names {venue}:{inst} twice")
        insts[venue].append(inst)
    try:
        for of_venue, names in insts.items():
            refuse_clashes(names)
            if all(name.startswith(EXCLUDES) for name in names):
                raise ConfigError(f"{place.label} only excludes instruments of {of_venue}; name some to record")
    except LayoutError as error:
        raise ConfigError(f"{place.label}: {error}") from error
    return tuple(instruments)


def _read_instrument(text: object, place: Place) -> Instrument:
    if not isinstance(text, str) or isinstance(text, FloatText):
        raise ConfigError(f"{place.label} must name instruments like okx:BTC-USDT-SWAP, not {clip(text)}")
    excludes = EXCLUDES if text.startswith(EXCLUDES) else ""
    named = text.removeprefix(excludes)
    venue, inst = named.split(":", 1) if ":" in named and "/" not in named.split(":")[0] else (BARE_VENUE, named)
    inst = excludes + inst
    if not inst.removeprefix(EXCLUDES) or inst != inst.strip() or _CONTROL.search(inst):
        raise ConfigError(f"{place.label} {clip(text)} names no instrument; write it like okx:BTC-USDT-SWAP")
    try:
        venue_named(venue)
        encode_inst(inst)
    except (ConfigError, LayoutError) as error:
        raise ConfigError(f"{place.label} {clip(text)}: {error}") from error
    return venue, inst


def unless_unset(read: Callable[[object, Place], T]) -> Callable[[object, Place], T | None]:
    """Let None pass, which stands for a setting that nobody set."""
    return lambda value, place: None if value is None else read(value, place)
