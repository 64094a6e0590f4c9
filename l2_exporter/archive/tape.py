"""Tapes: every input of a run, or a recording made by others, as JSON lines (docs/FORMAT.md, "The tape")."""

import heapq
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive.layout import LINE_SUFFIXES
from l2_exporter.archive.read import read_lines
from l2_exporter.core.errors import ConfigError, clip

SORTED_IN_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class TapeLine:
    """One input.

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


Progress = Callable[[int], None]
"""Told the number of bytes of lines read since it was last called."""


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
            n=_whole(fields, "n"),
            recv_ns=_whole(fields, "recv_ns"),
            mono_ns=_whole(fields, "mono_ns"),
            url=fields.get("url") if isinstance(fields.get("url"), str) else None,
            frame=_frame(fields),
            request=fields.get("req") if isinstance(fields.get("req"), str) else None,
            status=200 if fields.get("status") is None else int(fields["status"]),
            run=run,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} is not a line of a tape: {error}") from error


def read_tapes(paths: Iterable[Path], progress: Progress | None = None) -> Iterator[TapeLine]:
    """Yield the inputs of several tapes in the order they arrived: by run, in it by number, else by receive time.

    Lines without either stay where they stand in their file. Small tapes may be in any order; one too large to be held
    in memory must be in order itself. Half a line at the end of a tape, left by a killed recorder, is not an input.

    Raises:
        ConfigError: a file that is no tape, or a large one out of order.
        ArchiveError: a compressed file is damaged.
        OSError: a file cannot be read.
    """
    streams = [_keyed(index, path, progress) for index, path in enumerate(paths)]
    for _, line in heapq.merge(*streams, key=_key_of):
        yield line


Key = tuple[int, int, int, int]
"""(start of the run, number or receive time, file, line)."""


def _key_of(keyed: tuple[Key, TapeLine]) -> Key:
    return keyed[0]


def _keyed(index: int, path: Path, progress: Progress | None) -> Iterator[tuple[Key, TapeLine]]:
    lines = _numbered(index, path, progress)
    if path.stat().st_size <= SORTED_IN_MEMORY_BYTES // (1 if path.suffix == ".jsonl" else 8):
        yield from sorted(lines, key=_key_of)
        return
    last: Key | None = None
    for key, line in lines:
        if last is not None and key < last:
            raise ConfigError(f"{path}:{key[3]} stands behind a later input; the tape is too large to be sorted here")
        last = key
        yield key, line


def _numbered(index: int, path: Path, progress: Progress | None) -> Iterator[tuple[Key, TapeLine]]:
    """Give each line its place. A `start` begins a run; a line without number and time stays behind its neighbour."""
    run, run_start, place = None, 0, 0
    for number, raw in enumerate(read_lines(path), 1):
        if progress is not None:
            progress(len(raw) + 1)
        if not raw.strip():
            continue
        line = parse_tape_line(raw, f"{path}:{number}", run)
        if line.dir == "start":
            run = run_of_start(line)
            run_start = line.recv_ns or 0
            line = parse_tape_line(raw, f"{path}:{number}", run)
        place = next((value for value in (line.n, line.recv_ns) if value is not None), place)
        yield (run_start, place, index, number), line


def start_settings(line: TapeLine) -> dict[str, Any]:
    """Read the settings that a `start` line carries; empty if it carries none."""
    try:
        settings = orjson.loads(line.frame)
    except orjson.JSONDecodeError:
        return {}
    return settings if isinstance(settings, dict) else {}


def run_of_start(line: TapeLine) -> str:
    """Name the run that a `start` line belongs to: several tapes of one run each begin with one."""
    run = start_settings(line).get("run")
    return run if isinstance(run, str) else f"{line.recv_ns}"


def _whole(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None or type(value) is int:
        return value
    raise ValueError(f"`{name}` is not a whole number: {clip(value)}")


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
