"""Encoding a record as its line (docs/FORMAT.md, "The snapshot line", "Order events"): always the same bytes."""

from functools import lru_cache
from typing import Any

import orjson

from l2_exporter.core.decimaltext import mean_text
from l2_exporter.core.events import Change, OrderChange
from l2_exporter.core.records import OrderRecord, SnapshotRecord
from l2_exporter.core.speedups import compiled
from l2_exporter.core.timetext import utc_text

RECEIVED_DECIMALS = 6
_episode_text = lru_cache(maxsize=256)(utc_text)
NO_CHANGE = OrderChange(Change.SET, "")
"""What a mark says of orders: nothing."""


def encode_line(record: SnapshotRecord) -> bytes:
    """Write a record as compact JSON with its closing newline, fields in the contract's order."""
    spec = record.spec
    best_bid = record.bids[0][0] if record.bids else None
    best_ask = record.asks[0][0] if record.asks else None
    fields: dict[str, object] = {
        "timestamp_utc": utc_text(record.event_ns, spec.decimals),
        "exchange": spec.venue,
        "market": spec.market,
        "channel": spec.channel,
        "instId": spec.inst,
        f"bids_top{spec.depth}": _json_of(record.bids),
        f"asks_top{spec.depth}": _json_of(record.asks),
        "best_bid": best_bid,
        "best_ask": best_ask,
        "mid_price": None if best_bid is None or best_ask is None else mean_text(best_bid, best_ask),
        "checksum": record.checksum,
        "seqId": record.seq,
        "prevSeqId": record.prev_seq,
        "gap_detected": record.gap,
        "received_utc": None if record.recv_ns is None else utc_text(record.recv_ns, RECEIVED_DECIMALS),
        "checksum_ok": record.checksum_ok,
        "flags": record.flags,
        "live_since_utc": _episode_text(record.live_since_ns, spec.decimals),
    }
    if record.events is not None:
        fields["n"] = record.events
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _json_of(rows: Any) -> object:
    """Return what the JSON library takes for rows: compiled levels are JSON already."""
    if compiled is not None and type(rows) is compiled.Levels:
        return orjson.Fragment(rows.json)
    return rows


def encode_event(record: OrderRecord) -> bytes:
    """Write an order event as compact JSON with its closing newline, fields in the contract's order."""
    spec, event_ns, recv_ns, kind, change, seq, flags, live_since_ns, number = record
    _, order_id, side, price, size, remaining, reason, maker, taker = change or NO_CHANGE
    fields = {
        "timestamp_utc": utc_text(event_ns, spec.decimals),
        "exchange": spec.venue,
        "market": spec.market,
        "channel": spec.channel,
        "instId": spec.inst,
        "type": kind,
        "order_id": order_id or None,
        "side": side,
        "price": price,
        "size": size,
        "remaining": remaining,
        "reason": reason,
        "maker_order_id": maker,
        "taker_order_id": taker,
        "seqId": seq,
        "received_utc": None if recv_ns is None else utc_text(recv_ns, RECEIVED_DECIMALS),
        "flags": flags,
        "live_since_utc": _episode_text(live_since_ns, spec.decimals),
        "n": number,
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
