"""One book of individual orders: by id, and by price level in the order of their queue.

Knows nothing of sequences, checksums or time. Every event costs O(1) but for a price level that comes or goes, which
costs a `bisect` and a move in two parallel lists; sums of levels are made when a line needs them, and kept until the
level changes. Nothing grows but with the orders that rest.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal

from l2_exporter.core.decimaltext import FLOAT_DIGITS, Key, difference_text, fits_float, is_zero, sum_text
from l2_exporter.core.errors import BookError
from l2_exporter.core.events import BookPush, Change, OrderChange, Push, Row

OrderRow = list[str | None]
MANY = 2000
NEARLY = 0.9
"""A window of orders that is so full ends somewhere inside the market's book: leaving and entering take two frames."""


class Order:
    """One order that rests.

    Attributes:
        size: what is left of it.
        entered_ns: book time at which it came to rest; None: it was there when the book was fetched.
    """

    __slots__ = ("entered_ns", "id", "level", "price", "size")

    def __init__(self, order_id: str, price: str, size: str, entered_ns: int | None, level: "Level") -> None:
        self.id = order_id
        self.price = price
        self.size = size
        self.entered_ns = entered_ns
        self.level = level


class Level:
    """The orders of one price, first come first."""

    __slots__ = ("_row", "key", "orders", "side")

    def __init__(self, side: "OrderSide", key: Key) -> None:
        self.side = side
        self.key = key
        self.orders: dict[str, Order] = {}
        self._row: Row | None = None

    @property
    def price(self) -> str:
        """The price as the first order has it."""
        return next(iter(self.orders.values())).price

    def touched(self) -> None:
        """Forget the sum: an order has come, gone or changed."""
        self._row = None

    def row(self) -> Row:
        """Return `[price, sum of sizes, "0", orders]`, the price as its first order has it."""
        row = self._row
        if row is None:
            orders = self.orders.values()
            first = next(iter(orders))
            row = self._row = [first.price, sum_text(order.size for order in orders), "0", str(len(self.orders))]
        return row


class OrderSide:
    """The levels of one side, best first.

    Attributes:
        count: orders that rest here.
        last_known: price text of the worst level that is known to be complete; what comes behind it is not kept.
            None: the whole side is known, as far as the venue's window reaches.
    """

    __slots__ = ("_exact", "_keys", "_levels", "_limit", "_sign", "count", "last_known", "name")

    def __init__(self, name: str, sign: int) -> None:
        self.name = name
        self.count = 0
        self.last_known: str | None = None
        self._sign = sign
        self._exact = False
        self._keys: list[Key] = []
        self._levels: list[Level] = []
        self._limit: Key | None = None

    @property
    def rows(self) -> list[Row]:
        """All levels as rows."""
        return self.top(len(self._levels))

    @property
    def depth(self) -> int:
        """How many levels there are."""
        return len(self._levels)

    @property
    def best(self) -> str | None:
        """The best price, None for an empty side."""
        return self._levels[0].price if self._levels else None

    def top(self, depth: int) -> list[Row]:
        """Return the best levels as rows."""
        return [level.row() for level in self._levels[:depth]]

    def orders(self, depth: int) -> Iterator[Order]:
        """Yield the orders of the best levels, in the order of their queues."""
        for level in self._levels[:depth]:
            yield from level.orders.values()

    def best_orders(self, count: int) -> list[Row]:
        """Return the orders of the best levels, whole levels, at least so many orders if there are."""
        rows: list[Row] = []
        for level in self._levels:
            if len(rows) >= count:
                break
            rows += [[order.price, order.size, order.id] for order in level.orders.values()]
        return rows

    def knows(self, price: str) -> bool:
        """Tell whether a price lies where this side is known to be complete."""
        return self._limit is None or self._key(price) <= self._limit

    def put(self, order_id: str, price: str, size: str, entered_ns: int | None) -> Order:
        """Let an order rest at the end of its level's queue."""
        level = self._level(price)
        order = level.orders[order_id] = Order(order_id, price, size, entered_ns, level)
        level.touched()
        self.count += 1
        return order

    def drop(self, order: Order) -> None:
        """Take an order away, and its level if it was the last one there."""
        level = order.level
        del level.orders[order.id]
        level.touched()
        self.count -= 1
        if not level.orders:
            place = bisect_left(self._keys, level.key)
            del self._keys[place], self._levels[place]

    def drop_worst(self) -> list[str]:
        """Take the worst level away; what lies behind the one before it is unknown from now on. Returns its ids."""
        self._keys.pop()
        level = self._levels.pop()
        self.count -= len(level.orders)
        self.know_until_worst()
        return [*level.orders]

    def know_until_worst(self) -> None:
        """Take note that nothing is known beyond the worst level there is."""
        if self._levels:
            self._limit = self._keys[-1]
            self.last_known = self._levels[-1].price

    def _level(self, price: str) -> Level:
        key = self._key(price)
        keys = self._keys
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            return self._levels[place]
        level = Level(self, key)
        keys.insert(place, key)
        self._levels.insert(place, level)
        return level

    def _key(self, price: str) -> Key:
        if not self._exact:
            if len(price) <= FLOAT_DIGITS or fits_float(price):
                return self._sign * float(price)
            self._use_exact_keys()
        return self._exact_key(price)

    def _use_exact_keys(self) -> None:
        """Go over to Decimal keys: a price with more than 15 significant digits has come."""
        self._exact = True
        for level in self._levels:
            level.key = self._exact_key(level.row()[0])
        self._keys = [level.key for level in self._levels]
        self._limit = None if self.last_known is None else self._exact_key(self.last_known)

    def _exact_key(self, price: str) -> Decimal:
        number = Decimal(price)
        return number.copy_negate() if self._sign < 0 else number


