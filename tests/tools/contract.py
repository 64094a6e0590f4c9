"""A venue's recorder against its simulated exchange, and what must hold whatever the venue is and whatever goes wrong.

Three books on two connections: the first two share one. The oracle knows no venue's wire: lines are compared with the
exchange's truth by instrument and event time, levels as numbers, since REST may write them in other texts than the
socket; losses with the faults that the exchange says it put in.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.archive.verify import verify
from l2_exporter.core.state import Counts, Standing
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import Channel, Continuity, Scope, Seeding, Venue
from l2_exporter.runtime.replay import ReplayOptions, replay
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.simulator.truth import FaultLine, Rows, Truth
from l2_exporter.simulator.wire import Kind, Push
from l2_exporter.venues.registry import VENUES, line_rules
from tests.tools.contract_causes import Causes, damaged
from tests.tools.contract_episodes import OrderArchive
from tests.tools.replaying import hour_files
from tests.tools.truth import LOSING, Evidence, Window, ms, same_archive
from tests.tools.wired import Plan, Wired

START_NS = 1_795_000_000 * NS_PER_S
BOOKS = 3
SHARING = 2
"""Books on a connection."""
RULES = line_rules()
LOST_BY = [fault for fault in LOSING if fault not in ("drop_snapshot", "reorder")]
MOST_TELLINGS = 4
"""An update may be told again: by a duplicate, by a second connection, by the books of two subscriptions."""

Json = dict[str, Any]
Levels = list[tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A channel of a venue that its simulated exchange serves."""

    venue: Venue
    channel: Channel

    def __str__(self) -> str:
        return f"{self.venue.name}-{self.channel.name}"

    @property
    def numbered(self) -> bool:
        """Whether a missing update shows by its number."""
        return self.channel.continuity is Continuity.SEQUENCE

    @property
    def proof(self) -> tuple[Continuity, Scope]:
        """What proves that nothing is missing."""
        return self.channel.continuity, self.channel.scope

    @property
    def forgetful(self) -> bool:
        """Whether a missing update shows by nothing, and stays missing."""
        return self.channel.continuity is Continuity.NONE and not self.channel.whole

    @property
    def joins_rest(self) -> bool:
        """Whether the stream knows changes only."""
        return self.channel.seeding is Seeding.REST

    def sharing(self, insts: Sequence[str]) -> list[str]:
        """Return the books that are lost when an update of the first one is."""
        return [*insts[:SHARING]] if self.channel.scope is Scope.LINK else [insts[0]]


def subjects() -> list[Subject]:
    """List every venue's channels that are simulated, each venue's default first."""
    found = []
    for default in defaults():
        served = DIALECTS[default.venue.name](1).channels
        channels = default.venue.channels.values()
        found += [Subject(default.venue, channel) for channel in channels if channel.name in served]
    return found


def defaults() -> list[Subject]:
    """List every venue's default channel; that none is missing is a test of its own."""
    simulated = [venue for name, venue in VENUES.items() if name in DIALECTS]
    return [Subject(venue, next(iter(venue.channels.values()))) for venue in simulated]


def protocols() -> list[Subject]:
    """List the default channels, and those of changes on which the venue speaks another protocol.

    Those have another proof, or tell of single orders where the default does not. Channels that differ from these in
    depth or pace, or are whole books each time, go through the clean run, the lost update and the soak.
    """
    kinds: dict[str, set[object]] = {}
    found = []
    for each in subjects():
        known, kind = kinds.setdefault(each.venue.name, set()), (each.proof, each.channel.orders)
        if not known or (kind not in known and not each.channel.whole):
            known.add(kind)
            found.append(each)
    return found


class Update(NamedTuple):
    """An update of a book, by its number; `ts` is its event time in milliseconds."""

    inst: str
    seq: int
    ts: int


