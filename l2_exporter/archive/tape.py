"""Tapes: every input of a run, or a recording made by others, as JSON lines (docs/FORMAT.md, "The tape")."""

from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from l2_exporter.archive.layout import LINE_SUFFIXES
from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import END_OF_TIME_NS

HTTP_OK = 200


class TapeLine(NamedTuple):
    """One input (a NamedTuple: one is made for every frame, in half the time of a frozen dataclass).

    Attributes:
        n: its number in the run; None in recordings.
        frame: the text (bytes where only the binary wire form is kept); of an answer its body; of a start its settings.
        status: HTTP status of an answer, 0 if there was none.
        run: which run it belongs to, None where no `start` tells.
    """

    dir: str
    conn: str
    n: int | None
    recv_ns: int | None
    mono_ns: int | None
    url: str | None
    frame: str | bytes
    request: str | None
    status: int
    run: str | None = None


def is_tape_name(path: Path) -> bool:
    """Tell whether a file is named like a tape."""
    return path.name.endswith(LINE_SUFFIXES)


def parse_tape_line(line: bytes, where: str, run: str | None) -> TapeLine:
    """Read one line of a tape. Unknown keys are ignored.

    Raises:
        ConfigError: it is no tape line; the message says where it stands.
    """
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{where} is not a line of a tape: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("dir"), str):
        raise ConfigError(f"{where} is not a line of a tape: it needs a `dir`: {clip(line[:300])}")
    try:
        return TapeLine(
            dir=fields["dir"],
            conn=str(fields.get("conn") or "tape"),
            n=_whole(fields, "n", 1 << 63),
            recv_ns=_whole(fields, "recv_ns", END_OF_TIME_NS),
            mono_ns=_whole(fields, "mono_ns", 1 << 63),
            url=fields.get("url") if isinstance(fields.get("url"), str) else None,
            frame=_frame(fields),
            request=fields.get("req") if isinstance(fields.get("req"), str) else None,
            status=HTTP_OK if (status := _whole(fields, "status", 1000)) is None else status,
            run=run,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} is not a line of a tape: {error}") from error


def start_settings(line: TapeLine) -> dict[str, Any]:
    """Read the settings that a `start` line carries; empty if it carries none."""
    try:
        settings = orjson.loads(line.frame)
    except orjson.JSONDecodeError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _whole(fields: dict[str, Any], name: str, below: int) -> int | None:
    value = fields.get(name)
    if value is None or (type(value) is int and 0 <= value < below):
        return value
    raise ValueError(f"`{name}` must be a whole number from 0 to {below - 1}, not {clip(value)}")


def _frame(fields: dict[str, Any]) -> str | bytes:
    frame, b64 = fields.get("frame"), fields.get("b64")
    if frame is None and b64 is None:
        return ""
    if isinstance(frame, str):
        return frame
    if isinstance(b64, str):
        try:
            return b64decode(b64, validate=True)
        except Base64Error as error:
            raise ValueError(f"`b64` is not base64: {error}") from error
    raise ValueError("`frame` is not text")
