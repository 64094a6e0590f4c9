"""Frames as Bitfinex sends them, and a connection that has heard some, for the tests of its decoder."""

import json

from l2_exporter.core.events import BookPush, Push, Row
from l2_exporter.venues.bitfinex import Bitfinex
from l2_exporter.venues.bitfinex_link import ASKED, BitfinexConnection

BITFINEX = Bitfinex()
INST = "tBTCUSD"
BOOK = ("book", INST)
T0_MS = 1_790_134_414_850
T0 = T0_MS * 10**6
CONF = f'{{"event":"conf","status":"OK","flags":{ASKED}}}'


def ack(chan: int = 7, inst: str = INST, length: str = "250", **more: str) -> str:
    """Write the confirmation of a subscription."""
    frame = {"event": "subscribed", "channel": "book", "chanId": chan, "symbol": inst, "prec": "P0", "freq": "F0"}
    return json.dumps({**frame, "len": length, **more, "pair": inst[1:]})


def connection(*heard: str, subscribed: bool = True) -> BitfinexConnection:
    """Return a connection that has heard this; its flags are granted, its book is confirmed as channel 7."""
    link = BITFINEX.connection({})
    assert isinstance(link, BitfinexConnection)
    link.opened()
    if subscribed:
        link.subscribe([BOOK])
    for text in heard or (CONF, ack()):
        link.decode(text)
    return link


def push(kind: Push, bids: list[Row], asks: list[Row], seq: int, checksum: int | None = None) -> BookPush:
    return BookPush(kind, *BOOK, bids, asks, T0, seq, None, checksum)
