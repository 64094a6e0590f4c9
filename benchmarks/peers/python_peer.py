"""A worker in the peers' own environment: `python python_peer.py PEER TAPE`. It knows nothing of the product.

The frames of the tape are given to the peer's own handler as its socket would give them, without a network. Every two
seconds of the tape the book is asked for its best 400 levels a side, which are what a line holds; nothing is written.
"""

import argparse
import asyncio
import gc
import json
import logging
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

CADENCE_NS = 2_000_000_000
LEVELS = 400
SYMBOL = "BTC/USDT:USDT"
PERP = "BTC-USDT-PERP"
SPOT = "BTC-USD"
EACH_PUSHES = 20
"""cryptofeed's own store counts pushes instead: as many as two seconds of OKX have."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

Line = dict[str, Any]
Run = Callable[[], Awaitable[Line]]


class Taker:
    """Tells when the next line is due, and keeps what was taken for the last one."""

    def __init__(self) -> None:
        self._bucket: int | None = None
        self.lines = 0
        self.held: object = None

    def due(self, recv_ns: int) -> bool:
        """Tell whether a frame is the first of another two seconds."""
        bucket = recv_ns // CADENCE_NS
        if bucket == self._bucket:
            return False
        self._bucket = bucket
        self.lines += 1
        return True


class TapedRest:
    """Answers a request for a book with the one on the tape."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._bodies = [str(line["frame"]) for line in lines if line["dir"] == "http"]

    async def read(self, *_: object, **__: object) -> str:
        """Return it."""
        return self._bodies[0]


def is_okx(lines: Sequence[Line]) -> bool:
    """Tell OKX's tape from Binance's."""
    return "okx" in lines[0]["url"]


def cryptofeed(lines: Sequence[Line], *, checked: bool, stored: bool) -> Run:
    """Prepare a run of cryptofeed's feed of the tape's venue.

    Args:
        stored: books leave by cryptofeed's own class for stores.
    """
    from cryptofeed.defines import L2_BOOK
    from cryptofeed.exchanges import OKX, BinanceFutures
    from cryptofeed.symbols import Symbols

    kind, inst = (OKX, "BTC-USDT-SWAP") if is_okx(lines) else (BinanceFutures, "BTCUSDT")
    Symbols.set(kind.id, {PERP: inst}, {"instrument_type": {PERP: "perpetual"}, "tick_size": {PERP: "0.1"}})
    taker = Taker()

    async def taken(book: Any, receipt_timestamp: float) -> None:
        if taker.due(round(receipt_timestamp * 1e9)):
            taker.held = book.to_dict()

    callback = _store(taker) if stored else taken
    feed = kind(symbols=[PERP], channels=[L2_BOOK], callbacks={L2_BOOK: callback}, checksum_validation=checked)
    feed.http_conn = TapedRest(lines)
    frames = [(line["frame"], line["recv_ns"] / 1e9) for line in lines if line["dir"] == "in"]

    async def run() -> Line:
        for frame, received_s in frames:
            await feed.message_handler(frame, None, received_s)
        book = feed._l2_book[PERP].book
        return {"best": [float(side.index(0)[0]) for side in (book.bids, book.asks)], "lines": taker.lines}

    return run


def cryptofeed_orders(lines: Sequence[Line]) -> Run:
    """Prepare a run of cryptofeed's feed of Bitfinex's raw books, of the frames its own flags ask for.

    It asks for numbers, and neither for times nor for checksums: frames come without.
    """
    from cryptofeed.defines import L3_BOOK
    from cryptofeed.exchanges import Bitfinex
    from cryptofeed.symbols import Symbols

    Symbols.set(Bitfinex.id, {SPOT: "tBTCUSD"}, {"instrument_type": {SPOT: "spot"}})
    taker = Taker()

    async def taken(book: Any, receipt_timestamp: float) -> None:
        if taker.due(round(receipt_timestamp * 1e9)):
            taker.held = book.to_dict()

    feed = Bitfinex(symbols=[SPOT], channels=[L3_BOOK], callbacks={L3_BOOK: taken})
    frames = [*_numbered_only(lines)]

    async def run() -> Line:
        conn = Connection()
        for frame, received_s in frames:
            await feed.message_handler(frame, conn, received_s)
        book = feed._l3_book[SPOT].book
        return {"best": [float(side.index(0)[0]) for side in (book.bids, book.asks)], "lines": taker.lines}

    return run