@dataclass(frozen=True)
class Recording:
    """What was recorded in one run, and what the exchange knows of it."""

    subject: Subject
    wired: Wired
    vault: Path
    insts: tuple[str, ...]

    @cached_property
    def evidence(self) -> Evidence:
        """What the vault holds and the exchange did."""
        return Evidence(self.vault, self.wired.exchange.truth, self.insts)

    @cached_property
    def orders(self) -> OrderArchive | None:
        """What is recorded beside the levels, of a channel of orders."""
        channel = self.subject.channel
        return OrderArchive(self.vault, self.wired, channel, self.insts) if channel.orders else None

    @cached_property
    def lines(self) -> list[Json]:
        """Every line of levels of every book."""
        if self.orders is not None:
            return [line for inst in self.insts for line in self.orders.levels(inst)]
        return [orjson.loads(line) for lines in hour_files(self.vault).values() for line in lines]

    def losses(self) -> list[tuple[str, str]]:
        """Return the declared losses as (instrument, reason), in order of the books."""
        gaps = [(gap["instId"], gap["reason"]) for gap in self.evidence.ledger if gap["kind"] == "gap"]
        return sorted(gaps, key=lambda gap: self.insts.index(gap[0]))

    def said(self, kind: str, inst: str | None = None) -> list[str | None]:
        """Return the reasons of one kind of ledger records."""
        return [
            line["reason"] for line in self.evidence.ledger if line["kind"] == kind and inst in (None, line["instId"])
        ]

    def standing(self) -> list[Standing]:
        """Tell where each book stands at the end."""
        keepers = self.wired.recorder.feed.keepers
        return [keepers[self.subject.channel.name, inst].standing for inst in self.insts]

    def counts(self) -> list[Counts]:
        """Return the messages of each book by what became of them."""
        counts = self.wired.counts()
        return [counts[inst] for inst in self.insts]

    def faults(self) -> Counter[str]:
        """Count the faults that were really put in."""
        return Counter(fault.fault for fault in self.wired.exchange.truth.faults)

    def wrong(self) -> list[Json]:
        """List the lines that are not the exchange's book at their time, those of orders and their events too."""
        if self.orders is not None:
            return self.orders.wrong(self.lines)
        return [line for line in self.lines if not self._is_true(line)]

    def _is_true(self, line: Json) -> bool:
        depth = next(int(name.removeprefix("bids_top")) for name in line if name.startswith("bids_top"))
        held = (levels(line[f"bids_top{depth}"]), levels(line[f"asks_top{depth}"]))
        inst = line["instId"]
        if not self.subject.channel.event_time:
            return any(held == self._shown(inst, place, depth) for place in range(len(self._books[inst][1])))
        place = bisect_right(self._books[inst][0], ms(line["timestamp_utc"]) or 0)
        if place > 1 and self._splits and self._ends_episode(line):
            before, after = (self._shown(inst, number, depth) for number in (place - 2, place - 1))
            return all(_lies_between(*sides) for sides in zip(held, before, after, strict=True))
        return place > 0 and held == self._shown(inst, place - 1, depth)

    def _shown(self, inst: str, place: int, depth: int) -> tuple[Levels, Levels]:
        """Return the best levels of the exchange's book after a step, as numbers."""
        key = (inst, place, depth)
        if key not in self._numbers:
            bids, asks = self._books[inst][1][place]
            self._numbers[key] = (levels(bids[:depth]), levels(asks[:depth]))
        return self._numbers[key]

    @cached_property
    def _numbers(self) -> dict[tuple[str, int, int], tuple[Levels, Levels]]:
        return {}

    def _ends_episode(self, line: Json) -> bool:
        """Tell whether a line is of the moment at which a declared loss begins: what is missing may be of it too."""
        moment = ms(line["timestamp_utc"])
        return any(window.since == moment for window in self.evidence.windows[line["instId"]])

    @cached_property
    def _splits(self) -> bool:
        """Whether a change comes in several frames, so that the last lines before a loss can lack some of them.

        Where the last of them is lost nobody can know it before the next change, which may come after a deadline. Of
        single orders several messages can be of one moment.
        """
        if self.subject.channel.orders:
            return True
        return any(max(Counter(times).values()) > MOST_TELLINGS for times in self.wired.arrived.values() if times)

    @cached_property
    def _books(self) -> dict[str, tuple[list[int], list[tuple[Rows, Rows]]]]:
        """The exchange's books of each instrument, in order, with the times from which on they hold."""
        found: dict[str, tuple[list[int], list[tuple[Rows, Rows]]]] = {inst: ([], []) for inst in self.insts}
        for step in self.wired.exchange.truth.books:
            if step.inst in found:
                found[step.inst][0].append(step.ts)
                found[step.inst][1].append((step.bids or (), step.asks or ()))
        return found

    def undeclared(self) -> list[tuple[str, int]]:
        """List the lost updates that no declared loss holds, as (instrument, event time).

        One after which nothing came cannot have been noticed yet. Where each is the whole book none need be.
        """
        found: list[tuple[str, int]] = []
        if self.subject.channel.whole:
            return found
        for inst in self.insts:
            known = self.evidence.first_live.get(inst)
            newest = max(self.wired.arrived[inst], default=0) // NS_PER_MS
            for step in self._lost(inst):
                noticed = known is not None and known < step.ts < newest
                is_declared = any(self._is_within(step.ts, window) for window in self.evidence.windows[inst])
                if (noticed and not is_declared) or (self.orders is not None and self.orders.spans(inst, step.seq)):
                    found.append((inst, step.ts))
        return found

    def _is_within(self, ts: int, window: Window) -> bool:
        """Tell whether an update of this moment may be missing; part of it, where it comes in several frames."""
        return window.holds(ts) or (self._splits and ts == window.since)

    def _lost(self, inst: str) -> list[Update]:
        """List the updates that one connection at least did not get, or not in time."""
        late = [step for step in self._hit(inst, ["reorder"]) if self._is_overtaken(step)]
        return [*self._hit(inst, LOST_BY), *late]

    def _hit(self, inst: str, faults: Sequence[str]) -> list[Update]:
        """List the updates to which one of these faults was done."""
        hits = [fault for fault in self.wired.exchange.truth.faults if fault.inst == inst and fault.fault in faults]
        hits = [fault for fault in hits if fault.seq_from != fault.seq_to and not self._came_elsewhere(fault)]
        moments = [(fault.seq_to or 0, self._time(inst, fault.seq_to or 0)) for fault in hits]
        return [Update(inst, seq, ts) for seq, ts in moments if ts is not None]

    def _time(self, inst: str, seq: int) -> int | None:
        """Tell the event time of an update, in milliseconds; None: it is forgotten."""
        if self.orders is not None:
            story = self.orders.stories[inst]
            return story.messages[story.places[seq]].ts_ns // NS_PER_MS if seq in story.places else None
        step = self.wired.exchange.truth.book(inst, seq)
        return None if step is None else step.ts

    def _came_elsewhere(self, fault: FaultLine) -> bool:
        """Tell whether an update that one connection lacks came on another: two had the book then."""
        return any(
            push.kind is Kind.DELTA and (push.inst, push.seq) == (fault.inst, fault.seq_to) and remote != fault.conn
            for remote, push, _ in self._came
        )

    @cached_property
    def _came(self) -> list[tuple[str, Push, bool]]:
        """The books that came, in order: connection as the exchange has it, book, whether it could be read."""
        spoiled, heard = damaged(self.wired), enumerate(self.wired.heard)
        return [(each.remote, each.push, at not in spoiled) for at, each in heard if each.push is not None]

    def _is_overtaken(self, step: Update) -> bool:
        """Tell whether a later update came before this one, if it came at all; of orders, one that could be read."""
        if self.orders is not None:
            places = self.orders.stories[step.inst].places
            came = [places[push.seq] for _, push, intact in self._came if intact and push.inst == step.inst]
            ours = places[step.seq]
        else:
            came, ours = self.wired.arrived[step.inst], step.ts * NS_PER_MS
        before = came[: came.index(ours)] if ours in came else came
        return any(other > ours for other in before)

    def unexcused(self) -> list[Json]:
        """List the wrong lines of episodes in which nothing was missing, where what is missing shows by nothing."""
        found = []
        for line in self.wrong():
            since, at = ms(line["live_since_utc"]) or 0, ms(line["timestamp_utc"]) or 0
            if not any(since < step.ts <= at for step in self._lost(line["instId"])):
                found.append(line)
        return found

    def behind(self) -> list[str]:
        """List the live books whose newest line is older than what came for them, intact, on their connection."""
        keepers = self.wired.recorder.feed.keepers
        live = [inst for inst, standing in zip(self.insts, self.standing(), strict=True) if standing is Standing.LIVE]
        conns = {inst: keepers[self.subject.channel.name, inst].says.conn for inst in live}
        found = [] if self.orders is None else self.orders.behind(conns)
        spoiled = damaged(self.wired)
        for inst, conn in conns.items():
            newest = [line["timestamp_utc"] for line in self.lines if line["instId"] == inst]
            times = [
                heard.push.ts_ns // NS_PER_MS
                for place, heard in enumerate(self.wired.heard)
                if heard.push is not None and (heard.conn, heard.push.inst) == (conn, inst) and place not in spoiled
            ]
            if (ms(max(newest, default=None)) or 0) < max(times, default=0):
                found.append(inst)
        return found

    def uncaused(self) -> list[Window]:
        """List the declared losses that nothing justifies: the rule stands at the head of `contract_causes`."""
        causes = self.causes
        return [
            window for inst in self.insts for window in self.evidence.windows[inst] if not causes.justify(inst, window)
        ]

    @property
    def causes(self) -> Causes:
        """What judges the declared losses."""
        begun = None if self.orders is None else self.orders.begun
        return Causes(self.subject.channel, self.wired, self.evidence, begun)


