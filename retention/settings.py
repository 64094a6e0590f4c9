"""The job's settings: flags over L2_VAULT and L2_CONFIG over l2.toml over defaults. Of the file only `vault` and
`[retention]` are read and checked; the rest is the recorder's."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from retention.errors import ConfigError
from retention.policy import Codec, Limits, Policy, parse_duration

T = TypeVar("T")

FILE_NAME = "l2.toml"
CONFIG_VARIABLE = "L2_CONFIG"
VAULT_VARIABLE = "L2_VAULT"
SECTION = "retention"
ORDERS = "l3"
"""Level of the datasets of single orders, which are eight times as large as all others together."""
DEFAULTS: Mapping[str, object] = {
    "compress_after": "6h",
    "compress_l3_after": "1h",
    "delete_after": "5d",
    "codec": "gzip",
    "level": None,
    "tape_after": None,
    "ledger_after": "never",
}
"""Every key there is; level None: the codec's usual one; tape_after None: as delete_after."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the job works on and by which limits. `vault` and `file`, the l2.toml that was read, are absolute."""

    vault: Path
    policy: Policy
    file: Path | None


@dataclass(frozen=True, slots=True)
class _File:
    """What l2.toml says of us; `folder`: what its relative paths are relative to."""

    label: str
    folder: Path
    path: Path | None = None
    vault: object = None
    section: Mapping[str, object] | None = None


def load(flags: Mapping[str, object]) -> Settings:
    """Merge and check the settings.

    Args:
        flags: what the command line gave: `config`, `vault`, and keys of `[retention]`; None: not given.

    Raises:
        ConfigError: naming what is wrong and where it stands.
    """
    file = _read_file(flags.get("config"))
    values: dict[str, tuple[object, str]] = {}
    for key, default in DEFAULTS.items():
        values[key] = (default, key)
        if file.section is not None and key in file.section:
            values[key] = (file.section[key], f"{file.label}: [{SECTION}] {key}")
        if flags.get(key) is not None:
            values[key] = (flags[key], f"--{key.replace('_', '-')}")
    return Settings(_vault(flags.get("vault"), file), _policy(values), file.path)


def _policy(values: Mapping[str, tuple[object, str]]) -> Policy:
    def read(key: str, reader: Callable[[object, str], T]) -> T:
        return reader(*values[key])

    compress_ns = read("compress_after", _duration)
    l3_ns = read("compress_l3_after", _duration)
    delete_ns = read("delete_after", _duration)
    tape_ns = delete_ns if values["tape_after"][0] is None else read("tape_after", _duration)
    codec = read("codec", _codec)
    level, label = values["level"]
    return Policy(
        hours=Limits(compress_ns, delete_ns),
        tapes=Limits(compress_ns, tape_ns),
        ledger_after_ns=read("ledger_after", _duration),
        datasets=MappingProxyType({ORDERS: Limits(l3_ns, delete_ns)}),
        codec=codec,
        level=codec.usual_level if level is None else _level(level, label, codec),
    )


def _duration(value: object, label: str) -> int | None:
    try:
        if isinstance(value, str):
            return parse_duration(value)
    except ValueError:
        pass
    raise ConfigError(f'{label} must be a time such as "90m", "6h", "5d", or "never", not {_clip(value)}')


def _codec(value: object, label: str) -> Codec:
    words = [str(codec) for codec in Codec]
    if isinstance(value, str) and value in words:
        return Codec(value)
    near = _nearest(value.lower(), words) if isinstance(value, str) else ""
    raise ConfigError(f"{label} must be one of {', '.join(words)}, not {_clip(value)}{near}")


def _level(value: object, label: str, codec: Codec) -> int:
    if type(value) is not int or not 1 <= value <= codec.highest_level:
        limit = f"a whole number from 1 to {codec.highest_level} for {codec}"
        raise ConfigError(f"{label} must be {limit}, not {_clip(value)}")
    return value


def _vault(option: object, file: _File) -> Path:
    """Find the vault: --vault, else L2_VAULT, else l2.toml, else `vault` beside it or in the working folder."""
    if option is not None:
        return _path(option, "--vault", Path.cwd())
    if os.environ.get(VAULT_VARIABLE):
        return _path(os.environ[VAULT_VARIABLE], VAULT_VARIABLE, Path.cwd())
    return _path("vault" if file.vault is None else file.vault, f"{file.label}: vault", file.folder)


def _path(value: object, label: str, folder: Path) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ConfigError(f"{label} must be a path in quotes, not {_clip(value)}")
    text = str(value)
    if _CONTROL.search(text):
        raise ConfigError(
            f"{label} {_clip(text)} holds a control character: in double quotes a backslash begins an escape; "
            "use single quotes, like 'C:\\temp\\new'"
        )
    if text.startswith("~"):
        raise ConfigError(f"{label} {_clip(text)} begins with ~, which is not expanded: write the whole path")
    return Path(os.path.normpath(folder.absolute() / text))


def _read_file(option: object) -> _File:
    """Read the l2.toml that --config or L2_CONFIG names, else the one in the working folder, if there is one."""
    named = option or os.environ.get(CONFIG_VARIABLE)
    path = Path(str(named or FILE_NAME))
    label = str(path)
    if not named and not path.exists():
        return _File(label, Path.cwd())
    try:
        tables = _parse(path.read_bytes(), label)
    except FileNotFoundError:
        who = "--config" if option else CONFIG_VARIABLE
        raise ConfigError(f"{who} names {label}, but there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{label} cannot be read: {error.strerror or error}") from error
    section = tables.get(SECTION, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{label}: `{SECTION}` is a section: write [{SECTION}] on a line of its own, its keys below")
    _refuse_unknown(section, label)
    path = Path(os.path.normpath(path.absolute()))
    return _File(label, path.parent, path, tables.get("vault"), section)


def _parse(data: bytes, label: str) -> dict[str, object]:
    """Read TOML; a byte order mark is passed over."""
    if data.startswith(_UTF16):
        raise ConfigError(f"{label} is UTF-16, as PowerShell's > writes it: save it as UTF-8")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{label}: line {line} is not UTF-8: save the file as UTF-8") from error
    except RecursionError:
        raise ConfigError(f"{label} is nested too deeply") from None
    except ValueError as error:
        hint = "; a path with backslashes needs single quotes, like 'C:\\temp\\new'" if b"\\" in data else ""
        raise ConfigError(f"{label} cannot be read: {error}{hint}") from error


def _refuse_unknown(section: Mapping[str, object], label: str) -> None:
    for name in section:
        if name not in DEFAULTS:
            near = _nearest(name, list(DEFAULTS)) or f"; there are: {', '.join(DEFAULTS)}"
            raise ConfigError(f"{label}: [{SECTION}] has no key `{name[:200]}`{near}")


def _nearest(word: str, words: list[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else ""


def _clip(value: object) -> str:
    return repr(value)[:200]
