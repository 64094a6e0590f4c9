"""What a file holds: its plain bytes read once, in blocks, and told as length, digest and lines; and its end judged.

The end is sound when it is what the recorder leaves: the last MiB is whole lines, each one JSON object.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from retention.codec import BLOCK_BYTES, unpacked
from retention.disk import Disk
from retention.errors import ProofError
from retention.policy import Codec

TAIL_BYTES = 1 << 20
"""How much of a file's end is checked at least; the recorder's own repair checks as much."""

TAIL_LIMIT_BYTES = 64 << 20
"""How much of it is kept while no line ends in it."""

_PACKED = frozenset(codec.suffix for codec in Codec)

EMPTY_SHA256 = hashlib.sha256().hexdigest()

Tick = Callable[[], None]
"""Called once a block; raises to end the work."""


@dataclass(frozen=True, slots=True)
class Content:
    """Plain bytes: how many, their digest, and how many of them end a line, which follows from the digest."""

    size: int
    sha256: str
    lines: int = field(compare=False)


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


class Sum:
    """Length and digest of bytes as they pass."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of what has passed."""
        return self._digest.hexdigest()

    def add(self, block: bytes) -> None:
        """Take note of the next bytes."""
        self._digest.update(block)
        self.size += len(block)


class Gauge(Sum):
    """Sums up plain bytes as they pass, and keeps the last of them."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = 0
        self._tail: deque[tuple[bytes, int]] = deque()
        self._tail_size = 0
        self._tail_lines = 0

    def add(self, block: bytes) -> None:
        """Take note of the next bytes."""
        if not block:
            return
        super().add(block)
        count = block.count(b"\n")
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
        return Content(self.size, self.sha256, self._lines)

    def flaw(self) -> str | None:
        """Tell what is wrong with the end; None: nothing."""
        tail = b"".join(block for block, _ in self._tail)
        if not tail:
            return None
        if not tail.endswith(b"\n"):
            rest = len(tail) - tail.rfind(b"\n") - 1
            return f"its end is torn: {rest} bytes without an end of line"
        lines = tail[:-1].split(b"\n")[1 if len(tail) < self.size else 0 :]
        lines = lines[-_count_of_last(lines) :]
        bad = sum(not _is_object(line) for line in lines)
        return f"its end is not sound: {bad} of the last {len(lines)} lines are no JSON object" if bad else None

    def _may_drop(self, block: bytes, ends: int) -> bool:
        """Tell whether the tail without its first block still holds enough, and one line at least."""
        left = self._tail_size - len(block)
        return left >= TAIL_LIMIT_BYTES or (left >= TAIL_BYTES and self._tail_lines - ends > 1)


def _count_of_last(lines: Sequence[bytes]) -> int:
    """Count how many of the last lines reach over the part of a file's end that is checked."""
    size = 0
    for count, line in enumerate(reversed(lines), 1):
        size += len(line) + 1
        if size >= TAIL_BYTES:
            return count
    return len(lines)


def mark_of(stat: os.stat_result) -> tuple[int, ...]:
    """Tell one state of a file from all others."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_proof(disk: Disk, path: Path, tick: Tick) -> Proof:
    """Read a whole file, decompressing it by the end of its name, and judge its end.

    Raises:
        OSError: it cannot be read.
        ProofError: it is damaged, or it changed while it was read.
    """
    gauge = Gauge()
    stored, mark = _read(disk, path, tick, path.suffix, gauge)
    return Proof(path, gauge.content(), stored.size, stored.sha256, mark, gauge.flaw())


def read_copy(disk: Disk, path: Path, tick: Tick, suffix: str, plain: Content) -> Proof:
    """Read a whole compressed file, whatever its name, that is to hold the same as one that was read and judged.

    Raises:
        OSError: it cannot be read.
        ProofError: it is damaged, holds something else, or it changed while it was read.
    """
    found = Sum()
    stored, mark = _read(disk, path, tick, suffix, found)
    if (found.size, found.sha256) != (plain.size, plain.sha256):
        raise ProofError(
            f"{path.name} holds {found.size} bytes with digest {found.sha256}, "
            f"its plain file {plain.size} with {plain.sha256}"
        )
    return Proof(path, plain, stored.size, stored.sha256, mark, None)


def _read(disk: Disk, path: Path, tick: Tick, suffix: str, plain: Sum) -> tuple[Sum, tuple[int, ...]]:
    """Sum up a file's plain bytes; return what is on disk, and the state of the file."""
    stored = plain if suffix not in _PACKED else Sum()
    fd = disk.open_read(path)
    try:
        mark = mark_of(disk.stat(fd))
        source = blocks(disk, fd, tick)
        for block in source if stored is plain else unpacked(_counted(source, stored), suffix):
            plain.add(block)
        if mark_of(disk.stat(fd)) != mark:
            raise ProofError("it changed while it was read")
    finally:
        disk.close(fd)
    if stored.size != mark[2]:
        raise ProofError(f"{stored.size} of its {mark[2]} bytes could be read")
    return stored, mark


def blocks(disk: Disk, fd: int, tick: Tick) -> Iterator[bytes]:
    """Yield an open file in blocks."""
    while block := disk.read(fd, BLOCK_BYTES):
        tick()
        yield block


def _counted(source: Iterator[bytes], counted: Sum) -> Iterator[bytes]:
    for block in source:
        counted.add(block)
        yield block


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
