"""Verifying an archive: lines, hour files, ledgers, manifests, what retention did, each against itself and the others.

A recorder and the retention job may be at work meanwhile. So the record of what was deleted is read last: whatever was
gone before has its tombstone by then. Hour files are read by as many processes as there may be; what they find is put
together here, in order of paths.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Finding, Flaw, Rules
from l2_exporter.archive.inorder import in_order
from l2_exporter.archive.layout import HourPath, LedgerPath, Vault
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.verify_episode import EpisodeChecker
from l2_exporter.archive.verify_event_episodes import Missing
from l2_exporter.archive.verify_hour import HourJob, HourResult, each_numbered, places_of, run_job
from l2_exporter.archive.verify_ledger import LIVE, Book, LedgerChecker
from l2_exporter.archive.verify_line import EpisodeLine
from l2_exporter.archive.verify_manifest import HourContent, Link, ManifestChecker
from l2_exporter.archive.verify_record import RecordChecker, record_files
from l2_exporter.archive.verify_retained import Deleted, Found, Retained, plain_name
from l2_exporter.archive.verify_seals import Proofs, SealChecker
from l2_exporter.archive.verify_select import Selection, Venue, select, venue_of

PROCESSES_FROM_BYTES = 16 << 20
"""Less than this is read before another process has begun."""


def verify(paths: Iterable[Path], rules: Rules) -> Iterator[Defect]:
    """Yield everything that is wrong below the paths: vaults, folders below one, or single files.

    Raises:
        OSError: a path does not exist or cannot be listed. A file that cannot be read is a defect.
    """
    yield from Verification(select(paths), rules).run()


class Verification:
    """One run over a selection.

    Args:
        jobs: processes that read hour files; the defects and their order do not depend on it.
        proofs: what proves the continuity of each channel; those that are not in it are not checked.

    Attributes:
        files: files read so far; lines: their lines.
        not_live: manifests and ledger files that tell of lines not from the venue itself, each with the `origin`.
        deleted: what retention deleted, with a tombstone.
    """

    def __init__(
        self,
        selection: Selection,
        rules: Rules,
        file_done: Callable[[], None] = lambda: None,
        *,
        jobs: int = 1,
        proofs: Proofs | None = None,
    ) -> None:
        self.files = 0
        self.lines = 0
        self.not_live: list[tuple[Path, str]] = []
        self.deleted: list[Deleted] = []
        self._selection = selection
        self._rules = rules
        self._file_done = file_done
        self._jobs = jobs
        self._proofs = proofs or {}
        self._ledgers: dict[Venue, LedgerChecker] = {}
        self._seals: dict[Venue, SealChecker] = {}
        self._missing: list[tuple[Path, Missing]] = []
        self._sealed = {plain_name(manifest.path): manifest for manifest in selection.manifests}
        self._manifests: dict[Path, list[Defect]] = {}
        self._read: dict[Path, HourResult] = {}
        self._found = {root: Found() for root in selection.roots()}

    def run(self) -> Iterator[Defect]:
        """Yield the defects: of ledgers, hour files, manifests, retention, each kind in order of paths."""
        for path in self._selection.misnamed:
            yield Defect(path, 0, Flaw.FOREIGN_FILE, "readers would take it for a line file")
        for path in self._selection.links:
            yield Defect(path, 0, Flaw.LINK, "a symbolic link; what it leads to was not verified")
            self._count_file()
        yield from self._check_ledgers()
        yield from self._check_hours()
        for manifest in self._selection.manifests:
            known = self._manifests.get(plain_name(manifest.path))
            yield from self._check_manifest(manifest, []) if known is None else known
            self._count_file()
        for root, found in self._found.items():
            yield from self._check_retained(root, found)

    def _count_file(self) -> None:
        self.files += 1
        self._file_done()

    # ---- ledgers ----------------------------------------------------------------------------------------------------

    def _check_ledgers(self) -> Iterator[Defect]:
        """Read the whole ledger of every venue concerned, but report only on the files that were selected."""
        wanted = {ledger.path for ledger in self._selection.ledgers}
        selection = self._selection
        places: list[HourPath | LedgerPath] = [*selection.hours, *selection.manifests, *selection.ledgers]
        for venue in sorted({venue_of(place) for place in places}):
            root, name = venue
            checker = self._ledgers[venue] = LedgerChecker()
            self._seals[venue] = SealChecker(root, checker, self._rules, self._proofs)
            ledgers = [ledger for ledger in layout.iter_ledger_files(root) if ledger.venue == name]
            if not ledgers and self._needs_ledger(venue):
                folder = Vault(root).ledger_folder(name)
                yield Defect(folder, 0, Flaw.NO_LEDGER, f"{name} has hour files, and no ledger tells of them")
            for ledger in ledgers:
                found = list(_check_ledger(checker, ledger))
                if ledger.path in wanted:
                    yield from found
                    self._count_file()
            yield from (defect for defect in checker.finish() if defect.path in wanted)
            for path in sorted(checker.origins.keys() & wanted):
                self.not_live += [(path, origin) for origin in sorted(checker.origins[path])]

    def _needs_ledger(self, venue: Venue) -> bool:
        """Tell whether what was selected should have a ledger: a vault, a folder in one, but not a file by itself."""
        singles = self._selection.singles
        hours = [hour for hour in self._selection.hours if venue_of(hour) == venue]
        return (venue[0] / "meta").is_dir() or any(hour.path not in singles for hour in hours)

    # ---- hour files -------------------------------------------------------------------------------------------------

    def _check_hours(self) -> Iterator[Defect]:
        """Read the hour files, each or each book in a job of its own, and judge what is found in order of paths."""
        jobs = [*self._hour_jobs()]
        small = sum(_size(hour.path) for hour in self._selection.hours) < PROCESSES_FROM_BYTES
        processes = 1 if small else min(self._jobs, len(jobs))
        results = in_order(partial(run_job, self._rules), jobs, processes)
        episodes: dict[Venue, EpisodeChecker] = {}
        for job, found in zip(jobs, results, strict=True):
            for (hour, _), result in zip(job.hours, found, strict=True):
                venue = venue_of(hour)
                if venue not in episodes:
                    episodes[venue] = EpisodeChecker(self._ledgers[venue])
                if result is None:
                    self._found[venue[0]].vanished.append(hour.path)
                else:
                    yield from self._judge_hour(hour, result, episodes[venue])
                self._count_file()

    def _hour_jobs(self) -> Iterator[HourJob]:
        listed = {hour.path for hour in self._selection.hours}
        for (venue, kind, _), group in groupby(self._selection.hours, _book_of):
            hours = [(hour, places_of(hour, listed)) for hour in group]
            if kind is Kind.EVENTS:
                yield HourJob(tuple(hours), self._ledgers[venue])
            else:
                yield from (HourJob((hour,)) for hour in hours)

    def _judge_hour(self, hour: HourPath, result: HourResult, episodes: EpisodeChecker) -> Iterator[Defect]:
        """Yield what is wrong with an hour file, its lines held against those of the hours before too."""
        name = plain_name(hour.path)
        is_second = name in self._read
        told = [] if is_second else _check_episodes(hour, result, episodes)
        yield from heapq.merge(result.defects, told, key=_line_of)
        yield from result.tail
        if is_second:
            yield Defect(result.path, 0, Flaw.TWO_SUFFIXES, "the hour stands in another file too")
        self.lines += result.lines
        self._missing += [(result.path, missing) for missing in result.missing]
        self._read[name] = result
        if name in self._sealed and name not in self._manifests:
            self._manifests[name] = [*self._check_manifest(self._sealed[name], result.told)]
        result.defects, result.told = [], []  # a year of them would fill the memory
        digest = None if result.content is None else result.content.sha256
        self._found[venue_of(hour)[0]].hours.setdefault(name, []).append((result.path, digest))

    # ---- manifests --------------------------------------------------------------------------------------------------

    def _check_manifest(self, manifest: HourPath, told: Sequence[EpisodeLine]) -> Iterator[Defect]:
        """Yield what is wrong with a manifest.

        Args:
            told: the lines of its hour, if that was read.
        """
        venue = venue_of(manifest)
        found = self._found[venue[0]]
        name = plain_name(manifest.path)
        try:
            data = manifest.path.read_bytes()
        except FileNotFoundError:
            found.vanished.append(manifest.path)
            return
        except OSError as error:
            yield Defect(manifest.path, 0, Flaw.DAMAGED, str(error))
            return
        result = self._read.get(name)
        checker = ManifestChecker()
        findings = [*checker.check(manifest, data, _content_of(result))]
        if checker.fields is not None and checker.seal is not None and not findings:
            findings += self._seals[venue].check(manifest, checker.seal.digest, checker.fields, told)
        yield from (Defect(manifest.path, 0, *finding) for finding in findings)
        if checker.origin not in (None, LIVE):
            self.not_live.append((manifest.path, str(checker.origin)))
        if checker.seal is not None:
            found.links[name] = Link(checker.seal, manifest.path, 0)

    # ---- what is gone -----------------------------------------------------------------------------------------------

    def _check_retained(self, root: Path, found: Found) -> Iterator[Defect]:
        """Read the whole record of a vault, but report only on those of its files that were selected."""
        checker = RecordChecker(root)
        retained = Retained(root, found, self._selection.covers)
        for path in record_files(root):
            defects = list(_check_record(checker, retained, path))
            if self._selection.covers(path):
                yield from defects
                self._count_file()
        yield from retained.judge()
        for path, missing in self._missing:
            if path.is_relative_to(root) and all(map(retained.should_be_there, missing.files)):
                yield Defect(path, missing.line, *missing.finding)
        for venue, seals in self._seals.items():
            if venue[0] == root:
                yield from self._check_sealed(venue, seals, retained)
        self.deleted += retained.deleted.values()

    def _check_sealed(self, venue: Venue, seals: SealChecker, retained: Retained) -> Iterator[Defect]:
        """Yield manifests and whole hours of a venue that should be there."""
        root, name = venue
        vault = Vault(root)
        links = retained.links_of(name)
        stored: dict[Book, set[int]] = {}
        for place in self._selection.hours:
            if venue_of(place) == venue:
                stored.setdefault((place.dataset, place.inst), set()).add(place.hour)
        for book in sorted({*self._ledgers[venue].sealed, *stored, *links}):
            hours = links.get(book, {})
            places = {
                hour: vault.manifest_file(name, *book, hour) for hour in self._ledgers[venue].sealed.get(book, {})
            }
            asked = {
                hour: path
                for hour, path in places.items()
                if self._selection.covers(path) and not retained.tells_of_manifest(plain_name(path))
            }
            yield from seals.check_missing(book, {hour: link.seal.digest for hour, link in hours.items()}, asked)
            if self._selection.covers(vault.inst_folder(name, *book)):
                there = {*hours, *(hour for hour in stored.get(book, ()) if hour < max(hours, default=0))}
                for hour, detail in seals.holes(book, sorted(there)):
                    path = vault.manifest_file(name, *book, hour)
                    where = hours.get(hour)
                    yield Defect(where.path if where else path, where.line if where else 0, Flaw.HOLE, detail)
            yield from self._check_unsealed(venue, book, seals, retained, max(hours, default=None))

    def _check_unsealed(
        self, venue: Venue, book: Book, seals: SealChecker, retained: Retained, newest: int | None
    ) -> Iterator[Defect]:
        for place in self._selection.hours:
            name = plain_name(place.path)
            if (venue_of(place), place.dataset, place.inst) != (venue, *book) or name in self._sealed:
                continue
            result = self._read.get(name)
            if place.hour in self._ledgers[venue].sealed.get(book, {}):
                continue  # it is its manifest that is missing
            if result is None or result.content is None or not result.lines or retained.was_never_sealed(name):
                continue
            manifest = Vault(venue[0]).manifest_file(venue[1], *book, place.hour)
            if seals.should_be_sealed(book, place.hour, newest) and not manifest.exists():
                yield Defect(place.path, 0, Flaw.UNSEALED, "it has no manifest, and a later hour of its book has one")


def _book_of(hour: HourPath) -> tuple[Venue, Kind | None, tuple[str, str]]:
    return venue_of(hour), kind_of(hour.dataset), (hour.dataset, hour.inst)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it is gone, or will be a defect
        return 0


def _content_of(result: HourResult | None) -> HourContent | None:
    return None if result is None else result.content


def _line_of(defect: Defect) -> int:
    return defect.line


def _check_episodes(hour: HourPath, result: HourResult, episodes: EpisodeChecker) -> list[Defect]:
    if kind_of(hour.dataset) is Kind.EVENTS:
        return []
    checker = episodes.open(hour)
    return [
        Defect(result.path, line.number, *finding)
        for line in result.told
        for finding in checker.check(line, line.times)
    ]


def _check_ledger(checker: LedgerChecker, ledger: LedgerPath) -> Iterator[Defect]:
    for defect in each_numbered(ledger.path, lambda number, raw: checker.check(ledger, number, raw)):
        checker.is_whole = checker.is_whole and defect.reason not in (Flaw.DAMAGED, Flaw.TORN_TAIL)
        yield defect


def _check_record(checker: RecordChecker, retained: Retained, path: Path) -> Iterator[Defect]:
    def check(number: int, raw: bytes) -> Iterator[Finding]:
        yield from checker.check(path, number, raw)
        if checker.told is not None:
            retained.add(checker.told)

    yield from each_numbered(path, check)
