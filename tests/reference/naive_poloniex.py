"""Books of a Poloniex `book_lv2` tape, kept the plainest way: one dict a side, every state kept by its number.

Written from the venue's documents; it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]


class State(NamedTuple):
    """A book after one message; best first, times in milliseconds. A snapshot is of when it was sent."""

    bids: Rows
    asks: Rows
    time_ms: int
    last_id: int


def pushes(lines: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (action, book) of every push."""
    for line in lines:
        message = json.loads(line["frame"]) if line["dir"] == "in" else {}
        if message.get("channel") == "book_lv2" and "data" in message:
            for book in message["data"]:
                yield message["action"], book


def states(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, State]]:
    """Return every state by instrument and id, in order."""
    books: dict[str, tuple[dict[Decimal, list[str]], dict[Decimal, list[str]]]] = {}
    found: dict[str, dict[int, State]] = {}
    newest_ms: dict[str, int] = {}
    for action, book in pushes(lines):
        inst = book["symbol"]
        if action == "snapshot":
            books[inst], newest_ms[inst] = ({}, {}), book["ts"]
        for side, rows in zip(books[inst], (book["bids"], book["asks"]), strict=True):
            for row in rows:
                side.pop(Decimal(row[0]), None)
                if Decimal(row[1]) != 0:
                    side[Decimal(row[0])] = row
        if action == "update":
            newest_ms[inst] = max(newest_ms[inst], book["createTime"])
        bids, asks = books[inst]
        found.setdefault(inst, {})[book["id"]] = State(
            [bids[price] for price in sorted(bids, reverse=True)],
            [asks[price] for price in sorted(asks)],
            newest_ms[inst],
            book["lastId"],
        )
    return found


def sampled(found: Mapping[str, Mapping[int, State]], cadence_ms: int) -> dict[str, list[int]]:
    """Choose what becomes a line where no receive time sets a deadline: the last id of each bucket, by instrument."""
    return {
        inst: [*{state.time_ms // cadence_ms: number for number, state in states.items()}.values()]
        for inst, states in found.items()
    }
