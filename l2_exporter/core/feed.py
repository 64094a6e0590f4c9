"""One venue's state machine: frames, answers, times and closed links go in; records and commands come out.

It knows connections, decides what a frame that cannot be read means, and runs deadlines. What a message means to a book
is the keeper's work. No socket, clock, thread, log or file: a replay drives it exactly as a live link does.
"""

import random
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from l2_exporter.core.books import Answer, BookKey, Books, Settings
from l2_exporter.core.checking import ChecksumPolicy
from l2_exporter.core.commands import CloseLink, FetchBook, KeepFrame, OpenSuccessor, SendFrame
from l2_exporter.core.errors import SchemaError, VenueError, cut
from l2_exporter.core.events import (
    BookPush,
    ClosingSoon,
    Event,
    Numbered,
    Other,
    Refused,
    Reopen,
    Say,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.core.history import History
from l2_exporter.core.hours import HourWatch
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.links import Link, number_follows
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.rejection import Rejection
from l2_exporter.core.surroundings import Output, Surroundings
from l2_exporter.core.timers import Timers
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Venue
from l2_exporter.core.venueclock import VenueClock

LINK_REASONS = ("disconnect", "stale", "overflow", "oversize", "clock")
"""What the end of a connection may be to its books."""


class Feed:
    """All books of one venue in one run.

    Attributes:
        books: the keepers.
        links: the open connections by name; closed: the counts of those that are gone.
    """

    def __init__(self, venue: Venue, settings: Settings, history: History) -> None:
        self.links: dict[str, Link] = {}
        self._codes = dict(settings.codes)
        self.closed = Link(venue.connection(self._codes))
        self._venue = venue
        self._settings = settings
        self._gap_count = 0
        self._shared = Surroundings(
            clock=VenueClock(),
            timers=Timers(),
            history=history,
            checks=ChecksumPolicy(venue, settings.checksum_resync),
            new_id=self._new_id,
            ask=self._ask,
            most_orders=settings.max_orders,
        )
        self.books = Books(venue, settings, self._shared)
        self._hours = HourWatch(self._shared, lambda: [keeper.hours for keeper in self.books.keepers.values()])
        self._rejection = Rejection(venue.name, self.books.keepers, self._shared)

    @property
    def broken(self) -> SchemaError | None:
        """The schema break that stopped the venue, None while it runs."""
        return self._rejection.broken

    @property
    def keepers(self) -> dict[BookKey, Keeper]:
        """The keepers by (channel, instrument), in order of first appearance."""
        return self.books.keepers

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def started(self, stamp: Stamp) -> list[Output]:
        """Begin a run: the books that connections will subscribe are declared."""
        for conn, books in self._settings.connections.items():
            for channel, inst in books:
                keeper = self.books.keeper(channel, inst, stamp)
                if keeper is not None:
                    keeper.assigned = conn
        self._hours.started(stamp)
        return self._taken()

    def link_opened(
        self, conn: str, url: str | None, origin: str, stamp: Stamp, replaces: str | None = None
    ) -> list[Output]:
        """Note a new connection and subscribe its books.

        Args:
            origin: live, override or replay.
            replaces: the connection whose books it takes over without a loss, if their sequences prove an overlap.
        """
        self._shared.run_deadlines(stamp)
        if conn in self.links:
            self._close_link(conn, "reopened", "opened again", stamp)
        link = self.links[conn] = self._new_link(url, replaces)
        self._note("connected", conn, stamp, detail={"origin": origin, "url": url})
        self._say(conn, link.protocol.opened())
        self._limit_life(conn, link, stamp)
        if replaces is not None and replaces in self.links:
            self._subscribe_heirs(conn, replaces, stamp)
        self._subscribe(conn, replaces, stamp)
        if self._settings.connections and not any(keeper.is_on(conn) for keeper in self.keepers.values()):
            # Its books went to a successor while it was being opened again.
            self._shared.out.append(CloseLink(conn, "replaced"))
        return self._taken()

    def frame_received(self, conn: str, frame: str | bytes, stamp: Stamp) -> list[Output]:
        """Take one frame."""
        shared, rejection = self._shared, self._rejection
        shared.run_deadlines(stamp)
        if rejection.broken is not None:
            return self._taken()
        link = self.links.get(conn)
        if link is None:
            link = self.links[conn] = self._new_link()
        try:
            events = link.protocol.decode(frame)
        except SchemaError as error:
            self._odd_frame(conn, link, frame, error, stamp)
        except VenueError as error:
            link.rejected += 1
            rejection.unreadable(conn, frame, error, stamp)
        else:
            rejection.readable(conn)
            if len(events) == 1 and type(events[0]) is BookPush:
                self._push(conn, link, events[0], stamp)
            else:
                self._take_all(conn, link, events, stamp)
        return self._taken() if shared.out or self._hours.is_due else []

    def book_replied(self, url: str, status: int, body: str, stamp: Stamp) -> list[Output]:
        """Take the answer to a REST request; one that is no book of ours is left alone."""
        self._shared.run_deadlines(stamp)
        asked = self._venue.book_asked(url)
        if asked is not None:
            self.books.replied(asked.inst, asked.levels, Answer(status, body, stamp))
        return self._taken()

    def link_closed(self, conn: str, why: str, stamp: Stamp) -> list[Output]:
        """Note that a connection is gone: its books are lost, and another may bring them.

        Args:
            why: for the ledger; if it begins with one of LINK_REASONS and a colon, that is the reason of the losses.
        """
        self._shared.run_deadlines(stamp)
        self._close_link(conn, "closed", why, stamp)
        return self._taken()

    def books_silent(self, books: Sequence[BookKey], stamp: Stamp) -> list[Output]:
        """Take note that books got nothing for longer than their channel allows, although the link was read empty."""
        self._shared.run_deadlines(stamp)
        for key in books:
            keeper = self.keepers.get(key)
            if keeper is not None:
                keeper.says.note("stale", stamp)
                keeper.lose("stale", stamp)
        return self._taken()

    def books_joined(self, conn: str, books: Sequence[BookKey], codes: Mapping[str, str], stamp: Stamp) -> list[Output]:
        """Record more books from now on, on this connection; it subscribes them now, or when it is opened.

        Args:
            codes: what the wire calls those of them that it does not call by their id.
        """
        self._shared.run_deadlines(stamp)
        self._codes.update(codes)
        joined = self.books.join(conn, books, stamp)
        if conn in self.links:
            for key in joined:
                self.keepers[key].subscribed(conn, stamp)
            self._send_subscriptions(conn, joined)
        return self._taken()

    def noted(self, kind: str, detail: dict[str, object], stamp: Stamp) -> list[Output]:
        """Write down what the shell has noticed of clocks and sleeps."""
        self._shared.run_deadlines(stamp)
        self._note(kind, None, stamp, detail=detail)
        return self._taken()

    def ticked(self, stamp: Stamp) -> list[Output]:
        """Let deadlines run that fall due while nothing else arrives."""
        self._shared.run_deadlines(stamp)
        return self._taken()

    def stopped(self, stamp: Stamp) -> list[Output]:
        """End the run cleanly: open buckets are closed, in order of the books' first appearance."""
        self._shared.run_deadlines(stamp)
        for keeper in self.keepers.values():
            keeper.stopped()
        self._hours.look()
        return self._taken()

    # ---- what the shell asks ----------------------------------------------------------------------------------------

    def next_deadline_ns(self) -> int | None:
        """Tell when the next deadline is due, in elapsed time."""
        return self._shared.timers.next_due_ns()

    def silent_books(self, elapsed_ns: int) -> list[BookKey]:
        """List the live books that got nothing for longer than their channel allows."""
        return [key for key, keeper in self.keepers.items() if keeper.is_silent(elapsed_ns)]

    def _new_link(self, url: str | None = None, replaces: str | None = None) -> Link:
        return Link(self._venue.connection(self._codes), url, replaces)

    # ---- connections ------------------------------------------------------------------------------------------------

    def _subscribe(self, conn: str, replaces: str | None, stamp: Stamp) -> None:
        """Subscribe the books without a connection: those assigned to this one, and what it was to take over."""
        theirs = {conn, replaces} - {None}
        assigned = [key for key, keeper in self.keepers.items() if keeper.assigned in theirs]
        books = [key for key in assigned if self.keepers[key].says.conn is None]
        for key in books:
            self.keepers[key].subscribed(conn, stamp)
        self._send_subscriptions(conn, books)

    def _subscribe_heirs(self, conn: str, replaces: str, stamp: Stamp) -> None:
        books = [key for key, keeper in self.keepers.items() if keeper.says.conn == replaces]
        for key in books:
            self.keepers[key].handover_begun(conn)
        self._send_subscriptions(conn, books)
        self._note("planned_reconnect", conn, stamp, reason="begun", detail={"replaces": replaces})

    def _send_subscriptions(self, conn: str, books: Sequence[BookKey]) -> None:
        size = self._venue.link.books_per_request
        for start in range(0, len(books), size):
            self._say(conn, self.links[conn].protocol.subscribe(books[start : start + size]))

    def _say(self, conn: str, texts: Sequence[str]) -> None:
        self._shared.out += [SendFrame(conn, text) for text in texts]

    def _limit_life(self, conn: str, link: Link, stamp: Stamp) -> None:
        """Have a connection replaced before the venue ends it for its age, not all of them at once."""
        life_s = self._venue.link.life_s
        if life_s is None or stamp.elapsed_ns is None:
            return
        jitter = random.Random(f"{self._settings.jitter_seed}/{conn}/life").uniform(0.9, 0.98)

        def aged(at: Stamp) -> None:
            if self.links.get(conn) is link:
                self._close_soon(conn, link, "life", at)

        self._shared.timers.set(stamp.elapsed_ns + round(life_s * jitter) * NS_PER_S, aged)

    def _close_soon(self, conn: str, link: Link, code: str, stamp: Stamp) -> None:
        self._note("maintenance", conn, stamp, reason="closing_soon", detail={"code": code})
        if not link.closing:
            link.closing = True
            self._shared.out.append(OpenSuccessor(conn))

    def _count_repetition(self, conn: str, link: Link, events: Sequence[Event], stamp: Stamp) -> None:
        """Count what a frame that came before, or too late, says: its books are duplicates."""
        for push in [event for event in events if isinstance(event, BookPush)]:
            keeper = self._keeper(push.channel, push.inst, link, stamp)
            if self._is_ours(keeper, conn):
                keeper.counts.received += 1
                keeper.counts.duplicate += 1

    def _close_link(self, conn: str, reason: str, why: str, stamp: Stamp) -> None:
        link = self.links.pop(conn, None) or self._new_link()
        self._rejection.readable(conn)
        self.closed.control += link.control
        self.closed.ignored += link.ignored
        self.closed.rejected += link.rejected
        self._note("disconnected", conn, stamp, reason=reason, detail={"why": cut(why)})
        loss = next((word for word in LINK_REASONS if why.startswith(word + ":")), "disconnect")
        for keeper in self.keepers.values():
            keeper.link_closed(conn, loss, {"why": cut(why)}, stamp)
        for heir in self.links.values():
            if heir.replaces == conn:
                # What it had is the successor's now, with a loss or without: it need not come back.
                heir.replaces = None
                self._shared.out.append(CloseLink(conn, "replaced"))

    def _end_handover(self, keeper: Keeper, stamp: Stamp) -> None:
        """Close the old connection once every book has been taken over."""
        conn = keeper.says.conn
        link = self.links.get(conn or "")
        if keeper.heir is not None or link is None or link.replaces is None:
            return
        old = link.replaces
        if not any(other.says.conn == old for other in self.keepers.values()):
            link.replaces = None
            self._note("planned_reconnect", conn, stamp, reason="done", detail={"replaces": old})
            self._shared.out.append(CloseLink(old, "replaced"))

    # ---- frames -----------------------------------------------------------------------------------------------------

    def _take_all(self, conn: str, link: Link, events: Sequence[Event], stamp: Stamp) -> None:
        is_control = True
        for event in events:
            if type(event) is BookPush:
                is_control = False
                self._push(conn, link, event, stamp)
            elif type(event) is not Numbered:
                self._take(conn, link, event, stamp)
            elif not number_follows(self.keepers.values(), conn, link, event.number, stamp):
                self._count_repetition(conn, link, events, stamp)
                is_control = not any(type(each) is BookPush for each in events)
                break
        link.control += is_control

    def _take(self, conn: str, link: Link, event: Event, stamp: Stamp) -> None:
        if isinstance(event, Subscribed):
            self._note("subscribed", conn, stamp, detail={"channel": event.channel, "instId": event.inst})
        elif isinstance(event, Refused):
            self._note("canary", conn, stamp, reason="refused", detail={"code": event.code, "text": cut(event.text)})
        elif isinstance(event, ClosingSoon):
            self._close_soon(conn, link, event.code, stamp)
        elif isinstance(event, Say):
            self._say(conn, [event.text])
        elif isinstance(event, Reopen):
            self._note(
                "maintenance", conn, stamp, reason="reopen", detail={"code": event.code, "text": cut(event.text)}
            )
            self._shared.out.append(CloseLink(conn, "reopen"))
        elif isinstance(event, Unsubscribed):
            detail: dict[str, object] = {"channel": event.channel, "instId": event.inst}
            self._note("subscribed", conn, stamp, reason="ended", detail=detail)
        elif isinstance(event, Other) and not event.known and not link.unknown_said:
            link.unknown_said = True
            self._note("canary", conn, stamp, reason="unknown_frame", detail={"what": event.what})

    def _push(self, conn: str, link: Link, push: BookPush, stamp: Stamp) -> None:
        keeper = self.books.keepers.get((push.channel, push.inst))
        if keeper is None:
            keeper = self._keeper(push.channel, push.inst, link, stamp)
        elif keeper.heir is None and keeper.says.conn == conn:
            # Nearly every message takes this way.
            self._rejection.good(push.channel)
            keeper.pushed(push, stamp)
            return
        if keeper is not None and keeper.heir is not None and keeper.heir.conn == conn:
            keeper.heir_pushed(push, stamp)
            self._end_handover(keeper, stamp)
        elif self._is_ours(keeper, conn):
            self._rejection.good(push.channel)
            keeper.pushed(push, stamp)
            if keeper.heir is not None:
                keeper.hand_over(stamp)
                self._end_handover(keeper, stamp)

    def _keeper(self, channel: str, inst: str, link: Link, stamp: Stamp) -> Keeper | None:
        """Return the keeper of a book; count the message on the link if there can be none."""
        try:
            keeper = self.books.keeper(channel, inst, stamp)
        except VenueError as error:
            link.rejected += 1
            self._shared.out.append(KeepFrame(inst, str(error)))
            return None
        if keeper is None:
            link.ignored += 1
        return keeper

    def _odd_frame(self, conn: str, link: Link, frame: str | bytes, error: SchemaError, stamp: Stamp) -> None:
        """Reject a book frame without the shape its channel promises; of a book that is not recorded, count it."""
        keeper = None
        if error.inst is None:
            link.rejected += 1
        else:
            keeper = self._keeper(error.channel, error.inst, link, stamp)
            if not self._is_ours(keeper, conn):
                if keeper is not None and keeper.heir is not None and keeper.heir.conn == conn:
                    keeper.heir.unread()
                return
        self._rejection.odd(conn, frame, error, keeper, stamp)

    def _is_ours(self, keeper: Keeper | None, conn: str) -> TypeGuard[Keeper]:
        """Tell whether this connection is the one a book is recorded from; the first to bring it is. Else count it."""
        if keeper is None:
            return False
        if keeper.says.conn is None:
            keeper.says.conn = conn
        if keeper.says.conn != conn:
            keeper.counts.received += 1
            keeper.counts.ignored += 1
            return False
        return True

    # ---- output -----------------------------------------------------------------------------------------------------

    def _ask(self, channel: str, inst: str, by_rest: bool) -> None:
        """Ask the venue for a fresh book."""
        conn = self.keepers[channel, inst].says.conn
        path = self._venue.book_path(channel, inst) if by_rest else None
        if path is not None:
            self._shared.out.append(FetchBook(f"{channel}/{inst}", path, self._venue.link.book_weight))
        elif conn in self.links:
            self._say(conn, self.links[conn].protocol.resubscribe(channel, inst))

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
        if self._hours.is_due:
            self._hours.look()
        out = self._shared.out
        if out:
            self._shared.out = []
            return out
        return []

    def _new_id(self) -> str:
        self._gap_count += 1
        return f"{self._settings.run}-{self._gap_count}"
