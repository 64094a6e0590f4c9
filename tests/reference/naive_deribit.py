"""Books of a Deribit recording, kept the plainest way: one dict a side, every state kept by its number.

Written from the venue's documents; it imports nothing of the recorder. Number texts are those of the wire.
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


def states(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], State]:
    """Return every state by (instrument, change_id)."""
    books: dict[str, tuple[dict[Decimal, str], dict[Decimal, str]]] = {}
    texts: dict[tuple[str, Decimal], str] = {}
    found: dict[tuple[str, int], State] = {}
    newest: dict[str, int] = {}
    for line in lines:
        message = json.loads(line["frame"], parse_float=str, parse_int=str) if line["dir"] == "in" else {}
        if not message.get("params", {}).get("channel", "").startswith("book."):
            continue
        book = message["params"]["data"]
        inst = book["instrument_name"]
        if book["type"] == "snapshot":
            books[inst], newest[inst] = ({}, {}), 0
        for side, rows in zip(books[inst], (book["bids"], book["asks"]), strict=True):
            for action, price, amount in rows:
                key = Decimal(price)
                if action == "delete":
                    del side[key]
                else:
                    side[key] = amount
                    texts[inst, key] = price
        newest[inst] = max(newest[inst], int(book["timestamp"]))
        bids, asks = books[inst]
        found[inst, int(book["change_id"])] = State(
            [[texts[inst, key], bids[key]] for key in sorted(bids, reverse=True)],
            [[texts[inst, key], asks[key]] for key in sorted(asks)],
            newest[inst],
        )
    return found
