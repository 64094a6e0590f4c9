"""One venue's state machine: frames, answers, times and closed links go in; records and commands come out.

It tells books apart, decides what a frame that cannot be read means, and runs deadlines. What a message means to a book
is the keeper's work. No socket, clock, thread, log or file: a replay drives it exactly as a live link does.
"""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TypeGuard

from l2_exporter.core.checking import ChecksumPolicy
from l2_exporter.core.commands import CloseLink, FetchBook, KeepFrame, SendFrame, StopVenue
from l2_exporter.core.errors import SchemaError, VenueError, clip
from l2_exporter.core.events import BookPush, ClosingSoon, Event, Other, Refused, Subscribed, Unsubscribed
from l2_exporter.core.history import History
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.records import BookSpec, LedgerRecord
from l2_exporter.core.recovery import Recovery
from l2_exporter.core.sampling import Sampler
from l2_exporter.core.surroundings import Output, Surroundings
from l2_exporter.core.timers import Timers
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Venue, dataset_of
from l2_exporter.core.venueclock import VenueClock

NOT_JSON_LIMIT = 3
ODD_LIMIT = 3
EARLY_LIMIT = 1_000
"""Answers held for instruments that have had no frame yet."""

BookKey = tuple[str, str]
"""(channel, instrument), both in the venue's own words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How books are recorded.

    Attributes:
        books: those to record from the start on, whether or not frames come.
        only: those that may be recorded; None: all that have frames.
        run: distinguishes the ids of this run's gaps from all others'.
        checksum_resync: mismatches in a row that are a loss where a sequence proves continuity too; 0: never.
    """

    cadence_ns: int = 2 * NS_PER_S
    depth: int = 400
    grace_ns: int = NS_PER_S
    books: Collection[BookKey] = ()
    only: Collection[BookKey] | None = None
    checksum_resync: int = 3
    jitter_seed: int = 0
    run: str = "run"


