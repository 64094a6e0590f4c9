"""A feed wired to a simulated exchange in memory, without delay: what it says goes in, what comes out is kept."""

import json
from collections.abc import Sequence

from l2_exporter.core.books import Settings as CoreSettings
from l2_exporter.core.commands import FetchBook, SendFrame
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import BookLine, Truth
from l2_exporter.simulator.wire import Output, Send
from l2_exporter.venues.registry import venue_named
from tests.tools.contract_keys import headers, signed
from tests.tools.listed import entrance

START_NS = 1_795_000_000 * NS_PER_S
CONN = "c1"


class InMemory:
    """One connection with some books of one channel.

    Attributes:
        lines, ledger: what was recorded; sent: what was said, in order; ended: how the connection was ended.
        pushes: every book frame that came, as JSON texts.
    """

    def __init__(
        self, venue: str, channel: str, insts: Sequence[str], faults: str = "", interval_ms: int = 200
    ) -> None:
        self._venue = venue_named(venue)
        settings = Settings(venue, 3, tuple(insts), interval_ms * NS_PER_MS, faults)
        self.exchange = Exchange(settings, START_NS, Truth(with_rows=True))
        books = [(channel, inst) for inst in insts]
        self.feed = Feed(self._venue, CoreSettings(connections={CONN: books}, jitter_seed=1), NoHistory())
        self.lines: list[SnapshotRecord] = []
        self.ledger: list[LedgerRecord] = []
        self.sent: list[str] = []
        self.pushes: list[str] = []
        self.ended: list[Output] = []
        self._books: Sequence[BookLine] | None = None
        self._obey(self.feed.started(self.stamp()))
        self.remote, outputs = self.exchange.link_opened(entrance(self.exchange, self._venue, channel), START_NS)
        self._obey(self.feed.link_opened(CONN, None, "live", self.stamp()))
        self._hear(outputs)

    def stamp(self) -> Stamp:
        """Return the exchange's time, and the time since it began."""
        return Stamp(self.exchange.now_ns, self.exchange.now_ns - START_NS)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._books = None
        end_ns = self.exchange.now_ns + round(seconds * NS_PER_S)
        while self.exchange.due_ns <= end_ns:
            self._hear(self.exchange.time_advanced(self.exchange.due_ns))
            self._obey(self.feed.ticked(self.stamp()))

    def said(self, kind: str) -> list[tuple[str | None, str | None]]:
        """Return (instrument, reason) of the ledger's records of one kind."""
        return [(each.spec.inst if each.spec else None, each.reason) for each in self.ledger if each.kind == kind]

    def truth_of(self, line: SnapshotRecord) -> BookLine:
        """Return the exchange's book at the time of a line."""
        if self._books is None:
            self._books = self.exchange.truth.books
        steps = [step for step in self._books if step.inst == line.spec.inst]
        return [step for step in steps if step.ts * NS_PER_MS <= line.event_ns][-1]

    def is_true(self, line: SnapshotRecord, depth: int) -> bool:
        """Tell whether a line shows the best levels of the exchange's book, texts and all."""
        step = self.truth_of(line)
        wanted = tuple([list(row) for row in side or ()][:depth] for side in (step.bids, step.asks))
        return (line.bids, line.asks) == wanted

    def _hear(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if not isinstance(output, Send):
                self.ended.append(output)
                continue
            if output.push is not None:
                self.pushes.append(str(output.data))
            self._obey(self.feed.frame_received(CONN, output.data, self.stamp()))

    def _obey(self, out: Sequence[object]) -> None:
        for each in out:
            if isinstance(each, SnapshotRecord):
                self.lines.append(each)
            elif isinstance(each, LedgerRecord):
                self.ledger.append(each)
            elif isinstance(each, FetchBook):
                now_ns = self.exchange.now_ns
                reply = self.exchange.request_received(
                    each.path, now_ns, headers=headers(self._venue, each.path, now_ns)
                )
                self._obey(self.feed.book_replied(each.path, reply.status, reply.body, self.stamp()))
            elif isinstance(each, SendFrame):
                self.sent.append(each.text)
                text = signed(self._venue, each.text, self.exchange.now_ns)
                self._hear(self.exchange.frame_received(self.remote, text, self.exchange.now_ns))

    def methods(self, key: str) -> list[str]:
        """Return one member of every text that was said."""
        return [json.loads(text)[key] for text in self.sent]
