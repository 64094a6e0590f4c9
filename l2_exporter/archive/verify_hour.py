"""Reading the hour files: what can be said of each without its neighbours, so that every core can read one.

A job needs nothing but the files and what it is given, and what it finds is small: defects, what the file holds, and
of each line what its episode shows. Events of orders build upon the hour before, so a book of them is one job.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, Rules
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.stored import StoredLine, read_object
from l2_exporter.archive.verify_event_episodes import Missing
from l2_exporter.archive.verify_events import EventsChecker
from l2_exporter.archive.verify_ledger import LedgerChecker
from l2_exporter.archive.verify_line import EpisodeLine, HourChecker, LineTimes
from l2_exporter.archive.verify_manifest import HourContent, HourSummary
from l2_exporter.archive.verify_order_hours import OrderHours
from l2_exporter.archive.verify_orders import BooksChecker
from l2_exporter.archive.verify_retained import plain_name
from l2_exporter.core.errors import ArchiveError

Check = Callable[[bytes], Iterator[Defect | Finding]]
"""Yields what is wrong with the next line of a file, or with a line elsewhere."""


@dataclass(slots=True)
class HourResult:
    """What the reading of one hour file has shown.

    Attributes:
        path: the file that was read; content: what it holds, None if it is damaged.
        defects: of its lines, in their order; tail: of its end.
        told: its lines, for whoever knows the hours before; of order events none.
        missing: lines that are missing with whole hours before this one.
    """

    path: Path
    lines: int = 0
    content: HourContent | None = None
    defects: list[Defect] = field(default_factory=list)
    tail: list[Defect] = field(default_factory=list)
    told: list[EpisodeLine] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HourJob:
    """Hour files that are read one after the other: one of them, or all of a book of order events.

    Attributes:
        hours: each with the places where it may be, if retention has made something else of it since it was listed.
        ledger: of a book of order events, what it is held against.
    """

    hours: tuple[tuple[HourPath, tuple[HourPath, ...]], ...]
    ledger: LedgerChecker | None = None


def run_job(rules: Rules, job: HourJob) -> list[HourResult | None]:
    """Read the files of a job; None for one that is gone."""
    if job.ledger is None:
        return [_read_snapshots(rules, places) for _, places in job.hours]
    orders = OrderHours(job.ledger, rules, [hour for hour, _ in job.hours])
    results: list[HourResult | None] = []
    seen: set[Path] = set()
    for hour, places in job.hours:
        result = _read_events(rules, places, None if plain_name(hour.path) in seen else orders)
        if result is not None:
            seen.add(plain_name(hour.path))
        results.append(result)
    return results


def places_of(hour: HourPath, listed: set[Path]) -> tuple[HourPath, ...]:
    """Tell where an hour file is, and where it may be if it is gone from there."""
    others = []
    for suffix in layout.LINE_SUFFIXES[1:]:
        path = plain_name(hour.path).with_suffix(suffix)
        if path not in listed:
            others.append(replace(hour, path=path, suffix=suffix))
    return (hour, *others)


def _read_snapshots(rules: Rules, places: Sequence[HourPath]) -> HourResult | None:
    for place in places:
        result, summary = HourResult(place.path), HourSummary()
        try:
            _read(result, summary, _line_check(rules, place, result, summary))
        except FileNotFoundError:
            continue
        return result
    return None


def _read_events(rules: Rules, places: Sequence[HourPath], orders: OrderHours | None) -> HourResult | None:
    """Read a file of order events; without `orders`, that of an hour whose other file was read, each line by itself."""
    for place in places:
        result, summary = HourResult(place.path), HourSummary()
        try:
            if orders is None:
                _read(result, summary, EventsChecker(place, rules).check)
                return result
            hour = orders.open(place, summary)
            _read(result, summary, hour)
        except FileNotFoundError:
            continue
        whole = result.content is not None
        result.defects += [at(place.path, summary.lines, found) for found in hour.finish(is_whole=whole)]
        result.missing += hour.missing
        return result
    return None


def _line_check(rules: Rules, hour: HourPath, result: HourResult, summary: HourSummary) -> Check:
    """Choose the check of a dataset of snapshot lines."""
    kind = kind_of(hour.dataset)
    if kind is None:
        return _check_object
    checker = (BooksChecker if kind is Kind.BOOKS else HourChecker)(hour, rules)

    def check(raw: bytes) -> Iterator[Finding]:
        yield from checker.check(raw)
        if checker.line is not None:
            summary.add_line(checker.line)
            if checker.times is not None:
                result.told.append(_without_levels(checker.line, checker.times, summary.lines))

    return check


def _without_levels(line: StoredLine, times: LineTimes, number: int) -> EpisodeLine:
    said = (line.timestamp_utc, line.live_since_utc, line.inst, line.seq, line.prev_seq, line.gap, line.flags)
    return EpisodeLine(number, times, *said)


def _check_object(raw: bytes) -> Iterator[Finding]:
    try:
        read_object(raw)
    except FlawError as flaw:
        yield flaw.finding


def _read(result: HourResult, summary: HourSummary, check: Check) -> None:
    """Read one file.

    Raises:
        FileNotFoundError: it is gone; nothing was found.
    """
    whole = True
    for defect in each_line(result.path, check, summary):
        whole = whole and defect.reason is not Flaw.DAMAGED
        last = defect.reason in (Flaw.DAMAGED, Flaw.TORN_TAIL)
        (result.tail if last else result.defects).append(defect)
    result.lines = summary.lines
    result.content = summary.end() if whole else None


def each_numbered(path: Path, check: Callable[[int, bytes], Iterator[Finding]]) -> Iterator[Defect]:
    """Check the lines of a file whose check is told their number; the file itself must be there."""
    summary = HourSummary()
    try:
        yield from each_line(path, lambda raw: check(summary.lines, raw), summary)
    except FileNotFoundError as error:
        yield Defect(path, 0, Flaw.DAMAGED, str(error))


def at(path: Path, line: int, found: Defect | Finding) -> Defect:
    """Say where a finding was made; a defect says so itself."""
    return found if isinstance(found, Defect) else Defect(path, line, *found)


def each_line(path: Path, check: Check, summary: HourSummary) -> Iterator[Defect]:
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
                yield at(path, summary.lines, found)
    except FileNotFoundError:
        raise
    except (ArchiveError, OSError) as error:
        yield Defect(path, 0, Flaw.DAMAGED, str(error))
    for rest in torn:
        summary.add_bytes(rest)
        yield Defect(path, summary.lines + 1, Flaw.TORN_TAIL, f"{len(rest)} bytes without an end of line")
