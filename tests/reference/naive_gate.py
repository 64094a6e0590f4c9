"""Books of a Gate spot recording, kept the plainest way: the documents' recipe, dicts, every state kept by its number.

Written from "How to maintain local order book"; it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Rows = list[list[str]]
Side = dict[Decimal, list[str]]
CHANNEL = "spot.order_book_update"


class State(NamedTuple):
    """A book after one update, best first; `unknown`: removals in it of prices that the book did not have."""

    bids: Rows
    asks: Rows
    time_ms: int
    unknown: int


def update_of(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the update in a line, if it is one."""
    message = json.loads(line["frame"]) if line["dir"] == "in" else {}
    is_update = message.get("channel") == CHANNEL and message.get("event") == "update"
    return message["result"] if is_update else None


def pair_asked(line: Mapping[str, Any]) -> str | None:
    """Return the pair of which a line has the REST book, if it has one."""
    return parse_qs(urlsplit(line["url"]).query)["currency_pair"][0] if line["dir"] == "http" else None


def steps(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield every REST book (True) and update (False) with its pair, updates only behind the book they go beyond."""
    waiting: dict[str, list[dict[str, Any]]] = {}
    numbers: dict[str, int] = {}
    for line in lines:
        asked, update = pair_asked(line), update_of(line)
        pair = asked or (update or {}).get("s")
        if pair is None:
            continue
        if asked is not None:
            book = json.loads(line["frame"])
            numbers[pair] = book["id"]
            yield pair, book, True
        else:
            waiting.setdefault(pair, []).append(update)
        if pair not in numbers:
            continue
        for held in waiting.pop(pair, []):
            if held["u"] > numbers[pair]:
                assert held["U"] <= numbers[pair] + 1 <= held["u"], f"{pair}: {held['U']} behind {numbers[pair]}"
                numbers[pair] = held["u"]
                yield pair, held, False


def states(lines: Iterable[Mapping[str, Any]], depth: int) -> dict[tuple[str, int], State]:
    """Return every state behind an update by (pair, u)."""
    books: dict[str, tuple[Side, Side]] = {}
    newest_ms: dict[str, int] = {}
    found: dict[tuple[str, int], State] = {}
    for pair, message, is_book in steps(lines):
        if is_book:
            bids, asks = ({Decimal(row[0]): row for row in message[name]} for name in ("bids", "asks"))
            books[pair], newest_ms[pair] = (bids, asks), 0
            continue
        unknown = 0
        for side, rows in zip(books[pair], (message["b"], message["a"]), strict=True):
            for row in rows:
                price, known = Decimal(row[0]), side.pop(Decimal(row[0]), None) is not None
                if Decimal(row[1]):
                    side[price] = row
                else:
                    unknown += not known
        newest_ms[pair] = max(newest_ms[pair], message["t"])
        bids, asks = books[pair]
        found[pair, message["u"]] = State(
            [bids[price] for price in sorted(bids, reverse=True)[:depth]],
            [asks[price] for price in sorted(asks)[:depth]],
            newest_ms[pair],
            unknown,
        )
    return found
