"""Two ways to hold the levels of one side, by what their prices are worth.

Sorted only when somebody asks, a message costs half; but the best levels, which a checksum needs after every message,
must be at hand at once. Lists with `bisect` are faster than heaps and sorted containers, and as fast as a window of the
best levels. Keys are the very numbers that were read, also of bids: keys of another sign cost 1.7 us of 37 rows.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice

from l2_exporter.core.decimaltext import Key
from l2_exporter.core.events import Row

BEYOND = float("inf")
SAMPLE = 50
"""Keys that are looked at before all are sorted."""

Changes = Iterable[tuple[Key, float, Row]]
"""Key, size and row of levels; a size of zero removes."""


class Loose:
    """In no order until somebody asks."""

    __slots__ = ("_highest_first", "_order", "_rows")

    def __init__(self, *, highest_first: bool) -> None:
        self._highest_first = highest_first
        self._rows: dict[Key, Row] = {}
        self._order: list[Key] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def set(self, changes: Changes) -> int:
        """Set levels; return how many there are."""
        held = self._rows
        self._order = None
        for key, size, row in changes:
            if size:
                held[key] = row
            elif key in held:
                del held[key]
        return len(held)

    def set_within(self, changes: Changes, low: Key, high: Key) -> int:
        """Set levels, but none beyond these keys; leaving those out before takes 3 us more of 60 rows."""
        held = self._rows
        self._order = None
        for key, size, row in changes:
            if size:
                if low <= key <= high:
                    held[key] = row
            elif key in held:
                del held[key]
        return len(held)

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return [*map(self._rows.__getitem__, self._keys()[:depth])]

    def worst(self) -> Key:
        """Return the key of the worst level."""
        return self._keys()[-1]

    def sorted(self) -> "Sorted":
        """Return the same in order."""
        keys = sorted(self._rows)
        return Sorted(keys, [*map(self._rows.__getitem__, keys)], highest_first=self._highest_first)

    def copy(self) -> "Loose":
        """Return the same, untouched by later changes."""
        other = Loose(highest_first=self._highest_first)
        other._rows = self._rows.copy()
        return other

    def _keys(self) -> list[Key]:
        """Return all keys, best first; they are kept until a level changes."""
        if self._order is None:
            # JSON gives ints among floats, which take twice as long; only the time hangs on what a few of them tell.
            mixed = int in map(type, islice(self._rows, SAMPLE))
            self._order = sorted(self._rows, key=float if mixed else None, reverse=self._highest_first)
        return self._order


class Sorted:
    """In order at any time: by price, so that bids have their best level last."""

    __slots__ = ("_highest_first", "_keys", "_rows")

    def __init__(self, keys: list[Key], rows: list[Row], *, highest_first: bool) -> None:
        # One key more than rows, so that a place behind the last level can be looked at like any other.
        self._keys: list[Key] = [*keys, BEYOND]
        self._rows = rows
        self._highest_first = highest_first

    def __len__(self) -> int:
        return len(self._rows)

    def set(self, changes: Changes) -> int:
        """Set levels; return how many there are."""
        keys, rows = self._keys, self._rows
        for key, size, row in changes:
            place = bisect_left(keys, key)
            if keys[place] == key:
                if size:
                    rows[place] = row
                else:
                    del keys[place]
                    del rows[place]
            elif size:
                keys.insert(place, key)
                rows.insert(place, row)
        return len(rows)

    def set_within(self, changes: Changes, low: Key, high: Key) -> int:
        """Set levels, but none beyond these keys."""
        return self.set([change for change in changes if low <= change[0] <= high])

    def loosened(self) -> Loose:
        """Return the same in no order."""
        other = Loose(highest_first=self._highest_first)
        other._rows = dict(zip(self._keys, self._rows, strict=False))
        return other

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return self._rows[: -depth - 1 : -1] if self._highest_first else self._rows[:depth]

    def worst(self) -> Key:
        """Return the key of the worst level."""
        return self._keys[0 if self._highest_first else -2]

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        if self._highest_first:
            beyond = max(0, len(self._rows) - levels)
            del self._keys[:beyond], self._rows[:beyond]
        else:
            del self._keys[levels:-1], self._rows[levels:]

    def copy(self) -> "Sorted":
        """Return the same, untouched by later changes."""
        return Sorted(self._keys[:-1], self._rows.copy(), highest_first=self._highest_first)
