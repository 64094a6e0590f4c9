"""Books of a KuCoin spot recording, kept the plainest way: the documents' recipe, dicts, every state by its number.

Written from "Orderbook - Increment" ("Local order book construction procedure"); it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Rows = list[list[str]]
TOPIC = "/market/level2:"


class State(NamedTuple):
    """A book after one message; best first."""

    bids: Rows
    asks: Rows
    time_ms: int


class _Book:
    """One pair: what is buffered until the REST book comes, then the book."""

    def __init__(self) -> None:
        self.buffer: list[dict[str, Any]] = []
        self.seeded_at: int | None = None
        self.bids: dict[Decimal, list[str]] = {}
        self.asks: dict[Decimal, list[str]] = {}
        self.time_ms = 0

    def rest(self, answer: dict[str, Any]) -> None:
        self.seeded_at = int(answer["sequence"])
        self.bids = {Decimal(row[0]): row for row in answer["bids"]}
        self.asks = {Decimal(row[0]): row for row in answer["asks"]}
        self.time_ms = answer["time"]

    def apply(self, message: dict[str, Any]) -> None:
        """Apply the rows that go beyond the REST book, as the documents want it."""
        for side, rows in ((self.bids, message["changes"]["bids"]), (self.asks, message["changes"]["asks"])):
            for price, size, number in rows:
                if int(number) <= self.seeded_at or not Decimal(price):
                    continue
                side.pop(Decimal(price), None)
                if Decimal(size):
                    side[Decimal(price)] = [price, size]
        self.time_ms = max(self.time_ms, message["time"])

    def state(self, depth: int) -> State:
        bids = [self.bids[price] for price in sorted(self.bids, reverse=True)[:depth]]
        return State(bids, [self.asks[price] for price in sorted(self.asks)[:depth]], self.time_ms)


def states(lines: Iterable[Mapping[str, Any]], depth: int) -> dict[tuple[str, int], State]:
    """Return every state by (pair, number), from the REST book on. A break of the numbers raises AssertionError."""
    books: dict[str, _Book] = {}
    found: dict[tuple[str, int], State] = {}
    last: dict[str, int] = {}
    for line in lines:
        answer = json.loads(line["frame"])
        if line["dir"] == "http":
            pair = parse_qs(urlsplit(line["url"]).query)["symbol"][0]
            book = books.setdefault(pair, _Book())
            book.rest(answer["data"])
            waiting, book.buffer = book.buffer, []
            found[pair, book.seeded_at] = book.state(depth)
        elif line["dir"] == "in" and answer.get("topic", "").startswith(TOPIC):
            message = answer["data"]
            pair = message["symbol"]
            book = books.setdefault(pair, _Book())
            assert message["sequenceStart"] == last.get(pair, message["sequenceStart"] - 1) + 1
            last[pair] = message["sequenceEnd"]
            waiting = [message]
            if book.seeded_at is None:
                book.buffer.append(message)
                continue
        else:
            continue
        for message in waiting:
            if message["sequenceEnd"] > book.seeded_at:
                book.apply(message)
                found[pair, message["sequenceEnd"]] = book.state(depth)
    return found
