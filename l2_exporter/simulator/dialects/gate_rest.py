"""Gate.io by HTTP: books and listings, and what they list. The second half of the dialect `gate`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Request, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.wire import Reply

DEFAULT_COUNT = 32
DEFAULT_LEVELS, MOST_LEVELS = 10, 300
LISTED_AGO_NS = 365 * DAY_NS
QUOTE = "USDT"
_KNOWN = ("BTC", "ETH", "SOL", "XRP", "DOGE")
_PRICES = {"BTC": (651_404, Grid(1, 1)), "ETH": (350_012, Grid(1, 2)), "SOL": (95_310, Grid(1, 3))}
_MULTIPLIERS = {"BTC": "0.0001", "ETH": "0.01", "DOGE": "10"}

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Product:
    """One product group.

    Attributes:
        name: the venue here; word: what its channels begin with.
        query: what a book's address calls the instrument.
        unknown: label and message for an instrument that is not listed.
    """

    name: str
    word: str
    ws_path: str
    book_path: str
    listing_path: str
    query: str
    unknown: tuple[str, str]

    @property
    def is_spot(self) -> bool:
        """Whether it is spot."""
        return self.word == "spot"


FUTURES = Product(
    name="gate",
    word="futures",
    ws_path="/v4/ws/usdt",
    book_path="/api/v4/futures/usdt/order_book",
    listing_path="/api/v4/futures/usdt/contracts",
    query="contract",
    unknown=("CONTRACT_NOT_FOUND", "contract not found"),
)
SPOT = Product(
    name="gate_spot",
    word="spot",
    ws_path="/ws/v4/",
    book_path="/api/v4/spot/order_book",
    listing_path="/api/v4/spot/currency_pairs",
    query="currency_pair",
    unknown=("INVALID_CURRENCY_PAIR", "Invalid currency pair"),
)


def default_insts() -> list[str]:
    """List ids: the best known, then invented ones."""
    bases = [*_KNOWN, *(f"SIM{number:02d}" for number in range(1, DEFAULT_COUNT - len(_KNOWN) + 1))]
    return [f"{base}_{QUOTE}" for base in bases]


def instrument(product: Product, inst: str, start_ns: int) -> Instrument:
    """Invent the listing of an id.

    Raises:
        ConfigError: the product group has no ids like this.
    """
    match = re.fullmatch(rf"([A-Z0-9]{{1,20}})_{QUOTE}", inst, re.ASCII)
    if match is None:
        raise ConfigError(f"{product.name} has no ids like {clip(inst)}; write it like BTC_{QUOTE}")
    base, spot = match[1], product.is_spot
    price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))
    return Instrument(
        inst=inst,
        base=base,
        quote=QUOTE,
        settle="" if spot else QUOTE,
        market="spot" if spot else "perp",
        kind="" if spot else "linear",
        tick=tick,
        lot=Grid(1, 4) if spot else Grid(1, 0),
        contract_value="" if spot else _MULTIPLIERS.get(base, "1"),
        contract_ccy="" if spot else base,
        listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
        expiry_ns=None,
        strike="",
        right="",
        pace=Pace(price, 3_000, 230, 280, 10, 0.95),
    )


class Rest:
    """Answers requests."""

    def __init__(self, product: Product) -> None:
        self._product = product

    def answer(self, request: Request, venue: Venue) -> Reply:
        """Answer a GET."""
        if request.path == self._product.book_path:
            return self._book(request.query, venue)
        if request.path == self._product.listing_path:
            write = _pair if self._product.is_spot else _contract
            return Reply(200, _text([write(one) for one in venue.instruments.values()]))
        return _refusal(404, "NOT_FOUND", "not found")

    def too_many_requests(self) -> Reply:
        """Answer 429."""
        return _refusal(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")

    def _book(self, query: Mapping[str, str], venue: Venue) -> Reply:
        """Answer with as many levels as are asked for, whatever level the client has subscribed."""
        inst, limit = query.get(self._product.query, ""), query.get("limit", str(DEFAULT_LEVELS))
        if inst not in venue.instruments:
            return _refusal(400, *self._product.unknown)
        levels = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 5 else 0
        if not 1 <= levels <= MOST_LEVELS:
            return _refusal(400, "INVALID_PARAM_VALUE", f"Invalid request parameter `limit` value: {limit[:20]}")
        book = venue.book(inst, levels)
        number: Json = {"id": book.seq} if query.get("with_id") == "true" else {}
        current_ms, update_ms = venue.now_ns // NS_PER_MS, book.ts_ns // NS_PER_MS
        if self._product.is_spot:
            sides: Json = {"asks": book.asks, "bids": book.bids}
            return Reply(200, _text({**number, "current": current_ms, "update": update_ms, **sides}))
        sides = {"asks": [_level(*row) for row in book.asks], "bids": [_level(*row) for row in book.bids]}
        return Reply(200, _text({**number, "current": current_ms / 1000, "update": update_ms / 1000, **sides}))


def _level(price: str, size: str) -> Json:
    return {"p": price, "s": int(size)}


def _contract(one: Instrument) -> Json:
    return {
        "name": one.inst,
        "type": "direct",
        "quanto_multiplier": one.contract_value,
        "order_price_round": one.tick.step,
        "mark_price_round": one.tick.step,
        "order_size_min": 1,
        "enable_decimal": False,
        "funding_rate": "0.0001",
        "in_delisting": False,
        "status": "trading",
        "launch_time": one.listed_ns // NS_PER_S,
    }


def _pair(one: Instrument) -> Json:
    return {
        "id": one.inst,
        "base": one.base,
        "quote": one.quote,
        "amount_precision": one.lot.decimals,
        "precision": one.tick.decimals,
        "trade_status": "tradable",
        "buy_start": one.listed_ns // NS_PER_S,
        "sell_start": one.listed_ns // NS_PER_S,
    }


def _refusal(status: int, label: str, message: str) -> Reply:
    return Reply(status, _text({"label": label, "message": message}))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
