"""OKX v5 by HTTP: what is listed, books, system status, time. The second half of the dialect `okx`."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import DAY_NS, NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Maintenance, Request, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.wire import Reply

BOOK_PATH = "/api/v5/market/books"
MAX_BOOK_LEVELS = 400
DEFAULT_COUNT = 64
LISTED_AGO_NS = 365 * DAY_NS
EXPIRY_HOUR = 8

INST_TYPES = {"perp": "SWAP", "spot": "SPOT", "futures": "FUTURES", "option": "OPTION"}

_ID = re.compile(
    r"(?P<base>[A-Z0-9]{1,20})-(?P<quote>[A-Z0-9_]{1,20})"
    r"(?:-(?:(?P<swap>SWAP)|(?P<expiry>\d{6})(?:-(?P<strike>\d{1,9}(?:\.\d+)?)-(?P<right>[CP]))?))?",
    re.ASCII,
)
_PRICES = {
    "BTC": (432_500, Grid(1, 1)),
    "ETH": (230_012, Grid(1, 2)),
    "SOL": (95_310, Grid(1, 3)),
    "XRP": (55_125, Grid(1, 5)),
    "DOGE": (80_140, Grid(1, 6)),
}
"""Start price in ticks, and tick, of what is known; everything else gets a price drawn from its name."""

_CONTRACTS = {"BTC": "0.01", "ETH": "0.1"}
_INVERSE_CONTRACTS = {"BTC": "100"}
_PACES = {
    "perp": (5_000, 408, 440, 14, 0.98),
    "spot": (4_000_000, 408, 440, 14, 0.98),
    "inverse": (200, 230, 260, 3, 0.95),
    "futures": (60, 120, 150, 6, 0.9),
    "option": (40, 2, 10, 1, 0.05),
}
"""Mean size in lots, fewest and most levels a side, changes a side and step, chance of any change."""


def default_insts(start_ns: int) -> list[str]:
    """List ids, the best known first. Futures and options expire on the last Friday of the quarter after this one."""
    expiry = _next_quarter_end(start_ns)
    known = [
        *("BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USDT", "ETH-USDT", "SOL-USDT-SWAP", "SOL-USDT", "XRP-USDT-SWAP"),
        *("DOGE-USDT-SWAP", "BTC-USD-SWAP", "ETH-USD-SWAP", f"BTC-USDT-{expiry}", f"BTC-USD-{expiry}"),
        *(f"BTC-USD-{expiry}-{strike}-{right}" for strike in (40000, 45000) for right in "CP"),
    ]
    return known + [f"SIM{number:02d}-USDT-SWAP" for number in range(1, DEFAULT_COUNT - len(known) + 1)]


def instrument(inst: str, start_ns: int) -> Instrument:
    """Invent the listing of an id: `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-270326`, `BTC-USD-270326-40000-C`.

    Raises:
        ConfigError: the id has none of these shapes, or its date is none.
    """
    match = _match(inst)
    base, quote = match["base"], match["quote"]
    market = "option" if match["right"] else "futures" if match["expiry"] else "perp" if match["swap"] else "spot"
    spot, inverse = market == "spot", market != "spot" and quote == "USD"
    value, value_ccy = _contract(base, quote, market, inverse=inverse)
    price, tick = (100, Grid(5, 4)) if market == "option" else _price(base)
    return Instrument(
        inst=inst,
        base=base,
        quote=quote,
        settle="" if spot else base if inverse else quote,
        market=market,
        kind="" if spot else "inverse" if inverse else "linear",
        tick=tick,
        lot=Grid(1, 8 if spot else 0 if inverse else 2),
        contract_value=value,
        contract_ccy=value_ccy,
        listed_ns=(start_ns - LISTED_AGO_NS) // NS_PER_S * NS_PER_S,
        expiry_ns=None if match["expiry"] is None else _expiry_ns(inst, match["expiry"]),
        strike=match["strike"] or "",
        right=match["right"] or "",
        pace=Pace(price, *_PACES["inverse" if inverse and market == "perp" else market]),
    )


def answer(request: Request, venue: Venue) -> Reply:
    """Answer a GET."""
    if request.path != STATUS_PATH and any(w.begin_ns <= venue.now_ns < w.end_ns for w in venue.maintenances):
        return _refusal("50001", "Service temporarily unavailable. Try again later.", status=503)
    make = _ANSWERS.get(request.path)
    return _refusal("404", "Not Found", status=404) if make is None else make(request.query, venue)


def too_many_requests() -> Reply:
    """Answer 429 with code 50011 and the time to wait."""
    body = _body("50011", "Too Many Requests", [])
    return Reply(429, body, {"Content-Type": "application/json", "Retry-After": "1"})


def _book(query: Mapping[str, str], venue: Venue) -> Reply:
    """Answer a book: `sz` levels a side, 1 to 400, 1 if not given."""
    inst, size = query.get("instId", ""), query.get("sz", "1")
    if not inst:
        return _refusal("50014", "Parameter instId can not be empty.")
    if inst not in venue.instruments:
        return _refusal("51001", "Instrument ID or Spread ID does not exist.")
    if not (size.isascii() and size.isdecimal() and 1 <= int(size[:9]) <= MAX_BOOK_LEVELS):
        return _refusal("51000", "Parameter sz error")
    book = venue.book(inst, int(size))
    ts = str(book.ts_ns // NS_PER_MS)
    return _data([{"asks": book.asks, "bids": book.bids, "ts": ts, "seqId": book.seq}])


def _instruments(query: Mapping[str, str], venue: Venue) -> Reply:
    """Answer the listing of one type; options need their family or underlying too."""
    inst_type = query.get("instType", "")
    family = query.get("instFamily", "") or query.get("uly", "")
    if not inst_type:
        return _refusal("50014", "Parameter instType can not be empty.")
    if inst_type not in (*INST_TYPES.values(), "MARGIN"):
        return _refusal("51000", "Parameter instType error")
    if inst_type == "OPTION" and not family:
        return _refusal("50014", "Either parameter uly or instFamily is required.")
    listed = [_listed(number, inst) for number, inst in enumerate(venue.instruments.values(), start=1)]
    chosen = [
        row
        for row in listed
        if row["instType"] == inst_type
        and family in ("", row["instFamily"])
        and query.get("instId", "") in ("", row["instId"])
    ]
    return _data(chosen) if chosen or "instId" not in query else _refusal("51001", "Instrument ID does not exist.")


def _underlyings(query: Mapping[str, str], venue: Venue) -> Reply:
    """Answer the underlyings of one type: a list of texts in a list."""
    inst_type = query.get("instType", "")
    if inst_type not in ("SWAP", "FUTURES", "OPTION"):
        return _refusal("51000", "Parameter instType error")
    listed = [_listed(number, inst) for number, inst in enumerate(venue.instruments.values(), start=1)]
    return _data([sorted({str(row["uly"]) for row in listed if row["instType"] == inst_type})])


def _status(query: Mapping[str, str], venue: Venue) -> Reply:
    """Answer the maintenances, of one state if asked."""
    rows = [_maintenance(window, venue.now_ns) for window in venue.maintenances]
    return _data([row for row in rows if query.get("state", "") in ("", row["state"])])


def _time(query: Mapping[str, str], venue: Venue) -> Reply:
    return _data([{"ts": str(venue.now_ns // NS_PER_MS)}])


STATUS_PATH = "/api/v5/system/status"
_ANSWERS: Mapping[str, Callable[[Mapping[str, str], Venue], Reply]] = {
    BOOK_PATH: _book,
    "/api/v5/public/instruments": _instruments,
    "/api/v5/public/underlying": _underlyings,
    STATUS_PATH: _status,
    "/api/v5/public/time": _time,
}


def _listed(number: int, inst: Instrument) -> dict[str, object]:
    """Write a listing: every field a text, but the number and the announced changes."""
    spot = inst.market == "spot"
    family = "" if spot else f"{inst.base}-{inst.quote}"
    return {
        "instId": inst.inst,
        "instIdCode": number,
        "instType": INST_TYPES[inst.market],
        "uly": family.replace("_UM", ""),
        "instFamily": family,
        "baseCcy": inst.base if spot else "",
        "quoteCcy": inst.quote if spot else "",
        "settleCcy": inst.settle,
        "ctVal": inst.contract_value,
        "ctMult": "" if spot else "0.01" if inst.market == "option" else "1",
        "ctValCcy": inst.contract_ccy,
        "ctType": "" if inst.market == "option" else inst.kind,
        "optType": inst.right,
        "stk": inst.strike,
        "tickSz": inst.tick.step,
        "lotSz": inst.lot.step,
        "minSz": inst.lot.step,
        "state": "live",
        "listTime": str(inst.listed_ns // NS_PER_MS),
        "expTime": "" if inst.expiry_ns is None else str(inst.expiry_ns // NS_PER_MS),
        "lever": "" if inst.market == "option" else "10" if spot else "100",
        "alias": "next_quarter" if inst.market == "futures" else "",
        "ruleType": "normal",
        "upcChg": [],
    }


def _maintenance(window: Maintenance, now_ns: int) -> dict[str, object]:
    state = "scheduled" if now_ns < window.begin_ns else "ongoing" if now_ns < window.end_ns else "completed"
    return {
        "title": "Simulated maintenance",
        "state": state,
        "begin": str(window.begin_ns // NS_PER_MS),
        "end": str(window.end_ns // NS_PER_MS),
        "preOpenBegin": "",
        "href": "",
        "serviceType": "0",
        "system": "unified",
        "scheDesc": "",
        "maintType": "1",
        "env": "1",
    }


def _data(rows: Sequence[object]) -> Reply:
    return Reply(200, _body("0", "", rows))


def _refusal(code: str, msg: str, status: int = 200) -> Reply:
    return Reply(status, _body(code, msg, []))


def _body(code: str, msg: str, rows: Sequence[object]) -> str:
    return orjson.dumps({"code": code, "msg": msg, "data": rows}).decode()


def _match(inst: str) -> re.Match[str]:
    match = _ID.fullmatch(inst)
    if match is None:
        raise ConfigError(f"OKX has no ids like {clip(inst)}; write it like BTC-USDT-SWAP, BTC-USDT or BTC-USD-270326")
    return match


def _price(base: str) -> tuple[int, Grid]:
    return _PRICES.get(base) or (Random(f"price/{base}").randint(20_000, 90_000), Grid(1, 4))


def _contract(base: str, quote: str, market: str, *, inverse: bool) -> tuple[str, str]:
    """Return the value of one contract and its currency."""
    if market == "spot":
        return "", ""
    if market == "option":
        return "1", base
    return (_INVERSE_CONTRACTS.get(base, "10"), quote) if inverse else (_CONTRACTS.get(base, "1"), base)


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
