"""Order events held against the ledger and against each other: each episode begins, counts on and ends as it must.

Only what is certain is a defect. Lines can be missing for good reasons: those that would not have ascended in their
file, those that the disk refused, and those that came too late for their hour; the ledger tells of the last two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.archive.defects import Finding, Flaw
from l2_exporter.archive.layout import HourPath, Vault
from l2_exporter.archive.orders_line import GAP, LIVE, MARKS, OrderEvent
from l2_exporter.archive.verify_chain import Chain, Episode
from l2_exporter.archive.verify_episode import check_end
from l2_exporter.archive.verify_events import Place
from l2_exporter.archive.verify_ledger import LedgerChecker
from l2_exporter.archive.verify_line import LineTimes
from l2_exporter.core.timetext import hour_of, utc_text

_NO_END_NS = 1 << 62


@dataclass(slots=True)
class Trail:
    """What the lines with one `live_since_utc` have shown so far, in all hours. `number`: n of the last; -1: none."""

    last_ns: int
    number: int = -1
    seq: int | None = None
    lost: bool = False


@dataclass(slots=True)
class Missing:
    """Lines that are missing with the files of whole hours: a defect unless retention has deleted those."""

    line: int
    finding: Finding
    files: tuple[Path, ...]


@dataclass(slots=True)
class EventTrails:
    """What is known of one book from one hour file to the next.

    Attributes:
        tails: place and episode of the last line of each hour that was read; None: the file is damaged.
        missing: what must be judged once it is known what was deleted.
    """

    trails: dict[int, Trail] = field(default_factory=dict)
    tails: dict[int, tuple[Place, int] | None] = field(default_factory=dict)


class HourEvents:
    """Checks the events of one hour file, given in the file's order, those left out that cannot follow.

    Args:
        newest: no later hour of the book is known, so that a running recorder may be at work on this one.

    Attributes:
        missing: lines that are missing with whole hours.
    """

    def __init__(
        self, ledger: LedgerChecker, chain: Chain | None, hour: HourPath, trails: EventTrails, *, newest: bool
    ) -> None:
        self.missing: list[Missing] = []
        self._ledger = ledger
        self._chain = chain
        self._hour = hour
        self._trails = trails
        self._may_grow = newest and ledger.is_going_on
        self._previous: tuple[Place, int] | None = None
        self._live: int | None = None
        self._trail = Trail(0)
        self._limit_ns = -1
        self._single = False
        self._line = 0
        self._unread = 0
        self._told: set[int | None] = set()

    def unread(self) -> None:
        """Take note of a line that could not be read, or does not ascend: one may be missing where it stands."""
        self._unread += 1

    def check(self, event: OrderEvent, times: LineTimes, line: int) -> Iterator[Finding]:
        """Yield where the next line disagrees with the ledger, or with those before it."""
        trail = self._trail
        simple = times.live_since_ns == self._live and times.event_ns <= self._limit_ns and event.type not in MARKS
        if not simple or event.number != trail.number + 1:
            yield from self._check_closely(event, times, line)
            trail = self._trail
        if event.seq is not None:
            if self._single and trail.seq is not None and event.seq < trail.seq:
                yield Flaw.NUMBERS, f"seqId {event.seq} after {trail.seq} within an episode"
            trail.seq = event.seq
        trail.number, trail.last_ns = event.number, times.event_ns
        self._previous = ((times.event_ns, event.number), times.live_since_ns)
        self._line = line
        self._unread = 0

    def finish(self, *, is_whole: bool) -> Iterator[Finding]:
        """End the file: yield what is missing at its end."""
        yield from self._check_left()
        self._trails.tails[self._hour.hour] = self._previous if is_whole else None

    def _check_closely(self, event: OrderEvent, times: LineTimes, line: int) -> Iterator[Finding]:
        if times.live_since_ns > times.event_ns:
            self._live = None
            return  # said already, and there is no telling which of them is wrong
        episodes = self._chain.of(times.live_since_ns) if self._chain else []
        if times.live_since_ns != self._live:
            yield from self._check_left()
        trail = self._trail = self._trails.trails.setdefault(times.live_since_ns, Trail(times.live_since_ns))
        is_known = self._ledger.knows_life(self._chain, times)
        ends = {episode.last_ns if is_known or episode.live_ns is not None else None for episode in episodes} or {None}
        self._live = times.live_since_ns
        self._single = len(episodes) <= 1
        if event.type == GAP:
            yield from self._check_gap(event, times, episodes, ends)
        elif None not in ends:
            yield from check_end(event, times, episodes)
        self._limit_ns = _NO_END_NS if None in ends else max(end for end in ends if end is not None)
        if is_known:
            yield from self._check_known(event, times, episodes, trail)
        if self._single:
            yield from self._check_number(event, times, episodes, trail, line)
        trail.lost = event.type == GAP
        if trail.lost:
            self._limit_ns = -1  # whatever comes of this episode is looked at

    def _check_gap(
        self, event: OrderEvent, times: LineTimes, episodes: Sequence[Episode], ends: set[int | None]
    ) -> Iterator[Finding]:
        """The mark of a loss stands where its episode ended; the ledger knows that moment."""
        lives_still = self._chain is not None and self._chain.living in episodes
        if not self._ledger.knows_gap(times, lives_still=lives_still):
            return
        declared = self._chain is not None and times.event_ns in self._chain.since_ns
        if not declared or not ends & {None, times.event_ns}:
            yield Flaw.GAP_UNDECLARED, f"no gap since {event.timestamp_utc} in the ledger"

    def _check_known(
        self, event: OrderEvent, times: LineTimes, episodes: Sequence[Episode], trail: Trail
    ) -> Iterator[Finding]:
        """Check a line whose episode must stand in the ledger."""
        if not episodes:
            key = times.live_since_ns if self._chain else None
            if key not in self._told:
                self._told.add(key)
                known = self._chain is not None
                reason = Flaw.NO_LIVE if known else Flaw.NOT_IN_LEDGER
                said = f"has no live at {event.live_since_utc}" if known else f"says nothing of {event.inst}"
                yield reason, f"the ledger {said}"
        elif event.type == LIVE:
            after_gap = "after_gap" in event.flags
            if after_gap not in {episode.after_loss for episode in episodes}:
                reason = Flaw.FLAG_FIRST if after_gap else Flaw.FLAG_AFTER_GAP
                yield reason, f"flags {event.flags} of the live mark at {event.timestamp_utc}"

    def _check_number(
        self, event: OrderEvent, times: LineTimes, episodes: Sequence[Episode], trail: Trail, line: int
    ) -> Iterator[Finding]:
        """`n` counts on; where it does not, there must be a reason."""
        if trail.lost:
            yield Flaw.MARK, f"n {event.number} after the gap mark of its episode"
            return
        undated = bool(episodes) and episodes[0].live_ns is None  # it had no live mark
        missing = event.number - trail.number - 1 - (trail.number < 0 and undated)
        if missing <= 0:
            if missing < 0 and not undated:
                yield Flaw.NUMBER, f"n {event.number} after {trail.number} of its episode"
            return
        if missing <= self._unread or self._is_excused(times, trail):
            return
        last = (
            f"n {event.number} after {trail.number}"
            if trail.number >= 0
            else f"its episode begins with n {event.number}"
        )
        finding = (Flaw.NUMBER, f"{last}: {missing} lines are missing")
        files = self._where(times, trail, event.number)
        if files is None:
            return
        if files:
            self.missing.append(Missing(line, finding, files))
        else:
            yield finding

    def _is_excused(self, times: LineTimes, trail: Trail) -> bool:
        """Tell whether lines of this time were not written, or may not have been."""
        if self._may_grow and not self._ledger.was_read_after(times):
            return True
        chain = self._chain
        if chain is None:
            return False
        span = range(trail.last_ns, times.event_ns + 1)
        return times.event_ns in chain.resumed_ns or any(ns in span for ns in chain.unwritten_ns)

    def _where(self, times: LineTimes, trail: Trail, number: int) -> tuple[Path, ...] | None:
        """Tell which files could hold lines that are missing before this one, if they are not there.

        Returns:
            None: other lines have kept them out. Empty: they would stand in the files that were read.
        """
        previous = self._previous
        if previous is not None:
            if previous[1] == times.live_since_ns:
                return ()
            if (trail.last_ns, number - 1) <= previous[0]:
                return None
            return ()
        absent = []
        for hour in range(hour_of(trail.last_ns), self._hour.hour):
            tail = self._trails.tails.get(hour)
            if tail is not None and tail[1] == times.live_since_ns:
                continue
            if hour in self._trails.tails:
                if tail is None or (trail.last_ns, number - 1) <= tail[0]:
                    return None
                continue
            root = self._hour.path.parents[5]
            absent.append(Vault(root).hour_file(self._hour.venue, self._hour.dataset, self._hour.inst, hour))
        return tuple(absent)

    def _check_left(self) -> Iterator[Finding]:
        """An episode that its run declared lost ends with a gap mark, unless its last lines could not be written."""
        live_ns, trail, chain = self._live, self._trail, self._chain
        if chain is None or live_ns is None or trail.lost or self._may_grow:
            return
        episodes = chain.of(live_ns)
        last_ns = episodes[0].last_ns if len(episodes) == 1 and episodes[0].by_loss else None
        if last_ns is None or hour_of(last_ns) != self._hour.hour:
            return
        span = range(trail.last_ns, last_ns + 1)
        if trail.last_ns not in chain.restarts_ns and not any(ns in span for ns in chain.unwritten_ns):
            since, until = utc_text(live_ns, 3), utc_text(last_ns, 3)
            yield Flaw.MARK, f"the episode since {since} was lost at {until}, and no gap mark ends it"
