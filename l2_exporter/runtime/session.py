"""One venue's recording while it is live: links and REST answers in, one queue, the recorder, commands out.

Everything runs on one event loop; files are synced and REST requests made in threads of their own. What is received is
taped, if it is, before it is processed.
"""

import asyncio
import contextlib
import json
import logging
import platform
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from l2_exporter import __version__
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import BookKey, Settings
from l2_exporter.core.commands import CloseLink, Command, FetchBook, OpenSuccessor, SendFrame
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keys import Keys
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import Venue
from l2_exporter.runtime.clock import Clock, ClockWatch
from l2_exporter.runtime.entrance import signer, ticket_asker
from l2_exporter.runtime.inbox import Inbox
from l2_exporter.runtime.link import MAX_MESSAGE_BYTES, Link, LinkSettings, input_line
from l2_exporter.runtime.reconnecting import Bucket
from l2_exporter.runtime.recorder import Recorder, Watcher, venue_continuity
from l2_exporter.runtime.rest import RestClient, RestReply
from l2_exporter.runtime.syncing import Syncer
from l2_exporter.runtime.tapedpast import describe_past

log = logging.getLogger("l2_exporter.session")

BATCH = 200
TICK_S = 0.1
CALM_NS = 10 * NS_PER_S
"""After a stall of ours, time to read what has waited before anybody's silence is judged."""
TAPE_NEEDS_BYTES = 32 << 20
STOP_WITHIN_S = 5.0
STOPPED_KEPT = 20
"""Venues that end connections after a day would else fill the status over the months."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What one venue's session is told.

    Attributes:
        origin: live, or override where an address is not the venue's own.
        connections: which books each connection subscribes.
        codes: what the wire calls instruments that it does not call by their id.
        keys: of the user, where the channel needs some.
        max_message_bytes: of one message of a connection.
    """

    venue: Venue
    ws_url: str
    origin: str
    connections: dict[str, list[BookKey]]
    cadence_ns: int
    depth: int
    grace_ns: int
    checksum_resync: int
    tape: bool
    fsync_ns: int
    tls: ssl.SSLContext | None
    jitter_seed: int
    run: str
    codes: Mapping[str, str] = field(default_factory=dict)
    order_books_ns: int = 60 * NS_PER_S
    max_orders: int = 1_000_000
    keys: Keys | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES


