"""Ways to hold the levels of one side, by what their prices are worth.

Sorted only when somebody asks, a message costs half; but the best levels, which a checksum needs after every message,
must be at hand at once. Lists with `bisect` are faster than heaps and sorted containers, and as fast as a window of the
best levels. Keys are the very numbers that were read, also of bids: keys of another sign cost 1.7 us of 37 rows.

Compiled, levels are always sorted: an insertion moves two numbers of each better level, no texts.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from l2_exporter.core.decimaltext import Key
from l2_exporter.core.events import Numbers, Row
from l2_exporter.core.speedups import compiled

BEYOND = float("inf")
SAMPLE = 50
"""Keys that are looked at before all are sorted."""
MANY = 2000
"""Changes of one message that are put in order together: one at a time, in a bad order, each would move the side."""


class Held(Protocol):
    """The levels of one side. Of as many rows and numbers, a size of zero removes a level; unknown ones are passed."""

    def __len__(self) -> int: ...

    def set(self, rows: list[Row], numbers: Numbers) -> int:
        """Set levels; return how many there are."""

    def set_within(self, rows: list[Row], numbers: Numbers, low: Key, high: Key) -> int:
        """Set levels, but none beyond these prices; return how many there are."""

    def top(self, depth: int) -> Sequence[Row]:
        """Return the best levels."""

    def worst(self) -> Key:
        """Return the price of the worst level."""

    def last(self) -> Row:
        """Return the worst level."""

    def copy(self) -> "Held":
        """Return the same, untouched by later changes."""

    def in_order(self) -> "Ordered":
        """Return the same levels, in order from now on."""


class Ordered(Held, Protocol):
    """The levels of one side, in order at any time."""

    def keep(self, levels: int) -> None:
        """Forget all but the best levels."""


class Loose:
    """In no order until somebody asks."""

    __slots__ = ("_highest_first", "_order", "_rows")

    def __init__(self, *, highest_first: bool) -> None:
        self._highest_first = highest_first
        self._rows: dict[Key, Row] = {}
        self._order: list[Key] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def set(self, rows: list[Row], numbers: Numbers) -> int:
        """Set levels; return how many there are."""
        held = self._rows
        self._order = None
        keys, sizes = numbers
        for key, size, row in zip(keys, sizes, rows, strict=False):
            if size:
                held[key] = row
            elif key in held:
                del held[key]
        return len(held)

    def set_within(self, rows: list[Row], numbers: Numbers, low: Key, high: Key) -> int:
        """Set levels, but none beyond these keys; leaving those out before takes 3 us more of 60 rows."""
        held = self._rows
        self._order = None
        keys, sizes = numbers
        for key, size, row in zip(keys, sizes, rows, strict=False):
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

    def last(self) -> Row:
        """Return the worst level."""
        return self._rows[self._keys()[-1]]

    def copy(self) -> "Loose":
        """Return the same, untouched by later changes."""
        other = Loose(highest_first=self._highest_first)
        other._rows = self._rows.copy()
        return other

    def in_order(self) -> "Sorted":
        """Return the same levels, in order from now on."""
        keys = sorted(self._rows)
        return Sorted(keys, [*map(self._rows.__getitem__, keys)], highest_first=self._highest_first)

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

    def set(self, rows: list[Row], numbers: Numbers) -> int:
        """Set levels; return how many there are."""
        if len(rows) > MANY:
            return self._set_many(rows, numbers)
        keys, held = self._keys, self._rows
        new_keys, sizes = numbers
        for key, size, row in zip(new_keys, sizes, rows, strict=False):
            place = bisect_left(keys, key)
            if keys[place] == key:
                if size:
                    held[place] = row
                else:
                    del keys[place]
                    del held[place]
            elif size:
                keys.insert(place, key)
                held.insert(place, row)
        return len(held)

    def set_within(self, rows: list[Row], numbers: Numbers, low: Key, high: Key) -> int:
        """Set levels, but none beyond these keys."""
        keys, sizes = numbers
        within = [place for place, key in enumerate(keys) if low <= key <= high]
        return self.set(
            [rows[place] for place in within], ([keys[place] for place in within], [sizes[place] for place in within])
        )

    def top(self, depth: int) -> list[Row]:
        """Return the best levels."""
        return self._rows[: -depth - 1 : -1] if self._highest_first else self._rows[:depth]

    def worst(self) -> Key:
        """Return the key of the worst level."""
        return self._keys[0 if self._highest_first else -2]

    def last(self) -> Row:
        """Return the worst level."""
        return self._rows[0 if self._highest_first else -1]

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

    def in_order(self) -> "Sorted":
        """Return the levels in order: these."""
        return self

    def _set_many(self, rows: list[Row], numbers: Numbers) -> int:
        loose = Loose(highest_first=self._highest_first)
        loose._rows = dict(zip(self._keys, self._rows, strict=False))
        loose.set(rows, numbers)
        ordered = loose.in_order()
        self._keys, self._rows = ordered._keys, ordered._rows
        return len(self._rows)


def none_held(*, highest_first: bool) -> Held:
    """Begin a side, by keys that are floats."""
    held: Held = (Loose if compiled is None else compiled.Sorted)(highest_first=highest_first)
    return held
