"""What the ledger says of lines that were made and not written, and of the runs that made them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.writer import REPLAY
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import hour_of, utc_ns

Book = tuple[str, str]
"""Dataset and instrument."""


@dataclass(slots=True)
class LedgerFacts:
    """What the ledger of one venue says.

    Attributes:
        is_replayed: every run was a replay; cadence_ms, depth: of the last one.
        suspended: book times between which lines were not written, until None: to the end.
        late: by hour, the book time of the first line that came too late for it.
    """

    is_replayed: bool = False
    cadence_ms: int | None = None
    depth: int | None = None
    suspended: dict[Book, list[tuple[int, int | None]]] = field(default_factory=dict)
    late: dict[Book, dict[int, int]] = field(default_factory=dict)


def read_facts(vault: Vault, venue: str) -> LedgerFacts:
    """Read the ledger of a venue; lines that cannot be read are passed over."""
    facts = LedgerFacts()
    origins = set()
    for entry in _entries(ledger.path for ledger in layout.iter_ledger_files(vault.root) if ledger.venue == venue):
        detail = entry.get("detail") if isinstance(entry.get("detail"), dict) else {}
        kind = entry.get("kind")
        if kind == "started" and isinstance(detail, dict):
            origins.add(detail.get("origin"))
            facts.cadence_ms, facts.depth = _whole(detail.get("cadence_ms")), _whole(detail.get("depth"))
        elif kind in ("write_suspended", "write_resumed", "late_line") and isinstance(detail, dict):
            for dataset in (detail.get("dataset"), *(detail.get("also") or [])):
                _note(facts, (str(dataset), str(entry.get("instId"))), entry)
    facts.is_replayed = origins == {REPLAY}
    return facts


def deleted_paths(vault: Vault) -> set[str]:
    """List what retention has deleted: plain files, from the vault on."""
    files = sorted(vault.retention_file("2026-01-01").parent.glob("*.jsonl"))
    return {str(entry.get("path")) for entry in _entries(files) if entry.get("action") == "deleted"}


def _note(facts: LedgerFacts, book: Book, entry: dict[str, object]) -> None:
    since_ns, until_ns = _ns(entry.get("since_event")), _ns(entry.get("until_event"))
    if since_ns is None:
        return
    spans = facts.suspended.setdefault(book, [])
    if entry["kind"] == "write_suspended":
        spans.append((since_ns, None))
    elif entry["kind"] == "write_resumed":
        spans[:] = [span for span in spans if span != (since_ns, None)] + [(since_ns, until_ns)]
    else:
        hours = facts.late.setdefault(book, {})
        hours[hour_of(since_ns)] = min(since_ns, hours.get(hour_of(since_ns), since_ns))


def _entries(paths: Iterable[Path]) -> Iterator[dict[str, object]]:
    for path in paths:
        try:
            for raw in read_lines(path):
                try:
                    entry = orjson.loads(raw)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(entry, dict):
                    yield entry
        except (ArchiveError, OSError):
            continue  # `verify` names it


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _ns(value: object) -> int | None:
    try:
        return utc_ns(str(value))
    except ValueError:
        return None
