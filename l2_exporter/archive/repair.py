"""The end of a file after an unclean stop: cut at the first line that is not whole, and keep what was cut.

A crash can leave half a line, or after a loss of power a stretch of NUL bytes. What is cut goes to the file's
`.torn` neighbour and is synced there before the cut, so that a crash at any moment loses nothing, and doing
it all again changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from l2_exporter.archive.disk import Disk

WINDOW_BYTES = 1 << 20
"""How much of a file's end is checked at least."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found at the end of a file.

    Attributes:
        last_line: the last complete line without its `\\n`, None in an empty file.
        size: bytes that stayed.
        cut: bytes that went to the torn file.
    """

    last_line: bytes | None
    size: int
    cut: int


def repair_tail(disk: Disk, path: Path, torn_path: Path) -> Repair:
    """Cut an unsealed file at the first bad line of its last MiB. A sound file is not opened for writing.

    A line is good if it ends with `\\n` and is a JSON object. Corrupt content is never an error.

    Raises:
        OSError: the file cannot be read, or the cut cannot be made; it is then safe to call again.
    """
    total, good, bad = _judge(disk, path)
    if bad:
        _append_torn(disk, torn_path, bad)
        _truncate(disk, path, total - len(bad))
    return Repair(good, total - len(bad), len(bad))


def is_object(line: bytes) -> bool:
    """Tell whether a line is one JSON object."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _judge(disk: Disk, path: Path) -> tuple[int, bytes | None, bytes]:
    """Return the size of a file, its last good line and the bytes behind it.

    The window is widened until it holds a good line before the first bad one: a line longer than the window
    would else be taken for a torn one.
    """
    total = path.stat().st_size
    window = WINDOW_BYTES
    while True:
        data = disk.read_tail(path, window)
        whole = len(data) >= total
        start = 0 if whole else data.find(b"\n") + 1
        good, end = _first_bad(data, start)
        if whole or (start and good is not None):
            return total, good, data[end:]
        window *= 2


def _first_bad(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the last line before the first bad one, None if there is none, and where the bad one begins."""
    good = None
    while (end := data.find(b"\n", start)) >= 0 and is_object(line := data[start:end]):
        good, start = line, end + 1
    return good, start


def _append_torn(disk: Disk, path: Path, bad: bytes) -> None:
    """Keep the bytes, unless a repair that was interrupted has done so; they are synced in either case."""
    fd = disk.open_append(path)
    try:
        if disk.read_tail(path, len(bad)) != bad:
            disk.append_all(fd, bad)
        disk.fsync(fd)
    finally:
        disk.close(fd)


def _truncate(disk: Disk, path: Path, size: int) -> None:
    fd = disk.open_append(path)
    try:
        disk.truncate(fd, size)
        disk.fsync(fd)
    finally:
        disk.close(fd)
