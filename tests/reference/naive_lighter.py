"""Books of Lighter recordings, kept the plainest way: one dict a side, sorted only where a line is expected.

Written from the venue's documents; it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]
Side = dict[Decimal, list[str]]


class Line(NamedTuple):
    """A book at the end of a bucket: best first, time in microseconds, numbers of the last update."""

    bids: Rows
    asks: Rows
    time_us: int
    nonce: int
    begin_nonce: int | None


def time_us(message: Mapping[str, Any]) -> int:
    """Tell when a book changed last; frames of 2025 only say, in milliseconds, when they were sent."""
    changed = message["order_book"].get("last_updated_at")
    return int(message["timestamp"]) * 1000 if changed is None else int(changed)


def books(lines: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Return the book messages of a recording."""
    messages = (json.loads(line["frame"]) for line in lines if line["dir"] == "in")
    return (message for message in messages if message["type"].endswith("/order_book"))


def sampled(lines: Iterable[Mapping[str, Any]], cadence_us: int, depth: int) -> list[Line]:
    """Return the book of the one market in a recording at the end of every bucket in which it changed.

    An update that does not go beyond the number of the snapshot is contained in it, and left out.
    """
    bids: Side = {}
    asks: Side = {}
    found: list[Line] = []
    at_us = snapshot_nonce = -1
    last: Mapping[str, Any] = {}
    for message in books(lines):
        book = message["order_book"]
        if message["type"] == "update/order_book" and book["nonce"] <= snapshot_nonce:
            continue
        newest_us = max(at_us, time_us(message))
        if last and newest_us // cadence_us > at_us // cadence_us:
            found.append(_line(bids, asks, depth, at_us, last))
        at_us, last = newest_us, message
        if message["type"] == "subscribed/order_book":
            bids, asks, snapshot_nonce = {}, {}, book["nonce"]
        for side, levels in ((bids, book["bids"]), (asks, book["asks"])):
            for level in levels or ():
                side.pop(Decimal(level["price"]), None)
                if Decimal(level["size"]) != 0:
                    side[Decimal(level["price"])] = [level["price"], level["size"]]
    return [*found, _line(bids, asks, depth, at_us, last)]


def _line(bids: Side, asks: Side, depth: int, at_us: int, message: Mapping[str, Any]) -> Line:
    book = message["order_book"]
    return Line(
        [bids[price] for price in sorted(bids, reverse=True)[:depth]],
        [asks[price] for price in sorted(asks)[:depth]],
        at_us,
        book["nonce"],
        book.get("begin_nonce"),
    )
