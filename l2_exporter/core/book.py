"""One order book: two sides. Knows nothing of sequences, checksums or time."""

from collections.abc import Sequence
from decimal import Decimal

from l2_exporter.core.events import DELTA, BookPush, OrderChange, Row
from l2_exporter.core.side import Side


class Book:
    """Bids (highest first) and asks (lowest first)."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(-1.0)
        self.asks = Side(1.0)

    def apply(self, bids: list[Row], asks: list[Row]) -> None:
        """Apply absolute changes to both sides."""
        self.bids.apply(bids)
        self.asks.apply(asks)

    def take(self, push: BookPush, _book_ns: int | None) -> Sequence[OrderChange]:
        """Apply a message; there is nothing to tell of orders."""
        bid_numbers, ask_numbers = push.numbers or (None, None)
        if push.push is DELTA:
            self.bids.apply(push.bids, bid_numbers)
            self.asks.apply(push.asks, ask_numbers)
        else:
            self.bids.replace(push.bids, bid_numbers)
            self.asks.replace(push.asks, ask_numbers)
        return ()

    def summed(self, count: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return what a checksum is made of: the best levels."""
        return self.bids.nearest(count), self.asks.nearest(count)

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
        bids, asks = self.bids, self.asks
        return (bids.last_known is not None and bids.depth < depth) or (
            asks.last_known is not None and asks.depth < depth
        )

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
        return self.bids.depth == self.asks.depth == 0

    def is_crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and Decimal(bid) >= Decimal(ask)


def best_first(bids: list[Row], asks: list[Row]) -> tuple[list[Row], list[Row]]:
    """Sort levels that came in any order."""
    book = Book()
    book.replace(bids, asks)
    return book.bids.rows, book.asks.rows
