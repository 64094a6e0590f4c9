"""Manifests: each against its path, the hour file it seals and the manifest before it."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from l2_exporter.archive.defects import Finding, Flaw, FlawError, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.schema import MANIFEST_FIELDS
from l2_exporter.archive.stored import StoredLine, check_fields, read_object, time_ns
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import HOUR_NS


@dataclass(slots=True)
class HourSummary:
    """What an hour file holds, collected while it is read."""

    lines: int = 0
    size: int = 0
    first: StoredLine | None = None
    last: StoredLine | None = None
    flags: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)

    def add_bytes(self, data: bytes) -> None:
        """Take note of the next plain bytes of the file."""
        self.size += len(data)
        self.digest.update(data)

    def add_line(self, line: StoredLine) -> None:
        """Take note of the next line that could be read."""
        self.first = self.first or line
        self.last = line
        self.flags.update(line.flags)


class ManifestChecker:
    """Checks manifests, given in order of their paths.

    Attributes:
        origin: what the manifest checked last says of its lines' origin, None if it could not be read.
    """

    def __init__(self) -> None:
        self.origin: str | None = None
        self._previous: tuple[tuple[str, str, str], str] | None = None

    def check(self, place: HourPath, data: bytes, hour_file: HourSummary | None) -> Iterator[Finding]:
        """Yield what is wrong with the next manifest. `hour_file` is None where there is none, or it is damaged."""
        self.origin = None
        book = (place.venue, place.dataset, place.inst)
        previous = self._previous[1] if self._previous and self._previous[0] == book else None
        self._previous = (book, hashlib.sha256(data).hexdigest())
        try:
            manifest = read_object(data.removesuffix(b"\n"))
            check_fields(manifest, MANIFEST_FIELDS)
            start_ns = time_ns("hour_utc", manifest["hour_utc"])
        except FlawError as flaw:
            yield flaw.finding
            return
        self.origin = manifest["origin"]
        said_book = (manifest["venue"], manifest["dataset"], manifest["inst"])
        if (*said_book, start_ns) != (*book, place.hour * HOUR_NS):
            yield Flaw.PATH, f"it is of {'/'.join(said_book)} {manifest['hour_utc']}"
        if previous is not None and manifest["previous"] != previous:
            yield Flaw.MANIFEST, f"{said('previous', manifest['previous'])}, the manifest before it is {previous}"
        if hour_file is not None:
            yield from _compare(manifest, hour_file)


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
