"""Manifests: each against its path and the hour file it seals, and all of a book as a chain."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_line import OrderEvent
from l2_exporter.archive.schema import MANIFEST_FIELDS
from l2_exporter.archive.stored import StoredLine, check_fields, read_object, time_ns
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import HOUR_NS


@dataclass(slots=True)
class HourSummary:
    """What an hour file holds, collected while it is read."""

    lines: int = 0
    size: int = 0
    first: StoredLine | OrderEvent | None = None
    last: StoredLine | OrderEvent | None = None
    flags: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)

    def add_bytes(self, data: bytes) -> None:
        """Take note of the next plain bytes of the file."""
        self.size += len(data)
        self.digest.update(data)

    def add_line(self, line: StoredLine | OrderEvent) -> None:
        """Take note of the next line that could be read."""
        self.first = self.first or line
        self.last = line
        if line.flags:
            self.flags.update(line.flags)


@dataclass(frozen=True, slots=True)
class Seal:
    """One manifest of a book, as others are held against it.

    Attributes:
        hour: since 1970.
        digest: of the manifest's own bytes: what the next one names as `previous`.
        is_read: the rest could be read and is what a manifest says; else it is empty.
        lines, size, sha256: of the hour file.
    """

    hour: int
    digest: str
    is_read: bool = False
    previous: str | None = None
    lines: int = 0
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A manifest's place in its chain; `path` and `line`: where it stands, 0 for a file of its own."""

    seal: Seal
    path: Path
    line: int


class ManifestChecker:
    """Checks manifests, each by itself.

    Attributes:
        origin: what the manifest checked last says of its lines' origin, None if it could not be read.
        seal: what it says to others; None before the first check.
    """

    def __init__(self) -> None:
        self.origin: str | None = None
        self.seal: Seal | None = None

    def check(
        self, place: HourPath, data: bytes, hour_file: HourSummary | None, digest: str | None = None
    ) -> Iterator[Finding]:
        """Yield what is wrong with the next manifest.

        Args:
            hour_file: None where there is none, or it is damaged.
            digest: of the file the manifest was in; None: `data` is that file.
        """
        self.origin = None
        digest = digest or hashlib.sha256(data).hexdigest()
        self.seal = Seal(place.hour, digest)
        try:
            manifest = read_object(data.removesuffix(b"\n"))
            check_fields(manifest, MANIFEST_FIELDS)
            start_ns = time_ns("hour_utc", manifest["hour_utc"])
        except FlawError as flaw:
            yield flaw.finding
            return
        self.origin = manifest["origin"]
        numbers = (manifest["lines"], manifest["bytes"], manifest["sha256"])
        self.seal = Seal(place.hour, digest, True, manifest["previous"], *numbers)
        book = (place.venue, place.dataset, place.inst)
        said_book = (manifest["venue"], manifest["dataset"], manifest["inst"])
        if (*said_book, start_ns) != (*book, place.hour * HOUR_NS):
            yield Flaw.PATH, f"it is of {'/'.join(said_book)} {manifest['hour_utc']}"
        if hour_file is not None:
            yield from _compare(manifest, hour_file)


def check_chain(links: Iterable[Link], *, from_the_first: bool) -> Iterator[Defect]:
    """Hold each manifest of one book against the one before it, those in tombstones included.

    Args:
        from_the_first: what there is of the book was all looked at, so that nothing can be before the first of them.
    """
    before: Seal | None = None
    for link in sorted(links, key=lambda link: link.seal.hour):
        seal = link.seal
        if seal.is_read and before is not None and seal.previous != before.digest:
            detail = f"{said('previous', seal.previous)}, the manifest before it is {before.digest}"
            yield Defect(link.path, link.line, Flaw.MANIFEST, detail)
        elif seal.is_read and before is None and from_the_first and seal.previous is not None:
            detail = f"{said('previous', seal.previous)}; that manifest is gone, and no tombstone holds it"
            yield Defect(link.path, link.line, Flaw.MISSING, detail)
        before = seal


def _compare(manifest: dict[str, Any], hour: HourSummary) -> Iterator[Finding]:
    """Hold a manifest against the file it seals; only the first difference is told."""
    first, last = hour.first, hour.last
    truth = {
        "lines": hour.lines,
        "bytes": hour.size,
        "sha256": hour.digest.hexdigest(),
        "first_utc": first and first.timestamp_utc,
        "last_utc": last and last.timestamp_utc,
        "seq_first": first and first.seq,
        "seq_last": last and last.seq,
    }
    for name, value in truth.items():
        if manifest[name] != value:
            yield Flaw.MANIFEST, f"{said(name, manifest[name])}, of the hour file {clip(value)}"
            return
    counted = {word: count for word, count in manifest["flags"].items() if count}
    if counted != dict(hour.flags):
        yield Flaw.MANIFEST, f"{said('flags', manifest['flags'])}, of the hour file {clip(dict(hour.flags))}"
