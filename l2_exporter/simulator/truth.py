"""What really happened: every book the market had, and every fault that was put in. To compare an archive with.

Three kinds of lines, one JSON object each:
    {"inst","seq","prev","ts","sha256"} (and "bids","asks" on request)    the book after a step or a message of orders
    {"inst","seq","prev","ts_ns","events","orders_sha256"} (and both)     a message of orders, and the orders then
    {"fault","inst","conn","seq_from","seq_to","at","detail"}             something done on purpose
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256

import orjson

from l2_exporter.core.timetext import NS_PER_MS, utc_text
from l2_exporter.simulator.orderevents import Message
from l2_exporter.simulator.ordertruth import OrderBookLine, OrderLog, levels_of

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
    """Collects all kinds of lines, the newest of each kind in memory, and hands every one to a sink if there is one.

    Books of orders are digested when they are asked for, or for a sink.

    Args:
        with_rows: keep the rows too, not their digest alone. Orders in memory always have theirs.
        limit: lines kept in memory, of each kind; older ones are forgotten. With 0 and no sink, books are not digested.
        sink: called with every line, as JSON without a line end.
    """

    def __init__(
        self, *, with_rows: bool = False, limit: int = 100_000, sink: Callable[[str], None] | None = None
    ) -> None:
        self._with_rows = with_rows
        self._limit = limit
        self._sink = sink
        self._books: dict[tuple[str, int], BookLine | OrderLog] = {}
        self._orders: dict[str, OrderLog] = {}
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
        self._keep(inst, seq, line)
        self._write(line)

    def orders_began(self, inst: str, opening: Message) -> None:
        """Note the orders an instrument begins with, as a message that opens them all."""
        if self._limit or self._sink is not None:
            self._orders[inst] = OrderLog(inst, opening)
            self._noted(inst, opening.seq)

    def orders_moved(self, inst: str, message: Message) -> None:
        """Note a message of an instrument's orders."""
        if self._limit or self._sink is not None:
            self._orders[inst].add(message)
            self._noted(inst, message.seq)

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
        lines = ((line, seq) for (_, seq), line in self._books.items())
        return [self._levels(line.line(seq)) if isinstance(line, OrderLog) else line for line, seq in lines]

    @property
    def faults(self) -> list[FaultLine]:
        """Return the newest fault lines, in order."""
        return list(self._faults)

    def book(self, inst: str, seq: int) -> BookLine | None:
        """Return the book of an instrument at a sequence number; None if there was none, or it is forgotten."""
        line = self._books.get((inst, seq))
        return self._levels(line.line(seq)) if isinstance(line, OrderLog) else line

    def book_at(self, inst: str, ts_ns: int) -> BookLine | None:
        """Return the levels of an instrument's orders at a moment, as `order_book_at` does."""
        line = self.order_book_at(inst, ts_ns)
        return None if line is None else self._levels(line)

    def order_book(self, inst: str, seq: int) -> OrderBookLine | None:
        """Return the orders of an instrument behind a message; None if there was none, or it is forgotten."""
        log = self._orders.get(inst)
        return log.line(seq) if log is not None and seq in log else None

    def order_book_at(self, inst: str, ts_ns: int) -> OrderBookLine | None:
        """Return the orders of an instrument behind its last message that is not later than a moment."""
        log = self._orders.get(inst)
        return None if log is None else log.line_at(ts_ns)

    def order_messages(self, inst: str) -> list[Message]:
        """Return the newest messages of an instrument's orders, in order; the first may be the book it began with."""
        return self._orders[inst].messages if inst in self._orders else []

    def _keep(self, inst: str, seq: int, line: BookLine | OrderLog) -> None:
        self._books[inst, seq] = line
        if len(self._books) > self._limit:
            oldest = self._books.pop(next(iter(self._books)))
            if isinstance(oldest, OrderLog):
                oldest.forget_first()

    def _noted(self, inst: str, seq: int) -> None:
        """Hand on what was just added to an instrument's orders, and forget what is too old."""
        log = self._orders[inst]
        if self._sink is not None:
            line = log.line(seq)
            self._write(self._levels(line))
            self._write(line)
        self._keep(inst, seq, log)

    def _levels(self, line: OrderBookLine) -> BookLine:
        """Add up orders to a book of at most `BOOK_DEPTH` levels a side."""
        rows = (levels_of(line.bids)[:BOOK_DEPTH], levels_of(line.asks)[:BOOK_DEPTH])
        kept = rows if self._with_rows else (None, None)
        return BookLine(line.inst, line.seq, line.prev, line.ts_ns // NS_PER_MS, book_digest(*rows), *kept)

    def _write(self, line: BookLine | OrderBookLine | FaultLine) -> None:
        if self._sink is None:
            return
        members = {member.name: getattr(line, member.name) for member in fields(line)}
        if isinstance(line, BookLine | OrderBookLine) and not self._with_rows:
            del members["bids"], members["asks"]
        if isinstance(line, OrderBookLine):
            members["events"] = [event._asdict() for event in line.events]
        self._sink(orjson.dumps(members).decode())
