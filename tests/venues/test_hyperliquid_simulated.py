"""The recorder on a simulated Hyperliquid: true lines, a lost book unnoticed, repetitions, silence, refusals."""

import json

from l2_exporter.core.commands import SendFrame
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.state import Standing
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.simulator.wire import Send
from tests.venues.in_memory import CONN, InMemory

INSTS = ("BTC", "kPEPE", "@107")


def test_lines_are_true_and_a_lost_book_is_made_good_by_the_next() -> None:
    wire = InMemory("hyperliquid", "l2Book", INSTS, "drop:0.1", interval_ms=500)
    wire.run(60)
    lost = [fault for fault in wire.exchange.truth.faults if fault.fault == "drop"]
    assert len(lost) > 10
    assert [line for line in wire.lines if not wire.is_true(line, 20)] == []
    assert {line.spec.inst: line.spec.dataset for line in wire.lines} == {
        "BTC": "l2_perps",
        "kPEPE": "l2_perps",
        "@107": "l2_spot",
    }
    assert {line.flags for line in wire.lines} == {()}
    assert (wire.said("gap"), wire.said("canary"), wire.ended) == ([], [], [])
    assert wire.methods("method") == ["subscribe"] * 3


def test_quiet_book_is_repeated_with_its_time_and_no_line_repeats_it() -> None:
    wire = InMemory("hyperliquid", "l2Book", INSTS[:1], "quiet:10m@5s", interval_ms=500)
    wire.run(90)
    (keeper,) = wire.feed.keepers.values()
    assert (keeper.standing, keeper.counts.duplicate) == (Standing.LIVE, 17)
    times = [json.loads(text)["data"]["time"] for text in wire.pushes]
    assert times[-18:] == times[-1:] * 18
    assert wire.lines[-1].event_ns == times[-1] * 10**6
    assert (wire.said("gap"), wire.said("stale"), wire.ended) == ([], [], [])


def test_book_that_nothing_comes_for_is_stale_after_a_minute() -> None:
    wire = InMemory("hyperliquid", "l2Book", INSTS[:2], interval_ms=500)
    wire.run(10)
    heard_ns = wire.stamp().elapsed_ns or 0
    assert wire.feed.silent_books(heard_ns + 59 * NS_PER_S) == []
    silent = wire.feed.silent_books(heard_ns + 61 * NS_PER_S)
    assert silent == [("l2Book", "BTC"), ("l2Book", "kPEPE")]
    out = wire.feed.books_silent(silent[:1], wire.stamp())
    assert [(each.spec.inst, each.reason) for each in out if isinstance(each, LedgerRecord) and each.kind == "gap"] == [
        ("BTC", "stale")
    ]
    said = [json.loads(each.text) for each in out if isinstance(each, SendFrame)]
    assert [(each["method"], each["subscription"]["coin"]) for each in said] == [
        ("unsubscribe", "BTC"),
        ("subscribe", "BTC"),
    ]


def test_second_subscription_is_refused_and_loses_nothing() -> None:
    wire = InMemory("hyperliquid", "l2Book", INSTS[:1], interval_ms=500)
    (answer,) = wire.exchange.frame_received(wire.remote, wire.sent[0], wire.exchange.now_ns)
    assert isinstance(answer, Send)
    out = wire.feed.frame_received(CONN, answer.data, wire.stamp())
    assert [(each.kind, each.reason) for each in out if isinstance(each, LedgerRecord)] == [("canary", "refused")]
    wire.run(10)
    assert (wire.said("gap"), wire.said("canary")) == ([], [])
    assert [keeper.standing for keeper in wire.feed.keepers.values()] == [Standing.LIVE]
