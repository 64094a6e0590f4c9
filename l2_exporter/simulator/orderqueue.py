"""One side of a book of single orders, in price-time priority: levels best first, each a queue."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from random import Random

from l2_exporter.simulator.orderevents import Row


class Order:
    """An order that rests.

    Attributes:
        key: its price in ticks, negative for bids: keys ascend from the best.
        price: its price text.
        lots: what is left of it.
        size: the text of `lots`.
        row: the order as channels show it.
    """

    __slots__ = ("entered_ns", "is_bid", "key", "lots", "order_id", "price", "row", "size")

    def __init__(self, order_id: str, *, is_bid: bool, entered_ns: int) -> None:
        self.order_id = order_id
        self.is_bid = is_bid
        self.entered_ns = entered_ns

    @property
    def tick(self) -> int:
        """Return its price in ticks."""
        return -self.key if self.is_bid else self.key

    def stand(self, key: int, price: str, lots: int, size: str) -> None:
        """Give it a price and a size."""
        self.key, self.price, self.lots, self.size = key, price, lots, size
        self.row: Row = (price, size, self.order_id, str(self.entered_ns // 1_000_000))


class Queues:
    """One side's orders.

    Attributes:
        sign: -1 for bids, 1 for asks.
        keys: the levels, best first.
        count: how many orders rest.
    """

    __slots__ = ("_levels", "count", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.count = 0
        self._levels: dict[int, dict[str, Order]] = {}

    def add(self, order: Order) -> None:
        """Put an order at the tail of its level."""
        level = self._levels.get(order.key)
        if level is None:
            level = self._levels[order.key] = {}
            insort(self.keys, order.key)
        level[order.order_id] = order
        self.count += 1

    def remove(self, order: Order) -> None:
        """Take an order out of its level."""
        level = self._levels[order.key]
        del level[order.order_id]
        self.count -= 1
        if not level:
            del self._levels[order.key]
            del self.keys[bisect_left(self.keys, order.key)]

    def first(self) -> Order:
        """Return the order that is filled first."""
        return next(iter(self._levels[self.keys[0]].values()))

    def pick(self, random: Random, mean_place: float) -> Order:
        """Choose any order, more often one of the best levels."""
        place = min(int(random.expovariate(1 / mean_place)), len(self.keys) - 1)
        level = [*self._levels[self.keys[place]].values()]
        return level[int(random.random() * len(level))]

    def last(self) -> Order:
        """Return the order that is filled last."""
        return next(reversed(self._levels[self.keys[-1]].values()))

    def lots_up_to(self, key: int) -> int:
        """Add up what rests at a level and better ones."""
        keys = self.keys[: bisect_left(self.keys, key + 1)]
        return sum(order.lots for each in keys for order in self._levels[each].values())

    def orders(self) -> Iterator[Order]:
        """Give every order, in the order in which they are filled."""
        for key in self.keys:
            yield from self._levels[key].values()

    def rows(self, depth: int) -> list[Row]:
        """List the best orders, in the order in which they are filled."""
        found: list[Row] = []
        for key in self.keys:
            found += [order.row for order in self._levels[key].values()]
            if len(found) >= depth:
                return found[:depth]
        return found

    def levels(self, depth: int) -> Iterator[tuple[str, int, int]]:
        """Give price text, lots and number of orders of the best levels."""
        for key in self.keys[:depth]:
            orders = self._levels[key].values()
            yield next(iter(orders)).price, sum(order.lots for order in orders), len(orders)
