"""Faults of connections: stalls, dead links, closes, notices, maintenance."""

import json

from l2_exporter.simulator.wire import Abort, Close, Freeze, Output, Send
from tests.simulator.naive import BTC, ETH, PATH, T0, Memory, S, books

GOING_AWAY = (1001, "going away")


def test_a_stall_holds_everything_back_and_then_lets_it_come_at_once() -> None:
    clean, stalled = Memory(), Memory("stall:2s@1s")
    for memory in (clean, stalled):
        memory.subscribe(BTC)
        memory.run(1.5)
        memory.send("ping")
        memory.run(2)
    assert [output.data for output in stalled.outputs] == [output.data for output in clean.outputs]  # type: ignore[union-attr]
    late = [output.at_ns for output in stalled.outputs if output.at_ns > T0 + S]
    assert min(late) == T0 + 3 * S
    assert late.count(T0 + 3 * S) > 20
    assert stalled.faults("stall") == [(None, None, None)]


def test_a_stall_of_one_instrument_lets_the_others_and_the_pong_pass() -> None:
    memory = Memory(f"stall:2s@1s/{ETH}")
    memory.subscribe(BTC, ETH)
    memory.run(1.5)
    memory.send("ping")
    assert memory.outputs[-1].data == "pong"  # type: ignore[union-attr]
    memory.run(2)
    during = [output for output in memory.outputs if T0 + S <= output.at_ns < T0 + 3 * S]
    assert {output.push.inst for output in during if isinstance(output, Send) and output.push} == {BTC}


def test_what_a_stall_holds_when_the_link_ends_is_declared_lost() -> None:
    memory = Memory("stall:10s@1s,close@2s")
    memory.subscribe(BTC)
    memory.run(3)
    held = [line for line in memory.exchange.truth.books if line.ts >= T0 // 1_000_000 + 1000]
    lost = [(line.seq_from, line.seq_to) for line in memory.exchange.truth.faults if line.detail == "lost"]
    assert lost == [(line.prev, line.seq) for line in held][: len(lost)]
    assert len(lost) >= 9


def test_a_half_open_link_is_silent_both_ways_then_torn_down() -> None:
    memory = Memory("half_open:5s@1s")
    memory.subscribe(BTC)
    memory.run(1)
    assert memory.outputs[-1] == Freeze(memory.conn, T0 + S)
    assert memory.send("ping") == []
    memory.run(3)
    assert memory.outputs[-1] == Freeze(memory.conn, T0 + S)
    memory.run(2)
    assert memory.outputs[-1] == Abort(memory.conn, T0 + 6 * S)
    lost = [window for window in memory.faults("half_open") if window[0] == BTC]
    steps = [(BTC, line.prev, line.seq) for line in memory.exchange.truth.books if line.ts >= T0 // 1_000_000 + 1000]
    assert lost == steps[: len(lost)]
    assert len(lost) >= 48


def test_a_close_waits_for_a_link_it_can_hit_and_leaves_the_others() -> None:
    memory = Memory(f"close@1s/{ETH}")
    memory.subscribe(BTC)
    memory.run(3)
    assert not closes(memory.outputs)
    other = memory.open()
    memory.subscribe(ETH, conn=other)
    memory.run(1)
    assert closes(memory.outputs) == [Close(other, T0 + 3_100_000_000, *GOING_AWAY)]
    assert books(memory.run(1), BTC)


def closes(outputs: list[Output]) -> list[Output]:
    """Return the closes among outputs."""
    return [output for output in outputs if isinstance(output, Close)]


def test_a_repeated_close_hits_each_new_link() -> None:
    memory = Memory("close@1s+2s")
    for _ in range(3):
        memory.subscribe(BTC)
        memory.run(2)
        memory.conn = memory.open()
    assert [output.at_ns - T0 for output in closes(memory.outputs)] == [S, 3 * S, 5 * S]


def test_a_notice_is_sent_and_the_link_closed_so_much_later() -> None:
    memory = Memory("notice:60s@20s")
    (answer, _) = memory.subscribe(BTC)
    (notice,) = [frame for frame in memory.run(30) if "event" in frame]
    assert list(notice) == ["event", "code", "msg", "connId"]
    assert (notice["event"], notice["code"], notice["connId"]) == ("notice", "64008", answer["connId"])
    fresh = memory.open()
    memory.subscribe(BTC, conn=fresh)
    memory.run(60)
    assert closes(memory.outputs) == [Close(memory.conn, T0 + 80 * S, *GOING_AWAY)]


def test_maintenance_is_announced_closes_links_and_lets_none_in() -> None:
    memory = Memory("maintenance:10s@5s")
    memory.subscribe(BTC)
    states = []
    for _ in range(4):
        (row,) = memory.get("/api/v5/system/status")[1]["data"]  # type: ignore[misc]
        refused = memory.exchange.link_refused(PATH, memory.now_ns)
        status, _ = memory.get(f"/api/v5/market/books?instId={BTC}")
        states.append((row["state"], refused and refused.status, status))
        memory.run(5)
    assert states == [("scheduled", None, 200), ("ongoing", 503, 503), ("ongoing", 503, 503), ("completed", None, 200)]
    assert closes(memory.outputs) == [Close(memory.conn, T0 + 5 * S, *GOING_AWAY)]
    assert (row["begin"], row["end"]) == (str(T0 // 1_000_000 + 5000), str(T0 // 1_000_000 + 15000))


def test_a_link_is_accepted_at_the_public_path_only() -> None:
    exchange = Memory().exchange
    assert exchange.link_refused(PATH, T0) is None
    assert exchange.link_refused(PATH + "?x=1", T0) is None
    refusal = exchange.link_refused("/ws/v5/private", T0)
    assert refusal is not None
    assert refusal.status == 404


def test_a_link_that_is_gone_gets_nothing_and_its_streams_end() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    memory.exchange.link_closed(memory.conn, memory.now_ns)
    assert memory.run(1) == []
    assert memory.send(json.dumps({"op": "subscribe"})) == []
