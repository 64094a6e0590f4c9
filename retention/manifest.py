"""The manifest of a sealed hour, read for what it promises about the hour's plain bytes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from retention.codec import BLOCK_BYTES
from retention.content import Content
from retention.disk import Disk
from retention.errors import ProofError

LIMIT_BYTES = 64 << 20
"""No manifest is longer; what is, is something else."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest.

    Attributes:
        raw: the object as it stands in the file, on one line.
        sha256: digest of the file, which the next manifest names as `previous`.
    """

    path: Path
    raw: bytes
    sha256: str
    content: Content

    def check(self, content: Content) -> None:
        """Hold the content of the hour file against the seal.

        Raises:
            ProofError: they differ.
        """
        for name, sealed, found in (
            ("bytes", self.content.size, content.size),
            ("sha256", self.content.sha256, content.sha256),
            ("lines", self.content.lines, content.lines),
        ):
            if sealed != found:
                raise ProofError(f"its manifest says {name} {sealed}, the file holds {found}")


def read_manifest(disk: Disk, path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        OSError: it cannot be read.
        ProofError: it is none.
    """
    data = _read(disk, path)
    try:
        fields = orjson.loads(data)
        content = Content(int(fields["bytes"]), str(fields["sha256"]), int(fields["lines"]))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError) as error:
        raise ProofError(f"its manifest cannot be read: {type(error).__name__} {str(error)[:200]}") from error
    raw = data.strip()
    if b"\n" in raw or b"\r" in raw:
        raw = orjson.dumps(fields)
    return Manifest(path, raw, hashlib.sha256(data).hexdigest(), content)


def _read(disk: Disk, path: Path) -> bytes:
    fd = disk.open_read(path)
    try:
        pieces: list[bytes] = []
        while block := disk.read(fd, BLOCK_BYTES):
            pieces.append(block)
            if sum(map(len, pieces)) > LIMIT_BYTES:
                raise ProofError("its manifest cannot be read: it is too long")
        return b"".join(pieces)
    finally:
        disk.close(fd)
