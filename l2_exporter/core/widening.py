"""Keeps a live book deep enough whose REST book showed only its best levels: another one is fetched beside it in time.

Beyond the last level of a full REST book nothing is known, and what the stream says of it is not kept (core.book). As
the market moves, fewer known levels remain. A fresh REST book, brought up to the same number by the deltas since, must
agree with the live book wherever both know; then what it knows beyond is taken over. It is no update: book time stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from l2_exporter.core.book import Book
from l2_exporter.core.declaring import Declarations
from l2_exporter.core.events import BookPush, Row
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec
from l2_exporter.core.sequence import Holdback
from l2_exporter.core.side import Side
from l2_exporter.core.state import BookState
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import NS_PER_S

ASK_AGAIN_NS = 30 * NS_PER_S
"""An answer that has not come by then is not waited for; and a book is not fetched more often."""


Lose = Callable[..., None]
"""Declares the loss of the book: (reason, stamp, detail=...)."""


@dataclass(slots=True)
class _Request:
    """A REST book under way, or one that waits for the stream to reach its number."""

    held: Holdback
    book: BookPush | None = None
    levels: int = 0


class Widening:
    """The known range of one book.

    Args:
        seed_levels: levels a side that a REST book has at most.
        lose: for a REST book that contradicts the live one: one of them is wrong, and nobody knows since when.
    """

    def __init__(self, spec: BookSpec, shared: Surroundings, says: Declarations, seed_levels: int, lose: Lose) -> None:
        self._spec = spec
        self._shared = shared
        self._says = says
        self._lose = lose
        spare = seed_levels - spec.depth
        self._enough = spec.depth + spare // 4 if spare > 0 else seed_levels * 3 // 4
        self._request: _Request | None = None
        self._asked_ns: int | None = None

    def forget(self) -> None:
        """Let go of a request: the book is lost."""
        self._request = None

    def updated(self, push: BookPush, state: BookState, stamp: Stamp) -> None:
        """Take note of a delta that has been applied; ask for a REST book if too few known levels remain."""
        request, now_ns = self._request, stamp.elapsed_ns
        if request is not None:
            request.held.add(push, stamp)
            if request.book is not None:
                self._compare(request, request.book, state, stamp)
                return
        if now_ns is None or not state.book.is_short_of(self._enough):
            return
        if self._asked_ns is None or now_ns - self._asked_ns >= ASK_AGAIN_NS:
            self._asked_ns = now_ns
            self._request = _Request(Holdback())
            self._says.note("resync", stamp, reason="rest", detail={"why": "few known levels remain"})
            self._shared.ask(self._spec.channel, self._spec.inst, True)

    def replied(self, book: BookPush, levels: int, state: BookState, stamp: Stamp) -> None:
        """Take the REST book that was asked for; one that nobody asked for is none of ours."""
        request = self._request
        if request is not None:
            request.book, request.levels = book, levels
            self._compare(request, book, state, stamp)

    def _compare(self, request: _Request, book: BookPush, state: BookState, stamp: Stamp) -> None:
        """Hold a REST book against the live one, as soon as the stream has reached its number."""
        at, reached = book.seq, state.chain.seq
        if at is not None and reached is not None and at > reached:
            return
        continuing = request.held.continuing(book) if request.held.any or at == reached else None
        self._request = None
        if continuing is None:  # it is older than what was held back: the next one is asked for in time
            return
        fresh = Book()
        fresh.replace(book.bids, book.asks)
        fresh.cover(request.levels)
        for push, _ in continuing:
            fresh.apply(push.bids, push.asks)
        held = state.book
        if not isinstance(held, Book):
            raise TypeError("a book of orders is never widened: its REST book is whole")
        agrees = _agree(held.bids, fresh.bids) and _agree(held.asks, fresh.asks)
        detail: dict[str, object] = {"agrees": agrees, "bids": fresh.bids.depth, "asks": fresh.asks.depth}
        self._says.note("audit", stamp, detail=detail)
        if not agrees:
            self._lose("venue_reset", stamp, detail={"why": "a fresh REST book disagrees"})
            return
        held.bids.widen(fresh.bids)
        held.asks.widen(fresh.asks)


def _agree(held: Side, fresh: Side) -> bool:
    """Tell whether two sides hold the same levels wherever both are known."""
    return _numbers(held.until(fresh.last_known)) == _numbers(fresh.until(held.last_known))


def _numbers(rows: list[Row]) -> list[tuple[Decimal, Decimal]]:
    """Read levels as numbers: REST may write them in other texts than the socket."""
    return [(Decimal(row[0]), Decimal(row[1])) for row in rows]
