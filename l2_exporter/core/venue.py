"""What a venue is to the core: its channels as data, and a handful of pure functions between text and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from l2_exporter.core.events import BookPush, Event, Row
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.keys import Keys


class Continuity(Enum):
    """What proves that no message of a book is missing."""

    SEQUENCE = "sequence"
    CHECKSUM = "checksum"
    NONE = "none"


class Seeding(Enum):
    """Where the first book of a channel comes from."""

    PUSHED = "pushed"
    """The subscription brings it; where it does not (or no longer), REST is asked."""
    REST = "rest"
    """The stream knows changes only: a REST book is joined with the changes held back until it comes."""


class Scope(Enum):
    """What one sequence number counts."""

    BOOK = "book"
    """The messages of one book: each names the number it follows."""
    LINK = "link"
    """All frames of a connection: one that is missing may have been of any book on it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """What one channel of a venue gives.

    Attributes:
        depth: levels a side that the channel knows, None for the whole book.
        suffix: what its datasets are called behind the market's dataset, empty for the venue's default channel.
        continuity: the best proof it offers; a stream without it falls back to its checksum, else to the link alone.
        whole: every push is the whole book.
        checksum: its pushes carry (or once carried) a checksum of the book, over `checksum_depth` levels a side.
        slots: texts in a level at least, price and size first.
        checksum_apart: checksums come in frames of their own, and belong to the update before them.
        event_time: the field; empty where there is none, then a line is dated by receive time.
        time_decimals: digits of a second of its event time (6 where there is none).
        stale_after_s: a live book that gets nothing for longer is lost; None: silence proves nothing.
        proven: a real recording of this channel replays without a break.
        seeding: where its first book comes from.
        seed_levels: levels a side that a REST book has at most: beyond the last of a full one nothing is known, unless
            the channel has no more (`depth`). None: it has all there are.
        scope: what its sequence numbers count.
        overlaps: the first deltas behind a pushed book may be contained in it.
        truncates: the venue leaves it to the client to keep the best `depth` levels only.
        ws_url: where this channel is reached, if not where the venue's others are.
        orders: its messages tell of individual orders, and its levels are sums of them.
        window: orders a side that it shows at most; one that leaves the window looks like one that is done.
    """

    name: str
    depth: int | None
    suffix: str
    continuity: Continuity
    whole: bool
    checksum: bool
    event_time: str
    time_decimals: int
    push_interval_ms: int | None
    proven: bool
    stale_after_s: float | None = None
    slots: int = 2
    checksum_depth: int = 0
    needs_keys: bool = False
    checksum_apart: bool = False
    seeding: Seeding = Seeding.PUSHED
    seed_levels: int | None = None
    scope: Scope = Scope.BOOK
    overlaps: bool = False
    truncates: bool = False
    ws_url: str | None = None
    orders: bool = False
    window: int | None = None


@dataclass(frozen=True, slots=True)
class LinkRules:
    """How a venue wants its connections to be used.

    Attributes:
        ws_url, rest_url: where it is reached unless the user says otherwise.
        books_per_connection: subscriptions a connection carries at most.
        books_per_request: of them in one subscribing frame.
        requests_per_hour, request_burst: frames we may send on one connection.
        connects_per_s: connection attempts, all connections together.
        ping: the text that asks whether the link is alive, None: the protocol's own ping.
        ping_after_s: silence after which it is sent; dead_after_s: silence after which the link is given up.
        deflate: permessage-deflate is welcome.
        rest_requests, rest_per_s: REST budget, so many requests in so many seconds.
        first_data_s: time a subscription may take to bring its first message.
        book_weight: what one REST book costs of the budget.
        life_s: age at which the venue ends every connection; it is replaced before that. None: it names none.
    """

    ws_url: str
    rest_url: str
    books_per_connection: int
    books_per_request: int
    requests_per_hour: int
    request_burst: int
    connects_per_s: float
    ping: str | None
    ping_after_s: float
    dead_after_s: float
    deflate: bool
    rest_requests: int
    rest_per_s: float
    first_data_s: float
    book_weight: int = 1
    life_s: float | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A REST path that is asked for by POST, with a JSON body; an empty one where the venue wants none."""

    path: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class BookAsked:
    """What a REST request for a book asks for; `levels` a side, None where it does not say."""

    inst: str
    levels: int | None


class Connection(Protocol):
    """One connection's protocol: what is said on it, and what its frames mean. It may remember what it has heard.

    Frames to send are texts, in order. Nothing is sent here: a replay makes the same calls and sends nothing.
    """

    def opened(self) -> list[str]:
        """Write what a venue wants to hear first."""

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not a frame of this venue at all. Nothing else is ever raised, whatever the bytes.
        """

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Write the frames that subscribe (channel, instrument) pairs, at most `books_per_request` of them."""

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Write the frames that bring a fresh book. Where the venue must confirm the end first, `decode` goes on."""


