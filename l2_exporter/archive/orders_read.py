"""Reading order events for those who ask: by time, in their order, one at a time; and what the ledger says of them.

Lines of a dataset begin with their time, whose text sorts as it passes: those that are not asked for are passed over
without being read (docs/FORMAT.md, "Order events").
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.defects import FlawError
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders_line import OrderEvent, decode_event, stamp_of
from l2_exporter.archive.read import read_lines
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import hour_of, utc_text

_BARE_STAMP = len("2026-11-21T15:30:45.Z")


class Read(NamedTuple):
    """A line and where it stands; lines count from 1."""

    path: Path
    line: int
    raw: bytes

    def event(self) -> OrderEvent:
        """Read it as an order event.

        Raises:
            ArchiveError: it is none.
        """
        try:
            return decode_event(self.raw)
        except FlawError as flaw:
            raise unreadable(self.path, self.line, flaw) from flaw


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as the ledger tells it. Times as text, None where it does not know them; `until` None too: not over."""

    reason: str | None
    since: str | None
    until: str | None


def one_a_hour(hours: Iterable[HourPath]) -> list[HourPath]:
    """Choose one file of each hour, the plain one where it is there twice, given in the order of their paths."""
    chosen: dict[int, HourPath] = {}
    for hour in hours:
        chosen.setdefault(hour.hour, hour)
    return [chosen[hour] for hour in sorted(chosen)]


def lines_between(hours: Iterable[HourPath], from_ns: int | None, until_ns: int | None) -> Iterator[Read]:
    """Yield the lines of hour files that are stamped within these moments, both included; None: without end.

    Raises:
        ArchiveError: a file is damaged, or a line is none of ours.
        OSError: a file cannot be read.
    """
    for hour in hours:
        if from_ns is not None and hour.hour < hour_of(from_ns):
            continue
        if until_ns is not None and hour.hour > hour_of(until_ns):
            return
        yield from _within(hour.path, from_ns, until_ns)


def _within(path: Path, from_ns: int | None, until_ns: int | None) -> Iterator[Read]:
    after = until = b""
    decimals = -1
    for number, raw in enumerate(read_lines(path), 1):
        try:
            stamp = stamp_of(raw)
        except FlawError as flaw:
            raise unreadable(path, number, flaw) from flaw
        if len(stamp) != decimals + _BARE_STAMP:
            decimals = len(stamp) - _BARE_STAMP
            after = b"" if not from_ns else utc_text(from_ns - 1, decimals).encode()
            until = b"~" if until_ns is None else utc_text(until_ns, decimals).encode()
        if stamp > until:
            return
        if stamp > after:
            yield Read(path, number, raw)


def unreadable(path: Path, line: int, flaw: FlawError) -> ArchiveError:
    """Make the error of a line that cannot be read."""
    return ArchiveError(f"{path}:{line} cannot be read: {flaw}; `verify` tells more")


def losses_of(root: Path, venue: str, dataset: str, inst: str) -> tuple[list[Loss], list[str]]:
    """Return the losses of one book, and the beginnings of its episodes, in the order of the ledger."""
    gaps: dict[str, Loss] = {}
    begun: dict[str, None] = {}
    again: list[str] = []
    for ledger in layout.iter_ledger_files(root):
        if ledger.venue != venue:
            continue
        for raw in read_lines(ledger.path):
            if b'"kind":"gap"' not in raw and b'"kind":"live"' not in raw:
                continue
            entry = _entry(raw)
            if (entry.get("detail") or {}).get("dataset") != dataset or entry.get("instId") != inst:
                continue
            if entry["kind"] == "gap":
                gaps[entry["id"]] = Loss(entry["reason"], entry["since_event"], None)
                begun = {}
                continue
            if entry["id"] in gaps:
                gaps[entry["id"]] = Loss(entry["reason"], gaps[entry["id"]].since, entry["until_event"])
            if entry["until_event"] not in begun:
                begun[entry["until_event"]] = None
                again.append(entry["until_event"])
    return list(gaps.values()), again


def _entry(raw: bytes) -> dict[str, Any]:
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}
