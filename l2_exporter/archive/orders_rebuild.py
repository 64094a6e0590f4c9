"""The book of orders at an exact moment, from whole books and events; and why a moment is not known.

The rules are those of docs/FORMAT.md, "Any moment".
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2_exporter.archive.defects import FlawError
from l2_exporter.archive.find import ArchivedBook
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_book import RebuiltBook
from l2_exporter.archive.orders_line import (
    GAP,
    OrderEvent,
    StoredBook,
    check_order_rows,
    decode_book,
    event_ns,
    stamp_of,
)
from l2_exporter.archive.orders_read import Loss, Read, lines_between, losses_of, one_a_hour, unreadable
from l2_exporter.archive.read import last_line, read_lines
from l2_exporter.core.errors import ArchiveError, L2Error
from l2_exporter.core.timetext import hour_of, utc_text

_TAIL_BYTES = 160
"""Of a book line: `live_since_utc` and `n` stand there."""


class UnknownMomentError(L2Error):
    """The archive does not know the book at this moment; the text says why, and what is known."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The book at a moment.

    Attributes:
        last: the last event up to it.
        base: the book line that it was built from; path and line: where that stands.
        applied: events since.
        cut: the recorder held more orders than it was to: levels behind its last one are gone without an event.
    """

    at_ns: int
    book: RebuiltBook
    last: OrderEvent
    base: StoredBook
    path: Path
    line: int
    applied: int
    cut: bool


def rebuild(
    root: Path,
    book: ArchivedBook,
    events: Sequence[HourPath],
    books: Sequence[HourPath],
    levels: Sequence[HourPath],
    at_ns: int,
) -> Moment:
    """Build the book at a moment.

    Args:
        book: the dataset of events and the instrument; the others are its hour files and those of the two datasets
            that belong to it.

    Raises:
        UnknownMomentError: the book is not known then.
        ArchiveError: a file is damaged or a line cannot be read.
        OSError: a file cannot be read.
    """
    events, books, levels = one_a_hour(events), one_a_hour(books), one_a_hour(levels)
    losses, begun = losses_of(root, book.venue, book.dataset, book.inst)
    before, after = _around(events, at_ns)
    if before is None:
        first = "" if after is None else f"; its first line is at {after.event().timestamp_utc}"
        raise UnknownMomentError(f"{book.name} has no event at or before that time{first}.")
    last = before.event()
    following = None if after is None else after.event()
    _require_known(last, following, losses, at_ns, lambda: _newest(last, (books, levels)))
    if begun.count(last.live_since_utc) > 1:
        raise UnknownMomentError(f"two episodes begin at {last.live_since_utc}: their lines cannot be told apart.")
    found = _base(books, last, at_ns)
    if found is None:
        raise UnknownMomentError(
            f"the episode since {last.live_since_utc} has no line with a whole book at or before that time."
        )
    return _built(events, found, last, at_ns)


def _built(events: Sequence[HourPath], found: Read, last: OrderEvent, at_ns: int) -> Moment:
    """Apply the events since a book line."""
    base = _decode(found)
    rebuilt = RebuiltBook()
    rebuilt.load(base)
    applied = 0
    cut = False
    from_ns, until_ns = event_ns("", base.line.timestamp_utc), event_ns("", last.timestamp_utc)
    for read in lines_between(events, from_ns, until_ns):
        event = read.event()
        if event.live_since_utc != last.live_since_utc or not base.number < event.number <= last.number:
            continue
        if event.number != rebuilt.number + 1:
            break
        rebuilt.apply(event)
        applied += 1
        cut = cut or "partial_depth" in event.flags
    if rebuilt.number < last.number:
        first, end = rebuilt.number + 1, last.number
        raise UnknownMomentError(
            f"events are missing: n {first} to {end} of the episode since {last.live_since_utc} are not all there."
        )
    return Moment(at_ns, rebuilt, last, base, found.path, found.line, applied, cut)


def _decode(found: Read) -> StoredBook:
    try:
        base = decode_book(found.raw)
        for side, rows in (("bid", base.line.bids), ("ask", base.line.asks)):
            check_order_rows(side, rows)
        RebuiltBook().load(base)
    except FlawError as flaw:
        raise unreadable(found.path, found.line, flaw) from flaw
    return base


def _around(hours: Sequence[HourPath], at_ns: int) -> tuple[Read | None, Read | None]:
    """Find the last line at or before a moment, and the first one after it."""
    hour_at = hour_of(at_ns)
    before = after = None
    for hour in (hour for hour in hours if hour.hour == hour_at):
        before = next(iter(deque(lines_between([hour], None, at_ns), maxlen=1)), None)
        after = next(lines_between([hour], at_ns + 1, None), None)
    for hour in reversed([hour for hour in hours if hour.hour < hour_at]):
        if before is not None:
            break
        raw = last_line(hour.path)
        before = None if raw is None else Read(hour.path, 0, raw)
    for hour in (hour for hour in hours if hour.hour > hour_at):
        if after is not None:
            break
        after = next((Read(hour.path, 1, raw) for raw in read_lines(hour.path)), None)
    return before, after


def _require_known(
    last: OrderEvent, following: OrderEvent | None, losses: Iterable[Loss], at_ns: int, newest: Callable[[], int]
) -> None:
    """Refuse a moment at which the episode of the last event is over, or may be.

    Raises:
        UnknownMomentError: it is.
    """
    last_ns = event_ns("timestamp_utc", last.timestamp_utc)
    if last_ns == at_ns:
        return
    if last.type == GAP or (following is not None and following.live_since_utc != last.live_since_utc):
        raise UnknownMomentError(_lost(last, following, losses))
    if following is None and (newest_ns := max(last_ns, newest())) < at_ns:
        text = utc_text(newest_ns, 9).removesuffix("Z").rstrip("0").rstrip(".") + "Z"
        raise UnknownMomentError(f"the newest line is at {text}: what came after it is not known.")
    if following is not None and following.number != last.number + 1:
        raise UnknownMomentError(
            f"events are missing: n {following.number} of the episode since {last.live_since_utc} follows "
            f"{last.number}, at {last.timestamp_utc}."
        )


def _lost(last: OrderEvent, following: OrderEvent | None, losses: Iterable[Loss]) -> str:
    """Say in which loss a moment lies."""
    until = None if following is None else following.live_since_utc
    told = [loss for loss in losses if loss.since == last.timestamp_utc]
    fitting = [loss for loss in told if loss.until == until] or told
    reason = f"lost ({fitting[-1].reason})" if fitting else "lost; the ledger does not say why"
    end = f"until {until}" if until else "and not known again in this archive"
    return f"the book was {reason} since {last.timestamp_utc} {end}."


def _newest(last: OrderEvent, others: Iterable[Sequence[HourPath]]) -> int:
    """Tell the time of the newest line of an episode in the datasets beside the events."""
    needle = _needle(last)
    newest = 0
    for hours in others:
        raw = last_line(hours[-1].path) if hours else None
        if raw is not None and needle in raw[-_TAIL_BYTES:]:
            newest = max(newest, event_ns("timestamp_utc", stamp_of(raw).decode()))
    return newest


def _base(books: Sequence[HourPath], last: OrderEvent, at_ns: int) -> Read | None:
    """Find the last book line of an episode that its last event is not behind."""
    needle = _needle(last)
    live_hour = hour_of(event_ns("live_since_utc", last.live_since_utc))
    for hour in reversed(books):
        if not live_hour <= hour.hour <= hour_of(at_ns):
            continue
        found = None
        for read in lines_between([hour], None, at_ns):
            if needle in read.raw[-_TAIL_BYTES:] and _number(read) <= last.number:
                found = read
        if found is not None:
            return found
    return None


def _needle(last: OrderEvent) -> bytes:
    return b'"live_since_utc":"%s"' % last.live_since_utc.encode()


def _number(read: Read) -> int:
    """Cut `n` out of a book line without reading the rest of it."""
    text = read.raw[-_TAIL_BYTES:].rpartition(b'"n":')[2].partition(b"}")[0].partition(b",")[0]
    if not text.isdigit():
        raise ArchiveError(f"{read.path}:{read.line} cannot be read: it has no n; `verify` tells more")
    return int(text)
