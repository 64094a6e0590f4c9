"""Replay OKX tapes the slow and obvious way: an executable statement of the archive's contract.

Written from the contract alone, for one purpose: to be compared with the recorder. It must NOT import the
recorder, and it must not become fast: a book is a dict keyed by Decimal, copied and sorted for every frame,
and every checksum is computed again from the whole book. Numbers in brackets are the rules of the contract,
[4.x] the sampling rule, [5] continuity.

Units: `*_ns` are integer nanoseconds since the epoch (event and receive time) or of any steady clock
(elapsed). Levels are the venue's own rows, `[price, size, "0", orders]`.
"""

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

Row = list[Any]
Side = dict[Decimal, Row]
Line = Mapping[str, Any]

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
AHEAD_NS = 60 * SECOND_NS  # further ahead than this an event time is odd [4.7]
LEAP_NS = 60 * SECOND_NS
SEAL_AFTER_NS = 120 * SECOND_NS  # an hour is sealed this long after its end on the venue's clock
LAST_EVENT_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
AGREEING = 10  # odd event times in a row that are believed in the end [4.7]
SCHEMA_BREAK = 3  # odd frames in a row that end the run [5]

DEPTH_OF_CHANNEL = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}
SEQUENCED = {"books", "books-l2-tbt", "books50-l2-tbt"}  # the others push a whole book every time
OUTCOMES = ("received", "applied", "duplicate", "before_seed", "rejected", "ignored")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]([+-]?[0-9]+))?")


@dataclass(slots=True)
class Message:
    """One book of one frame, or one REST book."""

    action: str  # "snapshot", "update", or "rest"
    bids: list[Row]
    asks: list[Row]
    event_ns: int | None
    recv_ns: int | None
    elapsed_ns: int | None
    seq: int | None = None
    prev: int | None = None
    checksum: int | None = None


@dataclass(slots=True)
class Episode:
    """A live book from its fresh snapshot to its loss; nothing in here outlives the loss."""

    bids: Side
    asks: Side
    update: Message  # the last one applied: what a line shows beside the levels
    from_rest: bool  # the next line is the first after a REST seed
    joining: bool = False  # from REST, and no update has continued it yet
    book_time_ns: int | None = None
    live_since_ns: int | None = None
    last_pair: tuple[int | None, int | None] | None = None  # (prevSeqId, seqId) accepted last
    last_event_ns: int | None = None  # event time accepted last, as the venue sent it
    checksum_ok: bool | None = None
    bad_checksums: int = 0  # in a row
    checked: bool = False  # a checksum has been compared, so that a missing message would show
    bucket: int | None = None  # the open one
    deadline_ns: int | None = None

    @property
    def last_seq(self) -> int | None:
        return self.last_pair[1] if self.last_pair else None

    @property
    def shows_losses(self) -> bool:
        """Tell whether a message that went missing would show in what comes next [5]."""
        return self.last_seq is not None or self.checked


@dataclass(slots=True)
class Book:
    """One instrument on one channel, through all its episodes."""

    dataset: str
    inst: str
    channel: str
    owner: str | None = None  # the connection it belongs to
    episode: Episode | None = None  # None: not live
    sequenced: bool = False  # a sequence number has been seen on this book
    closed: int | None = None  # last bucket closed in this run
    after_gap: bool = False  # the next line is the first after a loss
    recheck: bool = False  # lost by checksum: the next check decides about the algorithm
    buffer: list[Message] = field(default_factory=list)  # a chain of updates that waits for a REST book
    window: dict[str, Any] | None = None  # the loss that is not over yet

    @property
    def deadline_ns(self) -> int | None:
        return self.episode.deadline_ns if self.episode else None


@dataclass(slots=True)
class Outcome:
    """What a replay leaves behind."""

    files: dict[str, list[bytes]]  # hour file -> all its lines, those of earlier runs included
    windows: list[dict[str, Any]] = field(default_factory=list)
    lost: set[tuple[str, str]] = field(default_factory=set)  # (dataset, inst) of losses that are not over
    counters: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    checksums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("ok", "mismatch", "unchecked"), 0))
    odd_event_times: int = 0
    late_lines: int = 0
    canaries: list[str] = field(default_factory=list)
    schema_break: bool = False


# ---------------------------------------------------------------------------------------------- small rules


def utc_text(ns: int, decimals: int) -> str:
    """Write epoch nanoseconds as UTC text, cut (not rounded) to `decimals`."""
    seconds, rest = divmod(ns, SECOND_NS)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{f'{rest:09d}'[:decimals]}Z"


