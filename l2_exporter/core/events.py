"""What a venue's decoder makes of one frame: a small vocabulary that says nothing of any wire.

Rows are `[price, size, ...]`: decimal text, best first is not required, size zero removes. They belong to the event and
are never changed in place afterwards.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Row = list[str]


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


class BookPush(NamedTuple):
    """One book of one frame (a NamedTuple: it is made for every message, and cheapest so).

    Attributes:
        event_ns: the venue's event time, None where it was zero or unreadable.
        seq, prev_seq, checksum: as sent, None where absent.
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
