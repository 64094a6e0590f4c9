"""What the core has to say to the archive: snapshot records and ledger records. Encoding them is the archive's work."""

from dataclasses import dataclass

from l2_exporter.core.events import Row


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


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """One line of an hour file: a book at a moment.

    Attributes:
        event_ns: book time, the greatest event time applied.
        recv_ns: local receive time of the last update applied, None if unknown.
        bids: best (highest) first, at most `spec.depth` rows, owned by the record; asks: best (lowest) first.
    """

    spec: BookSpec
    event_ns: int
    recv_ns: int | None
    bids: list[Row]
    asks: list[Row]
    checksum: int | None
    checksum_ok: bool | None
    seq: int | None
    prev_seq: int | None
    gap: bool
    flags: tuple[str, ...]
    live_since_ns: int


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


Record = SnapshotRecord | LedgerRecord
