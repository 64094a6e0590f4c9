"""A book of orders kept the plainest way: one list a side, searched and sorted anew for every question.

Written from docs/FORMAT.md ("Order events"); it imports nothing of the recorder.
"""

from dataclasses import dataclass
from decimal import Decimal

Told = tuple[str, str, str | None, str | None, str | None]
"""(set, match or done; order id; side; price; size)."""


@dataclass
class Resting:
    """An order; `turn` says when it joined the queue it stands in."""

    id: str
    side: str
    price: str
    size: Decimal
    turn: int


class NaiveOrders:
    """A market's orders; `log` has what became of each message as (type, id, side, price, remaining)."""

    def __init__(self) -> None:
        self.resting: list[Resting] = []
        self.turns = 0
        self.log: list[tuple[str, str, str | None, str | None, Decimal | None]] = []

    def find(self, ident: str) -> Resting | None:
        return next((order for order in self.resting if order.id == ident), None)

    def tell(self, kind: str, ident: str, side: str | None, price: str | None, size: str | None) -> None:
        """Apply one message."""
        order = self.find(ident)
        amount = None if size is None else Decimal(size)
        if kind == "set":
            assert side is not None
            assert price is not None
            assert amount is not None
            if order is None:
                self._join(Resting(ident, side, price, amount, 0))
                self.log.append(("open", ident, side, price, amount))
                return
            moved = order.side != side or Decimal(order.price) != Decimal(price)
            order.side, order.size = side, amount
            if moved:
                order.price = price
                self.resting.remove(order)
                self._join(order)
            self.log.append(("change", ident, side, price, amount))
        elif kind == "match" and order is not None:
            assert amount is not None
            order.size -= amount
            self.log.append(("match", ident, order.side, order.price, order.size))
        elif kind == "done":
            if order is None:
                self.log.append(("done", ident, side, price, None))
                return
            self.resting.remove(order)
            self.log.append(("done", ident, order.side, order.price, order.size))
        self.resting = [each for each in self.resting if each.size > 0]

    def queue(self, side: str) -> list[tuple[str, Decimal, str]]:
        """Return (price, size, id), best price first, within a price in the order of joining."""
        sign = -1 if side == "buy" else 1
        own = [order for order in self.resting if order.side == side]
        own.sort(key=lambda order: (sign * Decimal(order.price), order.turn))
        return [(order.price, order.size, order.id) for order in own]

    def levels(self, side: str) -> list[tuple[Decimal, Decimal, int]]:
        """Return (price, sum, orders), best first."""
        found: dict[Decimal, tuple[Decimal, int]] = {}
        for price, size, _ in self.queue(side):
            total, count = found.get(Decimal(price), (Decimal(0), 0))
            found[Decimal(price)] = (total + size, count + 1)
        return [(price, total, count) for price, (total, count) in found.items()]

    def _join(self, order: Resting) -> None:
        self.turns += 1
        order.turn = self.turns
        self.resting.append(order)
