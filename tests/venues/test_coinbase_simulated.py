"""The recorder on a simulated Coinbase, both protocols: true lines, and what a lost frame leads to on each."""

import json
from collections import Counter
from pathlib import Path

import pytest

from l2_exporter.core.state import Standing
from l2_exporter.core.timetext import utc_text
from l2_exporter.venues.registry import venue_named
from tests.tools.contract import Subject, recorded
from tests.venues.in_memory import CONN, InMemory

INSTS = ("BTC-USD", "ETH-USD")
VENUE = venue_named("coinbase")
LIVE = [Standing.LIVE] * 2
every_channel = pytest.mark.parametrize("channel", ["level2_batch", "level2"])


def standing(wire: InMemory) -> list[Standing]:
    return [keeper.standing for keeper in wire.feed.keepers.values()]


@every_channel
def test_lines_are_true_and_nothing_is_declared(channel: str) -> None:
    wire = InMemory("coinbase", channel, INSTS)
    wire.run(60)
    assert min(Counter(line.spec.inst for line in wire.lines).values()) >= 28
    assert [line for line in wire.lines if not wire.is_true(line, 400)] == []
    assert {line.flags for line in wire.lines} == {()}
    assert (wire.said("gap"), wire.said("canary"), wire.ended) == ([], [], [])
    details = [each.detail for each in wire.ledger if each.kind == "subscribed"]
    assert details == [{"channel": channel, "instId": inst} for inst in INSTS]


def test_numbers_stand_in_lines_where_the_connection_is_counted() -> None:
    exchange, advanced = (InMemory("coinbase", channel, INSTS) for channel in ("level2_batch", "level2"))
    for wire in (exchange, advanced):
        wire.run(20)
    assert {(line.seq, line.prev_seq) for line in exchange.lines} == {(None, None)}
    numbers = {json.loads(text)["sequence_num"]: json.loads(text)["events"][0] for text in advanced.pushes}
    for line in advanced.lines:
        event = numbers[line.seq or 0]
        assert (event["product_id"], line.prev_seq) == (line.spec.inst, None)
        assert utc_text(line.event_ns, 6) == utc_text(line.event_ns, 9)[:26] + "Z"


def test_lost_frame_is_a_loss_of_every_book_on_its_connection_and_they_come_back() -> None:
    wire = InMemory("coinbase", "level2", INSTS, "drop@10s/BTC-USD")
    wire.run(30)
    assert sorted(wire.said("gap")) == [(inst, "sequence") for inst in INSTS]
    assert standing(wire) == LIVE
    assert wire.methods("type") == ["subscribe"] * 2 + ["unsubscribe", "subscribe"] * 2
    assert [json.loads(text).get("product_ids") for text in wire.sent] == [
        [*INSTS],
        None,
        *([inst] for inst in INSTS for _ in range(2)),
    ]
    assert [line for line in wire.lines if not wire.is_true(line, 400)] == []
    assert sorted(line.spec.inst for line in wire.lines if "after_gap" in line.flags) == [*INSTS]


def test_lost_heartbeat_is_a_loss_too() -> None:
    wire = InMemory("coinbase", "level2", INSTS)
    wire.run(10)
    quiet = {"channel": "heartbeats", "timestamp": "", "sequence_num": 10**6, "events": []}
    for number in (0, 1, 3):
        text = json.dumps(quiet | {"sequence_num": 10**6 + number})
        wire.feed.frame_received(CONN, text, wire.stamp())
    assert standing(wire) == [Standing.SEEDING] * 2


def test_lost_update_of_exchange_shows_nowhere() -> None:
    wire = InMemory("coinbase", "level2_batch", INSTS, "drop@10s/BTC-USD")
    wire.run(30)
    assert (wire.said("gap"), standing(wire)) == ([], LIVE)
    assert {line.spec.inst for line in wire.lines if not wire.is_true(line, 400)} == {"BTC-USD"}


@pytest.mark.parametrize(("channel", "lost"), [("level2_batch", []), ("level2", [("ETH-USD", "sequence")])])
def test_book_that_never_came_is_subscribed_again(channel: str, lost: list[tuple[str, str]]) -> None:
    """Where frames are counted the one that is missing may have been of the other book."""
    wire = InMemory("coinbase", channel, INSTS, "drop_snapshot@0s/BTC-USD")
    wire.run(30)
    assert (wire.said("gap"), standing(wire)) == (lost, LIVE)
    assert "unsubscribe" in wire.methods("type")
    assert [line for line in wire.lines if not wire.is_true(line, 400)] == []


@every_channel
def test_odd_event_times_leave_the_book_time(channel: str) -> None:
    wire = InMemory("coinbase", channel, INSTS, "event_time_jump:0.05")
    wire.run(60)
    assert wire.said("event_time_odd") != []
    assert (wire.said("gap"), standing(wire)) == ([], LIVE)
    ends = {inst: max(line.event_ns for line in wire.lines if line.spec.inst == inst) for inst in INSTS}
    assert all(end <= wire.exchange.now_ns for end in ends.values())


def test_book_in_usdc_is_recorded_under_its_own_name_alone_and_beside_the_one_in_usd() -> None:
    alone = InMemory("coinbase", "level2", ("BTC-USDC", "ETH-USD"))
    alone.run(10)
    assert {json.loads(text)["events"][0]["product_id"] for text in alone.pushes} == {"BTC-USD", "ETH-USD"}
    assert {line.spec.inst for line in alone.lines} == {"BTC-USDC", "ETH-USD"}
    assert [line for line in alone.lines if not alone.is_true(line, 400)] == []
    both = InMemory("coinbase", "level2", ("BTC-USD", "BTC-USDC"), "drop@10s/BTC-USD")
    both.run(30)
    assert standing(both) == LIVE
    assert {inst for inst, _ in both.said("gap")} == {"BTC-USD", "BTC-USDC"}
    lines = {inst: [line for line in both.lines if line.spec.inst == inst] for inst in ("BTC-USD", "BTC-USDC")}
    assert [line for line in lines["BTC-USD"] if not both.is_true(line, 400)] == []
    assert [(line.bids, line.asks, line.event_ns) for line in lines["BTC-USDC"]] == [
        (line.bids, line.asks, line.event_ns) for line in lines["BTC-USD"]
    ]


TROUBLES = (
    "drop:0.03,duplicate:0.03,reorder:0.02",
    "corrupt:0.04,garbage:0.02,drop_snapshot:0.2,drop:0.02",
    "close@9s,close_mid_frame@20s/{A},half_open:3m@15s/{C},stall:3s@30s",
    "drop:0.05/{A},close@14s/{A},quiet:9s@20s,crossed:3s@35s",
)


@pytest.mark.parametrize("faults", TROUBLES)
def test_whatever_goes_wrong_on_a_counted_connection(tmp_path: Path, faults: str) -> None:
    subject = Subject(VENUE, VENUE.channels["level2"])
    recording = recorded(subject, tmp_path / "v", faults, seed=4, seconds=45)
    assert recording.losses() != []
    assert (recording.wrong(), recording.undeclared()) == ([], [])
