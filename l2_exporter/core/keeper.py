"""Keeps one book: takes its messages, proves that none is missing, samples it, and declares every loss.

The rules are those of docs/FORMAT.md, "Sampling rule" and "Continuity". Order for every message: deadlines that are
due (the feed runs them), continuity test, close by a later bucket, apply.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from l2_exporter.core.checking import OK, UNCHECKED, Checked, ChecksumWatch
from l2_exporter.core.declaring import Declarations
from l2_exporter.core.errors import BookError, cut
from l2_exporter.core.events import CHECKSUM, DELTA, WHOLE, BookPush, Push
from l2_exporter.core.freshbooks import FreshBooks, trim
from l2_exporter.core.handover import Heir
from l2_exporter.core.hours import BookHours
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.lines import Lines
from l2_exporter.core.orderlog import OrderLog
from l2_exporter.core.records import BookSpec, BookSpecs, SnapshotRecord
from l2_exporter.core.recovery import Recovery
from l2_exporter.core.sampling import Sampler
from l2_exporter.core.seeking import Joined, Seeker
from l2_exporter.core.sequence import CONTINUES, Verdict
from l2_exporter.core.state import LIVE, BookState, Counts, Standing
from l2_exporter.core.surroundings import Surroundings
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.widening import Widening

FRESH_CHAIN = -1
"""OKX: the prevSeqId of a snapshot that begins a chain."""


Samplers = Callable[[BookSpec], Sampler]
"""Makes the buckets of one dataset of a book."""


class Keeper:
    """One book of one channel.

    Attributes:
        standing: only LIVE gives lines.
        counts: messages by what became of them.
        says: its declarations in the ledger; `says.conn` is the connection that owns the book.
        assigned: the connection that subscribed it last; heir: one that is to take it over without a loss.
        hours: which of its hours are over.
    """

    def __init__(
        self,
        specs: BookSpecs,
        shared: Surroundings,
        samplers: Samplers,
        recovery: Recovery,
        hours_of: Sequence[tuple[BookSpec, int]],
    ) -> None:
        self._specs = specs
        spec = self.spec = specs.levels
        self.standing = Standing.EMPTY
        self.state = BookState()
        self.counts = Counts()
        self.says = Declarations(specs, shared)
        self.assigned: str | None = None
        self.heir: Heir | None = None
        self._shared = shared
        self._watch = ChecksumWatch(shared.checks)
        self.hours = BookHours(hours_of, shared, self._counted)
        self._sampler = samplers(spec)
        self._lines = Lines(spec, shared, self._sampler, lambda: self.state, BookState.record, self.hours, leads=True)
        self._orders: OrderLog | None = None
        if specs.events is not None and specs.books is not None:
            make = BookState.order_record
            books = Lines(specs.books, shared, samplers(specs.books), lambda: self.state, make, self.hours, leads=False)
            self._orders = OrderLog(specs.events, shared, books, self.hours)
        self._channel = shared.checks.venue.channels[spec.channel]
        self._fresh = FreshBooks(self._channel, shared, self._watch, self.says)
        self._seeker = Seeker(spec, shared, recovery, self.says, self._attempt)
        levels = self._channel.seed_levels
        self._widening = None if levels is None else Widening(spec, shared, self.says, levels, self.lose)
        self._heard_ns: int | None = None

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def started(self, stamp: Stamp) -> None:
        """Declare what earlier runs left open: everything since this instrument's last line is unknown."""
        lasts = [self._shared.history.newest(spec) for spec in self._specs.all]
        last = max((last for last in lasts if last is not None), key=lambda last: last.event_ns, default=None)
        self.says.open_gaps = self._shared.history.open_gaps(self.says.spec)
        if last is not None:
            self.says.gap("restart", last.event_ns, last.recv_ns, stamp)

    def subscribed(self, conn: str, stamp: Stamp) -> None:
        """Note that a connection has been asked for this book; if nothing comes, ask again.

        A late REST answer can have made the book live while it had no connection: that ends here.
        """
        self.lose("disconnect", stamp, detail={"why": "subscribed anew"}, recover=False)
        self.assigned = self.says.conn = conn
        self.standing = self._seeker.standing
        self._seeker.subscribed(stamp)

    def pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Take one message of this book."""
        self.counts.received += 1
        self._heard_ns = stamp.elapsed_ns
        kind = push.push
        if kind is CHECKSUM:
            self._checksum_pushed(push, stamp)
        elif kind is not DELTA:
            self._book_pushed(push, stamp)
        elif self.standing is LIVE:
            self._delta_pushed(push, stamp)
        else:
            self._hold(push, stamp)

    def replied(self, book: BookPush, levels: int | None, stamp: Stamp) -> None:
        """Take a REST book: it seeds a book that is not live, together with the deltas held back.

        Args:
            levels: how many a side it has at most; None: all there are.
        """
        if self.standing is not Standing.LIVE:
            continuing = self._seeker.joined(book, stamp, levels)
            if continuing is not None:
                self._seed_from_rest(book, levels, continuing, stamp, stamp)
        elif self._widening is not None and levels is not None:
            self._widening.replied(book, levels, self.state, stamp)

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
        intact: bool = True,
    ) -> None:
        """Declare the loss of a live book and drop it: a line of its last good state, then the ledger.

        Args:
            intact: the state is still the last good one, and can be written.
        """
        if self.standing is not Standing.LIVE:
            return
        lost = self.state
        self._lines.lost(lost, intact)
        if self._orders is not None:
            self._orders.lost(lost, intact)
        self.says.gap(reason, lost.book_ns, lost.recv_ns, stamp, expected=expected, got=got, detail=detail)
        self.state = BookState()
        self._watch.lost(on_trial=False)
        self.standing = Standing.LOST
        self._seeker.settled()
        if self._widening is not None:
            self._widening.forget()
        if recover:
            self._attempt(stamp)

    def link_closed(self, conn: str, reason: str, detail: dict[str, object], stamp: Stamp) -> None:
        """Take note of the end of a connection: a loss if the book lived on it, unless its heir can go on at once."""
        heir = self.heir
        if heir is not None and heir.conn == conn:
            self.heir = None
        if self.says.conn != conn:
            return
        if heir is not None and heir.conn != conn and self.standing is Standing.LIVE and heir.follows(self.state):
            self._succeed(heir)
            return
        self.lose(reason, stamp, detail=detail, recover=False)
        self._seeker.suspended()
        self.says.conn = None
        if heir is not None:
            self._inherit(heir, stamp)

    def handover_begun(self, conn: str) -> None:
        """Note that another connection has been asked for this book, to take it over before this one ends."""
        self.heir = Heir(conn, self._channel, self._shared.most_orders)

    def heir_pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Take a message of the connection that will take over."""
        self.counts.received += 1
        self.counts.ignored += 1
        if self.heir is not None:
            believed = push.event_ns is not None and self._shared.clock.accepts(push.event_ns, stamp.elapsed_ns)
            self.heir.pushed(push, push.event_ns if believed else None, stamp)
            self.hand_over(stamp)

    def hand_over(self, stamp: Stamp) -> None:
        """Let the heir go on with this episode once both stand at the same number; if they disagree it is a loss."""
        heir = self.heir
        if heir is None or self.standing is not Standing.LIVE or not heir.meets(self.state):
            return
        if heir.agrees(self.state):
            self._succeed(heir)
        else:
            self.lose("venue_reset", stamp, detail={"why": "two connections disagree"}, recover=False)
            self._inherit(heir, stamp)

    def _succeed(self, heir: Heir) -> None:
        """Go on with this episode on another connection, by what it has brought since the number both stand at."""
        self.heir = None
        self.assigned = self.says.conn = heir.conn
        self._take_again(heir.since(self.state))

    def _take_again(self, pushes: Joined) -> None:
        """Take messages that were counted as ignored while they were an heir's."""
        self.counts.received -= len(pushes)
        self.counts.ignored -= len(pushes)
        for push, stamp in pushes:
            self.pushed(push, stamp)

    def is_on(self, conn: str) -> bool:
        """Tell whether a connection brings this book, or is to take it over."""
        return self.says.conn == conn or (self.heir is not None and self.heir.conn == conn)

    def stopped(self) -> None:
        """Close the open buckets: a clean stop or the end of a tape."""
        if self.standing is Standing.LIVE:
            self._lines.close(self.state)
            if self._orders is not None:
                self._orders.books.close(self.state)

    def is_silent(self, elapsed_ns: int) -> bool:
        """Tell whether a live book got nothing for longer than its channel allows."""
        limit_s = self._channel.stale_after_s
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
        elif push.push is WHOLE or self._continues(push):
            self._update(push, stamp)
        else:
            self.lose("venue_reset", stamp, expected=chain.seq, got=push.prev_seq, recover=False)
            self._seed(push, stamp)

    def _delta_pushed(self, push: BookPush, stamp: Stamp) -> None:
        chain = self.state.chain
        verdict = chain.judge(push)
        if verdict is CONTINUES and push.event_ns is None and push.is_idle:
            # A keep-alive without event time proves the chain and changes nothing.
            self.counts.applied += 1
            self.says.event_time(push, believed=False, stamp=stamp)
        elif verdict is CONTINUES:
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

    def _continues(self, push: BookPush) -> bool:
        """Tell whether a snapshot chains to the live book; one of orders would hide what happened to them."""
        chained = push.prev_seq not in (None, FRESH_CHAIN) and push.prev_seq == self.state.chain.seq
        return chained and self._orders is None

    def _is_repetition(self, push: BookPush) -> bool:
        """Tell whether a book says nothing new: it came before, or one that is whole each time comes behind a later."""
        chain, book_ns = self.state.chain, self.state.book_ns
        # Where both have a number, a greater one is the later whatever its time.
        is_later = push.seq is not None and chain.seq is not None and push.seq >= chain.seq
        is_whole = push.push is WHOLE and push.event_ns is not None and book_ns is not None
        if is_whole and not is_later and (push.event_ns or 0) < (book_ns or 0):
            return True
        numbered = push.push is Push.SNAPSHOT and push.seq is not None and push.prev_seq is not None
        if numbered and (push.prev_seq, push.seq) == (chain.prev_seq, chain.seq):
            return True
        return push.event_ns == chain.event_ns and self.state.book.same_levels(push.bids, push.asks)

    def _update(self, push: BookPush, stamp: Stamp) -> None:
        """Apply a message that continues the book; a checksum that fails decisively takes it back and is a loss."""
        state, watch, orders = self.state, self._watch, self._orders
        has_sequence = state.chain.seq is not None
        # What a loss goes back to is kept only where a loss is possible: it costs as much as the message itself.
        before = (state.book.copy(), self._shared.clock.mark()) if watch.decides(push, has_sequence) else None
        event_ns = self._fresh.event_time(push, stamp)
        book_ns = state.time_after(event_ns)
        sampler = self._sampler
        closing = None
        if book_ns is not None and book_ns >= sampler.open_until_ns:
            closing = self._lines.closing(book_ns, state)
        if orders is not None:
            orders.books.close_before(book_ns, state)
        try:
            changes = state.book.take(push, book_ns)
        except BookError as error:
            self._contradicted(push, closing, str(error), stamp)
            return
        if self._channel.truncates:
            trim(self._channel, state)
        checked = watch.check(push, state.book)
        if checked is not OK and (checked is not UNCHECKED or push.checksum != watch.quiet):
            self.says.checked(checked, watch, push, state, stamp)
        if before is not None and checked is Checked.MISMATCH:
            state.book, mark = before
            self._shared.clock.reset(mark)
            watch.lost(on_trial=has_sequence)
            self.counts.rejected += 1
            self.lose("checksum", stamp, expected=push.checksum, got=watch.calculated)
            return
        if closing is not None:
            self._lines.closed(closing)
        state.applied(push, event_ns, stamp.recv_ns)
        state.checked(True if checked is OK else None if checked is UNCHECKED else checked.ok)
        self.counts.applied += 1
        if not sampler.is_open:
            self._lines.sample(state, stamp)
        if orders is not None:
            orders.applied(changes, push, state, stamp)
            if orders.newly_cut(state):
                self.says.note("canary", stamp, reason="max_orders", detail={"orders": self._shared.most_orders})
        if self._widening is not None:
            self._widening.updated(push, state, stamp)

    def _contradicted(self, push: BookPush, closing: SnapshotRecord | None, why: str, stamp: Stamp) -> None:
        """Give up a book of orders that a message in sequence does not fit: one of the two is wrong."""
        if closing is not None:
            self._lines.closed(closing)
        self.counts.rejected += 1
        self.lose("sequence", stamp, detail={"odd_frame": cut(why)}, intact=False)

    def _checksum_pushed(self, push: BookPush, stamp: Stamp) -> None:
        """Check the book as the update before left it; a row of failures that decides is a loss."""
        if self.standing is not Standing.LIVE:
            self.counts.before_seed += 1
            return
        self.counts.applied += 1
        state, watch, has_sequence = self.state, self._watch, self.state.chain.seq is not None
        decides = watch.decides(push, has_sequence)
        checked = watch.check(push, state.book)
        self.says.checked(checked, watch, push, state, stamp)
        state.checksum = push.checksum
        state.checked(checked.ok)
        if checked is Checked.MISMATCH and decides:
            watch.lost(on_trial=has_sequence)
            self.lose("checksum", stamp, expected=push.checksum, got=watch.calculated)

    @property
    def checksums(self) -> dict[str, int]:
        """How many messages were checked, by outcome: ok, mismatch, changed, unchecked."""
        return {str(outcome): count for outcome, count in self._watch.outcomes.items()}

    def _counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """Count the messages so far; one whose outcome is still open belongs to the hour that it ends up in."""
        counts = asdict(self.counts)
        settled = sum(counts.values()) - counts["received"]
        if counts["received"] == settled + 1:
            counts["received"] = settled
        return counts, self.checksums

    @property
    def is_provable(self) -> bool:
        """Whether a missing message would show: by sequence or checksum, or because every push is the whole book."""
        return self.state.chain.seq is not None or self._channel.whole or self.state.has_checksums

    def _reject(self, why: str, stamp: Stamp) -> None:
        self.counts.rejected += 1
        self.lose("sequence", stamp, detail={"odd_frame": why}, recover=not self._channel.whole)

    # ---- seeding ----------------------------------------------------------------------------------------------------

    def _seed(self, push: BookPush, stamp: Stamp) -> None:
        """Begin an episode with a pushed book; where its checksum is the only test of continuity, it must hold."""
        mark = self._shared.clock.mark()
        decisive = push.seq is None and self._watch.decides(push, has_sequence=False)
        try:
            state, checked = self._fresh.pushed(push, bool(self.says.open_gaps), stamp)
        except BookError as error:
            self.counts.rejected += 1
            self._refuse_seed(error, stamp)
            return
        if checked is Checked.MISMATCH and decisive:
            self._shared.clock.reset(mark)
            self.counts.rejected += 1
            if self.standing in (Standing.EMPTY, Standing.LOST):
                self._attempt(stamp)
            return
        self.counts.applied += 1
        self._go_live(state, stamp)

    def _seed_from_rest(
        self, book: BookPush, levels: int | None, continuing: Joined, book_stamp: Stamp, stamp: Stamp
    ) -> None:
        """Begin an episode with a REST book and the deltas that continue it."""
        try:
            state = self._fresh.joined(book, levels, continuing, bool(self.says.open_gaps), book_stamp, stamp)
        except BookError as error:
            self._refuse_seed(error, stamp)
            return
        self.counts.applied += len(continuing)
        self.counts.before_seed -= len(continuing)
        self._go_live(state, stamp)

    def _refuse_seed(self, error: BookError, stamp: Stamp) -> None:
        """Pass over a fresh book of orders that cannot be, and ask for another."""
        self.says.note("resync", stamp, reason="rest_failed", detail={"error": cut(str(error))})
        if self.standing in (Standing.EMPTY, Standing.LOST):
            self._attempt(stamp)

    def _go_live(self, state: BookState, stamp: Stamp) -> None:
        """Begin the episode, at the book time it stands at now."""
        state.live_since_ns = state.book_ns
        self.state = state
        self.standing = Standing.LIVE
        self.says.live(state, stamp)
        self._seeker.found(stamp)
        self._lines.begun()
        self._lines.sample(state, stamp)
        if self._orders is not None:
            self._orders.begun(state, stamp)

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
        self._take_again(heir.deltas)

    def _hold(self, push: BookPush, stamp: Stamp) -> None:
        """Hold a delta back for a REST book to continue with."""
        self.counts.before_seed += 1
        ask = self._seeker.hold(push, stamp)
        if (waiting := self._seeker.waiting()) is not None:
            book, book_stamp, levels = waiting
            continuing = self._seeker.joined(book, book_stamp, levels)
            if continuing is not None:
                self._seed_from_rest(book, levels, continuing, book_stamp, stamp)
                return
        if ask and not self._seeker.is_waiting:
            self._attempt(stamp)

    def _attempt(self, stamp: Stamp) -> None:
        """Ask for a fresh book, until one comes."""
        self._seeker.attempt(self.standing, stamp)
        self.standing = self._seeker.standing
