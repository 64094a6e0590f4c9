"""A day in minutes: several venues recorded in memory by a clock that is told, and the memory at the end of each hour.

Exchanges, feeds, archives and the thread that syncs and seals are the real ones; sockets are left out, and time jumps
from step to step. Retention runs beside it as a process of its own, once an hour of the told time.
"""

import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.verify import verify
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings as CoreSettings
from l2_exporter.core.commands import CloseLink, Command, FetchBook, OpenSuccessor, SendFrame
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S, utc_text
from l2_exporter.core.venue import AsksForTicket, Post
from l2_exporter.runtime.link import input_line
from l2_exporter.runtime.recorder import Recorder, venue_continuity
from l2_exporter.runtime.session import spread
from l2_exporter.runtime.syncing import Syncer
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Freeze, Output, Send
from l2_exporter.venues.registry import line_rules, venue_named

ROOT = Path(__file__).resolve().parents[2]
START_NS = 1_795_046_400 * NS_PER_S
"""The beginning of an hour."""
SETTLE_S = 0.01
FAULTS = (
    "drop:0.0005,duplicate:0.0005,reorder:0.0005,corrupt:0.0001@5m,event_time_jump:0.0001,"
    "close@47m+97m,close_mid_frame@71m+113m,rest_5xx:0.1,rest_html:0.05,drop_snapshot:0.05"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is recorded.

    Attributes:
        step_s: between two updates of a book; also the cadence of lines.
    """

    hours: int = 24
    venues: tuple[str, ...] = ("okx", "binance", "kraken", "bitfinex")
    instruments: int = 5
    step_s: int = 10
    depth: int = 50
    seed: int = 1
    compress_after: str = "2h"
    delete_after: str = "12h"


@dataclass(slots=True)
class Day:
    """What came of it.

    Attributes:
        rss_mib: at the end of each hour.
        sealed: manifests there are at the end; retention has deleted some.
        books: live at the end, of how many.
    """

    plan: Plan
    rss_mib: list[float] = field(default_factory=list)
    lines: int = 0
    losses: int = 0
    sealed: int = 0
    compressed: int = 0
    deleted: int = 0
    books: tuple[int, int] = (0, 0)
    defects: int = 0
    took_s: float = 0.0


class Told:
    """One venue: a recorder and an exchange that hand each other what they say at once."""

    def __init__(self, name: str, vault: Path, plan: Plan) -> None:
        self._venue = venue_named(name)
        settings = Settings(name, plan.seed, plan.instruments, plan.step_s * NS_PER_S, _shown(name))
        self._exchange = Exchange(settings, START_NS, Truth(limit=0))
        self._channel = next(iter(self._venue.channels))
        books = [(self._channel, inst) for inst in self._exchange.instruments]
        connections = spread(name, books, 3)
        self.archive = Archive(Vault(vault), name, continuity_of=venue_continuity(self._venue))
        core = CoreSettings(
            cadence_ns=plan.step_s * NS_PER_S,
            depth=plan.depth,
            connections=connections,
            only=frozenset(books),
            jitter_seed=plan.seed,
            run="day",
        )
        self.recorder = Recorder(Feed(self._venue, core, self.archive.past), self.archive, "override")
        self.syncer = Syncer(self.archive, 5 * NS_PER_S)
        self.now_ns = START_NS
        self._remote: dict[str, str] = {}
        self._closed = [(name, "") for name in connections]
        self._count = len(connections)
        self._outputs: deque[Output] = deque()
        self.archive.begin()
        self._obey(self.recorder.started(self._stamp(), {"cadence_ms": plan.step_s * 1000, "depth": plan.depth}))

    def step(self, now_ns: int) -> None:
        """Let time pass: the exchange says what it has to say, and connections that were lost are opened again."""
        self.now_ns = now_ns
        closed, self._closed = self._closed, []
        for name, replaces in closed:
            self._open(name, replaces)
        self._outputs.extend(self._exchange.time_advanced(now_ns))
        self._drain()
        feed, elapsed_ns = self.recorder.feed, now_ns - START_NS
        if silent := feed.silent_books(elapsed_ns):
            self._take("tick", "control", json.dumps({"stale": silent}))
        if (due_ns := feed.next_deadline_ns()) is not None and due_ns <= elapsed_ns:
            self._take("tick", "control", "")
        self._drain()
        self.archive.flush_events()
        self.syncer.ticked(elapsed_ns)

    def settle(self) -> None:
        """Wait until every hour that is over has been sealed."""
        while self.archive.seals.waiting:
            time.sleep(SETTLE_S)
            self.syncer.ticked(self.now_ns - START_NS)

    def stop(self) -> None:
        """End the run cleanly."""
        self.recorder.stopped(self._stamp(), "stop")
        self.syncer.close()
        self.archive.close(self.now_ns)

    def _stamp(self) -> Stamp:
        return Stamp(self.now_ns, self.now_ns - START_NS)

    def _take(self, direction: str, conn: str, frame: str | bytes, **more: Any) -> None:
        self._obey(self.recorder.take(input_line(direction, conn, self._stamp(), frame, **more)))

    def _open(self, name: str, replaces: str) -> None:
        refusal = self._exchange.link_refused(self._exchange.dialect.ws_path, self.now_ns)
        if refusal is not None:
            self._closed.append((name, replaces))
            return
        remote, outputs = self._exchange.link_opened(self._exchange.dialect.ws_path, self.now_ns)
        self._remote[name] = remote
        self._take("open", name, json.dumps({"replaces": replaces}) if replaces else "")
        self._outputs.extend(outputs)

    def _drain(self) -> None:
        while self._outputs:
            output = self._outputs.popleft()
            name = next((name for name, remote in self._remote.items() if remote == output.conn), None)
            if name is None or isinstance(output, Freeze):
                continue
            if isinstance(output, Send):
                self._take("in", name, output.data)
            else:
                self._end(name, f"disconnect: {type(output).__name__}", retire=False)

    def _end(self, name: str, why: str, *, retire: bool) -> None:
        remote = self._remote.pop(name, None)
        if remote is None:
            return
        self._outputs.extend(self._exchange.link_closed(remote, self.now_ns))
        self._take("close", name, why)
        if not retire:
            self._closed.append((name, ""))

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, SendFrame) and command.conn in self._remote:
                remote = self._remote[command.conn]
                self._outputs.extend(self._exchange.frame_received(remote, command.text, self.now_ns))
            elif isinstance(command, FetchBook):
                self._fetch(command)
            elif isinstance(command, CloseLink):
                self._end(command.conn, f"disconnect: {command.reason}", retire=command.reason == "replaced")
            elif isinstance(command, OpenSuccessor):
                self._count += 1
                self._closed.append((f"{self._venue.name}-{self._count}", command.conn))

    def _fetch(self, command: FetchBook) -> None:
        path = command.path
        target, posted = (path.path, path.body) if isinstance(path, Post) else (path, None)
        reply = self._exchange.request_received(target, self.now_ns, posted)
        self._take("http", "rest", reply.body, url=target, request=command.request, status=reply.status)


def _shown(venue: str) -> str:
    """Leave out what a venue cannot show, and refuse one that this run cannot connect to."""
    if isinstance(venue_named(venue), AsksForTicket):
        raise SystemExit(f"{venue} wants a ticket for each connection, which this run does not ask for")
    lacks = Exchange(Settings(venue, instruments=1), START_NS).dialect.lacks
    return ",".join(fault for fault in FAULTS.split(",") if fault.partition(":")[0].partition("@")[0] not in lacks)


def lived(plan: Plan, vault: Path) -> Day:
    """Record a day into an empty vault, and verify it."""
    began_s = time.monotonic()
    day = Day(plan)
    venues = [Told(name, vault, plan) for name in plan.venues]
    for hour in range(1, plan.hours + 1):
        for step in range(HOUR_NS // (plan.step_s * NS_PER_S)):
            now_ns = START_NS + (hour - 1) * HOUR_NS + (step + 1) * plan.step_s * NS_PER_S
            for venue in venues:
                venue.step(now_ns)
        for venue in venues:
            venue.settle()
        _retain(day, vault, START_NS + hour * HOUR_NS)
        day.rss_mib.append(resident_mib())
        print(f"hour {hour}: {day.rss_mib[-1]:.1f} MiB", flush=True)
    for venue in venues:
        venue.stop()
    _sum_up(day, venues, vault)
    day.took_s = time.monotonic() - began_s
    return day


def _retain(day: Day, vault: Path, now_ns: int) -> None:
    """Run retention as of this time, in a process of its own."""
    command = [sys.executable, "-m", "retention", "run", "--vault", str(vault), "--now", utc_text(now_ns, 0)[:19] + "Z"]
    command += ["--compress-after", day.plan.compress_after, "--delete-after", day.plan.delete_after, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"retention ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")


def _sum_up(day: Day, venues: Sequence[Told], vault: Path) -> None:
    keepers = [keeper for venue in venues for keeper in venue.recorder.feed.keepers.values()]
    day.books = (sum(keeper.standing.value == "live" for keeper in keepers), len(keepers))
    day.lines = sum(sum(venue.archive.lines.values()) for venue in venues)
    day.losses = sum(venue.recorder.losses.total() for venue in venues)
    day.sealed = len([*vault.glob("raw/**/*.manifest.json")])
    day.compressed = len([*vault.glob("raw/**/*.jsonl.gz")])
    records = [path.read_text().splitlines() for path in vault.glob("meta/retention/*.jsonl")]
    actions = [json.loads(line) for lines in records for line in lines]
    day.deleted = sum(action["action"] == "deleted" and action["what"] == "hour" for action in actions)
    day.defects = len([*verify([vault], line_rules())])


def resident_mib() -> float:
    """Tell the memory this process has in use."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
