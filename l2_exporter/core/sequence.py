"""The chain of a book's messages: which message may follow which. Pure rules; what a verdict leads to is the keeper's.

Rule `prev == last` (equality, never +1): OKX v5, VENUES "1.5 Continuity rule, precisely" (order book channel, docs-v5).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from l2_exporter.core.events import BookPush
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.timetext import NS_PER_S

HELD_LIMIT = 100_000
"""A busy product tells of 2,000 orders a second, and its REST book can take half a minute."""
HELD_ROWS = 400_000
"""Of all deltas together: a venue's are a few rows each."""
CONTAINED_WITHIN_NS = 10 * NS_PER_S
"""How much later than a REST book a delta may be dated that it contains: one has the time of a state, the other may
have that of its sending."""


class Verdict(Enum):
    """What a message is to a live book."""

    CONTINUES = "continues"
    DUPLICATE = "duplicate"
    CONTAINED = "contained"
    """The REST book the episode began with holds it already."""
    BROKEN = "broken"
    ODD = "odd"
    """It lacks the numbers this book's messages have had: nothing can be proven with it."""


CONTINUES: Final = Verdict.CONTINUES


@dataclass(slots=True)
class Chain:
    """Where a book stands in its sequence.

    Attributes:
        seq, prev_seq: of the last message accepted; None: the stream has none.
        event_ns: its event time as sent.
        joining: the book came from REST, or the next messages may be contained in it: the next one must straddle it
            instead of following it.
        linkwide: the numbers count the frames of a connection; the feed tests them, and each message continues.
    """

    seq: int | None = None
    prev_seq: int | None = None
    event_ns: int | None = None
    joining: bool = False
    linkwide: bool = False

    def accept(self, push: BookPush) -> None:
        """Move on to this message."""
        self.seq, self.prev_seq, self.event_ns = push.seq, push.prev_seq, push.event_ns
        self.joining = False

    def judge(self, push: BookPush) -> Verdict:
        """Judge a delta against the last message accepted."""
        seq, prev_seq = push.seq, push.prev_seq
        if self.linkwide or (self.seq is None and seq is None):
            return CONTINUES
        if seq is None or prev_seq is None:
            return Verdict.ODD
        if self.joining:
            return self._judge_join(push)
        # 1. The same pair again is a repetition, except that an idle book's keep-alives (prev == seq == last) all
        #    carry the same pair: they are told apart by their event time.
        is_same = prev_seq == self.prev_seq and seq == self.seq
        if is_same and (prev_seq != seq or push.event_ns == self.event_ns):
            return Verdict.DUPLICATE
        # 2. Equality with the last number. The step is arbitrary; a smaller seq after it is a legal maintenance reset.
        return CONTINUES if prev_seq == self.seq else Verdict.BROKEN

    def _judge_join(self, push: BookPush) -> Verdict:
        """Judge the first delta after a REST book: prev <= book's seq < seq (OKX log of 2026-02-12).

        One that follows the book's number continues it whatever its own: it may be a maintenance reset.
        """
        if self.seq is None or push.seq is None or push.prev_seq is None:
            return Verdict.ODD
        if push.prev_seq == self.seq:
            return Verdict.CONTINUES
        if push.seq <= self.seq:
            return Verdict.BROKEN if is_past(push, self.event_ns) else Verdict.CONTAINED
        return Verdict.CONTINUES if push.prev_seq < self.seq else Verdict.BROKEN


class Holdback:
    """Deltas held back while a book is not live, each following the one before, for a REST book to continue with."""

    __slots__ = ("_deltas", "_rows")

    def __init__(self) -> None:
        self._deltas: deque[tuple[BookPush, Stamp]] = deque()
        self._rows = 0

    @property
    def any(self) -> bool:
        """Whether something is held back."""
        return bool(self._deltas)

    def add(self, push: BookPush, stamp: Stamp) -> None:
        """Hold one more; one that does not follow makes all before it useless, one without numbers is no use itself."""
        if push.seq is None or push.prev_seq is None:
            return
        if self._deltas:
            last = self._deltas[-1][0]
            if (last.prev_seq, last.seq) == (push.prev_seq, push.seq):
                return
            if last.seq != push.prev_seq or len(self._deltas) >= HELD_LIMIT or self._rows >= HELD_ROWS:
                self.clear()
        self._deltas.append((push, stamp))
        self._rows += len(push.bids) + len(push.asks) + len(push.changes)

    def clear(self) -> None:
        """Let all go."""
        self._deltas.clear()
        self._rows = 0

    def continuing(self, book: BookPush) -> list[tuple[BookPush, Stamp]] | None:
        """Return the deltas that continue a REST book, possibly none.

        None if the book cannot be joined: it has no number, or is older than what is held (a cached answer).
        """
        if book.seq is None:
            return None
        deltas = [*self._deltas]
        starts = [place for place, (push, _) in enumerate(deltas) if _joins(push, book.seq)]
        if deltas and deltas[-1][0].seq == book.seq:
            starts.append(len(deltas))
        if len(starts) == 1:
            return deltas[starts[0] :]
        # Nowhere to go on: fine if all are older. In several places, after a maintenance reset: then none is sure.
        older = all((push.seq or 0) <= book.seq and (push.prev_seq or 0) <= (push.seq or 0) for push, _ in deltas)
        later = any(is_past(push, book.event_ns) for push, _ in deltas)
        return [] if not starts and older and not later else None


def is_past(push: BookPush, book_ns: int | None) -> bool:
    """Tell whether a delta is so much later than a REST book that it cannot be contained in it, whatever its number.

    Numbers may have been reset since the book was made: those that come then are smaller, and none would continue it.
    """
    return push.event_ns is not None and book_ns is not None and push.event_ns > book_ns + CONTAINED_WITHIN_NS


def _joins(push: BookPush, seq: int) -> bool:
    """Tell whether a delta is the first that goes beyond a REST book: it follows its number, or straddles it."""
    if push.seq is None or push.prev_seq is None:
        return False
    return push.prev_seq == seq != push.seq or push.prev_seq < seq < push.seq
