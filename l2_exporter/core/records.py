"""What the core has to say to the archive: snapshot records and ledger records. Encoding them is the archive's work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from l2_exporter.core.events import OrderChange


@dataclass(frozen=True, slots=True)
class BookSpec:
    """Which book a record belongs to, and how its lines are written.

    Attributes:
        depth: levels a side at most; also names the fields, `bids_top400`.
        decimals: digits of a second in `timestamp_utc`.
    """

    venue: str
    market: str
    dataset: str
    channel: str
    inst: str
    depth: int
    decimals: int

    def __hash__(self) -> int:
        # Texts keep their hash; one of all fields takes 0.7 us, several times a line.
        return hash((self.dataset, self.inst))


@dataclass(frozen=True, slots=True)
class BookSpecs:
    """The datasets that one book is recorded in.

    Attributes:
        levels: its levels.
        events, books: of a channel of orders, each event and whole books of orders; None for other channels.
    """

    levels: BookSpec
    events: BookSpec | None = None
    books: BookSpec | None = None

    @property
    def all(self) -> list[BookSpec]:
        """All of them, the one that the ledger names first."""
        return [spec for spec in (self.events, self.books, self.levels) if spec is not None]


class SnapshotRecord(NamedTuple):
    """One line of an hour file: a book at a moment (a NamedTuple: made in a fifth of the time of a frozen dataclass).

    Attributes:
        event_ns: book time, the greatest event time applied.
        recv_ns: local receive time of the last update applied, None if unknown.
        bids: best (highest) first, at most `spec.depth` levels, owned by the record; asks: best (lowest) first.
        events: of a book of orders, the number of the last event that has led to it; None: rows are levels.
    """

    spec: BookSpec
    event_ns: int
    recv_ns: int | None
    bids: Sequence[Sequence[str | None]]
    asks: Sequence[Sequence[str | None]]
    checksum: int | None
    checksum_ok: bool | None
    seq: int | None
    prev_seq: int | None
    gap: bool
    flags: tuple[str, ...]
    live_since_ns: int
    events: int | None = None


class OrderRecord(NamedTuple):
    """One line of an hour file of order events (a NamedTuple: one is made for every event).

    Attributes:
        event_ns: book time; recv_ns: local receive time, None if unknown.
        type: open, change, match or done; live and gap mark the ends of an episode.
        change: of which order, and what; None for a mark.
        seq: the venue's number of the message.
        number: of the line in its episode, from 0.
    """

    spec: BookSpec
    event_ns: int
    recv_ns: int | None
    type: str
    change: OrderChange | None
    seq: int | None
    flags: tuple[str, ...]
    live_since_ns: int
    number: int

    @property
    def gap(self) -> bool:
        """Whether it marks the end of an episode by a loss."""
        return self.type == "gap"


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """One line of the ledger. Times are nanoseconds, None where unknown.

    Attributes:
        spec: the book it concerns, None where it concerns a connection or the whole venue.
        detail: whatever else helps, JSON values only.
    """

    at_ns: int | None
    kind: str
    conn: str | None = None
    spec: BookSpec | None = None
    id: str | None = None
    reason: str | None = None
    since_event_ns: int | None = None
    since_recv_ns: int | None = None
    until_event_ns: int | None = None
    until_recv_ns: int | None = None
    expected: int | str | None = None
    got: int | str | None = None
    detail: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class HourOver:
    """An hour of one book is over: nothing will be added to it.

    Attributes:
        datasets: of the book, each with its cadence in milliseconds.
        hour: since 1970.
        messages, checksums: what this run has counted in it, by outcome.
        whole: the run has seen it from its beginning; else the counts tell of a part.
    """

    datasets: tuple[tuple[BookSpec, int], ...]
    hour: int
    at_ns: int | None
    messages: dict[str, int]
    checksums: dict[str, int]
    whole: bool


@dataclass(frozen=True, slots=True)
class LateLine:
    """A line, or an order event, whose hour is over: it is counted and not written."""

    spec: BookSpec
    event_ns: int
    recv_ns: int | None


@dataclass(frozen=True, slots=True)
class HoursOver:
    """Every hour before this one is over, also for books that this run does not record."""

    hour: int
    at_ns: int | None


Line = SnapshotRecord | OrderRecord
Record = Line | LedgerRecord
Ended = HourOver | HoursOver | LateLine
