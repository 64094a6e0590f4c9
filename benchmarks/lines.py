"""Snapshot lines to measure on: books of real recordings sampled every two seconds, or made by a seeded walk.

The recordings are of Binance futures, as none of OKX is longer than 30 s: real movements of a real book, in lines of
OKX's shape. What Binance does not tell, the number of orders of a level, is made from price and size, so that it
changes exactly when they do.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

LEVELS = 400
CADENCE_S = 2
HOUR_LINES = 1800
RECORDINGS = "binance_usdm/hftbacktest-*.jsonl.gz"

Side = dict[float, tuple[str, str]]
"""A side of a book: price and size as texts, by price."""


def recorded(folder: Path) -> Iterator[bytes]:
    """Yield the lines of every recording below a folder, one recording after the other."""
    for path in sorted(folder.glob(RECORDINGS)):
        yield from _replayed(path)


def _replayed(path: Path) -> Iterator[bytes]:
    """Follow one recording: the REST book, then every update from there on; a line at each full two seconds."""
    bids: Side = {}
    asks: Side = {}
    known, bucket = 0, None
    with gzip.open(path, "rt") as file:
        for line in file:
            taped = json.loads(line)
            frame = json.loads(taped["frame"])
            if taped["dir"] == "http":
                known = frame["lastUpdateId"]
                bids, asks = ({float(row[0]): (row[0], row[1]) for row in frame[side]} for side in ("bids", "asks"))
                continue
            update = frame.get("data", {})
            if not bids or update.get("e") != "depthUpdate" or update["u"] <= known:
                continue
            now = update["T"] // (1000 * CADENCE_S)
            if bucket is not None and now > bucket:
                yield snapshot_line(update["T"], update["u"], update["pu"], _best(bids, True), _best(asks, False))
            bucket = now
            for side, rows in ((bids, update["b"]), (asks, update["a"])):
                _apply(side, rows)


def _apply(side: Side, rows: Sequence[Sequence[str]]) -> None:
    for price, size in rows:
        if float(size) == 0:
            side.pop(float(price), None)
        else:
            side[float(price)] = (price, size)


def _best(side: Side, highest_first: bool) -> list[list[str]]:
    prices = sorted(side, reverse=highest_first)[:LEVELS]
    return [[*side[price], "0", str(1 + zlib.crc32("".join(side[price]).encode()) % 9)] for price in prices]


def snapshot_line(ms: int, seq: int, prev_seq: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    """Write a line as the recorder does (docs/FORMAT.md, section 3)."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    fields: dict[str, Any] = {
        "timestamp_utc": f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z",
        "exchange": "okx",
        "market": "perp",
        "channel": "books",
        "instId": "BTC-USDT-SWAP",
        "bids_top400": bids,
        "asks_top400": asks,
        "best_bid": bids[0][0],
        "best_ask": asks[0][0],
        "mid_price": f"{(float(bids[0][0]) + float(asks[0][0])) / 2:.2f}",
        "checksum": 0,
        "seqId": seq,
        "prevSeqId": prev_seq,
        "gap_detected": False,
        "received_utc": f"{moment:%Y-%m-%dT%H:%M:%S}.{ms * 7919 % 1_000_000:06d}Z",
        "checksum_ok": None,
        "flags": [],
        "live_since_utc": "2026-11-21T00:00:00.101Z",
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def generated(seed: int, count: int = HOUR_LINES) -> Iterator[bytes]:
    """Yield the lines of an hour of a book that walks at random.

    From line to line the middle moves by some ticks and a part of the levels gets another size; how many was chosen so
    that `gzip -6` finds as much in them as in the recordings.
    """
    random = Random(seed)
    mid, seq = 432_500, 8_000_000_000
    sides: tuple[dict[int, list[str]], dict[int, list[str]]] = ({}, {})
    start_ms = 1_795_219_200_000
    for number in range(count):
        mid += round(random.gauss(0, 12))
        step = random.randint(100, 900)
        seq += step
        rows = [_walked(random, side, mid, sign) for side, sign in zip(sides, (-1, 1), strict=True)]
        yield snapshot_line(start_ms + 2000 * number + random.randrange(1900), seq, seq - step // 20, *rows)


CHANGED = 0.28


def _walked(random: Random, side: dict[int, list[str]], mid: int, sign: int) -> list[list[str]]:
    """Return the 400 levels next to the middle; those that were not there before, and some others, are new."""
    ticks = [mid + sign * (1 + rank) for rank in range(LEVELS)]
    kept = {tick: side[tick] for tick in ticks if tick in side and random.random() >= CHANGED}
    side.clear()
    for tick in ticks:
        side[tick] = kept.get(tick) or [
            f"{tick / 10:.1f}",
            f"{random.expovariate(1 / 40):.2f}",
            "0",
            str(1 + int(random.expovariate(0.6))),
        ]
    return list(side.values())
