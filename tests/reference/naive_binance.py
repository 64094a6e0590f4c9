"""Books of a Binance recording, kept the plainest way: the documents' recipe, dicts, every state kept by its number.

Written from "How to manage a local order book correctly"; it imports nothing of the recorder. A REST book shows at most
1,000 levels a side: beyond the last one of a full side nothing is known, and such rows are left out here too.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Rows = list[list[str]]
FULL = 1000


class State(NamedTuple):
    """A book after one update; best first, times in milliseconds."""

    bids: Rows
    asks: Rows
    short: tuple[bool, bool]
    time_ms: int | None


class _Book:
    """One symbol: what is buffered until the REST book comes, then the book."""

    def __init__(self) -> None:
        self.buffer: list[dict[str, Any]] = []
        self.snapshot: dict[str, Any] | None = None
        self.sides: tuple[dict[Decimal, list[str]], dict[Decimal, list[str]]] | None = None
        self.ends: list[Decimal | None] = [None, None]
        self.joined = False
        self.time_ms: int | None = None

    def rest(self, answer: dict[str, Any]) -> None:
        self.snapshot = answer
        self.sides = tuple({Decimal(row[0]): row[:2] for row in answer[name]} for name in ("bids", "asks"))
        full = [len(side) >= FULL for side in self.sides]
        self.ends = [min(self.sides[0]) if full[0] else None, max(self.sides[1]) if full[1] else None]
        self.time_ms = answer.get("T")

    def apply(self, update: dict[str, Any], time: str) -> None:
        inside = (lambda price, end: end is None or price >= end, lambda price, end: end is None or price <= end)
        for side, rows, end, test in zip(self.sides, (update["b"], update["a"]), self.ends, inside, strict=True):
            for row in rows:
                price = Decimal(row[0])
                if test(price, end):
                    side.pop(price, None)
                    if Decimal(row[1]):
                        side[price] = row[:2]
        self.time_ms = max(self.time_ms or 0, update[time])

    def state(self, depth: int) -> State:
        bids = [self.sides[0][price] for price in sorted(self.sides[0], reverse=True)[:depth]]
        asks = [self.sides[1][price] for price in sorted(self.sides[1])[:depth]]
        short = [end is not None and len(rows) < depth for end, rows in zip(self.ends, (bids, asks), strict=True)]
        return State(bids, asks, (short[0], short[1]), self.time_ms)


def states(lines: Iterable[Mapping[str, Any]], depth: int, time: str) -> dict[tuple[str, int], State]:
    """Return every state by (symbol, number), from the REST book on.

    Args:
        time: field of the event time.
    """
    books: dict[str, _Book] = {}
    found: dict[tuple[str, int], State] = {}
    for line in lines:
        if line["dir"] == "http":
            symbol = parse_qs(urlsplit(line["url"]).query)["symbol"][0]
            book = books.setdefault(symbol, _Book())
            book.rest(json.loads(line["frame"]))
            waiting, book.buffer = book.buffer, []
            found[symbol, book.snapshot["lastUpdateId"]] = book.state(depth)
        else:
            update = json.loads(line["frame"]) if line["dir"] == "in" else {}
            update = update.get("data", update)
            if update.get("e") != "depthUpdate":
                continue
            symbol = update["s"]
            book = books.setdefault(symbol, _Book())
            waiting = [update]
            if book.snapshot is None:
                book.buffer += waiting
                continue
        for update in waiting:
            if not book.joined and update["u"] <= book.snapshot["lastUpdateId"]:
                continue
            book.joined = True
            book.apply(update, time)
            found[symbol, update["u"]] = book.state(depth)
    return found
