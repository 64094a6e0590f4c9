"""Hyperliquid, server side: whole books of twenty levels, a JSON ping, lists by POST.

Written from the project's venue notes on Hyperliquid, and checked against recorded frames. Two things are not as on
the wire: a quiet book is repeated with its old time (the venue mostly gives it a new one), and an unknown coin is
refused in words (the venue was seen to cut the connection). Aggregated and fast books are not served.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

import orjson

from l2_exporter.core.errors import ConfigError, clip
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.dialect import Action, Channel, HangUp, Link, Request, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.instrument import Grid, Instrument, Pace
from l2_exporter.simulator.market import Row
from l2_exporter.simulator.wire import Push, Reply

BOOK = "l2Book"
LEVELS = 20
REPEATED_NS = 5 * NS_PER_S
SILENT_NS = 60 * NS_PER_S
INFO_PATH = "/info"
CHANNELS = {BOOK: Channel(BOOK, LEVELS, whole=True, checksum=False, keepalive_ns=REPEATED_NS)}

_KNOWN = {
    "BTC": (105_055, Grid(1, 0), Grid(1, 5)),
    "ETH": (35_001, Grid(1, 1), Grid(1, 4)),
    "PURR": (19_450, Grid(1, 5), Grid(1, 0)),
    "HYPE": (25_123, Grid(1, 3), Grid(1, 2)),
    "kPEPE": (16_342, Grid(1, 6), Grid(1, 0)),
    "SOL": (20_412, Grid(1, 2), Grid(1, 2)),
}
"""Price in ticks, tick and lot: five significant figures at most, and whole numbers always."""
_PAIRS = {"PURR/USDC": (0, "PURR", 1), "@107": (107, "HYPE", 150)}
"""Spot pairs: number, base token and that token's number."""
_PERP = re.compile(r"(?:(?P<dex>[a-z0-9]{1,6}):)?(?P<base>[A-Za-z0-9]{1,20})", re.ASCII)

Json = dict[str, object]


