"""A recorder and a simulated exchange wired together in memory: no socket, no thread, and a clock that is told.

It does what a session and its links do: one numbered queue, each input taped before it is processed, commands carried
out, dead links given up, closed ones opened again. Latency is drawn for every frame, and order on a connection kept.
"""

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings as CoreSettings
from l2_exporter.core.commands import CloseLink, Command, FetchBook, OpenSuccessor, SendFrame
from l2_exporter.core.errors import VenueError
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.state import Counts
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import Venue
from l2_exporter.runtime.link import input_line
from l2_exporter.runtime.recorder import Recorder, venue_continuity
from l2_exporter.runtime.session import spread
from l2_exporter.runtime.tapedpast import describe_past
from l2_exporter.simulator.exchange import Exchange
from l2_exporter.simulator.wire import Freeze, Output, Push, Reply, Send
from l2_exporter.venues.registry import venue_named
from tests.tools.contract_keys import headers, signed
from tests.tools.listed import SOCKET, codes_of, entrance, ws_path

REST = "https://simulated.invalid"
TICK_NS = 100 * NS_PER_MS
APART_NS = 1000
REST_DEADLINE_NS = 10 * NS_PER_S
STEP_AT_NS = 15 * NS_PER_S
STEP_NS = 2_500 * NS_PER_MS
"""The recorder's wall clock is set forward once; what depends on elapsed time must not notice."""
REOPEN_NS = (0, 1 * NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S)