def utc_ns(text: str) -> int:
    """Read UTC text with any number of decimals as epoch nanoseconds."""
    whole, _, decimals = text.removesuffix("Z").partition(".")
    since = datetime.fromisoformat(whole + "+00:00") - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + int(decimals.ljust(9, "0") or 0)


def market_of(inst: str) -> str:
    """Tell the market from the id."""
    if inst.endswith("-SWAP"):
        return "perp"
    if re.search(r"-[0-9]{6}-[0-9.]+-[CP]$", inst):
        return "option"
    return "futures" if re.search(r"-[0-9]{6}$", inst) else "spot"


def dataset_of(inst: str, channel: str) -> str:
    """Name the dataset: the default channel has the plain name, every other one its own."""
    plain = {"perp": "l2_perps", "futures": "l2_futures", "option": "l2_options", "spot": "l2_spot"}
    name = plain[market_of(inst)]
    return name if channel == "books" else f"{name}.{channel}"


def hour_path(dataset: str, inst: str, ns: int) -> str:
    """Name the hour file that a book time belongs to [4.6]."""
    text = utc_text(ns, 3)
    return f"raw/okx/{dataset}/{inst}/{text[:10]}/{text[11:13]}.jsonl"


def best_first(side: Side, *, bids: bool) -> list[Row]:
    """Return the rows of one side, best price first."""
    return [side[price] for price in sorted(side, reverse=bids)]


def with_rows(side: Side, rows: Iterable[Row]) -> Side:
    """Return a copy with the rows applied: the whole row replaces, zero size removes."""
    copy = dict(side)
    for row in rows:
        price = Decimal(row[0])
        copy.pop(price, None)
        if Decimal(row[1]) != 0:
            copy[price] = row
    return copy


def checksum(bids: Side, asks: Side) -> int:
    """Compute the venue's signed CRC32 over the best 25 levels, bid and ask in turn."""
    sides = best_first(bids, bids=True), best_first(asks, bids=False)
    levels = [rows[i] for i in range(25) for rows in sides if i < len(rows)]
    crc = zlib.crc32(":".join(f"{row[0]}:{row[1]}" for row in levels).encode())
    return crc - 2**32 if crc >= 2**31 else crc


