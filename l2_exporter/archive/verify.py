"""Verifying an archive: lines, hour files, ledgers, manifests, what retention did, each against itself and the others.

A recorder and the retention job may be at work meanwhile. So the record of what was deleted is read last: whatever was
gone before has its tombstone by then.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, Rules
from l2_exporter.archive.layout import HourPath, LedgerPath
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.stored import read_object
from l2_exporter.archive.verify_episode import EpisodeChecker
from l2_exporter.archive.verify_event_episodes import Missing
from l2_exporter.archive.verify_events import EventsChecker
from l2_exporter.archive.verify_ledger import LIVE, LedgerChecker
from l2_exporter.archive.verify_line import HourChecker
from l2_exporter.archive.verify_manifest import HourSummary, Link, ManifestChecker
from l2_exporter.archive.verify_order_hours import OrderHour, OrderHours
from l2_exporter.archive.verify_orders import BooksChecker
from l2_exporter.archive.verify_record import RecordChecker, record_files
from l2_exporter.archive.verify_retained import Deleted, Found, Retained, plain_name
from l2_exporter.archive.verify_select import Selection, Venue, select, venue_of
from l2_exporter.core.errors import ArchiveError

Check = Callable[[bytes], Iterator[Defect | Finding]]
"""Yields what is wrong with the next line of a file, or with a line elsewhere."""


def verify(paths: Iterable[Path], rules: Rules) -> Iterator[Defect]:
    """Yield everything that is wrong below the paths: vaults, folders below one, or single files.

    Raises:
        OSError: a path does not exist or cannot be listed. A file that cannot be read is a defect.
    """
    yield from Verification(select(paths), rules).run()


class Verification:
    """One run over a selection.

    Attributes:
        files: files read so far; lines: their lines.
        not_live: manifests and ledger files that tell of lines not from the venue itself, each with the `origin`.
        deleted: what retention deleted, with a tombstone.
    """

    def __init__(self, selection: Selection, rules: Rules, file_done: Callable[[], None] = lambda: None) -> None:
        self.files = 0
        self.lines = 0
        self.not_live: list[tuple[Path, str]] = []
        self.deleted: list[Deleted] = []
        self._selection = selection
        self._rules = rules
        self._file_done = file_done
        self._episodes: dict[Venue, EpisodeChecker] = {}
        self._orders: dict[Venue, OrderHours] = {}
        self._missing: list[tuple[Path, Missing]] = []
        self._sealed = {plain_name(manifest.path) for manifest in selection.manifests}
        self._summaries: dict[Path, HourSummary | None] = {}
        self._found = {root: Found() for root in selection.roots()}

    def run(self) -> Iterator[Defect]:
        """Yield the defects: of ledgers, hour files, manifests, retention, each kind in order of paths."""
        for path in self._selection.misnamed:
            yield Defect(path, 0, Flaw.FOREIGN_FILE, "readers would take it for a line file")
        for path in self._selection.links:
            yield Defect(path, 0, Flaw.LINK, "a symbolic link; what it leads to was not verified")
            self._count_file()
        yield from self._check_ledgers()
        for hour in self._selection.hours:
            yield from self._check_hour(hour)
            self._count_file()
        for manifest in self._selection.manifests:
            yield from self._check_manifest(manifest)
            self._count_file()
        for root, found in self._found.items():
            yield from self._check_retained(root, found)

    def _count_file(self) -> None:
        self.files += 1
        self._file_done()

    def _check_ledgers(self) -> Iterator[Defect]:
        """Read the whole ledger of every venue concerned, but report only on the files that were selected."""
        wanted = {ledger.path for ledger in self._selection.ledgers}
        places: list[HourPath | LedgerPath] = [*self._selection.hours, *self._selection.ledgers]
        for venue in sorted({venue_of(place) for place in places}):
            root, name = venue
            checker = LedgerChecker()
            self._episodes[venue] = EpisodeChecker(checker)
            hours = [hour for hour in self._selection.hours if venue_of(hour) == venue]
            self._orders[venue] = OrderHours(checker, self._rules, hours)
            ledgers = [ledger for ledger in layout.iter_ledger_files(root) if ledger.venue == name]
            if not ledgers and self._needs_ledger(venue):
                folder = layout.Vault(root).ledger_folder(name)
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

    def _check_hour(self, hour: HourPath) -> Iterator[Defect]:
        """Check an hour file, or what retention has made of it since it was listed."""
        for place in self._places(hour):
            try:
                yield from self._read_hour(place)
            except FileNotFoundError:
                continue
            return
        self._found[venue_of(hour)[0]].vanished.append(hour.path)

    def _places(self, hour: HourPath) -> Iterator[HourPath]:
        """Yield where an hour file is, and where it may be if it is gone from there."""
        yield hour
        listed = {other.path for other in self._selection.hours}
        for suffix in layout.LINE_SUFFIXES[1:]:
            path = plain_name(hour.path).with_suffix(suffix)
            if path not in listed:
                yield replace(hour, path=path, suffix=suffix)

    def _read_hour(self, hour: HourPath) -> Iterator[Defect]:
        """Check an hour file.

        Raises:
            FileNotFoundError: it is gone; nothing was yielded.
        """
        name = plain_name(hour.path)
        is_second = name in self._summaries
        summary = HourSummary()
        whole = True
        check = self._line_check(hour, summary, is_second=is_second)
        for defect in _each_line(hour.path, check, summary):
            whole = whole and defect.reason is not Flaw.DAMAGED
            yield defect
        if isinstance(check, OrderHour):
            yield from (_at(hour.path, summary.lines, found) for found in check.finish(is_whole=whole))
            self._missing += [(hour.path, missing) for missing in check.missing]
        if is_second:
            yield Defect(hour.path, 0, Flaw.TWO_SUFFIXES, "the hour stands in another file too")
        self.lines += summary.lines
        self._summaries[name] = summary if whole and name in self._sealed else None
        copies = self._found[venue_of(hour)[0]].hours.setdefault(name, [])
        copies.append((hour.path, summary.digest.hexdigest() if whole else None))

    def _line_check(self, hour: HourPath, summary: HourSummary, *, is_second: bool) -> Check:
        """Choose the check of a dataset."""
        kind = kind_of(hour.dataset)
        if kind is None:
            return _check_object
        if kind is Kind.EVENTS:
            if is_second:
                return EventsChecker(hour, self._rules).check
            return self._orders[venue_of(hour)].open(hour, summary)
        checker = (BooksChecker if kind is Kind.BOOKS else HourChecker)(hour, self._rules)
        episodes = None if is_second else self._episodes[venue_of(hour)].open(hour)

        def check(raw: bytes) -> Iterator[Finding]:
            yield from checker.check(raw)
            if checker.line is not None:
                summary.add_line(checker.line)
                if checker.times is not None and episodes is not None:
                    yield from episodes.check(checker.line, checker.times)

        return check

    def _check_manifest(self, manifest: HourPath) -> Iterator[Defect]:
        found = self._found[venue_of(manifest)[0]]
        name = plain_name(manifest.path)
        try:
            data = manifest.path.read_bytes()
        except FileNotFoundError:
            found.vanished.append(manifest.path)
            return
        except OSError as error:
            yield Defect(manifest.path, 0, Flaw.DAMAGED, str(error))
            return
        checker = ManifestChecker()
        for reason, detail in checker.check(manifest, data, self._summaries.get(name)):
            yield Defect(manifest.path, 0, reason, detail)
        if checker.origin not in (None, LIVE):
            self.not_live.append((manifest.path, str(checker.origin)))
        if checker.seal is not None:
            found.links[name] = Link(checker.seal, manifest.path, 0)

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
        self.deleted += retained.deleted.values()


def _check_ledger(checker: LedgerChecker, ledger: LedgerPath) -> Iterator[Defect]:
    for defect in _each_numbered(ledger.path, lambda number, raw: checker.check(ledger, number, raw)):
        checker.is_whole = checker.is_whole and defect.reason not in (Flaw.DAMAGED, Flaw.TORN_TAIL)
        yield defect


def _check_record(checker: RecordChecker, retained: Retained, path: Path) -> Iterator[Defect]:
    def check(number: int, raw: bytes) -> Iterator[Finding]:
        yield from checker.check(path, number, raw)
        if checker.told is not None:
            retained.add(checker.told)

    yield from _each_numbered(path, check)


def _check_object(raw: bytes) -> Iterator[Finding]:
    try:
        read_object(raw)
    except FlawError as flaw:
        yield flaw.finding


def _each_numbered(path: Path, check: Callable[[int, bytes], Iterator[Finding]]) -> Iterator[Defect]:
    """Check the lines of a file whose check is told their number; the file itself must be there."""
    summary = HourSummary()
    try:
        yield from _each_line(path, lambda raw: check(summary.lines, raw), summary)
    except FileNotFoundError as error:
        yield Defect(path, 0, Flaw.DAMAGED, str(error))


def _at(path: Path, line: int, found: Defect | Finding) -> Defect:
    """Say where a finding was made; a defect says so itself."""
    return found if isinstance(found, Defect) else Defect(path, line, *found)


def _each_line(path: Path, check: Check, summary: HourSummary) -> Iterator[Defect]:
    """Check the lines of one file and sum up their bytes; the end of a file that is torn or damaged is a defect.

    Raises:
        FileNotFoundError: it is gone; nothing was yielded.
    """
    torn: list[bytes] = []
    try:
        for raw in read_lines(path, torn.append):
            summary.lines += 1
            summary.add_bytes(raw + b"\n")
            for found in check(raw):
                yield _at(path, summary.lines, found)
    except FileNotFoundError:
        raise
    except (ArchiveError, OSError) as error:
        yield Defect(path, 0, Flaw.DAMAGED, str(error))
    for rest in torn:
        summary.add_bytes(rest)
        yield Defect(path, summary.lines + 1, Flaw.TORN_TAIL, f"{len(rest)} bytes without an end of line")
