"""The state of one book between messages, and the record made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from l2_exporter.core.book import Book
from l2_exporter.core.events import BookPush
from l2_exporter.core.orderbook import Order, OrderBook
from l2_exporter.core.records import BookSpec, SnapshotRecord
from l2_exporter.core.sequence import Chain
from l2_exporter.core.timetext import utc_text

AnyBook = Book | OrderBook
"""A book of levels, or one of orders; what is common to both is all that the keeper needs."""


def agree(one: AnyBook, other: AnyBook) -> bool:
    """Tell whether two books of the same kind hold the same."""
    if isinstance(one, OrderBook):
        return isinstance(other, OrderBook) and one.agrees_with(other)
    return isinstance(other, Book) and one.agrees_with(other)


class Standing(Enum):
    """Where a book stands; only a live one gives lines."""

    EMPTY = "empty"
    SEEDING = "seeding"
    LIVE = "live"
    LOST = "lost"
    SUSPECT = "suspect"


LIVE: Final = Standing.LIVE


@dataclass(slots=True)
class Counts:
    """Messages of one book; received is the sum of the others (conservation)."""

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    before_seed: int = 0
    rejected: int = 0
    ignored: int = 0


@dataclass(slots=True)
class BookState:
    """One episode of a book.

    Attributes:
        book_ns: book time, the greatest event time applied; None before the first.
        recv_ns: receive time of the last update applied.
        live_since_ns: book time at which the episode began.
        has_checksums: a checksum has come in this episode, so that a missing message would show.
        dated: False: the channel gives no event time, and book time is a receive time.
        after_gap, from_rest: what the first line of the episode must say.
        events: lines of order events so far; the first, that the book is live, is number 0.
    """

    book: AnyBook = field(default_factory=Book)
    chain: Chain = field(default_factory=Chain)
    book_ns: int | None = None
    recv_ns: int | None = None
    checksum: int | None = None
    checksum_ok: bool | None = None
    live_since_ns: int | None = None
    has_checksums: bool = False
    after_gap: bool = False
    from_rest: bool = False
    dated: bool = True
    events: int = 0

    def time_after(self, event_ns: int | None) -> int | None:
        """Tell the book time after an event time: it never falls, and an unusable event time keeps it."""
        if event_ns is None or (self.book_ns is not None and self.book_ns >= event_ns):
            return self.book_ns
        return event_ns

    def applied(self, push: BookPush, event_ns: int | None, recv_ns: int | None) -> None:
        """Note a message that has been applied to the book, with its event time if that can be believed."""
        self.chain.accept(push)
        if event_ns is not None and (self.book_ns is None or self.book_ns < event_ns):
            self.book_ns = event_ns
        if self.live_since_ns is None:
            self.live_since_ns = self.book_ns
        self.recv_ns = recv_ns
        self.checksum = push.checksum

    def checked(self, ok: bool | None) -> None:
        """Note what the checksum of the last message showed; None: it was not checked."""
        self.checksum_ok = ok
        if ok is not None:
            self.has_checksums = True

    def record(self, spec: BookSpec, gap: bool, first: bool) -> SnapshotRecord | None:
        """Make the record of the book's levels as they stand; None while it has no book time."""
        return self._record(spec, self.book.bids.top(spec.depth), self.book.asks.top(spec.depth), gap, first)

    def order_record(self, spec: BookSpec, gap: bool, first: bool) -> SnapshotRecord | None:
        """Make the record of all orders of the best levels: `[price, size, id, time of entry]`."""
        if not isinstance(self.book, OrderBook):
            return None
        rows = [
            [[one.price, one.size, one.id, _entered(one, spec.decimals)] for one in side.orders(spec.depth)]
            for side in (self.book.bids, self.book.asks)
        ]
        return self._record(spec, rows[0], rows[1], gap, first, self.events)

    def _record(
        self,
        spec: BookSpec,
        bids: Sequence[Sequence[str | None]],
        asks: Sequence[Sequence[str | None]],
        gap: bool,
        first: bool,
        events: int | None = None,
    ) -> SnapshotRecord | None:
        if self.book_ns is None or self.live_since_ns is None:
            return None
        return SnapshotRecord(
            spec=spec,
            event_ns=self.book_ns,
            recv_ns=self.recv_ns,
            bids=bids,
            asks=asks,
            checksum=self.checksum,
            checksum_ok=self.checksum_ok,
            seq=self.chain.seq,
            prev_seq=self.chain.prev_seq,
            gap=gap,
            flags=self._flags(spec, gap, first),
            live_since_ns=self.live_since_ns,
            events=events,
        )

    def _flags(self, spec: BookSpec, gap: bool, first: bool) -> tuple[str, ...]:
        """List the words that apply, in the order docs/FORMAT.md fixes."""
        words = (
            ("gap", gap),
            ("after_gap", first and self.after_gap),
            ("seeded_from_rest", first and self.from_rest),
            ("checksum_mismatch", self.checksum_ok is False),
            ("no_event_time", not self.dated),
            ("partial_depth", self.book.is_short_of(spec.depth)),
            ("crossed", self.book.is_crossed()),
        )
        return tuple(word for word, applies in words if applies)


def _entered(order: Order, decimals: int) -> str | None:
    return None if order.entered_ns is None else utc_text(order.entered_ns, decimals)
