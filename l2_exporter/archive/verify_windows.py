"""When a book was not live in an hour, made again from its `gap` and `live` lines, apart from the code that seals.

What a manifest says is what was known when its hour was over: a loss that was declared later is not in it, and one
that ended later has no end there. The ledger's line `sealed` was written a little after that moment, so that the last
lines before it may or may not have been known. Runs that a replay has put between others are known to other runs or
not, by the order in which they were made, which the files do not tell; a manifest need agree with one of those.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from l2_exporter.archive.verify_chain import Run
from l2_exporter.core.timetext import HOUR_NS

Span = tuple[int, int]
_EVER_NS = 0
_AHEAD = 64
"""Of the lines that may or may not have been known, the newest; more than these nobody needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One `gap` or `live` line of a book.

    Attributes:
        ns: where the loss begins or ends: book time, else receive time, else when it was noted.
        is_book_time: it is book time.
    """

    is_gap: bool
    id: str | None
    reason: str | None
    ns: int
    at_ns: int
    run: Run
    is_book_time: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as it was known at some moment; `until_ns` None: it was not over."""

    id: str
    reason: str
    from_ns: int
    until_ns: int | None

    def touches(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether it lies in a stretch of time, in part at least."""
        if self.until_ns is None:
            return self.from_ns < end_ns
        if self.until_ns < self.from_ns:
            return False  # a fresh book of a lower time: nothing between is unknown
        return self.from_ns < end_ns and max(self.until_ns, self.from_ns + 1) > start_ns


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour's manifest should say."""

    episodes: list[Span]
    losses: list[Loss]
    dead_ns: int


class Story:
    """All turns of one book, in the order of the ledger's lines.

    Attributes:
        is_dated: every turn has book time.
        is_simple: no replay has a part in it, or one run all.
    """

    def __init__(self) -> None:
        self.is_dated = True
        self._turns: list[Turn] = []
        self._gaps: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._first: dict[Run | None, int] = {}
        self._kept: list[int] = []
        self._asked = (0, 0)

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_simple(self) -> bool:
        runs = [run for run in self._first if run is not None]
        return len(runs) <= 1 or all(run.replayed is False for run in runs)

    def add(self, turn: Turn) -> None:
        """Take the next turn."""
        place = len(self._turns)
        self._turns.append(turn)
        self._kept.append(place)
        self.is_dated = self.is_dated and turn.is_book_time
        if turn.is_gap or turn.id is None:
            self._first.setdefault(None, place)
            self._first.setdefault(turn.run, place)
        if turn.id is not None:
            (self._gaps if turn.is_gap else self._ends)[turn.id] = place

    def versions(self, hour: int, known: int, at_ns: int | None, run: Run | None) -> Iterator[Hour]:
        """Yield what could have been known of an hour when it was over, the likeliest first.

        Args:
            known: how many turns stand before the ledger's `sealed`.
            at_ns: the moment of that line; None: there is none, so that any moment will do.
            run: that it was written in.
        """
        least = known
        while least > 0 and known - least < _AHEAD and (at_ns is None or self._turns[least - 1].at_ns >= at_ns):
            least -= 1
        self._forget(hour * HOUR_NS, least)
        kept = [place for place in self._kept if place < known]
        for upto in range(known, least - 1, -1):
            yield self._hour(hour, [place for place in kept if place < upto])
        if run is None or self.is_simple:
            return
        others = [place for place in self._kept if self._turns[place].run is not run]
        for upto in range(known, least - 1, -1):
            told = [place for place in kept if place < upto]
            own = [place for place in told if self._turns[place].run is run]
            yield self._hour(hour, own)
            yield self._hour(hour, [place for place in told if self._turns[place].run.replayed is False])
            yield self._hour(hour, [*others, *own])

    def was_born_before(self, moment_ns: int) -> bool:
        """Tell whether the book had been live before."""
        return any(turn.ns < moment_ns for turn in self._turns[:1])

    def was_off(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether the recorder says that it was not running in all of a stretch of time."""
        restarts = []
        for turn in self._turns:
            if turn.is_gap and turn.reason == "restart":
                end = self._ends.get(turn.id or "")
                restarts.append((turn.ns, end_ns if end is None else self._turns[end].ns))
        for from_ns, until_ns in sorted(restarts):
            if from_ns > start_ns:
                break
            start_ns = max(start_ns, until_ns)
        return start_ns >= end_ns

    def _forget(self, start_ns: int, known: int) -> None:
        """Leave out the losses that were over before an hour: hours are asked for in their order."""
        asked = (start_ns, known)
        if start_ns < self._asked[0] or known < self._asked[1]:
            self._kept = [*range(len(self._turns))]
        self._asked = asked
        firsts = set(self._first.values())
        self._kept = [place for place in self._kept if place >= known or not self._is_over(place, asked, firsts)]

    def _is_over(self, place: int, asked: Span, firsts: set[int]) -> bool:
        ident = self._turns[place].id or ""
        gap, end = self._gaps.get(ident), self._ends.get(ident)
        if gap is None or end is None or end >= asked[1] or gap in firsts:
            return False
        return max(self._turns[end].ns, self._turns[gap].ns + 1) <= asked[0]

    def _hour(self, hour: int, places: Sequence[int]) -> Hour:
        """Reckon an hour from some of the turns, given by their places in the order in which they were known."""
        start_ns, end_ns = hour * HOUR_NS, (hour + 1) * HOUR_NS
        firsts = (self._turns[place] for place in places if self._turns[place].is_gap or self._turns[place].id is None)
        born_ns = next((_EVER_NS if turn.is_gap else turn.ns for turn in firsts), end_ns)
        losses = [loss for loss in self._losses(places) if loss.touches(start_ns, end_ns)]
        losses.sort(key=lambda loss: loss.from_ns)
        dark = [(start_ns, min(born_ns, end_ns))] if born_ns > start_ns else []
        for loss in losses:
            until_ns = end_ns if loss.until_ns is None else min(loss.until_ns, end_ns)
            dark.append((max(loss.from_ns, start_ns), max(until_ns, start_ns)))
        episodes = _between(sorted(dark), start_ns, end_ns)
        return Hour(episodes, losses, HOUR_NS - sum(until_ns - from_ns for from_ns, until_ns in episodes))

    def _losses(self, places: Sequence[int]) -> Iterator[Loss]:
        """Yield the losses that some turns tell, each once, in their order."""
        ends: dict[str, int] = {}
        for place in places:
            turn = self._turns[place]
            if not turn.is_gap and turn.id is not None:
                ends[turn.id] = turn.ns
        told = set()
        for place in places:
            turn = self._turns[place]
            if turn.is_gap:
                key = (turn.reason, turn.ns, ends.get(turn.id or ""))
                if key not in told:
                    told.add(key)
                    yield Loss(turn.id or "", turn.reason or "", turn.ns, key[2])


def _between(dark: Sequence[Span], start_ns: int, end_ns: int) -> list[Span]:
    """Return what lies between dark spans; one without length parts what is before it from what is behind."""
    found, at_ns = [], start_ns
    for from_ns, until_ns in [*dark, (end_ns, end_ns)]:
        if from_ns > at_ns:
            found.append((at_ns, from_ns))
        at_ns = max(at_ns, until_ns)
    return found
