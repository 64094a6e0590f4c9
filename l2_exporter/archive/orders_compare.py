"""A rebuilt book held against a stored line: where both know, both must say the same."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from l2_exporter.archive.orders_book import UNKNOWN_ENTRY, RebuiltBook, RebuiltSide
from l2_exporter.archive.orders_line import BUY, SELL
from l2_exporter.archive.stored import StoredLine
from l2_exporter.core.errors import clip

Row = Sequence[str | None]
_ID = 2


class Difference(NamedTuple):
    """The first row in which two sides differ; None: one of them has no such row."""

    ours: Row | None
    theirs: Row | None

    @property
    def text(self) -> str:
        """Say it."""
        return f"the events make {_said(self.ours)}, the line has {_said(self.theirs)}"


def orders_differ(book: RebuiltBook, line: StoredLine, *, cut: bool) -> str | None:
    """Tell the first difference between a rebuilt book and a line with all its orders, None where there is none.

    Args:
        cut: the recorder held more orders than it was to: its deepest levels are gone without an event.
    """
    for name, told in ((BUY, line.bids), (SELL, line.asks)):
        side = book.sides[name]
        if side.limit is None and not cut:
            found = _first_difference([*side.orders(line.depth)], told)
        else:
            known = _Known(side, told, len({Decimal(row[0]) for row in told}) >= line.depth, cut=cut)
            mine = [*side.orders(side.side.depth)]
            found = known.first_difference(mine) or known.missing(mine)
        if found is not None:
            return f"{name}: {found.text}{_last_touch(book, found)}"
    return None


def levels_differ(book: RebuiltBook, line: StoredLine, *, cut: bool) -> str | None:
    """Tell the first difference between the levels of a rebuilt book and those of a line; None: there is none."""
    for name, told in ((BUY, line.bids), (SELL, line.asks)):
        side = book.sides[name]
        if side.limit is None and not cut:
            found = _first_difference(side.side.top(line.depth), told)
        else:
            found = _Known(side, told, len(told) >= line.depth, cut=cut).first_difference(side.side.rows)
        if found is not None:
            return f"{name}: {found.text}"
    return None


class _Known:
    """The part of a side that both a rebuilt book and a line know.

    Args:
        full: the line has as many levels as it can hold, so that it says nothing of what lies behind.
    """

    def __init__(self, side: RebuiltSide, told: Sequence[Row], full: bool, *, cut: bool) -> None:
        self._side = side
        self._told = told
        self._ends = full or cut
        self._cut = cut

    def first_difference(self, mine: Sequence[Row]) -> Difference | None:
        """Compare what both know completely."""
        return _first_difference(self._both(mine), self._both(self._told))

    def missing(self, mine: Sequence[Row]) -> Difference | None:
        """Find an order that has come behind the last level known, and that the line does not have."""
        if self._cut:
            return None
        told = {row[_ID]: row for row in self._told}
        for row in mine:
            theirs = told.get(row[_ID])
            beyond = not self._side.covers(str(row[0])) and self._told_covers(str(row[0]))
            if beyond and (theirs is None or not _is_alike(row, theirs)):
                return Difference(row, theirs)
        return None

    def _both(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if self._side.covers(str(row[0])) and self._told_covers(str(row[0]))]

    def _told_covers(self, price: str) -> bool:
        if not self._ends:
            return True
        return bool(self._told) and self._side.is_at_least_as_good(price, str(self._told[-1][0]))


def _first_difference(mine: Sequence[Row], told: Sequence[Row]) -> Difference | None:
    if mine == told:
        return None
    for place in range(max(len(mine), len(told))):
        ours = mine[place] if place < len(mine) else None
        theirs = told[place] if place < len(told) else None
        if ours != theirs and not _is_same_but_for_entry(ours, theirs):
            return Difference(ours, theirs)
    return None


def _is_same_but_for_entry(ours: Row | None, theirs: Row | None) -> bool:
    """Tell whether only the time of entry differs, which the events do not tell of every order."""
    return ours is not None and theirs is not None and ours[-1] == UNKNOWN_ENTRY and ours[:-1] == theirs[:-1]


def _is_alike(ours: Row, theirs: Row) -> bool:
    """Tell whether two rows of one order have the same size and price; the text of the price may not be known."""
    return ours[1] == theirs[1] and Decimal(str(ours[0])) == Decimal(str(theirs[0]))


def _said(row: Row | None) -> str:
    return "nothing" if row is None else clip([*row])


def _last_touch(book: RebuiltBook, found: Difference) -> str:
    """Name the last event about an order in which the two differ, where there was one."""
    for row in (found.ours, found.theirs):
        order_id = None if row is None else row[_ID]
        number = None if order_id is None else book.last_touch(order_id)
        if number is not None:
            return f" (n {number} was the last about order {order_id})"
    return ""
