"""The state of one book between messages, and the record made of it."""

from dataclasses import dataclass, field
from enum import Enum

from l2_exporter.core.book import Book
from l2_exporter.core.events import BookPush
from l2_exporter.core.records import BookSpec, SnapshotRecord
from l2_exporter.core.sequence import Chain


class Standing(Enum):
    """Where a book stands; only a live one gives lines."""

    EMPTY = "empty"
    SEEDING = "seeding"
    LIVE = "live"
    LOST = "lost"
    SUSPECT = "suspect"


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
        after_gap, seeded_from_rest: the next line is the first of its episode and must say so.
    """

    book: Book = field(default_factory=Book)
    chain: Chain = field(default_factory=Chain)
    book_ns: int | None = None
    recv_ns: int | None = None
    checksum: int | None = None
    checksum_ok: bool | None = None
    live_since_ns: int | None = None
    has_checksums: bool = False
    after_gap: bool = False
    seeded_from_rest: bool = False
    dated: bool = True

    def time_after(self, event_ns: int | None) -> int | None:
        """Tell the book time after an event time: it never falls, and an unusable event time keeps it."""
        if event_ns is None or (self.book_ns is not None and self.book_ns >= event_ns):
            return self.book_ns
        return event_ns

    def applied(self, push: BookPush, event_ns: int | None, recv_ns: int | None) -> None:
        """Note a message that has been applied to the book, with its event time if that can be believed."""
        self.chain.accept(push)
        self.book_ns = self.time_after(event_ns)
        if self.live_since_ns is None:
            self.live_since_ns = self.book_ns
        self.recv_ns = recv_ns
        self.checksum = push.checksum

    def checked(self, ok: bool | None) -> None:
        """Note what the checksum of the last message showed; None: it was not checked."""
        self.checksum_ok = ok
        self.has_checksums = self.has_checksums or ok is not None

    def record(self, spec: BookSpec, *, gap: bool) -> SnapshotRecord | None:
        """Make the record of the book as it stands; None while it has no book time."""
        if self.book_ns is None or self.live_since_ns is None:
            return None
        return SnapshotRecord(
            spec=spec,
            event_ns=self.book_ns,
            recv_ns=self.recv_ns,
            bids=self.book.bids.rows[: spec.depth],
            asks=self.book.asks.rows[: spec.depth],
            checksum=self.checksum,
            checksum_ok=self.checksum_ok,
            seq=self.chain.seq,
            prev_seq=self.chain.prev_seq,
            gap=gap,
            flags=self._flags(spec, gap),
            live_since_ns=self.live_since_ns,
        )

    def _flags(self, spec: BookSpec, gap: bool) -> tuple[str, ...]:
        """List the words that apply, in the order docs/FORMAT.md fixes."""
        words = (
            ("gap", gap),
            ("after_gap", self.after_gap),
            ("seeded_from_rest", self.seeded_from_rest),
            ("checksum_mismatch", self.checksum_ok is False),
            ("no_event_time", not self.dated),
            ("partial_depth", self.book.is_short_of(spec.depth)),
            ("crossed", self.book.is_crossed()),
        )
        return tuple(word for word, applies in words if applies)
