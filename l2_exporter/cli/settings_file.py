"""l2.toml: where it is looked for, how it is read, and what in it is no setting."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.cli.settings_schema import all_keys
from l2_exporter.cli.settings_values import FloatText, nearest
from l2_exporter.core.errors import ConfigError, clip

FILE_NAME = "l2.toml"
VARIABLE = "L2_CONFIG"

_POSITION = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)
_ESCAPED = re.compile(r'"[^"]*\\')
_VENUES = "venue"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """An l2.toml that could be read, or the lack of one.

    Attributes:
        path: absolute; None: there is no file.
        folder: what its relative paths are relative to, and the default vault lies in.
        label: its name in messages, as the user gave it.
        values: what it sets, by full name such as `record.depth`; retention included.
        problems: what in it is no setting, by section.
        retention: its section for the retention job, unchecked.
    """

    path: Path | None
    folder: Path
    label: str = FILE_NAME
    values: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()
    retention: Mapping[str, object] = field(default_factory=dict)


def read_config(option: str | Path | None) -> ConfigFile:
    """Read the l2.toml that --config or L2_CONFIG names, else the one in the working folder, if there is one.

    Raises:
        ConfigError: a file that was named does not exist, or it cannot be read as TOML.
    """
    named = option or os.environ.get(VARIABLE)
    path = Path(named or FILE_NAME)
    label = str(path)
    if not named and not path.exists():
        return ConfigFile(None, Path.cwd())
    try:
        tables = _parse(path.read_bytes(), label)
    except FileNotFoundError:
        raise ConfigError(f"{'--config' if option else VARIABLE} names {label}, but there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{label} cannot be read: {error.strerror or error}") from error
    return _sorted_out(path.absolute(), label, tables)


def _sorted_out(path: Path, label: str, tables: Mapping[str, object]) -> ConfigFile:
    """Tell what a file sets from what is no setting."""
    sections = _sections()
    values: dict[str, object] = {}
    problems: list[tuple[str, str]] = []
    for section, name, value in _entries(tables, sections):
        if name in sections.get(section, ()):
            values[_full(section, name)] = value
        else:
            problems.append((section, _unknown(label, section, name, sections)))
    retention = tables.get("retention")
    kept = retention if isinstance(retention, dict) else {}
    return ConfigFile(path, path.parent, label, values, tuple(problems), kept)


def _parse(data: bytes, label: str) -> dict[str, object]:
    """Read TOML. A byte order mark is passed over; floats stay text."""
    if data.startswith(_UTF16):
        raise ConfigError(f"{label} is UTF-16, as PowerShell's > writes it: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{label}: line {line} is not UTF-8: save the file as UTF-8") from error
    try:
        return tomllib.loads(text, parse_float=FloatText)
    except RecursionError:
        raise ConfigError(f"{label} is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and whatever a number or date of its own may raise
        raise ConfigError(_syntax(label, text, str(error))) from error


def _syntax(label: str, text: str, message: str) -> str:
    """Word a syntax error: the line first, and what a Windows path in double quotes needs."""
    lines = text.split("\n")
    match = _POSITION.fullmatch(message)
    if match is None:
        return f"{label}: line {len(lines)}: {message.removesuffix(' (at end of document)')} (at the end of the file)"
    escaped = _ESCAPED.search(lines[int(match[2]) - 1])
    hint = "; a path with backslashes needs single quotes, like 'C:\\temp\\new'" if escaped else ""
    return f"{label}: line {match[2]}, column {match[3]}: {match[1]}{hint}"


def _sections() -> dict[str, list[str]]:
    """List the keys of every section; the top has the empty name."""
    sections: dict[str, list[str]] = {}
    for key in all_keys():
        section, _, name = key.name.rpartition(".")
        sections.setdefault(section, []).append(name)
    return sections


def _full(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def _entries(
    table: Mapping[str, object], sections: Mapping[str, object], section: str = ""
) -> Iterator[tuple[str, str, object]]:
    """List what a file sets: section, key, value. Only our own sections are looked into."""
    for name, value in table.items():
        full = _full(section, name)
        if isinstance(value, dict) and "." not in name and (full == _VENUES or full in sections):
            yield from _entries(value, sections, full)
        else:
            yield section, name, value


def _unknown(label: str, section: str, name: str, sections: Mapping[str, list[str]]) -> str:
    """Say that there is no such setting, and which one may have been meant."""
    shown, full = clip(name)[1:-1], _full(section, name)
    if full == _VENUES or full in sections:
        return f"{label}: `{shown}` is a section: write [{full}] on a line of its own, and its keys below"
    if section == _VENUES:
        there = ", ".join(f"[{one}]" for one in sections if one.startswith(f"{_VENUES}."))
        return f"{label}: [{section}] has no key and no venue `{shown}`; there are: {there}"
    has_no = f"{label}: {f'[{section}]' if section else 'the top'} has no key `{shown}`"
    elsewhere = next((other for other, names in sections.items() if name in names), None)
    if elsewhere is not None:
        return f"{has_no}; it belongs {f'in [{elsewhere}]' if elsewhere else 'at the top, before all sections'}"
    near = nearest(name, sections[section])
    if near is not None:
        return f"{has_no}; did you mean `{near}`?"
    if section:
        return f"{has_no}; there are: {', '.join(sections[section])}"
    near = nearest(name, filter(None, sections))
    there = f"did you mean [{near}]?" if near else f"there are: {', '.join(f'[{one}]' for one in sections if one)}"
    return f"{label}: there is no section [{shown}]; {there}"
