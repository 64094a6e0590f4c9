"""Recordings of protocols that are spoken no more, or of venues that are not recorded: they test book and checksum.

Each frame is read by hand into levels and given to the recorder's book and to a dict of decimals; both must hold the
same after every frame.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from l2_exporter.core.book import Book
from l2_exporter.venues.okx import Okx
from tests.recordings import load, needs_recordings

Rows = list[list[str]]


class Told(NamedTuple):
    """What a frame says of one book; `whole` replaces it. `checksum` None: none is sent."""

    book: str
    whole: bool
    bids: Rows
    asks: Rows
    checksum: int | None = None


def okex_v3(frame: Any, conn: str) -> Iterator[Told]:
    for data in frame.get("data", []) if "depth" in frame.get("table", "") else []:
        whole = frame["action"] == "partial"
        yield Told(conn + data["instrument_id"], whole, data["bids"], data["asks"], int(data["checksum"]))


def kraken_futures(frame: Any, conn: str) -> Iterator[Told]:
    if frame.get("feed") == "book_snapshot":
        sides = [[[row["price"], row["qty"]] for row in frame[side]] for side in ("bids", "asks")]
        yield Told(frame["product_id"], True, *sides)
    elif frame.get("feed") == "book" and "event" not in frame:
        row = [[frame["price"], frame["qty"]]]
        yield Told(frame["product_id"], False, *((row, []) if frame["side"] == "buy" else ([], row)))


def gate_v3(frame: Any, conn: str) -> Iterator[Told]:
    if frame.get("method") == "depth.update":
        whole, book, inst, *_ = frame["params"]
        yield Told(inst, whole, book.get("bids", []), book.get("asks", []))


def poloniex_legacy(frame: Any, conn: str) -> Iterator[Told]:
    for entry in frame[2] if len(frame) > 2 else []:
        if entry[0] == "i":
            asks, bids = ([[price, size] for price, size in side.items()] for side in entry[1]["orderBook"])
            yield Told(frame[0], True, bids, asks)
        elif entry[0] == "o":
            row = [[entry[2], entry[3]]]
            yield Told(frame[0], False, *((row, []) if entry[1] == "1" else ([], row)))


def bybit_legacy(frame: Any, conn: str) -> Iterator[Told]:
    topic, data = frame.get("topic", ""), frame.get("data")
    if not topic.startswith("orderBook"):
        return
    if frame["type"] == "snapshot":
        rows = data["order_book"] if isinstance(data, dict) else data
    else:
        rows = [row | {"size": "0"} for row in data["delete"]] + data["update"] + data["insert"]
    sides = [[[row["price"], row["size"]] for row in rows if row["side"] == side] for side in ("Buy", "Sell")]
    yield Told(conn + topic, frame["type"] == "snapshot", *sides)


class Naive:
    """A book as two dicts, rows by the number of their price."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, list[str]], dict[Decimal, list[str]]] = ({}, {})

    def take(self, told: Told) -> None:
        for side, rows in zip(self.sides, (told.bids, told.asks), strict=True):
            if told.whole:
                side.clear()
            for row in rows:
                side.pop(Decimal(row[0]), None)
                if Decimal(row[1]):
                    side[Decimal(row[0])] = row

    def rows(self) -> tuple[Rows, Rows]:
        bids, asks = self.sides
        return [bids[price] for price in sorted(bids, reverse=True)], [asks[price] for price in sorted(asks)]


@needs_recordings
@pytest.mark.parametrize(
    ("name", "read", "books", "messages", "sums"),
    [
        ("okx/cryptofeed-20210417-okex-v3-3conns", okex_v3, 30, 6_974, 6_974),
        ("kraken_futures/cryptofeed-20210722-v1", kraken_futures, 10, 7_024, 0),
        ("gate/cryptofeed-20210417-v3-depth30", gate_v3, 10, 155, 0),
        ("poloniex/cryptofeed-20210405-legacy", poloniex_legacy, 10, 539, 0),
        ("bybit/cryptofeed-20210417-legacy-2conns", bybit_legacy, 10, 4_278, 0),
    ],
)
def test_books_and_checksums_of_retired_protocols(
    name: str, read: Callable[[Any, str], Iterator[Told]], books: int, messages: int, sums: int
) -> None:
    ours: dict[str, Book] = {}
    naive: dict[str, Naive] = {}
    seen = checked = 0
    for line in load(f"{name}.jsonl.gz"):
        if line["dir"] != "in":
            continue
        frame = json.loads(line["frame"], parse_float=str, parse_int=str)
        for told in read(frame, line["conn"]):
            book, plain = ours.setdefault(told.book, Book()), naive.setdefault(told.book, Naive())
            (book.replace if told.whole else book.apply)(told.bids, told.asks)
            plain.take(told)
            seen += 1
            assert (book.bids.rows, book.asks.rows) == plain.rows()
            if told.checksum is not None:
                checked += 1
                assert Okx().checksum(book.bids.rows, book.asks.rows) == told.checksum
    assert (len(ours), seen, checked) == (books, messages, sums)
