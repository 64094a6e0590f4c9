"""A vault of one book of orders, written by a naive model of its own: Decimals in lists, after docs/FORMAT.md, 14.

The model keeps the whole book behind every event, so that whatever reads the vault can be held against it.
"""

import copy
import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from l2_exporter.archive.layout import Vault, hour_text

Line = dict[str, Any]

VENUE, INST, CHANNEL = "bitfinex", "tBTCUSD", "book-R0-25"
EVENTS, BOOKS, LEVELS = "l3_spot.25", "l3_spot_books.25", "l2_spot.from_l3-25"
DATASETS = (EVENTS, BOOKS, LEVELS)
HOUR = 498_807  # 2026-11-26T15
HOUR_NS = 3600 * 10**9
MS = 10**6
START_NS = HOUR * HOUR_NS + 3_590_000 * MS
SIZES = ("1", "0.50", "2.25", "0.001", "13", "7.0")


def text(ns: int, decimals: int = 3) -> str:
    """Write a time."""
    day, hour = hour_text(ns // HOUR_NS)
    rest = ns % HOUR_NS
    minute, rest = divmod(rest, 60 * 10**9)
    second, fraction = divmod(rest, 10**9)
    return f"{day}T{hour}:{minute:02d}:{second:02d}.{f'{fraction:09d}'[:decimals]}Z"


def plain(number: Decimal) -> str:
    """Write a number without trailing zeros."""
    written = format(number, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


class NaiveBook:
    """Orders as dicts in lists by price, in the order of their queues."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, list[Line]]] = {"buy": {}, "sell": {}}

    def find(self, order_id: str) -> tuple[str, Line] | None:
        for side, levels in self.sides.items():
            for orders in levels.values():
                for order in orders:
                    if order["id"] == order_id:
                        return side, order
        return None

    def add(self, side: str, order: Line) -> None:
        self.sides[side].setdefault(Decimal(order["price"]), []).append(order)

    def remove(self, side: str, order: Line) -> None:
        orders = self.sides[side][Decimal(order["price"])]
        orders.remove(order)
        if not orders:
            del self.sides[side][Decimal(order["price"])]

    def ids(self) -> list[str]:
        return [order["id"] for levels in self.sides.values() for orders in levels.values() for order in orders]

    def levels(self, side: str) -> list[list[Line]]:
        prices = sorted(self.sides[side], reverse=side == "buy")
        return [self.sides[side][price] for price in prices]

    def order_rows(self, side: str, depth: int) -> list[list[str | None]]:
        levels = self.levels(side)[:depth]
        return [[order["price"], order["size"], order["id"], order["entered"]] for level in levels for order in level]

    def level_rows(self, side: str, depth: int) -> list[list[str]]:
        return [
            [level[0]["price"], plain(sum(Decimal(order["size"]) for order in level)), "0", str(len(level))]
            for level in self.levels(side)[:depth]
        ]


@dataclass
class Known:
    """The book behind one event."""

    ns: int
    number: int
    live: str
    book: NaiveBook


@dataclass
class Episode:
    """One life of the book: what was known when, and until when it is known."""

    live_ns: int
    known: list[Known] = field(default_factory=list)
    until_ns: int = 0


class OrderWorld:
    """Makes the lines of a vault; `write` puts them there."""

    def __init__(
        self, seed: int, *, depth: int = 25, prices: int = 8, steps_ms: tuple[int, ...] = (0, 1, 9, 700)
    ) -> None:
        self.dice = random.Random(seed)
        self.depth = depth
        self.lines: dict[str, list[Line]] = {dataset: [] for dataset in DATASETS}
        self.ledger: list[Line] = []
        self.episodes: list[Episode] = []
        self.now_ns = START_NS
        self._prices = prices
        self._steps_ms = steps_ms
        self._book = NaiveBook()
        self._number = 0
        self._seq = 1
        self._ids = 0
        self._gaps = 0
        self._open: tuple[str, str, int] | None = None
        self._said("started", detail={"origin": "live"})

    # ---- what happens ------------------------------------------------------------------------------------------------

    def begin(self, orders: int = 12) -> None:
        """Let the book become live."""
        self.now_ns += self.dice.randrange(1, 900) * MS
        self._book, self._number = NaiveBook(), 0
        self._seq += 1
        for _ in range(orders):
            self._ids += 1
            side = self.dice.choice(("buy", "sell"))
            self._book.add(side, self._order(side, None))
        after_loss = self._open
        gap = {} if after_loss is None else dict(zip(("id", "reason"), after_loss[:2], strict=True))
        since = {} if after_loss is None else {"since_event": text(after_loss[2])}
        self._said("live", until_event=text(self.now_ns), until_received=text(self.now_ns + 5 * MS, 6), **gap, **since)
        self._open = None
        self.episodes.append(Episode(self.now_ns))
        flags = [] if after_loss is None else ["after_gap"]
        self._event("live", flags=flags)
        self._know()
        self.write_book(flags=flags)

    def happen(self, messages: int) -> None:
        """Let so many messages come."""
        for _ in range(messages):
            self.now_ns += self.dice.choice(self._steps_ms) * MS
            self._seq += 1
            for _ in range(self.dice.choice((1, 1, 1, 3))):
                self._one()
                self._know()
            if self.dice.random() < 0.1:
                self.write_levels()
            if self.dice.random() < 0.04:
                self.write_book()

    def lose(self, reason: str = "sequence") -> None:
        """End the episode by a loss that its run declares."""
        self._event("gap", flags=["gap"])
        self._know()
        self.write_levels(gap=True)
        self.write_book(gap=True)
        self.episodes[-1].until_ns = self.now_ns
        self._gap(reason, self.now_ns)
        self.now_ns += self.dice.randrange(1, 5000) * MS

    def kill(self) -> None:
        """End the run without a word; the next one declares what is missing."""
        last_ns = self.episodes[-1].until_ns = max(known.ns for known in self.episodes[-1].known)
        self.now_ns += self.dice.randrange(1000, 9000) * MS
        self._said("started", detail={"origin": "live"})
        self._gap("restart", last_ns)

    def stop(self) -> None:
        """End the run cleanly."""
        self.write_levels()
        self.episodes[-1].until_ns = self.now_ns
        self.now_ns += MS
        self._said("stopped", reason="stop")

    def _one(self) -> None:
        dice, ids = self.dice, self._book.ids()
        kind = dice.random()
        if not ids or kind < 0.35:
            self._ids += 1
            side = dice.choice(("buy", "sell"))
            order = self._order(side, text(self.now_ns))
            self._book.add(side, order)
            self._told("open", side, order, size=order["size"], remaining=order["size"])
            return
        if kind < 0.4:
            self._event("done", order_id="stranger", reason="canceled")
            return
        found = self._book.find(dice.choice(ids))
        assert found is not None
        side, order = found
        if kind < 0.6:
            self._change(side, order)
        elif kind < 0.75:
            self._match(side, order)
        else:
            self._book.remove(side, order)
            self._told("done", side, order, remaining=order["size"], reason=dice.choice((None, "canceled")))

    def _change(self, side: str, order: Line) -> None:
        size = self.dice.choice(SIZES)
        price = self.dice.choice((order["price"], order["price"].partition(".")[0] + ".00", self._price(side)))
        if Decimal(price) != Decimal(order["price"]):
            self._book.remove(side, order)
            order["price"] = price
            self._book.add(side, order)
        order["size"] = size
        self._told("change", side, order, price=price, size=size, remaining=size)

    def _match(self, side: str, order: Line) -> None:
        size = Decimal(order["size"]) if self.dice.random() < 0.4 else Decimal(order["size"]) / 2
        left = plain(Decimal(order["size"]) - size)
        more = {"size": plain(size), "remaining": left, "maker_order_id": order["id"], "taker_order_id": "t"}
        self._told("match", side, order, **more)
        order["size"] = left
        if Decimal(left) == 0:
            self._book.remove(side, order)
            self._told("done", side, order, remaining="0", reason="filled")

    def _order(self, side: str, entered: str | None) -> Line:
        return {"id": str(self._ids), "price": self._price(side), "size": self.dice.choice(SIZES), "entered": entered}

    def _price(self, side: str) -> str:
        away = self.dice.randrange(self._prices)
        price = 100 - away if side == "buy" else 101 + away
        return str(price) if self.dice.random() < 0.7 else f"{price}.0"

    # ---- what is written ---------------------------------------------------------------------------------------------

    def write_book(self, *, gap: bool = False, flags: list[str] | None = None) -> None:
        """Add a line with the whole book."""
        rows = [self._book.order_rows(side, self.depth) for side in ("buy", "sell")]
        self._add(BOOKS, self._snapshot(rows, gap, flags or []) | {"n": self._number - 1})

    def write_levels(self, *, gap: bool = False) -> None:
        """Add a line of levels."""
        since = self.episodes[-1].live_ns
        first = not any(line["live_since_utc"] == text(since) for line in self.lines[LEVELS])
        flags = ["after_gap"] if first and len(self.episodes) > 1 else []
        rows = [self._book.level_rows(side, self.depth) for side in ("buy", "sell")]
        self._add(LEVELS, self._snapshot(rows, gap, flags))

    def _snapshot(self, rows: list[list[Any]], gap: bool, flags: list[str]) -> Line:
        bid, ask = (side[0][0] if side else None for side in rows)
        return {
            **self._head(),
            f"bids_top{self.depth}": rows[0],
            f"asks_top{self.depth}": rows[1],
            "best_bid": bid,
            "best_ask": ask,
            "mid_price": None if None in (bid, ask) else plain((Decimal(bid) + Decimal(ask)) / 2),
            "checksum": None,
            "seqId": self._seq,
            "prevSeqId": None,
            "gap_detected": gap,
            "received_utc": text(self.now_ns + 5 * MS, 6),
            "checksum_ok": None,
            "flags": (["gap"] if gap else []) + flags,
            "live_since_utc": text(self.episodes[-1].live_ns),
        }

    def _told(self, kind: str, side: str, order: Line, **more: object) -> None:
        self._event(kind, **{"order_id": order["id"], "side": side, "price": order["price"], **more})

    def _event(self, kind: str, flags: list[str] | None = None, **more: object) -> None:
        names = ("order_id", "side", "price", "size", "remaining", "reason", "maker_order_id", "taker_order_id")
        line = {
            **self._head(),
            "type": kind,
            **{name: more.get(name) for name in names},
            "seqId": self._seq,
            "received_utc": text(self.now_ns + 5 * MS, 6),
            "flags": flags or [],
            "live_since_utc": text(self.episodes[-1].live_ns),
            "n": self._number,
        }
        self._number += 1
        self.lines[EVENTS].append(line)

    def _add(self, dataset: str, line: Line) -> None:
        """Add a line if it ascends."""
        before = self.lines[dataset][-1] if self.lines[dataset] else None
        place = ("timestamp_utc", "gap_detected")
        if before is None or [before[name] for name in place] < [line[name] for name in place]:
            self.lines[dataset].append(line)

    def _head(self) -> Line:
        at = text(self.now_ns)
        return {"timestamp_utc": at, "exchange": VENUE, "market": "spot", "channel": CHANNEL, "instId": INST}

    def _know(self) -> None:
        live = text(self.episodes[-1].live_ns)
        self.episodes[-1].known.append(Known(self.now_ns, self._number - 1, live, copy.deepcopy(self._book)))

    def _gap(self, reason: str, since_ns: int) -> None:
        self._gaps += 1
        self._open = (f"g{self._gaps}", reason, since_ns)
        received = text(since_ns + 5 * MS, 6)
        self._said("gap", id=self._open[0], reason=reason, since_event=text(since_ns), since_received=received)

    def _said(self, kind: str, **more: Any) -> None:
        names = ("id", "reason", "since_event", "since_received", "until_event", "until_received", "expected", "got")
        of_book = kind in ("gap", "live")
        detail = {"dataset": EVENTS, "also": [BOOKS, LEVELS]} if of_book else more.pop("detail", None)
        self.ledger.append(
            {
                "at": text(self.now_ns + 5 * MS, 6),
                "kind": kind,
                "venue": VENUE,
                "conn": "bitfinex-1" if of_book else None,
                "instId": INST if of_book else None,
                **{name: more.get(name) for name in names},
                "detail": detail,
            }
        )

    # ---- the vault ---------------------------------------------------------------------------------------------------

    def write(self, root: Path) -> Vault:
        """Write all lines where they belong."""
        vault = Vault(root)
        for dataset, lines in self.lines.items():
            for line in lines:
                hour = HOUR + int(line["timestamp_utc"][11:13]) - 15
                _append(vault.hour_file(VENUE, dataset, INST, hour), line)
        for line in self.ledger:
            _append(vault.ledger_file(VENUE, line["at"][:10]), line)
        return vault

    def at(self, ns: int) -> Known | None:
        """Return the book at a moment, None where it is not known."""
        for episode in self.episodes:
            if episode.live_ns <= ns <= episode.until_ns:
                return [known for known in episode.known if known.ns <= ns][-1]
        return None


def _append(path: Path, line: Line) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def lively(seed: int, **options: Any) -> OrderWorld:
    """Make a world of several episodes, over an hour's end, ended by losses, a kill and a stop."""
    world = OrderWorld(seed, **options)
    world.begin()
    world.happen(60)
    world.lose()
    world.begin()
    world.happen(25)
    world.lose("disconnect")
    world.begin(orders=0)
    world.happen(30)
    world.kill()
    world.begin()
    world.happen(50)
    world.stop()
    return world
