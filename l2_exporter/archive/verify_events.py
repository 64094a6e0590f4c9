"""The lines of one hour file of order events, one by one and in their order."""

from collections.abc import Iterator
from functools import lru_cache

from l2_exporter.archive.defects import Finding, Flaw, FlawError, LineRules, Rules, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, market_of, suffix_of
from l2_exporter.archive.orders_line import (
    CHANGE,
    DONE,
    GAP,
    LIVE,
    MARKS,
    MATCH,
    OPEN,
    SIDES,
    OrderEvent,
    decode_event,
    event_ns,
)
from l2_exporter.archive.stored import RECEIVE_DECIMALS
from l2_exporter.archive.verify_line import LineTimes
from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import hour_of

Place = tuple[int, int]
"""What the lines of a file ascend by: book time and number."""

_FLAGS: dict[str, tuple[list[str], ...]] = {
    LIVE: ([], ["after_gap"], ["seeded_from_rest"], ["after_gap", "seeded_from_rest"]),
    GAP: ([GAP],),
}
_FLAGS_OF_ORDERS: tuple[list[str], ...] = ([], ["partial_depth"])
_OF_ORDERS = ("order_id", "side", "price", "size", "remaining", "reason", "maker_order_id", "taker_order_id")
_NEVER_NULL = {
    OPEN: (True, True, True, True, True, False, False, False),
    CHANGE: (True, False, False, False, False, False, False, False),
    MATCH: (True, False, False, True, False, False, True, False),
    DONE: (True, False, False, False, False, False, False, False),
}
"""By type, for each of these fields."""
_ALWAYS_NULL = {
    OPEN: (False, False, False, False, False, True, True, True),
    CHANGE: (False, False, False, False, False, False, True, True),
    MATCH: (False, False, False, False, False, True, False, False),
    DONE: (False, False, False, True, False, False, True, True),
}


