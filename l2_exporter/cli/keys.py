"""The user's keys of a venue: from the environment, or from a file that nobody else can read."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.keys import Keys
from l2_exporter.core.venue import Signs, Venue


def keys_for(venue: Venue, channel: str, key_file: Path | None, environment: Mapping[str, str]) -> Keys | None:
    """Return the keys that a channel needs, None for one that needs none.

    Variables are called L2_COINBASE_KEY and so on; the file has a line `key = "..."` for each part and wins over them.

    Raises:
        ConfigError: there are none, or they cannot be used; no part of them is shown.
    """
    if not venue.channels[channel].needs_keys:
        return None
    free = ", ".join(name for name, each in venue.channels.items() if not each.needs_keys)
    needs = f"{venue.name}: the channel {channel} needs keys of the venue"
    if not isinstance(venue, Signs):
        raise ConfigError(f"{needs}, and signing in there is not supported; without keys: {free}")
    variables = {part: f"L2_{venue.name.upper()}_{part.upper()}" for part in venue.key_parts}
    parts = {part: environment[name] for part, name in variables.items() if environment.get(name)}
    parts |= {} if key_file is None else _read(key_file)
    missing = [variables[part] for part in venue.key_parts if part not in parts]
    if missing:
        raise ConfigError(
            f"{needs}: set {', '.join(missing)}, or [venue.{venue.name}] key_file; without keys are recorded: {free}"
        )
    odd = [part for part, text in parts.items() if not text.isascii() or not text.isprintable() or text != text.strip()]
    if odd:
        raise ConfigError(f"{venue.name}: {', '.join(odd)} must be plain characters without blanks around them")
    keys = Keys(parts)
    venue.headers("/", keys, 0)  # refuses keys that cannot sign
    return keys


def _read(path: Path) -> dict[str, str]:
    """Read a key file.

    Raises:
        ConfigError: it cannot be read, others may read it, or it is no list of parts.
    """
    try:
        text, mode = path.read_text(encoding="utf-8-sig"), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"key_file {path} cannot be read: {type(error).__name__}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"key_file {path} can be read by others: chmod 600 it")
    try:
        parts = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # The error would quote the line, and with it the secret.
        raise ConfigError(f"key_file {path} is no TOML; it holds lines such as: key = 'abc'") from None
    wrong = [name for name, value in parts.items() if type(value) is not str or not value]
    if wrong:
        raise ConfigError(f"key_file {path}: {', '.join(wrong)} must be a text in quotes")
    return {name: str(value) for name, value in parts.items()}
