"""A client of the simulated exchange that is as simple as can be: two dicts a book, and a driver in memory."""

import json
from collections.abc import Iterable

from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth, book_digest
from l2_exporter.simulator.wire import Output, Send

MS = 1_000_000
S = 1_000_000_000
T0 = 1_795_000_000 * S
"""Start of the simulated time in most tests: 2026-11-18T11:06:40Z."""

BTC = "BTC-USDT-SWAP"
ETH = "ETH-USDT-SWAP"
PATH = "/ws/v5/public"


def ask(op: str, *books: str, channel: str = "books", request_id: str | None = None) -> str:
    """Write a request for books on one channel."""
    args = [{"channel": channel, "instId": inst} for inst in books]
    return json.dumps(({"id": request_id} if request_id else {}) | {"op": op, "args": args})


class NaiveBook:
    """A book kept in two dicts, by price text; `seq` is the last number seen."""

    def __init__(self) -> None:
        self.bids: dict[str, list[str]] = {}
        self.asks: dict[str, list[str]] = {}
        self.seq: int | None = None
        self.unknown_deletes = 0

    def digest(self) -> str:
        """Digest the best 400 rows a side as the truth does."""
        bids = sorted(self.bids.values(), key=lambda row: -float(row[0]))
        asks = sorted(self.asks.values(), key=lambda row: float(row[0]))
        return book_digest(bids[:400], asks[:400])

    def replace(self, book: dict[str, object]) -> None:
        """Start anew from a snapshot."""
        self.bids, self.asks = {}, {}
        self.apply(book)

    def apply(self, book: dict[str, object]) -> None:
        """Apply rows; size 0 deletes."""
        for side, rows in ((self.bids, book["bids"]), (self.asks, book["asks"])):
            assert isinstance(rows, list)
            for row in rows:
                if row[1] != "0":
                    side[row[0]] = row
                elif side.pop(row[0], None) is None:
                    self.unknown_deletes += 1
        seq = book["seqId"]
        assert isinstance(seq, int)
        self.seq = seq


class Memory:
    """A simulated exchange wired to one connection in memory; keeps every frame that comes."""

    def __init__(self, faults: str = "", truth: Truth | None = None, **settings: object) -> None:
        settings = {"faults": faults, "seed": 7} | settings
        self.exchange = Exchange(Settings(**settings), T0, truth)  # type: ignore[arg-type]
        self.outputs: list[Output] = []
        self.conn = self.open()

    @property
    def now_ns(self) -> int:
        """Return the exchange's time."""
        return self.exchange.now_ns

    def open(self) -> str:
        """Open one more connection."""
        conn, outputs = self.exchange.link_opened(PATH, self.exchange.now_ns)
        self.outputs += outputs
        return conn

    def send(self, text: str | bytes, conn: str | None = None) -> list[dict[str, object]]:
        """Send a frame; return the answers, as JSON."""
        return self._taken(self.exchange.frame_received(conn or self.conn, text, self.now_ns))

    def subscribe(self, *insts: str, channel: str = "books", conn: str | None = None) -> list[dict[str, object]]:
        """Subscribe to books; return acknowledgements and first frames."""
        return self.send(ask("subscribe", *insts, channel=channel), conn)

    def run(self, seconds: float) -> list[dict[str, object]]:
        """Let time pass; return the frames that came, as JSON."""
        return self._taken(self.exchange.time_advanced(self.now_ns + int(seconds * S)))

    def faults(self, name: str) -> list[tuple[str | None, int | None, int | None]]:
        """Return (instrument, seq_from, seq_to) of every fault of a name."""
        return [(line.inst, line.seq_from, line.seq_to) for line in self.exchange.truth.faults if line.fault == name]

    def get(self, target: str) -> tuple[int, dict[str, object]]:
        """Request a path; return status and body."""
        reply = self.exchange.request_received(target, self.now_ns)
        return reply.status, json.loads(reply.body)

    def _taken(self, outputs: list[Output]) -> list[dict[str, object]]:
        self.outputs += outputs
        return frames(outputs)


def frames(outputs: Iterable[Output]) -> list[dict[str, object]]:
    """Decode the frames among outputs that are whole JSON objects."""
    decoded = []
    for output in outputs:
        if isinstance(output, Send) and isinstance(output.data, str) and output.data.startswith("{"):
            try:
                decoded.append(json.loads(output.data))
            except json.JSONDecodeError:
                continue
    return decoded


def books(messages: Iterable[dict[str, object]], inst: str | None = None) -> list[dict[str, object]]:
    """Return `data[0]` of the pushes among messages, of one instrument or all."""
    found = []
    for message in messages:
        data, arg = message.get("data"), message.get("arg")
        if isinstance(data, list) and isinstance(arg, dict) and inst in (None, arg["instId"]):
            found.append(data[0])
    return found


def chain(pushes: Iterable[dict[str, object]]) -> list[tuple[object, object]]:
    """Return (prevSeqId, seqId) of pushes."""
    return [(push["prevSeqId"], push["seqId"]) for push in pushes]
