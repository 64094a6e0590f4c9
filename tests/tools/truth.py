"""The oracle: compare what a recorder wrote with what a simulated exchange knows it did.

Everything is judged from outside: hour files, ledger and tape on one side, the simulator's truth on the other. What no
client can notice is accounted for, not forgiven: the fault `wrong_size` puts a wrong size into an update whose sequence
holds, and where no checksum is sent (or the level lies below the 25 that a checksum covers) nobody can tell. Such a row
may stand in a line until the level is overwritten or a fresh book comes, but only with exactly the size that was sent.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.state import Counts
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S, utc_ns
from l2_exporter.simulator.truth import BookLine, FaultLine, Truth, book_digest
from tests.tools.replaying import hour_files, ledger

Json = dict[str, Any]
BUDGET = 20
FIRST_WAIT_NS = 5 * NS_PER_S
LOSING = (
    "drop",
    "drop_snapshot",
    "corrupt",
    "reorder",
    "schema_change",
    "close_mid_frame",
    "oversize",
    "half_open",
    "stall",
)
"""Faults after which one connection lacks an update, even if another had it."""
ENDS_OF_LINKS = ("disconnect", "stale", "overflow", "oversize", "clock")


@dataclass(frozen=True, slots=True)
class Window:
    """A declared loss, `(since, until]` in milliseconds of event time; `until` None: not over."""

    since: int | None
    until: int | None
    gap: Mapping[str, Any] = field(hash=False)

    def holds(self, ts: int) -> bool:
        """Tell whether an update of this moment may be missing."""
        return (self.since is None or self.since < ts) and (self.until is None or ts <= self.until)


@dataclass(slots=True)
class Figures:
    """What was compared."""

    lines: int = 0
    tainted_lines: int = 0
    updates: int = 0
    missing: int = 0
    windows: int = 0
    messages: int = 0

    def __iadd__(self, other: "Figures") -> "Figures":
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def ms(text: str | None) -> int | None:
    """Read a time of the archive, in milliseconds."""
    return None if text is None else utc_ns(text) // NS_PER_MS


class Evidence:
    """What one vault holds of one simulated exchange, and what that exchange did.

    Args:
        truth: with rows.
    """

    def __init__(self, vault: Path, truth: Truth, insts: Sequence[str]) -> None:
        self.vault = vault
        self.truth = truth
        self.insts = insts
        self.ledger = ledger(vault)
        self.tape: list[TapeLine] = [*read_tapes(sorted(vault.glob("tape/**/*.jsonl")))]

    @cached_property
    def steps(self) -> dict[str, list[BookLine]]:
        """The books that differ from the one before: what a client must have been told of, by instrument."""
        steps: dict[str, list[BookLine]] = {inst: [] for inst in self.insts}
        digests: dict[str, str] = {}
        for line in self.truth.books:
            if digests.get(line.inst) != line.sha256 and line.inst in steps:
                digests[line.inst] = line.sha256
                steps[line.inst].append(line)
        return steps

    @cached_property
    def pushes(self) -> list[tuple[str, Json]]:
        """The books that arrived whole on any connection, as (instrument, book)."""
        return [(inst, book) for inst, books in self._frames for book in books if "bids" in book]

    @cached_property
    def received(self) -> dict[str, int]:
        """How many books arrived, whole or not, by instrument."""
        received = dict.fromkeys(self.insts, 0)
        for inst, books in self._frames:
            received[inst] += len(books)
        return received

    @cached_property
    def _frames(self) -> list[tuple[str, list[Json]]]:
        frames = []
        for line in self.tape:
            if line.dir != "in":
                continue
            try:
                message = json.loads(line.frame)
            except ValueError:
                continue
            if isinstance(message, dict) and "data" in message:
                frames.append((message["arg"]["instId"], message["data"]))
        return frames

    @cached_property
    def delivered(self) -> dict[tuple[str, int], list[Json]]:
        """Every push that arrived, by instrument and number."""
        delivered: dict[tuple[str, int], list[Json]] = defaultdict(list)
        for inst, book in self.pushes:
            delivered[inst, book["seqId"]].append(book)
        return delivered

    @cached_property
    def answered(self) -> set[tuple[str, int]]:
        """The REST books that arrived, as (instrument, event time in milliseconds)."""
        found = set()
        for line in self.tape:
            if line.dir == "http" and line.status == 200 and "instId=" in (line.url or ""):
                inst = (line.url or "").split("instId=")[1].split("&")[0]
                with_data = json.loads(line.frame)["data"] if line.frame[:1] in ("{", b"{") else []
                found |= {(inst, int(book["ts"])) for book in with_data}
        return found

    @cached_property
    def windows(self) -> dict[str, list[Window]]:
        """The declared losses, by instrument."""
        ends = {line["id"]: line for line in self.ledger if line["kind"] == "live" and line["id"] is not None}
        windows: dict[str, list[Window]] = {inst: [] for inst in self.insts}
        for line in self.ledger:
            if line["kind"] == "gap":
                end = ends.get(line["id"])
                until = None if end is None else ms(end["until_event"])
                windows[line["instId"]].append(Window(ms(line["since_event"]), until, line))
        return windows

    @cached_property
    def first_live(self) -> dict[str, int]:
        """When each instrument became live for the first time, in event time."""
        first: dict[str, int] = {}
        for line in self.ledger:
            if line["kind"] == "live":
                first.setdefault(line["instId"], ms(line["until_event"]) or 0)
        return first

    @cached_property
    def wrong_rows(self) -> dict[tuple[str, str, str], set[str]]:
        """The wrong sizes that were sent, by instrument, side and price."""
        wrong: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for fault in self.truth.faults:
            if fault.fault == "wrong_size":
                side, price, size = (fault.detail or "").replace(":", "").split()[:3]
                wrong[fault.inst or "", side, price].add(size)
        return wrong

    @cached_property
    def unusable(self) -> dict[str, set[int]]:
        """The numbers of updates that arrived and could not be applied: they came behind their successor."""
        unusable: dict[str, set[int]] = {inst: set() for inst in self.insts}
        for fault in self._losing:
            if fault.fault == "reorder" and self._is_overtaken(fault):
                unusable[fault.inst or ""].add(fault.seq_to or 0)
        return unusable

    def spoiled(self, inst: str, window: Window) -> bool:
        """Tell whether a fault took an update of this window from one connection at least."""
        books = (self.truth.book(inst, fault.seq_to or 0) for fault in self._losing if fault.inst == inst)
        return any(book is not None and window.holds(book.ts) for book in books)

    @cached_property
    def _losing(self) -> list[FaultLine]:
        faults = [fault for fault in self.truth.faults if fault.fault in LOSING]
        return [fault for fault in faults if fault.seq_to is not None and fault.seq_from != fault.seq_to]

    def _is_overtaken(self, fault: FaultLine) -> bool:
        """Tell whether an update came behind its successor; not if that was lost or held back itself."""
        lost = (fault.inst, fault.seq_to)
        own = [place for place, (inst, book) in enumerate(self.pushes) if (inst, book["seqId"]) == lost]
        next_ones = [place for place, (inst, book) in enumerate(self.pushes) if (inst, book["prevSeqId"]) == lost]
        return bool(own) and bool(next_ones) and min(next_ones) < min(own)

    def missing(self, inst: str) -> list[BookLine]:
        """List the updates that never arrived, up to the last one that did."""
        steps = self.steps[inst]
        arrived = [number for number, step in enumerate(steps) if (inst, step.seq) in self.delivered]
        return [step for step in steps[: max(arrived, default=-1) + 1] if (inst, step.seq) not in self.delivered]


def check(evidence: Evidence, counts: Mapping[str, Counts]) -> Figures:
    """Check everything, and say how much that was."""
    figures = Figures()
    check_lines(evidence, figures)
    for inst in evidence.insts:
        check_losses(evidence, inst, figures)
        check_causes(evidence, inst)
        check_attempts(evidence, inst)
    check_conservation(evidence, counts, figures)
    return figures


# ---- lines ----------------------------------------------------------------------------------------------------------


def check_lines(evidence: Evidence, figures: Figures) -> None:
    """Every line, gap lines too, is the exchange's book at its number, at its time."""
    jumped = {(fault.inst, fault.seq_to) for fault in evidence.truth.faults if fault.fault == "event_time_jump"}
    for path, raw_lines in hour_files(evidence.vault).items():
        for raw in raw_lines:
            line = orjson.loads(raw)
            inst, seq = line["instId"], line["seqId"]
            figures.lines += 1
            step = evidence.truth.book(inst, seq)
            assert step is not None, f"{path}: the exchange never had {inst} at {seq}"
            if book_digest(line["bids_top400"], line["asks_top400"]) != step.sha256:
                figures.tainted_lines += 1
                _check_tainted(evidence, line, step)
            at = ms(line["timestamp_utc"]) or 0
            idle = any(book["prevSeqId"] == seq for book in evidence.delivered[inst, seq])
            assert at == step.ts or (idle and at > step.ts) or ((inst, seq) in jumped and at < step.ts), line


