"""KuCoin by HTTP: tickets, books, listings; and what is listed. The second half of the dialect `kucoin`."""

import re
from calendar import monthrange
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
TICKET_LIFE_NS = DAY_NS
TICKET_PATH = "/api/v1/bullet-public"
ENDPOINT = "wss://simulated.invalid/endpoint"
"""A ticket names an address. Nothing is there: a client of a simulation keeps the one it was given."""
QUARTERS = {3: "H", 6: "M", 9: "U", 12: "Z"}
UNTRADED, DEEP = "NEW", "DEEP"
"""Beginnings of ids: a contract whose book is asked for before it has one; a pair of more levels than REST shows."""

_KNOWN = ("ETH", "SOL", "XRP", "DOGE")
_PRICES = {
    "XBT": (651_404, Grid(1, 1)),
    "BTC": (651_404, Grid(1, 1)),
    "ETH": (350_012, Grid(1, 2)),
    "SOL": (95_310, Grid(1, 3)),
}
_ID = re.compile(r"(?P<base>[A-Z0-9]{1,20}?)(?:(?P<quote>USDT|USDC|USD)M|M(?P<month>[HMUZ])(?P<year>\d\d))", re.ASCII)
_PAIR = re.compile(r"(?P<base>[A-Z0-9]{1,20})-(?P<quote>[A-Z0-9]{1,20})", re.ASCII)

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Product:
    """One of the two exchanges: paths of REST books by levels a side (0: all), and of the listing."""

    name: str
    book_paths: Mapping[str, int]
    listing_path: str

    @property
    def is_spot(self) -> bool:
        """Whether pairs are traded, and not contracts."""
        return self.name == "kucoin_spot"


FUTURES = Product(
    "kucoin",
    {"/api/v1/level2/snapshot": 0, "/api/v1/level2/depth100": 100, "/api/v1/level2/depth20": 20},
    "/api/v1/contracts/active",
)
SPOT = Product(
    "kucoin_spot",
    {"/api/v1/market/orderbook/level2_100": 100, "/api/v1/market/orderbook/level2_20": 20},
    "/api/v2/symbols",
)


def default_insts(product: Product, start_ns: int) -> list[str]:
    """List ids: the best known of each kind first, then invented ones, 32 in all."""
    if product.is_spot:
        ids, tail = [f"{base}-USDT" for base in ("BTC", *_KNOWN)], "-USDT"
    else:
        ids, tail = ["XBTUSDTM", "XBTUSDM", f"XBTM{_next_quarter(start_ns)}"], "USDTM"
        ids += [f"{base}USDTM" for base in _KNOWN]
    return ids + [f"SIM{number:02d}{tail}" for number in range(1, DEFAULT_COUNT - len(ids) + 1)]


def instrument(product: Product, inst: str, start_ns: int) -> Instrument:
    """Invent the listing of an id: `BTC-USDT`; `XBTUSDTM`, inverse `XBTUSDM`, inverse with delivery `XBTMZ26`.

    Raises:
        ConfigError: the exchange has no ids like this.
    """
    match = (_PAIR if product.is_spot else _ID).fullmatch(inst)
    if match is None:
        example = default_insts(product, start_ns)[0]
        raise ConfigError(f"{product.name} has no ids like {clip(inst)}; write it like {example}")
    base, quote = match["base"], match["quote"] or "USD"
    price, tick = _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))
    inverse, spot = quote == "USD" and not product.is_spot, product.is_spot
    expires = not spot and match["month"] is not None
    deep = not spot or base.startswith(DEEP)
    return Instrument(
        inst=inst,
        base=base,
        quote=quote,
        settle="" if spot else base if inverse else quote,
        market="spot" if spot else "futures" if expires else "perp",
        kind="" if spot else "inverse" if inverse else "linear",
        tick=tick,
        lot=Grid(1, 8) if spot else Grid(1, 0),
        contract_value="" if spot else "1" if inverse else "0.001",
        contract_ccy="" if spot else quote if inverse else base,
        listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
        expiry_ns=_expiry_ns(match["month"], match["year"]) if expires else None,
        strike="",
        right="",
        # REST shows 100 levels a side of a pair: most pairs have fewer here, so that all of them are known.
        pace=Pace(price, 3_000, *((230, 280) if deep else (60, 90)), 8, 0.95),
    )


