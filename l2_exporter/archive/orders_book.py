"""A book of orders built again from a whole book and the events since (docs/FORMAT.md, "Any moment").

It knows what a reader can know: where a book line ends at its depth, orders behind the last level are known only if
they have come since.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from l2_exporter.archive.defects import Flaw, FlawError
from l2_exporter.archive.orders_line import BUY, CHANGE, DONE, MATCH, OPEN, SELL, OrderEvent, StoredBook
from l2_exporter.core.decimaltext import difference_text, is_zero
from l2_exporter.core.orderbook import Order, OrderSide

OrderRow = list[str | None]
"""`[price, size, order id, time of entry]`."""
UNKNOWN_ENTRY = ""
"""Of an order that rested behind the last level of the book line, and has come before it since."""


class RebuiltSide:
    """One side: its orders, and how far it is known.

    Attributes:
        limit: price text of the worst level up to which all orders are known; None: all of the side is.
    """

    __slots__ = ("entered", "limit", "side", "sign")

    def __init__(self, name: str) -> None:
        self.sign = -1 if name == BUY else 1
        self.side = OrderSide(name, self.sign)
        self.limit: str | None = None
        self.entered: dict[str, str | None] = {}

    def covers(self, price: str) -> bool:
        """Tell whether everything at this price is known."""
        return self.limit is None or self.is_at_least_as_good(price, self.limit)

    def is_at_least_as_good(self, price: str, other: str) -> bool:
        """Tell whether a price is as good as another one or better."""
        return self.sign * Decimal(price) <= self.sign * Decimal(other)

    def orders(self, depth: int) -> Iterator[OrderRow]:
        """Yield the orders of the best levels as a book line has them."""
        for order in self.side.orders(depth):
            yield [order.price, order.size, order.id, self.entered[order.id]]


class RebuiltBook:
    """Both sides, by order.

    Attributes:
        number: of the last event applied, or that of the book line it began with.
    """

    def __init__(self) -> None:
        self.sides = {BUY: RebuiltSide(BUY), SELL: RebuiltSide(SELL)}
        self.number = -1
        self._orders: dict[str, Order] = {}
        self._touched: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def order(self, order_id: str) -> Order | None:
        """Return an order that rests."""
        return self._orders.get(order_id)

    def last_touch(self, order_id: str) -> int | None:
        """Tell the number of the last event that was about an order that rests; None: it is as its book line said."""
        return self._touched.get(order_id)

    def load(self, book: StoredBook) -> None:
        """Begin with a whole book.

        Raises:
            FlawError: an order stands twice in it.
        """
        line = book.line
        self.number = book.number
        self._orders.clear()
        self._touched.clear()
        self.sides = {BUY: RebuiltSide(BUY), SELL: RebuiltSide(SELL)}
        for name, rows in ((BUY, line.bids), (SELL, line.asks)):
            self.load_side(name, rows, line.depth)

    def load_side(self, name: str, rows: Iterable[Sequence[str | None]], depth: int) -> None:
        """Replace one side by the rows of a book line."""
        for known in self.sides[name].entered:
            del self._orders[known]
            self._touched.pop(known, None)
        fresh = self.sides[name] = RebuiltSide(name)
        for price, size, ident, entered in rows:
            order_id = str(ident)
            if order_id in self._orders:
                raise FlawError(Flaw.ORDER_ID, f"order {order_id} stands twice in a book")
            self._put(fresh, order_id, str(price), str(size), entered)
        if fresh.side.depth >= depth:
            fresh.limit = fresh.side.top(depth)[-1][0]

    def apply(self, event: OrderEvent) -> None:
        """Take the next event. What it says of an order that does not rest changes nothing."""
        self.number = event.number
        order_id = event.order_id
        if order_id is None:
            return
        held = self._orders.get(order_id)
        if event.type == OPEN:
            if held is not None:
                self._drop(held)
            self._enter(event, order_id, event.timestamp_utc)
        elif held is None:
            if event.type == CHANGE:
                self._appear(event, order_id)
        elif event.type == DONE:
            self._drop(held)
        elif event.type == MATCH:
            left = event.remaining
            self._resize(held, difference_text(held.size, event.size or "0") if left is None else left)
        elif event.type == CHANGE:
            self._change(event, held)
        if order_id in self._orders:
            self._touched[order_id] = event.number

    def _appear(self, event: OrderEvent, order_id: str) -> None:
        """Let an order be known that rested behind the last level of the book line."""
        side = self.sides.get(event.side or "")
        if side is not None and side.limit is not None and event.remaining is not None:
            self._enter(event, order_id, UNKNOWN_ENTRY)

    def _enter(self, event: OrderEvent, order_id: str, entered: str | None) -> None:
        size, side = event.remaining or event.size, self.sides.get(event.side or "")
        if side is not None and event.price is not None and size is not None and not is_zero(size):
            self._put(side, order_id, event.price, size, entered)

    def _change(self, event: OrderEvent, held: Order) -> None:
        size = event.remaining or event.size
        if size is None or is_zero(size):
            self._drop(held)
            return
        name, price = held.level.side.name, event.price or held.price
        moves = event.side not in (None, name) or (price != held.price and Decimal(price) != Decimal(held.price))
        if not moves:
            self._resize(held, size)
            return
        entered = self.sides[name].entered[held.id]
        self._drop(held)
        self._put(self.sides[event.side or name], held.id, price, size, entered)

    def _resize(self, order: Order, size: str) -> None:
        if is_zero(size) or size.startswith("-"):
            self._drop(order)
        else:
            order.size = size
            order.level.touched()

    def _put(self, side: RebuiltSide, order_id: str, price: str, size: str, entered: str | None) -> None:
        side.entered[order_id] = entered
        self._orders[order_id] = side.side.put(order_id, price, size, None)

    def _drop(self, order: Order) -> None:
        side = self.sides[order.level.side.name]
        del self._orders[order.id], side.entered[order.id]
        self._touched.pop(order.id, None)
        side.side.drop(order)


def levels_of(rows: Iterable[OrderRow]) -> list[list[OrderRow]]:
    """Split the rows of a side into its levels."""
    return [list(level) for _, level in groupby(rows, key=lambda row: Decimal(row[0] or "0"))]
