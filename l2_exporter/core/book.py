"""One order book: two sorted sides, keyed by what a price is worth and holding the venue's rows as they were sent.

Knows nothing of sequences, checksums or time. Two parallel sorted lists a side with `bisect`: measured faster than
sorted containers, heaps and Decimal keys for books of this size, and the best 25 levels, which a checksum needs after
every message, are a slice. Bids have negated keys so that both sides ascend from the best level.
"""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal

from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, fits_float, is_zero
from l2_exporter.core.events import BookPush, OrderChange, Push, Row

MAX_LEVELS = 200_000
"""Of a side that are held; the farthest go first. The deepest books known have some ten thousand."""
MANY = 2000
"""Changes of one message that are sorted first: one at a time, in a bad order, each would move the whole side."""


class Side:
    """The levels of one side, best first.

    Attributes:
        last_known: price text of the worst level that is known to be complete; what comes behind it is not kept.
            None: the whole side is known.
    """

    __slots__ = ("_exact", "_keys", "_limit", "_sign", "last_known", "rows")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._exact = False
        self._keys: list[Key] = []
        self._limit: Key | None = None
        self.last_known: str | None = None
        self.rows: list[Row] = []

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return len(self.rows)

    @property
    def best(self) -> str | None:
        """The best price, None for an empty side."""
        return self.rows[0][0] if self.rows else None

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return self.rows[:depth]

    def apply(self, rows: list[Row]) -> None:
        """Set the levels named: a new size replaces the whole row, size zero removes, unknown removals do nothing."""
        if self.last_known is not None:
            rows = self._within(rows)
        if not self._exact and any(len(row[0]) > FLOAT_DIGITS and not fits_float(row[0]) for row in rows):
            self._use_exact_keys()
        if len(rows) > MANY:
            rows = self._taken_out(rows)
        sign, keys, held, exact = self._sign, self._keys, self.rows, self._exact
        for row in rows:
            key = self._exact_key(row) if exact else sign * float(row[0])
            size = row[1]
            gone = size == "0" or (size[0] == "0" and is_zero(size))
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                if gone:
                    del keys[place], held[place]
                else:
                    held[place] = row
            elif not gone:
                keys.insert(place, key)
                held.insert(place, row)
        if len(held) > MAX_LEVELS:
            self.keep(MAX_LEVELS)
            self.cover(MAX_LEVELS)

    def replace(self, rows: list[Row]) -> None:
        """Forget all levels and set these."""
        self._exact = False
        self._keys = []
        self._limit = self.last_known = None
        self.rows = []
        self.apply(rows)

    def cover(self, levels: int) -> None:
        """Take note that the side as it stands holds at most so many levels of what there is: beyond is unknown."""
        if len(self.rows) >= levels:
            self.last_known = self.rows[-1][0]
            self._limit = self._keys[-1]

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        del self._keys[levels:], self.rows[levels:]

    def until(self, price: str | None) -> list[Row]:
        """Return the rows from the best to a price; None: all."""
        if price is None:
            return self.rows
        limit = self._exact_key([price])
        return [row for row in self.rows if self._exact_key(row) <= limit]

    def widen(self, other: "Side") -> None:
        """Take over what another side knows beyond the last level that is known here."""
        if self.last_known is None:
            return
        known = self._exact_key([self.last_known])
        beyond = [row for row in other.rows if self._exact_key(row) > known]
        if other.last_known is not None and self._exact_key([other.last_known]) <= known:
            return
        rows = [*self.rows, *beyond]
        self.replace(rows)
        if other.last_known is not None:
            self.last_known = other.last_known
            self._limit = self._exact_key([other.last_known]) if self._exact else self._sign * float(other.last_known)

    def copy(self) -> "Side":
        """Return a side that later changes of this one do not touch (rows are shared, they never change)."""
        other = Side(self._sign)
        other._exact = self._exact
        other._keys = self._keys.copy()
        other._limit, other.last_known = self._limit, self.last_known
        other.rows = self.rows.copy()
        return other

    def _taken_out(self, rows: list[Row]) -> list[Row]:
        """Take out all levels; return them and these rows best first, of one price in this order."""
        sign, held = self._sign, self.rows
        self._keys, self.rows = [], []
        if self._exact:
            return sorted([*held, *rows], key=self._exact_key)
        return sorted([*held, *rows], key=lambda row: sign * float(row[0]))

    def _use_exact_keys(self) -> None:
        """Go over to Decimal keys: a price with more than 15 significant digits has come."""
        self._exact = True
        self._keys = [self._exact_key(row) for row in self.rows]
        self._limit = None if self.last_known is None else self._exact_key([self.last_known])

    def _within(self, rows: list[Row]) -> list[Row]:
        """Leave out what lies behind the last level that is known."""
        limit, sign = self._limit, self._sign
        if self._exact or any(len(row[0]) > FLOAT_DIGITS and not fits_float(row[0]) for row in rows):
            exact = self._exact_key([self.last_known or "0"])
            return [row for row in rows if self._exact_key(row) <= exact]
        return [row for row in rows if limit is None or sign * float(row[0]) <= limit]

    def _exact_key(self, row: Row) -> Decimal:
        """Key a level by its whole number; arithmetic would round it to the context's 28 digits."""
        number = Decimal(row[0])
        return number.copy_negate() if self._sign < 0 else number


