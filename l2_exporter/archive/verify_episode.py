"""Snapshot lines held against the ledger: every line in its episode, and nothing carried from one to the next.

Only what is certain is a defect. One `live_since_utc` can stand for several episodes, when a tape was replayed again or
two fresh books have one event time; a line is wrong if it could belong to none of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from l2_exporter.archive.defects import Finding, Flaw, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_line import OrderEvent
from l2_exporter.archive.verify_chain import Chain, Episode
from l2_exporter.archive.verify_ledger import Book, LedgerChecker
from l2_exporter.archive.verify_line import EpisodeLine, LineTimes
from l2_exporter.core.timetext import hour_of

_FRESH_CHAIN = -1
_FIRST_LINE_FLAGS = ("after_gap", "seeded_from_rest")


@dataclass(slots=True)
class Trail:
    """What the lines with one `live_since_utc` have shown so far, in all hours.

    Attributes:
        marks: how many of them had a flag of an episode's first line.
        numbered, bare: some had both sequence numbers; some before these had none. last_seq: the last number.
    """

    lines: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    numbered: bool = False
    bare: bool = False
    last_seq: int | None = None

    def add(self, line: EpisodeLine) -> None:
        """Take note of the next line."""
        self.lines += 1
        self.bare = self.bare or (line.seq is None and not self.numbered)
        self.numbered = self.numbered or (line.seq is not None and line.prev_seq is not None)
        self.last_seq = line.seq

    def breaks(self, line: EpisodeLine, times: LineTimes) -> bool:
        """Tell whether a line's sequence numbers cannot be of the same episode as those before it."""
        if line.seq is not None and line.prev_seq is not None and self.bare:
            return True
        if not self.numbered:
            return False
        if line.seq is None or line.prev_seq is None:
            return True
        # A pushed book begins its episode. Numbers that have fallen may have passed through -1 on their way.
        begins = line.prev_seq == _FRESH_CHAIN and times.event_ns > times.live_since_ns
        return begins and self.last_seq is not None and 0 <= self.last_seq <= line.seq


class EpisodeChecker:
    """Checks the lines of one venue's hour files, given in order of their paths."""

    def __init__(self, ledger: LedgerChecker) -> None:
        self._ledger = ledger
        self._trails: tuple[Book | None, dict[int, Trail]] = (None, {})

    def open(self, hour: HourPath) -> "HourEpisodes":
        """Begin the next hour file."""
        book = (hour.dataset, hour.inst)
        if self._trails[0] != book:
            self._trails = (book, {})
        return HourEpisodes(self._ledger, self._ledger.chains.get(book), hour, self._trails[1])


class HourEpisodes:
    """Checks the lines of one hour file, given in the file's order."""

    def __init__(self, ledger: LedgerChecker, chain: Chain | None, hour: HourPath, trails: dict[int, Trail]) -> None:
        self._ledger = ledger
        self._chain = chain
        self._hour = hour
        self._trails = trails
        self._previous: tuple[int, Sequence[Episode]] | None = None
        self._told: set[int | None] = set()

    def check(self, line: EpisodeLine, times: LineTimes) -> Iterator[Finding]:
        """Yield where a line and the ledger disagree."""
        if times.live_since_ns > times.event_ns:
            return  # said already, and there is no telling which of them is wrong
        episodes = self._chain.of(times.live_since_ns) if self._chain else []
        trail = self._trails.setdefault(times.live_since_ns, Trail())
        is_known = self._ledger.knows_life(self._chain, times)
        ends = {episode.last_ns if is_known or episode.live_ns is not None else None for episode in episodes} or {None}
        if line.gap:
            yield from self._check_gap(line, times, episodes, ends)
        elif None not in ends:
            yield from check_end(line, times, episodes)
        if is_known:
            yield from self._check_known(line, times, trail, episodes)
        trail.add(line)
        self._previous = (times.event_ns, episodes)

    def _check_gap(
        self, line: EpisodeLine, times: LineTimes, episodes: Sequence[Episode], ends: set[int | None]
    ) -> Iterator[Finding]:
        """The line of a loss stands where its episode ended; the ledger knows that moment."""
        lives_still = self._chain is not None and self._chain.living in episodes
        if not self._ledger.knows_gap(times, lives_still=lives_still):
            return
        declared = self._chain is not None and times.event_ns in self._chain.since_ns
        if not declared or not ends & {None, times.event_ns}:
            yield Flaw.GAP_UNDECLARED, f"no gap since {line.timestamp_utc} in the ledger"

    def _check_known(
        self, line: EpisodeLine, times: LineTimes, trail: Trail, episodes: Sequence[Episode]
    ) -> Iterator[Finding]:
        """Check a line whose episode must stand in the ledger."""
        if not episodes:
            yield from self._check_unknown(line, times)
            return
        yield from _check_marks(line, trail, episodes)
        yield from self._check_after_gap(line, times, trail, episodes)
        if len(episodes) == 1 and trail.breaks(line, times):
            yield Flaw.NUMBERS, f"{said('seqId', line.seq)}, {said('prevSeqId', line.prev_seq)} within an episode"

    def _check_unknown(self, line: EpisodeLine, times: LineTimes) -> Iterator[Finding]:
        """An episode that the ledger should know is told once a file, and so is an instrument."""
        key = times.live_since_ns if self._chain else None
        if key in self._told:
            return
        self._told.add(key)
        if self._chain:
            yield Flaw.NO_LIVE, f"the ledger has no live at {line.live_since_utc}"
        else:
            yield Flaw.NOT_IN_LEDGER, f"the ledger says nothing of {line.inst}"

    def _check_after_gap(
        self, line: EpisodeLine, times: LineTimes, trail: Trail, episodes: Sequence[Episode]
    ) -> Iterator[Finding]:
        """The first line after a loss says so, unless one was made before it that could not be written."""
        if "after_gap" in line.flags or trail.lines or self._previous is None or self._chain is None:
            return
        if not all(episode.after_loss for episode in episodes) or hour_of(times.live_since_ns) != self._hour.hour:
            return
        before_ns, others = self._previous
        # What the file holds forbids no line of a later book time, nor one that the run which wrote it could make.
        free = times.live_since_ns > before_ns or (
            len(episodes) == len(others) == 1 and episodes[0].run is others[0].run
        )
        if free and times.event_ns not in self._chain.resumed_ns:
            yield Flaw.FLAG_AFTER_GAP, f"the first line since {line.live_since_utc}, flags {line.flags}"


def check_end(line: EpisodeLine | OrderEvent, times: LineTimes, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """No line is later than the end of its episode; all these have ended."""
    last_ns, next_ns = max(((episode.last_ns or 0, episode.next_ns) for episode in episodes), key=lambda end: end[0])
    if times.event_ns <= last_ns:
        return
    if next_ns is None or times.event_ns < next_ns:
        yield Flaw.IN_GAP, f"{line.timestamp_utc} lies inside a gap of the ledger"
    else:
        yield Flaw.ACROSS_LOSS, f"its episode, live since {line.live_since_utc}, ended before {line.timestamp_utc}"


def _check_marks(line: EpisodeLine, trail: Trail, episodes: Sequence[Episode]) -> Iterator[Finding]:
    """Each episode has one first line, and one that began without a loss has none after a gap."""
    for word in _FIRST_LINE_FLAGS:
        if word not in line.flags:
            continue
        trail.marks[word] += 1
        able = sum(episode.after_loss or word != "after_gap" for episode in episodes)
        if trail.marks[word] > able or (len(episodes) == 1 and trail.lines):
            yield Flaw.FLAG_FIRST, f"{word} on a line that is not the first since {line.live_since_utc}"
