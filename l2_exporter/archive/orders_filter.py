"""Order events chosen by what they say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_line import OrderEvent, event_ns
from l2_exporter.archive.orders_read import Read, lines_between, one_a_hour


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are wanted; None and empty: all.

    Attributes:
        from_ns, to_ns: book time, both included.
        order_id: of this order, as maker or taker of a match too.
        min_size: of at least this size; of a `done`, which has none, what was left of the order.
        after: behind the line of this book time and number.
    """

    from_ns: int | None = None
    to_ns: int | None = None
    order_id: str | None = None
    side: str | None = None
    min_size: Decimal | None = None
    types: frozenset[str] = frozenset()
    after: tuple[int, int] | None = None

    def fits(self, event: OrderEvent) -> bool:
        """Tell whether an event is wanted, its time apart."""
        if self.types and event.type not in self.types:
            return False
        if self.side is not None and event.side != self.side:
            return False
        if self.order_id is not None and self.order_id not in (event.order_id, event.maker, event.taker):
            return False
        if self.min_size is None:
            return True
        size = event.remaining if event.size is None else event.size
        return size is not None and Decimal(size) >= self.min_size


def chosen(hours: Sequence[HourPath], choice: Choice) -> Iterator[tuple[Read, OrderEvent]]:
    """Yield the events that are wanted, in their order, with the lines they stand in.

    Raises:
        ArchiveError: a file is damaged, or a line is no order event.
        OSError: a file cannot be read.
    """
    after = choice.after
    begins = [moment for moment in (choice.from_ns, None if after is None else after[0]) if moment is not None]
    needle = None if choice.order_id is None else orjson.dumps(choice.order_id)
    for read in lines_between(one_a_hour(hours), max(begins, default=None), choice.to_ns):
        if needle is not None and needle not in read.raw:
            continue
        event = read.event()
        if after is not None and (event_ns("timestamp_utc", event.timestamp_utc), event.number) <= after:
            continue
        if choice.fits(event):
            yield read, event
