"""Hour files of order events checked together with the lines of books and levels that lie in the same hour."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from l2_exporter.archive.defects import Defect, Finding, Flaw, Rules
from l2_exporter.archive.layout import LINE_SUFFIXES, HourPath, Vault
from l2_exporter.archive.orders import Kind, books_beside, kind_of, levels_beside
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.stored import StoredLine
from l2_exporter.archive.verify_ahead import Ahead, NumberedLines, read_book, read_levels
from l2_exporter.archive.verify_event_episodes import EventTrails, HourEvents, Missing
from l2_exporter.archive.verify_events import EventsChecker
from l2_exporter.archive.verify_ledger import Book, LedgerChecker
from l2_exporter.archive.verify_manifest import HourSummary
from l2_exporter.archive.verify_replayed import Replayer
from l2_exporter.core.errors import ArchiveError

T = TypeVar("T")

_ROOT_AT = 5
"""How many folders below the root an hour file lies."""


class OrderHours:
    """Checks the hour files of order events of one venue, given in order of their paths.

    Args:
        hours: all that were selected of the venue.
    """

    def __init__(self, ledger: LedgerChecker, rules: Rules, hours: Iterable[HourPath]) -> None:
        self._ledger = ledger
        self._rules = rules
        self._book: Book | None = None
        self._trails = EventTrails()
        self._replayer = Replayer()
        self._newest: dict[Book, int] = {}
        for hour in hours:
            if kind_of(hour.dataset) is Kind.EVENTS:
                book = (hour.dataset, hour.inst)
                self._newest[book] = max(hour.hour, self._newest.get(book, 0))

    def open(self, hour: HourPath, summary: HourSummary) -> "OrderHour":
        """Begin the next hour file."""
        book = (hour.dataset, hour.inst)
        if self._book != book:
            self._book, self._trails, self._replayer = book, EventTrails(), Replayer()
        newest = hour.hour >= self._newest.get(book, 0)
        chain = self._ledger.chains.get(book)
        events = HourEvents(self._ledger, chain, hour, self._trails, newest=newest)
        books = _ahead(hour, [books_beside(hour.dataset)], read_book)
        levels = _ahead(hour, levels_beside(hour.venue, hour.dataset, self._rules), read_levels)
        self._replayer.open(books, levels, chain)
        may_grow = newest and self._ledger.is_going_on
        return OrderHour(EventsChecker(hour, self._rules), events, self._replayer, summary, may_grow=may_grow)


class OrderHour:
    """One hour file.

    Attributes:
        missing: lines that are missing with whole hours before this one.
    """

    def __init__(
        self, checker: EventsChecker, events: HourEvents, replayer: Replayer, summary: HourSummary, *, may_grow: bool
    ) -> None:
        self._checker = checker
        self._events = events
        self._replayer = replayer
        self._summary = summary
        self._may_grow = may_grow

    @property
    def missing(self) -> list[Missing]:
        return self._events.missing

    def __call__(self, raw: bytes) -> Iterator[Defect | Finding]:
        """Yield what is wrong with the next line, and with lines of the other datasets that lie before it."""
        checker = self._checker
        reasons = []
        for finding in checker.check(raw):
            reasons.append(finding[0])
            yield finding
        event = checker.event
        if event is None:
            if Flaw.ORDER not in reasons:  # a line that stands twice is missing nowhere
                self._events.unread()
                self._replayer.unread()
            return
        self._summary.add_line(event)
        yield from self._events.check(event, checker.times, self._summary.lines)
        yield from self._replayer.take(event, checker.times, sound=not reasons or reasons == [Flaw.CHANNEL_UNKNOWN])

    def finish(self, *, is_whole: bool) -> Iterator[Defect | Finding]:
        """End the file: yield what is wrong at its end.

        Args:
            is_whole: it could be read to its end.
        """
        yield from self._events.finish(is_whole=is_whole)
        yield from self._replayer.finish(is_over=is_whole and not self._may_grow)


def _ahead(hour: HourPath, datasets: Iterable[str], read: Callable[[bytes], tuple[T, StoredLine]]) -> Ahead[T]:
    """Open the file of the same hour in the first of these datasets that has one."""
    vault = Vault(hour.path.parents[_ROOT_AT])
    for dataset in datasets:
        for suffix in LINE_SUFFIXES:
            path = vault.hour_file(hour.venue, dataset, hour.inst, hour.hour, suffix)
            if path.exists():
                return Ahead(path, _numbered(path), read)
    return Ahead(None, iter(()), read)


def _numbered(path: Path) -> NumberedLines:
    """Yield the lines of a file that can be read; what cannot is told where the file itself is checked."""
    try:
        yield from enumerate(read_lines(path), 1)
    except (ArchiveError, OSError):
        return
