"""What a venue's decoder makes of one frame: a small vocabulary that says nothing of any wire.

Rows are `[price, size, ...]`: decimal text, best first is not required, size zero removes. They belong to the event and
are never changed in place afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from l2_exporter.core.decimaltext import Key

Row = list[str]
Numbers = Iterable[Sequence[Key]]
"""Prices, then sizes, of the levels of one side, exact as sort keys: two lists, or what compiled code keeps them in."""


class Push(Enum):
    """What the rows of a book message mean."""

    SNAPSHOT = "snapshot"
    """The whole book; deltas follow."""
    DELTA = "delta"
    """New absolute sizes of the levels named."""
    WHOLE = "whole"
    """The whole book every time, on channels that know no deltas."""
    CHECKSUM = "checksum"
    """No rows: the venue's checksum of the book as the update before left it."""


# What every message is compared with, here as in other modules: reading a member from its class takes 75 ns longer than
# reading a global.
DELTA: Final = Push.DELTA
WHOLE: Final = Push.WHOLE
CHECKSUM: Final = Push.CHECKSUM


class Change(Enum):
    """What happens to an order."""

    OPEN = "open"
    """It comes to rest on the book."""
    CHANGE = "change"
    """It has another size or price."""
    MATCH = "match"
    """It is traded against: so much less is left of it."""
    DONE = "done"
    """It is gone: filled or canceled."""
    SET = "set"
    """It rests as told: the book knows whether that is `OPEN` or `CHANGE`. Only in messages, never in the archive."""


class OrderChange(NamedTuple):
    """What a message says of one order; None where it does not say.

    Attributes:
        side: of the order: buy or sell.
        size: how much the event is about: what rests now (open, change), or was traded (match).
        remaining: what is left of the order afterwards.
        reason: why it is done, or was changed, in the venue's words or `filled` and `canceled`.
        maker, taker: the orders of a match.
    """

    kind: Change
    order_id: str
    side: str | None = None
    price: str | None = None
    size: str | None = None
    remaining: str | None = None
    reason: str | None = None
    maker: str | None = None
    taker: str | None = None


class BookPush(NamedTuple):
    """One book of one frame (a NamedTuple: it is made for every message, and cheapest so).

    Attributes:
        bids, asks: levels; of a channel of orders `[price, size, order id]`, in the order of their queues.
        event_ns: the venue's event time, None where it was zero or unreadable.
        seq, prev_seq, checksum: as sent, None where absent.
        changes: what a delta of a channel of orders says, in its order; it has no rows then.
        numbers: of bids and asks, where the decoder has read them.
    """

    push: Push
    channel: str
    inst: str
    bids: list[Row]
    asks: list[Row]
    event_ns: int | None
    seq: int | None
    prev_seq: int | None
    checksum: int | None
    changes: Sequence[OrderChange] = ()
    numbers: tuple[Numbers, Numbers] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether this is a keep-alive: a delta without rows that names the same number twice."""
        return self.seq is not None and self.seq == self.prev_seq and not self.bids and not self.asks


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The venue confirms that it will push this book."""

    channel: str
    inst: str


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The venue confirms that it stops pushing this book."""

    channel: str
    inst: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue refuses a request of ours; the link stays open."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ClosingSoon:
    """The venue announces that it will close this link."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Other:
    """A frame that carries no book: an acknowledgement of another channel, a heartbeat, a push we did not ask for.

    Attributes:
        known: False for a frame that fits nothing the venue documents.
    """

    what: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number of this frame among all of its connection; it comes before what else the frame says."""

    number: int


@dataclass(frozen=True, slots=True)
class Say:
    """The protocol wants this text sent: the answer to a ping, the second half of a resubscription."""

    text: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """The venue asks for a new connection now: what this one brings is not to be relied upon."""

    code: str
    text: str


Event = Numbered | Say | Reopen | BookPush | Subscribed | Unsubscribed | Refused | ClosingSoon | Other
