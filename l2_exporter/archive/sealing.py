"""Which hours are sealed when, in which order, and what each manifest names as the one before it.

Jobs run one at a time and in order, so that the manifests of a book are a chain. One that fails stays the first until
the disk takes it. Hours that an earlier run has left behind are found and sealed before the first one of this run.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import LINE_SUFFIXES, HourPath, Vault
from l2_exporter.archive.ledger import gap_records, started_settings
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.repair import repair_tail
from l2_exporter.archive.sealjob import Sealed, Sealing, seal_hour
from l2_exporter.archive.windows import AllWindows, Book
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.records import BookSpec, HourOver
from l2_exporter.core.timetext import HOUR_NS

log = logging.getLogger("l2_exporter.sealing")

FILES_OF_TOMBSTONES = 2
"""Of retention's record, the newest: it has a file for each day on which something was done."""

SEARCHES = 2


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
        self._jobs: deque[Sealing] = deque()
        self._orphans: deque[Sealing] = deque()
        self._chain: dict[Book, tuple[int, str]] = {}
        self._tombstones: dict[Book, tuple[int, str | None]] | None = None
        self._search: Callable[[], list[Sealing]] | None = None
        self._orphans_before = -1
        self._searches = 0

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
            self._jobs.append(sealing)

    def orphans_before(self, hour: int, at_ns: int | None, own: Mapping[Book, int]) -> None:
        """Have the hours sealed that earlier runs left behind, before any of this run's own.

        Twice a run: what was recorded last before the start may be over only when the venue's clock moves on.

        Args:
            own: the first hour of each book that this run has in hand: that and later ones are not looked at.
        """
        if hour > self._orphans_before and self._searches < SEARCHES:
            self._orphans_before = hour
            self._searches += 1
            self._search = partial(self._find_orphans, hour, at_ns, own)

    @property
    def waiting(self) -> int:
        """How many jobs there are, at least."""
        return len(self._jobs) + len(self._orphans) + (self._search is not None)

    # ---- the jobs, one at a time, in a thread of its own ------------------------------------------------------------

    def run_next(self) -> list[Sealed]:
        """Do the first job; it stays the first if it fails.

        Raises:
            OSError: the disk did not take it.
        """
        search = self._search
        if search is not None:
            self._orphans.extend(search())
            if self._search is search:
                self._search = None
            return []
        jobs = self._orphans or self._jobs
        done = self._seal(jobs[0])
        jobs.popleft()
        return done

    def _seal(self, sealing: Sealing) -> list[Sealed]:
        spec = sealing.spec
        book = (spec.dataset, spec.inst)
        if sealing.hour <= self.deleted_until(book):
            return []
        known, previous = self._previous(spec, sealing.hour)
        if not known:
            return []
        try:
            sealed = seal_hour(self._disk, self._vault, sealing, previous)
        except ArchiveError as error:
            # It holds what nobody can read: `verify` names it, and nobody can vouch for it.
            log.warning("%s %s is not sealed: %s", book, sealing.hour, error)
            return []
        except OSError as error:
            if sealing.by_run:
                raise
            # One old file that cannot be read must not hold up all others.
            log.warning("%s %s is not sealed: %s", book, sealing.hour, error)
            return []
        self._chain[book] = (sealing.hour, sealed.digest)
        return [sealed]

    def deleted_until(self, book: Book) -> int:
        """Tell the newest hour of a book that retention has deleted, -1 if none: older ones take no lines either."""
        return self._buried().get(book, (-1, None))[0]

    def _previous(self, spec: BookSpec, hour: int) -> tuple[bool, str | None]:
        """Find the digest of the manifest before an hour: in the vault, else in the newest tombstone.

        The first answer is False where the hour, or a later one, has its manifest: the chain has passed by.
        """
        book = (spec.dataset, spec.inst)
        held = self._chain.get(book)
        if held is not None:
            return held[0] < hour, held[1]
        folder = self._vault.inst_folder(spec.venue, *book)
        found = (layout.parse_manifest_path(path, self._vault.root) for path in folder.glob("*/*"))
        newest = max((each for each in found if each is not None), key=lambda each: each.hour, default=None)
        if newest is not None:
            return newest.hour < hour, _digest(newest)
        return True, self._tombstone_of(book)

    def _tombstone_of(self, book: Book) -> str | None:
        """Find the newest tombstone of a book, in whatever file of retention's record it stands."""
        for path in self._record_files():
            buried: dict[Book, tuple[int, str | None]] = {}
            self._bury_all(path, buried)
            if book in buried:
                return buried[book][1]
        return None

    def _record_files(self) -> list[Path]:
        """List the files of retention's record, newest first."""
        return sorted(self._vault.retention_file("2026-01-01").parent.glob("*.jsonl"), reverse=True)

    def _buried(self) -> dict[Book, tuple[int, str | None]]:
        """Read the newest tombstones, from the newest files of retention's record."""
        if self._tombstones is None:
            self._tombstones = {}
            for path in reversed(self._record_files()[:FILES_OF_TOMBSTONES]):
                self._bury_all(path, self._tombstones)
        return self._tombstones

    def _bury_all(self, path: Path, buried: dict[Book, tuple[int, str | None]]) -> None:
        for line in read_lines(path):
            if b'"action":"deleted"' in line and b'"what":"hour"' in line:
                self._bury(line, buried)

    def _bury(self, line: bytes, buried: dict[Book, tuple[int, str | None]]) -> None:
        try:
            told = orjson.loads(line)
            place = layout.parse_hour_path(self._vault.root / told["path"], self._vault.root)
            digest = told["manifest_sha256"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return  # `verify` names such a line
        if place is None or place.venue != self._venue:
            return
        book = (place.dataset, place.inst)
        held = buried.get(book, (-1, None))
        if place.hour >= held[0]:
            buried[book] = (place.hour, digest or held[1])

    # ---- orphans ----------------------------------------------------------------------------------------------------

    def _find_orphans(self, before: int, at_ns: int | None, own: Mapping[Book, int]) -> list[Sealing]:
        """Find plain hour files without a manifest, oldest first, and what the ledger knows of them."""
        manifests = {
            (place.dataset, place.inst, place.hour)
            for place in layout.iter_manifest_files(self._vault.root)
            if place.venue == self._venue
        }
        places = [
            place
            for place in layout.iter_hour_files(self._vault.root)
            if place.venue == self._venue
            and place.suffix == LINE_SUFFIXES[0]
            and place.hour < min(before, own.get((place.dataset, place.inst), before))
            and (place.dataset, place.inst, place.hour) not in manifests
        ]
        if not places:
            return []
        windows = AllWindows()
        for record, noted_ns in gap_records(self._vault, self._venue):
            windows.noted(record, noted_ns)
        settings = [*started_settings(self._vault, self._venue)]
        found = (self._orphan(place, windows, settings, at_ns) for place in places)
        return [sealing for sealing in found if sealing is not None]

    def _orphan(
        self,
        place: HourPath,
        windows: AllWindows,
        settings: Sequence[tuple[int, str, int | None]],
        at_ns: int | None,
    ) -> Sealing | None:
        spec = self._described(place)
        if spec is None:
            return None
        begun = [each for each in settings if each[0] < (place.hour + 1) * HOUR_NS]
        origin, cadence_ms = begun[-1][1:] if begun else ("live", None)
        return Sealing(
            spec=spec,
            hour=place.hour,
            at_ns=at_ns,
            origin=origin,
            continuity=self._continuity_of(spec.channel),
            cadence_ms=cadence_ms,
            windows=windows.of((spec.dataset, spec.inst)).of_hour(place.hour),
            messages=None,
            checksums=None,
            by_run=False,
        )

    def _described(self, place: HourPath) -> BookSpec | None:
        """Learn from a file's own first line how it was written, its torn end cut; None if it cannot be read."""
        torn = self._vault.torn_file(place.venue, place.dataset, place.inst, place.hour)
        try:
            repair_tail(self._disk, place.path, torn)
            first = next(iter(read_lines(place.path)), None)
            if first is None:
                return None  # a loss of power can leave an empty file: there is nothing to vouch for
            line = orjson.loads(first)
            depths = [int(name.removeprefix("bids_top")) for name in line if name.startswith("bids_top")]
            decimals = len(line["timestamp_utc"].partition(".")[2]) - 1
            market, channel = str(line["market"]), str(line["channel"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            log.warning("%s is not sealed: %s", place.path, error)
            return None  # nobody can say what it is; `verify` names it
        depth = depths[0] if depths else 0
        return BookSpec(place.venue, market, place.dataset, channel, place.inst, depth, decimals)


def _digest(manifest: HourPath) -> str:
    return hashlib.sha256(manifest.path.read_bytes()).hexdigest()
