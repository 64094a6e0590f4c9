"""What a venue's dialect must provide, and what it is given. A new venue is one file that fulfils `Dialect`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.orderevents import OrderStyle
from l2_exporter.simulator.wire import Push, Reply


@dataclass(frozen=True, slots=True)
class Channel:
    """A book channel as the venue serves it.

    Attributes:
        depth: levels a side.
        whole: every push is the whole book; else a snapshot, then changes.
        checksum: its messages carry the venue's checksum.
        keepalive_ns: silence after which something is sent although nothing changed.
        pushes_snapshot: a subscription begins with the whole book; else with the next change.
        sums: what the checksum holds unless a fault says otherwise, one of the words of the fault `checksum`.
        truncates: levels that fall out of its depth are not deleted: the client is to keep the best `depth` only. One
            that comes back is told anew.
        orders: the channel tells single orders, in this style; its depth is orders a side. All such channels of an
            instrument show one market, which is not that of its channels of levels.
    """

    name: str
    depth: int
    whole: bool
    checksum: bool
    keepalive_ns: int = 60 * NS_PER_S
    pushes_snapshot: bool = True
    sums: str = "zero"
    truncates: bool = False
    orders: OrderStyle | None = None


@dataclass(slots=True)
class Link:
    """A client's connection, as the server sees it.

    Attributes:
        active_ns: when a frame last went over it, either way.
        books: the (channel, instrument) pairs subscribed, in order.
    """

    conn: str
    path: str
    opened_ns: int
    active_ns: int
    books: dict[tuple[str, str], None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this text to the client."""

    text: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client gets this book from now on; a fresh subscription starts with a snapshot."""

    channel: str
    inst: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The client gets this book no longer."""

    channel: str
    inst: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the client's connection."""

    code: int
    reason: str


Action = Tell | Subscribe | Unsubscribe | HangUp


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        path: without query.
        query: the first value of each name.
        posted: the body; None: a GET.
        headers: by name, in lower case.
        target: path and query as they were sent; what clients sign.
    """

    path: str
    query: Mapping[str, str]
    posted: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """A book as REST shows it, best first: rows are levels, or single orders."""

    bids: Sequence[Row]
    asks: Sequence[Row]
    ts_ns: int
    seq: int

    def cut(self, depth: int) -> "Book":
        """Return the best `depth` levels a side."""
        return Book(self.bids[:depth], self.asks[:depth], self.ts_ns, self.seq)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A maintenance that was announced: half-open window `[begin_ns, end_ns)`."""

    begin_ns: int
    end_ns: int


class Venue(Protocol):
    """What a dialect may ask while it answers."""

    @property
    def now_ns(self) -> int:
        """Return the simulated time."""
        ...

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed, by id."""
        ...

    @property
    def maintenances(self) -> Sequence[Maintenance]:
        """Return every maintenance, past and to come."""
        ...

    def book(self, inst: str, depth: int) -> Book:
        """Return a listed instrument's book."""
        ...

    def order_book(self, inst: str) -> Book:
        """Return all orders of a listed instrument: rows of price, size, order id and time of entry, by priority."""
        ...

    def order_seq(self, inst: str) -> int:
        """Return the number of the last message of a listed instrument's orders."""
        ...


class Dialect(Protocol):
    """One venue's protocol, server side: a state machine without I/O. One instance serves one simulated exchange.

    Attributes:
        ws_path: path of the WebSocket in the address that clients are given.
        channels: book channels by name, in the order in which their pushes go out within one step.
        max_step: sequence numbers rise by 1 to this; 0: by 1 for each level that changes, and at times for none.
        broken_field: two texts; the fault `schema_change` turns the first into the second in every book frame.
        lacks: names of faults that this venue cannot show.
    """

    name: str
    ws_path: str
    channels: Mapping[str, Channel]
    max_step: int
    broken_field: tuple[str, str]
    lacks: frozenset[str]

    def default_insts(self, start_ns: int) -> list[str]:
        """List the ids to simulate by default, the best known first."""
        ...

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

        Raises:
            ConfigError: the venue has no ids like this.
        """
        ...

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level."""
        ...

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute the venue's checksum of a client's book."""
        ...

    def accepts(self, path: str) -> bool:
        """Tell whether there is a WebSocket at a path (without query)."""
        ...

    def opened(self, link: Link) -> list[Action]:
        """Greet a new connection."""
        ...

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame, whatever it is."""
        ...

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Do what is due on a connection: heartbeats, cutting the idle ones."""
        ...

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        ...

    def encode(self, link: Link, push: Push) -> Sequence[str]:
        """Write a push as the venue does, in one frame or several."""
        ...

    def notice(self, link: Link) -> str:
        """Write the announcement that this connection will be closed soon."""
        ...

    def requested_inst(self, request: Request) -> str | None:
        """Name the instrument whose book a request asks for; None for any other request."""
        ...

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request."""
        ...

    def too_many_requests(self) -> Reply:
        """Answer a request that came too soon after others, with the time to wait."""
        ...
