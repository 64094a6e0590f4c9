"""Books of a Bitfinex tape, kept the plainest way: one dict a side and a copy after every array.

Written from the venue's documents; it imports nothing of the recorder. `with_times` adds what the recording lacks.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]
Side = dict[Decimal, list[str]]
CHECKED = 25
SEQ_ALL, TIMESTAMP = 65536, 32768


class State(NamedTuple):
    """A book after one array; `time_ms` is the greatest time so far."""

    inst: str
    seq: int
    time_ms: int
    sides: tuple[Side, Side]

    @property
    def bids(self) -> Rows:
        """Highest first."""
        return [self.sides[0][price] for price in sorted(self.sides[0], reverse=True)]

    @property
    def asks(self) -> Rows:
        """Lowest first."""
        return [self.sides[1][price] for price in sorted(self.sides[1])]


class Sum(NamedTuple):
    """A checksum that was sent, and the one of the book at that moment."""

    inst: str
    sent: int
    computed: int


def read(frame: str) -> Any:
    """Read JSON whose numbers stay texts."""
    return json.loads(frame, parse_float=str, parse_int=str)


def steps(lines: Iterable[Mapping[str, Any]]) -> Iterator[State | Sum]:
    """Yield what every array of a book leads to, in order; arrays end in number and time."""
    names: dict[str, str] = {}
    books: dict[str, tuple[Side, Side]] = {}
    times: dict[str, int] = {}
    for line in lines:
        message = read(line["frame"]) if line["dir"] == "in" else {}
        if isinstance(message, dict):
            if message.get("event") == "subscribed" and message["channel"] == "book":
                names[message["chanId"]] = message["symbol"]
            continue
        chan, payload = message[0], message[1]
        if chan not in names or payload == "hb":
            continue
        inst = names[chan]
        if payload == "cs":
            now = State(inst, 0, 0, books[chan])
            yield Sum(inst, int(message[2]), crc(now.bids, now.asks))
            continue
        if not payload or isinstance(payload[0], list):
            books[chan], times[chan] = ({}, {}), 0
        else:
            payload = [payload]
        for price, count, amount in payload:
            side = books[chan][amount.startswith("-")]
            side.pop(Decimal(price), None)
            if count != "0":
                side[Decimal(price)] = [price, amount.lstrip("-"), "0", count]
        times[chan] = max(times[chan], int(message[-1]))
        bids, asks = books[chan]
        yield State(inst, int(message[-2]), times[chan], (bids.copy(), asks.copy()))


def crc(bids: Rows, asks: Rows) -> int:
    """Compute the checksum of a book, signed."""
    words = []
    for place in range(CHECKED):
        words += [f"{row[0]}:{row[1]}" for row in bids[place : place + 1]]
        words += [f"{row[0]}:-{row[1]}" for row in asks[place : place + 1]]
    unsigned = zlib.crc32(":".join(words).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def sampled(found: Iterable[State], cadence_ms: int) -> dict[str, list[State]]:
    """Choose what becomes a line where no receive time sets a deadline: each bucket's last state, by instrument."""
    chosen: dict[str, dict[int, State]] = {}
    for state in found:
        chosen.setdefault(state.inst, {})[state.time_ms // cadence_ms] = state
    return {inst: [*buckets.values()] for inst, buckets in chosen.items()}


def with_times(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write a tape that has numbers as if times had been asked for too: those of arrival, in milliseconds.

    Receive times are left out, so that times of arrival are event times only and no deadline is reckoned with them.
    """
    tape = []
    for line in lines:
        frame = line["frame"]
        if line["dir"] == "in" and frame.startswith("["):
            frame = f"{frame[:-1]},{line['recv_ns'] // 10**6}]"
        elif line["dir"] == "in" and '"event":"conf"' in frame:
            frame = frame.replace(str(SEQ_ALL), str(SEQ_ALL | TIMESTAMP))
        tape.append({"conn": line["conn"], "dir": line["dir"], "url": line["url"], "frame": frame})
    return tape
