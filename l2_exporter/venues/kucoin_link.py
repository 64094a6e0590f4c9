"""One connection to KuCoin: what is said on it and what its frames mean. Futures and spot differ by their topics."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import orjson

from l2_exporter.core.decimaltext import is_number, is_zero
from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import (
    BookPush,
    Event,
    Other,
    Push,
    Refused,
    Reopen,
    Row,
    Say,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.core.venue import Channel

FULL, LEVELS = "level2", "level2Depth50"
FUTURES_TOPIC = "/contractMarket/level2:"
SPOT_TOPIC, LEVELS_TOPIC = "/market/level2:", "/spotMarket/level2Depth50:"
PING = '{"id":"ping","type":"ping"}'
PING_EVERY_S = 18
"""The venue ends a connection whose client has not pinged for 60 s, whatever it sends itself (futures docs, "Ping").
Links ask silent venues only, so a busy one is asked here, by the time its pushes carry."""
INVALID_TICKET = "401"
_KNOWN = ("welcome", "ack", "pong", "notice", "command", "message")
_CHANGE = ("price", "side", "size")
Books = list[tuple[str, str]]


class KucoinLink:
    """A connection.

    Args:
        channels: the venue's channels by name; topics: the beginning of each one's topics.
    """

    def __init__(self, channels: Mapping[str, Channel], topics: Mapping[str, str]) -> None:
        self._channels = channels
        self._topics = topics
        self._asked: dict[str, tuple[type[Subscribed] | type[Unsubscribed], Books]] = {}
        self._number = 0
        self._pinged_ns: int | None = None

    def opened(self) -> list[str]:
        """Say nothing: subscriptions come first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frames that subscribe (channel, instrument) pairs, one for each channel."""
        return self._requests("subscribe", Subscribed, books)

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that unsubscribe one book and subscribe it again."""
        book = [(channel, inst)]
        return [*self._requests("unsubscribe", Unsubscribed, book), *self._requests("subscribe", Subscribed, book)]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"KuCoin sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        topic = text_of(message, "topic")
        if topic is None:
            return self._answer(message)
        name, inst = self._named(topic)
        if name is None:
            return [Other("push of another channel")]
        push = self._book(self._channels[name], inst, message.get("data"))
        return [push, *self._ping(push.event_ns)]

    def _requests(
        self, kind: str, confirms: type[Subscribed] | type[Unsubscribed], books: Sequence[tuple[str, str]]
    ) -> list[str]:
        texts = []
        for channel, group in groupby(sorted(books, key=_channel_of), key=_channel_of):
            theirs = [*group]
            self._number += 1
            self._asked[str(self._number)] = (confirms, theirs)
            topic = self._topics[channel] + ",".join(inst for _, inst in theirs)
            request = {"id": self._number, "type": kind, "topic": topic, "privateChannel": False, "response": True}
            texts.append(orjson.dumps(request).decode())
        return texts

    def _answer(self, message: dict[str, Any]) -> list[Event]:
        """Read what is no push. An acknowledgement names its request only, and that as text."""
        kind, number = text_of(message, "type"), message.get("id")
        if kind == "error":
            code, text = str(message.get("code", "")), text_of(message, "data") or ""
            return [Reopen(code, text) if code == INVALID_TICKET else Refused(code, text)]
        asked = self._asked.pop(number, None) if kind == "ack" and type(number) is str else None
        if asked is not None:
            confirms, books = asked
            return [confirms(*book) for book in books]
        return [Other(f"answer {clip(kind)}", known=kind in _KNOWN)]

    def _named(self, topic: str) -> tuple[str | None, str]:
        """Split a topic into channel and instrument."""
        for name, head in self._topics.items():
            if topic.startswith(head):
                return name, topic.removeprefix(head)
        return None, ""

    def _book(self, channel: Channel, inst: str, data: Any) -> BookPush:
        if not inst or type(data) is not dict:
            missing = [name for name, there in (("topic", inst), ("data", type(data) is dict)) if not there]
            raise odd("KuCoin", channel.name, inst or None, *missing)
        return _READERS[self._topics[channel.name]](channel.name, inst, data)

    def _ping(self, event_ns: int | None) -> list[Event]:
        """Ask whether the venue is there, once in a while: it wants to hear from us."""
        if event_ns is None:
            return []
        last_ns = self._pinged_ns
        if last_ns is not None and abs(event_ns - last_ns) < PING_EVERY_S * NS_PER_S:
            return []
        self._pinged_ns = event_ns
        return [] if last_ns is None else [Say(PING)]


