"""Any bytes, to a whole feed with live books: nothing is raised, messages add up, and a book that goes is declared."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.commands import FetchBook, SendFrame
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.core.state import Standing
from l2_exporter.core.surroundings import Output
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.simulator.wire import Send
from tests.contract.test_any_bytes import damaged, talk
from tests.tools.contract import START_NS, Subject, exchange_of, insts_of, protocols
from tests.tools.contract_keys import signed
from tests.tools.listed import entrance

CONN = "hostile"
TURN_NS = 100 * NS_PER_MS
TURNS = 30
AWKWARD = (
    *('{"a":NaN}', '{"a":Infinity}', "[-Infinity,1]", "[1e400,-1e400]", '{"price":"-1","size":"-5"}', '"\\ud800"'),
    *("[" * 100_000, '{"a":' * 50_000, "9" * 100_000, "\x00", "\ufeff{}", b"\xff\xfe{\x00}\x00", b"\xc0\x80"),
)

Told = tuple[str, str]
"""What a feed was told: the path that was asked for and the answer, or an empty path and a frame."""


def opened(subject: Subject, folder: Path) -> tuple[Feed, list[Output]]:
    """Make a feed whose connection has just been opened."""
    books = [(subject.channel.name, inst) for inst in insts_of(subject)]
    archive = Archive(Vault(folder), subject.venue.name)
    wanted = Settings(connections={CONN: books}, only=frozenset(books), codes=talk(str(subject)).codes)
    feed = Feed(subject.venue, wanted, archive.past)
    begin = Stamp(START_NS, START_NS)
    feed.started(begin)
    return feed, feed.link_opened(CONN, subject.venue.link.ws_url, "live", begin)


def fed(feed: Feed, told: Sequence[Told], at_ns: int) -> list[Output]:
    """Tell a feed something; return what it makes of it."""
    stamp = Stamp(at_ns, at_ns)
    outputs: list[Output] = []
    for path, text in told:
        outputs += feed.book_replied(path, 200, text, stamp) if path else feed.frame_received(CONN, text, stamp)
    return outputs


@cache
def heard(name: str) -> list[list[Told]]:
    """Let a feed and an exchange talk until all books are live; return what the feed was told, turn by turn."""
    subject = next(each for each in protocols() if str(each) == name)
    exchange = exchange_of(subject, "", interval_ms=100)
    conn, outputs = exchange.link_opened(entrance(exchange, subject.venue, subject.channel.name), START_NS)
    turns: list[list[Told]] = []
    with TemporaryDirectory() as folder:
        feed, made = opened(subject, Path(folder))
        for turn in range(1, TURNS):
            at_ns = START_NS + turn * TURN_NS
            told: list[Told] = []
            for command in made:
                if isinstance(command, SendFrame):
                    outputs += exchange.frame_received(conn, signed(subject.venue, command.text, at_ns), at_ns)
                elif isinstance(command, FetchBook):
                    told.append((str(command.path), exchange.request_received(str(command.path), at_ns).body))
            outputs += exchange.time_advanced(at_ns)
            told = [("", each.data) for each in outputs if isinstance(each, Send) and isinstance(each.data, str)] + told
            turns.append(told)
            made, outputs = fed(feed, told, at_ns), []
        assert [keeper.standing for keeper in feed.keepers.values()] == [Standing.LIVE] * len(insts_of(subject))
    return turns


@pytest.mark.parametrize("subject", protocols(), ids=str)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_frames_to_a_live_feed(subject: Subject, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        feed, _ = opened(subject, Path(folder))
        for turn, told in enumerate(heard(str(subject)), 1):
            fed(feed, told, START_NS + turn * TURN_NS)
        frames = damaged(talk(str(subject)).frames) | st.sampled_from(AWKWARD)
        for number, frame in enumerate(data.draw(st.lists(frames, min_size=1, max_size=6)), TURNS):
            at_ns = START_NS + number * TURN_NS
            live = [inst for (_, inst), keeper in feed.keepers.items() if keeper.standing is Standing.LIVE]
            outputs = feed.frame_received(CONN, frame, Stamp(at_ns, at_ns))
            assert_declared(feed, live, outputs)
            for keeper in feed.keepers.values():
                counts = keeper.counts
                parts = (counts.applied, counts.duplicate, counts.before_seed, counts.rejected, counts.ignored)
                assert counts.received == sum(parts)


def assert_declared(feed: Feed, live: Sequence[str], outputs: Sequence[Output]) -> None:
    """Check that each book that is no longer live has been declared lost, and that lines hold what a book can hold."""
    gaps = [out.spec.inst for out in outputs if isinstance(out, LedgerRecord) and out.kind == "gap" and out.spec]
    for (_, inst), keeper in feed.keepers.items():
        if inst in live and keeper.standing is not Standing.LIVE:
            assert inst in gaps
    for line in [out for out in outputs if isinstance(out, SnapshotRecord)]:
        for row in [*line.bids, *line.asks]:
            assert Decimal(row[0] or "0") > 0
            assert Decimal(row[1] or "0") > 0