def _lies_between(held: Levels, before: Levels, after: Levels) -> bool:
    """Tell whether a side has nothing but levels of two books, and all that both have."""
    return {*before} & {*after} <= {*held} <= {*before} | {*after}


def levels(rows: Rows) -> Levels:
    """Read rows as numbers."""
    return [(Decimal(row[0]), Decimal(row[1])) for row in rows]


def exchange_of(subject: Subject, faults: str, seed: int = 1, interval_ms: int = 1000) -> Exchange:
    """Make an exchange in which this goes wrong; `{A}` names its first instrument, `{C}` the one with its own link."""
    insts = insts_of(subject)
    text = faults.format(A=insts[0], B=insts[1], C=insts[2])
    settings = Settings(subject.venue.name, seed, tuple(insts), interval_ms * NS_PER_MS, text)
    return Exchange(settings, START_NS, Truth(with_rows=True))


def shown(subject: Subject, faults: str) -> str:
    """Leave out what a venue cannot show."""
    lacks = DIALECTS[subject.venue.name](1).lacks
    return ",".join(fault for fault in faults.split(",") if re.split("[:=@]", fault)[0] not in lacks)


def insts_of(subject: Subject) -> list[str]:
    """Name the books to record: the first the exchange lists."""
    return DIALECTS[subject.venue.name](1).default_insts(START_NS)[:BOOKS]


