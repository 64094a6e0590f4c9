"""What really happened: every book the market had, and every fault that was put in. To compare an archive with.

Two kinds of lines, one JSON object each:
    {"inst","seq","prev","ts","sha256"} (and "bids","asks" on request)    the book after a step
    {"fault","inst","conn","seq_from","seq_to","at","detail"}             something done on purpose
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import orjson

from l2_exporter.core.timetext import NS_PER_MS, utc_text

log = logging.getLogger(__name__)

BOOK_DEPTH = 400
"""Levels a side that a book line speaks of."""

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class BookLine:
    """An instrument's book after a step.

    Attributes:
        seq: the venue's sequence number of this book.
        prev: number of the step before.
        ts: event time, milliseconds since 1970 UTC.
        sha256: `book_digest` of its best 400 rows a side.
        bids: the rows themselves if they were asked for, highest first.
        asks: the rows themselves if they were asked for, lowest first.
    """

    inst: str
    seq: int
    prev: int
    ts: int
    sha256: str
    bids: Rows | None = None
    asks: Rows | None = None


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A fault that was put in.

    Attributes:
        fault: its name in the grammar.
        inst: the instrument it hit; None where it hit none in particular.
        conn: the simulator's name of the connection it hit, None for a request or a market.
        seq_from: the client may lack what came after this number,
        seq_to: up to and with this number; both None where no book message was touched.
        at: time, six decimals.
        detail: what exactly was done.
    """

    fault: str
    inst: str | None
    conn: str | None
    seq_from: int | None
    seq_to: int | None
    at: str
    detail: str | None


def book_digest(bids: Rows, asks: Rows) -> str:
    """Digest a book: sha256, in hex, of `[bids,asks]` as compact JSON, rows as the venue sends them, best first."""
    return sha256(orjson.dumps((bids, asks))).hexdigest()


class Truth:
    """Collects both kinds of lines, the newest of each kind in memory, and hands every one to a sink if there is one.

    Args:
        with_rows: keep the rows too, not their digest alone.
        limit: lines kept in memory, of each kind; older ones are forgotten. With 0 and no sink, books are not digested.
        sink: called with every line, as JSON without a line end.
    """

    def __init__(
        self, *, with_rows: bool = False, limit: int = 100_000, sink: Callable[[str], None] | None = None
    ) -> None:
        self._with_rows = with_rows
        self._limit = limit
        self._sink = sink
        self._books: dict[tuple[str, int], BookLine] = {}
        self._faults: deque[FaultLine] = deque(maxlen=limit)

    def book_moved(
        self, inst: str, seq: int, prev: int, ts_ns: int, bids: Iterable[Sequence[str]], asks: Iterable[Sequence[str]]
    ) -> None:
        """Note a book of at most `BOOK_DEPTH` levels a side."""
        if not self._limit and self._sink is None:
            return
        rows = (tuple(bids), tuple(asks))
        kept = rows if self._with_rows else (None, None)
        line = BookLine(inst, seq, prev, ts_ns // NS_PER_MS, book_digest(*rows), *kept)
        self._books[inst, seq] = line
        if len(self._books) > self._limit:
            del self._books[next(iter(self._books))]
        self._write(line)

    def fault_done(
        self,
        fault: str,
        at_ns: int,
        *,
        inst: str | None = None,
        conn: str | None = None,
        seqs: tuple[int, int] | None = None,
        detail: str | None = None,
    ) -> None:
        """Note a fault; `seqs` is the window `(from, to]` of numbers a client may lack because of it."""
        seq_from, seq_to = seqs or (None, None)
        line = FaultLine(fault, inst, conn, seq_from, seq_to, utc_text(at_ns, 6), detail)
        log.info("fault %s: %s", fault, line)
        self._faults.append(line)
        self._write(line)

    @property
    def books(self) -> list[BookLine]:
        """Return the newest book lines of all instruments, in order."""
        return list(self._books.values())

    @property
    def faults(self) -> list[FaultLine]:
        """Return the newest fault lines, in order."""
        return list(self._faults)

    def book(self, inst: str, seq: int) -> BookLine | None:
        """Return the book of an instrument at a sequence number; None if there was none, or it is forgotten."""
        return self._books.get((inst, seq))

    def _write(self, line: BookLine | FaultLine) -> None:
        if self._sink is None:
            return
        members = asdict(line)
        if isinstance(line, BookLine) and line.bids is None:
            del members["bids"], members["asks"]
        self._sink(orjson.dumps(members).decode())