def _channel_of(book: tuple[str, str]) -> str:
    return book[0]


def _changes(channel: str, inst: str, data: dict[str, Any]) -> BookPush:
    """Read a message of spot: the last state of every price that has changed in it, and the numbers it spans.

    1. `sequenceStart` is one more than the `sequenceEnd` before (docs, "Orderbook - Increment"; 3,844 of 3,844
       recorded). A row's own number says when its price last changed, and nothing of continuity.
    2. A row of price 0 changes nothing but the number.
    3. Of a message that a REST book already contains in part, the docs want the rows beyond the book's number applied
       only. The others may be applied as well: each is the last state of its price in a message that reaches beyond
       the book, so it is what the book has there already.
    """
    found, first, last = data.get("changes"), data.get("sequenceStart"), data.get("sequenceEnd")
    if type(found) is not dict:
        raise odd("KuCoin", channel, inst, "changes")
    bids, asks = _told(found.get("bids")), _told(found.get("asks"))
    wrong = [f"changes.{name}" for name, side in (("bids", bids), ("asks", asks)) if side is None]
    wrong += [name for name in ("sequenceStart", "sequenceEnd") if not is_counter(data.get(name))]
    wrong += [] if "time" in data else ["time"]
    if wrong or bids is None or asks is None or first is None or last is None:
        raise odd("KuCoin", channel, inst, *wrong)
    return BookPush(Push.DELTA, channel, inst, bids, asks, epoch_ns(data["time"], NS_PER_MS), last, first - 1, None)


def _change(channel: str, inst: str, data: dict[str, Any]) -> BookPush:
    """Read a message of futures: one change, `price,side,size`, and its number, one more than the one before."""
    parts, number = (text_of(data, "change") or "").split(","), data.get("sequence")
    side = parts[1] if len(parts) == len(_CHANGE) else ""
    rows = _told([[parts[0], parts[2]]]) if side in ("buy", "sell") else None
    wrong = [] if rows is not None else ["change"]
    wrong += [] if is_counter(number) else ["sequence"]
    wrong += [] if "timestamp" in data else ["timestamp"]
    if wrong or rows is None or number is None:
        raise odd("KuCoin", channel, inst, *wrong)
    bids, asks = (rows, []) if side == "buy" else ([], rows)
    event_ns = epoch_ns(data["timestamp"], NS_PER_MS)
    return BookPush(Push.DELTA, channel, inst, bids, asks, event_ns, number, number - 1, None)


def _whole(channel: str, inst: str, data: dict[str, Any]) -> BookPush:
    """Read the best levels, which come whole and without a number."""
    bids, asks = data.get("bids"), data.get("asks")
    wrong = [name for name, rows in (("bids", bids), ("asks", asks)) if not are_rows(rows, 2)]
    wrong += [] if "timestamp" in data else ["timestamp"]
    if wrong or bids is None or asks is None:
        raise odd("KuCoin", channel, inst, *wrong)
    event_ns = epoch_ns(data["timestamp"], NS_PER_MS)
    return BookPush(Push.WHOLE, channel, inst, bids, asks, event_ns, None, None, None)


_READERS: Mapping[str, Callable[[str, str, dict[str, Any]], BookPush]] = {
    FUTURES_TOPIC: _change,
    SPOT_TOPIC: _changes,
    LEVELS_TOPIC: _whole,
}


def _told(rows: Any) -> list[Row] | None:
    """Return the rows that say something of a level, without their own numbers; None: they are none."""
    if type(rows) is not list:
        return None
    told = [row for row in rows if not _is_void(row)]
    return [row[:2] for row in told] if are_rows(told, 2) else None


def _is_void(row: Any) -> bool:
    """Tell whether a row has the price 0: it takes a number and changes no level."""
    price = row[0] if type(row) is list and len(row) > 1 else None
    return type(price) is str and is_number(price) and is_zero(price)
