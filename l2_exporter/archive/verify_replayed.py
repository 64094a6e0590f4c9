"""The lines of books and levels held against the events: from each book of orders they must lead to the next one.

A book is rebuilt from the first line of its dataset that can be placed among the events, and goes on from there, hour
after hour; where events are missing it waits for the next such line. What is read of a book is one line at a time.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeVar

from l2_exporter.archive.defects import Defect, Finding, Flaw
from l2_exporter.archive.orders_book import RebuiltBook
from l2_exporter.archive.orders_compare import levels_differ, orders_differ
from l2_exporter.archive.orders_line import BUY, CHANGE, DONE, MATCH, OPEN, SELL, OrderEvent, StoredBook
from l2_exporter.archive.stored import StoredLine
from l2_exporter.archive.verify_ahead import Ahead, Placed, read_book, read_levels
from l2_exporter.archive.verify_chain import Chain
from l2_exporter.archive.verify_line import LineTimes
from l2_exporter.core.decimaltext import difference_text

T = TypeVar("T")


class Replayer:
    """One book rebuilt from its events, in order of their hour files."""

    def __init__(self) -> None:
        self._book = RebuiltBook()
        self._live_ns: int | None = None
        self._last_ns = 0
        self._number = -1
        self._seq: int | None = None
        self._received: str | None = None
        self._known = False
        self._cut = False
        self._single = True
        self._chain = Chain()
        self._books: Ahead[StoredBook] = Ahead(None, iter(()), read_book)
        self._levels: Ahead[StoredLine] = Ahead(None, iter(()), read_levels)

    def open(self, books: Ahead[StoredBook], levels: Ahead[StoredLine], chain: Chain | None) -> None:
        """Begin the next hour with the lines of the other datasets that lie in it, and what the ledger tells."""
        self._books, self._levels = books, levels
        self._chain = chain or Chain()

    def unread(self) -> None:
        """Take note of an event that could not be read: the book is not known from here on."""
        self._known = False

    def take(self, event: OrderEvent, times: LineTimes, *, sound: bool) -> Iterator[Defect | Finding]:
        """Take the next event: yield what it contradicts, and the lines before it that it and others do not lead to.

        A finding is about the event itself, a defect about another line.

        Args:
            sound: it can be applied; else the book is not known behind it.
        """
        if self._is_due(event, times):
            yield from self._settle(event, times)
        if times.live_since_ns != self._live_ns:
            self._begin(times)
            yield from self._settle(event, times)
        if self._number >= 0 and event.number != self._number + 1:
            self._known = False
        elif self._number == 0 and not self._known and self._single:
            yield from self._first_book()
        self._cut = self._cut or bool(event.flags and event.flags[0] == "partial_depth")
        self._known = self._known and sound
        if self._known:
            for finding in self._contradictions(event):
                self._known = False
                yield finding
            self._book.apply(event)
        self._number, self._last_ns = event.number, times.event_ns
        self._seq, self._received = event.seq, event.received_utc

    def finish(self, *, is_over: bool) -> Iterator[Defect]:
        """End the hour: what is left of the other datasets stands behind its last event.

        Args:
            is_over: nothing can have been added to the files while they were read.
        """
        while (book := self._books.next) is not None:
            if is_over and book.live_ns == self._live_ns:
                yield from self._place(self._books.take())
            else:
                self._books.take()
        while (levels := self._levels.next) is not None:
            self._levels.take()
            if is_over and levels.live_ns == self._live_ns:
                yield from self._compare(levels)

    def _first_book(self) -> Iterator[Finding]:
        """An episode begins with a line of the whole book, unless that would not have ascended or was not written."""
        books = self._books
        if books.is_there and books.is_sound and books.taken_ns < self._last_ns and not self._chain.unwritten_ns:
            yield Flaw.MARK, "its episode has begun, and there is no line of the book it began with"

    def _begin(self, times: LineTimes) -> None:
        self._live_ns = times.live_since_ns
        self._number, self._seq, self._last_ns = -1, None, 0
        self._known = self._cut = False
        self._single = len(self._chain.of(times.live_since_ns)) <= 1
        self._book = RebuiltBook()

    def _is_due(self, event: OrderEvent, times: LineTimes) -> bool:
        """Tell quickly whether a line may have to be looked at before this event."""
        book, levels = self._books.next, self._levels.next
        if times.live_since_ns != self._live_ns:
            return True
        if book is not None and (book.line.number < event.number or book.event_ns < times.event_ns):
            return True
        return levels is not None and (levels.event_ns <= times.event_ns or self._is_at(levels.line.seq))

    def _is_at(self, seq: int | None) -> bool:
        return seq is not None and seq == self._seq

    def _settle(self, event: OrderEvent, times: LineTimes) -> Iterator[Defect]:
        while (book := self._books.next) is not None and self._book_is_due(book, event, times):
            yield from self._place(self._books.take(), event, times)
        while (levels := self._levels.next) is not None:
            verdict = self._levels_are_due(levels, event, times)
            if verdict is None:
                if self._known and not levels_differ(self._book, levels.line, cut=self._cut):
                    self._levels.take()
                return
            if not verdict:
                return
            self._levels.take()
            yield from self._compare(levels, event if times.live_since_ns == self._live_ns else None)

    def _book_is_due(self, book: Placed[StoredBook], event: OrderEvent, times: LineTimes) -> bool:
        if book.live_ns == times.live_since_ns:
            ours = self._live_ns == book.live_ns
            return ours and (book.line.number < event.number or book.event_ns < times.event_ns)
        return book.live_ns == self._live_ns or book.event_ns < times.event_ns

    def _levels_are_due(self, levels: Placed[StoredLine], event: OrderEvent, times: LineTimes) -> bool | None:
        """Tell whether a line of levels stands before this event; None: here, or a little later."""
        if levels.live_ns != self._live_ns:
            return levels.live_ns != times.live_since_ns and levels.event_ns < times.event_ns
        if times.live_since_ns != self._live_ns or levels.event_ns < times.event_ns:
            return True
        told, last = levels.line.seq, self._seq
        if told is not None and last is not None and event.seq is not None and levels.event_ns <= times.event_ns:
            return last <= told < event.seq
        if self._is_at(told) and event.seq != last and levels.event_ns == self._last_ns:
            return True
        return None if levels.event_ns == times.event_ns else False

    def _place(
        self, book: Placed[StoredBook], event: OrderEvent | None = None, times: LineTimes | None = None
    ) -> Iterator[Defect]:
        """Hold a line with a whole book against the rebuilt one, or begin with it."""
        told = book.line
        if book.live_ns != self._live_ns or not self._single:
            return
        same = event is not None and times is not None and times.live_since_ns == book.live_ns
        at = event.number - 1 if event is not None and same and self._number < 0 else self._number
        if told.number != at:
            in_hole = event is not None and same and at < told.number < event.number
            if self._number >= 0 and not in_hole and not self._is_behind(book.event_ns):
                yield book.defect((Flaw.NUMBER, f"n is {told.number}, the events stand at {at}"))
            return
        yield from self._check_stamps(book, told.line, event if same else None)
        if self._known:
            found = orders_differ(self._book, told.line, cut=self._cut)
            if found is None:
                self._learn(told)
                return
            yield book.defect((Flaw.REPLAYED, found))
        self._book.load(told)
        self._known = True

    def _is_behind(self, at_ns: int) -> bool:
        """Tell whether events before this moment may be missing: of a run that was killed, or that the disk refused."""
        if self._last_ns in self._chain.restarts_ns:
            return at_ns >= self._last_ns
        return any(self._last_ns <= ns <= at_ns for ns in self._chain.unwritten_ns)

    def _learn(self, told: StoredBook) -> None:
        """Take over the sides that a line shows further than they were known. A side that is known whole stays."""
        line = told.line
        if self._cut:
            self._book.load(told)
            return
        for name, rows in ((BUY, line.bids), (SELL, line.asks)):
            if self._book.sides[name].limit is not None:
                self._book.load_side(name, rows, line.depth)

    def _check_stamps(
        self, placed: Placed[T], line: StoredLine, following: OrderEvent | None = None
    ) -> Iterator[Defect]:
        """Hold number and times of a line against those of the last event before it, and the number of the next one."""
        seq, last = line.seq, self._seq
        if seq is None or last is None:
            return
        after = None if following is None else following.seq
        if seq < last or (after is not None and seq > after):
            yield placed.defect((Flaw.NUMBERS, f"seqId is {seq}, the events stand at {last}"))
        elif seq == last != line.prev_seq and (placed.event_ns, line.received_utc) != (self._last_ns, self._received):
            yield placed.defect((Flaw.TIME, "seqId is that of the last event before it, and its times are not"))

    def _compare(self, levels: Placed[StoredLine], following: OrderEvent | None = None) -> Iterator[Defect]:
        if self._known and levels.live_ns == self._live_ns and not self._is_behind(levels.event_ns):
            yield from self._check_stamps(levels, levels.line, following)
            found = levels_differ(self._book, levels.line, cut=self._cut)
            if found is not None:
                yield levels.defect((Flaw.REPLAYED, found))

    def _contradictions(self, event: OrderEvent) -> Iterator[Finding]:
        """Hold an event against the order it is about, where the recorder knew that as it is known here."""
        order_id = event.order_id
        held = None if order_id is None else self._book.order(order_id)
        if held is None or self._cut:
            return
        kind, side = event.type, held.level.side.name
        if kind == OPEN:
            yield Flaw.CONTRADICTION, f"order {order_id} comes to rest, and rests already"
            return
        if event.remaining is None or event.price is None or event.side is None:
            yield Flaw.CONTRADICTION, f"order {order_id} rests, and side, price or remaining is null"
            return
        if kind in (MATCH, DONE) and event.side != side:
            yield Flaw.CONTRADICTION, f"order {order_id} is on the other side, {side}"
        left = _left_after(event, held.size)
        if left is not None and left != event.remaining:
            yield Flaw.CONTRADICTION, f"remaining of order {order_id} is {event.remaining}, and must be {left}"
        # Where a venue does not say why an order is done it says nothing but that.
        if kind == DONE and event.reason is None and Decimal(event.price) != Decimal(held.price):
            yield Flaw.CONTRADICTION, f"order {order_id} is done at {event.price}, and rests at {held.price}"


def _left_after(event: OrderEvent, size: str) -> str | None:
    """Tell what must be left of an order that rests with this size; None: the venue says so itself."""
    if event.type == CHANGE:
        return event.size
    if event.type == MATCH:
        return difference_text(size, event.size or "0")
    return size if event.reason is None else None
