"""One side of a book: levels by what their price is worth, with the venue's rows as they were sent.

Levels are kept by number in a dict and sorted when a line needs them: most messages need no order at all. A checksum
needs the best few after every message: once one has been asked for, those nearest to the best are kept in two parallel
sorted lists as well. Bids have negated keys, so that both sides ascend from the best level.
"""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal

from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, fits_float, is_zero
from l2_exporter.core.events import Row
from l2_exporter.core.rows import Rows

NOWHERE, EVERYWHERE = float("-inf"), float("inf")
NEAR = 4
"""Of the levels that a checksum covers, so many times as many are kept sorted: changes behind them cost nothing."""


class Side:
    """The levels of one side, best first.

    Attributes:
        last_known: price text of the worst level that is known to be complete; what comes behind it is not kept.
            None: the whole side is known.
    """

    __slots__ = (
        "_edge",
        "_exact",
        "_levels",
        "_limit",
        "_near",
        "_near_rows",
        "_order",
        "_sign",
        "_wanted",
        "last_known",
    )

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._exact = False
        self._levels: dict[Key, Row] = {}
        self._order: list[Key] | None = None
        self._limit: Key = EVERYWHERE
        self.last_known: str | None = None
        self._wanted = 0
        self._edge: Key = NOWHERE
        self._near: list[Key] = []
        self._near_rows: list[Row] = []

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return len(self._levels)

    @property
    def rows(self) -> list[Row]:
        """All levels."""
        return self.top(len(self._levels))

    @property
    def best(self) -> str | None:
        """The best price, None for an empty side."""
        return self._levels[self._sorted()[0]][0] if self._levels else None

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return [*map(self._levels.__getitem__, self._sorted()[:depth])]

    def nearest(self, count: int) -> list[Row]:
        """Return the best levels; from now on they are kept at hand, for whoever asks after every message."""
        if count > self._wanted:
            self._wanted = count
            self._renew_near()
        return self._near_rows[:count]

    def apply(self, rows: list[Row]) -> None:
        """Set the levels named: a new size replaces the whole row, size zero removes, unknown removals do nothing."""
        if type(rows) is Rows and not self._exact:
            self._set(rows.prices if self._sign > 0 else [-price for price in rows.prices], rows.sizes, rows)
            return
        if not self._exact and any(len(row[0]) > FLOAT_DIGITS and not fits_float(row[0]) for row in rows):
            self._use_exact_keys()
        self._set([self._key(row[0]) for row in rows], [not is_zero(row[1]) for row in rows], rows)

    def replace(self, rows: list[Row]) -> None:
        """Forget all levels and set these."""
        self._exact = False
        self._levels = {}
        self._limit, self.last_known = EVERYWHERE, None
        self._edge, self._near, self._near_rows = NOWHERE, [], []
        self.apply(rows)
        if self._wanted:
            self._renew_near()

    def cover(self, levels: int) -> None:
        """Take note that the side as it stands holds at most so many levels of what there is: beyond is unknown."""
        if len(self._levels) >= levels:
            worst = self._sorted()[-1]
            self._know_until(self._levels[worst][0], worst)

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        if len(self._levels) <= levels:
            return
        self.nearest(levels)
        for key in self._near[levels:] if len(self._near) == len(self._levels) else self._sorted()[levels:]:
            del self._levels[key]
        del self._near[levels:], self._near_rows[levels:]
        self._order, self._edge = None, self._limit

    def until(self, price: str | None) -> list[Row]:
        """Return the rows from the best to a price; None: all."""
        if price is None:
            return self.rows
        limit = self._exact_key(price)
        return [row for row in self.rows if self._exact_key(row[0]) <= limit]

    def widen(self, other: "Side") -> None:
        """Take over what another side knows beyond the last level that is known here."""
        if self.last_known is None:
            return
        known = self._exact_key(self.last_known)
        if other.last_known is not None and self._exact_key(other.last_known) <= known:
            return
        beyond = [row for row in other.rows if self._exact_key(row[0]) > known]
        self.replace([*self.rows, *beyond])
        if other.last_known is not None:
            self._know_until(other.last_known, self._key(other.last_known))

    def holds_the_same_as(self, other: "Side") -> bool:
        """Tell whether the levels are the same, row by row."""
        if self._exact is other._exact:
            return self._levels == other._levels
        return self.rows == other.rows

    def copy(self) -> "Side":
        """Return a side that later changes of this one do not touch (rows are shared, they never change)."""
        other = Side(self._sign)
        other._exact, other._limit, other.last_known = self._exact, self._limit, self.last_known
        other._levels = self._levels.copy()
        other._wanted, other._edge = self._wanted, self._edge
        other._near, other._near_rows = self._near.copy(), self._near_rows.copy()
        return other

    def _know_until(self, price: str, key: Key) -> None:
        self.last_known, self._limit = price, key
        if self._wanted:
            self._renew_near()

    def _set(self, keys: Sequence[Key], sizes: Sequence[float], rows: Sequence[Row]) -> None:
        """Set levels by their keys; a size of zero removes."""
        levels, limit, edge, near, near_rows = self._levels, self._limit, self._edge, self._near, self._near_rows
        self._order = None
        for key, size, row in zip(keys, sizes, rows, strict=True):
            if size:
                if key <= edge:
                    place = bisect_left(near, key)
                    if key in levels:
                        near_rows[place] = row
                    else:
                        near.insert(place, key)
                        near_rows.insert(place, row)
                elif key > limit:
                    continue
                levels[key] = row
            elif key in levels:
                del levels[key]
                if key <= edge:
                    place = bisect_left(near, key)
                    del near[place], near_rows[place]
        if edge is not NOWHERE and (len(near) > 2 * NEAR * self._wanted or (edge < limit and len(near) < self._wanted)):
            self._renew_near()

    def _renew_near(self) -> None:
        """Sort the levels nearest to the best; where there are no others, whatever comes is near."""
        order = self._sorted()
        count = NEAR * self._wanted
        self._near = order[:count]
        self._near_rows = self.top(count)
        self._edge = self._near[-1] if len(order) > count else self._limit

    def _sorted(self) -> list[Key]:
        """Return the keys, best first."""
        if self._order is None:
            self._order = sorted(self._levels)
        return self._order

    def _key(self, price: str) -> Key:
        return self._exact_key(price) if self._exact else self._sign * float(price)

    def _exact_key(self, price: str) -> Decimal:
        """Key a level by its whole number; arithmetic would round it to the context's 28 digits."""
        number = Decimal(price)
        return number.copy_negate() if self._sign < 0 else number

    def _use_exact_keys(self) -> None:
        """Go over to Decimal keys: a price with more than 15 significant digits has come."""
        self._exact = True
        self._levels = {self._key(row[0]): row for row in self._levels.values()}
        self._order = None
        self._limit = EVERYWHERE if self.last_known is None else self._key(self.last_known)
        if self._wanted:
            self._renew_near()
