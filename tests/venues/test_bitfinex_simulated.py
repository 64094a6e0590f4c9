"""The recorder on a simulated Bitfinex: true lines to the last digit; a lost array, which costs each book a loss."""

import json

from l2_exporter.core.commands import CloseLink
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.state import Standing
from tests.venues.in_memory import CONN, InMemory

INSTS = ("tBTCUSD", "tVETBTC", "tBTCF0:USTF0")
LIVE = [Standing.LIVE] * len(INSTS)


def test_lines_are_true_texts_and_orders_too_and_every_checksum_holds() -> None:
    wire = InMemory("bitfinex", "book", INSTS)
    wire.run(60)
    assert len(wire.lines) >= 3 * 28
    assert [line for line in wire.lines if not wire.is_true(line, 250)] == []
    assert {line.flags for line in wire.lines} == {()}
    assert {line.checksum_ok for line in wire.lines} == {True}
    assert {line.prev_seq for line in wire.lines} == {None}
    prices = {row[0] for line in wire.lines for row in line.bids}
    assert any("e-" in price for price in prices)
    assert (wire.said("gap"), wire.said("canary"), wire.ended) == ([], [], [])
    assert wire.methods("event") == ["conf", *["subscribe"] * 3]


def test_lost_array_is_a_loss_of_every_book_of_the_connection_and_each_is_subscribed_anew() -> None:
    wire = InMemory("bitfinex", "book", INSTS, "drop@10s/tVETBTC")
    wire.run(30)
    assert wire.said("gap") == [(inst, "sequence") for inst in INSTS]
    ended = [json.loads(text)["chanId"] for text in wire.sent if "unsubscribe" in text]
    assert len({*ended}) == 3
    assert wire.methods("event")[4:] == ["unsubscribe", "subscribe"] * 3
    assert [keeper.standing for keeper in wire.feed.keepers.values()] == LIVE
    assert [line for line in wire.lines if not wire.is_true(line, 250)] == []
    assert sorted(line.spec.inst for line in wire.lines if "after_gap" in line.flags) == sorted(INSTS)


def test_quiet_books_are_no_loss_and_their_link_is_kept_by_heartbeats() -> None:
    wire = InMemory("bitfinex", "book", INSTS[:1], "quiet:10m@5s", interval_ms=500)
    wire.run(120)
    assert (wire.said("gap"), wire.said("canary"), wire.said("stale")) == ([], [], [])
    (keeper,) = wire.feed.keepers.values()
    assert keeper.standing is Standing.LIVE
    assert wire.feed.links[CONN].number == wire.feed.links[CONN].control - 3 + keeper.counts.received


def test_wrong_checksums_in_a_row_are_a_loss_and_one_is_a_warning() -> None:
    wire = InMemory("bitfinex", "book", INSTS[:1], "bad_checksum@10s")
    wire.run(20)
    assert (wire.said("gap"), wire.said("checksum_mismatch")) == ([], [(INSTS[0], None)])
    worse = InMemory("bitfinex", "book", INSTS[:1], "wrong_size@10s")
    worse.run(20)
    assert worse.said("checksum_mismatch") != []
    assert [line for line in worse.lines if line.checksum_ok and not worse.is_true(line, 250)] == []


def test_announced_restart_and_end_of_maintenance_ask_for_a_new_connection() -> None:
    for code in (20051, "20061"):
        wire = InMemory("bitfinex", "book", INSTS)
        wire.run(5)
        out = wire.feed.frame_received(CONN, json.dumps({"event": "info", "code": code}), wire.stamp())
        assert [each for each in out if isinstance(each, CloseLink)] == [CloseLink(CONN, "reopen")]
    wire = InMemory("bitfinex", "book", INSTS)
    wire.run(5)
    assert wire.feed.frame_received(CONN, '{"event":"info","code":20060}', wire.stamp()) == []


def test_flags_that_are_not_granted_stop_the_venue_at_the_first_book() -> None:
    wire = InMemory("bitfinex", "book", INSTS[:1])
    (refused,) = wire.feed.frame_received(CONN, '{"event":"conf","status":"OK","flags":65536}', wire.stamp())
    assert isinstance(refused, LedgerRecord)
    assert (refused.kind, refused.reason) == ("canary", "refused")
    assert refused.detail == {"code": "conf", "text": "flags 65536 instead of 229376"}
    wire.run(2)
    assert wire.feed.broken is not None
    assert wire.feed.broken.missing == ("timestamp",)
    assert wire.said("schema_break") == [(None, None)]
