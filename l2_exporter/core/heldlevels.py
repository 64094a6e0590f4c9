"""Two ways to hold the levels of one side, by sort keys that ascend from the best level.

Sorted only when somebody asks, a message costs half; but the best levels, which a checksum needs after every message,
must be at hand at once. Lists with `bisect` are faster than heaps and sorted containers, and as fast as a window of the
best levels.
"""

from bisect import bisect_left
from collections.abc import Sequence

from l2_exporter.core.decimaltext import Key
from l2_exporter.core.events import Row

BEYOND = float("inf")


class Loose:
    """In no order until somebody asks."""

    __slots__ = ("_order", "_rows")

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._order: list[Key] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def set(self, keys: Sequence[Key], sizes: Sequence[float], rows: Sequence[Row], limit: Key) -> None:
        """Set levels; a size of zero removes, and what lies beyond the limit is left out."""
        held = self._rows
        self._order = None
        for key, size, row in zip(keys, sizes, rows, strict=False):
            if size:
                if key <= limit:
                    held[key] = row
            elif key in held:
                del held[key]

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return [*map(self._rows.__getitem__, self.keys()[:depth])]

    def worst(self) -> Key:
        """Return the key of the worst level."""
        return self.keys()[-1]

    def keys(self) -> list[Key]:
        """Return all keys, sorted; they are kept until a level changes."""
        if self._order is None:
            self._order = sorted(self._rows)
        return self._order

    def copy(self) -> "Loose":
        """Return the same, untouched by later changes."""
        other = Loose()
        other._rows = self._rows.copy()
        return other


class Sorted:
    """In order at any time.

    Attributes:
        rows: best first, not to be changed by others.
    """

    __slots__ = ("_keys", "rows")

    def __init__(self, keys: Sequence[Key], rows: list[Row]) -> None:
        # One key more than rows, so that a place behind the last level can be looked at like any other.
        self._keys: list[Key] = [*keys, BEYOND]
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def set(self, keys: Sequence[Key], sizes: Sequence[float], rows: Sequence[Row], limit: Key) -> None:
        """Set levels; a size of zero removes, and what lies beyond the limit is left out."""
        held_keys, held_rows = self._keys, self.rows
        for key, size, row in zip(keys, sizes, rows, strict=False):
            place = bisect_left(held_keys, key)
            if held_keys[place] == key:
                if size:
                    held_rows[place] = row
                else:
                    del held_keys[place]
                    del held_rows[place]
            elif size and key <= limit:
                held_keys.insert(place, key)
                held_rows.insert(place, row)

    def loosened(self) -> Loose:
        """Return the same in no order."""
        other = Loose()
        other._rows = dict(zip(self._keys, self.rows, strict=False))
        return other

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return self.rows[:depth]

    def worst(self) -> Key:
        """Return the key of the worst level."""
        return self._keys[-2]

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""
        del self._keys[levels:-1], self.rows[levels:]

    def copy(self) -> "Sorted":
        """Return the same, untouched by later changes."""
        return Sorted(self._keys[:-1], self.rows.copy())
