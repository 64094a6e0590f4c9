"""A seeded book that changes as OKX's does: how many rows a push has, which kind, how deep."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.streams.okx import Push, Row

FIRST_MS = 1_795_219_200_000
PUSH_MS = 100
FIRST_TICK = 432_500
NEAR_LEVELS = 8
"""Mean rank of what changes near the best price."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a book changes.

    Attributes:
        rows: median and 95th percentile of the rows of a push.
        modified, replaced, unknown: shares of its rows: another size; a level that comes or goes, and the one that
            leaves or enters at the far end for it; a delete of a price the book does not have.
        near: share of the changes that are near the best price; the others are anywhere.
        levels: of a side.
    """

    rows: tuple[int, int]
    modified: float
    replaced: float
    unknown: float
    near: float
    levels: int = 400


LIGHT = Pace((35, 84), 0.055, 0.80, 0.145, 0.57)
"""What a recording of BTC-USDT of 2022 shows."""
HEAVY = Pace((42, 310), 0.32, 0.68, 0.0, 0.25)
"""What a Binance futures capture of 2024 shows when it is sampled each 100 ms and cut to 400 levels."""
DEEP = Pace((34, 252), 0.60, 0.40, 0.0, 0.25, 1000)
"""As many rows as the same capture has as it came, on a book as deep as its REST book."""


class _Side:
    """One side. A level's key is its tick, negative for bids: keys ascend from the best."""

    def __init__(self, sign: int, random: Random, levels: int) -> None:
        self.levels = levels
        self.keys: list[int] = []
        self.rows: dict[int, Row] = {}
        self.touched: dict[int, bool] = {}
        self._random = random
        self.put(sign * FIRST_TICK + (sign == 1))
        self.fill()

    def begin(self) -> None:
        """Begin a push: note from here on which keys change, and whether the client has them."""
        self.touched = {}

    def put(self, key: int) -> None:
        """Set a level to a new size."""
        self.touched.setdefault(key, key in self.rows)
        if key not in self.rows:
            self.keys.insert(bisect_left(self.keys, key), key)
        random = self._random
        size, orders = random.expovariate(1 / 40) + 0.01, 1 + int(random.expovariate(0.6))
        self.rows[key] = [f"{abs(key) / 10:.1f}", f"{size:.2f}", "0", str(orders)]

    def drop(self, rank: int) -> None:
        """Delete a level."""
        key = self.keys.pop(rank)
        self.touched.setdefault(key, True)
        del self.rows[key]

    def fill(self) -> None:
        """Have exactly as many levels as it should: the worst leave, others come behind them."""
        while len(self.keys) > self.levels:
            self.drop(self.levels)
        while len(self.keys) < self.levels:
            self.put(self.keys[-1] + self._random.choice((1, 1, 1, 2, 3)))

    def insert(self, distance: int, floor: int) -> None:
        """Set a level at the first free price so many ticks from the other side's best, which is `floor`."""
        key = floor + 1 + distance
        while key in self.rows:
            key += 1
        self.put(key)

    def miss(self, rank: int) -> None:
        """Delete a price that is not there."""
        key = self.keys[rank] + 1
        if key not in self.rows:
            self.touched.setdefault(key, True)

    def changes(self) -> list[Row]:
        """List what changed since the push began, best first."""
        return [
            self.rows.get(key) or [f"{abs(key) / 10:.1f}", "0", "0", "0"]
            for key, known in sorted(self.touched.items())
            if known or key in self.rows
        ]

    def best(self) -> list[Row]:
        """List the levels, best first."""
        return [self.rows[key] for key in self.keys]


def walked(pace: Pace, seed: str, count: int) -> Iterator[Push]:
    """Yield a snapshot and `count` pushes."""
    random = Random(seed)
    bids, asks = sides = (_Side(-1, random, pace.levels), _Side(1, random, pace.levels))
    yield Push(FIRST_MS, bids.best(), asks.best(), bids.best(), asks.best())
    median, high = pace.rows
    mu, sigma = math.log(median), math.log(high / median) / 1.645
    for number in range(1, count + 1):
        target = max(2, round(random.lognormvariate(mu, sigma)))
        for side, other in ((bids, asks), (asks, bids)):
            side.begin()
            _change(pace, random, side, other, target // 2 if side is bids else target - target // 2)
        yield Push(FIRST_MS + number * PUSH_MS, *(side.changes() for side in sides), *(side.best() for side in sides))


def _change(pace: Pace, random: Random, side: _Side, other: _Side, target: int) -> None:
    """Change a side until so many rows have changed."""
    modified, replaced, unknown = pace.modified, pace.replaced / 2, pace.unknown
    for _ in range(4 * target):
        if len(side.touched) >= target:
            break
        near = random.random() < pace.near
        rank = min(int(random.expovariate(1 / NEAR_LEVELS)), side.levels - 1) if near else random.randrange(side.levels)
        kind = random.random() * (modified + replaced + unknown)
        if kind < modified:
            side.put(side.keys[rank])
        elif kind < modified + unknown:
            side.miss(rank)
        elif random.random() < 0.5:
            side.drop(rank)
        else:
            side.insert(rank, -other.keys[0])
        side.fill()
