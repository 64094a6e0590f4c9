"""Random tapes of a Bitfinex raw book: orders come, change, move and go; numbers are lost, links close, runs end.

Everything follows from a seed. Prices collide and hours end far more often than they ever do.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from l2_exporter.core.timetext import utc_ns

TapeLine = dict[str, Any]

INST = "tBTCUSD"
URL = "wss://api-pub.bitfinex.com/ws/2"
START_MS = utc_ns("2026-11-21T15:59:30Z") // 10**6
STEPS_MS = (0, 0, 1, 7, 50, 400, 900, 2500)
LENGTH = "25"


@dataclass(frozen=True, slots=True)
class Options:
    """What may happen, in so many of a hundred messages."""

    messages: int = 250
    prices: int = 12
    orders: int = 20
    lost: float = 1
    closed: float = 0.5
    repeated: float = 1
    older: float = 3
    undated: float = 0
    leaps: float = 0.5
    checksums: float = 0
    book_s: float = 5
    cadence_s: float = 2
    depth: int = 400
    max_orders: int = 1_000_000


class OrderTape:
    """The maker of one tape."""

    def __init__(self, seed: int, options: Options) -> None:
        self._dice = random.Random(f"{seed} {options}")
        self._options = options
        self._now_ms = START_MS + self._dice.randrange(3000)
        self._orders: dict[int, tuple[int, int]] = {}  # price and amount, negative: an ask
        self._number = 0
        self._next = 1000
        self._inputs = 0
        self._is_open = False

    def lines(self) -> Iterator[TapeLine]:
        """Make the lines of one run."""
        options = self._options
        settings = {
            "run": str(self._dice.random()),
            "venue": "bitfinex",
            "origin": "live",
            "cadence_ms": int(options.cadence_s * 1000),
            "depth": options.depth,
            "order_books_ms": int(options.book_s * 1000),
            "max_orders": options.max_orders,
        }
        yield self._line("start", frame=json.dumps(settings))
        self._is_open = False
        for _ in range(options.messages):
            if not self._is_open:
                yield from self._open()
            yield from self._message()

    def _open(self) -> Iterator[TapeLine]:
        self._is_open = True
        self._number = 0
        yield self._line("open", url=URL)
        told = {"event": "subscribed", "channel": "book", "chanId": 7, "symbol": INST, "prec": "R0", "freq": "F0"}
        yield self._line("in", frame=json.dumps({**told, "len": LENGTH, "pair": INST[1:]}))
        yield self._whole()

    def _message(self) -> Iterator[TapeLine]:
        self._now_ms += 90_000 if self._happens(self._options.leaps) else self._dice.choice(STEPS_MS)
        if self._happens(self._options.closed):
            self._is_open = False
            yield self._line("close", frame="the end")
            return
        change = self._change()
        if self._happens(self._options.lost):
            self._number += 2
            yield self._data(change)
            self._now_ms += 300
            yield self._whole()
            return
        line = self._data(change)
        yield line
        if self._happens(self._options.repeated):
            yield line

    def _change(self) -> list[object]:
        dice = self._dice
        full = len(self._orders) >= self._options.orders
        if self._orders and (full or dice.random() < 0.55):
            ident = dice.choice(sorted(self._orders))
            price, amount = self._orders[ident]
            if full or dice.random() < 0.45:
                del self._orders[ident]
                return [ident, 0, 1 if amount > 0 else -1]
            if dice.random() < 0.5:
                price = self._price(amount > 0)
            self._orders[ident] = (price, dice.randint(1, 90) * (1 if amount > 0 else -1))
        else:
            self._next += 1
            ident, is_bid = self._next, dice.random() < 0.5
            self._orders[ident] = (self._price(is_bid), dice.randint(1, 90) * (1 if is_bid else -1))
        price, amount = self._orders[ident]
        return [ident, price, amount / 4]

    def _price(self, is_bid: bool) -> int:
        away = self._dice.randrange(self._options.prices)
        return 100 - away if is_bid else 101 + away

    def _whole(self) -> TapeLine:
        orders = [[ident, price, amount / 4] for ident, (price, amount) in self._orders.items()]
        self._dice.shuffle(orders)
        return self._data(orders)

    def _data(self, payload: object) -> TapeLine:
        self._number += 1
        at_ms = self._now_ms - (2000 if self._happens(self._options.older) else 0)
        at = 0 if self._happens(self._options.undated) else at_ms
        return self._line("in", frame=json.dumps([7, payload, self._number, at], separators=(",", ":")))

    def _line(self, kind: str, **more: str) -> TapeLine:
        self._inputs += 1
        recv_ns = (self._now_ms + 5) * 10**6 + self._inputs
        conn = {} if kind == "start" else {"conn": "bitfinex-1"}
        return {"recv_ns": recv_ns, "mono_ns": recv_ns - START_MS * 10**6, "dir": kind, **conn, **more}

    def _happens(self, percent: float) -> bool:
        return self._dice.random() * 100 < percent


def parts_of(seed: int, options: Options, runs: int) -> list[list[TapeLine]]:
    """Make the tapes of several runs, one after the other."""
    tape = OrderTape(seed, options)
    return [[*tape.lines()] for _ in range(runs)]
