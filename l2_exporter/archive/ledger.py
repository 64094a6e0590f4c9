"""The ledger: a JSON object a line for everything that happened to the data (docs/FORMAT.md, "The ledger")."""

from collections.abc import Iterator

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.windows import AllWindows
from l2_exporter.core.history import LastLine, OpenGap
from l2_exporter.core.records import BookSpec, LedgerRecord
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


def open_gaps(
    vault: layout.Vault, venue: str, windows: AllWindows, lives: dict[tuple[str, str], LastLine]
) -> dict[tuple[str, str], list[OpenGap]]:
    """Return the gaps that no `live` ends, by (dataset, instrument), oldest first; damaged lines are passed over.

    Args:
        windows: learns of every loss.
        lives: learns where the newest episode of every book began.
    """
    gaps: dict[str, tuple[tuple[str, str], OpenGap]] = {}
    for record, at_ns in gap_records(vault, venue):
        windows.noted(record, at_ns)
        if record.kind == "live" and record.spec is not None and record.until_event_ns is not None:
            began = LastLine(record.until_event_ns, record.until_recv_ns)
            lives[record.spec.dataset, record.spec.inst] = began
        if record.id is None or record.spec is None:
            continue
        if record.kind == "live":
            gaps.pop(record.id, None)
            continue
        gap = OpenGap(record.id, str(record.reason), record.since_event_ns, record.since_recv_ns)
        gaps[record.id] = ((record.spec.dataset, record.spec.inst), gap)
    found: dict[tuple[str, str], list[OpenGap]] = {}
    for book, gap in gaps.values():
        found.setdefault(book, []).append(gap)
    return found


def gap_records(vault: layout.Vault, venue: str) -> Iterator[tuple[LedgerRecord, int]]:
    """Yield the `gap` and `live` lines as records with their `at`, in order; damaged lines are passed over."""
    for entry in _entries(vault, venue):
        inst, detail, at_ns = entry.get("instId"), entry.get("detail"), _ns(entry.get("at"))
        if not (isinstance(inst, str) and isinstance(detail, dict)) or at_ns is None:
            continue
        ident, reason = entry.get("id"), entry.get("reason")
        yield (
            LedgerRecord(
                at_ns,
                str(entry["kind"]),
                spec=BookSpec(venue, "", str(detail.get("dataset")), "", inst, 0, RECEIVED_DECIMALS),
                id=ident if isinstance(ident, str) else None,
                reason=reason if isinstance(reason, str) else None,
                since_event_ns=_ns(entry.get("since_event")),
                since_recv_ns=_ns(entry.get("since_received")),
                until_event_ns=_ns(entry.get("until_event")),
                until_recv_ns=_ns(entry.get("until_received")),
                detail={str(name): value for name, value in detail.items()},
            ),
            at_ns,
        )


def started_settings(vault: layout.Vault, venue: str) -> Iterator[tuple[int, str, int | None]]:
    """Yield when runs have started, the origin of their lines, and their cadence in milliseconds."""
    for entry in _entries(vault, venue, "started"):
        detail, at_ns = entry.get("detail"), _ns(entry.get("at"))
        if isinstance(detail, dict) and at_ns is not None:
            cadence_ms = detail.get("cadence_ms")
            yield at_ns, str(detail.get("origin")), cadence_ms if type(cadence_ms) is int else None


def _entries(vault: layout.Vault, venue: str, *kinds: str) -> Iterator[dict[str, object]]:
    """Yield the ledger's lines of some kinds, by default `gap` and `live`, in order."""
    wanted = kinds or ("gap", "live")
    marks = [f'"kind":"{kind}"'.encode() for kind in wanted]
    for ledger in layout.iter_ledger_files(vault.root):
        if ledger.venue != venue:
            continue
        for line in read_lines(ledger.path):
            if not any(mark in line for mark in marks):
                continue
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(entry, dict) and entry.get("kind") in wanted:
                yield entry


def _text(moment_ns: int | None, decimals: int) -> str | None:
    return None if moment_ns is None else utc_text(moment_ns, decimals)


def _ns(value: object) -> int | None:
    try:
        return utc_ns(str(value))
    except ValueError:
        return None
