"""The ledger: a JSON object a line for everything that happened to the data (docs/FORMAT.md, "The ledger")."""

from collections.abc import Iterator

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.read import read_lines
from l2_exporter.core.history import OpenGap
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.timetext import utc_ns, utc_text

RECEIVED_DECIMALS = 6


def encode_entry(record: LedgerRecord, venue: str, at_ns: int) -> bytes:
    """Write a ledger line with its newline. Book times have the decimals of their channel, receive times six."""
    spec = record.spec
    decimals = RECEIVED_DECIMALS if spec is None else spec.decimals
    detail = record.detail
    if spec is not None:
        detail = {"dataset": spec.dataset, **(detail or {})}
    fields = {
        "at": utc_text(at_ns, RECEIVED_DECIMALS),
        "kind": record.kind,
        "venue": venue,
        "conn": record.conn,
        "instId": None if spec is None else spec.inst,
        "id": record.id,
        "reason": record.reason,
        "since_event": _text(record.since_event_ns, decimals),
        "since_received": _text(record.since_recv_ns, RECEIVED_DECIMALS),
        "until_event": _text(record.until_event_ns, decimals),
        "until_received": _text(record.until_recv_ns, RECEIVED_DECIMALS),
        "expected": record.expected,
        "got": record.got,
        "detail": detail,
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def open_gaps(vault: layout.Vault, venue: str) -> dict[tuple[str, str], list[OpenGap]]:
    """Return the gaps that no `live` ends, by (dataset, instrument), oldest first; damaged lines are passed over."""
    gaps: dict[str, tuple[tuple[str, str], OpenGap]] = {}
    for entry in _entries(vault, venue):
        ident, inst, detail = entry.get("id"), entry.get("instId"), entry.get("detail")
        if not (isinstance(ident, str) and isinstance(inst, str) and isinstance(detail, dict)):
            continue
        if entry["kind"] == "live":
            gaps.pop(ident, None)
            continue
        since_event, since_received = _ns(entry.get("since_event")), _ns(entry.get("since_received"))
        gap = OpenGap(ident, str(entry.get("reason")), since_event, since_received)
        gaps[ident] = ((str(detail.get("dataset")), inst), gap)
    found: dict[tuple[str, str], list[OpenGap]] = {}
    for book, gap in gaps.values():
        found.setdefault(book, []).append(gap)
    return found


def _entries(vault: layout.Vault, venue: str) -> Iterator[dict[str, object]]:
    """Yield the ledger's `gap` and `live` lines, in order."""
    for ledger in layout.iter_ledger_files(vault.root):
        if ledger.venue != venue:
            continue
        for line in read_lines(ledger.path):
            if b'"kind":"gap"' not in line and b'"kind":"live"' not in line:
                continue
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(entry, dict) and entry.get("kind") in ("gap", "live"):
                yield entry


def _text(moment_ns: int | None, decimals: int) -> str | None:
    return None if moment_ns is None else utc_text(moment_ns, decimals)


def _ns(value: object) -> int | None:
    try:
        return utc_ns(str(value))
    except ValueError:
        return None
