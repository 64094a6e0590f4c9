"""What a file holds: its plain bytes read once, in blocks, and told as length, digest and lines; and its end judged.

The end is sound when it is what the recorder leaves: the last MiB is whole lines, each one JSON object.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from retention.codec import BLOCK_BYTES, unpacked
from retention.disk import Disk
from retention.errors import ProofError

TAIL_BYTES = 1 << 20
"""How much of a file's end is checked at least; the recorder's own repair checks as much."""

TAIL_LIMIT_BYTES = 64 << 20
"""How much of it is kept while no line ends in it."""

EMPTY_SHA256 = hashlib.sha256().hexdigest()

Tick = Callable[[], None]
"""Called once a block; raises to end the work."""


@dataclass(frozen=True, slots=True)
class Content:
    """Plain bytes: how many, their digest, and how many of them end a line."""

    size: int
    sha256: str
    lines: int


@dataclass(frozen=True, slots=True)
class Proof:
    """One file, read to its end.

    Attributes:
        path: the file.
        content: what it holds, decompressed.
        size: bytes on disk.
        sha256: digest of the bytes on disk.
        mark: what tells whether the file has changed since.
        flaw: what is wrong with its last lines; None: nothing.
    """

    path: Path
    content: Content
    size: int
    sha256: str
    mark: tuple[int, ...]
    flaw: str | None


class Gauge:
    """Sums up plain bytes as they pass, and keeps the last of them."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._lines = 0
        self._tail: deque[tuple[bytes, int]] = deque()
        self._tail_size = 0
        self._tail_lines = 0

    def add(self, block: bytes) -> None:
        """Take note of the next bytes."""
        if not block:
            return
        count = block.count(b"\n")
        self._digest.update(block)
        self._size += len(block)
        self._lines += count
        self._tail.append((block, count))
        self._tail_size += len(block)
        self._tail_lines += count
        while self._may_drop(*self._tail[0]):
            dropped, ends = self._tail.popleft()
            self._tail_size -= len(dropped)
            self._tail_lines -= ends

    def content(self) -> Content:
        """Tell what has passed."""
        return Content(self._size, self._digest.hexdigest(), self._lines)

    def flaw(self) -> str | None:
        """Tell what is wrong with the end; None: nothing."""
        tail = b"".join(block for block, _ in self._tail)
        if not tail:
            return None
        if not tail.endswith(b"\n"):
            rest = len(tail) - tail.rfind(b"\n") - 1
            return f"its end is torn: {rest} bytes without an end of line"
        lines = tail[:-1].split(b"\n")
        cut = len(tail) < self._size
        bad = sum(not _is_object(line) for line in lines[1 if cut else 0 :])
        return f"its end is not sound: {bad} of the last {len(lines)} lines are no JSON object" if bad else None

    def _may_drop(self, block: bytes, ends: int) -> bool:
        """Tell whether the tail without its first block still holds enough, and one line at least."""
        left = self._tail_size - len(block)
        return left >= TAIL_LIMIT_BYTES or (left >= TAIL_BYTES and self._tail_lines - ends > 1)


def mark_of(stat: os.stat_result) -> tuple[int, ...]:
    """Tell one state of a file from all others."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_proof(disk: Disk, path: Path, tick: Tick, suffix: str | None = None) -> Proof:
    """Read a whole file, decompressing it by the end of its name, or by `suffix`.

    Raises:
        OSError: it cannot be read.
        ProofError: it is damaged, or it changed while it was read.
    """
    fd = disk.open_read(path)
    try:
        mark = mark_of(disk.stat(fd))
        gauge, stored = Gauge(), Gauge()
        for block in unpacked(_counted(blocks(disk, fd, tick), stored), path.suffix if suffix is None else suffix):
            gauge.add(block)
        if mark_of(disk.stat(fd)) != mark:
            raise ProofError("it changed while it was read")
    finally:
        disk.close(fd)
    on_disk = stored.content()
    if on_disk.size != mark[2]:
        raise ProofError(f"{on_disk.size} of its {mark[2]} bytes could be read")
    return Proof(path, gauge.content(), on_disk.size, on_disk.sha256, mark, gauge.flaw())


def blocks(disk: Disk, fd: int, tick: Tick) -> Iterator[bytes]:
    """Yield an open file in blocks."""
    while block := disk.read(fd, BLOCK_BYTES):
        tick()
        yield block


def _counted(source: Iterator[bytes], gauge: Gauge) -> Iterator[bytes]:
    for block in source:
        gauge.add(block)
        yield block


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