def mid_price(bid: str, ask: str) -> str:
    """Return the exact mean in plain notation without trailing zeros."""
    with localcontext(prec=400):
        text = format((Decimal(bid) + Decimal(ask)) / 2, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def event_time(ts: object) -> int | None:
    """Read `ts` (epoch milliseconds, text or a JSON integer); None where it names no moment [4.7]."""
    text = str(ts) if is_whole(ts) else ts
    if not isinstance(text, str) or not re.fullmatch("[0-9]{1,15}", text):
        return None
    return int(text) * 10**6 if 0 < int(text) <= LAST_EVENT_MS else None


def is_number(text: object) -> bool:
    """Tell whether a price or size is a plain decimal number of sane length and exponent."""
    if not isinstance(text, str) or len(text) > 64:
        return False
    found = NUMBER.fullmatch(text)
    return found is not None and abs(int(found[3] or 0)) <= 30


def is_row(row: object) -> bool:
    """Tell whether a level has the right shape: price above zero, size not below."""
    if not isinstance(row, list) or len(row) < 2 or not is_number(row[0]) or not is_number(row[1]):
        return False
    return Decimal(row[0]) > 0 and Decimal(row[1]) >= 0


def is_whole(value: object) -> bool:
    """Tell whether a JSON value is an integer; true and false are not."""
    return type(value) is int


def no_number(text: str) -> None:
    """Refuse NaN and Infinity, which JSON does not know and Python does."""
    raise ValueError(text)


def is_readable(text: str) -> bool:
    """Tell whether a frame is JSON or the one plain text the venue sends."""
    try:
        json.loads(text, parse_constant=no_number)
    except ValueError:
        return text == "pong"
    return True


def book_frame(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return (channel, frame) of a book frame in any state; None for everything else a link carries."""
    try:
        frame = json.loads(text, parse_constant=no_number)
    except ValueError:
        return None
    if not isinstance(frame, dict) or ("event" in frame and "data" not in frame):
        return None
    arg = frame.get("arg")
    channel = arg.get("channel") if isinstance(arg, dict) else None
    return (channel, frame) if isinstance(channel, str) and channel in DEPTH_OF_CHANNEL else None


def has_book_shape(data: object) -> bool:
    """Tell whether one element of `data` is a book: `ts`, `bids`, `asks`, whole counters."""
    if not isinstance(data, dict) or "ts" not in data:
        return False
    for side in ("bids", "asks"):
        if not isinstance(data.get(side), list) or not all(is_row(row) for row in data[side]):
            return False
    return all(is_whole(data[key]) for key in ("seqId", "prevSeqId", "checksum") if key in data)


def books_of(frame: dict[str, Any], book: Book, recv_ns: int | None, elapsed_ns: int | None) -> list[Message] | None:
    """Return the books of a frame, or None where the frame is odd [5]."""
    data = frame.get("data")
    if not isinstance(data, list) or not data or not all(has_book_shape(one) for one in data):
        return None
    action = frame.get("action") if book.channel in SEQUENCED else "snapshot"
    if action not in ("snapshot", "update"):
        return None
    sequenced = book.sequenced
    for one in data if book.channel in SEQUENCED else ():
        both, none = "seqId" in one and "prevSeqId" in one, "seqId" not in one and "prevSeqId" not in one
        if not (both or (none and not sequenced)):
            return None
        sequenced = both
    return [message_of(action, one, recv_ns, elapsed_ns) for one in data]


def message_of(action: str, data: dict[str, Any], recv_ns: int | None, elapsed_ns: int | None) -> Message:
    """Take over one element of `data` that has the right shape."""
    return Message(
        action=action,
        bids=data["bids"],
        asks=data["asks"],
        event_ns=event_time(data["ts"]),
        recv_ns=recv_ns,
        elapsed_ns=elapsed_ns,
        seq=data.get("seqId"),
        prev=data.get("prevSeqId"),
        checksum=data.get("checksum"),
    )


def arrival(line: Line) -> tuple[int | None, int | None]:
    """Return the receive time and the elapsed time of an input."""
    recv_ns = line.get("recv_ns")
    return recv_ns, recv_ns if line.get("mono_ns") is None else line["mono_ns"]


def rest_asked(line: Line) -> tuple[str, int | None] | None:
    """Return the instrument and the number of levels that a REST request for a book asked for, None for any other."""
    address, _, query = str(line.get("url") or "").partition("?")
    wanted = dict(part.partition("=")[::2] for part in query.split("&"))
    if not address.endswith("/api/v5/market/books") or not wanted.get("instId"):
        return None
    levels = wanted.get("sz", "")
    return wanted["instId"], int(levels) if re.fullmatch("[0-9]+", levels) else None


def rest_book(line: Line) -> Message | None:
    """Return the book of a REST answer, None where the answer can seed none."""
    if line.get("status") not in (None, 200):
        return None
    try:
        answer = json.loads(line["frame"], parse_constant=no_number)
    except ValueError:
        return None
    if not isinstance(answer, dict) or answer.get("code") != "0":
        return None
    data = answer.get("data")
    if not isinstance(data, list) or len(data) != 1 or not has_book_shape(data[0]) or "seqId" not in data[0]:
        return None
    message = message_of("rest", data[0], *arrival(line))
    message.prev = message.checksum = None
    return message


def cut(rest: Message, depth: int) -> Message:
    """Return a REST book with no more levels than the channel knows."""
    bids, asks = with_rows({}, rest.bids), with_rows({}, rest.asks)
    return replace(rest, bids=best_first(bids, bids=True)[:depth], asks=best_first(asks, bids=False)[:depth])


def continuing(rest: Message, buffer: Sequence[Message]) -> Sequence[Message] | None:
    """Return the buffered updates that continue a REST book, None where the two cannot be joined [5]."""
    seq = rest.seq
    joints = [at for at, m in enumerate(buffer) if m.prev == seq != m.seq or m.prev < seq < m.seq]
    if buffer and buffer[-1].seq == seq:
        joints.append(len(buffer))
    if len(joints) == 1:
        return buffer[joints[0] :]
    # After a reset of the numbers several may join, and a smaller number tells nothing of age: none is sure.
    are_older = all(m.prev <= m.seq <= seq and not is_past(m, rest.event_ns) for m in buffer)
    return [] if not joints and are_older else None


def is_past(message: Message, book_ns: int | None) -> bool:
    """Tell whether an update is dated more than 10 s after a book: then the book cannot hold it."""
    return None not in (message.event_ns, book_ns) and message.event_ns > book_ns + 10 * SECOND_NS


def in_order(tapes: Sequence[Iterable[Line]]) -> list[Line]:
    """Put the lines of all tapes in one order: by n, else by receive time, else as the files stand."""
    lines = [line for tape in tapes for line in tape]
    for key in ("n", "recv_ns"):
        if all(line.get(key) is not None for line in lines):
            return sorted(lines, key=lambda line: line[key])
    return lines


# ---------------------------------------------------------------------------------------------- the replay


def replay(
    tapes: Sequence[Iterable[Line]],
    *,
    cadence_s: str = "2",
    depth: int = 400,
    grace_s: str = "1",
    instruments: Iterable[str] | None = None,
    existing: Mapping[str, Sequence[bytes]] | None = None,
    lost: Iterable[tuple[str, str]] = (),
    checksum_resync: int = 3,
    sealed: Iterable[tuple[str, str, int]] = (),
) -> Outcome:
    """Replay tapes into hour files.

    `existing` are the hour files of earlier runs (nothing torn); they are taken over, and only added to. `lost` are
    the losses that earlier runs left open, `sealed` the hours that they closed for good [4.6].
    """
    run = _Run(
        cadence_ns=int(Decimal(cadence_s) * SECOND_NS),
        depth=depth,
        grace_ns=int(Decimal(grace_s) * SECOND_NS),
        instruments=None if instruments is None else set(instruments),
        existing={path: list(lines) for path, lines in (existing or {}).items()},
        checksum_resync=checksum_resync,
        sealed=frozenset(sealed),
    )
    run.outcome.lost.update(lost)
    for line in in_order(tapes):
        run.take(line)
        if run.outcome.schema_break:
            break
    run.finish()
    return run.outcome


@dataclass(slots=True)
class _Run:
    cadence_ns: int
    depth: int
    grace_ns: int
    instruments: set[str] | None
    existing: dict[str, list[bytes]]
    checksum_resync: int
    books: dict[tuple[str, str], Book] = field(default_factory=dict)  # by (channel, inst), as they first appear
    made: dict[str, tuple[int, bool]] = field(default_factory=dict)  # hour file -> key of this run's last line
    newest_hour: dict[tuple[str, str], int] = field(default_factory=dict)
    odd_in_a_row: dict[str, int] = field(default_factory=dict)  # by channel, once it has had a frame
    checking: bool = True
    clock_ns: int = 0  # the venue's clock at the input, before it is looked at
    lead_ns: int | None = None  # greatest (event - elapsed) accepted
    clock_lead_ns: int | None = None  # the same, since our own clock has leapt by more than a minute
    elapsed_ns: int | None = None  # of the input before
    sealed: frozenset[tuple[str, str, int]] = frozenset()  # dataset, instrument and hour: by earlier runs
    newest_event_ns: int = 0
    doubted: list[int] = field(default_factory=list)  # (event - elapsed) of the odd event times in a row
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(files={path: list(lines) for path, lines in self.existing.items()})

    # ------------------------------------------------------------------------------------------ inputs

    def restart(self, book: Book) -> None:
        book.after_gap = (book.dataset, book.inst) in self.outcome.lost
        prefix = f"raw/okx/{book.dataset}/{book.inst}/"
        paths = [path for path, lines in self.existing.items() if path.startswith(prefix) and lines]
        if paths:
            newest = json.loads(self.existing[max(paths)][-1])
            self.declare(book, "restart", newest["timestamp_utc"], newest["received_utc"])

    def take(self, line: Line) -> None:
        """Process one input in the order of [4.4]; commands are no inputs."""
        if line["dir"] == "out":
            return
        recv_ns, elapsed_ns = arrival(line)
        if None not in (elapsed_ns, self.elapsed_ns) and elapsed_ns - self.elapsed_ns > LEAP_NS:
            self.clock_lead_ns = None
        self.elapsed_ns = elapsed_ns
        self.run_deadlines(elapsed_ns)
        if line["dir"] == "in":
            self.take_frame(line, recv_ns, elapsed_ns)
        elif line["dir"] == "http":
            self.take_rest(line)
        elif line["dir"] in ("close", "open"):  # a link that is opened again was closed before
            self.close_link(line.get("conn"))

    def set_clock(self, elapsed_ns: int | None) -> None:
        """Set the venue's clock: greatest event time plus elapsed time."""
        self.clock_ns = self.newest_event_ns
        if elapsed_ns is not None and self.clock_lead_ns is not None:
            self.clock_ns = max(self.clock_ns, self.clock_lead_ns + elapsed_ns)

    def run_deadlines(self, elapsed_ns: int | None) -> None:
        open_books = [book for book in self.books.values() if book.deadline_ns is not None and elapsed_ns is not None]
        for book in sorted(open_books, key=lambda book: book.deadline_ns):
            if book.deadline_ns <= elapsed_ns:
                self.set_clock(book.deadline_ns)  # a deadline runs at its own time
                self.close_bucket(book)
        self.set_clock(elapsed_ns)

    def take_frame(self, line: Line, recv_ns: int | None, elapsed_ns: int | None) -> None:
        found = book_frame(line["frame"])
        if found is None:
            if not is_readable(line["frame"]):
                self.lose_blind(line.get("conn"))
            return
        channel, frame = found
        inst = frame["arg"].get("instId")
        if not isinstance(inst, str) or not inst:
            self.lose_blind(line.get("conn"))
            self.mark_odd(channel)
            return
        size = len(frame["data"]) if isinstance(frame.get("data"), list) and frame["data"] else 1
        self.count(dataset_of(inst, channel), inst, "received", size)
        book = self.book_of(channel, inst) if self.is_selected(inst) else None
        if book is not None and book.owner is None:
            book.owner = line.get("conn")
        if book is None or book.owner != line.get("conn"):
            self.count(dataset_of(inst, channel), inst, "ignored", size)
            return
        messages = books_of(frame, book, recv_ns, elapsed_ns)
        if messages is None:
            self.count(book.dataset, inst, "rejected", size)
            if book.episode:
                self.lose(book, "sequence")
            self.mark_odd(channel)
            return
        self.odd_in_a_row[channel] = 0
        for message in messages:
            outcome = self.take_book(book, message)
            self.count(book.dataset, inst, outcome)

    def book_of(self, channel: str, inst: str) -> Book:
        """Return the book of a frame; with its first frame it comes to be, out of a restart if it has lines."""
        if (channel, inst) not in self.books:
            book = self.books[channel, inst] = Book(dataset_of(inst, channel), inst, channel)
            self.restart(book)
        return self.books[channel, inst]

    def lose_blind(self, conn: str | None) -> None:
        """Give up the books of a link that may have lost a message without any test to show it [5]."""
        for book in self.books.values():
            if book.owner == conn and book.episode and book.channel in SEQUENCED and not book.episode.shows_losses:
                self.lose(book, "sequence")

    def mark_odd(self, channel: str) -> None:
        """Count odd frames in a row; the first frame of a channel counts as many [5]."""
        first = channel not in self.odd_in_a_row
        self.odd_in_a_row[channel] = SCHEMA_BREAK if first else self.odd_in_a_row[channel] + 1
        if self.odd_in_a_row[channel] >= SCHEMA_BREAK:
            self.outcome.schema_break = True
            for book in self.books.values():
                if book.episode:
                    self.lose(book, "disconnect")

    def close_link(self, conn: str | None) -> None:
        for book in self.books.values():
            if book.owner != conn:
                continue
            if book.episode:
                self.lose(book, "disconnect")
            book.owner = None

    def finish(self) -> None:
        """End like a clean stop: write what is open [4.3]."""
        for book in self.books.values():
            if book.episode and book.episode.bucket is not None:
                self.close_bucket(book)

    # ------------------------------------------------------------------------------------------ continuity

    def take_book(self, book: Book, message: Message) -> str:
        """Judge one book by the continuity rules [5]; return how it is counted."""
        if book.channel not in SEQUENCED:
            says_nothing = shows_the_same(book.episode, message) or comes_behind(book.episode, message)
            return "duplicate" if says_nothing else self.accept(book, message)
        book.sequenced = book.sequenced or message.seq is not None
        if message.action == "snapshot":
            return self.take_snapshot(book, message)
        if book.episode is None:
            self.keep_for_join(book, message)
            return "before_seed"
        if not book.sequenced:  # an old recording: nothing to test but the checksum
            return self.accept(book, message)
        return self.take_update(book, book.episode, message)

    def take_snapshot(self, book: Book, message: Message) -> str:
        if book.episode:
            repeated = message.seq is not None and (message.prev, message.seq) == book.episode.last_pair
            if repeated or shows_the_same(book.episode, message):
                return "duplicate"
            if message.prev in (None, -1) or message.prev != book.episode.last_seq:
                self.lose(book, "venue_reset")
        return self.accept(book, message)

    def take_update(self, book: Book, episode: Episode, message: Message) -> str:
        is_keep_alive = message.prev == message.seq  # an idle book's; all of them carry the same pair
        if (message.prev, message.seq) == episode.last_pair and (
            not is_keep_alive or message.event_ns == episode.last_event_ns
        ):
            return "duplicate"
        if episode.joining and message.seq <= episode.last_seq != message.prev:
            if is_past(message, episode.last_event_ns):
                self.lose(book, "sequence")
                self.keep_for_join(book, message)
            return "before_seed"
        # The first update after a REST book may also reach over it; every other one chains by equality.
        if message.prev != episode.last_seq and not (episode.joining and message.prev < episode.last_seq):
            self.lose(book, "sequence")
            self.keep_for_join(book, message)
            return "before_seed"
        if is_keep_alive and message.event_ns is None and not (message.bids or message.asks):
            return "applied"  # it proves the chain, and changes nothing
        return self.accept(book, message)

    def keep_for_join(self, book: Book, message: Message) -> None:
        """Buffer updates for a REST book; where their chain breaks, what came before can join nothing."""
        if message.seq is None:
            return
        newest = book.buffer[-1] if book.buffer else None
        if newest and (message.prev, message.seq) == (newest.prev, newest.seq):
            return
        if newest and message.prev != newest.seq:
            book.buffer.clear()
        book.buffer.append(message)

    def take_rest(self, line: Line) -> None:
        """Offer a REST answer to the books of its instrument; one that asked for too few levels is of no use."""
        inst, levels = rest_asked(line) or (None, None)
        rest = rest_book(line)
        for book in self.books.values():
            depth = DEPTH_OF_CHANNEL[book.channel]
            if book.inst != inst or book.channel not in SEQUENCED or book.episode:
                continue
            if rest is not None and (levels is None or levels >= depth):
                self.join(book, cut(rest, depth))

    def join(self, book: Book, rest: Message) -> None:
        """Make one update, that of the last part, of a REST book and the buffered updates that continue it."""
        follow = continuing(rest, book.buffer)
        if follow is None:
            return
        bids, asks = with_rows({}, rest.bids), with_rows({}, rest.asks)
        for message in follow:
            bids, asks = with_rows(bids, message.bids), with_rows(asks, message.asks)
        events = [self.judge_event_time(message) for message in (rest, *follow)]
        last = follow[-1] if follow else rest
        seeded = replace(
            last,
            action="rest",
            bids=list(bids.values()),
            asks=list(asks.values()),
            recv_ns=rest.recv_ns,  # nobody could know this book before the answer was there
            elapsed_ns=rest.elapsed_ns,
        )
        book.sequenced = True
        known = [event for event in events if event is not None]
        if self.accept(book, seeded, event_ns=max(known, default=None)) != "applied":
            return
        book.episode.joining = not follow
        self.count(book.dataset, book.inst, "before_seed", -len(follow))
        self.count(book.dataset, book.inst, "applied", len(follow))

    def lose(self, book: Book, reason: str) -> None:
        """End an episode: gap line, declared window, and the book is dropped at once [5]."""
        episode = book.episode
        since = None
        if episode.book_time_ns is not None:
            since = utc_text(episode.book_time_ns, 3)
            self.write(book, gap=True)
        if episode.bucket is not None:
            book.closed = episode.bucket
        if reason == "checksum" and book.sequenced:
            book.recheck = True
        book.episode = None
        self.declare(book, reason, since, received_text(episode))

    def declare(self, book: Book, reason: str, since_event: str | None, since_received: str | None) -> None:
        book.after_gap = True
        book.window = {
            "dataset": book.dataset,
            "inst": book.inst,
            "reason": reason,
            "since_event": since_event,
            "since_received": since_received,
            "until_event": None,
            "until_received": None,
        }
        self.outcome.windows.append(book.window)
        self.outcome.lost.add((book.dataset, book.inst))

    # ------------------------------------------------------------------------------------------ checksum

    def verify(self, book: Book, message: Message, bids: Side, asks: Side) -> bool | None:
        """Compare what the venue sent with the book after the frame; None where there is nothing to compare."""
        if not message.checksum or not self.checking:
            self.outcome.checksums["unchecked"] += 1
            return None
        good = message.checksum == checksum(bids, asks)
        if not good and book.recheck:
            self.checking = False
            self.outcome.canaries.append("algorithm_changed")
            self.outcome.checksums["unchecked"] += 1
            return None
        book.recheck = False
        self.outcome.checksums["ok" if good else "mismatch"] += 1
        return good

    def is_broken(self, book: Book, bad_checksums: int) -> bool:
        """Tell whether mismatches end continuity: the first where nothing else tests, else the third in a row."""
        if not book.sequenced:
            return bad_checksums > 0
        return 0 < self.checksum_resync <= bad_checksums

    # ------------------------------------------------------------------------------------------ event time

    def judge_event_time(self, message: Message) -> int | None:
        """Return an event time that can be believed, None for one that cannot [4.7]."""
        event_ns, elapsed_ns = message.event_ns, message.elapsed_ns
        if event_ns is None:
            self.outcome.odd_event_times += 1
            return None
        if elapsed_ns is not None:
            lead_ns = event_ns - elapsed_ns
            if self.lead_ns is not None and lead_ns > self.lead_ns + AHEAD_NS:
                self.outcome.odd_event_times += 1
                if self.doubted and abs(lead_ns - self.doubted[-1]) > AHEAD_NS:
                    self.doubted.clear()
                self.doubted.append(lead_ns)
                if len(self.doubted) < AGREEING:
                    return None
            self.lead_ns = lead_ns if self.lead_ns is None else max(self.lead_ns, lead_ns)
            self.clock_lead_ns = lead_ns if self.clock_lead_ns is None else max(self.clock_lead_ns, lead_ns)
        self.doubted.clear()
        self.newest_event_ns = max(self.newest_event_ns, event_ns)
        return event_ns

    # ------------------------------------------------------------------------------------------ sampling

    def accept(self, book: Book, message: Message, *, event_ns: int | None = None) -> str:
        """Apply an update: checksum first, then close by a later bucket, then the book [4.4]."""
        old = book.episode
        whole = message.action != "update"
        bids = with_rows({} if whole else old.bids, message.bids)
        asks = with_rows({} if whole else old.asks, message.asks)
        good = self.verify(book, message, bids, asks)
        bad_checksums = old.bad_checksums if old else 0
        bad_checksums = bad_checksums if good is None else 0 if good else bad_checksums + 1
        if self.is_broken(book, bad_checksums):
            if old:
                self.lose(book, "checksum")
            return "rejected"

        if message.action != "rest":
            event_ns = self.judge_event_time(message)
        times = [ns for ns in (old and old.book_time_ns, event_ns) if ns is not None]
        book_time_ns = max(times, default=None)
        if old and old.bucket is not None and self.bucket_for(book, book_time_ns) > old.bucket:
            self.close_bucket(book)

        episode = old or Episode(bids, asks, message, from_rest=message.action == "rest")
        book.episode = episode
        episode.bids, episode.asks, episode.update = bids, asks, message
        episode.checksum_ok, episode.bad_checksums = good, bad_checksums
        episode.checked = episode.checked or good is not None
        episode.joining = False
        episode.last_pair = None if message.seq is None else (message.prev, message.seq)
        episode.last_event_ns = message.event_ns
        episode.book_time_ns = book_time_ns
        if episode.live_since_ns is None:
            episode.live_since_ns = book_time_ns
        if old is None:
            self.end_window(book)
        if episode.bucket is None and book_time_ns is not None:
            self.open_bucket(book)
        return "applied"

    def end_window(self, book: Book) -> None:
        book.buffer.clear()
        self.outcome.lost.discard((book.dataset, book.inst))
        if book.window is not None:
            until_ns = book.episode.book_time_ns
            book.window["until_event"] = None if until_ns is None else utc_text(until_ns, 3)
            book.window["until_received"] = received_text(book.episode)
            book.window = None

    def bucket_for(self, book: Book, book_time_ns: int) -> int:
        """Return the bucket of an update: never one that is closed, by this run or an earlier one [4.1]."""
        buckets = [book_time_ns // self.cadence_ns]
        if book.closed is not None:
            buckets.append(book.closed + 1)
        for time_ns in (book_time_ns - HOUR_NS, book_time_ns):  # a bucket may reach into the next hour
            floor = self.floor(hour_path(book.dataset, book.inst, time_ns))
            if floor is not None and book_time_ns > floor[0]:
                buckets.append(floor[0] // self.cadence_ns + 1)
        return max(buckets)

    def floor(self, path: str) -> tuple[int, bool] | None:
        """Return the key of the last line that earlier runs left in an hour file."""
        if not self.existing.get(path):
            return None
        last = json.loads(self.existing[path][-1])
        return utc_ns(last["timestamp_utc"]), last["gap_detected"]

    def open_bucket(self, book: Book) -> None:
        """Open the bucket of the first update in it, and fix its deadline [4.2]."""
        episode = book.episode
        episode.bucket = self.bucket_for(book, episode.book_time_ns)
        if episode.update.elapsed_ns is not None:
            left_ns = (episode.bucket + 1) * self.cadence_ns - episode.book_time_ns
            episode.deadline_ns = episode.update.elapsed_ns + left_ns + self.grace_ns

    def close_bucket(self, book: Book) -> None:
        self.write(book, gap=False)
        book.closed = book.episode.bucket
        book.episode.bucket = book.episode.deadline_ns = None

    # ------------------------------------------------------------------------------------------ lines

    def write(self, book: Book, *, gap: bool) -> None:
        """Write one line where the seal and the order of its hour file allow it [4.5, 4.6].

        A line that cannot be because of what this run itself has made leaves its flags to the next one; a line
        that is only in the way of an earlier run's lines counts as written.
        """
        time_ns = book.episode.book_time_ns
        key = (time_ns, gap)
        path = hour_path(book.dataset, book.inst, time_ns)
        if self.is_sealed(book, time_ns // HOUR_NS):
            self.outcome.late_lines += 1
            return
        if path in self.made and key <= self.made[path]:
            return
        self.made[path] = key
        self.newest_hour[book.dataset, book.inst] = time_ns // HOUR_NS
        line = line_of(book, depth=self.depth, gap=gap)
        book.after_gap = book.episode.from_rest = False
        floor = self.floor(path)
        if floor is None or key > floor:
            text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
            self.outcome.files.setdefault(path, []).append(text.encode() + b"\n")

    def is_sealed(self, book: Book, hour: int) -> bool:
        if (book.dataset, book.inst, hour) in self.sealed:
            return True
        has_later_line = self.newest_hour.get((book.dataset, book.inst), hour) > hour
        return has_later_line or self.clock_ns > (hour + 1) * HOUR_NS + SEAL_AFTER_NS

    def is_selected(self, inst: str) -> bool:
        return self.instruments is None or inst in self.instruments

    def count(self, dataset: str, inst: str, outcome: str, by: int = 1) -> None:
        self.outcome.counters.setdefault((dataset, inst), dict.fromkeys(OUTCOMES, 0))[outcome] += by


def shows_the_same(episode: Episode | None, message: Message) -> bool:
    """Tell whether a whole book is the live one again: equal rows, same event time as accepted last."""
    if episode is None or message.event_ns != episode.last_event_ns:
        return False
    return (with_rows({}, message.bids), with_rows({}, message.asks)) == (episode.bids, episode.asks)


def comes_behind(episode: Episode | None, message: Message) -> bool:
    """Tell whether a later book was there before: an earlier time, and no greater number."""
    if episode is None or episode.book_time_ns is None or message.event_ns is None:
        return False
    numbers = (message.seq, episode.last_seq)
    is_numbered_later = None not in numbers and message.seq >= episode.last_seq
    return message.event_ns < episode.book_time_ns and not is_numbered_later


def received_text(episode: Episode) -> str | None:
    """Return the receive time of the last update, None where it is unknown."""
    return None if episode.update.recv_ns is None else utc_text(episode.update.recv_ns, 6)


def line_of(book: Book, *, depth: int, gap: bool) -> dict[str, Any]:
    """Put the book after its last update in the order of the line's fields."""
    episode = book.episode
    depth = min(depth, DEPTH_OF_CHANNEL[book.channel])
    bids, asks = best_first(episode.bids, bids=True), best_first(episode.asks, bids=False)
    best_bid = bids[0][0] if bids else None
    best_ask = asks[0][0] if asks else None
    both = bool(bids and asks)
    flags = {
        "gap": gap,
        "after_gap": book.after_gap,
        "seeded_from_rest": episode.from_rest,
        "checksum_mismatch": episode.checksum_ok is False,
        "crossed": both and Decimal(best_bid) >= Decimal(best_ask),
    }
    return {
        "timestamp_utc": utc_text(episode.book_time_ns, 3),
        "exchange": "okx",
        "market": market_of(book.inst),
        "channel": book.channel,
        "instId": book.inst,
        f"bids_top{depth}": bids[:depth],
        f"asks_top{depth}": asks[:depth],
        "best_bid": best_bid,
        "best_ask": best_ask,
        "mid_price": mid_price(best_bid, best_ask) if both else None,
        "checksum": episode.update.checksum,
        "seqId": episode.update.seq,
        "prevSeqId": episode.update.prev,
        "gap_detected": gap,
        "received_utc": received_text(episode),
        "checksum_ok": episode.checksum_ok,
        "flags": [flag for flag, is_set in flags.items() if is_set],
        "live_since_utc": utc_text(episode.live_since_ns, 3),
    }