def _check_tainted(evidence: Evidence, line: Json, step: BookLine) -> None:
    """A line may differ only in rows that were sent with a wrong size, which nothing but a checksum shows."""
    for side, mine, theirs in (("bid", line["bids_top400"], step.bids), ("ask", line["asks_top400"], step.asks)):
        right = {row[0]: list(row) for row in theirs or ()}
        assert [row[0] for row in mine] == [*right], f"{line['instId']} at {step.seq}: other {side} levels"
        for row in mine:
            if row != right[row[0]]:
                wrong = evidence.wrong_rows[line["instId"], side, row[0]]
                assert row[1] in wrong, f"{line['instId']} at {step.seq}: {row} for {right[row[0]]}"


# ---- losses ---------------------------------------------------------------------------------------------------------


def check_losses(evidence: Evidence, inst: str, figures: Figures) -> None:
    """Every update that did not arrive, or could not be used, lies in a declared window or before the first book."""
    windows, known = evidence.windows[inst], evidence.first_live.get(inst)
    last = max(_arrivals(evidence, inst), default=0)
    lacked = evidence.missing(inst)
    lacked += [step for step in evidence.steps[inst] if step.seq in evidence.unusable[inst] and step.ts < last]
    for step in lacked:
        if known is not None and step.ts > known:
            assert any(window.holds(step.ts) for window in windows) or _came_elsewhere(evidence, step), (
                f"{inst} lacks {step.prev}->{step.seq} of {step.ts}, which no window holds: {windows}"
            )
    figures.updates += len(evidence.steps[inst])
    figures.missing += len(lacked)
    figures.windows += len(windows)


