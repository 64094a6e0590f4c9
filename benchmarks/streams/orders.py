"""Frames of single orders: a seeded market on Coinbase's `full`, and a recording of a raw Bitfinex book."""

import gzip
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson

from benchmarks.streams.lines import Line, line

BITFINEX = "bitfinex/nautilus-202103-R0-tBTCUSD.jsonl.gz"
BITFINEX_MS = 1_614_600_000_000
BITFINEX_STEP_MS = 7

LIVE = 100_000
PRODUCT = "BTC-USD"
URL = "wss://ws-feed.exchange.coinbase.com"
REST_URL = f"https://api.exchange.coinbase.com/products/{PRODUCT}/book?level=3"
FIRST_MS = 1_795_219_200_000
STEP_MS = 2.5
FIRST_SEQ = 90_000_000_000
FIRST_CENTS = 6_000_000
DEPTH_CENTS = 40_000
"""Mean distance of a new order from the best price."""
MATCHED = 0.03
CHANGED = 0.02


def bitfinex(path: Path) -> Iterator[Line]:
    """Yield a raw book's recording with the number and the time behind each frame that it was recorded without."""
    with gzip.open(path) as lines:
        for number, taped in enumerate(map(orjson.loads, lines)):
            ms = BITFINEX_MS + BITFINEX_STEP_MS * number
            if number >= 2:
                taped["frame"] = f"{taped['frame'][:-1]},{number - 1},{ms}]"
            yield taped | {"recv_ns": (ms + 5) * 1_000_000}


class _Market:
    """Orders of one product: who rests where, and what the venue says of each change."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.orders: dict[str, tuple[str, int, str]] = {}
        self.idents: list[str] = []
        self.prices: dict[str, list[int]] = {"buy": [], "sell": []}
        self.queues: dict[tuple[str, int], list[str]] = {}
        self.seq = FIRST_SEQ
        self.ms = float(FIRST_MS)
        for _ in range(LIVE):
            self.rest(self.new_id(), *self.place())

    def new_id(self) -> str:
        text = f"{self.random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def place(self) -> tuple[str, int, str]:
        """Choose side, price and size of an order that matches nothing."""
        random = self.random
        side, sign = ("buy", -1) if random.random() < 0.5 else ("sell", 1)
        best = [self.best(other) for other in ("buy", "sell")]
        other = best[1] if side == "buy" else best[0]
        start = FIRST_CENTS + (sign > 0) if other is None else other + sign
        return side, max(1, start + sign * int(random.expovariate(1 / DEPTH_CENTS))), f"{random.expovariate(4):.8f}"

    def best(self, side: str) -> int | None:
        keys = self.prices[side]
        return abs(keys[0]) if keys else None

    def rest(self, ident: str, side: str, price: int, size: str) -> None:
        """Put an order behind its price's queue."""
        key = -price if side == "buy" else price
        queue = self.queues.get((side, price))
        if queue is None:
            queue = self.queues[side, price] = []
            keys = self.prices[side]
            keys.insert(bisect_left(keys, key), key)
        queue.append(ident)
        self.orders[ident] = (side, price, size)
        self.idents.append(ident)

    def leave(self, ident: str) -> tuple[str, int, str]:
        """Take an order out of the book."""
        side, price, size = self.orders.pop(ident)
        queue = self.queues[side, price]
        queue.remove(ident)
        if not queue:
            del self.queues[side, price]
            keys = self.prices[side]
            del keys[bisect_left(keys, -price if side == "buy" else price)]
        return side, price, size

    def any_order(self) -> str:
        """Choose a resting order."""
        while True:
            at = self.random.randrange(len(self.idents))
            ident = self.idents[at]
            if ident in self.orders:
                return ident
            self.idents[at] = self.idents[-1]
            self.idents.pop()

    def say(self, kind: str, **fields: object) -> Line:
        """Make the next message."""
        self.seq += 1
        self.ms += STEP_MS
        seconds, micros = divmod(round(self.ms * 1000), 1_000_000)
        message = {"type": kind, **fields, "product_id": PRODUCT, "sequence": self.seq, "time": _utc(seconds, micros)}
        return line(self.ms, orjson.dumps(message).decode(), URL)


def _utc(seconds: int, micros: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    first_day = FIRST_MS // 86_400_000
    return f"2026-11-{21 + days - first_day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{micros:06d}Z"


def price_text(cents: int) -> str:
    """Write a price as the venue does."""
    return f"{cents // 100}.{cents % 100:02d}"


def coinbase(seed: str, count: int) -> Iterator[Line]:
    """Yield a message, the REST book of 100,000 orders, and so many messages that follow it."""
    market = _Market(seed)
    yield market.say("received", order_id=market.new_id(), side="buy", price="1.00", size="1", order_type="limit")
    rows: dict[str, list[list[str]]] = {}
    for side in ("buy", "sell"):
        prices = [abs(key) for key in market.prices[side]]
        rows[side] = [
            [price_text(price), market.orders[ident][2], ident]
            for price in prices
            for ident in market.queues[side, price]
        ]
    seconds, micros = divmod(round(market.ms * 1000), 1_000_000)
    body = {"sequence": market.seq, "bids": rows["buy"], "asks": rows["sell"], "time": _utc(seconds, micros)}
    yield line(market.ms, orjson.dumps(body).decode(), REST_URL, "http")
    told = 0
    while told < count:
        for said in _happened(market):
            yield said
            told += 1


def _happened(market: _Market) -> Iterator[Line]:
    """Let something happen: an order that comes or goes, mostly."""
    kind = market.random.random()
    if kind < MATCHED:
        yield from _matched(market)
    elif kind < MATCHED + CHANGED:
        ident = market.any_order()
        side, price, size = market.orders[ident]
        smaller = f"{float(size) / 2 + 1e-8:.8f}"
        market.orders[ident] = (side, price, smaller)
        yield market.say(
            "change", order_id=ident, side=side, price=price_text(price), old_size=size, new_size=smaller, reason="STP"
        )
    elif len(market.orders) < LIVE:
        ident, (side, price, size) = market.new_id(), market.place()
        yield market.say("received", order_id=ident, side=side, price=price_text(price), size=size, order_type="limit")
        market.rest(ident, side, price, size)
        yield market.say("open", order_id=ident, side=side, price=price_text(price), remaining_size=size)
    else:
        yield _done(market, market.any_order(), "canceled")


def _done(market: _Market, ident: str, reason: str) -> Line:
    side, price, size = market.leave(ident)
    left = size if reason == "canceled" else "0.00000000"
    return market.say("done", order_id=ident, side=side, price=price_text(price), remaining_size=left, reason=reason)


def _matched(market: _Market) -> Iterator[Line]:
    """Let a market order take the first order of the best price, whole."""
    side = "buy" if market.random.random() < 0.5 else "sell"
    price = market.best(side)
    if price is None:
        return
    maker = market.queues[side, price][0]
    size, taker = market.orders[maker][2], market.new_id()
    other = "sell" if side == "buy" else "buy"
    yield market.say("received", order_id=taker, side=other, size=size, order_type="market")
    yield market.say(
        "match",
        maker_order_id=maker,
        taker_order_id=taker,
        side=side,
        price=price_text(price),
        size=size,
        trade_id=market.seq,
    )
    yield _done(market, maker, "filled")
    yield market.say("done", order_id=taker, side=other, reason="filled")
