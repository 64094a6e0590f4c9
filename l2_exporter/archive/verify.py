"""Verifying an archive: every line, hour file, ledger and manifest, each against itself and against the others."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, Rules
from l2_exporter.archive.layout import HourPath, LedgerPath
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.stored import read_object
from l2_exporter.archive.verify_episode import EpisodeChecker
from l2_exporter.archive.verify_ledger import LIVE, LedgerChecker
from l2_exporter.archive.verify_line import HourChecker
from l2_exporter.archive.verify_manifest import HourSummary, ManifestChecker
from l2_exporter.archive.verify_select import Selection, Venue, select, venue_of
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.venue import DATASETS

HourKey = tuple[Venue, str, str, int]


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
    """

    def __init__(self, selection: Selection, rules: Rules, file_done: Callable[[], None] = lambda: None) -> None:
        self.files = 0
        self.lines = 0
        self.not_live: list[tuple[Path, str]] = []
        self._selection = selection
        self._rules = rules
        self._file_done = file_done
        self._episodes: dict[Venue, EpisodeChecker] = {}
        self._sealed = {_hour_key(manifest) for manifest in selection.manifests}
        self._summaries: dict[HourKey, HourSummary | None] = {}

    def run(self) -> Iterator[Defect]:
        """Yield the defects: ledgers first, then hour files, then manifests, each kind in order of paths."""
        for path in self._selection.misnamed:
            yield Defect(path, 0, Flaw.FOREIGN_FILE, "readers would take it for a line file")
        for path in self._selection.links:
            yield Defect(path, 0, Flaw.LINK, "a symbolic link; what it leads to was not verified")
            self._count_file()
        yield from self._check_ledgers()
        for hour in self._selection.hours:
            yield from self._check_hour(hour)
            self._count_file()
        manifests = ManifestChecker()
        for manifest in self._selection.manifests:
            yield from self._check_manifest(manifests, manifest)
            self._count_file()

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
        key = _hour_key(hour)
        is_second = key in self._summaries
        if is_second:
            yield Defect(hour.path, 0, Flaw.TWO_SUFFIXES, "the hour stands in another file too")
        summary = HourSummary()
        whole = True
        for defect in _each_line(hour.path, self._line_check(hour, summary, is_second=is_second), summary):
            whole = whole and defect.reason is not Flaw.DAMAGED
            yield defect
        self.lines += summary.lines
        self._summaries[key] = summary if whole and key in self._sealed else None

    def _line_check(
        self, hour: HourPath, summary: HourSummary, *, is_second: bool
    ) -> Callable[[bytes], Iterator[Finding]]:
        """Choose the check of a dataset: only price levels have a contract for their lines."""
        if hour.dataset.partition(".")[0] not in DATASETS.values():
            return _check_object
        checker = HourChecker(hour, self._rules)
        episodes = None if is_second else self._episodes[venue_of(hour)].open(hour)

        def check(raw: bytes) -> Iterator[Finding]:
            yield from checker.check(raw)
            if checker.line is not None:
                summary.add_line(checker.line)
                if checker.times is not None and episodes is not None:
                    yield from episodes.check(checker.line, checker.times)

        return check

    def _check_manifest(self, checker: ManifestChecker, manifest: HourPath) -> Iterator[Defect]:
        try:
            data = manifest.path.read_bytes()
        except OSError as error:
            yield Defect(manifest.path, 0, Flaw.DAMAGED, str(error))
            return
        for reason, detail in checker.check(manifest, data, self._summaries.get(_hour_key(manifest))):
            yield Defect(manifest.path, 0, reason, detail)
        if checker.origin not in (None, LIVE):
            self.not_live.append((manifest.path, str(checker.origin)))


def _hour_key(hour: HourPath) -> HourKey:
    return venue_of(hour), hour.dataset, hour.inst, hour.hour


def _check_ledger(checker: LedgerChecker, ledger: LedgerPath) -> Iterator[Defect]:
    summary = HourSummary()
    for defect in _each_line(ledger.path, lambda raw: checker.check(ledger, summary.lines, raw), summary):
        checker.is_whole = checker.is_whole and defect.reason not in (Flaw.DAMAGED, Flaw.TORN_TAIL)
        yield defect


def _check_object(raw: bytes) -> Iterator[Finding]:
    try:
        read_object(raw)
    except FlawError as flaw:
        yield flaw.finding


def _each_line(path: Path, check: Callable[[bytes], Iterator[Finding]], summary: HourSummary) -> Iterator[Defect]:
    """Check the lines of one file and sum up their bytes; the end of a file that is torn or damaged is a defect."""
    torn: list[bytes] = []
    try:
        for raw in read_lines(path, torn.append):
            summary.lines += 1
            summary.add_bytes(raw + b"\n")
            for reason, detail in check(raw):
                yield Defect(path, summary.lines, reason, detail)
    except (ArchiveError, OSError) as error:
        yield Defect(path, 0, Flaw.DAMAGED, str(error))
    for rest in torn:
        summary.add_bytes(rest)
        yield Defect(path, summary.lines + 1, Flaw.TORN_TAIL, f"{len(rest)} bytes without an end of line")