class EventsChecker:
    """Checks the lines of one hour file, given in the file's order.

    Attributes:
        event: the line checked last, None if it could not be read, or cannot follow those before it.
        times: its times.
    """

    def __init__(self, place: HourPath, rules: Rules) -> None:
        self.event: OrderEvent | None = None
        self.times = LineTimes(0, None, 0)
        self._hour = place
        self._rules = rules
        self._rule: LineRules | None = None
        self._sound: tuple[str, ...] = ()
        self._unknown: set[tuple[str, str]] = set()
        self._newest: Place | None = None

    def check(self, raw: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next line, given without its `\\n`."""
        self.event = None
        try:
            event = decode_event(raw)
        except FlawError as flaw:
            yield flaw.finding
            return
        if event[1:5] != self._sound:
            yield from self._check_place(event)
        try:
            self.times = _read_times(event, self._rule.decimals if self._rule else None)
        except FlawError as flaw:
            yield flaw.finding
            return
        yield from self._check_order(event)
        yield from check_values(event)

    def _check_place(self, event: OrderEvent) -> Iterator[Finding]:
        """Hold what the line says of itself against its path."""
        place = self._hour
        rule = self._rule = self._rules.get((event.exchange, event.channel))
        pairs = (("exchange", event.exchange, place.venue), ("instId", event.inst, place.inst))
        wrong = [said(name, value) for name, value, right in pairs if value != right]
        suffix = place.dataset.partition(".")[2]
        if event.market != market_of(place.dataset):
            wrong.append(said("market", event.market))
        if rule is not None and (not rule.orders or suffix_of(Kind.EVENTS, rule.suffix) != suffix):
            wrong.append(said("channel", event.channel))
        if wrong:
            yield Flaw.PATH, f"{', '.join(wrong)}, but the path is {place.venue}/{place.dataset}/{place.inst}"
            self._sound = ()
            return
        if rule is None and (key := (event.exchange, event.channel)) not in self._unknown:
            self._unknown.add(key)  # said once a file
            detail = f"{event.exchange} has no channel {clip(event.channel)}; its rules are not checked"
            yield Flaw.CHANNEL_UNKNOWN, detail
        self._sound = event[1:5]

    def _check_order(self, event: OrderEvent) -> Iterator[Finding]:
        times = self.times
        if times.live_since_ns > times.event_ns:
            yield Flaw.EPISODE, f"live_since_utc {event.live_since_utc} is after {event.timestamp_utc}"
        elif event.type == LIVE and times.live_since_ns != times.event_ns:
            yield Flaw.EPISODE, f"a live mark at {event.timestamp_utc}, live_since_utc is {event.live_since_utc}"
        if hour_of(times.event_ns) != self._hour.hour:
            yield Flaw.HOUR, f"timestamp_utc {event.timestamp_utc} is of another hour"
            return
        place = (times.event_ns, event.number)
        if self._newest is not None and place <= self._newest:
            yield Flaw.ORDER, f"timestamp_utc {event.timestamp_utc}, n {event.number} does not ascend"
            return
        self._newest = place
        self.event = event


def check_values(event: OrderEvent) -> Iterator[Finding]:
    """Check the fields that tell of the order, by the type of the line."""
    kind = event.type
    values = event[6:14]
    if (event.number == 0) is not (kind == LIVE):
        yield Flaw.MARK, f"{said('type', kind)}, {said('n', event.number)}: the line 0 of an episode is its live mark"
    if event.flags not in _FLAGS.get(kind, _FLAGS_OF_ORDERS):
        yield Flaw.FLAGS, f"{said('flags', event.flags)} of a {clip(kind)}"
    if kind in MARKS:
        if any(value is not None for value in values):
            yield Flaw.EVENT, f"a {kind} mark that tells of an order: {_told(values)}"
        return
    if kind not in _NEVER_NULL:
        yield Flaw.EVENT, f"{said('type', kind)}, no type of an event"
        return
    for place in _misplaced(kind, tuple([value is None for value in values])):
        yield Flaw.EVENT, f"{said(_OF_ORDERS[place], values[place])} in a {kind}"
    yield from _check_texts(event)


@lru_cache(maxsize=1024)
def _misplaced(kind: str, nulls: tuple[bool, ...]) -> tuple[int, ...]:
    """List the places that are null and must not be, or must be null."""
    needed, barred = _NEVER_NULL[kind], _ALWAYS_NULL[kind]
    return tuple(at for at, is_null in enumerate(nulls) if (needed[at] if is_null else barred[at]))


def _check_texts(event: OrderEvent) -> Iterator[Finding]:
    if event.order_id == "":
        yield Flaw.EVENT, "an order without an id"
    if event.side not in SIDES and event.side is not None:
        yield Flaw.EVENT, said("side", event.side)
    price, size, remaining = event.price, event.size, event.remaining
    if price is not None and (not is_number(price) or is_zero(price)):
        yield Flaw.EVENT, f"{said('price', price)}, not a positive number"
    if size is not None and not is_number(size):
        yield Flaw.EVENT, f"{said('size', size)}, not a number"
    if remaining is not None and remaining != size and not is_number(remaining):
        yield Flaw.EVENT, f"{said('remaining', remaining)}, not a number"
    if event.type == OPEN and size != remaining:
        yield Flaw.EVENT, f"{said('size', size)} of an open, {said('remaining', remaining)}"
    if event.type == MATCH and event.maker is not None and event.maker != event.order_id:
        yield Flaw.EVENT, f"{said('order_id', event.order_id)} of a match, {said('maker_order_id', event.maker)}"


def _told(values: tuple[object, ...]) -> str:
    pairs = zip(_OF_ORDERS, values, strict=True)
    return ", ".join(said(name, value) for name, value in pairs if value is not None)


@lru_cache(maxsize=16)
def _live_ns(text: str, decimals: int | None) -> int:
    return event_ns("live_since_utc", text, decimals)


def _read_times(event: OrderEvent, decimals: int | None) -> LineTimes:
    received = event.received_utc
    return LineTimes(
        event_ns("timestamp_utc", event.timestamp_utc, decimals),
        None if received is None else event_ns("received_utc", received, RECEIVE_DECIMALS),
        _live_ns(event.live_since_utc, decimals),
    )