def _arrivals(evidence: Evidence, inst: str) -> Iterable[int]:
    return (step.ts for step in evidence.steps[inst] if (inst, step.seq) in evidence.delivered)


def _came_elsewhere(evidence: Evidence, step: BookLine) -> bool:
    """Tell whether an update that one connection could not use came twice: two connections had the book then."""
    return len(evidence.delivered[step.inst, step.seq]) > 1


def check_causes(evidence: Evidence, inst: str) -> None:
    """No window is declared without a cause: nothing is lost by who lost nothing."""
    lacked = evidence.missing(inst)
    for window in evidence.windows[inst]:
        reason = window.gap["reason"]
        if reason == "restart":
            continue
        if reason in ENDS_OF_LINKS:
            caused = _link_ended(evidence, window) or _from_rest(evidence, inst, window)
        elif reason == "checksum":
            caused = _spoiled(evidence, inst, ("wrong_size", "bad_checksum", "checksum"))
        elif reason == "venue_reset":
            caused = _from_rest(evidence, inst, window) or _spoiled(evidence, inst, ("wrong_size",))
        else:
            caused = any(window.holds(step.ts) for step in lacked) or evidence.spoiled(inst, window)
            caused = caused or _from_rest(evidence, inst, window)
        assert caused, f"{inst} declared a loss that was none: {window}"


