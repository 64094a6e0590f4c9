"""Books of a recording of Coinbase Advanced Trade, kept the plainest way: one dict a side, numbers as Decimals.

Written from the venue's documents; it imports nothing of the recorder.
"""

import heapq
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]
Side = dict[Decimal, list[str]]


class State(NamedTuple):
    """A book after one message; best first, its time with six decimals."""

    number: int
    time: str
    bids: Rows
    asks: Rows


class Replayed(NamedTuple):
    """What a replay found.

    Attributes:
        states: by instrument, the book after the last message of each bucket of event time.
        unknown_deletes: levels that were deleted although they were not there.
        numbers: of the frames of the connection, in order.
        deepest: the most levels a side had.
    """

    states: dict[str, list[State]]
    unknown_deletes: int
    numbers: list[int]
    deepest: int


def replayed(lines: Iterable[Mapping[str, Any]], cadence_ms: int, depth: int) -> Replayed:
    """Replay what came in; a bucket is so many milliseconds."""
    books: dict[str, tuple[Side, Side]] = {}
    newest: dict[str, tuple[int, str]] = {}
    states: dict[str, list[State]] = {}
    numbers = []
    unknown = deepest = 0

    def close(inst: str) -> None:
        number, time = newest[inst]
        states.setdefault(inst, []).append(State(number, time, *best(books[inst], depth)))

    for line in lines:
        if line["dir"] != "in":
            continue
        message = json.loads(line["frame"])
        numbers.append(message["sequence_num"])
        for event in message["events"] if message["channel"] == "l2_data" else ():
            inst = event["product_id"]
            time = max(six_decimals(update["event_time"]) for update in event["updates"])
            if inst in newest and milliseconds(time) // cadence_ms > milliseconds(newest[inst][1]) // cadence_ms:
                close(inst)
            if event["type"] == "snapshot":
                books[inst] = ({}, {})
            for update in event["updates"]:
                unknown += apply(books[inst][update["side"] == "offer"], update)
            newest[inst] = (message["sequence_num"], max(time, newest.get(inst, (0, ""))[1]))
            deepest = max(deepest, *map(len, books[inst]))
    for inst in newest:
        close(inst)
    return Replayed(states, unknown, numbers, deepest)


def apply(side: Side, update: Mapping[str, str]) -> bool:
    """Set one level; tell whether it was one to delete that is not there."""
    price = Decimal(update["price_level"])
    known = side.pop(price, None)
    if Decimal(update["new_quantity"]) != 0:
        side[price] = [update["price_level"], update["new_quantity"]]
        return False
    return known is None


def best(book: tuple[Side, Side], depth: int) -> tuple[Rows, Rows]:
    """Return the best levels of both sides."""
    bids, asks = book
    return [bids[price] for price in heapq.nlargest(depth, bids)], [
        asks[price] for price in heapq.nsmallest(depth, asks)
    ]


def six_decimals(time: str) -> str:
    """Write a time whose trailing zeros were left out with six decimals."""
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction.ljust(6, '0')[:6]}Z"


def milliseconds(time: str) -> int:
    """Read such a time."""
    moment = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
