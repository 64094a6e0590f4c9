"""Frames of both protocols of Coinbase, as documents and recordings have them, and what a connection makes of one."""

import json
from typing import Any

from l2_exporter.core.events import BookPush, Event
from l2_exporter.venues.coinbase import CoinbaseConnection

TIME, T0 = "2026-08-09T21:05:48.27841Z", 1_786_309_548_278_410_000
BTC, ETH = "BTC-USD", "ETH-USD"
SNAPSHOT = {"type": "snapshot", "product_id": BTC, "asks": [["3", "1"]], "bids": [["2", "1.50"]], "time": TIME}
CHANGES = [["buy", "80688.08", "0.59153273"], ["sell", "80745.16", "0.00000000"]]
UPDATE = {"type": "l2update", "product_id": BTC, "changes": CHANGES, "time": "2026-08-25T03:35:57.300000Z"}


def level(side: str, price: str, size: str, time: Any = TIME) -> dict[str, Any]:
    return {"side": side, "event_time": time, "price_level": price, "new_quantity": size}


def event(kind: str = "update", product: str = BTC, *updates: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "product_id": product, "updates": [*(updates or (level("bid", "2", "1"),))]}


def advanced(number: Any = 7, *events: Any, channel: str = "l2_data") -> dict[str, Any]:
    sent = {"channel": channel, "timestamp": "2026-08-09T21:05:48.507227366Z", "sequence_num": number}
    return sent | {"events": [*(events or (event(),))]}


def decode(message: Any, connection: CoinbaseConnection | None = None) -> list[Event]:
    return (connection or CoinbaseConnection()).decode(json.dumps(message))


def pushed(message: Any, connection: CoinbaseConnection | None = None) -> list[BookPush]:
    return [each for each in decode(message, connection) if isinstance(each, BookPush)]


def ack(number: int, *products: str) -> dict[str, Any]:
    return advanced(number, {"subscriptions": {"level2": [*products]}}, channel="subscriptions")
