"""Frames of Kraken's socket as tests write them: levels are texts like `78871.5:0.01266503 78868.4:0.00005100`."""

import json

INST = "BTC/USD"
TIME = "2026-08-24T22:21:57.110183Z"
T0 = 1_787_610_117_110_183_000
"""The same moment."""


def frame(kind: str = "update", bids: str = "", asks: str = "", checksum: str = "1", time: str | None = TIME) -> str:
    """Write a push."""
    stamp = "" if time is None else f',"timestamp":"{time}"'
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{levels(bids)}],'
        f'"asks":[{levels(asks)}],"checksum":{checksum}{stamp}}}]}}'
    )


def levels(texts: str) -> str:
    """Write levels as a push has them."""
    pairs = [level.split(":") for level in texts.split()]
    return ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in pairs)


def rows(texts: str) -> list[list[str]]:
    """Return levels as events have them."""
    return [level.split(":") for level in texts.split()]


def ack(depth: int, inst: str = INST, method: str = "subscribe") -> str:
    """Write the answer to a request."""
    result = {"channel": "book", "depth": depth, "snapshot": True, "symbol": inst}
    return json.dumps({"method": method, "result": result, "success": True, "time_in": TIME, "time_out": TIME})
