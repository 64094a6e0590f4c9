"""Sealing one hour: its file is read once more, synced, and vouched for by a manifest beside it.

Away from the event loop: an hour of a deep book is 46 MB. What the manifest says of the file is what the disk gives
back, not what was meant to be written.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from l2_exporter import __version__
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import LINE_SUFFIXES, Vault
from l2_exporter.archive.metadata import Metadata, metadata_object
from l2_exporter.archive.read import read_blocks
from l2_exporter.archive.windows import HourWindows
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.records import BookSpec
from l2_exporter.core.timetext import HOUR_NS, utc_text

FORMAT = 1
TOOL = f"l2-exporter {__version__}"
FLAGS = b'"flags":['
OUTCOMES = ("ok", "mismatch", "unchecked")


@dataclass(slots=True)
class Content:
    """What an hour file holds."""

    lines: int = 0
    size: int = 0
    first: dict[str, object] = field(default_factory=dict)
    last: dict[str, object] = field(default_factory=dict)
    flags: Counter[str] = field(default_factory=Counter)
    sha256: str = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Sealing:
    """What is known of an hour beside its file.

    Attributes:
        cadence_ms: None: unknown.
        messages, checksums: None: not known of the whole hour.
        by_run: it is sealed by the run that recorded it, or the last part of it.
    """

    spec: BookSpec
    hour: int
    at_ns: int | None
    origin: str
    continuity: str
    cadence_ms: int | None
    windows: HourWindows
    messages: dict[str, int] | None
    checksums: dict[str, int] | None
    by_run: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """An hour that has its manifest now."""

    spec: BookSpec
    hour: int
    at_ns: int | None
    lines: int
    sha256: str
    digest: str
    by_run: bool


def seal_hour(disk: Disk, vault: Vault, sealing: Sealing, previous: str | None) -> Sealed:
    """Write the manifest of an hour; its file takes no more lines.

    Raises:
        OSError: the file cannot be read or synced, or the manifest not be written.
        ArchiveError: the file is compressed and damaged.
    """
    spec = sealing.spec
    book = (spec.venue, spec.dataset, spec.inst, sealing.hour)
    content = _plain_content(disk, vault.hour_file(*book))
    if content is None:
        packed = [path for path in (vault.hour_file(*book, suffix) for suffix in LINE_SUFFIXES[1:]) if path.exists()]
        content = read_content(packed[0]) if packed else Content()
    manifest = orjson.dumps(_manifest(sealing, content, previous, _metadata(disk, vault, spec)))
    disk.write_whole(vault.manifest_file(*book), manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    return Sealed(spec, sealing.hour, sealing.at_ns, content.lines, content.sha256, digest, sealing.by_run)


def _plain_content(disk: Disk, path: Path) -> Content | None:
    """Read and sync a plain hour file, held open so that nobody compresses it meanwhile; None if there is none."""
    try:
        fd = disk.open_existing(path)
    except FileNotFoundError:
        return None
    try:
        content = read_content(path)
        disk.fsync(fd)
    finally:
        disk.close(fd)
    return content


def read_content(path: Path) -> Content:
    """Read a whole hour file; of lines in between only flags are looked at.

    Raises:
        ArchiveError: it is damaged, or holds a line that is none.
        OSError: it cannot be read.
    """
    try:
        return _content(path)
    except ValueError as error:
        raise ArchiveError(f"{path} holds a line that cannot be read: {error}") from error


def _content(path: Path) -> Content:
    content, digest, rest = Content(), hashlib.sha256(), b""
    last = b""
    for block in read_blocks(path):
        digest.update(block)
        content.size += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not content.lines:
                content.first = orjson.loads(line)
            content.lines += 1
            last = line
            place = line.rfind(FLAGS) + len(FLAGS)
            if line[place : place + 1] != b"]":
                content.flags.update(orjson.loads(line[place - 1 : line.index(b"]", place) + 1]))
    if rest:
        raise ValueError("its last line has no end")
    if last:
        content.last = orjson.loads(last)
    content.sha256 = digest.hexdigest()
    return content


def _decided(messages: dict[str, int]) -> dict[str, int]:
    """Count a message in the hour in which it was decided what it is: one that was held back came in an earlier one."""
    return {**messages, "received": sum(count for name, count in messages.items() if name != "received")}


def _metadata(disk: Disk, vault: Vault, spec: BookSpec) -> dict[str, object] | None:
    try:
        instrument = Metadata(disk, vault).newest(spec.venue, spec.inst)
    except ArchiveError:
        return None  # it is none of what is sealed, and `verify` names a file that cannot be read
    return None if instrument is None else metadata_object(instrument)


def _manifest(
    sealing: Sealing, content: Content, previous: str | None, metadata: dict[str, object] | None
) -> dict[str, object]:
    """Make the object, fields in the contract's order."""
    spec, sums = sealing.spec, sealing.checksums
    return {
        "format": FORMAT,
        "venue": spec.venue,
        "dataset": spec.dataset,
        "inst": spec.inst,
        "channel": spec.channel,
        "hour_utc": utc_text(sealing.hour * HOUR_NS, 1)[:-3] + "Z",
        "origin": sealing.origin,
        "lines": content.lines,
        "depth": spec.depth,
        "cadence_ms": sealing.cadence_ms,
        "first_utc": content.first.get("timestamp_utc"),
        "last_utc": content.last.get("timestamp_utc"),
        "seq_first": content.first.get("seqId"),
        "seq_last": content.last.get("seqId"),
        "continuity": sealing.continuity,
        **sealing.windows.fields(spec.decimals),
        "checksum": None if sums is None else {name: sums.get(name, 0) for name in OUTCOMES},
        "messages": None if sealing.messages is None else _decided(sealing.messages),
        "flags": dict(sorted(content.flags.items())),
        "metadata": metadata,
        "sha256": content.sha256,
        "bytes": content.size,
        "previous": previous,
        "tool": TOOL,
        "sealed": "run" if sealing.by_run else "later",
    }
