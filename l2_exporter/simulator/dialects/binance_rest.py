"""Binance and Aster by HTTP: books, listings, weights; and what they list. The second half of the dialect `binance`."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Request, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Reply

DEFAULT_COUNT = 32
LISTED_AGO_NS = 365 * DAY_NS
EXPIRY_HOUR = 8
MINUTE_NS = 60 * NS_PER_S
NO_DELIVERY_MS = 4_133_404_800_000
"""What the venue writes for the delivery of a contract that has none: Christmas of 2100."""
OUT_AFTER_MS = 9

_KNOWN = ("BTC", "ETH", "SOL", "XRP", "DOGE")
_PRICES = {
    "BTC": (651_404, Grid(1, 1, padded=True)),
    "ETH": (350_012, Grid(1, 2, padded=True)),
    "SOL": (95_310, Grid(1, 3, padded=True)),
}
"""Start price in ticks, and tick, of what is known; everything else gets a price drawn from its name."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Product:
    """One product group.

    Attributes:
        name: the venue here.
        kind: `linear`, `inverse`, or empty for spot.
        quotes: what prices of its ids are in.
        weights: what a book costs, by the greatest number of levels that costs so; futures take no other numbers.
        decimals: those every price and size is padded to; None: as many as their steps have.
        expires: some contracts have a delivery date.
    """

    name: str
    kind: str
    quotes: tuple[str, ...]
    ws_path: str
    book_path: str
    listing_path: str
    messages_per_s: int
    weights: Mapping[int, int]
    weight_per_minute: int
    default_levels: int
    decimals: int | None = None
    expires: bool = True

    @property
    def is_spot(self) -> bool:
        """Whether nothing but spot is traded."""
        return not self.kind


def default_insts(product: Product, start_ns: int) -> list[str]:
    """List ids: the best known, one that is delivered at the end of the next quarter, then invented ones."""
    quote = product.quotes[0]
    perp = "_PERP" if product.kind == "inverse" else ""
    ids = [f"{base}{quote}{perp}" for base in _KNOWN]
    if product.expires and not product.is_spot:
        ids.insert(2, f"BTC{quote}_{_next_quarter_end(start_ns)}")
    return ids + [f"SIM{number:02d}{quote}{perp}" for number in range(1, DEFAULT_COUNT - len(ids) + 1)]


def instrument(product: Product, inst: str, start_ns: int) -> Instrument:
    """Invent the listing of an id: `BTCUSDT`, `BTCUSDT_270326`, inverse `BTCUSD_PERP` and `BTCUSD_270326`.

    Raises:
        ConfigError: the product group has no ids like this, or its date is none.
    """
    inverse, spot = product.kind == "inverse", product.is_spot
    tails = r"_(?:PERP|(?P<expiry>\d{6}))" if inverse else r"(?:_(?P<expiry>\d{6}))?"
    match = re.fullmatch(rf"(?P<base>[A-Z0-9]{{1,20}}?)(?P<quote>{'|'.join(product.quotes)}){tails}", inst, re.ASCII)
    if match is None or (match["expiry"] and (spot or not product.expires)):
        example = default_insts(product, start_ns)[0]
        raise ConfigError(f"{product.name} has no ids like {clip(inst)}; write it like {example}")
    base, quote = match["base"], match["quote"]
    price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4, padded=True))
    return Instrument(
        inst=inst,
        base=base,
        quote=quote,
        settle="" if spot else base if inverse else quote,
        market="spot" if spot else "futures" if match["expiry"] else "perp",
        kind=product.kind,
        tick=tick,
        lot=Grid(1, 0) if inverse else Grid(1, 5 if spot else 3, padded=True),
        contract_value="" if spot else ("100" if base == "BTC" else "10") if inverse else "1",
        contract_ccy="" if spot else quote if inverse else base,
        listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
        expiry_ns=_expiry_ns(inst, match["expiry"]) if match["expiry"] else None,
        strike="",
        right="",
        pace=Pace(price, 3_000, 230, 280, 10, 0.95),
    )


def padded(product: Product, rows: Sequence[Row]) -> list[list[str]]:
    """Write levels with as many decimals as the product group shows."""
    decimals = product.decimals
    if decimals is None:
        return [[*row] for row in rows]
    return [[_padded(text, decimals) for text in row] for row in rows]


