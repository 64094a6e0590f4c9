"""Reading line files, plain or compressed, without ever holding more than one line and one block."""

import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from l2_exporter.core.errors import ArchiveError

BLOCK_BYTES = 1 << 18


def read_lines(path: Path, on_torn: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """Yield the complete lines of a .jsonl, .jsonl.gz or .jsonl.zst file, without their `\\n`.

    Args:
        on_torn: called at the end with the bytes after the last `\\n`, if there are any.

    Raises:
        ArchiveError: the compressed file is damaged, or zstandard is not installed.
        OSError: the file cannot be read.
    """
    pieces: list[bytes] = []
    for block in read_blocks(path):
        first, *others = block.split(b"\n")
        pieces.append(first)
        if others:
            yield b"".join(pieces)
            yield from others[:-1]
            pieces = [others[-1]]
    torn = b"".join(pieces)
    if torn and on_torn is not None:
        on_torn(torn)


def last_line(path: Path) -> bytes | None:
    """Return the last complete line of a line file without its `\\n`, None if there is none.

    Raises:
        ArchiveError: the compressed file is damaged, or zstandard is not installed.
        OSError: the file cannot be read.
    """
    if path.suffix == ".jsonl":
        return _last_plain_line(path)
    return next(iter(deque(read_lines(path), maxlen=1)), None)


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the plain bytes of a line file in blocks.

    Raises:
        ArchiveError: the compressed file is damaged, or zstandard is not installed.
        OSError: the file cannot be read.
    """
    opener = {".gz": _gzip_blocks, ".zst": _zstd_blocks}.get(path.suffix, _plain_blocks)
    with path.open("rb") as file:
        yield from opener(file, path)


def _plain_blocks(file: BinaryIO, _path: Path) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _gzip_blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    _refuse_empty(file, path)
    with gzip.GzipFile(fileobj=file, mode="rb") as plain:
        while True:
            try:
                block = plain.read(BLOCK_BYTES)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ArchiveError(f"{path} is damaged: {error}") from error
            if not block:
                return
            yield block


def _zstd_blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        import zstandard  # an optional extra
    except ImportError as error:
        raise ArchiveError(f"cannot read {path}: install l2-exporter[zstd]") from error
    _refuse_empty(file, path)
    decoder = zstandard.ZstdDecompressor().decompressobj()
    while packed := file.read(BLOCK_BYTES):
        while packed:
            if decoder.eof:
                decoder = zstandard.ZstdDecompressor().decompressobj()
            try:
                yield decoder.decompress(packed)
            except zstandard.ZstdError as error:
                raise ArchiveError(f"{path} is damaged: {error}") from error
            packed = decoder.unused_data
    if not decoder.eof:
        raise ArchiveError(f"{path} is damaged: it ends too early")


def _refuse_empty(file: BinaryIO, path: Path) -> None:
    if os.fstat(file.fileno()).st_size == 0:
        raise ArchiveError(f"{path} is damaged: it is empty, not even compressed")


def _last_plain_line(path: Path) -> bytes | None:
    with path.open("rb") as file:
        total = file.seek(0, os.SEEK_END)
        window = BLOCK_BYTES
        while True:
            start = max(0, total - window)
            file.seek(start)
            data = file.read(total - start)
            end = data.rfind(b"\n")
            before = data.rfind(b"\n", 0, max(end, 0))
            if end >= 0 and (before >= 0 or start == 0):
                return data[before + 1 : end]
            if start == 0:
                return None
            window *= 2