class Rest:
    """Answers requests, and remembers the tickets it gave."""

    def __init__(self, product: Product, seed: int) -> None:
        self._product = product
        self._random = Random(f"{seed}/{product.name}/tickets")
        self._given_ns: dict[str, int] = {}
        self._asked: set[str] = set()

    def answer(self, request: Request, venue: Venue) -> Reply:
        """Answer a request; a ticket is given to whoever posts."""
        if request.path == TICKET_PATH:
            return self._ticket(venue.now_ns) if request.posted is not None else _refusal(405, "400100", "POST only")
        if request.posted is not None:
            return _refusal(405, "400100", "GET only")
        if request.path in self._product.book_paths:
            return self._book(request, venue)
        if request.path == self._product.listing_path:
            listed = _pair if self._product.is_spot else _contract
            return _done([listed(one) for one in venue.instruments.values()])
        return _refusal(404, "404", "Not Found")

    def is_valid(self, token: str | None, now_ns: int) -> bool:
        """Tell whether a connection can be opened with this: a ticket from here, not older than a day."""
        given_ns = self._given_ns.get(token or "")
        return given_ns is not None and now_ns - given_ns < TICKET_LIFE_NS

    def _ticket(self, now_ns: int) -> Reply:
        token = f"2neAiu{self._random.getrandbits(256):x}=="
        self._given_ns = {each: ns for each, ns in self._given_ns.items() if now_ns - ns < TICKET_LIFE_NS}
        self._given_ns[token] = now_ns
        server = {"endpoint": ENDPOINT, "encrypt": True, "protocol": "websocket"}
        return _done({"token": token, "instanceServers": [server | {"pingInterval": 18000, "pingTimeout": 10000}]})

    def _book(self, request: Request, venue: Venue) -> Reply:
        inst = request.query.get("symbol", "")
        if inst not in venue.instruments:
            return _refusal(400, "400100", f"symbol {inst[:64]} not exists")
        levels = self._product.book_paths[request.path]
        book = venue.book(inst, levels or 1_000_000)
        if self._product.is_spot:
            return _done(
                {"time": book.ts_ns // NS_PER_MS, "sequence": str(book.seq), "bids": book.bids, "asks": book.asks}
            )
        if inst.startswith(UNTRADED) and inst not in self._asked:
            self._asked.add(inst)
            return _done({"sequence": -1, "symbol": inst, "bids": None, "asks": None, "ts": venue.now_ns})
        sides = {"bids": _numbers(book.bids), "asks": _numbers(book.asks)}
        return _done({"sequence": book.seq, "symbol": inst, **sides, "ts": book.ts_ns})


def too_many_requests() -> Reply:
    """Answer 429; the header names the milliseconds until the budget is whole again."""
    headers = {"Content-Type": "application/json", "gw-ratelimit-limit": "2000", "gw-ratelimit-reset": "5000"}
    return Reply(429, _text({"code": "429000", "msg": "Too Many Requests"}), headers)


def _contract(one: Instrument) -> Json:
    """Write a contract of futures: numbers, and a negative multiplier if it is inverse."""
    inverse, expires = one.kind == "inverse", one.expiry_ns is not None
    return {
        "symbol": one.inst,
        "rootSymbol": one.settle,
        "type": "FFICSX" if expires else "FFWCSX",
        "firstOpenDate": one.listed_ns // NS_PER_MS,
        "expireDate": None if one.expiry_ns is None else one.expiry_ns // NS_PER_MS,
        "baseCurrency": one.base,
        "quoteCurrency": one.quote,
        "settleCurrency": one.settle,
        "lotSize": _number(one.lot.step),
        "tickSize": _number(one.tick.step),
        "multiplier": _number(f"-{one.contract_value}.0" if inverse else one.contract_value),
        "isQuanto": not inverse,
        "isInverse": inverse,
        "status": "Open",
    }


def _pair(one: Instrument) -> Json:
    """Write a pair of spot."""
    return {
        "symbol": one.inst,
        "name": one.inst,
        "baseCurrency": one.base,
        "quoteCurrency": one.quote,
        "market": "USDS",
        "baseMinSize": one.lot.step,
        "baseIncrement": one.lot.step,
        "priceIncrement": one.tick.step,
        "enableTrading": True,
    }


def _numbers(rows: Sequence[Row]) -> list[list[orjson.Fragment]]:
    """Write levels as numbers."""
    return [[_number(text) for text in row] for row in rows]


def _number(text: str) -> orjson.Fragment:
    return orjson.Fragment(text)


def _expiry_ns(month: str, year: str) -> int:
    """Return the last Friday of a quarter, 08:00 UTC."""
    number = next(number for number, letter in QUARTERS.items() if letter == month)
    last = datetime(2000 + int(year), number, monthrange(2000 + int(year), number)[1], 8, tzinfo=UTC)
    return int((last - timedelta(days=(last.weekday() - 4) % 7)).timestamp()) * NS_PER_S


def _next_quarter(start_ns: int) -> str:
    """Name the quarter after the one a moment lies in, `H27`."""
    start = datetime.fromtimestamp(start_ns // NS_PER_S, UTC)
    quarters = start.year * 4 + (start.month - 1) // 3 + 1
    return f"{QUARTERS[quarters % 4 * 3 + 3]}{quarters // 4 % 100:02d}"


def _done(data: object) -> Reply:
    return Reply(200, _text({"code": "200000", "data": data}))


def _refusal(status: int, code: str, msg: str) -> Reply:
    return Reply(status, _text({"code": code, "msg": msg}))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
