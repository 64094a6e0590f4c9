"""What order events add up to: counts, rates, lifetimes and sizes. Memory grows with the orders that rest only."""

import os
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import lru_cache
from typing import IO

from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_line import DONE, GAP, MARKS, MATCH, OPEN, OrderEvent, event_ns
from l2_exporter.archive.orders_read import lines_between, one_a_hour
from l2_exporter.core.decimaltext import is_zero

CHUNK = 1 << 16
DIGIT_BITS = 16
FILLED_REMEMBERED = 256
"""Orders of which nothing was left and whose `done` is still to come: it follows within moments."""

_EXACT = Context(prec=256, Emax=10_000, Emin=-10_000)
_decimal = lru_cache(maxsize=4096)(Decimal)


class Durations:
    """Whole numbers of nanoseconds, and exact ranks among them.

    Args:
        file: takes them, but for the newest few.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.count = 0
        self.greatest = 0
        self._chunk = array("q")
        self._file = file

    def add(self, duration_ns: int) -> None:
        """Take one more."""
        self.count += 1
        self.greatest = max(self.greatest, duration_ns)
        self._chunk.append(duration_ns)
        if len(self._chunk) >= CHUNK:
            self._file.seek(0, os.SEEK_END)
            self._file.write(self._chunk.tobytes())
            self._chunk = array("q")

    def ranked(self, share: Decimal) -> int:
        """Return the smallest of them that at least this share does not exceed (nearest rank): exact, no mean."""
        rank = max(int((self.count * share).to_integral_value(rounding="ROUND_CEILING")), 1)
        shift = -(-max(self.greatest.bit_length(), 1) // DIGIT_BITS) * DIGIT_BITS
        prefix = 0
        while shift:
            shift -= DIGIT_BITS
            counts: Counter[int] = Counter()
            for chunk in self._chunks():
                counts.update(each >> shift for each in chunk if each >> (shift + DIGIT_BITS) == prefix)
            for digits in sorted(counts):
                if rank <= counts[digits]:
                    prefix = digits
                    break
                rank -= counts[digits]
        return prefix

    def _chunks(self) -> Iterator["array[int]"]:
        self._file.seek(0)
        while data := self._file.read(CHUNK * self._chunk.itemsize):
            chunk = array("q")
            chunk.frombytes(data)
            yield chunk
        yield self._chunk


@dataclass(slots=True)
class Sizes:
    """Sizes of one kind: their number, exact sum, least and greatest."""

    count: int = 0
    total: Decimal = Decimal(0)
    least: Decimal | None = None
    greatest: Decimal | None = None

    def add(self, text: str) -> None:
        """Take one more."""
        size = _decimal(text)
        self.count += 1
        self.total = _EXACT.add(self.total, size)
        self.least = size if self.least is None or size < self.least else self.least
        self.greatest = size if self.greatest is None or size > self.greatest else self.greatest


@dataclass(slots=True)
class Excluded:
    """Orders that have no lifetime within the window and one episode.

    Attributes:
        without_open: they went, and had come before the window or the episode began, or have never rested.
        rest_at_end: they rested still when the window ended; lost: when their episode was lost, or is not followed up.
        replaced: they came to rest anew without having gone.
    """

    without_open: int = 0
    rest_at_end: int = 0
    lost: int = 0
    replaced: int = 0


@dataclass(slots=True)
class Stats:
    """What a window holds.

    Attributes:
        counts: events by type and side; None: a side that is not told.
        known_ns: book time within the window in which the book was known, from line to line.
        episodes: of which there are lines; peak: events in the busiest second, and which that is.
        opened: by side; matched: by side of the maker.
    """

    lifetimes: Durations
    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    events: int = 0
    first: str | None = None
    last: str | None = None
    known_ns: int = 0
    episodes: int = 0
    losses: int = 0
    peak: int = 0
    peak_second: str | None = None
    opened: dict[str, Sizes] = field(default_factory=dict)
    matched: dict[str, Sizes] = field(default_factory=dict)
    excluded: Excluded = field(default_factory=Excluded)


def stats_of(hours: Sequence[HourPath], from_ns: int | None, to_ns: int | None, lifetimes: Durations) -> Stats:
    """Add up the events within a window.

    Args:
        lifetimes: takes those of orders.

    Raises:
        ArchiveError: a file is damaged, or a line is no order event.
        OSError: a file cannot be read.
    """
    adding = _Adding(Stats(lifetimes))
    for read in lines_between(one_a_hour(hours), from_ns, to_ns):
        adding.take(read.event())
    return adding.finished()


class _Adding:
    """The sums while events come in, in their order."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._live: str | None = None
        self._resting: dict[str, int] = {}
        self._filled: deque[str] = deque(maxlen=FILLED_REMEMBERED)
        self._begun_ns = self._last_ns = 0
        self._second: str | None = None
        self._in_second = 0

    def take(self, event: OrderEvent) -> None:
        """Take the next event."""
        stats = self._stats
        at_ns = event_ns("timestamp_utc", event.timestamp_utc)
        if event.live_since_utc != self._live:
            self._end_episode()
            stats.episodes += 1
            self._live, self._begun_ns = event.live_since_utc, at_ns
        self._last_ns = at_ns
        stats.first = stats.first or event.timestamp_utc
        stats.last = event.timestamp_utc
        if event.type in MARKS:
            stats.losses += event.type == GAP
            stats.counts[event.type, None] += 1
            return
        stats.events += 1
        stats.counts[event.type, event.side] += 1
        self._count_second(event)
        self._follow(event, at_ns)

    def finished(self) -> Stats:
        """End the window."""
        self._stats.excluded.rest_at_end += len(self._resting)
        self._resting = {}
        self._end_episode()
        self._count_peak()
        return self._stats

    def _follow(self, event: OrderEvent, at_ns: int) -> None:
        """Follow one order from the event with which it comes to rest to the one with which it is over."""
        stats, order_id, side = self._stats, event.order_id or "", event.side or "unknown"
        if event.type == OPEN:
            stats.excluded.replaced += order_id in self._resting
            self._resting[order_id] = at_ns
            stats.opened.setdefault(side, Sizes()).add(event.size or "0")
        if event.type == MATCH:
            stats.matched.setdefault(side, Sizes()).add(event.size or "0")
        if event.type != DONE and not (event.remaining is not None and is_zero(event.remaining)):
            return
        entered_ns = self._resting.pop(order_id, None)
        if entered_ns is not None:
            stats.lifetimes.add(at_ns - entered_ns)
            if event.type != DONE:
                self._filled.append(order_id)
        elif order_id in self._filled:
            self._filled.remove(order_id)
        else:
            stats.excluded.without_open += 1

    def _end_episode(self) -> None:
        if self._live is not None:
            self._stats.known_ns += self._last_ns - self._begun_ns
        self._stats.excluded.lost += len(self._resting)
        self._resting = {}

    def _count_second(self, event: OrderEvent) -> None:
        second = event.timestamp_utc[:19]
        if second != self._second:
            self._count_peak()
            self._second, self._in_second = second, 0
        self._in_second += 1

    def _count_peak(self) -> None:
        if self._in_second > self._stats.peak:
            self._stats.peak, self._stats.peak_second = self._in_second, self._second