class Book:
    """Bids (highest first) and asks (lowest first)."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(-1)
        self.asks = Side(1)

    def apply(self, bids: list[Row], asks: list[Row]) -> None:
        """Apply absolute changes to both sides."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def take(self, push: BookPush, _book_ns: int | None) -> Sequence[OrderChange]:
        """Apply a message; there is nothing to tell of orders."""
        if push.push is Push.DELTA:
            self.bids.apply(push.bids)
            self.asks.apply(push.asks)
        else:
            self.replace(push.bids, push.asks)
        return ()

    def summed(self, _count: int) -> tuple[list[Row], list[Row]]:
        """Return what a checksum is made of: the levels."""
        return self.bids.rows, self.asks.rows

    def agrees_with(self, other: "Book") -> bool:
        """Tell whether two books hold the same levels."""
        return other.bids.rows == self.bids.rows and other.asks.rows == self.asks.rows

    def replace(self, bids: list[Row], asks: list[Row]) -> None:
        """Become this book."""
        self.bids.replace(bids)
        self.asks.replace(asks)

    def cover(self, levels: int) -> None:
        """Take note that no side as it stands holds more than so many levels of what there is."""
        self.bids.cover(levels)
        self.asks.cover(levels)

    def keep(self, levels: int) -> None:
        """Forget all but the best levels a side."""
        self.bids.keep(levels)
        self.asks.keep(levels)

    def is_short_of(self, depth: int) -> bool:
        """Tell whether a side has fewer levels than this because knowledge ends there."""
        return any(side.last_known is not None and len(side.rows) < depth for side in (self.bids, self.asks))

    def copy(self) -> "Book":
        """Return a book that later changes of this one do not touch."""
        other = Book()
        other.bids = self.bids.copy()
        other.asks = self.asks.copy()
        return other

    def same_levels(self, bids: list[Row], asks: list[Row]) -> bool:
        """Tell whether a snapshot with these rows, in any order, is this very book."""
        other = Book()
        other.replace(bids, asks)
        return self.agrees_with(other)

    def is_empty(self) -> bool:
        """Tell whether neither side has a level."""
        return not self.bids.rows and not self.asks.rows

    def is_crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        bids, asks = self.bids.rows, self.asks.rows
        return bool(bids) and bool(asks) and Decimal(bids[0][0]) >= Decimal(asks[0][0])


def best_first(bids: list[Row], asks: list[Row]) -> tuple[list[Row], list[Row]]:
    """Sort levels that came in any order."""
    book = Book()
    book.replace(bids, asks)
    return book.bids.rows, book.asks.rows
