"""What is said in the ledger of one book: losses and their ends above all, each once, with the window it spans."""

from dataclasses import replace

from l2_exporter.core.checking import UNCHECKED, Checked, ChecksumWatch
from l2_exporter.core.events import BookPush
from l2_exporter.core.history import OpenGap
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpecs, LedgerRecord
from l2_exporter.core.state import BookState
from l2_exporter.core.surroundings import Surroundings


class Declarations:
    """The ledger's view of one book.

    Attributes:
        spec: the dataset that the ledger names: of a channel of orders that of the events, with the others behind.
        conn: the connection that owns the book.
        open_gaps: losses that are not over; losses: declared in this run.
        odd_time: the last message had an event time that cannot be believed.
    """

    def __init__(self, specs: BookSpecs, shared: Surroundings) -> None:
        self.spec, *others = specs.all
        self.conn: str | None = None
        self.open_gaps: list[OpenGap] = []
        self.losses = 0
        self._also = [other.dataset for other in others]
        self._shared = shared
        self.odd_time = False

    def gap(
        self,
        reason: str,
        since_event_ns: int | None,
        since_recv_ns: int | None,
        stamp: Stamp,
        *,
        expected: int | None = None,
        got: int | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        """Open a gap: nothing is known since this book time."""
        gap = OpenGap(self._shared.new_id(), reason, since_event_ns, since_recv_ns)
        self.open_gaps.append(gap)
        self.losses += 1
        self._say(
            LedgerRecord(
                stamp.recv_ns,
                "gap",
                self.conn,
                self.spec,
                gap.id,
                reason,
                since_event_ns,
                since_recv_ns,
                expected=expected,
                got=got,
                detail=detail,
            )
        )

    def live(self, state: BookState, stamp: Stamp) -> None:
        """Close every open gap with the fresh book; without one say that the book is live for the first time."""
        detail: dict[str, object] = {"bids": state.book.bids.depth, "asks": state.book.asks.depth}
        gaps: list[OpenGap | None] = [*self.open_gaps] or [None]
        for gap in gaps:
            self._say(
                LedgerRecord(
                    stamp.recv_ns,
                    "live",
                    self.conn,
                    self.spec,
                    gap.id if gap else None,
                    gap.reason if gap else None,
                    gap.since_event_ns if gap else None,
                    gap.since_recv_ns if gap else None,
                    state.book_ns,
                    state.recv_ns,
                    detail=detail,
                )
            )
        self.open_gaps = []

    def note(
        self, kind: str, stamp: Stamp, *, reason: str | None = None, detail: dict[str, object] | None = None
    ) -> None:
        """Say something else of this book."""
        self._say(LedgerRecord(stamp.recv_ns, kind, self.conn, self.spec, reason=reason, detail=detail))

    def checked(self, checked: Checked, watch: ChecksumWatch, push: BookPush, state: BookState, stamp: Stamp) -> None:
        """Say what a checksum showed: the first failure of a row, a changed algorithm, or that none is sent."""
        if checked is UNCHECKED:
            reason = watch.policy.canary(push, state.book)
            if reason is not None:
                self.note("canary", stamp, reason=reason)
            if watch.policy.has_said(push):
                watch.quiet = push.checksum
        elif checked is Checked.MISMATCH and watch.streak == 1:
            self._sums("checksum_mismatch", None, watch, push, stamp)
        elif checked is Checked.CHANGED:
            self._sums("canary", "algorithm_changed", watch, push, stamp)

    def event_time(self, push: BookPush, believed: bool, stamp: Stamp) -> None:
        """Say when event times begin to be unusable: once for a row of them."""
        if not believed and not self.odd_time:
            self.note("event_time_odd", stamp, detail={"event_ns": push.event_ns})
        self.odd_time = not believed

    def _sums(self, kind: str, reason: str | None, watch: ChecksumWatch, push: BookPush, stamp: Stamp) -> None:
        self._say(
            LedgerRecord(
                stamp.recv_ns,
                kind,
                self.conn,
                self.spec,
                reason=reason,
                expected=push.checksum,
                got=watch.calculated,
            )
        )

    def _say(self, record: LedgerRecord) -> None:
        if self._also:
            record = replace(record, detail={"also": self._also, **(record.detail or {})})
        self._shared.out.append(record)
