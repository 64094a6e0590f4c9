"""One side of a book: levels by what their price is worth, with the venue's rows as they were sent.

Keys are floats as long as they are exact.
"""

from collections.abc import Sequence
from decimal import Decimal

from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, fits_float, is_zero
from l2_exporter.core.events import Numbers, Row
from l2_exporter.core.heldlevels import BEYOND, Held, Loose, Ordered, Sorted, none_held
from l2_exporter.core.rows import plain_numbers

MAX_LEVELS = 200_000
"""Of a side that are held; the farthest go first. The deepest books known have some ten thousand."""


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
        self._held: Held = none_held(highest_first=sign < 0)
        self._limit: Key | None = None
        self.last_known: str | None = None

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return len(self._held)

    @property
    def rows(self) -> list[Row]:
        """All levels."""
        return [*self._held.top(len(self._held))]

    @property
    def best(self) -> str | None:
        """The best price, None for an empty side."""
        return self._held.top(1)[0][0] if self._held else None

    def top(self, depth: int) -> Sequence[Row]:
        """Return the best levels."""
        return self._held.top(depth)

    def nearest(self, count: int) -> Sequence[Row]:
        """Return the best levels, which are wanted after every message: levels are held in order from now on."""
        return self._in_order().top(count)

    def _in_order(self) -> Ordered:
        held = self._held = self._held.in_order()
        return held

    def apply(self, rows: list[Row], numbers: Numbers | None = None) -> None:
        """Set the levels named: a new size replaces the whole row, size zero removes, unknown removals do nothing.

        Args:
            numbers: of these very rows, as `rows.sides_of` has read them; None: they are read here.
        """
        if not rows:
            return
        if numbers is None or self._exact:
            numbers = self._read(rows)
        if self._limit is None:
            count = self._held.set(rows, numbers)
        else:
            # None beyond the last level that is known.
            low, high = (self._limit, BEYOND) if self._sign < 0 else (0, self._limit)
            count = self._held.set_within(rows, numbers, low, high)
        if count > MAX_LEVELS:
            self.keep(MAX_LEVELS)
            self.cover(MAX_LEVELS)

    def _read(self, rows: list[Row]) -> Numbers:
        """Read rows whose numbers are not known, or not as exactly as they are needed here."""
        if not self._exact:
            if (numbers := plain_numbers(rows)) is not None:
                return numbers
            exact = any(len(row[0]) > FLOAT_DIGITS and not fits_float(row[0]) for row in rows)
            if exact or not isinstance(self._held, Loose | Sorted):
                self._hold_unusual(exact=exact)
        return [self._key(row[0]) for row in rows], [0.0 if is_zero(row[1]) else 1.0 for row in rows]

    def replace(self, rows: list[Row], numbers: Numbers | None = None) -> None:
        """Forget all levels and set these."""
        self._exact = False
        self._limit = self.last_known = None
        self._held = none_held(highest_first=self._sign < 0)
        self.apply(rows, numbers)

    def cover(self, levels: int) -> None:
        """Take note that the side as it stands holds at most so many levels of what there is: beyond is unknown."""
        if len(self._held) >= levels:
            self.last_known = self._held.last()[0]
            self._limit = self._held.worst()

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        self._in_order().keep(levels)

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

    def _hold_unusual(self, *, exact: bool) -> None:
        """Hold levels by Python's means until they are replaced: a text has come that compiled code does not take.

        Args:
            exact: a price has more than 15 significant digits: keys are Decimals from now on.
        """
        rows = self.rows if self._sign > 0 else self.rows[::-1]
        self._exact = exact
        self._limit = None if self.last_known is None else self._key(self.last_known)
        self._held = Sorted([self._key(row[0]) for row in rows], rows, highest_first=self._sign < 0)
