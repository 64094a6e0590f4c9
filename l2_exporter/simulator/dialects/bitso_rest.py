"""Bitso by HTTP: books of orders, and what is listed. The second half of the dialect `bitso`.

A book is answered from a cache for a few seconds, so it may be behind the stream. Not known: for how long.
"""

import re
from collections.abc import Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import NS_PER_S, utc_text
from l2_exporter.simulator.dialect import Book, Request, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.orderevents import Row
from l2_exporter.simulator.ordertruth import levels_of
from l2_exporter.simulator.wire import Reply

BOOK_PATH = "/v3/order_book"
LISTING_PATH = "/v3/available_books"
CACHED_NS = 2 * NS_PER_S
SUMMED_LEVELS = 50
LOTS = 10**8

_PRICES = {
    "btc_mxn": (149_937, Grid(10, 0)),
    "eth_mxn": (4_410_250, Grid(1, 2)),
    "xrp_mxn": (4_212, Grid(1, 2)),
    "usd_mxn": (1_731_500, Grid(1, 5)),
    "btc_usd": (86_612, Grid(1, 0)),
    "eth_usd": (254_731, Grid(1, 2)),
    "usdt_mxn": (1_731, Grid(1, 2)),
    "sol_mxn": (241_310, Grid(1, 2)),
}
"""Start price in ticks, and tick; everything else is invented."""
_ID = re.compile(r"(?P<base>[a-z0-9]{2,12})_(?P<quote>[a-z0-9]{2,12})", re.ASCII)

Json = dict[str, object]


def default_insts() -> list[str]:
    """List the best known books, then invented ones, 32 in all."""
    return [*_PRICES, *(f"sim{number:02d}_mxn" for number in range(1, 33 - len(_PRICES)))]


def instrument(inst: str, start_ns: int) -> Instrument:
    """Invent the listing of a book.

    Raises:
        ConfigError: not like `btc_mxn`.
    """
    match = _ID.fullmatch(inst)
    if match is None:
        raise ConfigError(f"Bitso has no books like {clip(inst)}; write it like btc_mxn")
    price, tick = _PRICES.get(inst) or (Random(f"price/{inst}").randint(20_000, 90_000), Grid(1, 2))
    return Instrument(
        inst=inst,
        base=match["base"],
        quote=match["quote"],
        settle="",
        market="spot",
        kind="",
        tick=tick,
        lot=Grid(1, 8),
        contract_value="",
        contract_ccy="",
        listed_ns=start_ns,
        expiry_ns=None,
        strike="",
        right="",
        pace=Pace(price, LOTS // 20, 120, 180, 4, 0.9),
    )


class Rest:
    """Answers requests, books from its cache."""

    def __init__(self) -> None:
        self._cached: dict[str, tuple[int, Book]] = {}

    def requested_inst(self, request: Request) -> str | None:
        """Name the book that a request asks for."""
        return request.query.get("book") if _path(request) == BOOK_PATH else None

    def answer(self, request: Request, venue: Venue) -> Reply:
        """Answer an HTTP request; a path may end in a slash."""
        if _path(request) == LISTING_PATH:
            return _success([_listed(inst) for inst in venue.instruments.values()])
        if _path(request) != BOOK_PATH:
            return failure(404, "0501", "Not found")
        inst = request.query.get("book", "")
        if inst not in venue.instruments:
            return failure(400, "0301", f"Unknown OrderBook {inst}")
        return _success(_book(inst, self._book(inst, venue), summed=request.query.get("aggregate") != "false"))

    def _book(self, inst: str, venue: Venue) -> Book:
        made_ns, book = self._cached.get(inst, (-CACHED_NS, None))
        if book is None or venue.now_ns - made_ns >= CACHED_NS:
            book = venue.order_book(inst)
            self._cached[inst] = (venue.now_ns, book)
        return book


def failure(status: int, code: str, message: str) -> Reply:
    """Write a refusal."""
    return Reply(status, _text({"success": False, "error": {"code": code, "message": message}}))


def _path(request: Request) -> str:
    return request.path.rstrip("/")


def _success(payload: object) -> Reply:
    return Reply(200, _text({"success": True, "payload": payload}))


def _book(inst: str, book: Book, *, summed: bool) -> Json:
    updated_at = utc_text(book.ts_ns, 3).replace("Z", "+00:00")
    sides: Json = {"asks": _rows(inst, book.asks, summed=summed), "bids": _rows(inst, book.bids, summed=summed)}
    return {"updated_at": updated_at, **sides, "sequence": str(book.seq)}


def _rows(inst: str, rows: Sequence[Row], *, summed: bool) -> list[Json]:
    """Write orders, or the best 50 levels."""
    orders = [(price, size, order_id) for price, size, order_id, _ in rows]
    if summed:
        levels = levels_of(orders)[:SUMMED_LEVELS]
        return [{"book": inst, "price": price, "amount": total} for price, total, _, _ in levels]
    return [{"book": inst, "price": price, "amount": size, "oid": order_id} for price, size, order_id in orders]


def _listed(inst: Instrument) -> Json:
    fees: Json = {
        "flat_rate": {"maker": "0.500", "taker": "0.650"},
        "structure": [{"volume": "1500000", "maker": "0.00500", "taker": "0.00650"}],
    }
    return {
        "book": inst.inst,
        "default_chart": "candle",
        "minimum_amount": inst.lot.text(10_000),
        "maximum_amount": "3000",
        "minimum_price": inst.tick.text(max(inst.pace.price // 25, 1)),
        "maximum_price": inst.tick.text(inst.pace.price * 20),
        "minimum_value": "10",
        "maximum_value": "200000000",
        "tick_size": inst.tick.step,
        "fees": fees,
    }


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
