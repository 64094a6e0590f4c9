"""Frames of Binance's `depth` streams: recordings as they came, or made of the changes of a seeded book."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from benchmarks.streams.lines import Line, line
from benchmarks.streams.okx import Push

NAMES = (
    "binance_usdm/hftbacktest-20240808-btcusdt-0ms.jsonl.gz",
    "binance_usdm/hftbacktest-20240718_19-btcusdt-0ms-midnight.jsonl.gz",
    "binance_usdm/hftbacktest-20230404_05-btcusdt-0ms-midnight.jsonl.gz",
)
URL = "wss://fstream.binance.com/stream"
REST_URL = "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
FIRST_ID = 5_000_000_000_000
IDS = 40


def recorded(path: Path) -> Iterator[Line]:
    """Yield the lines of a recording."""
    with gzip.open(path) as lines:
        yield from map(orjson.loads, lines)


def generated(pushes: Iterable[Push]) -> Iterator[Line]:
    """Yield an update that is too old, the REST book, and the updates that follow it."""
    ident = FIRST_ID
    for number, push in enumerate(pushes):
        bids, asks = ([row[:2] for row in rows] for rows in (push.bids, push.asks))
        if number == 0:
            yield line(push.ms, _update(push.ms, ident, [], []), URL)
            body = {"lastUpdateId": ident, "E": push.ms, "T": push.ms, "bids": bids, "asks": asks}
            yield line(push.ms, orjson.dumps(body).decode(), REST_URL, "http")
        else:
            ident += IDS
            yield line(push.ms, _update(push.ms, ident, bids, asks), URL)


def _update(ms: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    update = {"e": "depthUpdate", "E": ms, "T": ms, "s": "BTCUSDT"}
    # The first update behind the book must reach back to it.
    first = last - IDS
    numbers = {"U": first + (first > FIRST_ID), "u": last, "pu": first}
    return orjson.dumps({"stream": "btcusdt@depth@0ms", "data": {**update, **numbers, "b": bids, "a": asks}}).decode()
