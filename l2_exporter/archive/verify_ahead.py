"""Lines of other datasets that are read beside the events of orders, one ahead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from l2_exporter.archive.defects import Defect, Finding, FlawError
from l2_exporter.archive.orders_book import RebuiltBook
from l2_exporter.archive.orders_line import StoredBook, check_order_rows, decode_book, event_ns
from l2_exporter.archive.stored import StoredLine, decode_line
from l2_exporter.archive.verify_book import check_levels

T = TypeVar("T")

NumberedLines = Iterator[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A line of a dataset beside the events, and where it stands."""

    path: Path
    number: int
    line: T
    event_ns: int
    live_ns: int

    def defect(self, finding: Finding) -> Defect:
        """Say what is wrong with it."""
        return Defect(self.path, self.number, *finding)


class Ahead(Generic[T]):
    """The next line of a file that is read beside the events; lines that cannot be read are told of elsewhere.

    Attributes:
        next: it; None: there is no more.
        is_there: there is such a file; is_sound: all its lines so far could be read.
        taken_ns: book time of the line taken last.
    """

    def __init__(self, path: Path | None, lines: NumberedLines, read: Callable[[bytes], tuple[T, StoredLine]]) -> None:
        self.is_there = path is not None
        self.is_sound = True
        self.taken_ns = -1
        self._path = path
        self._lines = lines
        self._read = read
        self.next = self._following()

    def take(self) -> Placed[T]:
        """Go on to the line after the next one; return the one that was next."""
        taken = self.next
        if taken is None:
            raise ValueError("there is no line ahead")
        self.next = self._following()
        self.taken_ns = taken.event_ns
        return taken

    def _following(self) -> Placed[T] | None:
        for number, raw in self._lines:
            try:
                found, line = self._read(raw)
                at_ns, live_ns = event_ns("", line.timestamp_utc), event_ns("", line.live_since_utc)
            except FlawError:
                self.is_sound = False
                continue
            if self._path is not None:
                return Placed(self._path, number, found, at_ns, live_ns)
        return None


def read_book(raw: bytes) -> tuple[StoredBook, StoredLine]:
    """Read a line with a whole book of orders that can be built upon.

    Raises:
        FlawError: it cannot.
    """
    book = decode_book(raw)
    for rows in (book.line.bids, book.line.asks):
        check_order_rows("", rows)
    RebuiltBook().load(book)
    return book, book.line


def read_levels(raw: bytes) -> tuple[StoredLine, StoredLine]:
    """Read a line of levels that can be compared.

    Raises:
        FlawError: it cannot.
    """
    line = decode_line(raw)
    for rows in (line.bids, line.asks):
        check_levels("", rows)
    return line, line
