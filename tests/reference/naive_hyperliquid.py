"""Books of a Hyperliquid recording, kept the plainest way: every message is a book, and the last one counts.

Written from the venue's documents; it imports nothing of the recorder.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[list[str]]


class State(NamedTuple):
    """A book after one message; best first, time in milliseconds, receive time in nanoseconds."""

    inst: str
    bids: Rows
    asks: Rows
    time_ms: int
    recv_ns: int


def states(lines: Iterable[Mapping[str, Any]]) -> list[State]:
    """Return the state after each message, one that repeats the state before it left out."""
    found: list[State] = []
    last: dict[str, State] = {}
    for line in lines:
        message = json.loads(line["frame"]) if line["dir"] == "in" else {}
        if message.get("channel") != "l2Book":
            continue
        data = message["data"]
        bids, asks = (
            sorted(
                ([level["px"], level["sz"], "0", str(level["n"])] for level in side),
                key=lambda row: Decimal(row[0]),
                reverse=side is data["levels"][0],
            )
            for side in data["levels"]
        )
        state = State(data["coin"], bids, asks, data["time"], line["recv_ns"])
        before = last.get(state.inst)
        if before is None or state[:4] != before[:4]:
            found.append(state)
        last[state.inst] = state
    return found


def sampled(lines: Iterable[Mapping[str, Any]], cadence_ms: int) -> list[State]:
    """Return the last state of each interval of the venue's time."""
    last: dict[tuple[str, int], State] = {}
    for state in states(lines):
        last[state.inst, state.time_ms // cadence_ms] = state
    return [*last.values()]
