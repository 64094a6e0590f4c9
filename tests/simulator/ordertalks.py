"""What a client must say to hear of single orders, venue by venue, and a driver in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from l2_exporter.simulator.dialects.coinbase_full import LOGIN_PATH, TEST_KEY, TEST_PASSPHRASE, signature
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Output, Reply, Send
from tests.simulator.naive import MS, T0, S

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """A venue, its books, and the frames that subscribe them."""

    venue: str
    insts: tuple[str, ...]
    path: str
    frames: tuple[str, ...]


def full(*insts: str, channels: Sequence[object] = ("full",), **changed: object) -> str:
    """Subscribe Coinbase's channel of orders with the test key."""
    timestamp = str(T0 // S)
    keys = {"key": TEST_KEY, "passphrase": TEST_PASSPHRASE, "timestamp": timestamp}
    frame = {"type": "subscribe", "product_ids": insts, "channels": channels, **keys}
    return json.dumps(frame | {"signature": signature(timestamp, LOGIN_PATH)} | changed)


def diff(inst: str, channel: str = "diff-orders") -> str:
    """Subscribe Bitso's channel of orders."""
    return json.dumps({"action": "subscribe", "book": inst, "type": channel})


def raw(inst: str, length: str = "250") -> str:
    """Subscribe a raw book of Bitfinex."""
    book = {"channel": "book", "symbol": inst, "prec": "R0", "freq": "F0", "len": length}
    return json.dumps({"event": "subscribe"} | book)


FLAGS = json.dumps({"event": "conf", "flags": 32768 | 65536 | 131072})
COINBASE = Talk("coinbase", ("BTC-USD", "ETH-USD"), "/", (full("BTC-USD", "ETH-USD"),))
BITFINEX = Talk("bitfinex", ("tBTCUSD", "tVETBTC"), "/ws/2", (FLAGS, raw("tBTCUSD"), raw("tVETBTC", "25")))
BITSO = Talk("bitso", ("btc_mxn", "xrp_mxn"), "/", (diff("btc_mxn"), diff("xrp_mxn"), diff("btc_mxn", "orders")))
TALKS = (COINBASE, BITFINEX, BITSO)


class Client:
    """One connection to a simulated exchange in memory."""

    def __init__(
        self,
        talk: Talk,
        faults: str = "",
        *,
        seed: int = 7,
        interval_ms: int = 200,
        truth: Truth | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        settings = Settings(talk.venue, seed, talk.insts, interval_ms * MS, faults)
        self.exchange = exchange or Exchange(settings, T0, truth)
        self.outputs: list[Output] = []
        self.conn, outputs = self.exchange.link_opened(talk.path, self.exchange.now_ns)
        self.first = self._taken(outputs)

    @property
    def truth(self) -> Truth:
        """Return what really happened."""
        return self.exchange.truth

    def send(self, *frames: str) -> list[str]:
        """Send frames; return what comes at once."""
        now_ns = self.exchange.now_ns
        outputs = [self.exchange.frame_received(self.conn, frame, now_ns) for frame in frames]
        return [text for each in outputs for text in self._taken(each)]

    def run(self, seconds: float) -> list[str]:
        """Let time pass; return what comes."""
        return self._taken(self.exchange.time_advanced(self.exchange.now_ns + round(seconds * S)))

    def get(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Request a path; return status and body."""
        reply: Reply = self.exchange.request_received(target, self.exchange.now_ns, headers=headers)
        return reply.status, json.loads(reply.body)

    def faults(self, name: str) -> list[tuple[str | None, int | None, int | None]]:
        """Return (instrument, seq_from, seq_to) of every fault of a name."""
        return [(line.inst, line.seq_from, line.seq_to) for line in self.truth.faults if line.fault == name]

    def _taken(self, outputs: list[Output]) -> list[str]:
        mine = [output for output in outputs if output.conn == self.conn]
        self.outputs += mine
        return [str(output.data) for output in mine if isinstance(output, Send)]
