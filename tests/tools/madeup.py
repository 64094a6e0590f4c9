"""A venue that does not exist, with the simplest wire there can be: for what the core must do and no one venue shows.

Frames are JSON objects with a `kind`; what its channel promises is the test's to choose. Its REST book is at
`/book?inst=...&levels=...`. The driver feeds it to the core, and a book is compared with a dict of decimals.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from l2_exporter.core.books import Settings
from l2_exporter.core.commands import Command, FetchBook, SendFrame
from l2_exporter.core.errors import SchemaError, VenueError, clip
from l2_exporter.core.events import (
    BookPush,
    Change,
    ClosingSoon,
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
)
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.records import HourOver, HoursOver, LedgerRecord, OrderRecord, SnapshotRecord
from l2_exporter.core.state import Standing
from l2_exporter.core.venue import BookAsked, Channel, Connection, Continuity, LinkRules, Scope, Seeding

MS = 1_000_000
T0 = 1_700_000_000_000
"""In milliseconds: when a test begins, by the venue's clock and by ours."""
CHANNEL = "deep"
INST = "AAA"
OTHER = "BBB"
URL = "wss://madeup.invalid/ws"
BIDS = [["100", "1"], ["99.5", "2"], ["99", "3"]]
ASKS = [["100.5", "1"], ["101", "2"], ["101.5", "3"]]
SUM_LEVELS = 2

PUSHED = Channel(
    name=CHANNEL,
    depth=None,
    suffix="",
    continuity=Continuity.SEQUENCE,
    whole=False,
    checksum=False,
    event_time="t",
    time_decimals=3,
    push_interval_ms=100,
    proven=False,
)
SEEDED = replace(PUSHED, seeding=Seeding.REST)
"""Changes only: the first book comes from REST."""
KNOWN = replace(SEEDED, seed_levels=8)
"""As SEEDED, and a REST book has eight levels a side at most."""
LINKWIDE = replace(PUSHED, scope=Scope.LINK)
"""The numbers count the frames of a connection."""
SUMMED = replace(PUSHED, checksum=True, checksum_apart=True, checksum_depth=SUM_LEVELS)
"""Checksums come in frames of their own."""
ORDERS = replace(PUSHED, orders=True, suffix="from_l3", slots=4)
"""Single orders; a change is `[kind, id, side, price, size]`."""
UNDATED = replace(PUSHED, event_time="", time_decimals=6)
"""No event time."""

LINK = LinkRules(
    ws_url=URL,
    rest_url="https://madeup.invalid",
    books_per_connection=10,
    books_per_request=10,
    requests_per_hour=1000,
    request_burst=100,
    connects_per_s=10,
    ping=None,
    ping_after_s=20,
    dead_after_s=30,
    deflate=False,
    rest_requests=10,
    rest_per_s=1,
    first_data_s=5,
    book_weight=7,
)


