"""Frames of OKX's `books` channel made of changes to a 400-level book, with the checksum and the numbers they need."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import orjson

INST = "BTC-USDT-SWAP"
URL = "wss://ws.okx.com:8443/ws/v5/public"
CHECKED = 25
FIRST_SEQ = 8_000_000_000
STEP = 7
PER_CONNECTION = 25
CONNECTS_PER_S = 3
"""How many books the product has on a connection, and how many connections it opens in a second."""

Row = list[str]


class Push(NamedTuple):
    """One push: the levels that changed, best first, and the best levels that a client then has."""

    ms: int
    bids: Sequence[Row]
    asks: Sequence[Row]
    best_bids: Sequence[Row]
    best_asks: Sequence[Row]


def checksum(bids: Sequence[Row], asks: Sequence[Row]) -> int:
    """Compute CRC-32, signed, of the best levels: bid and ask in turn, price and size each, joined by colons."""
    text = bytearray()
    for pair in zip_longest(bids[:CHECKED], asks[:CHECKED]):
        for row in pair:
            if row is not None:
                text += f"{row[0]}:{row[1]}:".encode()
    crc = zlib.crc32(text[:-1])
    return crc if crc < 1 << 31 else crc - (1 << 32)


def instruments(count: int) -> list[str]:
    """Name so many instruments."""
    return [f"B{number:03d}-USDT-SWAP" for number in range(count)]


def frames(pushes: Iterable[Push], inst: str = INST, *, summed: bool = True) -> Iterator[tuple[int, str]]:
    """Yield (ms, frame); the first push is the snapshot.

    Args:
        summed: carry the checksum; else 0, as OKX sends it since June 2026.
    """
    seq, prev = FIRST_SEQ, -1
    for push in pushes:
        book = {
            "asks": push.asks,
            "bids": push.bids,
            "ts": str(push.ms),
            "checksum": checksum(push.best_bids, push.best_asks) if summed else 0,
            "seqId": seq,
            "prevSeqId": prev,
        }
        action = "snapshot" if prev == -1 else "update"
        message = {"arg": {"channel": "books", "instId": inst}, "action": action, "data": [book]}
        yield push.ms, orjson.dumps(message).decode()
        seq, prev = seq + STEP, seq
