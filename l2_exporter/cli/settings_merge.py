"""The merge: for every setting the first of flag, environment, l2.toml and default, and where that was."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar, cast

from l2_exporter.cli import settings_schema as schema
from l2_exporter.cli.settings_file import ConfigFile, read_config
from l2_exporter.cli.settings_schema import Key
from l2_exporter.cli.settings_values import Place, read_path
from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.venues.registry import venue_named

T = TypeVar("T")

VAULT_VARIABLE = "L2_VAULT"

_FLAGS = {
    "vault": ("vault", "--vault"),
    "instruments": ("record.instruments", "-i"),
    "cadence": ("record.cadence_s", "--cadence"),
    "depth": ("record.depth", "--depth"),
    "tape": ("record.tape", "--tape"),
    "log_file": ("log.file", "--log-file"),
}
_URL_FLAGS = {"ws_url": "--ws-url", "rest_url": "--rest-url"}


class Origin(StrEnum):
    """Where a value came from; an earlier one wins over a later one."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Source:
    """Where one value came from; `name` is the flag, the variable or the file, empty for a default."""

    origin: Origin
    name: str = ""

    def __str__(self) -> str:
        return f"{self.origin} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Setting:
    """One merged value, ready for JSON; where it is None, `unset` says in words what holds."""

    name: str
    value: object
    source: Source
    unset: str


class Merge:
    """Every setting with its value, or what is wrong with it.

    Args:
        flags: what the command line gave, by the names of `load`.

    Raises:
        ConfigError: l2.toml cannot be read at all.
    """

    def __init__(self, flags: Mapping[str, object]) -> None:
        option = flags.get("config")
        self.file: ConfigFile = read_config(option if isinstance(option, str | Path) else None)
        self._problems = list(self.file.problems)
        self._values: dict[str, object] = {}
        self.sources: dict[str, Source] = {}
        self._flags = self._by_name(flags)
        for key in schema.all_keys():
            self._take(key)
        self._check_together()

    def value(self, key: Key[T]) -> T:
        """Return a value that has no problem."""
        return cast(T, self._values[key.name])

    def problems(self, *, retention: bool) -> list[str]:
        """List what is wrong, with or without the retention job's section."""
        return [problem for section, problem in self._problems if retention or section != "retention"]

    def settings(self) -> list[Setting]:
        """List every merged value that has no problem."""
        return [
            Setting(key.name, key.show(self._values[key.name]), self.sources[key.name], key.unset)
            for key in schema.all_keys()
            if key.name in self._values
        ]

    def _by_name(self, flags: Mapping[str, object]) -> dict[str, tuple[object, str]]:
        """Turn flags that were given into (value, label) by full name. A flag that says nothing is left out."""
        named: dict[str, tuple[object, str]] = {}
        for flag, value in flags.items():
            if flag in _URL_FLAGS:
                self._add_urls(named, flag, cast(Sequence[str], value or ()))
            elif flag in _FLAGS:
                name, label = _FLAGS[flag]
                if not (value is None or value is False or value == () or value == ""):
                    named[name] = (value, label)
            elif flag != "config":
                raise TypeError(f"there is no setting for a flag {flag!r}")
        return named

    def _add_urls(self, named: dict[str, tuple[object, str]], flag: str, values: Sequence[str]) -> None:
        label = _URL_FLAGS[flag]
        for text in values:
            venue, equals, url = text.partition("=")
            name = f"venue.{venue}.{flag}"
            try:
                if not equals:
                    raise ConfigError("it must name a venue and an address, like okx=ws://127.0.0.1:8080")
                venue_named(venue)
                if name in named:
                    raise ConfigError(f"{venue} was given an address before")
            except ConfigError as error:
                self._problems.append(("flags", f"{label} {clip(text)}: {error}"))
            else:
                named[name] = (url, f"{label} {venue}")

    def _take(self, key: Key[object]) -> None:
        """Read a setting from the first place that has it."""
        value, place, source = self._found(key)
        try:
            self._values[key.name] = key.read(value, place)
        except ConfigError as error:
            self._problems.append((key.section, str(error)))
        self.sources[key.name] = source

    def _found(self, key: Key[object]) -> tuple[object, Place, Source]:
        if key.name in self._flags:
            value, label = self._flags[key.name]
            return value, Place(label, Path.cwd()), Source(Origin.FLAG, label)
        value, place, source = _without_flags(key, self.file)
        if key is schema.LOG_FILE and source.origin is Origin.DEFAULT and schema.VAULT.name in self._values:
            place = Place(place.label, self.value(schema.VAULT))
        return value, place, source

    def _check_together(self) -> None:
        """Check settings that are right each alone against each other."""
        for first, second, check in (
            (schema.INSTRUMENTS, schema.MAX_INSTRUMENTS, schema.check_count),
            (schema.CODEC_LEVEL, schema.CODEC, schema.check_codec_level),
        ):
            if first.name in self._values and second.name in self._values:
                try:
                    check(self._values[first.name], self._values[second.name], self._found(first)[1])
                except ConfigError as error:
                    self._problems.append((first.section, str(error)))


def _without_flags(key: Key[object], file: ConfigFile) -> tuple[object, Place, Source]:
    """Find a value in the environment, the file or the defaults."""
    if key is schema.VAULT and os.environ.get(VAULT_VARIABLE):
        place = Place(VAULT_VARIABLE, Path.cwd())
        return os.environ[VAULT_VARIABLE], place, Source(Origin.ENVIRONMENT, VAULT_VARIABLE)
    section, _, name = key.name.rpartition(".")
    label = f"[{section}] {name}" if section else name
    if key.name in file.values:
        place = Place(f"{file.label}: {label}", file.folder)
        return file.values[key.name], place, Source(Origin.FILE, file.label)
    return key.default, Place(label, file.folder), Source(Origin.DEFAULT)


def find_vault(option: str | Path | None) -> Path:
    """Find the vault alone: --vault, else L2_VAULT, else l2.toml, else `vault` beside it or in the working folder.

    The file is read only if it decides, and nothing of it but `vault` is checked.

    Raises:
        ConfigError: what names the vault cannot be one.
    """
    if option:
        return read_path(option, Place("--vault", Path.cwd()))
    decided = os.environ.get(VAULT_VARIABLE)
    value, place, _ = _without_flags(schema.VAULT, ConfigFile(None, Path.cwd()) if decided else read_config(None))
    return read_path(value, place)
