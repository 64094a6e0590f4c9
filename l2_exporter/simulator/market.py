"""A seeded, moving order book: one instrument's levels on a tick grid, and what a venue shows of them.

Pure: no clock, no socket, no set is ever iterated. The same seed and the same steps give the same book under any hash
seed. Knows nothing of any venue's frames but the shape of its rows, which it is given.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from l2_exporter.simulator.instrument import Instrument, Pace

Row = tuple[str, ...]
"""A level as its venue writes it; price text first, size text second."""

MakeRow = Callable[[str, str, int], Row]
"""Writes a row from price text, size text and number of orders; a deleted level has size `0` and no orders."""

VISIBLE_LEVELS = 400
"""Levels beyond this many a side are cancelled at random, so that deletes of prices nobody was shown happen."""

FIRST_SEQ = 8_000_000_000
MOVES = (-3, -2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2, 3)
PULL = 0.05
RESIZED = 0.55
DELETED = 0.76
IMPROVED = 0.4
CANCELLED_UNSEEN = 0.6
CROSSED_BY = 2
ALL_LEVELS = 1_000_000
WITHOUT_CHANGE = (0, 0, 1, 2, 3)
"""Numbers that a step takes besides those of its changes, where each change has one."""


class _Side:
    """One side. A level's key is its tick, negative for bids: keys ascend from the best."""

    __slots__ = ("keys", "rows", "sign", "unseen")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.rows: dict[int, Row] = {}
        self.unseen: dict[int, Row] = {}

    def put(self, key: int, row: Row) -> None:
        if key not in self.rows:
            self.keys.insert(bisect_left(self.keys, key), key)
        self.rows[key] = row

    def drop(self, index: int) -> Row:
        return self.rows.pop(self.keys.pop(index))

    def top(self, depth: int) -> dict[int, Row]:
        rows = self.rows
        return {key: rows[key] for key in self.keys[:depth]}


@dataclass(frozen=True, slots=True)
class Window:
    """The best levels of a book, best first on both sides; keys order a side's levels and mean nothing else."""

    bids: Mapping[int, Row]
    asks: Mapping[int, Row]


