"""Hand-made OKX frames and a driver that feeds them to the pure core, for tests that need exact control."""

import json
from collections.abc import Sequence

from l2_exporter.core.books import Settings
from l2_exporter.core.commands import Command
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import History, NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.venues.okx import Okx

MS = 1_000_000
S = 1_000_000_000
T0 = 1_700_000_000_000
"""Event time of most tests' first frame, in ms; on a boundary of 2 s and of 100 s, not of an hour."""

INST = "BTC-USDT-SWAP"
BIDS = [["100", "1", "0", "1"], ["99.5", "2", "0", "1"]]
ASKS = [["100.5", "3", "0", "2"], ["101", "4", "0", "1"]]


def frame(
    action: str | None,
    ts: object,
    seq: int | None = None,
    prev: int | None = None,
    *,
    bids: object = (),
    asks: object = (),
    checksum: int | None = 0,
    inst: str = INST,
    channel: str = "books",
) -> str:
    """Write a push as OKX does; what is None is left out."""
    book: dict[str, object] = {"asks": asks, "bids": bids, "ts": str(ts) if isinstance(ts, int) else ts}
    book |= {
        name: number
        for name, number in (("checksum", checksum), ("seqId", seq), ("prevSeqId", prev))
        if number is not None
    }
    message = {"arg": {"channel": channel, "instId": inst}, "action": action, "data": [book]}
    if action is None:
        del message["action"]
    return json.dumps(message, separators=(",", ":"))


def snapshot(ts: object, seq: int | None, prev: int | None = -1, **more: object) -> str:
    """Write a snapshot, of BIDS and ASKS unless told otherwise."""
    more = {"bids": BIDS, "asks": ASKS} | more
    return frame("snapshot", ts, seq, prev, **more)  # type: ignore[arg-type]


def update(ts: object, seq: int | None, prev: int | None, **more: object) -> str:
    """Write an update."""
    return frame("update", ts, seq, prev, **more)  # type: ignore[arg-type]


class Driver:
    """Feeds frames to a core and keeps what comes out. Receive time is event time plus 50 ms unless told."""

    def __init__(self, history: History | None = None, **settings: object) -> None:
        self.feed = Feed(Okx(), Settings(**settings), history or NoHistory())  # type: ignore[arg-type]
        self.lines: list[SnapshotRecord] = []
        self.ledger: list[LedgerRecord] = []
        self.commands: list[Command] = []
        self._sort(self.feed.started(Stamp(T0 * MS, T0 * MS)))

    def send(self, text: str | bytes, at_ms: int | None = None, conn: str = "c1") -> None:
        """Feed one frame at a receive time; by default 50 ms after the event time it carries."""
        if at_ms is None:
            at_ms = int(json.loads(text)["data"][0]["ts"]) + 50
        self._sort(self.feed.frame_received(conn, text, Stamp(at_ms * MS, at_ms * MS)))

    def tick(self, at_ms: int) -> None:
        """Let time pass."""
        self._sort(self.feed.ticked(Stamp(at_ms * MS, at_ms * MS)))

    def stop(self, at_ms: int) -> None:
        """Stop cleanly."""
        self._sort(self.feed.stopped(Stamp(at_ms * MS, at_ms * MS)))

    def close(self, at_ms: int, conn: str = "c1") -> None:
        """Close the link."""
        self._sort(self.feed.link_closed(conn, "closed", Stamp(at_ms * MS, at_ms * MS)))

    def reply(self, body: str, at_ms: int, status: int = 200, inst: str = INST) -> None:
        """Answer a REST request for a book."""
        self.answer(f"https://www.okx.com/api/v5/market/books?instId={inst}&sz=400", body, at_ms, status)

    def answer(self, url: str, body: str, at_ms: int, status: int = 200) -> None:
        """Answer any request."""
        self._sort(self.feed.book_replied(url, status, body, Stamp(at_ms * MS, at_ms * MS)))

    def kinds(self) -> list[tuple[str, str | None]]:
        """List the ledger as (kind, reason)."""
        return [(record.kind, record.reason) for record in self.ledger]

    def said(self, kind: str) -> list[LedgerRecord]:
        """Return the ledger records of one kind."""
        return [record for record in self.ledger if record.kind == kind]

    def counts(self, inst: str = INST, channel: str = "books") -> tuple[int, ...]:
        """Return (received, applied, duplicate, before_seed, rejected, ignored), checked for conservation."""
        counts = self.feed.keepers[channel, inst].counts
        parts = (counts.applied, counts.duplicate, counts.before_seed, counts.rejected, counts.ignored)
        assert counts.received == sum(parts)
        return (counts.received, *parts)

    def _sort(self, outputs: Sequence[object]) -> None:
        for output in outputs:
            if isinstance(output, SnapshotRecord):
                self.lines.append(output)
            elif isinstance(output, LedgerRecord):
                self.ledger.append(output)
            else:
                self.commands.append(output)  # type: ignore[arg-type]


def rest_book(seq: int | None, ts: int, bids: object = None, asks: object = None) -> str:
    """Write the answer of the REST book."""
    book = {"asks": asks or ASKS, "bids": bids or BIDS, "ts": str(ts)} | ({} if seq is None else {"seqId": seq})
    return json.dumps({"code": "0", "msg": "", "data": [book]})
