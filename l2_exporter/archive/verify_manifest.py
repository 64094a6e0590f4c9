"""Manifests: each by itself, against its path and the hour file it seals, and all of a book as a chain."""

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
from l2_exporter.archive.verify_manifest_fields import check_by_itself
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import HOUR_NS


@dataclass(slots=True)
class HourContent:
    """What an hour file holds.

    Attributes:
        sha256: of the plain bytes; set when the file was read to its end.
        channels: what its lines name; depths: the numbers in the names of their level fields.
    """

    lines: int = 0
    size: int = 0
    sha256: str = ""
    first_utc: str | None = None
    last_utc: str | None = None
    seq_first: int | None = None
    seq_last: int | None = None
    flags: Counter[str] = field(default_factory=Counter)
    channels: set[str] = field(default_factory=set)
    depths: set[int] = field(default_factory=set)


class HourSummary:
    """Collects what an hour file holds while it is read.

    Attributes:
        lines: read so far, of whatever kind.
    """

    def __init__(self) -> None:
        self.lines = 0
        self._content = HourContent()
        self._digest = hashlib.sha256()
        self._last: StoredLine | OrderEvent | None = None

    def add_bytes(self, data: bytes) -> None:
        """Take note of the next plain bytes of the file."""
        self._content.size += len(data)
        self._digest.update(data)

    def add_line(self, line: StoredLine | OrderEvent) -> None:
        """Take note of the next line that could be read."""
        content = self._content
        if self._last is None:
            content.first_utc, content.seq_first = line.timestamp_utc, line.seq
        self._last = line
        if line.flags:
            content.flags.update(line.flags)
        content.channels.add(line.channel)
        if isinstance(line, StoredLine):
            content.depths.add(line.depth)

    def end(self) -> HourContent:
        """Return what the file holds, once all of it was read."""
        content, last = self._content, self._last
        if last is not None:
            content.last_utc, content.seq_last = last.timestamp_utc, last.seq
        content.lines, content.sha256 = self.lines, self._digest.hexdigest()
        return content


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
        fields: what the manifest checked last says, None if it could not be read.
        seal: what it says to others; None before the first check.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Any] | None = None
        self.seal: Seal | None = None

    @property
    def origin(self) -> str | None:
        """Where its lines come from; None if it could not be read."""
        return None if self.fields is None else str(self.fields["origin"])

    def check(
        self, place: HourPath, data: bytes, hour_file: HourContent | None, digest: str | None = None
    ) -> Iterator[Finding]:
        """Yield what is wrong with the next manifest; of differences with its file and itself only the first.

        Args:
            hour_file: None where there is none, or it is damaged.
            digest: of the file the manifest was in; None: `data` is that file.
        """
        self.fields = None
        digest = digest or hashlib.sha256(data).hexdigest()
        self.seal = Seal(place.hour, digest)
        try:
            manifest = read_object(data.removesuffix(b"\n"))
            check_fields(manifest, MANIFEST_FIELDS)
            start_ns = time_ns("hour_utc", manifest["hour_utc"])
        except FlawError as flaw:
            yield flaw.finding
            return
        self.fields = manifest
        numbers = (manifest["lines"], manifest["bytes"], manifest["sha256"])
        self.seal = Seal(place.hour, digest, True, manifest["previous"], *numbers)
        book = (place.venue, place.dataset, place.inst)
        said_book = (manifest["venue"], manifest["dataset"], manifest["inst"])
        if (*said_book, start_ns) != (*book, place.hour * HOUR_NS):
            yield Flaw.PATH, f"it is of {'/'.join(said_book)} {manifest['hour_utc']}"
            return
        difference = None if hour_file is None else _difference(manifest, hour_file)
        if difference is None:
            try:
                check_by_itself(manifest, place)
                return
            except FlawError as flaw:
                difference = flaw.finding
        yield difference


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


def _difference(manifest: dict[str, Any], hour: HourContent) -> Finding | None:
    """Hold a manifest against the file it seals."""
    for name in ("lines", "first_utc", "last_utc", "seq_first", "seq_last"):
        if manifest[name] != getattr(hour, name):
            return Flaw.MANIFEST, f"{said(name, manifest[name])}, of the hour file {clip(getattr(hour, name))}"
    if manifest["flags"] != dict(hour.flags):
        return Flaw.MANIFEST, f"{said('flags', manifest['flags'])}, of the hour file {clip(dict(hour.flags))}"
    for name, value in (("bytes", hour.size), ("sha256", hour.sha256)):
        if manifest[name] != value:
            return Flaw.MANIFEST, f"{said(name, manifest[name])}, of the hour file {clip(value)}"
    if hour.channels and {manifest["channel"]} != hour.channels:
        return Flaw.MANIFEST, f"{said('channel', manifest['channel'])}, its lines say {clip(sorted(hour.channels))}"
    # Where two runs have recorded the hour (nothing was counted then) its lines may have the depth of either.
    if hour.depths and manifest["messages"] is not None and {manifest["depth"]} != hour.depths:
        return Flaw.MANIFEST, f"{said('depth', manifest['depth'])}, its lines say {clip(sorted(hour.depths))}"
    return None
