"""Books of a Bybit v5 recording, kept the plainest way: one dict a side, every state kept by its number.

Written from the venue's documents; it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]


class State(NamedTuple):
    """A book after one message; best first, times in milliseconds."""

    bids: Rows
    asks: Rows
    time_ms: int


def states(lines: Iterable[Mapping[str, Any]], depth: int) -> dict[tuple[str, int], State]:
    """Return every state by (instrument, u)."""
    books: dict[str, tuple[dict[Decimal, list[str]], dict[Decimal, list[str]]]] = {}
    found: dict[tuple[str, int], State] = {}
    newest_ms: dict[str, int] = {}
    for line in lines:
        message = json.loads(line["frame"]) if line["dir"] == "in" else {}
        if not message.get("topic", "").startswith("orderbook."):
            continue
        inst, data = message["data"]["s"], message["data"]
        if message["type"] == "snapshot" or data["u"] == 1:
            books[inst] = ({}, {})
            newest_ms[inst] = 0
        for side, rows in zip(books[inst], (data["b"], data["a"]), strict=True):
            for row in rows:
                side.pop(Decimal(row[0]), None)
                if Decimal(row[1]) != 0:
                    side[Decimal(row[0])] = row
        bids, asks = books[inst]
        newest_ms[inst] = max(newest_ms[inst], int(message["cts"]))
        found[inst, data["u"]] = State(
            [bids[price] for price in sorted(bids, reverse=True)[:depth]],
            [asks[price] for price in sorted(asks)[:depth]],
            newest_ms[inst],
        )
    return found