class NeverSynced(Disk):
    """A disk that no loss of power can hit: syncing it is a tenth of a test's time."""

    def fsync(self, fd: int) -> None:
        """Take it as done."""

    def sync_folder(self, folder: Path) -> None:
        """Take it as done."""


def begun(subject: Subject, vault: Path, faults: str = "", seed: int = 1, interval_ms: int = 1000) -> Recording:
    """Prepare a run."""
    exchange = exchange_of(subject, faults, seed, interval_ms)
    insts = tuple(exchange.instruments)
    plan = Plan(insts, SHARING, subject.channel.name, seed, cadence_ns=NS_PER_S, order_books_ns=4 * NS_PER_S)
    return Recording(subject, Wired(exchange, vault, plan, disk=NeverSynced()), vault, insts)


def recorded(
    subject: Subject,
    vault: Path,
    faults: str = "",
    *,
    seconds: float = 18,
    seed: int = 1,
    interval_ms: int = 1000,
) -> Recording:
    """Record while this goes wrong, and check what must always hold but the truth of lines."""
    recording = begun(subject, vault, faults, seed, interval_ms)
    recording.wired.run(seconds)
    check(recording)
    return recording


def check(recording: Recording) -> None:
    """Check an archive against itself: conservation, verification, and a replay that gives the same bytes."""
    faults = recording.faults()
    for inst, counts in zip(recording.insts, recording.counts(), strict=True):
        parts = (counts.applied, counts.duplicate, counts.before_seed, counts.rejected, counts.ignored)
        assert counts.received == sum(parts), f"{inst}: {counts}"
        # Where channels are numbered, one that comes late can name a channel that is none any more.
        told = not faults["corrupt"] and not (faults["reorder"] and recording.subject.channel.scope is Scope.LINK)
        if told and recording.wired.recorder.build_fail is None:
            arrived = len(recording.wired.arrived[inst])
            assert counts.received == arrived, f"{inst}: {counts} of {arrived} that arrived"
    assert [*verify([recording.vault], RULES)] == []
    same_archive(recording.vault, replayed(recording))


def replayed(recording: Recording) -> Path:
    """Replay the tape, into the same other vault every time."""
    again = recording.vault.with_name(recording.vault.name + "-again")
    replay(read_tapes(sorted(recording.vault.glob("tape/**/*.jsonl"))), Vault(again), ReplayOptions())
    return again
