"""Gate.io's connections and frames: the socket half of `gate`.

Sources: as there; the answers to requests by captures of May 2023 and September 2026.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import BookPush, ClosingSoon, Event, Other, Push, Refused, Row, Subscribed, Unsubscribed
from l2_exporter.core.fields import epoch_ns, is_counter, odd, text_of
from l2_exporter.core.rows import are_rows
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Channel, Seeding

SLOTS = 2
STREAM = "ob."
TIME_S = 123_456
"""Every request must have a time. Only private ones are judged by it: the documents' own public examples send this."""
_CONFIRMS: dict[str, type[Subscribed] | type[Unsubscribed]] = {"subscribe": Subscribed, "unsubscribe": Unsubscribed}


class GateConnection:
    """One connection, and what each of its requests that are not answered yet was about.

    Args:
        word: what its channels begin with.
        update_payload: speed of the changes, and their level where it can be chosen.
    """

    def __init__(self, word: str, update_payload: Sequence[str], channels: Mapping[str, Channel]) -> None:
        self._word = word
        self._update_payload = update_payload
        self._channels = channels
        self._last_id = 0
        self._asked: dict[int, tuple[str, str]] = {}

    def opened(self) -> list[str]:
        """Say nothing first."""
        return []

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write a frame for each book: where one of several is refused, all are."""
        return [self._ask("subscribe", channel, inst) for channel, inst in books]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that end one subscription and begin it anew: a second one beside it would be refused."""
        return [self._ask(event, channel, inst) for event in ("unsubscribe", "subscribe")]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise VenueError(f"Gate sent a frame that is not JSON ({error}): {clip(frame)}") from error
        if type(message) is not dict:
            return [Other("not an object", known=False)]
        channel, refusal = self._channels.get(text_of(message, "channel") or ""), message.get("error")
        if type(refusal) is dict:
            self._taken(message)
            return [Refused(str(refusal.get("code", ""))[:20], text_of(refusal, "message") or clip(refusal))]
        if text_of(message, "event") in _CONFIRMS:
            return [self._confirmed(message)]
        return [self._control(message) if channel is None else _pushed(channel, message.get("result"))]

    def _ask(self, event: str, channel: str, inst: str) -> str:
        self._last_id += 1
        self._asked[self._last_id] = (channel, inst)
        return request(channel, id=self._last_id, event=event, payload=self._payload(event, channel, inst))

    def _payload(self, event: str, channel: str, inst: str) -> list[str]:
        """Name a book as its channel wants it; the level is no part of what ends a subscription (docs, unsubscribe)."""
        if self._channels[channel].seeding is Seeding.PUSHED:
            return [f"{STREAM}{inst}.{self._channels[channel].depth}"]
        return [inst, *self._update_payload[: 2 if event == "subscribe" else 1]]

    def _confirmed(self, message: dict[str, Any]) -> Event:
        """Read the answer to a request by its number, which the venue sends back; it may name no book itself."""
        event, book = message["event"], self._taken(message)
        return Other(f"answer to {event}") if book is None else _CONFIRMS[event](*book)

    def _taken(self, message: dict[str, Any]) -> tuple[str, str] | None:
        """Take out what the request was about that this answers."""
        number = message.get("id")
        return self._asked.pop(number, None) if type(number) is int else None

    def _control(self, message: dict[str, Any]) -> Event:
        """Read the answer to a ping, an announcement, or a push of another channel."""
        channel = text_of(message, "channel") or ""
        word, _, kind = channel.partition(".")
        result = message.get("result")
        if kind == "system" and text_of(result, "type") == "upgrade":
            return ClosingSoon("upgrade", text_of(result, "msg") or "")
        return Other(f"channel {clip(channel)}", known=word == self._word and kind != "")


def _pushed(channel: Channel, result: Any) -> Event:
    """Read a book; `obu` calls it by the name of its stream, `ob.BTC_USDT.400`."""
    inst, level = text_of(result, "s") or "", text_of(result, "l")
    is_obu = channel.seeding is Seeding.PUSHED
    if is_obu:
        name, _, level = inst.rpartition(".")
        inst = name.removeprefix(STREAM) if name.startswith(STREAM) else ""
    if not inst:
        raise odd("Gate", channel.name, None, "result.s")
    # 1. Books of other levels have the same numbers and other windows; updates name their level since April 2025.
    if level not in (None, str(channel.depth)):
        return Other("push of another level")
    return _book(channel, inst, result, sides_may_lack=is_obu)


def _book(channel: Channel, inst: str, result: dict[str, Any], *, sides_may_lack: bool) -> BookPush:
    full, first, last = result.get("full", False), result.get("U"), result.get("u")
    # 2. `obu` leaves a side out on which nothing has changed; with both left out the numbers alone move on.
    bids, asks = ([] if sides_may_lack and side not in result else rows_of(result.get(side)) for side in ("b", "a"))
    wrong = [name for name, rows in (("b", bids), ("a", asks)) if rows is None]
    wrong += [] if type(full) is bool else ["full"]
    wrong += [] if is_counter(last) else ["u"]
    numbered = is_counter(first) and first > 0
    # 3. A full book can come at any time and replaces everything; where it names its first change it may still follow.
    wrong += [] if numbered or (full is True and "U" not in result) else ["U"]
    wrong += [] if "t" in result else ["t"]
    if wrong or bids is None or asks is None:
        raise odd("Gate", channel.name, inst, *wrong)
    # 4. An update begins one change behind the last of the one before.
    prev_seq = first - 1 if is_counter(first) else None
    push = Push.SNAPSHOT if full else Push.DELTA
    return BookPush(push, channel.name, inst, bids, asks, epoch_ns(result["t"], NS_PER_MS), last, prev_seq, None)


def rows_of(levels: Any) -> list[Row] | None:
    """Read levels, `[price, size]` or `{"p","s"}` whose size may be a whole JSON number; None for anything else."""
    if type(levels) is list and levels and type(levels[0]) is dict:
        levels = [_row(level) if type(level) is dict else level for level in levels]
    return levels if are_rows(levels, SLOTS) else None


def _row(level: dict[str, Any]) -> list[Any]:
    size = level.get("s")
    return [level.get("p"), str(size) if type(size) is int else size]


def request(channel: str, **members: object) -> str:
    """Write a request."""
    return orjson.dumps({"time": TIME_S, "channel": channel, **members}).decode()
