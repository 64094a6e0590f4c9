"""Keeps one book: takes its messages, proves that none is missing, samples it, and declares every loss.

The rules are those of docs/FORMAT.md, "Sampling rule" and "Continuity". Order for every message: deadlines that are
due (the feed runs them), continuity test, close by a later bucket, apply.
"""

from collections.abc import Callable

from l2_exporter.core.checking import Checked, ChecksumWatch
from l2_exporter.core.declaring import Declarations
from l2_exporter.core.events import BookPush, Push
from l2_exporter.core.handover import Heir
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec, SnapshotRecord
from l2_exporter.core.recovery import CLEARED_AFTER_NS, Recovery
from l2_exporter.core.sampling import Sampler
from l2_exporter.core.sequence import Holdback, Verdict
from l2_exporter.core.state import BookState, Counts, Standing
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import NS_PER_S

FRESH_CHAIN = -1
"""OKX: the prevSeqId of a snapshot that begins a chain."""


class Keeper:
    """One book of one channel.

    Attributes:
        standing: only LIVE gives lines.
        counts: messages by what became of them.
        says: its declarations in the ledger; `says.conn` is the connection that owns the book.
        assigned: the connection that subscribed it last; heir: one that is to take it over without a loss.
    """

    def __init__(self, spec: BookSpec, shared: Surroundings, sampler: Sampler, recovery: Recovery) -> None:
        self.spec = spec
        self.standing = Standing.EMPTY
        self.state = BookState()
        self.counts = Counts()
        self.says = Declarations(spec, shared)
        self.assigned: str | None = None
        self.heir: Heir | None = None
        self._shared = shared
        self._sampler = sampler
        self._recovery = recovery
        self._watch = ChecksumWatch(shared.checks)
        self._held = Holdback()
        self._heard_ns: int | None = None
        self._expects_first = True
        self._phase = 0

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def started(self, stamp: Stamp) -> None:
        """Declare what earlier runs left open: everything since this instrument's last line is unknown."""
        last = self._shared.history.newest(self.spec)
        self.says.open_gaps = self._shared.history.open_gaps(self.spec)
        if last is not None:
            self.says.gap("restart", last.event_ns, last.recv_ns, stamp)

    def subscribed(self, conn: str, stamp: Stamp) -> None:
        """Note that a connection has been asked for this book; if nothing comes, ask again.

        A late REST answer can have made the book live while it had no connection: that ends here.
        """
        self.lose("disconnect", stamp, detail={"why": "subscribed anew"}, recover=False)
        self.assigned = self.says.conn = conn
        self.standing = Standing.SUSPECT if self._recovery.suspect else Standing.SEEDING
        self._expects_first = True
        self._phase += 1
        wait_ns = int(self._shared.checks.venue.link.first_data_s * NS_PER_S)
        self._call_later(wait_ns, stamp, self._attempt)

    def pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Take one message of this book."""
        self.counts.received += 1
        self._heard_ns = stamp.elapsed_ns
        if push.push is not Push.DELTA:
            self._book_pushed(push, stamp)
        elif self.standing is Standing.LIVE:
            self._delta_pushed(push, stamp)
        else:
            self._hold(push, stamp)

    def replied(self, book: BookPush, stamp: Stamp) -> None:
        """Take a REST book: it seeds a book that is not live, together with the deltas held back."""
        continuing = None if self.standing is Standing.LIVE else self._held.continuing(book)
        if continuing is None:
            return
        state = self._new_state(book, stamp)
        state.seeded_from_rest = True
        state.chain.joining = True
        for push, pushed_at in continuing:
            state.book.apply(push.bids, push.asks)
            # The book was known from the answer on, not when its last delta came.
            state.applied(push, self._event_time(push, pushed_at), stamp.recv_ns)
        self.counts.applied += len(continuing)
        self.counts.before_seed -= len(continuing)
        if continuing:
            self._check_fresh(state, continuing[-1][0], stamp)
        self._go_live(state, stamp)

    def frame_rejected(self, why: str, books: int, stamp: Stamp) -> None:
        """Take note of an odd frame that held so many books of this instrument: what it said is missing from now on."""
        self.counts.received += books
        self.counts.rejected += books - 1
        self._reject(why, stamp)

    def lose(
        self,
        reason: str,
        stamp: Stamp,
        *,
        expected: int | None = None,
        got: int | None = None,
        detail: dict[str, object] | None = None,
        recover: bool = True,
    ) -> None:
        """Declare the loss of a live book and drop it: a line of its last good state, then the ledger."""
        if self.standing is not Standing.LIVE:
            return
        self._emit(self.state.record(self.spec, gap=True))
        self._sampler.close()
        lost = self.state
        self.says.gap(reason, lost.book_ns, lost.recv_ns, stamp, expected=expected, got=got, detail=detail)
        self.state = BookState()
        self._watch.lost(on_trial=False)
        self.standing = Standing.LOST
        self._phase += 1
        if recover:
            self._attempt(stamp)

    def link_closed(self, conn: str, reason: str, detail: dict[str, object], stamp: Stamp) -> None:
        """Take note of the end of a connection: a loss if the book lived on it, unless its heir can go on at once."""
        heir = self.heir
        if heir is not None and heir.conn == conn:
            self.heir = None
        if self.says.conn != conn:
            return
        self.lose(reason, stamp, detail=detail, recover=False)
        self._phase += 1
        self._expects_first = True
        self.says.conn = None
        if heir is not None:
            self._inherit(heir, stamp)

    def handover_begun(self, conn: str) -> None:
        """Note that another connection has been asked for this book, to take it over before this one ends."""
        self.heir = Heir(conn)

    def heir_pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Take a message of the connection that will take over."""
        self.counts.received += 1
        self.counts.ignored += 1
        if self.heir is not None:
            believed = push.event_ns is not None and self._shared.clock.accepts(push.event_ns, stamp.elapsed_ns)
            self.heir.pushed(push, push.event_ns if believed else None, stamp.recv_ns)
            self.hand_over(stamp)

    def hand_over(self, stamp: Stamp) -> None:
        """Let the heir go on with this episode once both stand at the same number; if they disagree it is a loss."""
        heir = self.heir
        if heir is None or self.standing is not Standing.LIVE or not heir.meets(self.state):
            return
        if heir.agrees(self.state):
            self.heir = None
            self.assigned = self.says.conn = heir.conn
        else:
            self.lose("venue_reset", stamp, detail={"why": "two connections disagree"}, recover=False)
            self._inherit(heir, stamp)

    def is_on(self, conn: str) -> bool:
        """Tell whether a connection brings this book, or is to take it over."""
        return self.says.conn == conn or (self.heir is not None and self.heir.conn == conn)

    def bucket_due(self, stamp: Stamp) -> None:
        """Close the open bucket if its deadline has come."""
        deadline_ns = self._sampler.deadline_ns
        if deadline_ns is not None and stamp.elapsed_ns is not None and deadline_ns <= stamp.elapsed_ns:
            self._close_bucket()

    def stopped(self) -> None:
        """Close the open bucket: a clean stop or the end of a tape."""
        if self.standing is Standing.LIVE:
            self._close_bucket()

    def is_silent(self, elapsed_ns: int) -> bool:
        """Tell whether a live book got nothing for longer than its channel allows."""
        limit_s = self._shared.checks.venue.channels[self.spec.channel].stale_after_s
        if self.standing is not Standing.LIVE or limit_s is None or self._heard_ns is None:
            return False
        return elapsed_ns - self._heard_ns > limit_s * NS_PER_S

    # ---- messages ---------------------------------------------------------------------------------------------------

    def _book_pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Take a whole book: fresh, repeated, continuous or a reset (docs/FORMAT.md, "Snapshots")."""
        if push.push is Push.SNAPSHOT:
            self._shared.pushes_snapshots = True
        chain = self.state.chain
        if self.standing is not Standing.LIVE:
            self._seed(push, stamp)
        elif push.push is Push.SNAPSHOT and push.seq is None and chain.seq is not None:
            self._reject("its sequence numbers are missing", stamp)
        elif self._is_repetition(push):
            self.counts.duplicate += 1
        elif push.push is Push.WHOLE or (push.prev_seq not in (None, FRESH_CHAIN) and push.prev_seq == chain.seq):
            self._update(push, stamp)
        else:
            self.lose("venue_reset", stamp, expected=chain.seq, got=push.prev_seq, recover=False)
            self._seed(push, stamp)

    def _delta_pushed(self, push: BookPush, stamp: Stamp) -> None:
        chain = self.state.chain
        verdict = chain.judge(push)
        if verdict is Verdict.CONTINUES and push.is_idle and push.event_ns is None:
            # A keep-alive without event time proves the chain and changes nothing.
            self.counts.applied += 1
            self.says.event_time(push, believed=False, stamp=stamp)
        elif verdict is Verdict.CONTINUES:
            self._update(push, stamp)
        elif verdict is Verdict.DUPLICATE:
            self.counts.duplicate += 1
        elif verdict is Verdict.CONTAINED:
            self.counts.before_seed += 1
        elif verdict is Verdict.ODD:
            self._reject("a sequence number is missing", stamp)
        else:
            self.lose("sequence", stamp, expected=chain.seq, got=push.prev_seq)
            self._hold(push, stamp)

    def _is_repetition(self, push: BookPush) -> bool:
        chain = self.state.chain
        numbered = push.push is Push.SNAPSHOT and push.seq is not None and push.prev_seq is not None
        if numbered and (push.prev_seq, push.seq) == (chain.prev_seq, chain.seq):
            return True
        return push.event_ns == chain.event_ns and self.state.book.same_levels(push.bids, push.asks)

    def _update(self, push: BookPush, stamp: Stamp) -> None:
        """Apply a message that continues the book; a checksum that fails decisively takes it back and is a loss."""
        state, sampler, watch = self.state, self._sampler, self._watch
        mark = self._shared.clock.mark()
        event_ns = self._event_time(push, stamp)
        book_ns = state.time_after(event_ns)
        closing = None
        if book_ns is not None and sampler.closes_before(book_ns):
            closing = state.record(self.spec, gap=False)
        has_sequence = state.chain.seq is not None
        before = state.book.copy() if watch.decides(push, has_sequence) else None
        if push.push is Push.DELTA:
            state.book.apply(push.bids, push.asks)
        else:
            state.book.replace(push.bids, push.asks)
        checked = watch.check(push, state.book)
        self.says.checked(checked, watch, push, state, stamp)
        if checked is Checked.MISMATCH and before is not None:
            state.book = before
            self._shared.clock.reset(mark)
            watch.lost(on_trial=has_sequence)
            self.counts.rejected += 1
            self.lose("checksum", stamp, expected=push.checksum, got=watch.calculated)
            return
        if closing is not None:
            self._emit(closing)
            sampler.close()
        state.applied(push, event_ns, stamp.recv_ns)
        state.checked(checked.ok)
        self.counts.applied += 1
        self._sample(stamp)

    @property
    def checksums(self) -> dict[str, int]:
        """How many messages were checked, by outcome: ok, mismatch, changed, unchecked."""
        return {outcome.value: count for outcome, count in self._watch.outcomes.items()}

    @property
    def is_provable(self) -> bool:
        """Whether a missing message would show: by sequence or checksum, or because every push is the whole book."""
        policy = self._shared.checks
        return (
            self.state.chain.seq is not None
            or policy.venue.channels[self.spec.channel].whole
            or self.state.has_checksums
        )

    def _reject(self, why: str, stamp: Stamp) -> None:
        self.counts.rejected += 1
        whole = self._shared.checks.venue.channels[self.spec.channel].whole
        self.lose("sequence", stamp, detail={"odd_frame": why}, recover=not whole)

    def _event_time(self, push: BookPush, stamp: Stamp) -> int | None:
        """Return the event time if it can be believed."""
        believed = push.event_ns is not None and self._shared.clock.accepts(push.event_ns, stamp.elapsed_ns)
        self.says.event_time(push, believed, stamp)
        return push.event_ns if believed else None

    # ---- seeding ----------------------------------------------------------------------------------------------------

    def _seed(self, push: BookPush, stamp: Stamp) -> None:
        """Begin an episode with a pushed book; where its checksum is the only test of continuity, it must hold."""
        mark = self._shared.clock.mark()
        state = self._new_state(push, stamp)
        decisive = push.seq is None and self._watch.decides(push, has_sequence=False)
        if self._check_fresh(state, push, stamp) is Checked.MISMATCH and decisive:
            self._shared.clock.reset(mark)
            self.counts.rejected += 1
            if self.standing in (Standing.EMPTY, Standing.LOST):
                self._attempt(stamp)
            return
        self.counts.applied += 1
        self._go_live(state, stamp)

    def _check_fresh(self, state: BookState, last: BookPush, stamp: Stamp) -> Checked:
        """Check a fresh book by the message that completed it."""
        checked = self._watch.check(last, state.book)
        state.checked(checked.ok)
        self.says.checked(checked, self._watch, last, state, stamp)
        return checked

    def _new_state(self, push: BookPush, stamp: Stamp) -> BookState:
        state = BookState(after_gap=bool(self.says.open_gaps))
        state.book.replace(push.bids, push.asks)
        state.applied(push, self._event_time(push, stamp), stamp.recv_ns)
        return state

    def _go_live(self, state: BookState, stamp: Stamp) -> None:
        """Begin the episode, at the book time it stands at now."""
        state.live_since_ns = state.book_ns
        self.state = state
        self.standing = Standing.LIVE
        self._expects_first = False
        self._phase += 1
        self._held.clear()
        self.says.live(state, stamp)
        self._call_later(CLEARED_AFTER_NS, stamp, lambda _stamp: self._recovery.clear())
        self._sample(stamp)

    def _inherit(self, heir: Heir, stamp: Stamp) -> None:
        """Begin an episode with what another connection has kept of the book, if it has one."""
        self.heir = None
        if heir.state is not None:
            self.assigned = self.says.conn = heir.conn
            heir.state.after_gap = bool(self.says.open_gaps)
            self._go_live(heir.state, stamp)
            return
        self.subscribed(heir.conn, stamp)
        if heir.broken:
            # Its first book has come and gone: only a new one can help.
            self._attempt(stamp)

    def _hold(self, push: BookPush, stamp: Stamp) -> None:
        """Hold a delta back for a REST book to continue with."""
        self.counts.before_seed += 1
        self._held.add(push, stamp)
        if self._expects_first and push.seq is not None:
            # The first message of a subscription is no snapshot: this venue (or this day) sends none.
            self._shared.pushes_snapshots = False
            self._phase += 1
            self._attempt(stamp)

    def _attempt(self, stamp: Stamp) -> None:
        """Ask for a fresh book, and again after a while if none has come; once the budget is spent, rarely."""
        was_suspect = self._recovery.suspect
        by_rest = self._shared.pushes_snapshots is False or (self.standing is not Standing.LOST and self._held.any)
        self._expects_first = False
        wait_ns = self._recovery.attempt()
        if self._recovery.suspect and not was_suspect:
            self.says.note("suspect", stamp, reason="budget_spent", detail={"attempts": self._recovery.attempts})
        else:
            reason = "rest" if by_rest else "resubscribe"
            self.says.note("resync", stamp, reason=reason, detail={"attempt": self._recovery.attempts})
            self._shared.ask(self.spec.channel, self.spec.inst, by_rest)
        self.standing = Standing.SUSPECT if self._recovery.suspect else Standing.SEEDING
        self._call_later(wait_ns, stamp, self._attempt)

    def _call_later(self, wait_ns: int, stamp: Stamp, action: Callable[[Stamp], None]) -> None:
        """Call after a time unless the book is lost or found before."""
        if stamp.elapsed_ns is None:
            return
        phase = self._phase

        def call(at: Stamp) -> None:
            if self._phase == phase:
                action(at)

        self._shared.timers.set(stamp.elapsed_ns + wait_ns, call)

    # ---- lines ------------------------------------------------------------------------------------------------------

    def _sample(self, stamp: Stamp) -> None:
        """Let the update just applied open its bucket, if none is open."""
        if self.state.book_ns is None or self._sampler.is_open:
            return
        self._sampler.updated(self.state.book_ns, stamp.elapsed_ns)
        if self._sampler.deadline_ns is not None:
            self._shared.timers.set(self._sampler.deadline_ns, self.bucket_due)

    def _close_bucket(self) -> None:
        if self._sampler.is_open:
            self._emit(self.state.record(self.spec, gap=False))
            self._sampler.close()

    def _emit(self, record: SnapshotRecord | None) -> None:
        """Hand a line over if it ascends; only a line handed over uses up the marks of an episode's first line."""
        if record is not None and self._sampler.ascends(record.event_ns, record.gap):
            self.state.after_gap = self.state.seeded_from_rest = False
            self._shared.out.append(record)
