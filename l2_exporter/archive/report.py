"""A report on an archive, book by book and day by day: what was covered, lost, late, silent, and how much it takes."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.find import ArchivedBook
from l2_exporter.archive.inorder import in_order
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.report_hour import HourLook, look, percentiles
from l2_exporter.archive.report_ledger import BookHistory, Loss, VenueHistory
from l2_exporter.core.timetext import DAY_NS, HOUR_NS, NS_PER_S, utc_ns

PROCESSES_FROM_BYTES = 16 << 20
SHARES = (0.5, 0.9, 0.99, 1.0)
"""Of the lines, in the order of latency."""
NEWEST_DAYS = 7
_DAY_HOURS = 24
_FOREVER_NS = 1 << 62

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DayLoss:
    """A loss of a day; `lost_ns`: how long it lasted within that day."""

    reason: str
    from_ns: int
    until_ns: int | None
    lost_ns: int


@dataclass(slots=True)
class BookDay:
    """What is to be said of one book on one UTC day.

    Attributes:
        asked_ns: how long it was to be recorded; live_ns: how long of that it was live.
        latency_ns: by the shares of SHARES; None: unknown.
        quiet_ns: from the last line to the end of what was to be recorded, while live.
        size: bytes on disk; hours: with lines. origins: other than live, by hour of the day; None: by the ledger alone.
        trouble: what somebody should look at, and how often.
    """

    book: ArchivedBook
    day: int
    asked_ns: int = 0
    live_ns: int = 0
    losses: list[DayLoss] = field(default_factory=list)
    resyncs: Counter[str] = field(default_factory=Counter)
    seen: HourLook = field(default_factory=HourLook)
    latency_ns: list[int | None] = field(default_factory=list)
    quiet_ns: int = 0
    size: int = 0
    hours: int = 0
    origins: dict[str, list[int]] = field(default_factory=dict)
    trouble: Counter[str] = field(default_factory=Counter)

    @property
    def coverage(self) -> float | None:
        """Percent of what was to be recorded; None: nothing was."""
        return 100 * self.live_ns / self.asked_ns if self.asked_ns else None


@dataclass(slots=True)
class Report:
    """What is to be said of a vault.

    Attributes:
        trouble: of a venue as a whole, by venue and day; damaged: files that could not be read.
        free_bytes: on the vault's disk; bytes_a_day: written by the books of the report, as they lie there now.
    """

    days: list[BookDay] = field(default_factory=list)
    trouble: dict[tuple[str, int], Counter[str]] = field(default_factory=dict)
    damaged: list[tuple[Path, str]] = field(default_factory=list)
    free_bytes: int = 0
    bytes_a_day: float = 0.0

    @property
    def days_to_full(self) -> float | None:
        """How long the disk will do if nothing is deleted; None: nothing is written."""
        return self.free_bytes / self.bytes_a_day if self.bytes_a_day else None


class Holdings:
    """What a vault holds of each book, listed once.

    Attributes:
        hours: hour files, by book and hour, of two the plain one; manifests: likewise.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hours: dict[ArchivedBook, dict[int, HourPath]] = {}
        self.manifests: dict[ArchivedBook, dict[int, HourPath]] = {}
        for files, found in ((layout.iter_hour_files, self.hours), (layout.iter_manifest_files, self.manifests)):
            for place in files(root):
                book = ArchivedBook(place.venue, place.dataset, place.inst)
                found.setdefault(book, {}).setdefault(place.hour, place)

    @property
    def books(self) -> list[ArchivedBook]:
        """Every book that has a file, in order."""
        return sorted({*self.hours, *self.manifests})

    def days(self, book: ArchivedBook) -> list[int]:
        """List the days of a book from its first to its last file, counted since 1970; some may hold none."""
        hours = [hour for held in (self.hours, self.manifests) for hour in held.get(book, {})]
        return [*range(min(hours) // _DAY_HOURS, max(hours) // _DAY_HOURS + 1)] if hours else []

    def newest_day(self) -> int | None:
        """Return the newest day there is."""
        return max((self.days(book)[-1] for book in self.books), default=None)


def make_report(
    holdings: Holdings,
    books: Collection[ArchivedBook],
    first_day: int,
    last_day: int,
    *,
    jobs: int = 1,
    hour_done: Callable[[], None] = lambda: None,
) -> Report:
    """Read what there is of some books on some days, both inclusive and counted since 1970."""
    report = Report(free_bytes=shutil.disk_usage(holdings.root).free)
    histories = {venue: VenueHistory(holdings.root, venue) for venue in sorted({book.venue for book in books})}
    wanted = [
        (book, day, [*_of_day(holdings.hours.get(book, {}), day)])
        for book in sorted(books)
        for day in holdings.days(book)
        if first_day <= day <= last_day
    ]
    paths = [place.path for _, _, hours in wanted for place in hours]
    small = sum(_size(path) for path in paths) < PROCESSES_FROM_BYTES
    looks = in_order(look, paths, 1 if small else min(jobs, len(paths)))
    for book, day, hours in wanted:
        seen = HourLook()
        for _ in hours:
            seen.add(next(looks))
            hour_done()
        found = BookDay(book, day, seen=seen)
        _fill(found, holdings, histories[book.venue], hours)
        report.days.append(found)
    for venue, history in histories.items():
        report.damaged += history.damaged
        for text, counts in history.trouble.items():
            if first_day <= (day := utc_ns(f"{text}T00:00:00Z") // DAY_NS) <= last_day:
                report.trouble[venue, day] = counts
    asked_ns = sum(
        max((one.asked_ns for one in report.days if one.day == day), default=0) for day in {d.day for d in report.days}
    )
    report.bytes_a_day = sum(one.size for one in report.days) * DAY_NS / asked_ns if asked_ns else 0.0
    return report


def _of_day(hours: dict[int, HourPath], day: int) -> Iterator[HourPath]:
    return (hours[hour] for hour in range(day * _DAY_HOURS, (day + 1) * _DAY_HOURS) if hour in hours)


def _fill(found: BookDay, holdings: Holdings, venue: VenueHistory, hours: Sequence[HourPath]) -> None:
    """Work out all that is to be said of a day."""
    book, text = found.book, _day_text(found.day)
    manifests = {
        place.hour: manifest
        for place in _of_day(holdings.manifests.get(book, {}), found.day)
        if (manifest := _read_manifest(place)) is not None
    }
    history = venue.books.get((book.dataset, book.inst))
    asked = _asked(found, holdings, history)
    dark = _merged(_cut(span, asked) for span in _dark(history, manifests, found.seen.lines))
    found.asked_ns = asked[1] - asked[0]
    found.live_ns = found.asked_ns - sum(until - begin for begin, until in dark)
    found.losses = [*_losses(history, manifests, asked)]
    found.latency_ns = [*percentiles(found.seen.late, SHARES)]
    if found.seen.last is not None and found.live_ns:
        ends_ns = dark[-1][0] if dark and dark[-1][1] == asked[1] else asked[1]
        found.quiet_ns = max(0, ends_ns - found.seen.last[0])
    places = [*hours, *_of_day(holdings.manifests.get(book, {}), found.day)]
    found.size, found.hours = sum(_size(place.path) for place in places), len(hours)
    for hour, manifest in manifests.items():
        if manifest["origin"] != "live":
            found.origins.setdefault(str(manifest["origin"]), []).append(hour % _DAY_HOURS)
    for origin in sorted(venue.origins.get(text, ())):
        found.origins.setdefault(origin, [])
    if history is not None:
        found.resyncs = history.resyncs.get(text, Counter())
        found.trouble = history.trouble.get(text, Counter())


def _asked(found: BookDay, holdings: Holdings, history: BookHistory | None) -> Span:
    """Tell from when until when a book was to be recorded, within the day."""
    hours = [hour for held in (holdings.hours, holdings.manifests) for hour in held.get(found.book, {})]
    starts_ns, ends_ns = found.day * DAY_NS, (found.day + 1) * DAY_NS
    first_ns = history.first_ns if history else min(hours) * HOUR_NS
    until_ns = max(history.until_ns if history else 0, found.seen.last[0] if found.seen.last else 0)
    if any(hour >= (found.day + 1) * _DAY_HOURS for hour in hours):
        until_ns = ends_ns
    if found.seen.first is not None:
        first_ns = min(first_ns, found.seen.first[0])
    if any(hour < found.day * _DAY_HOURS for hour in hours):
        first_ns = starts_ns
    begin_ns = min(max(first_ns, starts_ns), ends_ns)
    return begin_ns, max(begin_ns, min(until_ns, ends_ns))


def _dark(history: BookHistory | None, manifests: dict[int, dict[str, Any]], lines: int) -> Iterator[Span]:
    """Yield when a book was not live, by the ledger and by what the manifests say; they may overlap."""
    if history is not None:
        for loss in history.losses.values():
            yield loss.from_ns, _FOREVER_NS if loss.until_ns is None else loss.until_ns
        if history.born_ns is not None:
            yield 0, history.born_ns
    if not lines and not manifests and (history is None or not history.born_known):
        yield 0, _FOREVER_NS
    for hour, manifest in manifests.items():
        at_ns = hour * HOUR_NS
        for episode in manifest["episodes"]:
            yield at_ns, utc_ns(episode["from"])
            at_ns = utc_ns(episode["until"])
        yield at_ns, (hour + 1) * HOUR_NS


def _losses(history: BookHistory | None, manifests: dict[int, dict[str, Any]], asked: Span) -> Iterator[DayLoss]:
    """Yield the losses of a day in their order; those that the ledger no longer tells, from the manifests."""
    known = dict(history.losses) if history is not None else {}
    for manifest in manifests.values():
        for loss in manifest["losses"]:
            until_ns = None if loss["until"] is None else utc_ns(loss["until"])
            held = known.setdefault(loss["id"], Loss(loss["id"], loss["reason"], utc_ns(loss["from"]), until_ns))
            if held.until_ns is None and until_ns is not None:
                known[loss["id"]] = Loss(held.id, held.reason, held.from_ns, until_ns)
    for loss in sorted(known.values(), key=lambda loss: loss.from_ns):
        until_ns = _FOREVER_NS if loss.until_ns is None else max(loss.until_ns, loss.from_ns)
        if loss.from_ns < asked[1] and until_ns >= asked[0]:
            begin_ns, end_ns = _cut((loss.from_ns, until_ns), asked)
            yield DayLoss(loss.reason, loss.from_ns, loss.until_ns, max(0, end_ns - begin_ns))


def _cut(span: Span, limits: Span) -> Span:
    return max(span[0], limits[0]), min(span[1], limits[1])


def _merged(spans: Iterator[Span]) -> list[Span]:
    """Join spans that overlap or touch; empty ones are left out."""
    found: list[Span] = []
    for begin_ns, end_ns in sorted(span for span in spans if span[0] < span[1]):
        if found and begin_ns <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_ns))
        else:
            found.append((begin_ns, end_ns))
    return found


def _read_manifest(place: HourPath) -> dict[str, Any] | None:
    """Read what a report needs of a manifest; None if that cannot be, which `verify` tells."""
    try:
        manifest = orjson.loads(place.path.read_bytes())
        for entry in manifest["episodes"]:
            utc_ns(entry["from"]), utc_ns(entry["until"])
        for loss in manifest["losses"]:
            utc_ns(loss["from"]), loss["until"] is None or utc_ns(loss["until"]), str(loss["id"]), str(loss["reason"])
        return {name: manifest[name] for name in ("origin", "episodes", "losses")}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # retention has taken it meanwhile
        return 0


def _day_text(day: int) -> str:
    return layout.hour_text(day * _DAY_HOURS)[0]


def seconds(ns: int) -> float:
    """Turn nanoseconds into seconds."""
    return ns / NS_PER_S