class Session:
    """Records one venue until it is stopped.

    Attributes:
        recorder: the run; links: its connections by name; inbox: what waits to be processed.
    """

    def __init__(
        self,
        settings: SessionSettings,
        vault: Vault,
        rest: RestClient,
        clock: Clock,
        watch: Watcher,
        disk: Disk | None = None,
    ) -> None:
        self.settings = settings
        self.links: dict[str, Link] = {}
        self.inbox = Inbox()
        self._disk = disk or Disk()
        self.archive = Archive(
            vault, settings.venue.name, disk=self._disk, continuity_of=venue_continuity(settings.venue)
        )
        self.syncer = Syncer(self.archive, settings.fsync_ns)
        self.recorder = self._new_recorder(watch)
        self.started = clock.stamp()
        self._vault = vault
        self._rest = rest
        self._clock = clock
        self._tape: TapeFiles | None = None
        self._n = 0
        self._opened = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._connects = Bucket(1, settings.venue.link.connects_per_s)
        self._clock_watch = ClockWatch(self.started)
        self._calm_since_ns = self.started.elapsed_ns or 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin a clean stop."""
        self._stopping.set()

    def join(self, books: Sequence[BookKey], codes: Mapping[str, str], per_connection: int) -> None:
        """Let more books join, on connections that have room and on new ones.

        Args:
            codes: what the wire calls instruments that it does not call by their id; also of books that are recorded
                already, and had to begin without.
        """
        stamp = self._clock.stamp()
        if codes and not books:
            self._put_tick(stamp, {"join": "", "books": [], "codes": dict(codes)})
        places = {name: 0 for name, link in self.links.items() if not link.retired}
        places |= Counter(
            keeper.assigned for keeper in self.recorder.feed.keepers.values() if keeper.assigned in places
        )
        waiting = [*books]
        while waiting:
            conn = next((name for name, held in places.items() if held < per_connection), None)
            if conn is None:
                conn = self._next_name()
                self._open(conn, None)
                places[conn] = 0
            taken = waiting[: per_connection - places[conn]]
            waiting = waiting[len(taken) :]
            places[conn] += len(taken)
            self._put_tick(stamp, {"join": conn, "books": taken, "codes": dict(codes)})

    async def run(self) -> None:
        """Record until stopped, or until the venue breaks its schema.

        Raises:
            ArchiveError: the archive cannot be written.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = loop.create_future()
        self._begin()
        for conn in self.settings.connections:
            self._open(conn, None)
        stopping = loop.create_task(self._until_stopped())
        workers = [loop.create_task(self._tick()), loop.create_task(self._consume())]
        try:
            await _first([stopping, *workers, self._broken])
            await self._stop()
        except BaseException:
            with contextlib.suppress(ArchiveError):  # what ended the run tells more
                self._close_files()
            raise
        else:
            self._close_files()
        finally:
            await self._close_links()

    async def _until_stopped(self) -> None:
        await self._stopping.wait()

    async def _stop(self) -> None:
        """Process what has arrived and end the run: nothing that comes from here on is part of it."""
        while len(self.inbox) > 0 and self.recorder.build_fail is None:
            self._process_all(await self.inbox.take(BATCH))
        stamp = self._clock.stamp()
        self._tape_line(input_line("stop", "control", stamp, ""))
        self.recorder.stopped(stamp, "stop" if self.recorder.build_fail is None else "schema_break")

    def _close_files(self) -> None:
        """Close every file; with an error the others are closed all the same."""
        self.syncer.close()
        try:
            self.archive.close(self._clock.wall_ns())
        finally:
            self._end_tape()

    def _end_tape(self) -> None:
        tape, self._tape, self.syncer.tape = self._tape, None, None
        if tape is not None:
            try:
                tape.close()
            except OSError as error:
                log.error("the tape could not be closed: %s", error)

    # ---- beginning --------------------------------------------------------------------------------------------------

    def _new_recorder(self, watch: Watcher) -> Recorder:
        settings = self.settings
        core = Settings(
            cadence_ns=settings.cadence_ns,
            depth=settings.depth,
            grace_ns=settings.grace_ns,
            order_books_ns=settings.order_books_ns,
            max_orders=settings.max_orders,
            connections=settings.connections,
            only=frozenset(book for books in settings.connections.values() for book in books),
            checksum_resync=settings.checksum_resync,
            jitter_seed=settings.jitter_seed,
            run=settings.run,
            codes=settings.codes,
        )
        feed = Feed(settings.venue, core, self.archive.past)
        return Recorder(feed, self.archive, settings.origin, watch)

    def _begin(self) -> None:
        """Write the tape's start and declare the books."""
        self.archive.begin()
        stamp = self.started
        if self.settings.tape:
            line = input_line("start", "control", stamp, json.dumps(self._describe()))
            self._n = 1
            start = TapeLine(line.dir, line.conn, 1, line.recv_ns, line.mono_ns, None, line.frame, None, 200)
            run = self.settings.run.replace(".", "")
            self._tape = TapeFiles(self._disk, self._vault, self.settings.venue.name, run, start)
            self.syncer.tape = self._tape
        detail: dict[str, object] = {
            "version": __version__,
            "cadence_ms": self.settings.cadence_ns // NS_PER_MS,
            "depth": self.settings.depth,
        }
        self._obey(self.recorder.started(stamp, detail))
        self._disk.sync_folders_later()

    def _describe(self) -> dict[str, object]:
        """Say all that a replay needs to sample and mark lines as this run does."""
        settings, venue = self.settings, self.settings.venue
        books = [book for books in settings.connections.values() for book in books]
        specs = [spec for book in books for spec in self.recorder.feed.books.specs(*book).all]
        return {
            "run": settings.run,
            "venue": venue.name,
            "origin": settings.origin,
            "version": __version__,
            "python": platform.python_version(),
            "cadence_ms": settings.cadence_ns // NS_PER_MS,
            "depth": settings.depth,
            "grace_ms": settings.grace_ns // NS_PER_MS,
            "checksum_resync": settings.checksum_resync,
            "order_books_ms": settings.order_books_ns // NS_PER_MS,
            "max_orders": settings.max_orders,
            "jitter_seed": settings.jitter_seed,
            "connections": settings.connections,
            "codes": dict(settings.codes),
            "past": describe_past(specs, self.archive.past),
        }

    # ---- inputs -----------------------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        """Process inputs in order, and let the loop breathe between batches."""
        while self.recorder.build_fail is None:
            self._process_all(await self.inbox.take(BATCH))
            if len(self.inbox) > 0:  # else it waits for more anyway
                await asyncio.sleep(0)

    def _process_all(self, lines: Sequence[TapeLine]) -> None:
        for line in lines:
            if line.dir != "tick" or line.frame:
                self._tape_line(line)
            commands = self.recorder.take(line)
            if commands:
                self._obey(commands)
            if self.recorder.build_fail is not None:
                break
        self.archive.flush_events()

    async def _tick(self) -> None:
        """Let deadlines run, watch the clocks, judge silence, sync files."""
        while True:
            await asyncio.sleep(TICK_S)
            stamp = self._clock.stamp()
            elapsed_ns = stamp.elapsed_ns or 0
            for finding in self._clock_watch.ticked(stamp):
                self._put_tick(stamp, {"kind": finding.kind, "detail": finding.detail})
            if self._clock_watch.stalled or len(self.inbox) > 0:
                self._calm_since_ns = elapsed_ns
            feed = self.recorder.feed
            if elapsed_ns - self._calm_since_ns > CALM_NS and (silent := feed.silent_books(elapsed_ns)):
                self._put_tick(stamp, {"stale": silent})
            due_ns = feed.next_deadline_ns()
            if due_ns is not None and due_ns <= elapsed_ns:
                self.inbox.put(input_line("tick", "control", stamp, ""))
            self.syncer.ticked(elapsed_ns)

    def _put_tick(self, stamp: Stamp, what: dict[str, object]) -> None:
        self.inbox.put(input_line("tick", "control", stamp, json.dumps(what)))

    def _tape_line(self, line: TapeLine) -> None:
        """Write an input to the tape before it is processed. The tape is the first to stop when the disk fills."""
        if self._tape is None:
            return
        self._n += 1
        try:
            if self._n % 1000 == 0 and self.archive.free_bytes() < TAPE_NEEDS_BYTES:
                raise OSError(f"less than {TAPE_NEEDS_BYTES} bytes are free")
            self._tape.write(line, self._n)
        except OSError as error:
            log.error("the tape stops here: %s", error)
            detail: dict[str, object] = {"error": str(error)[:200]}
            self.archive.note(LedgerRecord(line.recv_ns, "write_suspended", reason="tape", detail=detail))
            self._end_tape()

    # ---- commands ---------------------------------------------------------------------------------------------------

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, SendFrame) and command.conn in self.links:
                self.links[command.conn].send(command.text)
            elif isinstance(command, FetchBook):
                self._rest.submit(command.request, command.path, self._replied, weight=command.weight)
            elif isinstance(command, CloseLink) and command.conn in self.links:
                self.links[command.conn].close(f"disconnect: {command.reason}", retire=command.reason == "replaced")
            elif isinstance(command, OpenSuccessor) and command.conn in self.links:
                self._open(self._next_name(), command.conn)

    def _replied(self, reply: RestReply) -> None:
        """Bring an answer from its thread into the queue."""
        self._loop.call_soon_threadsafe(self._arrived, reply)

    def _arrived(self, reply: RestReply) -> None:
        stamp = self._clock.stamp()
        line = input_line("http", "rest", stamp, reply.body, url=reply.url, request=reply.request, status=reply.status)
        self.inbox.put(line)

    def _next_name(self) -> str:
        return f"{self.settings.venue.name}-{self._opened + 1}"

    def _open(self, conn: str, replaces: str | None) -> None:
        """Open a connection; of those that are gone for good the last few are kept for the status."""
        settings = self.settings
        self._opened += 1
        stopped = [name for name, link in self.links.items() if link.state == "stopped"]
        for name in stopped[:-STOPPED_KEPT]:
            del self.links[name], self._tasks[name]
        link_settings = LinkSettings(
            conn=conn,
            url=settings.ws_url,
            rules=settings.venue.link,
            tls=settings.tls,
            replaces=replaces,
            before_connect=self._may_connect,
            sent=self._sent,
            max_bytes=settings.max_message_bytes,
            sign=signer(settings.venue, settings.keys, self._clock),
            address=ticket_asker(settings.venue, settings.ws_url, self._rest),
        )
        link = self.links[conn] = Link(link_settings, self.inbox, self._clock)
        self._tasks[conn] = task = asyncio.get_running_loop().create_task(link.run())
        task.add_done_callback(self._link_ended)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        """Let a bug in a link end the run: a recorder must not go on without it in silence."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _may_connect(self) -> None:
        await asyncio.sleep(self._connects.wait_s(asyncio.get_running_loop().time()))

    def _sent(self, conn: str, text: str) -> None:
        self._tape_line(input_line("out", conn, self._clock.stamp(), text, url=self.settings.ws_url))

    async def _close_links(self) -> None:
        """Close every connection, for a while politely."""
        for link in self.links.values():
            link.close("disconnect: stopping", retire=True)
        tasks = [*self._tasks.values()]
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
            for task in pending:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _first(workers: Sequence[asyncio.Future[None]]) -> None:
    """Wait for the first of them to end and cancel the others; raise what it raised."""
    try:
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    for worker in done:
        worker.result()


def spread(venue: str, books: Sequence[BookKey], per_connection: int) -> dict[str, list[BookKey]]:
    """Divide books over as few connections as the venue's limit allows, `okx-1`, `okx-2`, ..."""
    groups = [books[start : start + per_connection] for start in range(0, len(books), per_connection)]
    return {f"{venue}-{number}": [*group] for number, group in enumerate(groups, 1)}