class OrderBook:
    """Bids (highest first) and asks (lowest first) of individual orders.

    Args:
        window: orders a side that the venue shows; None: all.
        most: orders held at most, both sides together: beyond, the deepest levels go.

    Attributes:
        is_cut: levels have gone for that reason.
    """

    __slots__ = ("_most", "_orders", "_window", "asks", "bids", "is_cut")

    def __init__(self, window: int | None, most: int) -> None:
        self.bids = OrderSide("buy", -1)
        self.asks = OrderSide("sell", 1)
        self.is_cut = False
        self._orders: dict[str, Order] = {}
        self._window = window
        self._most = most

    def __len__(self) -> int:
        return len(self._orders)

    def take(self, push: BookPush, book_ns: int | None) -> Sequence[OrderChange]:
        """Apply a message; return what has become of the orders it names, each complete as far as that is known.

        Args:
            book_ns: book time after it, the time of entry of orders that come with it.

        Raises:
            BookError: it cannot be true of this book.
        """
        if push.push is Push.DELTA:
            return [self._change(change, book_ns) for change in push.changes]
        self._replace(push.bids, push.asks)
        return ()

    def order(self, order_id: str) -> Order | None:
        """Return an order that rests."""
        return self._orders.get(order_id)

    def summed(self, count: int) -> tuple[list[Row], list[Row]]:
        """Return what a checksum is made of: the best orders a side as `[price, size, id]`, in the order of queues."""
        return self.bids.best_orders(count), self.asks.best_orders(count)

    def is_short_of(self, depth: int) -> bool:
        """Tell whether a side has fewer levels than this because knowledge ends there."""
        return any(side.depth < depth and self._ends(side) for side in (self.bids, self.asks))

    def is_empty(self) -> bool:
        """Tell whether neither side has an order."""
        return not self._orders

    def is_crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and Decimal(bid) >= Decimal(ask)

    def same_levels(self, bids: list[Row], asks: list[Row]) -> bool:
        """Tell whether a snapshot with these orders, in any order, is this very book."""
        held = self.summed(len(self))
        return all(sorted(mine) == sorted(theirs) for mine, theirs in zip(held, (bids, asks), strict=True))

    def agrees_with(self, other: "OrderBook") -> bool:
        """Tell whether two books hold the same orders."""
        return self.same_levels(*other.summed(len(other)))

    def copy(self) -> "OrderBook":
        """Return a book that later changes of this one do not touch."""
        other = OrderBook(self._window, self._most)
        for mine, theirs in ((self.bids, other.bids), (self.asks, other.asks)):
            for order in mine.orders(mine.depth):
                other._orders[order.id] = theirs.put(order.id, order.price, order.size, order.entered_ns)
            if mine.last_known is not None:
                theirs.know_until_worst()
        other.is_cut = self.is_cut
        return other

    def keep(self, levels: int) -> None:
        """Forget all but the best levels a side."""
        for side in (self.bids, self.asks):
            while side.depth > levels:
                self._drop_worst(side)

    def cover(self, levels: int) -> None:
        """Take note that no side as it stands holds more than so many levels of what there is."""
        for side in (self.bids, self.asks):
            if side.depth >= levels:
                side.know_until_worst()

    def _ends(self, side: OrderSide) -> bool:
        return side.last_known is not None or (self._window is not None and side.count > self._window * NEARLY)

    def _replace(self, bids: list[Row], asks: list[Row]) -> None:
        self.bids, self.asks = OrderSide("buy", -1), OrderSide("sell", 1)
        self._orders = {}
        self.is_cut = False
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            if len(rows) > MANY:  # in a bad order each would move the whole side; of one price they stay as they came
                rows = sorted(rows, key=lambda row: Decimal(row[0]), reverse=side is self.bids)
            for price, size, order_id in rows:
                if order_id in self._orders:
                    raise BookError(f"order {order_id} is twice in a book")
                self._orders[order_id] = side.put(order_id, price, size, None)
        self._shrink()

    def _change(self, change: OrderChange, book_ns: int | None) -> OrderChange:
        held = self._orders.get(change.order_id)
        if change.kind is Change.SET:
            return self._set(change, held, book_ns)
        if held is None:
            return self._unknown(change)
        level = held.level
        side = level.side.name
        if change.side not in (None, side):
            raise BookError(f"order {held.id} is on the other side")
        if change.kind is Change.DONE:
            self._forget(held)
            return change._replace(side=side, price=change.price or held.price, remaining=change.remaining or held.size)
        if change.kind is Change.MATCH:
            left = difference_text(held.size, change.size or "0")
            if left.startswith("-"):
                raise BookError(f"order {held.id} has {held.size} left, {change.size} of it were matched")
            self._resize(held, left)
            return change._replace(side=side, price=change.price or held.price, remaining=left)
        return self._set(change, held, book_ns)

    def _set(self, change: OrderChange, held: Order | None, book_ns: int | None) -> OrderChange:
        """Let an order rest as a message says; one that rests already keeps its place unless its price changes."""
        size = change.size or "0"
        if held is None:
            if change.side is None or change.price is None:
                raise BookError(f"order {change.order_id} comes without side or price")
            self._enter(change.order_id, change.side, change.price, size, book_ns)
            return change._replace(kind=Change.OPEN, remaining=size)
        side, price = held.level.side, change.price or held.price
        if change.side not in (None, side.name):
            self._forget(held)
            self._enter(held.id, change.side or side.name, price, size, held.entered_ns)
        elif price != held.price and Decimal(price) != Decimal(held.price):
            self._forget(held)
            self._enter(held.id, side.name, price, size, held.entered_ns)
        else:
            self._resize(held, size)
        return change._replace(kind=Change.CHANGE, side=change.side or side.name, price=price, remaining=size)

    def _unknown(self, change: OrderChange) -> OrderChange:
        """Pass on what is said of an order that does not rest here: it never did, or lies where nothing is kept."""
        known = not self.is_cut and self._window is None
        if change.kind is Change.MATCH and known and self.bids.last_known is None and self.asks.last_known is None:
            raise BookError(f"order {change.order_id} was matched and is not on the book")
        return change

    def _enter(self, order_id: str, side_name: str, price: str, size: str, book_ns: int | None) -> None:
        side = self.bids if side_name == self.bids.name else self.asks
        if is_zero(size) or not side.knows(price):
            return
        self._orders[order_id] = side.put(order_id, price, size, book_ns)
        if len(self._orders) > self._most:
            self._shrink()

    def _resize(self, order: Order, size: str) -> None:
        if is_zero(size):
            self._forget(order)
        else:
            order.size = size
            order.level.touched()

    def _forget(self, order: Order) -> None:
        del self._orders[order.id]
        order.level.side.drop(order)

    def _shrink(self) -> None:
        """Let the deepest levels go while there are too many orders; the best level of a side always stays."""
        while len(self._orders) > self._most:
            side = max((self.bids, self.asks), key=lambda each: each.count if each.depth > 1 else 0)
            if side.depth <= 1:
                return
            self._drop_worst(side)
            self.is_cut = True

    def _drop_worst(self, side: OrderSide) -> None:
        for order_id in side.drop_worst():
            del self._orders[order_id]