class Venue(Protocol):
    """One company's protocol. Implementations are pure: no socket, clock, thread, log or file."""

    @property
    def name(self) -> str:
        """The name used in paths."""

    @property
    def hosts(self) -> Sequence[str]:
        """Where its sockets live, `domain` or `domain/path`, so that a recording tells its venue. No other has them."""

    @property
    def markets(self) -> Sequence[str]:
        """The markets its instruments are in, of perp, futures, spot, option; the best known first."""

    @property
    def channels(self) -> dict[str, Channel]:
        """The book channels by the venue's own names; the default one comes first."""

    @property
    def link(self) -> LinkRules:
        """How its connections are used."""

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection.

        Args:
            codes: what the wire calls instruments, by id; only those it does not call by their id. It may grow while
                the connection lasts: keep it, and look things up when they are needed.
        """

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument; mostly its id."""

    def market_of(self, inst: str) -> str:
        """Tell the market (perp, futures, spot, option) of an instrument from its id."""

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the REST answer with one instrument's book, as a snapshot.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the REST path and query of one instrument's book; None where REST cannot be joined with the stream."""

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for, None for any other URL."""

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute the venue's checksum of a book, both sides best first. Only asked of channels that have one."""

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether a checksum was really sent (a venue may have switched it off and send a constant)."""

    def instrument_paths(self, markets: Sequence[str]) -> Sequence[str | Post]:
        """Name the REST paths that list these markets (perp, futures, spot, option); none for one it does not have."""

    def further_instrument_paths(self, body: str) -> Sequence[str | Post]:
        """Name the paths that an answer of such a path leads to (a next page, one per underlying); mostly none.

        Raises:
            VenueError: as `decode_instruments`.
        """

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the REST answer of such a path.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """


@runtime_checkable
class AsksForTicket(Protocol):
    """A venue that tells for each connection where to go, to whoever asks; no credentials are needed."""

    def ticket_path(self) -> str | Post:
        """Name the REST path that is asked."""

    def address(self, ws_url: str, body: str) -> str:
        """Make the address of a new connection.

        Args:
            ws_url: the address in the settings; where it is not the venue's own, its host is kept.
            body: the answer.

        Raises:
            VenueError: an error answer, or not the shape of a ticket.
        """


DATASETS = {"perp": "l2_perps", "futures": "l2_futures", "spot": "l2_spot", "option": "l2_options"}
"""The dataset of each market; a channel that is not the venue's default adds `.<suffix>`."""
ORDER_EVENTS = {market: name.replace("l2_", "l3_") for market, name in DATASETS.items()}
"""The dataset of the events of individual orders; `.<suffix>` for all but a venue's first channel of orders."""
ORDER_BOOKS = {market: f"{name}_books" for market, name in ORDER_EVENTS.items()}
"""The dataset of whole books of orders, from time to time."""


@runtime_checkable
class Signs(Protocol):
    """A venue some of whose channels are only for who proves who he is, with keys of his own.

    Requests are made without keys, and so they are taped; the shell lets them be signed on their way out.
    """

    @property
    def key_parts(self) -> Sequence[str]:
        """The names of what makes up a key."""

    def signed(self, text: str, keys: Keys, at_ns: int) -> str:
        """Add to a text that is sent what proves who sends it.

        Raises:
            ConfigError: the keys are none; no part of them is shown.
        """

    def headers(self, path: str, keys: Keys, at_ns: int) -> Mapping[str, str]:
        """Make the headers of a REST request that prove who asks.

        Raises:
            ConfigError: as `signed`.
        """


FROM_ORDERS = "from_l3"
"""The suffix of levels made of orders, where a venue has levels of its own; more may stand behind it."""


def dataset_of(market: str, channel: Channel) -> str:
    """Name the dataset that a channel's books of one market are archived in."""
    base = DATASETS[market]
    return f"{base}.{channel.suffix}" if channel.suffix else base


def order_datasets_of(market: str, channel: Channel) -> tuple[str, str]:
    """Name the datasets of a channel of orders: that of their events, and that of whole books of them."""
    suffix = channel.suffix.removeprefix(FROM_ORDERS).lstrip("-.")
    behind = f".{suffix}" if suffix else ""
    return f"{ORDER_EVENTS[market]}{behind}", f"{ORDER_BOOKS[market]}{behind}"
