"""Coinbase: what frames of both protocols hold, levels and event times in three forms, lists of subscriptions in two.

A snapshot of a liquid product has 46,000 levels: each is looked at once, and what is wrong is found out afterwards.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from l2_exporter.core.events import Row
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import END_OF_TIME_NS, utc_ns

SLOTS = 2
SUBSCRIPTIONS = "subscriptions"
UPDATE_FIELDS = ("side", "event_time", "price_level", "new_quantity")


class Levels(NamedTuple):
    """The levels of a message.

    Attributes:
        event_ns: its event time; None where that is zero, missing or unreadable.
        wrong: the fields that could not be read; if there are any, the message is of no use.
    """

    bids: list[Row]
    asks: list[Row]
    event_ns: int | None
    wrong: tuple[str, ...] = ()


def read_updates(event: dict[str, Any]) -> Levels:
    """Read the `updates` of Advanced Trade: `{"side":"bid","event_time":"...","price_level":"1","new_quantity":"2"}`.

    All updates of an event have the same time.
    """
    updates = event.get("updates")
    if type(updates) is not list:
        return _wrong("updates")
    bids: list[Row] = []
    asks: list[Row] = []
    sides, times = {"bid": bids, "offer": asks}, set()
    try:
        for update in updates:
            sides[update["side"]].append([update["price_level"], update["new_quantity"]])
            times.add(update["event_time"])
    except (KeyError, TypeError):
        return _wrong(*_missing(updates))
    if not are_rows([*bids, *asks], SLOTS):
        return _wrong("updates[].price_level", "updates[].new_quantity")
    return Levels(bids, asks, event_ns(times))


def read_sides(message: dict[str, Any]) -> Levels:
    """Read the `bids` and `asks` of a snapshot of Exchange."""
    bids, asks = message.get("bids"), message.get("asks")
    wrong = [name for name, rows in (("bids", bids), ("asks", asks)) if not are_rows(rows, SLOTS)]
    if wrong or bids is None or asks is None:
        return _wrong(*wrong)
    return Levels(bids, asks, event_ns([message.get("time")]))


def read_changes(message: dict[str, Any]) -> Levels:
    """Read the `changes` of an update of Exchange, `["buy","80688.08","0.59153273"]`."""
    changes = message.get("changes")
    if type(changes) is not list or not set(map(type, changes)) <= {list}:
        return _wrong("changes")
    bids: list[Row] = []
    asks: list[Row] = []
    sides = {"buy": bids, "sell": asks}
    try:
        for change in changes:
            sides[change[0]].append([change[1], change[2]])
    except (IndexError, KeyError, TypeError):
        return _wrong("changes")
    if not are_rows([*bids, *asks], SLOTS):
        return _wrong("changes")
    return Levels(bids, asks, event_ns([message.get("time")]))


def event_ns(times: Iterable[Any]) -> int | None:
    """Return the latest of some times, `2026-08-09T21:05:48.27841Z`; None if none is one after 1970.

    Trailing zeros of the fraction are left out, so that texts do not compare as their times do.
    """
    return max(filter(None, map(_utc_ns, times)), default=None)


def advanced_ids(message: dict[str, Any], channel: str) -> list[str] | None:
    """Return the products subscribed on a channel: `{"events":[{"subscriptions":{"level2":["BTC-USD"]}}]}`.

    None: not of that shape.
    """
    events = message.get("events")
    if type(events) is not list or not events or set(map(type, events)) != {dict}:
        return None
    lists = [event.get(SUBSCRIPTIONS) for event in events]
    if set(map(type, lists)) != {dict}:
        return None
    return [product for each in lists for product in _ids(each.get(channel))]


def exchange_ids(message: dict[str, Any], names: Sequence[str]) -> list[str] | None:
    """Return the products subscribed on a channel: `{"channels":[{"name":"level2_50","product_ids":["BTC-USD"]}]}`.

    None: not of that shape.
    """
    channels = message.get("channels")
    if type(channels) is not list or not set(map(type, channels)) <= {dict}:
        return None
    return [product for each in channels if each.get("name") in names for product in _ids(each.get("product_ids"))]


def _ids(value: Any) -> list[str]:
    return [each for each in value if type(each) is str and each] if type(value) is list else []


def _utc_ns(time: Any) -> int | None:
    try:
        moment_ns = utc_ns(time)
    except (TypeError, ValueError):
        return None
    return moment_ns if 0 < moment_ns < END_OF_TIME_NS else None


def _wrong(*fields: str) -> Levels:
    return Levels([], [], None, fields)


def _missing(updates: list[Any]) -> tuple[str, ...]:
    """Name what some updates lack."""
    if set(map(type, updates)) != {dict}:
        return ("updates",)
    missing = [name for name in UPDATE_FIELDS if not all(type(update.get(name)) is str for update in updates)]
    return tuple(f"updates[].{name}" for name in missing or ["side"])