class Connection:
    """What cryptofeed's handler wants to know of a connection."""

    uuid = "taped"


def _numbered_only(lines: Sequence[Line]) -> Iterator[tuple[str, float]]:
    number = 0
    for line in lines:
        frame = json.loads(line["frame"])
        text = line["frame"]
        if isinstance(frame, list):
            if frame[1] == "cs":
                continue
            number += 1
            text = f"{text[: text.rindex(',', 0, text.rindex(','))]},{number}]"
        yield text, line["recv_ns"] / 1e9


def _store(taker: Taker) -> object:
    """Make cryptofeed's own callback for stores, over a store that drops everything."""
    from cryptofeed.backends.backend import BackendBookCallback

    class Dropping(BackendBookCallback):  # type: ignore[misc]  # the base is known in the peers' environment only
        numeric_type, none_to = str, None
        snapshots_only, snapshot_interval = False, EACH_PUSHES

        def __init__(self) -> None:
            self.snapshot_count = {PERP: 0}

        async def write(self, data: Line) -> None:
            taker.held = data

    return Dropping()


def ccxt_pro(lines: Sequence[Line]) -> Run:
    """Prepare a run of ccxt.pro's handler of the tape's venue; nobody awaits the books, which is kind to it."""
    import ccxt.pro

    okx = is_okx(lines)
    exchange = ccxt.pro.okx() if okx else ccxt.pro.binanceusdm()
    taker = Taker()

    async def run() -> Line:
        exchange.set_markets([exchange.extend(exchange.safe_market_structure(), _market(okx))])
        client = exchange.client(lines[0]["url"])
        client.subscriptions[f"books:{SYMBOL}"] = True
        if not okx:
            exchange.orderbooks[SYMBOL] = exchange.order_book({}, 1000)
        for line in lines:
            if line["dir"] == "http":
                await _seed(exchange, client, line)
            elif line["dir"] == "in":
                client.handle_text_or_binary_message(line["frame"])
            if taker.due(line["recv_ns"]) and SYMBOL in exchange.orderbooks:
                book = exchange.orderbooks[SYMBOL].limit()
                taker.held = [[*book["bids"][:LEVELS]], [*book["asks"][:LEVELS]]]
        book = exchange.orderbooks[SYMBOL].limit()
        await exchange.close()
        return {"best": [book["bids"][0][0], book["asks"][0][0]], "lines": taker.lines}

    return run


def _market(okx: bool) -> Line:
    """Describe the one instrument, as ccxt would from the venue's list."""
    return {
        "id": "BTC-USDT-SWAP" if okx else "BTCUSDT",
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "type": "swap",
        "spot": False,
        "swap": True,
        "contract": True,
        "linear": True,
        "active": True,
        "precision": {"price": 0.1, "amount": 0.01},
        "limits": {},
        "info": {},
    }


async def _seed(exchange: Any, client: Any, line: Line) -> None:
    """Let ccxt join the REST book of the tape with what it has held back, by its own code."""

    async def taped(*_: object, **__: object) -> Any:
        body = json.loads(line["frame"])
        book = exchange.parse_order_book(body, SYMBOL, body.get("T"))
        book["nonce"] = body["lastUpdateId"]
        return book

    exchange.fetch_rest_order_book_safe = taped
    client.subscriptions[f"orderbook::{SYMBOL}"] = True
    await exchange.fetch_order_book_snapshot(client, None, {"symbol": SYMBOL, "type": "linear", "limit": 1000})


PEERS: dict[str, Callable[[Sequence[Line]], Run]] = {
    "cryptofeed": lambda lines: cryptofeed(lines, checked=False, stored=False),
    "cryptofeed-checked": lambda lines: cryptofeed(lines, checked=True, stored=False),
    "cryptofeed-backend": lambda lines: cryptofeed(lines, checked=True, stored=True),
    "cryptofeed-orders": cryptofeed_orders,
    "ccxt": ccxt_pro,
}


async def measured(prepare: Callable[[Sequence[Line]], Run], lines: Sequence[Line]) -> Line:
    """Run a peer once."""
    run = prepare(lines)
    gc.collect()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    told = await run()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    return {"cpu_s": cpu_s, "wall_s": wall_s, "count": len(lines), "rss_bytes": rss_bytes, **told}


def main() -> None:
    """Serve runs until nobody asks any more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("tape", type=Path)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with options.tape.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": options.peer}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(asyncio.run(measured(PEERS[options.peer], lines))), flush=True)


if __name__ == "__main__":
    main()
