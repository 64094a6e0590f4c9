"""What a venue is to the core: its channels as data, and a handful of pure functions between text and events."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from l2_exporter.core.events import BookPush, Event, Row
from l2_exporter.core.instrument import Instrument


class Continuity(Enum):
    """What proves that no message of a book is missing."""

    SEQUENCE = "sequence"
    CHECKSUM = "checksum"
    NONE = "none"


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
        time_decimals: digits of a second of its event time.
        stale_after_s: a live book that gets nothing for longer is lost; None: silence proves nothing.
        proven: a real recording of this channel replays without a break.
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
        first_data_s: time a subscription may take to bring its first book.
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


@dataclass(frozen=True, slots=True)
class BookAsked:
    """What a REST request for a book asks for; `levels` a side, None where it does not say."""

    inst: str
    levels: int | None


class Venue(Protocol):
    """One company's protocol. Implementations are pure: no socket, clock, thread, log or file."""

    @property
    def name(self) -> str:
        """The name used in paths."""

    @property
    def channels(self) -> dict[str, Channel]:
        """The book channels by the venue's own names; the default one comes first."""

    @property
    def link(self) -> LinkRules:
        """How its connections are used."""

    def market_of(self, inst: str) -> str:
        """Tell the market (perp, futures, spot, option) of an instrument from its id."""

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read one frame.

        Raises:
            SchemaError: a book frame that lacks what its channel promises.
            VenueError: not a frame of this venue at all. Nothing else is ever raised, whatever the bytes.
        """

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read the REST answer with one instrument's book, as a snapshot.

        Raises:
            VenueError: an error answer, or not the shape of a book.
        """

    def book_path(self, channel: str, inst: str) -> str:
        """Name the REST path and query of one instrument's book."""

    def book_asked(self, url: str) -> BookAsked | None:
        """Tell which book a URL asks for, None for any other URL."""

    def subscribe(self, books: Sequence[tuple[str, str]]) -> str:
        """Write the frame that subscribes (channel, instrument) pairs."""

    def unsubscribe(self, books: Sequence[tuple[str, str]]) -> str:
        """Write the frame that unsubscribes (channel, instrument) pairs."""

    def checksum(self, bids: list[Row], asks: list[Row]) -> int:
        """Compute the venue's checksum of a book, both sides best first."""

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether a checksum was really sent (a venue may have switched it off and send a constant)."""

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """Name the REST paths that list these markets (perp, futures, spot, option); none for one it does not have."""

    def further_instrument_paths(self, body: str) -> list[str]:
        """Name the paths that an answer of such a path leads to (a next page, one per underlying); mostly none.

        Raises:
            VenueError: as `decode_instruments`.
        """

    def decode_instruments(self, body: str) -> list[Instrument]:
        """Read the REST answer of such a path.

        Raises:
            VenueError: an error answer, or not the shape of a list of instruments.
        """


DATASETS = {"perp": "l2_perps", "futures": "l2_futures", "spot": "l2_spot", "option": "l2_options"}
"""The dataset of each market; a channel that is not the venue's default adds `.<suffix>`."""


def dataset_of(market: str, channel: Channel) -> str:
    """Name the dataset that a channel's books of one market are archived in."""
    base = DATASETS[market]
    return f"{base}.{channel.suffix}" if channel.suffix else base
