"""Log lines from records: what the operations page tells its readers to watch for, in its exact words."""

import logging

from l2_exporter.core.records import LedgerRecord, OrderRecord, Record, SnapshotRecord

log = logging.getLogger("l2_exporter.books")

_WARNINGS = {
    "disconnected",
    "canary",
    "stale",
    "suspect",
    "event_time_odd",
    "late_line",
    "schema_break",
    "write_suspended",
    "clock_step",
    "sleep",
    "maintenance",
    "delisted",
    "expired",
    "spec_changed",
}


class Journal:
    """Tells the log what happens to books."""

    def __init__(self) -> None:
        self._resubscribed: set[str] = set()

    def saw(self, record: Record) -> None:
        """Log one record."""
        if isinstance(record, SnapshotRecord):
            if log.isEnabledFor(logging.DEBUG):
                gap = "true" if record.gap else "false"
                counts = f"bids={len(record.bids)}, asks={len(record.asks)}, gap={gap}"
                log.debug("[%s] Snapshot written: %s", record.spec.inst, counts)
            return
        if isinstance(record, OrderRecord):
            return
        inst = record.spec.inst if record.spec is not None else None
        if inst is None:
            self._other(record, record.conn or "venue")
        elif record.kind == "gap":
            self._gap(record, inst)
        elif record.kind == "live":
            detail = record.detail or {}
            log.info("[%s] Snapshot loaded: %s bids, %s asks", inst, detail.get("bids"), detail.get("asks"))
            if inst in self._resubscribed:
                self._resubscribed.discard(inst)
                log.info("[%s] Forced resubscribe completed", inst)
        elif record.kind == "checksum_mismatch":
            log.warning("[%s] Checksum mismatch: expected=%s, calculated=%s", inst, record.expected, record.got)
        else:
            if record.kind == "resync" and record.reason == "resubscribe":
                self._resubscribed.add(inst)
            self._other(record, inst)

    def _gap(self, record: LedgerRecord, inst: str) -> None:
        if record.reason == "sequence" and record.expected is not None:
            log.warning("[%s] GAP DETECTED: expected prevSeqId=%s, got=%s", inst, record.expected, record.got)
        else:
            log.warning("[%s] GAP DETECTED: %s %s", inst, record.reason, record.detail or "")

    def _other(self, record: LedgerRecord, about: str) -> None:
        level = logging.WARNING if record.kind in _WARNINGS else logging.INFO
        log.log(level, "[%s] %s %s %s", about, record.kind, record.reason or "", record.detail or "")