def _link_ended(evidence: Evidence, window: Window) -> bool:
    """Tell whether the connection ended, or the venue was stopped, when the loss was declared."""
    at, conn = window.gap["at"], window.gap["conn"]
    kinds = ("disconnected", "schema_break")
    return any(line["at"] == at and line["conn"] == conn and line["kind"] in kinds for line in evidence.ledger) or (
        window.gap["reason"] == "disconnect" and any(line["kind"] == "schema_break" for line in evidence.ledger)
    )


def _from_rest(evidence: Evidence, inst: str, window: Window) -> bool:
    """Tell whether the episode that ended had begun with a REST book: a cached one that the pushes do not continue."""
    lives = [line for line in evidence.ledger if line["kind"] == "live" and line["instId"] == inst]
    before = [line for line in lives if line["at"] <= window.gap["at"]]
    return bool(before) and (inst, ms(before[-1]["until_event"])) in evidence.answered


def _spoiled(evidence: Evidence, inst: str, faults: Sequence[str]) -> bool:
    return any(fault.fault in faults and fault.inst == inst for fault in evidence.truth.faults)


# ---- attempts and counts --------------------------------------------------------------------------------------------


def check_attempts(evidence: Evidence, inst: str) -> None:
    """Attempts to bring a book back are spaced out and counted: no storm of requests, whatever the venue does."""
    asked = [
        line
        for line in evidence.ledger
        if (line["instId"] == inst and line["kind"] in ("resync", "live", "gap", "suspect"))
        or line["kind"] in ("connected", "disconnected")
    ]
    asked = [line for line in asked if line["reason"] != "rest_failed"]
    for earlier, later in pairwise(asked):
        if earlier["kind"] == later["kind"] == "resync":
            assert utc_ns(later["at"]) - utc_ns(earlier["at"]) >= FIRST_WAIT_NS, (earlier, later)
    assert all(line["detail"]["attempt"] <= BUDGET for line in asked if line["kind"] == "resync")


def check_conservation(evidence: Evidence, counts: Mapping[str, Counts], figures: Figures) -> None:
    """Every book that arrived became exactly one thing."""
    for inst, count in counts.items():
        parts = (count.applied, count.duplicate, count.before_seed, count.rejected, count.ignored)
        assert count.received == sum(parts), f"{inst}: {count}"
        assert count.received == evidence.received[inst], f"{inst}: {count} of {evidence.received[inst]} on the tape"
        figures.messages += count.received


# ---- replays --------------------------------------------------------------------------------------------------------


def said(vault: Path) -> list[tuple[Any, ...]]:
    """Return what a ledger says of losses and their ends, without the ids, which are the run's own.

    The wall clock of an attempt is reckoned back from the input that let its deadline run, which is a tick live and the
    next frame in a replay: it differs by the microseconds between reading two clocks, and is left out.
    """
    keys = ("kind", "conn", "instId", "reason", "since_event", "since_received", "until_event", "until_received")
    lines = [line for line in ledger(vault) if line["kind"] in ("gap", "live", "resync")]
    return [(None if line["kind"] == "resync" else line["at"], *(line[key] for key in keys)) for line in lines]


def same_archive(vault: Path, replayed: Path) -> None:
    """A replay gives the same hour files, byte for byte, and the same ledger of losses."""
    wanted, got = hour_files(vault), hour_files(replayed)
    assert sorted(got) == sorted(wanted)
    for path, lines in wanted.items():
        assert got[path] == lines, f"{path} differs"
    assert said(replayed) == said(vault)
