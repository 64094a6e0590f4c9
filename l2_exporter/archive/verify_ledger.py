"""The ledger of one venue: its lines, and whether the snapshot lines keep to what it declares."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, said
from l2_exporter.archive.layout import LedgerPath
from l2_exporter.archive.schema import LEDGER_FIELDS, LEDGER_KINDS, LEDGER_REASONS, Type, words
from l2_exporter.archive.stored import RECEIVE_DECIMALS, StoredLine, check_fields, read_object, time_ns
from l2_exporter.archive.verify_line import LineTimes
from l2_exporter.core.timetext import date_of

LIVE = "live"
"""The origin of what comes from the venue itself."""

Book = tuple[str, str]
"""Dataset and instrument."""

_KINDS = frozenset(words(LEDGER_KINDS))
_REASONS = frozenset((kind, reason.word) for reason in LEDGER_REASONS for kind in reason.kinds)
_TIMES = tuple(entry.name for entry in LEDGER_FIELDS if entry.type is Type.TIME)


@dataclass(slots=True)
class Windows:
    """When one book was not known: open intervals of book time, in nanoseconds, disjoint and ascending."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def holds(self, event_ns: int) -> bool:
        """Tell whether a time lies strictly inside one of them."""
        place = bisect_left(self.starts, event_ns) - 1
        return place >= 0 and event_ns < self.ends[place]


@dataclass(slots=True)
class Losses:
    """What the ledger says of one book."""

    since_ns: set[int] = field(default_factory=set)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def windows(self) -> Windows:
        """Join the spans that overlap."""
        windows = Windows()
        for start, end in sorted(span for span in self.spans if span[0] < span[1]):
            if windows.ends and start < windows.ends[-1]:
                windows.ends[-1] = max(windows.ends[-1], end)
            else:
                windows.starts.append(start)
                windows.ends.append(end)
        return windows


@dataclass(frozen=True, slots=True)
class End:
    """A `live` line that ends a gap, and where it stands."""

    path: Path
    line: int
    id: str
    book: Book | None
    since_ns: int | None
    until_ns: int | None


class LedgerChecker:
    """Checks the ledger files of one venue, given in order of their dates, and then snapshot lines against them.

    Attributes:
        origins: where connections led, by ledger file, so far as it was not to the venue itself.
    """

    def __init__(self) -> None:
        self.origins: dict[Path, set[str]] = {}
        self._first_day: str | None = None
        self._ends: list[End] = []
        self._gaps: dict[str, tuple[Book, int | None]] = {}
        self._losses: dict[Book, Losses] = {}
        self._windows: dict[Book, Windows] = {}

    def check(self, place: LedgerPath, number: int, raw: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next ledger line, given without its `\\n`; `number` counts lines from 1."""
        self._first_day = self._first_day or place.day
        try:
            entry = read_object(raw)
            check_fields(entry, LEDGER_FIELDS)
            times = {name: time_ns(name, entry[name]) for name in _TIMES if entry[name] is not None}
            time_ns("at", entry["at"], RECEIVE_DECIMALS)
        except FlawError as flaw:
            yield flaw.finding
            return
        if date_of(times["at"]) != place.day:
            yield Flaw.DATE, f"{said('at', entry['at'])}, of another date"
        if entry["venue"] != place.venue:
            yield Flaw.VENUE, f"{said('venue', entry['venue'])}, the path says {place.venue}"
        yield from _check_kind(entry)
        origin = (entry["detail"] or {}).get("origin", LIVE)
        if entry["kind"] == "connected" and origin != LIVE:
            self.origins.setdefault(place.path, set()).add(str(origin))
        if entry["kind"] == "gap":
            yield from self._check_gap(entry, times)
        elif entry["kind"] == "live" and entry["id"] is not None:
            since_ns = times.get("since_received", times.get("since_event"))
            end = End(place.path, number, entry["id"], _book(entry), since_ns, times.get("until_event"))
            self._ends.append(end)

    def finish(self) -> Iterator[Defect]:
        """Join each end with its gap once all files were read: a clock set back can put the end into an earlier one."""
        for end in self._ends:
            book, since_ns = self._gaps.get(end.id, (None, None))
            if book is None and self._began_before_ledger(end):
                continue
            if book is None or end.book != book:
                whose = "no gap" if book is None else f"a gap of {'/'.join(book)}"
                yield Defect(end.path, end.line, Flaw.LIVE_ID, f"{said('id', end.id)}, of {whose}")
            elif since_ns is not None and end.until_ns is not None:
                self._losses[book].spans.append((since_ns, end.until_ns))

    def check_line(self, dataset: str, line: StoredLine, times: LineTimes) -> Iterator[Finding]:
        """Yield where a snapshot line and the ledger disagree; `finish` must have been called before."""
        book = (dataset, line.inst)
        if line.gap:
            last_ns = max(times.event_ns, times.received_ns or 0)
            kept = self._first_day is not None and date_of(last_ns) >= self._first_day
            if kept and times.event_ns not in self._losses.get(book, Losses()).since_ns:
                yield Flaw.GAP_UNDECLARED, f"no gap since {line.timestamp_utc} in the ledger"
            return
        if book not in self._windows:
            self._windows[book] = self._losses.get(book, Losses()).windows()
        if self._windows[book].holds(times.event_ns):
            yield Flaw.IN_GAP, f"{line.timestamp_utc} lies inside a gap of the ledger"

    def _check_gap(self, entry: dict[str, Any], times: dict[str, int]) -> Iterator[Finding]:
        ident, book = entry["id"], _book(entry)
        if ident is None or ident in self._gaps:
            yield Flaw.GAP_ID, "a gap without an id" if ident is None else f"{said('id', ident)}, of an earlier gap too"
        elif book is None:
            yield Flaw.GAP_ID, "a gap without an instrument and its dataset"
        else:
            since_ns = times.get("since_event")
            self._gaps[ident] = (book, since_ns)
            if since_ns is not None:
                self._losses.setdefault(book, Losses()).since_ns.add(since_ns)

    def _began_before_ledger(self, end: End) -> bool:
        """Tell whether the gap may have stood in a ledger file that retention has deleted."""
        return end.since_ns is None or self._first_day is None or date_of(end.since_ns) < self._first_day


def _check_kind(entry: dict[str, Any]) -> Iterator[Finding]:
    kind, reason = entry["kind"], entry["reason"]
    if kind not in _KINDS:
        yield Flaw.KIND, said("kind", kind)
    elif reason is not None and (kind, reason) not in _REASONS:
        yield Flaw.KIND, f"{said('reason', reason)}, not one of kind {kind}"


def _book(entry: dict[str, Any]) -> Book | None:
    inst, detail = entry["instId"], entry["detail"]
    dataset = detail.get("dataset") if isinstance(detail, dict) else None
    return (dataset, inst) if isinstance(dataset, str) and inst is not None else None
