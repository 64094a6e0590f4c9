"""OKX frames made of a Binance futures capture: sampled each 100 ms, the best 400 levels a side, what differs sent.

Prices move as they really did; the number of orders, which Binance does not tell, is made of price and size. Real
frames of OKX are there for some seconds only.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.streams.okx import Push, Row

NAME = "binance_usdm/hftbacktest-20240808-btcusdt-0ms.jsonl.gz"
LEVELS = 400
PUSH_MS = 100

Side = dict[float, Row]


def taped(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield (line, frame) of a recording."""
    with gzip.open(path, "rt") as file:
        for line in file:
            fields = json.loads(line)
            yield fields, json.loads(fields["frame"])


def sampled(path: Path) -> Iterator[Push]:
    """Yield the capture as pushes, the first a snapshot."""
    bids: Side = {}
    asks: Side = {}
    shown: tuple[Side, Side] = ({}, {})
    known, bucket = 0, None
    for line, frame in taped(path):
        if line["dir"] == "http":
            known = frame["lastUpdateId"]
            for side, rows in ((bids, frame["bids"]), (asks, frame["asks"])):
                _apply(side, rows)
            continue
        update = frame.get("data", {})
        if not bids or update.get("e") != "depthUpdate" or update["u"] <= known:
            continue
        now = update["E"] // PUSH_MS
        if bucket is not None and now > bucket:
            best = (_best(bids, True), _best(asks, False))
            changes = [_changed(old, new, sign) for old, new, sign in zip(shown, best, (-1, 1), strict=True)]
            shown = best
            if any(changes):
                yield Push(now * PUSH_MS, *changes, *(list(side.values()) for side in best))
        bucket = now
        for side, rows in ((bids, update["b"]), (asks, update["a"])):
            _apply(side, rows)


def _apply(side: Side, rows: list[list[str]]) -> None:
    for price, size in rows:
        if float(size) == 0:
            side.pop(float(price), None)
        else:
            side[float(price)] = [price, size, "0", str(1 + zlib.crc32(f"{price}{size}".encode()) % 9)]


def _best(side: Side, highest_first: bool) -> Side:
    return {price: side[price] for price in sorted(side, reverse=highest_first)[:LEVELS]}


def _changed(old: Side, new: Side, sign: int) -> list[Row]:
    """List the rows that make the new book of the old one, best first."""
    rows = {price: row for price, row in new.items() if old.get(price) != row}
    rows |= {price: [row[0], "0", "0", "0"] for price, row in old.items() if price not in new}
    return [rows[price] for price in sorted(rows, key=lambda price: sign * price)]
