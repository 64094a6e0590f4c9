"""Bitfinex v2: the channel `book` in real time, levels (precision P0) and single orders (R0), at several lengths.

Sources: docs.bitfinex.com "General", "Order Books", "WebSocket checksum", "Requirements and limitations" (copies of
2024 to 2026), a third party's survey of the wire of 22 September 2026, a recording of April 2021. See
docs/venues/bitfinex.md.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby, zip_longest

from l2_exporter.core.errors import VenueError
from l2_exporter.core.events import BookPush, Row
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.venue import FROM_ORDERS, BookAsked, Channel, Connection, Continuity, LinkRules, Scope
from l2_exporter.venues import bitfinex_instruments
from l2_exporter.venues.bitfinex_link import LEVELS, ORDERS, BitfinexConnection

NAME = bitfinex_instruments.NAME
CHECKSUM_LEVELS = 25
SLOTS = 4
"""A level is `[price, size, "0", orders]`."""
ORDER_SLOTS = 3
"""An order is `[price, size, id]`."""


def _book_channel(name: str, depth: int, *, proven: bool) -> Channel:
    return Channel(
        name=name,
        depth=depth,
        suffix="" if name == "book" else name,
        continuity=Continuity.SEQUENCE,
        whole=False,
        checksum=True,
        event_time="last of the tail (TIMESTAMP)",
        time_decimals=3,
        push_interval_ms=None,
        proven=proven,
        # A book that does not change pushes nothing: heartbeats are of the channel, not of the book, and tell of the
        # link. So silence of a book proves nothing, and that of the link is judged by `dead_after_s`.
        stale_after_s=None,
        slots=SLOTS,
        checksum_depth=CHECKSUM_LEVELS,
        checksum_apart=True,
        scope=Scope.LINK,
    )


def _order_channel(name: str, orders: int, *, proven: bool) -> Channel:
    """Describe a raw book: the best orders a side, so at most as many levels."""
    levels = _book_channel(name, orders, proven=proven)
    return replace(levels, suffix=name.replace("book-R0", FROM_ORDERS), orders=True, window=orders)


CHANNELS = {
    channel.name: channel
    for channel in (
        # As deep as it is offered. The recording is of a book of 100 levels.
        _book_channel("book", 250, proven=False),
        _book_channel("book-100", 100, proven=True),
        _book_channel("book-25", 25, proven=False),
        _order_channel("book-R0", 250, proven=False),
        _order_channel("book-R0-25", 25, proven=True),
    )
}
"""One a precision and length: the wire calls all of them `book`, and the confirmation of a subscription tells both."""

LINK = LinkRules(
    ws_url="wss://api-pub.bitfinex.com/ws/2",
    rest_url="https://api-pub.bitfinex.com",
    # 25 channels a connection ("Requirements and limitations"; 36 were accepted in September 2026); one a request.
    books_per_connection=25,
    books_per_request=1,
    # No limit of requests is published; these are few for an hour, and enough for a full connection at once.
    requests_per_hour=3600,
    request_burst=30,
    # 20 connections a minute on this host; above that it is closed for 60 s ("Requirements and limitations").
    connects_per_s=0.3,
    # Each channel has a heartbeat every 15 s: a connection with a subscription is never silent for longer. Without
    # one it is closed after 60 s.
    ping='{"event":"ping","cid":1}',
    ping_after_s=20,
    dead_after_s=30,
    # Offered and not accepted in September 2026.
    deflate=False,
    # 10 to 90 requests a minute by path, then 60 s without ("Requirements and limitations"); asked for lists only.
    rest_requests=10,
    rest_per_s=60,
    first_data_s=10,
)


class Bitfinex:
    """Bitfinex as the core sees it."""

    name = NAME
    hosts = ("api-pub.bitfinex.com/ws/2", "api.bitfinex.com/ws/2")
    markets = ("spot", "perp")
    channels = CHANNELS
    link = LINK
    instrument_paths = staticmethod(bitfinex_instruments.instrument_paths)
    further_instrument_paths = staticmethod(bitfinex_instruments.further_instrument_paths)
    decode_instruments = staticmethod(bitfinex_instruments.decode_instruments)
    market_of = staticmethod(bitfinex_instruments.market_of)

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection, which remembers what the numbers of its channels stand for."""
        return BitfinexConnection(
            {channel.name: (ORDERS if channel.orders else LEVELS, str(channel.depth)) for channel in CHANNELS.values()}
        )

    def code_of(self, instrument: Instrument) -> str:
        """Tell what the wire calls an instrument: its id."""
        return instrument.inst

    def book_path(self, channel: str, inst: str) -> None:
        """Name no REST path: a REST book has no number, and cannot be joined with the stream."""

    def book_asked(self, url: str) -> BookAsked | None:
        """No URL asks for a book of use."""
        return None

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Refuse a REST book: it has no number.

        Raises:
            VenueError: always.
        """
        raise VenueError(f"a REST book of Bitfinex cannot be joined with its stream, so that of {inst} is not read")

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Compute CRC-32, signed, of the best 25 levels: `bid price:amount:ask price:-amount:...`, texts as sent.

        The wire's amounts of asks are negative; levels keep them without the sign ("WebSocket checksum"). Of a raw book
        it is the best 25 orders, their ids in the place of prices, those of one price in the order of their ids.
        """
        parts: list[str] = []
        for bid, ask in zip_longest(_summed(bids), _summed(asks)):
            if bid is not None:
                parts += bid
            if ask is not None:
                parts += [ask[0], f"-{ask[1]}"]
        unsigned = zlib.crc32(":".join(parts).encode())
        return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether there is something to check. 0 is the sum of a book without levels, which needs no check."""
        return bool(checksum)


def _summed(rows: Sequence[Row]) -> list[Row]:
    """Choose what a checksum names of a side: pairs of price and size, or of order id and size."""
    if not rows or len(rows[0]) != ORDER_SLOTS:
        return [row[:2] for row in rows[:CHECKSUM_LEVELS]]
    orders = [row for _, same in groupby(rows, key=lambda row: Decimal(row[0])) for row in sorted(same, key=_ident)]
    return [[ident, size] for _, size, ident in orders[:CHECKSUM_LEVELS]]


def _ident(order: Row) -> int:
    return int(order[2])