class Hyperliquid:
    """Hyperliquid as a client sees it."""

    name = "hyperliquid"
    ws_path = "/ws"
    channels: Mapping[str, Channel] = CHANNELS
    max_step = 1
    broken_field = ('"levels":', '"book":')
    lacks: frozenset[str] = frozenset({"notice", "maintenance", "no_snapshot", "reset", "checksum", "bad_checksum"})
    """Nothing is announced, each push is a whole book, and books have neither numbers nor checksums."""

    def __init__(self, seed: int) -> None:
        self._methods = {"subscribe": _subscribe, "unsubscribe": _unsubscribe}

    def default_insts(self, start_ns: int) -> list[str]:
        """List the best known, a perpetual of another exchange on the venue, then invented ones, 32 in all."""
        known = ["BTC", "ETH", "PURR/USDC", "@107", "kPEPE", "SOL", "xyz:SP500"]
        return known + [f"SIM{number:02d}" for number in range(1, 33 - len(known))]

    def instrument(self, inst: str, start_ns: int) -> Instrument:
        """Invent the listing of an id.

        Raises:
            ConfigError: not like `BTC` or `xyz:SP500`, and not one of the pairs.
        """
        match, pair = _PERP.fullmatch(inst), _PAIRS.get(inst)
        if match is None and pair is None:
            raise ConfigError(f"Hyperliquid has no ids like {clip(inst)}; write it like BTC, xyz:SP500 or PURR/USDC")
        base = pair[1] if pair is not None else match["base"] if match is not None else ""
        invented = (Random(f"price/{inst}").randint(20_000, 90_000), Grid(1, 4), Grid(1, 1))
        price, tick, lot = _KNOWN.get(base, invented)
        return Instrument(
            inst=inst,
            base=base,
            quote="USD" if pair is None else "USDC",
            settle="USDC" if pair is None else "",
            market="perp" if pair is None else "spot",
            kind="linear" if pair is None else "",
            tick=tick,
            lot=lot,
            contract_value="1" if pair is None else "",
            contract_ccy=base if pair is None else "",
            listed_ns=start_ns,
            expiry_ns=None,
            strike="",
            right="",
            pace=Pace(price, 30_000, 40, 60, 8, 0.97),
        )

    def row(self, price: str, size: str, orders: int) -> Row:
        """Write a level as its four texts; numbers have a point always, `105055.0`."""
        return (_pointed(price), size if size == "0" else _pointed(size), "0", str(orders))

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Give none: the venue has no checksum, and no channel here says it has."""
        return 0

    def accepts(self, path: str) -> bool:
        """Serve one path."""
        return path == self.ws_path

    def opened(self, link: Link) -> list[Action]:
        """Say nothing: the client speaks first."""
        return []

    def received(self, link: Link, frame: str | bytes, venue: Venue) -> list[Action]:
        """Answer a client's frame."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            return [_unreadable(frame)]
        if request.get("method") == "ping":
            return [_tell({"channel": "pong"})]
        act, wanted = self._methods.get(str(request.get("method"))), request.get("subscription")
        if act is None or not isinstance(wanted, dict) or wanted.get("type") != BOOK:
            return [_unreadable(frame)]
        if not isinstance(wanted.get("coin"), str):
            return [_unreadable(frame)]
        full: Json = {"type": BOOK, "coin": wanted["coin"], "nSigFigs": None, "mantissa": None, "fast": False}
        if full["coin"] not in venue.instruments or full | wanted != full:
            return [_refusal(f"Invalid subscription {_text(wanted)}")]
        return act(link, wanted["coin"], full)

    def ticked(self, link: Link, venue: Venue) -> list[Action]:
        """Cut a connection that nothing has been sent on for a minute. Every frame of a client is answered at once."""
        return [HangUp(1000, "silent")] if venue.now_ns - link.active_ns >= SILENT_NS else []

    def closed(self, link: Link) -> None:
        """Forget a connection: there is nothing to forget."""

    def encode(self, link: Link, push: Push) -> list[str]:
        """Write a push."""
        levels = [[{"px": px, "sz": sz, "n": int(n)} for px, sz, _, n in side] for side in (push.bids, push.asks)]
        data = {"coin": push.inst, "time": push.ts_ns // NS_PER_MS, "levels": levels}
        return [_text({"channel": BOOK, "data": data})]

    def notice(self, link: Link) -> str:
        """Announce nothing: the venue cuts unannounced."""
        raise NotImplementedError("Hyperliquid announces no close on the socket")

    def requested_inst(self, request: Request) -> str | None:
        """Name no instrument: books are not served by REST here."""
        return None

    def requested(self, request: Request, venue: Venue) -> Reply:
        """Answer what is posted to the one path there is."""
        try:
            asked = orjson.loads(request.posted or "")
        except orjson.JSONDecodeError:
            asked = None
        if request.path != INFO_PATH or request.posted is None:
            return Reply(404, "null")
        what = asked.get("type") if isinstance(asked, dict) else None
        if what == "meta":
            return Reply(200, _text(_perps(venue, str(asked.get("dex", "")))))
        if what == "perpDexs":
            names = [{"name": name, "fullName": name.upper(), "oracleUpdater": None} for name in _dexes(venue)]
            return Reply(200, _text([None, *names]))
        if what == "spotMeta":
            return Reply(200, _text(_pairs(venue)))
        return Reply(422, "Failed to deserialize the JSON body into the target type")

    def too_many_requests(self) -> Reply:
        """Answer 429; it names no time to wait."""
        return Reply(429, "null")


def _subscribe(link: Link, coin: str, full: Json) -> list[Action]:
    """Begin a book; the second time is refused."""
    if (BOOK, coin) in link.books:
        return [_refusal(f"Already subscribed: {_text(full)}")]
    return [_accepted("subscribe", full), Subscribe(BOOK, coin)]


def _unsubscribe(link: Link, coin: str, full: Json) -> list[Action]:
    """End a book; one that has not begun is refused."""
    if (BOOK, coin) not in link.books:
        return [_refusal(f"Already unsubscribed: {_text(full)}")]
    return [_accepted("unsubscribe", full), Unsubscribe(BOOK, coin)]


def _perps(venue: Venue, dex: str) -> Json | None:
    """List the perpetuals of one exchange, empty for the venue's own; None where there is no such exchange."""
    if dex and dex not in _dexes(venue):
        return None
    rows = [
        {"szDecimals": one.lot.decimals, "name": one.inst, "maxLeverage": 40, "marginTableId": 56}
        for one in venue.instruments.values()
        if one.market == "perp" and one.inst.rpartition(":")[0] == dex
    ]
    return {"universe": rows, "marginTables": [], "collateralToken": 0}


def _dexes(venue: Venue) -> list[str]:
    """Name the exchanges that others run on the venue and that have something listed."""
    perps = [one.inst for one in venue.instruments.values() if one.market == "perp"]
    return [*dict.fromkeys(inst.partition(":")[0] for inst in perps if ":" in inst)]


def _pairs(venue: Venue) -> Json:
    """List the spot pairs, and the tokens they are made of."""
    tokens = [_token("USDC", 0, 8)]
    rows = []
    for one in venue.instruments.values():
        if one.market != "spot":
            continue
        number, base, index = _PAIRS[one.inst]
        tokens.append(_token(base, index, one.lot.decimals))
        rows.append({"tokens": [index, 0], "name": one.inst, "index": number, "isCanonical": number == 0})
    return {"universe": rows, "tokens": tokens}


def _token(name: str, index: int, decimals: int) -> Json:
    identity = f"0x{Random(f'token/{name}').getrandbits(128):032x}"
    return {
        "name": name,
        "szDecimals": decimals,
        "weiDecimals": 8,
        "index": index,
        "tokenId": identity,
        "isCanonical": index < 2,
        "evmContract": None,
        "fullName": None,
    }


def _accepted(method: str, full: Json) -> Tell:
    return _tell({"channel": "subscriptionResponse", "data": {"method": method, "subscription": full}})


def _refusal(message: str) -> Tell:
    return _tell({"channel": "error", "data": message})


def _unreadable(frame: str | bytes) -> Tell:
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    return _refusal(f"Error parsing JSON into valid websocket request: {text[:200]}")


def _pointed(text: str) -> str:
    return text if "." in text else f"{text}.0"


def _tell(frame: Json) -> Tell:
    return Tell(_text(frame))


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
