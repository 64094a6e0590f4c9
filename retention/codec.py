"""Compression as streams of blocks. Deterministic: no name, no time; the same bytes and level give the same file.

Reading is as strict as writing: a compressed file that ends early, or has something behind its end, is damaged.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from retention.errors import ConfigError, ProofError
from retention.policy import Codec

_GZIP_BITS = 31
BLOCK_BYTES = 1 << 17


class Packer(Protocol):
    """Compresses a stream."""

    def compress(self, data: bytes, /) -> bytes:
        """Take the next plain bytes and return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the rest."""
        ...


def packer(codec: Codec, level: int, size: int) -> Packer:
    """Make a compressor for a stream of exactly `size` bytes.

    Raises:
        ConfigError: zstandard is not installed.
    """
    if codec is Codec.GZIP:
        return zlib.compressobj(level, zlib.DEFLATED, _GZIP_BITS)
    require(codec)
    import zstandard  # an optional extra

    made: Packer = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj(size=size)
    return made


def require(codec: Codec) -> None:
    """Refuse a codec that is not installed.

    Raises:
        ConfigError: saying what to install.
    """
    if codec is Codec.ZSTD:
        try:
            import zstandard  # noqa: F401 - only whether it is there
        except ImportError as error:
            raise ConfigError("zstd needs the package zstandard: install l2-exporter[zstd]") from error


def unpacked(blocks: Iterable[bytes], suffix: str) -> Iterator[bytes]:
    """Yield the plain bytes of a file's blocks, by the end of its name: `.gz`, `.zst` or anything else (plain).

    Raises:
        ProofError: the file is damaged, or zstandard is not installed.
    """
    opener = {Codec.GZIP.suffix: _gunzipped, Codec.ZSTD.suffix: _unzstd}.get(suffix)
    return opener(blocks) if opener else iter(blocks)


def _gunzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Read gzip members, one behind the other."""
    member, ended = zlib.decompressobj(_GZIP_BITS), False
    try:
        for block in blocks:
            data = block
            while data:
                if ended:
                    member, ended = zlib.decompressobj(_GZIP_BITS), False
                yield member.decompress(data, BLOCK_BYTES)
                ended, data = member.eof, member.unused_data if member.eof else member.unconsumed_tail
        while not ended and (rest := member.decompress(member.unconsumed_tail, BLOCK_BYTES)):
            yield rest
            ended = member.eof
    except zlib.error as error:
        raise ProofError(f"it is damaged: {error}") from error
    if not (ended or member.eof):
        raise ProofError("it is damaged: it ends too early")


def _unzstd(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Read zstd frames, one behind the other. Small inputs bound what one step may yield."""
    try:
        import zstandard  # an optional extra
    except ImportError as error:
        raise ProofError("it cannot be read: install l2-exporter[zstd]") from error
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        for data in _sliced(blocks):
            rest = data
            while rest:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(rest)
                rest = frame.unused_data
    except zstandard.ZstdError as error:
        raise ProofError(f"it is damaged: {error}") from error
    if not frame.eof:
        raise ProofError("it is damaged: it ends too early")


def _sliced(blocks: Iterable[bytes], size: int = 1 << 14) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]