class Market:
    """One instrument's book and its sequence number.

    Attributes:
        seq: number of the last step; steps are 1 to `max_step` apart, or where that is 0 as many as levels changed and
            at times some more. A reset lets it fall.
        prev_seq: number of the step before.
        moved_ns: time of the last step.
        crossed: while true, the best bid stands above the best ask.
    """

    def __init__(self, instrument: Instrument, make_row: MakeRow, seed: str, start_ns: int, max_step: int = 20) -> None:
        self.instrument = instrument
        self.crossed = False
        self._random = Random(f"{seed}/{instrument.inst}")
        self._make_row = make_row
        self._max_step = max_step
        self._mid = instrument.pace.price
        self._bids, self._asks = _Side(-1), _Side(1)
        self._resetting = False
        self._windows: dict[int, Window] = {}
        self.seq = self.prev_seq = FIRST_SEQ + self._random.randrange(1_000_000_000)
        self.moved_ns = start_ns
        for side in (self._bids, self._asks):
            side.put(self._floor(side), self._new_row(side, self._floor(side)))
            self._refill(side)

    def step(self, now_ns: int) -> bool:
        """Let the market move once; tell whether anything happened."""
        for side in (self._bids, self._asks):
            side.unseen = {}
        if self._random.random() >= self.instrument.pace.activity:
            return False
        before = None if self._max_step else self.window(ALL_LEVELS)
        self._windows = {}
        self._drift()
        for side in (self._bids, self._asks):
            self._improve(side)
            for _ in range(self._touches()):
                self._touch(side)
            self._cancel_unseen(side)
            self._refill(side)
        if self.crossed:
            self._cross()
        self._count(0 if before is None else sum(map(len, self.changes(before, self.window(ALL_LEVELS)))))
        self.moved_ns = now_ns
        return True

    def reset(self) -> None:
        """Let the next step's number fall below every one before, as after a venue's maintenance."""
        self._resetting = True

    def window(self, depth: int) -> Window:
        """Return the best `depth` levels a side."""
        if depth not in self._windows:
            self._windows[depth] = Window(self._bids.top(depth), self._asks.top(depth))
        return self._windows[depth]

    def changes(self, old: Window, new: Window, *, truncated: bool = False) -> tuple[list[Row], list[Row]]:
        """List the rows that turn one window into another, bids then asks, best first, deletes with size `0`.

        `new` is the window after the last step; prices cancelled in that step beyond every window are deleted too.

        Args:
            truncated: who gets the rows forgets by himself what falls out of the window: only what the window held and
                is no longer there at all is deleted.
        """
        return (
            self._changed(self._bids, old.bids, new.bids, truncated),
            self._changed(self._asks, old.asks, new.asks, truncated),
        )

    def _changed(self, side: _Side, old: Mapping[int, Row], new: Mapping[int, Row], truncated: bool) -> list[Row]:
        changed = {key: row for key, row in new.items() if old.get(key) != row}
        gone = {key: row for key, row in old.items() if key not in new and not (truncated and key in side.rows)}
        if not truncated:
            gone |= {key: row for key, row in side.unseen.items() if key not in new and key not in old}
        rows = changed | {key: self._make_row(row[0], "0", 0) for key, row in gone.items()}
        return [rows[key] for key in sorted(rows)]

    def _count(self, changes: int) -> None:
        self.prev_seq = self.seq
        if self._resetting:
            self._resetting = False
            self.seq //= 2
        elif self._max_step:
            self.seq += self._random.randint(1, self._max_step)
        else:
            self.seq += max(changes + self._random.choice(WITHOUT_CHANGE), 1)

    def _floor(self, side: _Side) -> int:
        """Name the best key a side may have: bids stand at or below the middle, asks above it."""
        return -self._mid if side is self._bids else self._mid + 1

    def _drift(self) -> None:
        """Move the middle a few ticks, in the long run back to the first price; what it passes is traded away."""
        home = self.instrument.pace.price
        move = self._random.choice(MOVES)
        if self._random.random() < PULL:
            move += 2 if self._mid < home else -2
        self._mid = min(max(self._mid + move, home - home // 4), home + home // 4)
        for side in (self._bids, self._asks):
            floor = self._floor(side)
            while side.keys and side.keys[0] < floor:
                side.drop(0)

    def _improve(self, side: _Side) -> None:
        floor = self._floor(side)
        if not side.keys or (side.keys[0] > floor and self._random.random() < IMPROVED):
            side.put(floor, self._new_row(side, floor))

    def _touches(self) -> int:
        touches = self.instrument.pace.touches
        return self._random.randint(touches // 2, touches + touches // 2)

    def _touch(self, side: _Side) -> None:
        """Change one level, more often near the best: another size, gone, or a new one behind it."""
        random, keys = self._random, side.keys
        index = min(int(random.expovariate(1 / (len(keys) / 5))), len(keys) - 1)
        kind = random.random()
        if kind < RESIZED or len(keys) == 1:
            side.put(keys[index], self._new_row(side, keys[index]))
        elif kind < DELETED:
            side.drop(index)
        else:
            key = keys[index] + random.randint(1, 2)
            if self._is_price(side, key):
                side.put(key, self._new_row(side, key))

    def _cancel_unseen(self, side: _Side) -> None:
        if len(side.keys) > VISIBLE_LEVELS and self._random.random() < CANCELLED_UNSEEN:
            self._see_off(side, self._random.randrange(VISIBLE_LEVELS, len(side.keys)))

    def _see_off(self, side: _Side, index: int) -> None:
        key = side.keys[index]
        side.unseen[key] = side.drop(index)

    def _refill(self, side: _Side) -> None:
        """Keep the number of levels in its bounds, at the far end."""
        pace: Pace = self.instrument.pace
        while len(side.keys) < pace.fewest:
            key = side.keys[-1] + self._random.choice((1, 1, 1, 2, 3))
            if not self._is_price(side, key):
                return
            side.put(key, self._new_row(side, key))
        while len(side.keys) > pace.most:
            self._see_off(side, len(side.keys) - 1)

    def _cross(self) -> None:
        key = -(self._asks.keys[0] + CROSSED_BY)
        self._bids.put(key, self._new_row(self._bids, key))

    def _is_price(self, side: _Side, key: int) -> bool:
        return key * side.sign >= 1

    def _new_row(self, side: _Side, key: int) -> Row:
        random, instrument = self._random, self.instrument
        lots = 1 + int(random.expovariate(1 / instrument.pace.size))
        orders = 1 + int(random.expovariate(0.6))
        return self._make_row(instrument.tick.text(key * side.sign), instrument.lot.text(lots), orders)