class Rest:
    """Answers requests and counts what they weigh, for one address."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._spent: deque[tuple[int, int]] = deque()

    def answer(self, request: Request, venue: Venue) -> Reply:
        """Answer a GET."""
        product = self._product
        if request.path == product.book_path:
            return self._book(request.query, venue)
        if request.path == product.listing_path:
            rows = [_listed(product, one) for one in venue.instruments.values()]
            listing = {"timezone": "UTC", "serverTime": venue.now_ns // NS_PER_MS, "rateLimits": [], "symbols": rows}
            return self._weighed(1, venue.now_ns, listing)
        if request.path == product.listing_path.removesuffix("exchangeInfo") + "time":
            return self._weighed(1, venue.now_ns, {"serverTime": venue.now_ns // NS_PER_MS})
        return Reply(404, "<html><body><h2>404 Not found</h2></body></html>", {"Content-Type": "text/html"})

    def too_many_requests(self) -> Reply:
        """Answer 429 with code -1003 and the time to wait."""
        msg = f"Too many requests; current limit is {self._product.weight_per_minute} request weight per 1 MINUTE."
        return Reply(429, _text({"code": -1003, "msg": msg}), {"Content-Type": "application/json", "Retry-After": "5"})

    def _book(self, query: Mapping[str, str], venue: Venue) -> Reply:
        inst, limit = query.get("symbol", ""), query.get("limit", str(self._product.default_levels))
        if not inst:
            return _refusal(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if inst not in venue.instruments:
            return _refusal(-1121, "Invalid symbol.")
        levels = self._levels(limit)
        if levels is None:
            return _refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        weight = next(cost for most, cost in sorted(self._product.weights.items()) if levels <= most)
        book = venue.book(inst, levels)
        ms = book.ts_ns // NS_PER_MS
        answer: Json = {"lastUpdateId": book.seq}
        if not self._product.is_spot:
            answer |= {"E": ms + OUT_AFTER_MS, "T": ms}
        if self._product.kind == "inverse":
            answer |= {"symbol": inst, "pair": inst.partition("_")[0]}
        rows = {"bids": padded(self._product, book.bids), "asks": padded(self._product, book.asks)}
        return self._weighed(weight, venue.now_ns, answer | rows)

    def _levels(self, limit: str) -> int | None:
        """Read how many levels are asked for: spot cuts what is too many, futures take certain numbers only."""
        if not (limit.isascii() and limit.isdecimal() and int(limit[:9])):
            return None
        levels, most = int(limit[:9]), max(self._product.weights)
        if self._product.is_spot:
            return min(levels, most)
        return levels if levels in self._product.weights else None

    def _weighed(self, weight: int, now_ns: int, answer: Json) -> Reply:
        """Count a request; above the budget of a minute it is refused."""
        while self._spent and self._spent[0][0] <= now_ns - MINUTE_NS:
            self._spent.popleft()
        used = sum(each for _, each in self._spent) + weight
        if used > self._product.weight_per_minute:
            return self.too_many_requests()
        self._spent.append((now_ns, weight))
        return Reply(200, _text(answer), {"Content-Type": "application/json", "X-MBX-USED-WEIGHT-1M": str(used)})


def _listed(product: Product, one: Instrument) -> Json:
    """Write a listing."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": one.tick.step, "maxPrice": "4529764", "tickSize": one.tick.step},
        {"filterType": "LOT_SIZE", "minQty": one.lot.step, "maxQty": "1000", "stepSize": one.lot.step},
    ]
    pair: Json = {"baseAsset": one.base, "quoteAsset": one.quote}
    if product.is_spot:
        return {"symbol": one.inst, "status": "TRADING", **pair, "filters": filters}
    inverse = product.kind == "inverse"
    expiry_ms = NO_DELIVERY_MS if one.expiry_ns is None else one.expiry_ns // NS_PER_MS
    contract: Json = {"contractSize": int(one.contract_value)} if inverse else {}
    return {
        "symbol": one.inst,
        "pair": one.inst.partition("_")[0],
        "contractType": "PERPETUAL" if one.expiry_ns is None else "NEXT_QUARTER",
        "deliveryDate": expiry_ms,
        "onboardDate": one.listed_ns // NS_PER_MS,
        "contractStatus" if inverse else "status": "TRADING",
        **contract,
        **pair,
        "marginAsset": one.settle,
        "pricePrecision": one.tick.decimals + 1,
        "quantityPrecision": one.lot.decimals,
        "filters": filters,
    }


def _refusal(code: int, msg: str) -> Reply:
    return Reply(400, _text({"code": code, "msg": msg}))


def _padded(text: str, decimals: int) -> str:
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits:0<{decimals}}"


def _expiry_ns(inst: str, date: str) -> int:
    try:
        day = datetime.strptime(date, "%y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{clip(inst)}: {date} is no date (YYMMDD)") from None
    return int((day + timedelta(hours=EXPIRY_HOUR)).timestamp()) * NS_PER_S


def _next_quarter_end(start_ns: int) -> str:
    """Name the last Friday of the quarter after the one a moment lies in, `270326`."""
    start = datetime.fromtimestamp(start_ns // NS_PER_S, UTC)
    months = start.year * 12 + (start.month - 1) // 3 * 3 + 6
    last = datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)
    return (last - timedelta(days=(last.weekday() - 4) % 7)).strftime("%y%m%d")


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
