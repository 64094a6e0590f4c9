"""Which hours are sealed when, in which order, and what each manifest names as the one before it.

Jobs run one at a time and in order, so that the manifests of a book are a chain. One that fails stays the first until
the disk takes it. Hours that an earlier run has left behind are found and sealed before the first one of this run.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import HourPath, Vault
from l2_exporter.archive.ledger import gap_records, started_settings
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.repair import repair_tail
from l2_exporter.archive.sealjob import Sealed, Sealing, seal_hour
from l2_exporter.archive.windows import AllWindows, Book
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.records import BookSpec, HourOver
from l2_exporter.core.timetext import HOUR_NS

FILES_OF_TOMBSTONES = 2
"""Of retention's record, the newest: it has a file for each day on which something was done."""

Work = Callable[[], list[Sealed]]


@dataclass(frozen=True, slots=True)
class Orphan:
    """An hour that an earlier run has begun, and nobody has sealed."""

    hour: HourPath
    spec: BookSpec


class Seals:
    """The sealing of one venue's hours.

    Args:
        continuity_of: tells what proves a channel's continuity.
        is_continued: tells whether an hour file holds lines of an earlier run too.

    Attributes:
        windows: what the ledger says of every book.
    """

    def __init__(
        self,
        disk: Disk,
        vault: Vault,
        venue: str,
        continuity_of: Callable[[str], str],
        is_continued: Callable[[BookSpec, int], bool],
    ) -> None:
        self.windows = AllWindows()
        self._disk = disk
        self._vault = vault
        self._venue = venue
        self._continuity_of = continuity_of
        self._is_continued = is_continued
        self._jobs: deque[Work] = deque()
        self._chain: dict[Book, tuple[int, str]] = {}
        self._tombstones: dict[Book, tuple[int, str | None]] | None = None
        self._orphans_job: Work | None = None
        self._looked_for_orphans = False

    # ---- on the loop ------------------------------------------------------------------------------------------------

    def over(self, record: HourOver, origin: str) -> None:
        """Have an hour sealed."""
        for spec, cadence_ms in record.datasets:
            windows = self.windows.of((spec.dataset, spec.inst))
            whole = not self._is_continued(spec, record.hour)
            sealing = Sealing(
                spec=spec,
                hour=record.hour,
                at_ns=record.at_ns,
                origin=origin,
                continuity=self._continuity_of(spec.channel),
                cadence_ms=cadence_ms,
                windows=windows.of_hour(record.hour),
                messages=record.messages if whole else None,
                checksums=record.checksums if whole else None,
                by_run=True,
            )
            windows.prune((record.hour + 1) * HOUR_NS)
            self._jobs.append(partial(self._seal, sealing))

    def orphans_before(self, hour: int, at_ns: int | None) -> None:
        """Have the hours sealed that earlier runs left behind, once a run and before any of its own."""
        if not self._looked_for_orphans:
            self._looked_for_orphans = True
            self._orphans_job = lambda: self._seal_orphans(hour, at_ns)

    @property
    def waiting(self) -> int:
        """How many jobs there are."""
        return len(self._jobs) + (self._orphans_job is not None)

    # ---- the job, one at a time, in a thread of its own -------------------------------------------------------------

    def run_next(self) -> list[Sealed]:
        """Do the first job; it stays the first if it fails.

        Raises:
            OSError: the disk did not take it.
        """
        if self._orphans_job is not None:
            done = self._orphans_job()
            self._orphans_job = None
        else:
            done = self._jobs[0]()
            self._jobs.popleft()
        return done

    def _seal(self, sealing: Sealing) -> list[Sealed]:
        spec = sealing.spec
        book = (spec.dataset, spec.inst)
        if self._vault.manifest_file(spec.venue, *book, sealing.hour).exists():
            return []
        if sealing.hour <= self.deleted_until(book):
            return []
        try:
            sealed = seal_hour(self._disk, self._vault, sealing, self._previous(spec, sealing.hour))
        except ArchiveError:
            return []  # compressed already, and damaged: `verify` names it, and nobody can vouch for it
        self._chain[book] = (sealing.hour, sealed.digest)
        return [sealed]

    def deleted_until(self, book: Book) -> int:
        """Tell the newest hour of a book that retention has deleted, -1 if none: older ones take no lines either."""
        return self._buried().get(book, (-1, None))[0]

    def _previous(self, spec: BookSpec, hour: int) -> str | None:
        """Find the digest of the manifest before an hour: in the vault, else in the newest tombstone."""
        book = (spec.dataset, spec.inst)
        held = self._chain.get(book)
        if held is not None and held[0] < hour:
            return held[1]
        folder = self._vault.inst_folder(spec.venue, *book)
        found = (layout.parse_manifest_path(path, self._vault.root) for path in folder.glob("*/*"))
        before = [manifest for manifest in found if manifest is not None and manifest.hour < hour]
        if before:
            return _digest(max(before, key=lambda manifest: manifest.hour))
        return self._buried().get(book, (-1, None))[1]

    def _buried(self) -> dict[Book, tuple[int, str | None]]:
        """Read the newest tombstone of each book, from the newest files of retention's record."""
        if self._tombstones is None:
            self._tombstones = {}
            folder = self._vault.retention_file("2026-01-01").parent
            for path in sorted(folder.glob("*.jsonl"))[-FILES_OF_TOMBSTONES:]:
                for line in read_lines(path):
                    if b'"action":"deleted"' in line and b'"what":"hour"' in line:
                        self._bury(line)
        return self._tombstones

    def _bury(self, line: bytes) -> None:
        try:
            told = orjson.loads(line)
            place = layout.parse_hour_path(self._vault.root / told["path"], self._vault.root)
            digest = told["manifest_sha256"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return  # `verify` names such a line
        if place is None or place.venue != self._venue or self._tombstones is None:
            return
        book = (place.dataset, place.inst)
        held = self._tombstones.get(book, (-1, None))
        if place.hour >= held[0]:
            self._tombstones[book] = (place.hour, digest or held[1])

    # ---- orphans ----------------------------------------------------------------------------------------------------

    def _seal_orphans(self, before: int, at_ns: int | None) -> list[Sealed]:
        orphans = [*self._orphans(before)]
        if not orphans:
            return []
        windows = AllWindows()
        for record, noted_ns in gap_records(self._vault, self._venue):
            windows.noted(record, noted_ns)
        settings = [*started_settings(self._vault, self._venue)]
        sealed = []
        for orphan in orphans:
            spec, hour = orphan.spec, orphan.hour.hour
            begun = [each for each in settings if each[0] < (hour + 1) * HOUR_NS]
            origin, cadence_ms = begun[-1][1:] if begun else ("live", None)
            sealing = Sealing(
                spec=spec,
                hour=hour,
                at_ns=at_ns,
                origin=origin,
                continuity=self._continuity_of(spec.channel),
                cadence_ms=cadence_ms,
                windows=windows.of((spec.dataset, spec.inst)).of_hour(hour),
                messages=None,
                checksums=None,
                by_run=False,
            )
            sealed += self._seal(sealing)
        return sealed

    def _orphans(self, before: int) -> Iterator[Orphan]:
        """Find plain hour files without a manifest, oldest first; a torn end is cut."""
        manifests = {
            (place.dataset, place.inst, place.hour)
            for place in layout.iter_manifest_files(self._vault.root)
            if place.venue == self._venue
        }
        for place in layout.iter_hour_files(self._vault.root):
            key = (place.dataset, place.inst, place.hour)
            if place.venue != self._venue or place.suffix != ".jsonl" or place.hour >= before or key in manifests:
                continue
            spec = self._described(place)
            if spec is not None:
                yield Orphan(place, spec)

    def _described(self, place: HourPath) -> BookSpec | None:
        """Learn from a file's own first line how it was written; None if it holds none."""
        torn = self._vault.torn_file(place.venue, place.dataset, place.inst, place.hour)
        repair_tail(self._disk, place.path, torn)
        try:
            first = next(iter(read_lines(place.path)), None)
            line = orjson.loads(first or b"null")
            depths = [int(name.removeprefix("bids_top")) for name in line if name.startswith("bids_top")]
            decimals = len(line["timestamp_utc"].partition(".")[2]) - 1
            market, channel = str(line["market"]), str(line["channel"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return None  # nobody can say what it is; `verify` names it
        depth = depths[0] if depths else 0
        return BookSpec(place.venue, market, place.dataset, channel, place.inst, depth, decimals)


def _digest(manifest: HourPath) -> str:
    return hashlib.sha256(manifest.path.read_bytes()).hexdigest()