@dataclass(slots=True)
class Link:
    """What is known of one connection.

    Attributes:
        control: frames without a book.
        ignored: messages of books that are not recorded.
        rejected: frames that name no book and could not be read.
    """

    url: str | None = None
    control: int = 0
    ignored: int = 0
    rejected: int = 0
    not_json_in_row: int = 0
    unknown_said: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A REST answer with a book."""

    status: int
    body: str
    stamp: Stamp


class Feed:
    """All books of one venue in one run.

    Attributes:
        keepers: by (channel, instrument), in order of first appearance.
        links: the open connections by name; closed: the counts of those that are gone.
        broken: the schema break that stopped the venue, None while it runs.
    """

    def __init__(self, venue: Venue, settings: Settings, history: History) -> None:
        self.keepers: dict[BookKey, Keeper] = {}
        self.links: dict[str, Link] = {}
        self.closed = Link()
        self.broken: SchemaError | None = None
        self._venue = venue
        self._settings = settings
        self._gap_count = 0
        self._early: dict[str, Answer] = {}
        self._good_channels: set[str] = set()
        self._odd_in_row: Counter[str] = Counter()
        self._shared = Surroundings(
            clock=VenueClock(),
            timers=Timers(),
            history=history,
            checks=ChecksumPolicy(venue, settings.checksum_resync),
            new_id=self._new_id,
            ask=self._ask,
        )

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def started(self, stamp: Stamp) -> list[Output]:
        """Begin a run: the books that were asked for are declared."""
        for channel, inst in self._settings.books:
            self._keeper(channel, inst, stamp)
        return self._taken()

    def link_opened(self, conn: str, url: str | None, origin: str, stamp: Stamp) -> list[Output]:
        """Note a new connection. Origin: live, override or replay."""
        self._run_deadlines(stamp)
        if conn in self.links:
            self._close_link(conn, "reopened", "opened again", stamp)
        self.links[conn] = Link(url)
        self._note("connected", conn, stamp, detail={"origin": origin, "url": url})
        return self._taken()

    def frame_received(self, conn: str, frame: str | bytes, stamp: Stamp) -> list[Output]:
        """Take one frame."""
        self._run_deadlines(stamp)
        if self.broken is not None:
            return self._taken()
        link = self.links.setdefault(conn, Link())
        try:
            events = self._venue.decode(frame)
        except SchemaError as error:
            self._odd_frame(conn, link, frame, error, stamp)
        except VenueError as error:
            self._unreadable_frame(conn, link, frame, error, stamp)
        else:
            link.not_json_in_row = 0
            for event in events:
                self._take(conn, link, event, stamp)
        return self._taken()

    def book_replied(self, url: str, status: int, body: str, stamp: Stamp) -> list[Output]:
        """Take the answer to a REST request; one that is no book of ours is left alone."""
        self._run_deadlines(stamp)
        inst = self._venue.book_of_path(url)
        if inst is None:
            return self._taken()
        answer = Answer(status, body, stamp)
        keepers = [keeper for (_, name), keeper in self.keepers.items() if name == inst]
        if not keepers and len(self._early) < EARLY_LIMIT:
            self._early.setdefault(inst, answer)
        for keeper in keepers:
            self._offer(keeper, answer)
        return self._taken()

    def _offer(self, keeper: Keeper, answer: Answer) -> None:
        """Offer a REST answer to a book; whole-book channels need none."""
        spec = keeper.spec
        if self._venue.channels[spec.channel].whole:
            return
        try:
            if answer.status != 200:
                raise VenueError(f"HTTP status {answer.status}")
            book = self._venue.decode_book(spec.channel, spec.inst, answer.body)
        except VenueError as error:
            keeper.says.note("resync", answer.stamp, reason="rest_failed", detail={"error": clip(str(error))})
        else:
            keeper.replied(book, answer.stamp)

    def link_closed(self, conn: str, why: str, stamp: Stamp) -> list[Output]:
        """Note that a connection is gone: its books are lost, and another may bring them."""
        self._run_deadlines(stamp)
        self._close_link(conn, "closed", why, stamp)
        return self._taken()

    def _close_link(self, conn: str, reason: str, why: str, stamp: Stamp) -> None:
        link = self.links.pop(conn, Link())
        self.closed.control += link.control
        self.closed.ignored += link.ignored
        self.closed.rejected += link.rejected
        self._note("disconnected", conn, stamp, reason=reason, detail={"why": clip(why)})
        for keeper in self.keepers.values():
            if keeper.says.conn == conn:
                keeper.lose("disconnect", stamp, detail={"why": clip(why)}, recover=False)
                keeper.says.conn = None

    def ticked(self, stamp: Stamp) -> list[Output]:
        """Let deadlines run that fall due while nothing else arrives."""
        self._run_deadlines(stamp)
        return self._taken()

    def stopped(self, stamp: Stamp) -> list[Output]:
        """End the run cleanly: open buckets are closed, in order of the books' first appearance."""
        self._run_deadlines(stamp)
        for keeper in self.keepers.values():
            keeper.stopped()
        return self._taken()

    def next_deadline_ns(self) -> int | None:
        """Tell when the next deadline is due, in elapsed time."""
        return self._shared.timers.next_due_ns()

    # ---- frames -----------------------------------------------------------------------------------------------------

    def _take(self, conn: str, link: Link, event: Event, stamp: Stamp) -> None:
        if isinstance(event, BookPush):
            self._push(conn, link, event, stamp)
            return
        link.control += 1
        if isinstance(event, Subscribed):
            self._note("subscribed", conn, stamp, detail={"channel": event.channel, "instId": event.inst})
        elif isinstance(event, Refused):
            self._note("canary", conn, stamp, reason="refused", detail={"code": event.code, "text": clip(event.text)})
        elif isinstance(event, ClosingSoon):
            self._note("maintenance", conn, stamp, reason="closing_soon", detail={"code": event.code})
        elif isinstance(event, Other) and not event.known and not link.unknown_said:
            link.unknown_said = True
            self._note("canary", conn, stamp, reason="unknown_frame", detail={"what": event.what})
        elif isinstance(event, Unsubscribed):
            self._note(
                "subscribed", conn, stamp, reason="ended", detail={"channel": event.channel, "instId": event.inst}
            )

    def _push(self, conn: str, link: Link, push: BookPush, stamp: Stamp) -> None:
        try:
            keeper = self._keeper(push.channel, push.inst, stamp)
        except VenueError as error:
            link.rejected += 1
            self._shared.out.append(KeepFrame(push.inst, str(error)))
            return
        if self._is_ours(keeper, conn, link):
            self._good_channels.add(push.channel)
            self._odd_in_row[push.channel] = 0
            keeper.pushed(push, stamp)

    def _is_ours(self, keeper: Keeper | None, conn: str, link: Link) -> TypeGuard[Keeper]:
        """Tell whether this connection is the one a book is recorded from; the first to bring it is. Else count it."""
        if keeper is None:
            link.ignored += 1
            return False
        if keeper.says.conn is None:
            keeper.says.conn = conn
        if keeper.says.conn != conn:
            keeper.counts.received += 1
            keeper.counts.ignored += 1
            return False
        return True

    def _odd_frame(self, conn: str, link: Link, frame: str | bytes, error: SchemaError, stamp: Stamp) -> None:
        """Reject a book frame without the shape its channel promises (docs/FORMAT.md, "Odd frames")."""
        link.not_json_in_row = 0
        if error.inst is None:
            link.rejected += 1
            self._lose_unprovable(conn, error, stamp)
        else:
            keeper = self._keeper(error.channel, error.inst, stamp)
            if not self._is_ours(keeper, conn, link):
                return
            keeper.frame_rejected(", ".join(error.missing), stamp)
        self._shared.out.append(KeepFrame(frame, str(error)))
        self._odd_in_row[error.channel] += 1
        if error.channel not in self._good_channels or self._odd_in_row[error.channel] >= ODD_LIMIT:
            self._break(conn, error, stamp)

    def _unreadable_frame(self, conn: str, link: Link, frame: str | bytes, error: VenueError, stamp: Stamp) -> None:
        """Reject what is no frame at all; three in a row and the link is not worth keeping."""
        link.rejected += 1
        link.not_json_in_row += 1
        self._shared.out.append(KeepFrame(frame, str(error)))
        self._note("canary", conn, stamp, reason="not_json", detail={"error": clip(str(error))})
        self._lose_unprovable(conn, error, stamp)
        if link.not_json_in_row >= NOT_JSON_LIMIT:
            self._shared.out.append(CloseLink(conn, "not_json"))

    def _lose_unprovable(self, conn: str, error: VenueError, stamp: Stamp) -> None:
        """Give up books that could miss a message without any test to show it: what was rejected may have been one."""
        for keeper in self.keepers.values():
            if keeper.says.conn == conn and not keeper.is_provable:
                keeper.lose("sequence", stamp, detail={"odd_frame": clip(str(error))})

    def _break(self, conn: str, error: SchemaError, stamp: Stamp) -> None:
        """Stop the venue: its channel is not what it was."""
        self.broken = error
        detail: dict[str, object] = {"channel": error.channel, "missing": list(error.missing)}
        self._note("schema_break", conn, stamp, detail=detail)
        for keeper in self.keepers.values():
            keeper.lose("disconnect", stamp, detail={"why": "schema_break"}, recover=False)
        missing = ", ".join(error.missing)
        line = f"BUILD_FAIL venue={self._venue.name} channel={error.channel} missing=[{missing}]"
        self._shared.out.append(StopVenue(line))

    # ---- books ------------------------------------------------------------------------------------------------------

    def _keeper(self, channel: str, inst: str, stamp: Stamp) -> Keeper | None:
        """Return the keeper of a book, a new one at its first appearance, None for a book that is not recorded."""
        keeper = self.keepers.get((channel, inst))
        if keeper is not None:
            return keeper
        only = self._settings.only
        if only is not None and (channel, inst) not in only:
            return None
        spec = self._spec(channel, inst)
        self._shared.history.admit(spec)
        floor_of = partial(self._shared.history.floor, spec)
        sampler = Sampler(self._settings.cadence_ns, self._settings.grace_ns, floor_of)
        recovery = Recovery(random.Random(f"{self._settings.jitter_seed}/{channel}/{inst}"))
        keeper = self.keepers[channel, inst] = Keeper(spec, self._shared, sampler, recovery)
        keeper.started(stamp)
        early = self._early.pop(inst, None)
        if early is not None:
            self._offer(keeper, early)
            self._run_deadlines(stamp)
        return keeper

    def _spec(self, name: str, inst: str) -> BookSpec:
        channel = self._venue.channels[name]
        market = self._venue.market_of(inst)
        depth = self._settings.depth if channel.depth is None else min(self._settings.depth, channel.depth)
        dataset = dataset_of(market, channel)
        return BookSpec(self._venue.name, market, dataset, name, inst, depth, channel.time_decimals)

    def _ask(self, channel: str, inst: str, by_rest: bool) -> None:
        """Ask the venue for a fresh book."""
        book = (channel, inst)
        conn = self.keepers[book].says.conn
        if by_rest:
            self._shared.out.append(FetchBook(f"{channel}/{inst}", self._venue.book_path(channel, inst)))
        elif conn is not None:
            self._shared.out.append(SendFrame(conn, self._venue.unsubscribe([book])))
            self._shared.out.append(SendFrame(conn, self._venue.subscribe([book])))

    # ---- output -----------------------------------------------------------------------------------------------------

    def _run_deadlines(self, stamp: Stamp) -> None:
        if stamp.elapsed_ns is None:
            return
        for due_ns, action in self._shared.timers.due(stamp.elapsed_ns):
            action(stamp.at(due_ns))

    def _note(
        self,
        kind: str,
        conn: str | None,
        stamp: Stamp,
        *,
        reason: str | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        self._shared.out.append(LedgerRecord(stamp.recv_ns, kind, conn, reason=reason, detail=detail))

    def _taken(self) -> list[Output]:
        """Hand over what this input led to."""
        out = self._shared.out
        self._shared.out = []
        return out

    def _new_id(self) -> str:
        self._gap_count += 1
        return f"{self._settings.run}-{self._gap_count}"
