"""Books of a Kraken v2 tape, kept the plainest way: one dict a side, cut to the subscribed depth after every message.

Written from the venue's documents; it imports nothing of the recorder. `as_v2` writes a tape of the retired protocol v1
as v2 would have sent it: other brackets around the same texts.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]
Side = dict[Decimal, list[str]]
CHECKED = 10


class State(NamedTuple):
    """A book after one message; best first. `time` is the greatest timestamp so far, `checksum` as sent."""

    inst: str
    time: str
    bids: Rows
    asks: Rows
    checksum: int | None


def read(frame: str) -> Any:
    """Read JSON whose numbers stay texts."""
    return json.loads(frame, parse_float=str, parse_int=str)


def states(lines: Iterable[Mapping[str, Any]], *, sort: bool = True) -> Iterator[State]:
    """Yield the book after every message.

    Args:
        sort: put levels in order, and forget those beyond the depth; else they come as they are kept.
    """
    depths: dict[str, int] = {}
    books: dict[str, tuple[Side, Side]] = {}
    times: dict[str, str] = {}
    for line in lines:
        message = read(line["frame"]) if line["dir"] == "in" else {}
        if message.get("method") == "subscribe":
            depths[message["result"]["symbol"]] = int(message["result"]["depth"])
        if message.get("channel") != "book":
            continue
        for book in message["data"]:
            inst = book["symbol"]
            if message["type"] == "snapshot":
                books[inst] = ({}, {})
            bids, asks = books[inst]
            _apply(bids, book["bids"], depths[inst], worst=min)
            _apply(asks, book["asks"], depths[inst], worst=max)
            times[inst] = max(times.get(inst, ""), book["timestamp"])
            checksum = book.get("checksum")
            yield State(
                inst,
                times[inst],
                best(bids, bids=True) if sort else [*bids.values()],
                best(asks, bids=False) if sort else [*asks.values()],
                None if checksum is None else int(checksum),
            )


def _apply(side: Side, levels: Iterable[Mapping[str, str]], depth: int, worst: Any) -> None:
    for level in levels:
        price = Decimal(level["price"])
        side.pop(price, None)
        if Decimal(level["qty"]) != 0:
            side[price] = [level["price"], level["qty"]]
    while len(side) > depth:
        del side[worst(side)]


def best(side: Side, *, bids: bool) -> Rows:
    """Return a side's levels, best first."""
    return [side[price] for price in sorted(side, reverse=bids)]


def crc(state: State) -> int:
    """Compute the checksum of a book."""
    digits = [
        cell.replace(".", "").lstrip("0") for rows in (state.asks, state.bids) for row in rows[:CHECKED] for cell in row
    ]
    return zlib.crc32("".join(digits).encode())


def sampled(found: Iterable[State], cadence_ns: int) -> dict[str, list[State]]:
    """Choose what becomes a line where no receive time sets a deadline: each bucket's last state, by instrument."""
    chosen: dict[str, dict[int, State]] = {}
    for state in found:
        chosen.setdefault(state.inst, {})[nanoseconds(state.time) // cadence_ns] = state
    return {inst: [*buckets.values()] for inst, buckets in chosen.items()}


def nanoseconds(time: str) -> int:
    """Read `2026-08-24T22:21:57.110183Z`."""
    moment = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def as_v2(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write a tape of v1 as one of v2, without receive times."""
    tape = []
    for line in lines:
        message = json.loads(line["frame"]) if line["dir"] == "in" else {}
        frame = _push(message) if isinstance(message, list) else _ack(message)
        if frame is not None:
            tape.append({"conn": line["conn"], "dir": "in", "url": "wss://ws.kraken.com/v2", "frame": frame})
    return tape


def _ack(message: Mapping[str, Any]) -> str | None:
    if message.get("event") != "subscriptionStatus":
        return None
    result = {"channel": "book", "depth": message["subscription"]["depth"], "symbol": message["pair"]}
    return json.dumps({"method": "subscribe", "result": result, "success": True})


def _push(message: list[Any]) -> str:
    """Write one push; v1 puts asks and bids of one message into two objects at times, the checksum in the last."""
    parts: dict[str, Any] = {}
    for part in message[1:-2]:
        parts |= part
    kind = "snapshot" if "as" in parts else "update"
    bids, asks = (parts.get(side, []) or parts.get(side + "s", []) for side in "ba")
    newest = max(row[2] for row in (*bids, *asks))
    seconds, _, micros = newest.partition(".")
    time = datetime.fromtimestamp(int(seconds), UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{micros}Z")
    checksum = f'"checksum":{parts["c"]},' if "c" in parts else ""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{message[-1]}","bids":[{_levels(bids)}],'
        f'"asks":[{_levels(asks)}],{checksum}"timestamp":"{time}"}}]}}'
    )


def _levels(rows: Rows) -> str:
    return ",".join(f'{{"price":{row[0]},"qty":{row[1]}}}' for row in rows)
