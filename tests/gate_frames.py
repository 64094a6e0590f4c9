"""Frames of Gate as its documents and others' captures have them."""

from typing import Any

from l2_exporter.venues.gate import FUTURES, SPOT, Gate

PERPS, SPOTS = Gate(FUTURES), Gate(SPOT)
MS = 10**6
OBU, UPDATES = "futures.obu", "futures.order_book_update"
# "Order book V2" (docs of November 2025), examples: without `event`, with sides left out.
FULL: dict[str, Any] = {
    "channel": OBU,
    "result": {
        "t": 1743673026995,
        "full": True,
        "s": "ob.BTC_USDT.400",
        "u": 79072179673,
        "b": [["83705.9", "30166"]],
        "a": [["83706", "4208"]],
    },
    "time_ms": 1743673026999,
}
DELTA: dict[str, Any] = {
    "channel": OBU,
    "result": {
        "t": 1743673027017,
        "s": "ob.BTC_USDT.400",
        "U": 79072179674,
        "u": 79072179694,
        "b": [["83702.2", "62"], ["83702.1", "0"]],
    },
    "time_ms": 1743673027020,
}
# As captured by others in May 2023, and on 15 September 2026 (with `l`).
UPDATE: dict[str, Any] = {
    "time": 1684930165,
    "time_ms": 1684930165557,
    "channel": UPDATES,
    "event": "update",
    "result": {
        "U": 203083179,
        "a": [{"p": "0.3004", "s": 36916}],
        "b": [{"p": "0.2943", "s": 0}],
        "s": "RDNT_USDT",
        "t": 1684930165459,
        "u": 203083180,
        "l": "100",
    },
}


def but(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Change fields of the result; `...` takes one out."""
    result = {name: value for name, value in {**message["result"], **changes}.items() if value is not ...}
    return {**message, "result": result}