class Madeup:
    """The venue, and each of its connections."""

    name = "madeup"
    hosts = ("madeup.invalid",)
    markets = ("spot",)

    def __init__(self, channel: Channel, link: LinkRules = LINK) -> None:
        self.channels = {channel.name: channel}
        self.link = link

    def connection(self, codes: Mapping[str, str]) -> Connection:
        """Begin a connection."""
        return self

    def opened(self) -> list[str]:
        """Greet."""
        return ["hello"]

    def decode(self, frame: str | bytes) -> list[Event]:
        """Read a frame; its number comes first where it has one."""
        try:
            message = json.loads(frame)
        except ValueError as error:
            raise VenueError(f"not JSON: {clip(frame)}") from error
        numbered: list[Event] = [Numbered(message["n"])] if "n" in message else []
        return [*numbered, self._event(message)]

    def _event(self, message: dict[str, Any]) -> Event:
        kind, text = message["kind"], message.get("text", "")
        if kind in {push.value for push in Push}:
            return self._push(Push(kind), message)
        events: dict[str, Event] = {
            "ack": Subscribed(CHANNEL, message.get("inst", "")),
            "error": Refused("1", text),
            "soon": ClosingSoon("2", text),
            "reopen": Reopen("3", text),
            "say": Say(text),
            "beat": Other("beat"),
        }
        return events.get(kind, Other(kind, known=False))

    def _push(self, push: Push, message: dict[str, Any]) -> BookPush:
        inst = message["inst"]
        if push is not Push.CHECKSUM and "bids" not in message:
            raise SchemaError("no bids", channel=CHANNEL, inst=inst, missing=("bids",))
        ts = message.get("t")
        return BookPush(
            push,
            CHANNEL,
            inst,
            message.get("bids", []),
            message.get("asks", []),
            None if ts is None else ts * MS,
            message.get("n", message.get("seq")),
            message.get("prev"),
            message.get("sum"),
            [OrderChange(Change(kind), *rest) for kind, *rest in message.get("changes", [])],
        )

    def subscribe(self, books: Sequence[tuple[str, str]]) -> list[str]:
        """Subscribe books in one frame."""
        return ["subscribe " + " ".join(inst for _, inst in books)]

    def resubscribe(self, channel: str, inst: str) -> list[str]:
        """Subscribe a book anew."""
        return [f"again {inst}"]

    def code_of(self, instrument: Instrument) -> str:
        """Call instruments by their id."""
        return instrument.inst

    def market_of(self, inst: str) -> str:
        """Have spot only."""
        return "spot"

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name the path of a book where the stream can be joined with one."""
        levels = self.channels[channel].seed_levels
        if self.channels[channel].seeding is not Seeding.REST:
            return None
        return f"/book?inst={inst}" + ("" if levels is None else f"&levels={levels}")

    def book_asked(self, url: str) -> BookAsked | None:
        """Read such a path."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        if parts.path != "/book":
            return None
        return BookAsked(query["inst"][0], int(query["levels"][0]) if "levels" in query else None)

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Read its answer."""
        book = json.loads(body)
        event_ns = None if book["t"] is None else book["t"] * MS
        return BookPush(Push.SNAPSHOT, channel, inst, book["bids"], book["asks"], event_ns, book["seq"], None, None)

    def checksum(self, bids: list[Row], asks: list[Row]) -> int:
        """Sum the best levels."""
        return zlib.crc32(json.dumps([bids[:SUM_LEVELS], asks[:SUM_LEVELS]]).encode())

    def checksum_given(self, checksum: int | None) -> bool:
        """Tell whether one was sent."""
        return checksum is not None

    def instrument_paths(self, markets: Sequence[str]) -> list[str]:
        """List nothing."""
        return []

    def further_instrument_paths(self, body: str) -> list[str]:
        """Lead nowhere."""
        return []

    def decode_instruments(self, body: str) -> list[Instrument]:
        """List nothing."""
        return []


class Driver:
    """Feeds a made-up venue to the core, and keeps what comes out. Times are milliseconds after T0.

    Args:
        insts: the books of connection c1; more: those of others.
        settings: of the feed, beside these.

    Attributes:
        lines: the records of lines; events: those of order events; hours: those that are over; commands: those not
            taken yet by `taken`.
    """

    def __init__(
        self,
        channel: Channel,
        *insts: str,
        link: LinkRules = LINK,
        more: Mapping[str, Sequence[tuple[str, str]]] | None = None,
        depth: int = 400,
        **settings: Any,
    ) -> None:
        self.insts = insts or (INST,)
        self.venue = Madeup(channel, link)
        connections = {"c1": [(CHANNEL, inst) for inst in self.insts], **(more or {})}
        self.feed = Feed(self.venue, Settings(connections=connections, depth=depth, **settings), NoHistory())
        self.lines: list[SnapshotRecord] = []
        self.events: list[OrderRecord] = []
        self.hours: list[HourOver | HoursOver] = []
        self.ledger: list[LedgerRecord] = []
        self.commands: list[Command] = []
        self._sort(self.feed.started(stamp(0)))
        self.open("c1", 0)

    def open(self, conn: str, at: int, replaces: str | None = None) -> None:
        """Open a connection."""
        self._sort(self.feed.link_opened(conn, URL, "live", stamp(at), replaces))

    def close(self, conn: str, at: int) -> None:
        """Close a connection."""
        self._sort(self.feed.link_closed(conn, "closed", stamp(at)))

    def send(self, at: int, kind: str, conn: str = "c1", **fields: Any) -> None:
        """Feed one frame; a book frame is of INST, has no rows and carries the time, unless told otherwise."""
        if kind in ("snapshot", "delta", "whole"):
            fields = {"inst": INST, "bids": [], "asks": [], "t": T0 + at} | fields
        elif kind == "checksum":
            fields = {"inst": INST} | fields
        self._sort(self.feed.frame_received(conn, json.dumps({"kind": kind} | fields), stamp(at)))

    def raw(self, at: int, frame: str, conn: str = "c1") -> None:
        """Feed any text."""
        self._sort(self.feed.frame_received(conn, frame, stamp(at)))

    def reply(self, at: int, seq: int, inst: str = INST, *, t: int | None = None, **fields: Any) -> None:
        """Answer the request for a REST book, as of the moment `t`; 0: it has no time."""
        ts = None if t == 0 else T0 + (at if t is None else t)
        body = json.dumps({"bids": BIDS, "asks": ASKS, "seq": seq, "t": ts} | fields)
        url = self.venue.link.rest_url + (self.venue.book_path(CHANNEL, inst) or "")
        self._sort(self.feed.book_replied(url, 200, body, stamp(at)))

    def fail(self, at: int, inst: str = INST) -> None:
        """Answer the request for a REST book with an error."""
        url = self.venue.link.rest_url + (self.venue.book_path(CHANNEL, inst) or "")
        self._sort(self.feed.book_replied(url, 503, "busy", stamp(at)))

    def tick(self, at: int) -> None:
        """Let time pass."""
        self._sort(self.feed.ticked(stamp(at)))

    def stop(self, at: int) -> None:
        """Stop cleanly."""
        self._sort(self.feed.stopped(stamp(at)))

    def keeper(self, inst: str = INST) -> Keeper:
        """Return the keeper of a book."""
        return self.feed.keepers[CHANNEL, inst]

    def standing(self, inst: str = INST) -> Standing:
        """Tell where a book stands."""
        return self.keeper(inst).standing

    def levels(self, inst: str = INST) -> tuple[list[Row], list[Row]]:
        """Return the rows of a book as it stands."""
        book = self.keeper(inst).state.book
        return book.bids.rows, book.asks.rows

    def taken(self) -> list[str]:
        """Take what was asked of the venue since the last time: texts sent, and paths fetched after a `GET`."""
        said = []
        for command in self.commands:
            if isinstance(command, SendFrame):
                said.append(f"{command.conn} {command.text}")
            elif isinstance(command, FetchBook):
                said.append(f"GET {command.path}")
            else:
                said.append(repr(command))
        self.commands = []
        return said

    def said(self, kind: str) -> list[LedgerRecord]:
        """Return the ledger records of one kind."""
        return [record for record in self.ledger if record.kind == kind]

    def losses(self) -> list[tuple[str, str | None]]:
        """Return the losses as (instrument, reason)."""
        return [(record.spec.inst, record.reason) for record in self.said("gap") if record.spec is not None]

    def counts(self, inst: str = INST) -> tuple[int, ...]:
        """Return (received, applied, duplicate, before_seed, rejected, ignored), checked for conservation."""
        counts = self.keeper(inst).counts
        parts = (counts.applied, counts.duplicate, counts.before_seed, counts.rejected, counts.ignored)
        assert counts.received == sum(parts)
        return (counts.received, *parts)

    def _sort(self, outputs: Sequence[object]) -> None:
        for output in outputs:
            if isinstance(output, SnapshotRecord):
                self.lines.append(output)
            elif isinstance(output, OrderRecord):
                self.events.append(output)
            elif isinstance(output, HourOver | HoursOver):
                self.hours.append(output)
            elif isinstance(output, LedgerRecord):
                self.ledger.append(output)
            else:
                self.commands.append(output)  # type: ignore[arg-type]


def stamp(at: int) -> Stamp:
    """Return the arrival of an input so many milliseconds after T0."""
    return Stamp((T0 + at) * MS, (T0 + at) * MS)


def applied(rows: Mapping[Decimal, Row], changes: Sequence[Row]) -> dict[Decimal, Row]:
    """Apply absolute changes to a naive side: a dict of rows by price."""
    side = dict(rows) | {Decimal(row[0]): row for row in changes}
    return {price: row for price, row in side.items() if Decimal(row[1]) != 0}
