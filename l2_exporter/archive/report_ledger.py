"""What a venue's ledger tells a report: when each book was to be recorded, when it was live, and what else happened.

Lines that cannot be read are passed over: `verify` names them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.read import read_lines
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import date_of, utc_ns

Book = tuple[str, str]
"""Dataset and instrument."""

TROUBLE = ("suspect", "schema_break", "write_suspended")
"""Kinds of ledger line that somebody should look at."""


@dataclass(slots=True)
class Loss:
    """A window in which a book was not live; `until_ns` None: it is not over."""

    id: str
    reason: str
    from_ns: int
    until_ns: int | None = None


@dataclass(slots=True)
class BookHistory:
    """What the ledger says of one book. Times in nanoseconds since 1970.

    Attributes:
        first_ns: when it was first to be recorded, so far as is known; born_ns: first live, None: before all this.
        until_ns: the last moment of the last run that recorded it.
        resyncs: by day and reason. trouble: by day, what somebody should look at.
    """

    first_ns: int
    until_ns: int
    born_ns: int | None = None
    born_known: bool = False
    losses: dict[str, Loss] = field(default_factory=dict)
    resyncs: dict[str, Counter[str]] = field(default_factory=dict)
    trouble: dict[str, Counter[str]] = field(default_factory=dict)


class VenueHistory:
    """The ledger of one venue.

    Attributes:
        books: all that it tells of. trouble: what concerns the venue as a whole, by day.
        origins: by day, where lines came from, if not live.
        damaged: files that could not be read to their end.
    """

    def __init__(self, root: Path, venue: str) -> None:
        self.books: dict[Book, BookHistory] = {}
        self.trouble: dict[str, Counter[str]] = {}
        self.origins: dict[str, set[str]] = {}
        self.damaged: list[tuple[Path, str]] = []
        self._run: set[Book] = set()
        self._begun_ns: int | None = None
        self._last_ns = 0
        for ledger in layout.iter_ledger_files(root):
            if ledger.venue == venue:
                for entry, at_ns in self._entries(ledger.path):
                    self._take(entry, at_ns)
        self._end_run()

    def _end_run(self) -> None:
        """Leave a run: until its last line it recorded its books."""
        for book in self._run:
            self.books[book].until_ns = max(self._last_ns, self.books[book].until_ns)
        self._run = set()

    def _entries(self, path: Path) -> Iterator[tuple[dict[str, Any], int]]:
        try:
            for raw in read_lines(path):
                try:
                    entry = orjson.loads(raw)
                    yield entry, utc_ns(entry["at"])
                except (ValueError, TypeError, KeyError):
                    continue
        except (ArchiveError, OSError) as error:
            self.damaged.append((path, str(error)))

    def _take(self, entry: dict[str, Any], at_ns: int) -> None:
        kind, day = entry.get("kind"), date_of(at_ns)
        told = entry.get("detail")
        detail: dict[str, Any] = told if isinstance(told, dict) else {}
        if kind == "started":
            self._end_run()
            self._begun_ns = at_ns
        self._last_ns = at_ns
        if kind in ("started", "connected") and detail.get("origin", "live") != "live":
            self.origins.setdefault(day, set()).add(str(detail["origin"]))
        for book in _books(entry, detail):
            history = self.books.get(book)
            if history is None:
                begun_ns = at_ns if self._begun_ns is None else self._begun_ns
                history = self.books[book] = BookHistory(begun_ns, at_ns)
            self._run.add(book)
            self._take_book(history, entry, at_ns, day)
        if kind in TROUBLE and not isinstance(entry.get("instId"), str):
            self.trouble.setdefault(day, Counter())[_named(entry)] += 1

    def _take_book(self, history: BookHistory, entry: dict[str, Any], at_ns: int, day: str) -> None:
        kind, ident, reason = entry["kind"], entry.get("id"), str(entry.get("reason") or "")
        if kind == "gap":
            since_ns = _moment(entry, ("since_event", "since_received"), at_ns)
            history.born_known = True
            history.first_ns = min(history.first_ns, since_ns)
            history.losses[str(ident)] = Loss(str(ident), reason, since_ns)
        elif kind == "live":
            until_ns = _moment(entry, ("until_event", "until_received"), at_ns)
            if isinstance(ident, str) and ident in history.losses:
                history.losses[ident].until_ns = until_ns
            elif ident is None and not history.born_known:
                history.born_ns, history.born_known = until_ns, True
        elif kind == "resync":
            history.resyncs.setdefault(day, Counter())[reason] += 1
        elif kind in TROUBLE:
            history.trouble.setdefault(day, Counter())[_named(entry)] += 1


def _named(entry: dict[str, Any]) -> str:
    reason = entry.get("reason")
    return f"{entry['kind']} ({reason})" if reason else str(entry["kind"])


def _books(entry: dict[str, Any], detail: dict[str, Any]) -> list[Book]:
    inst, dataset = entry.get("instId"), detail.get("dataset")
    if not isinstance(inst, str) or not isinstance(dataset, str):
        return []
    also = detail.get("also")
    return [(dataset, inst), *((str(each), inst) for each in (also if isinstance(also, list) else []))]


def _moment(entry: dict[str, Any], names: tuple[str, ...], at_ns: int) -> int:
    for name in names:
        try:
            return utc_ns(str(entry.get(name)))
        except ValueError:
            continue
    return at_ns
