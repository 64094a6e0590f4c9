"""The vocabulary between a simulated exchange and whoever carries its bytes: a socket server, or a test in memory."""

from dataclasses import dataclass, field
from enum import Enum

from l2_exporter.simulator.market import Row
from l2_exporter.simulator.orderevents import OrderEvent


class Kind(Enum):
    """What a push says."""

    SNAPSHOT = "snapshot"
    DELTA = "delta"
    KEEPALIVE = "keepalive"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Push:
    """One message of a book channel, before a dialect writes it as its venue does.

    Attributes:
        bids: rows, best (highest) first; in a delta size `0` deletes.
        asks: rows, best (lowest) first.
        seq: sequence number of the instrument's book after this message.
        prev: number the channel pushed before; None for a snapshot.
        checksum: what to send for a checksum; None sends none.
        events: what happened to single orders, of a channel of orders without a window; its bids and asks are empty.
    """

    kind: Kind
    channel: str
    inst: str
    bids: tuple[Row, ...]
    asks: tuple[Row, ...]
    ts_ns: int
    seq: int
    prev: int | None
    checksum: int | None = None
    events: tuple[OrderEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """A frame goes out: text, or bytes for a binary frame.

    Attributes:
        push: the book message it was made from, before any fault; None for acknowledgements and the like.
    """

    conn: str
    at_ns: int
    data: str | bytes
    push: Push | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The server closes the connection properly."""

    conn: str
    at_ns: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks off in the middle of this frame."""

    conn: str
    at_ns: int
    data: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing is read or written any more, but the connection stays open."""

    conn: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Abort:
    """The connection is torn down without a closing frame."""

    conn: str
    at_ns: int


Output = Send | Close | Cut | Freeze | Abort


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to an HTTP request.

    Attributes:
        delay_ns: how long the answer is held back.
        hangs: no answer ever comes.
    """

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay_ns: int = 0
    hangs: bool = False
