"""Bitfinex v2: one connection. What the numbers of its channels stand for, and what its frames mean because of that.

Data come in arrays that name a channel by its number, everything else in objects with `event`. A number means nothing
on another connection, and nothing once its channel has ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from l2_exporter.core.errors import clip, cut
from l2_exporter.core.events import (
    BookPush,
    Event,
    Numbered,
    OrderChange,
    Other,
    Push,
    Refused,
    Reopen,
    Row,
    Say,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.core.fields import epoch_ns, odd, text_of
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.venues.bitfinex_frames import (
    BULK_UPDATES,
    CHECKSUM,
    HEARTBEAT,
    OB_CHECKSUM,
    SEQ_ALL,
    TIMESTAMP,
    change_of,
    checksum_of,
    is_list_of_levels,
    loaded,
    orders_of,
    sides_of,
    tail_of,
    whole_number,
)

WIRE_BOOK = "book"
FREQUENCY = "F0"
LEVELS, ORDERS = "P0", "R0"
"""Precisions: prices as exact as they are, and raw: single orders."""
ASKED = TIMESTAMP | SEQ_ALL | OB_CHECKSUM
DUPLICATE = "10301"
NOT_SUBSCRIBED = ("10400", "10401")
REOPENING = {"20051": "the server stops", "20061": "maintenance has ended: every channel begins anew"}
MAINTENANCE = "20060"
MOST_CHANNELS = 100
"""Of a connection that are kept apart, and of those that have ended; the venue allows 25, and took 36."""

Book = tuple[str, str]
"""Channel and instrument."""


class BitfinexConnection:
    """One connection, from its first frame on.

    Args:
        manners: the wire's `prec` and `len` of each of our channels.
    """

    def __init__(self, manners: Mapping[str, tuple[str, str]]) -> None:
        self._manners = manners
        self._channels = {manner: channel for channel, manner in manners.items()}
        self._books: dict[str, Book] = {}
        self._ids: dict[Book, str] = {}
        self._begun: set[str] = set()
        self._renewing: dict[str, Book] = {}
        self._ended: dict[str, Book | None] = {}
        self._asked = 0
        self._granted: int | None = None
        self._newest = -1
        self._unsaid: list[int] = []

    # ---- what is said -----------------------------------------------------------------------------------------------

    def opened(self) -> list[str]:
        """Ask for what proves a book, before the first subscription."""
        return [_text({"event": "conf", "flags": ASKED})]

    def subscribe(self, books: Sequence[Book]) -> list[str]:
        """Write a frame for each book.

        From now on data must have all that was asked for. A connection that subscribes nothing is somebody else's
        recording, which has what that one was granted.
        """
        self._asked = ASKED
        return [self._subscription(*book) for book in books]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frame that ends a subscription; `decode` begins it anew once the venue has confirmed the end.

        A second subscription beside the first is refused (10301) and brings no book. One whose number is not known
        has not been confirmed: it is asked for again.
        """
        book = (channel, inst)
        chan = self._ids.get(book)
        if chan is None:
            return [self._subscription(*book)]
        self._renewing[chan] = book
        return [_text({"event": "unsubscribe", "chanId": int(chan)})]

    def _subscription(self, channel: str, inst: str) -> str:
        precision, length = self._manners[channel]
        return _text(
            {
                "event": "subscribe",
                "channel": WIRE_BOOK,
                "symbol": inst,
                "prec": precision,
                "freq": FREQUENCY,
                "len": length,
            }
        )

    # ---- what is heard ----------------------------------------------------------------------------------------------

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not JSON.
        """
        message = loaded(frame)
        if type(message) is list:
            return self._array(message)
        if type(message) is dict:
            return self._event(message)
        return [Other("neither an array nor an object", known=False)]

    def _event(self, message: dict[str, Any]) -> list[Event]:
        """Read what is no data: a greeting, a confirmation, an error, an announcement."""
        kind = text_of(message, "event")
        chan = _chan_of(message)
        if kind == "subscribed":
            return [self._subscribed(message, chan)]
        if kind == "unsubscribed":
            return self._unsubscribed(chan)
        if kind == "error":
            return self._error(message, chan)
        if kind == "conf":
            return [self._conf(message)]
        if kind == "info":
            return [_info(message)]
        return [Other(f"event {clip(kind)}", known=kind == "pong")]

    def _conf(self, message: dict[str, Any]) -> Event:
        """Take note of the flags that are granted."""
        status, flags = text_of(message, "status"), whole_number(message.get("flags"))
        if status != "OK" or flags is None:
            return Refused("conf", f"status {clip(status)}, flags {clip(message.get('flags'))}")
        self._granted = flags
        if self._asked & ~flags:
            return Refused("conf", f"flags {flags} instead of {self._asked}")
        return Other("conf")

    def _subscribed(self, message: dict[str, Any], chan: str | None) -> Event:
        if chan is None:
            return Other("subscription without a number", known=False)
        if chan not in self._books and len(self._books) >= MOST_CHANNELS:
            return Other("more channels than a connection can have", known=False)
        self._forget(chan)
        book = self._book_of(message)
        if book is None:
            self._no_longer(chan, None)
            return Other("subscription of another channel")
        self._books[chan] = book
        self._ids[book] = chan
        return Subscribed(*book)

    def _unsubscribed(self, chan: str | None) -> list[Event]:
        """Take note of an end; where a new beginning waits for it, ask for that."""
        book = self._books.get(chan or "") or self._renewing.get(chan or "")
        if chan is None or book is None:
            return [Other("end of another channel")]
        return [Unsubscribed(*book), *self._end(chan, book)]

    def _end(self, chan: str, book: Book) -> list[Event]:
        """Let a channel go, whose data mean nothing from now on, and begin anew if that was wanted."""
        is_renewed = chan in self._renewing
        self._forget(chan)
        self._no_longer(chan, book)
        return [Say(self._subscription(*book))] if is_renewed else []

    def _no_longer(self, chan: str, book: Book | None) -> None:
        """Keep in mind for a while that a channel is none of ours, or no longer."""
        self._ended[chan] = book
        if len(self._ended) > MOST_CHANNELS:
            del self._ended[next(iter(self._ended))]

    def _forget(self, chan: str) -> None:
        self._ids = {book: known for book, known in self._ids.items() if known != chan}
        self._books.pop(chan, None)
        self._renewing.pop(chan, None)
        self._ended.pop(chan, None)
        self._begun.discard(chan)

    def _error(self, message: dict[str, Any], chan: str | None) -> list[Event]:
        code, text = text_of(message, "code") or "", text_of(message, "msg") or ""
        symbol = text_of(message, "symbol")
        refused = Refused(cut(code, 20), f"{text} {symbol}" if symbol else text)
        book = self._book_of(message)
        if code == DUPLICATE and chan is not None and book is not None:
            # 1. It names the channel there is. The confirmation of that comes later, or could not be read: then the
            #    next attempt must end it first.
            self._ids.setdefault(book, chan)
        if code in NOT_SUBSCRIBED and chan in self._renewing:
            # 2. There was nothing to end.
            return [refused, *self._end(chan, self._renewing[chan])]
        return [refused]

    def _book_of(self, message: dict[str, Any]) -> Book | None:
        """Tell which of our books a subscription is of; None: of none."""
        symbol, is_live = text_of(message, "symbol"), text_of(message, "freq") == FREQUENCY
        manner = (text_of(message, "prec") or "", text_of(message, "len") or "")
        channel = self._channels.get(manner) if text_of(message, "channel") == WIRE_BOOK and is_live else None
        if channel is None or symbol is None:
            return None
        return (channel, symbol) if symbol.startswith("t") and len(symbol) > 1 else None

    # ---- data -------------------------------------------------------------------------------------------------------

    def _array(self, message: list[Any]) -> list[Event]:
        """Read an array: its number among all of the connection comes first.

        The number of one that is rejected is told with the next, so that no other book is thought to miss something.
        """
        if len(message) < 2 or type(message[0]) is not str:
            return [Other("array without a channel", known=False)]
        number, time = tail_of(message, self._granted)
        numbers = self._unsaid if number is None else [*self._unsaid, number]
        is_late = number is not None and number <= self._newest
        if number is not None and not is_late:
            self._newest = number
            self._unsaid = numbers
        events = self._told(message, number, time, is_late=is_late)
        self._unsaid = []
        return [*map(Numbered, numbers), *events]

    def _told(self, message: list[Any], number: int | None, time: Any, *, is_late: bool) -> list[Event]:
        """Read the data of a channel. Of one that has ended they count only as what came late, and is not used."""
        chan, payload = message[0], message[1]
        book = self._books.get(chan) or (self._ended.get(chan) if is_late else None)
        if book is None:
            return [Other("data of another channel", known=chan in self._ended)]
        if payload == HEARTBEAT:
            return [Other("heartbeat")]
        if payload == CHECKSUM:
            return [self._checksum(book, message, number, time)]
        if type(payload) is str and payload.isalpha():
            return [Other(f"{clip(payload)} of a book", known=False)]
        is_first = chan not in self._begun
        self._begun.add(chan)
        return [self._book(book, payload, number, time, is_first=is_first)]

    def _checksum(self, book: Book, message: list[Any], number: int | None, time: Any) -> BookPush:
        checksum = checksum_of(message)
        missing = [*self._missing(number, time), *([] if checksum is not None else ["checksum"])]
        if missing:
            raise odd("Bitfinex", *book, *missing)
        return BookPush(Push.CHECKSUM, *book, [], [], epoch_ns(time, NS_PER_MS), number, None, checksum)

    def _book(self, book: Book, payload: Any, number: int | None, time: Any, *, is_first: bool) -> BookPush:
        missing, push = self._missing(number, time), self._push(payload, is_first)
        rows = payload if is_list_of_levels(payload) else [payload]
        sides: tuple[list[Row], list[Row]] | None
        changes: tuple[OrderChange, ...] = ()
        if self._manners[book[0]][0] == LEVELS:
            sides = None if push is None else sides_of(rows, push)
        elif push is Push.DELTA:
            changes = tuple(change for change in map(change_of, rows) if change is not None)
            sides = ([], []) if len(changes) == len(rows) else None
        else:
            sides = None if push is None else orders_of(rows)
        if missing or push is None or sides is None:
            raise odd("Bitfinex", *book, *missing, *([] if sides is not None else ["payload"]))
        return BookPush(push, *book, *sides, epoch_ns(time, NS_PER_MS), number, None, None, changes)

    def _push(self, payload: Any, is_first: bool) -> Push | None:
        """Tell a snapshot, a list of levels, from an update, one level. None: neither.

        1. The first data of a channel are its snapshot; `[]` is that of an empty book, and means nothing later on.
        2. Where several updates come in one array (BULK_UPDATES, which is not asked for), only their order tells.
        """
        if type(payload) is not list or (not payload and not is_first):
            return None
        in_bulk = not is_first and bool((self._granted or 0) & BULK_UPDATES)
        return Push.SNAPSHOT if is_list_of_levels(payload) and not in_bulk else Push.DELTA

    def _missing(self, number: int | None, time: Any) -> list[str]:
        """Name what data lack of what was asked for, or granted."""
        promised = self._asked | (self._granted or 0)
        missing = ["seq"] if promised & SEQ_ALL and number is None else []
        return missing + (["timestamp"] if promised & TIMESTAMP and time is None else [])


def _info(message: dict[str, Any]) -> Event:
    """Read the greeting, or an announcement; its code may be number or text."""
    code, text = text_of(message, "code"), text_of(message, "msg")
    if code in REOPENING:
        return Reopen(code, text or REOPENING[code])
    # Maintenance closes no connection: books rest until 20061 tells that all of them begin anew.
    if code == MAINTENANCE or text_of(message.get("platform"), "status") == "0":
        return Other("maintenance")
    return Other("info", known=code is None)


def _chan_of(message: dict[str, Any]) -> str | None:
    """Return the number of a channel as it was sent, None where there is none."""
    chan = text_of(message, "chanId")
    return None if whole_number(chan) is None else chan


def _text(message: dict[str, object]) -> str:
    return orjson.dumps(message).decode()