@dataclass(slots=True)
class Link:
    """A connection as the recorder's side sees it.

    Attributes:
        remote: the exchange's name of it while it is open; None while it is not.
        busy_ns: when its last frame arrives: later ones come behind it.
        heard_ns: when something came last.
        frozen: it is dead, though open.
    """

    name: str
    replaces: str | None
    remote: str | None = None
    busy_ns: int = 0
    heard_ns: int = 0
    closes: int = 0
    retired: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of the exchange, as it arrived.

    Attributes:
        conn, remote: the connection by our name, and by the exchange's: that is another one each time it is opened.
        recv_ns: by the recorder's wall clock; no two frames of a connection arrive within the same microsecond.
        push: what the exchange made the frame from, before any fault; None: no book.
    """

    conn: str
    remote: str
    recv_ns: int
    data: str | bytes
    push: Push | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a connection: `disconnect: ` and what the exchange did or the recorder wanted, or `stale: `."""

    conn: str
    remote: str
    recv_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record.

    Attributes:
        channel: None: the venue's default.
        skew_ns: the recorder's wall clock minus the exchange's; receive clocks can stand behind.
    """

    insts: Sequence[str]
    per_connection: int = 5
    channel: str | None = None
    seed: int = 1
    skew_ns: int = -1500 * NS_PER_MS
    cadence_ns: int = 2 * NS_PER_S
    order_books_ns: int = 60 * NS_PER_S
    run: str = "r1"


class Wired:
    """One run over one exchange.

    Attributes:
        now_ns: the exchange's time.
        channel: what is recorded.
        commands: those that close links or ask for successors, in order.
        arrived: event times of the book frames that arrived, in order, by instrument; whatever was done to them.
        heard: all frames of the exchange that arrived, in order.
        ended: the ends of connections, in order.
    """

    def __init__(
        self, exchange: Exchange, vault: Path, plan: Plan, venue: Venue | None = None, disk: Disk | None = None
    ) -> None:
        self.exchange = exchange
        self.now_ns = self._start_ns = exchange.now_ns
        self.plan = plan
        self.links: dict[str, Link] = {}
        self.commands: list[Command] = []
        self._random = Random(f"{plan.seed}/wired")
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._n = 1
        self.arrived: dict[str, list[int]] = {inst: [] for inst in plan.insts}
        self.heard: list[Heard] = []
        self.ended: list[Ended] = []
        self._venue = venue or venue_named(exchange.settings.venue)
        self.channel = plan.channel or next(iter(self._venue.channels))
        self._path = ws_path(exchange, self._venue, self.channel)
        self._codes = codes_of(exchange, self._venue, plan.insts)
        disk = disk or Disk()
        self._archive = Archive(Vault(vault), self._venue.name, disk=disk, continuity_of=venue_continuity(self._venue))
        books = [(self.channel, inst) for inst in plan.insts]
        self.connections = spread(self._venue.name, books, plan.per_connection)
        self.recorder = Recorder(Feed(self._venue, self._settings(), self._archive.past), self._archive, "live")
        self._archive.begin()
        self._tape = TapeFiles(disk, Vault(vault), self._venue.name, plan.run, self._start_line())
        self._obey(self.recorder.started(self._stamp(), {}))

    def run(self, seconds: float) -> None:
        """Record for so long, and stop cleanly."""
        end_ns = self._start_ns + round(seconds * NS_PER_S)
        for name in self.connections:
            self._open(name, None)
        self._later(0, self._ticked)
        self._later(0, self._stepped)
        self._later(STEP_AT_NS, self._clock_set)
        while self._queue and self._queue[0][0] <= end_ns and self.recorder.build_fail is None:
            self.now_ns, _, action = heapq.heappop(self._queue)
            action()
        self.stop()

    def arrives(self, after_s: float, frame: str | bytes) -> None:
        """Let a frame that the exchange never sent arrive on the first connection, so long after the beginning."""
        name = next(iter(self.connections))

        def arrive() -> None:
            self._take(input_line("in", name, self._stamp(), frame, url=SOCKET + self._path))

        self._later(round(after_s * NS_PER_S), arrive)

    def says(self, after_s: float, text: str) -> None:
        """Say something to the exchange on the first connection, so long after the beginning."""
        name = next(iter(self.connections))
        self._later(round(after_s * NS_PER_S), lambda: self._send(self.links[name], text))

    def stop(self) -> None:
        """End the run cleanly; what is still under way is not part of it."""
        stamp = self._stamp()
        self._n += 1
        self._tape.write(input_line("stop", "control", stamp, ""), self._n)
        self.recorder.stopped(stamp, "stop")
        for link in self.links.values():
            if link.remote is not None:
                self.exchange.link_closed(link.remote, self.now_ns)
        self._archive.close(stamp.recv_ns or 0)
        self._tape.close()

    def counts(self) -> dict[str, Counts]:
        """Return the messages of each instrument by what became of them."""
        return {inst: keeper.counts for (_, inst), keeper in self.recorder.feed.keepers.items()}

    # ---- clock and queue --------------------------------------------------------------------------------------------

    def _stamp(self) -> Stamp:
        passed_ns = self.now_ns - self._start_ns
        step_ns = STEP_NS if passed_ns >= STEP_AT_NS else 0
        return Stamp(self.now_ns + self.plan.skew_ns + step_ns, passed_ns + 5 * NS_PER_S)

    def _clock_set(self) -> None:
        """Notice that the wall clock was set."""
        what = {"kind": "clock_step", "detail": {"seconds": STEP_NS / NS_PER_S}}
        self._take(input_line("tick", "control", self._stamp(), json.dumps(what)))

    def _later(self, wait_ns: int, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (self.now_ns + wait_ns, self._order, action))

    def _latency_ns(self) -> int:
        return self._random.randrange(2 * NS_PER_MS, 60 * NS_PER_MS)

    def _stepped(self) -> None:
        """Let the exchange move on."""
        self._carry(self.exchange.time_advanced(self.now_ns))
        self._later(self.exchange.due_ns - self.now_ns, self._stepped)

    def _ticked(self) -> None:
        """Do what a session does ten times a second, and its links once."""
        feed, stamp = self.recorder.feed, self._stamp()
        silent = feed.silent_books(stamp.elapsed_ns or 0)
        if silent:
            self._take(input_line("tick", "control", stamp, json.dumps({"stale": silent})))
        due_ns = feed.next_deadline_ns()
        if due_ns is not None and due_ns <= (stamp.elapsed_ns or 0):
            self._take(input_line("tick", "control", stamp, ""))
        for link in [*self.links.values()]:
            if link.remote is not None:
                self._watch(link)
        self._later(TICK_NS, self._ticked)

    # ---- the recorder's side ----------------------------------------------------------------------------------------

    def _settings(self) -> CoreSettings:
        return CoreSettings(
            cadence_ns=self.plan.cadence_ns,
            order_books_ns=self.plan.order_books_ns,
            connections=self.connections,
            only=frozenset(book for books in self.connections.values() for book in books),
            jitter_seed=self.plan.seed,
            run=self.plan.run,
            codes=self._codes,
        )

    def _start_line(self) -> TapeLine:
        feed = self.recorder.feed
        books = [book for books in self.connections.values() for book in books]
        specs = [spec for book in books for spec in feed.books.specs(*book).all]
        start = {
            "run": self.plan.run,
            "venue": self._venue.name,
            "cadence_ms": self.plan.cadence_ns // NS_PER_MS,
            "depth": 400,
            "order_books_ms": self.plan.order_books_ns // NS_PER_MS,
            "grace_ms": 1000,
            "jitter_seed": self.plan.seed,
            "connections": self.connections,
            "codes": self._codes,
            "past": describe_past(specs, self._archive.past),
        }
        return input_line("start", "control", self._stamp(), json.dumps(start))._replace(n=1)

    def _take(self, line: TapeLine) -> None:
        """Tape an input, process it, obey."""
        if line.dir != "tick" or line.frame:
            self._n += 1
            self._tape.write(line, self._n)
        self._obey(self.recorder.take(line))

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, SendFrame):
                self._send(self.links[command.conn], command.text)
            elif isinstance(command, FetchBook):
                self._fetch(command)
            else:
                self.commands.append(command)
            if isinstance(command, CloseLink):
                link = self.links[command.conn]
                link.retired = link.retired or command.reason == "replaced"
                self._hang_up(link, f"disconnect: {command.reason}")
            elif isinstance(command, OpenSuccessor):
                self._open(f"{self._venue.name}-{len(self.links) + 1}", command.conn)

    def _send(self, link: Link, text: str) -> None:
        remote = link.remote
        self._n += 1
        self._tape.write(input_line("out", link.name, self._stamp(), text, url=SOCKET + self._path), self._n)

        def arrive() -> None:
            if remote is not None:
                spoken = signed(self._venue, text, self._stamp().recv_ns or 0)
                self._carry(self.exchange.frame_received(remote, spoken, self.now_ns))

        self._later(5 * NS_PER_MS, arrive)

    def _fetch(self, command: FetchBook) -> None:
        proof = headers(self._venue, command.path, self._stamp().recv_ns or 0)
        reply = self.exchange.request_received(command.path, self.now_ns, headers=proof)
        if reply.hangs or reply.delay_ns > REST_DEADLINE_NS:
            reply = Reply(0, "no answer in time", delay_ns=REST_DEADLINE_NS)

        def arrive() -> None:
            url, name, status = REST + command.path, command.request, reply.status
            self._take(input_line("http", "rest", self._stamp(), reply.body, url=url, request=name, status=status))

        self._later(reply.delay_ns + self._latency_ns(), arrive)

    # ---- connections ------------------------------------------------------------------------------------------------

    def _open(self, name: str, replaces: str | None) -> None:
        link = self.links[name] = Link(name, replaces)
        self._later(self._latency_ns(), lambda: self._connect(link))

    def _connect(self, link: Link) -> None:
        """Open a connection, or fail and try again later."""
        if link.retired:
            return
        try:
            path = entrance(self.exchange, self._venue, self.channel)
        except VenueError as error:
            self._ended(link, f"connect_failed: {error}")
            return
        refusal = self.exchange.link_refused(path, self.now_ns)
        if refusal is not None:
            self._ended(link, f"connect_failed: HTTP {refusal.status}")
            return
        remote, outputs = self.exchange.link_opened(path, self.now_ns)
        link.remote, link.busy_ns, link.heard_ns, link.frozen = remote, self.now_ns, self.now_ns, False
        frame = "" if link.replaces is None else json.dumps({"replaces": link.replaces})
        self._take(input_line("open", link.name, self._stamp(), frame, url=SOCKET + self._path))
        self._carry(outputs)

    def _carry(self, outputs: Sequence[Output]) -> None:
        """Let what the exchange sends arrive after a while, in order on each connection."""
        for output in outputs:
            link = next((each for each in self.links.values() if each.remote == output.conn), None)
            if link is None:
                continue
            if isinstance(output, Freeze):
                link.frozen = True
                continue
            link.busy_ns = max(link.busy_ns + APART_NS, output.at_ns + self._latency_ns(), self.now_ns)
            self._later(link.busy_ns - self.now_ns, self._arrival(link, output))

    def _arrival(self, link: Link, output: Output) -> Callable[[], None]:
        def arrive() -> None:
            if link.remote != output.conn:
                return
            if isinstance(output, Send):
                link.heard_ns = self.now_ns
                recv_ns = self._stamp().recv_ns or 0
                self.heard.append(Heard(link.name, output.conn, recv_ns, output.data, output.push))
                if output.push is not None:
                    self.arrived[output.push.inst].append(output.push.ts_ns)
                self._take(input_line("in", link.name, self._stamp(), output.data, url=SOCKET + self._path))
            else:
                self._hang_up(link, f"disconnect: {type(output).__name__}")

        return arrive

    def _watch(self, link: Link) -> None:
        """Ask a silent exchange, give up a dead one."""
        rules, silent_ns = self._venue.link, self.now_ns - link.heard_ns
        if silent_ns >= rules.dead_after_s * NS_PER_S:
            self._hang_up(link, f"stale: silent for {silent_ns / NS_PER_S:.0f} s")
        elif silent_ns >= rules.ping_after_s * NS_PER_S:
            if rules.ping is not None:
                self._send(link, rules.ping)
            elif not link.frozen:
                link.heard_ns = self.now_ns  # the protocol's own ping is answered by whoever is there

    def _hang_up(self, link: Link, why: str) -> None:
        if link.remote is None:
            return
        remote, link.remote = link.remote, None
        self.ended.append(Ended(link.name, remote, self._stamp().recv_ns or 0, why))
        self._carry(self.exchange.link_closed(remote, self.now_ns))
        self._ended(link, why)

    def _ended(self, link: Link, why: str) -> None:
        """Tell the recorder, and open the connection again unless it was replaced."""
        wait_ns = REOPEN_NS[min(link.closes, len(REOPEN_NS) - 1)]
        link.closes += 1
        self._later(0, lambda: self._take(input_line("close", link.name, self._stamp(), why, url=SOCKET + self._path)))
        if not link.retired:
            self._later(wait_ns + NS_PER_MS, lambda: self._connect(link))
