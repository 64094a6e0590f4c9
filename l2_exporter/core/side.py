"""One side of a book: levels by what their price is worth, with the venue's rows as they were sent.

Keys are floats as long as they are exact.
"""

from decimal import Decimal

from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, fits_float, is_zero
from l2_exporter.core.events import Numbers, Row
from l2_exporter.core.heldlevels import BEYOND, Changes, Loose, Sorted

MAX_LEVELS = 200_000
"""Of a side that are held; the farthest go first. The deepest books known have some ten thousand."""
MANY = 2000
"""Changes of one message that are put in order together: one at a time, in a bad order, each would move the side."""


class Side:
    """The levels of one side, best first.

    Attributes:
        last_known: price text of the worst level that is known to be complete; what comes behind it is not kept.
            None: the whole side is known.
    """

    __slots__ = ("_exact", "_held", "_limit", "_sign", "last_known")

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._exact = False
        self._held: Loose | Sorted = Loose(highest_first=sign < 0)
        self._limit: Key | None = None
        self.last_known: str | None = None

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return len(self._held)

    @property
    def rows(self) -> list[Row]:
        """All levels."""
        return self._held.top(len(self._held))

    @property
    def best(self) -> str | None:
        """The best price, None for an empty side."""
        return self._held.top(1)[0][0] if self._held else None

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return self._held.top(depth)

    def nearest(self, count: int) -> list[Row]:
        """Return the best levels, which are wanted after every message: levels are held in order from now on."""
        held = self._held
        return (held if isinstance(held, Sorted) else self._sorted()).top(count)

    def _sorted(self) -> Sorted:
        if isinstance(self._held, Loose):
            self._held = self._held.sorted()
        return self._held

    def apply(self, rows: list[Row], numbers: Numbers | None = None) -> None:
        """Set the levels named: a new size replaces the whole row, size zero removes, unknown removals do nothing.

        Args:
            numbers: of the rows, where they are known.
        """
        if not rows:
            return
        if numbers is not None and not self._exact:
            prices, sizes = numbers
            changes: Changes = zip(prices, sizes, rows, strict=False)
        else:
            changes = self._keyed(rows)
        held = self._held
        if len(rows) > MANY and isinstance(held, Sorted):
            self._held = held.loosened()
            count = self._set(self._held, changes)
            self._sorted()
        else:
            count = held.set(changes) if self._limit is None else self._set(held, changes)
        if count > MAX_LEVELS:
            self.keep(MAX_LEVELS)
            self.cover(MAX_LEVELS)

    def _keyed(self, rows: list[Row]) -> Changes:
        """Read rows whose numbers are not known."""
        if not self._exact and any(len(row[0]) > FLOAT_DIGITS and not fits_float(row[0]) for row in rows):
            self._use_exact_keys()
        return [(self._key(row[0]), 0.0 if is_zero(row[1]) else 1.0, row) for row in rows]

    def _set(self, held: Loose | Sorted, changes: Changes) -> int:
        """Set levels, but none beyond the last one that is known; return how many there are."""
        if self._limit is None:
            return held.set(changes)
        low, high = (self._limit, BEYOND) if self._sign < 0 else (0, self._limit)
        return held.set_within(changes, low, high)

    def replace(self, rows: list[Row], numbers: Numbers | None = None) -> None:
        """Forget all levels and set these."""
        self._exact = False
        self._limit = self.last_known = None
        is_sorted = isinstance(self._held, Sorted)
        self._held = Loose(highest_first=self._sign < 0)
        self.apply(rows, numbers)
        if is_sorted:
            self._sorted()

    def cover(self, levels: int) -> None:
        """Take note that the side as it stands holds at most so many levels of what there is: beyond is unknown."""
        if len(self._held) >= levels:
            self.last_known = self.rows[-1][0]
            self._limit = self._held.worst()

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        self._sorted().keep(levels)

    def until(self, price: str | None) -> list[Row]:
        """Return the rows from the best to a price; None: all."""
        if price is None:
            return self.rows
        limit = self._place(price)
        return [row for row in self.rows if self._place(row[0]) <= limit]

    def widen(self, other: "Side") -> None:
        """Take over what another side knows beyond the last level that is known here."""
        if self.last_known is None:
            return
        known = self._place(self.last_known)
        if other.last_known is not None and self._place(other.last_known) <= known:
            return
        beyond = [row for row in other.rows if self._place(row[0]) > known]
        self.replace([*self.rows, *beyond])
        if other.last_known is not None:
            self.last_known = other.last_known
            self._limit = self._key(other.last_known)

    def copy(self) -> "Side":
        """Return a side that later changes of this one do not touch (rows are shared, they never change)."""
        other = Side(self._sign)
        other._exact, other._limit, other.last_known = self._exact, self._limit, self.last_known
        other._held = self._held.copy()
        return other

    def _key(self, price: str) -> Key:
        return Decimal(price) if self._exact else float(price)

    def _place(self, price: str) -> Decimal:
        """Return what ascends from the best level; arithmetic would round it to the context's 28 digits."""
        number = Decimal(price)
        return number.copy_negate() if self._sign < 0 else number

    def _use_exact_keys(self) -> None:
        """Go over to Decimal keys: a price with more than 15 significant digits has come."""
        rows = self.rows if self._sign > 0 else self.rows[::-1]
        self._exact = True
        self._limit = None if self.last_known is None else self._key(self.last_known)
        self._held = Sorted([self._key(row[0]) for row in rows], rows, highest_first=self._sign < 0)
