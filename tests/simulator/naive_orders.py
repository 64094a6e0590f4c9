"""Books of single orders kept the plainest way, from the venues' documents: a list of ids a price, a dict of orders.

One function a venue's message; nothing of the simulator is used but the frames it sends.
"""

import json
import zlib
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
Rows = tuple[tuple[tuple[str, str, str], ...], ...]
Levels = tuple[tuple[tuple[str, str, str, str], ...], ...]
SIDES = {"buy": 0, "sell": 1}


class Orders:
    """Orders by id, as (side, price text, size), and the queue of ids at each price."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, str, Decimal]] = {}
        self.texts: dict[str, str] = {}
        self.queues: tuple[dict[Decimal, list[str]], dict[Decimal, list[str]]] = ({}, {})

    def put(self, side: int, order_id: str, price: str, size: str) -> None:
        """Let an order rest; it keeps its place if it rests at this price already."""
        assert Decimal(size) > 0
        old = self.known.get(order_id)
        if old is not None and (old[0], Decimal(old[1])) != (side, Decimal(price)):
            self.drop(order_id)
            old = None
        if old is None:
            self.queues[side].setdefault(Decimal(price), []).append(order_id)
        self.known[order_id] = (side, price, Decimal(size))
        self.texts[order_id] = size

    def drop(self, order_id: str) -> None:
        """Take an order away."""
        side, price, _ = self.known.pop(order_id)
        queue = self.queues[side][Decimal(price)]
        queue.remove(order_id)
        if not queue:
            del self.queues[side][Decimal(price)]

    def rows(self) -> Rows:
        """Best price first, each queue in its order: price, size, id."""
        return tuple(
            tuple(
                (self.known[order_id][1], self.texts[order_id], order_id)
                for price in sorted(self.queues[side], reverse=side == 0)
                for order_id in self.queues[side][price]
            )
            for side in (0, 1)
        )

    def levels(self) -> Levels:
        """Best price first: price, total in plain decimals without trailing zeros, `0`, number of orders."""
        found = []
        for side in (0, 1):
            rows = []
            for price in sorted(self.queues[side], reverse=side == 0):
                ids = self.queues[side][price]
                total = f"{sum((self.known[each][2] for each in ids), Decimal(0)):f}"
                total = total.rstrip("0").rstrip(".") if "." in total else total
                rows.append((self.known[ids[0]][1], total, "0", str(len(ids))))
            found.append(tuple(rows))
        return tuple(found)

    def is_first(self, order_id: str) -> bool:
        """Tell whether no order is filled before this one."""
        side, price, _ = self.known[order_id]
        best = max(self.queues[0]) if side == 0 else min(self.queues[1])
        return best == Decimal(price) and self.queues[side][best][0] == order_id


def coinbase_seeded(answer: Json) -> Orders:
    """Begin with a book of level 3."""
    orders = Orders()
    for side, name in enumerate(("bids", "asks")):
        for price, size, order_id in answer[name]:
            orders.put(side, order_id, price, size)
    return orders


def coinbase_applied(orders: Orders, frame: Json) -> None:
    """Do what a message of `full` says."""
    order_id = frame.get("order_id", frame.get("maker_order_id"))
    held = orders.known.get(order_id)
    match frame["type"]:
        case "open":
            assert held is None
            orders.put(SIDES[frame["side"]], order_id, frame["price"], frame["remaining_size"])
        case "match":
            assert held is not None
            assert orders.is_first(order_id)
            assert held[:2] == (SIDES[frame["side"]], frame["price"])
            left = held[2] - Decimal(frame["size"])
            orders.put(held[0], order_id, held[1], f"{left.normalize():f}") if left else orders.drop(order_id)
        case "change" if held is not None:
            assert Decimal(frame["old_size"]) == held[2]
            assert frame.get("old_price", held[1]) == held[1]
            orders.put(held[0], order_id, frame.get("new_price", held[1]), frame["new_size"])
        case "done" if held is not None:
            assert Decimal(frame["remaining_size"]) == held[2]
            orders.drop(order_id)


def bitso_seeded(payload: Json) -> Orders:
    """Begin with a book that is not aggregated."""
    orders = Orders()
    for side, name in enumerate(("bids", "asks")):
        for row in payload[name]:
            orders.put(side, row["oid"], row["price"], row["amount"])
    return orders


def bitso_applied(orders: Orders, frame: Json) -> None:
    """Do what a message of `diff-orders` says."""
    for entry in frame["payload"]:
        if entry["s"] == "open":
            assert abs(Decimal(entry["a"]) * Decimal(entry["r"]) - Decimal(entry["v"])) < Decimal("0.00000001")
            orders.put(entry["t"], entry["o"], entry["r"], entry["a"])
        else:
            assert orders.known[entry["o"]][:2] == (entry["t"], entry["r"])
            orders.drop(entry["o"])


class RawBook:
    """A raw book of Bitfinex, begun with the rows of a snapshot."""

    def __init__(self, rows: list[list[str]]) -> None:
        self.orders = Orders()
        for row in rows:
            self.apply(row)

    def apply(self, row: list[str]) -> None:
        """Put an order, or with price 0 take it away."""
        order_id, price, amount = row
        side = int(amount.startswith("-"))
        if price != "0":
            self.orders.put(side, order_id, price, amount.lstrip("-"))
            return
        assert amount in ("1", "-1")
        assert self.orders.known[order_id][0] == side
        self.orders.drop(order_id)

    def checksum(self) -> int:
        """Compute CRC-32 of the best 25 orders, those of one price by their ids."""
        return raw_crc(self.orders.rows())


def raw_crc(rows: Rows) -> int:
    """Compute Bitfinex's checksum of raw rows."""
    bids = sorted(rows[0], key=lambda row: (-Decimal(row[0]), int(row[2])))
    asks = sorted(rows[1], key=lambda row: (Decimal(row[0]), int(row[2])))
    words = []
    for place in range(25):
        words += [f"{row[2]}:{row[1]}" for row in bids[place : place + 1]]
        words += [f"{row[2]}:-{row[1]}" for row in asks[place : place + 1]]
    unsigned = zlib.crc32(":".join(words).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def read(frame: str) -> Any:
    """Read JSON whose numbers stay texts."""
    return json.loads(frame, parse_float=str, parse_int=str)
