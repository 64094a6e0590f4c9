"""What venues promise that OKX does not: streams of changes only, windows cut by the client, no time, a limited life.

Each case on a venue that does not exist (tests/tools/madeup.py), so that nothing but the core decides.
"""

from dataclasses import replace

from l2_exporter.core.commands import CloseLink, OpenSuccessor
from l2_exporter.core.recovery import BUDGET
from l2_exporter.core.state import Standing
from l2_exporter.core.venue import Channel
from tests.tools.madeup import (
    ASKS,
    BIDS,
    INST,
    LINK,
    MS,
    OTHER,
    PUSHED,
    SEEDED,
    T0,
    UNDATED,
    Driver,
)

GET = f"GET /book?inst={INST}"
HELLO = ["c1 hello", f"c1 subscribe {INST}"]


def seeded(*insts: str) -> Driver:
    """Return a driver whose books came from REST at number 10 and live by an update to 12, at T0 + 200."""
    driver = Driver(SEEDED, *insts)
    for inst in driver.insts:
        driver.send(100, "delta", inst=inst, seq=9, prev=8)
        driver.send(150, "delta", inst=inst, seq=12, prev=10)
        driver.reply(200, 10, inst, t=120)
    driver.taken()
    return driver


def pushed(channel: Channel = PUSHED) -> Driver:
    """Return a driver whose book was pushed at number 10."""
    driver = Driver(channel)
    driver.send(100, "snapshot", bids=BIDS, asks=ASKS, seq=10)
    driver.taken()
    return driver


# ---- a stream that knows changes only ------------------------------------------------------------------------------


def test_first_delta_asks_for_the_book_once() -> None:
    driver = Driver(SEEDED)
    assert driver.taken() == HELLO
    driver.send(100, "delta", seq=11, prev=10)
    driver.send(200, "delta", seq=12, prev=11)
    assert driver.taken() == [GET]
    assert driver.standing() is Standing.SEEDING


def test_rest_book_is_joined_with_the_delta_that_follows_and_drops_what_it_holds() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=10, prev=9, bids=[["98", "9"]])
    driver.send(200, "delta", seq=12, prev=10, bids=[["99", "7"]])
    driver.send(300, "delta", seq=13, prev=12, asks=[["100.5", "0"]])
    driver.reply(350, 10, t=150)
    assert driver.levels() == ([*BIDS[:2], ["99", "7"]], ASKS[1:])
    assert driver.counts() == (3, 2, 0, 1, 0, 0)
    driver.stop(400)
    (line,) = driver.lines
    assert (line.event_ns, line.recv_ns) == ((T0 + 300) * MS, (T0 + 350) * MS)
    assert (line.seq, line.prev_seq, line.flags) == (13, 12, ("seeded_from_rest",))


def test_rest_book_joins_a_delta_that_straddles_it() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=8, bids=[["99", "7"]])
    driver.reply(150, 10, t=50)
    assert (driver.standing(), driver.keeper().state.chain.seq) == (Standing.LIVE, 12)
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"]]


def test_deltas_that_the_rest_book_holds_are_dropped_after_it_too() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=5, prev=4)
    driver.reply(150, 10)
    assert driver.standing() is Standing.LIVE
    driver.send(200, "delta", seq=8, prev=5, bids=[["99", "9"]])
    driver.send(300, "delta", seq=12, prev=8, bids=[["98", "4"]])
    driver.send(400, "delta", seq=13, prev=12, bids=[["98", "0"]])
    assert driver.levels()[0] == BIDS
    assert (driver.counts(), driver.losses()) == ((4, 2, 0, 2, 0, 0), [])


def test_rest_book_that_comes_before_any_delta_waits_for_it() -> None:
    driver = Driver(SEEDED)
    driver.reply(50, 10)
    assert driver.standing() is Standing.SEEDING
    driver.send(300, "delta", seq=12, prev=10, bids=[["99", "7"]])
    assert (driver.standing(), driver.taken()) == (Standing.LIVE, HELLO)
    assert driver.keeper().state.recv_ns == (T0 + 300) * MS


def test_waiting_rest_book_that_cannot_be_joined_is_asked_for_again() -> None:
    driver = Driver(SEEDED)
    driver.reply(50, 10)
    driver.send(300, "delta", seq=15, prev=14)
    assert (driver.standing(), driver.taken()) == (Standing.SEEDING, [*HELLO, GET])
    driver.reply(400, 14, t=290)
    assert driver.standing() is Standing.LIVE


def test_rest_book_without_event_time_waits_for_a_delta_beyond_it() -> None:
    driver = Driver(SEEDED)
    driver.reply(50, 10, t=0)
    driver.send(100, "delta", seq=8, prev=7)
    driver.send(200, "delta", seq=10, prev=8)
    assert (driver.standing(), driver.taken()) == (Standing.SEEDING, HELLO)
    driver.send(300, "delta", seq=12, prev=10, bids=[["99", "7"]])
    assert (driver.standing(), driver.levels()[0]) == (Standing.LIVE, [*BIDS[:2], ["99", "7"]])
    (live,) = driver.said("live")
    assert (live.until_event_ns, driver.keeper().state.live_since_ns) == ((T0 + 300) * MS, (T0 + 300) * MS)
    assert driver.counts() == (3, 1, 0, 2, 0, 0)


def test_rest_book_without_event_time_ends_a_loss_at_the_delta_beyond_it() -> None:
    driver = seeded()
    driver.send(300, "delta", seq=16, prev=14)
    driver.reply(400, 16, t=0)
    assert driver.standing() is Standing.SEEDING
    driver.send(500, "delta", seq=17, prev=16)
    assert [live.until_event_ns for live in driver.said("live")] == [(T0 + 150) * MS, (T0 + 500) * MS]


def test_cached_older_rest_book_is_fetched_again_and_the_deltas_are_kept() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=10, bids=[["99", "7"]])
    driver.reply(150, 7)
    driver.send(200, "delta", seq=13, prev=12)
    assert (driver.standing(), driver.taken()) == (Standing.SEEDING, [*HELLO, GET])
    driver.tick(8_000)
    assert driver.taken() == [GET]
    driver.reply(8_100, 10, t=50)
    assert (driver.standing(), driver.keeper().state.chain.seq) == (Standing.LIVE, 13)
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"]]
    assert driver.counts() == (2, 2, 0, 0, 0, 0)


def test_lost_delta_asks_once_and_the_one_that_showed_it_is_held() -> None:
    driver = seeded()
    driver.send(300, "delta", seq=16, prev=14, bids=[["98", "4"]])
    driver.send(400, "delta", seq=17, prev=16)
    assert (driver.losses(), driver.taken()) == ([(INST, "sequence")], [GET])
    assert (driver.said("gap")[0].expected, driver.said("gap")[0].got) == (12, 14)
    driver.reply(500, 15)
    assert (driver.standing(), driver.levels()[0]) == (Standing.LIVE, [*BIDS, ["98", "4"]])
    driver.stop(600)
    assert [(line.gap, line.seq, line.flags) for line in driver.lines] == [
        (True, 12, ("gap", "seeded_from_rest")),
        (False, 17, ("after_gap", "seeded_from_rest")),
    ]


def test_what_one_book_loses_the_other_keeps() -> None:
    driver = seeded(INST, OTHER)
    driver.send(300, "delta", inst=OTHER, seq=16, prev=14)
    assert (driver.losses(), driver.standing()) == ([(OTHER, "sequence")], Standing.LIVE)


def test_reconnection_asks_at_its_first_delta_even_if_deltas_of_the_old_connection_are_held() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=10)
    driver.close("c1", 200)
    driver.open("c1", 1_000)
    driver.taken()
    driver.send(1_100, "delta", seq=30, prev=29)
    assert driver.taken() == [GET]
    driver.reply(1_200, 29)
    assert driver.standing() is Standing.LIVE


def test_late_answer_joins_no_delta_of_a_connection_that_is_gone() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=10)
    driver.close("c1", 200)
    driver.reply(300, 10)
    driver.open("c1", 1_000)
    assert driver.standing() is Standing.SEEDING
    driver.send(1_100, "delta", seq=30, prev=29)
    assert (driver.losses(), driver.said("live"), driver.taken()[-1]) == ([], [], GET)


def test_stream_that_delivers_nothing_is_subscribed_anew_then_suspected_then_recovers() -> None:
    driver = Driver(SEEDED)
    driver.taken()
    asked = []
    for second in range(1, 4_000):
        driver.tick(second * 1_000)
        asked += driver.taken()
    assert asked[:BUDGET] == [f"c1 again {INST}"] * BUDGET
    assert [(note.kind, note.reason) for note in driver.said("suspect")] == [("suspect", "budget_spent")]
    assert driver.standing() is Standing.SUSPECT
    assert len(asked) - BUDGET == (4_000_000 - (driver.said("suspect")[0].at_ns or 0) // MS + T0) // 900_000
    driver.send(4_000_000, "delta", seq=12, prev=10)
    assert driver.taken() == [GET]
    driver.reply(4_000_100, 10)
    assert driver.standing() is Standing.LIVE
    driver.tick(4_700_000)
    driver.send(4_700_100, "delta", seq=20, prev=19)
    driver.send(4_700_200, "delta", seq=21, prev=20)
    assert (driver.taken(), driver.standing()) == ([GET], Standing.SEEDING)


def test_rest_that_fails_is_asked_again_after_a_while_for_less_than_the_budget() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=10)
    driver.fail(200)
    assert (driver.taken(), [note.reason for note in driver.said("resync")]) == ([*HELLO, GET], ["rest", "rest_failed"])
    driver.tick(9_000)
    assert driver.taken() == [GET]


def test_weight_of_a_rest_book_is_told() -> None:
    driver = Driver(SEEDED)
    driver.send(100, "delta", seq=12, prev=10)
    assert [command.weight for command in driver.commands if hasattr(command, "weight")] == [LINK.book_weight]


# ---- smaller promises ----------------------------------------------------------------------------------------------


def test_client_keeps_the_best_levels_only_where_the_venue_leaves_it_to_it() -> None:
    driver = pushed(replace(PUSHED, depth=2, truncates=True))
    assert driver.levels() == (BIDS[:2], ASKS[:2])
    driver.send(200, "delta", seq=11, prev=10, bids=[["101", "9"]], asks=[["100.5", "0"]])
    assert driver.levels() == ([["101", "9"], BIDS[0]], ASKS[1:2])
    driver.send(300, "delta", seq=12, prev=11, bids=[["101", "0"]])
    assert driver.levels()[0] == BIDS[:1]


def test_deltas_that_a_pushed_book_may_hold_already_are_dropped_until_one_straddles_it() -> None:
    driver = pushed(replace(PUSHED, overlaps=True))
    driver.send(200, "delta", seq=9, prev=7, bids=[["100", "0"]])
    driver.send(200, "delta", seq=10, prev=9, bids=[["100", "0"]])
    driver.send(300, "delta", seq=12, prev=10, bids=[["99", "7"]])
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"]]
    assert (driver.losses(), driver.counts()) == ([], (4, 2, 0, 2, 0, 0))
    driver.send(400, "delta", seq=11, prev=9)
    assert driver.losses() == [(INST, "sequence")]


def test_overlap_that_begins_beyond_the_pushed_book_is_a_loss() -> None:
    driver = pushed(replace(PUSHED, overlaps=True))
    driver.send(200, "delta", seq=13, prev=11)
    assert driver.losses() == [(INST, "sequence")]


def test_without_event_time_a_line_is_dated_by_receive_time() -> None:
    driver = Driver(UNDATED)
    driver.send(100, "snapshot", bids=BIDS, asks=ASKS, seq=10, t=None)
    driver.send(200, "delta", seq=11, prev=10, t=None)
    driver.send(2_100, "delta", seq=12, prev=11, t=None)
    driver.stop(2_200)
    found = [(line.event_ns, line.recv_ns, line.flags, line.spec.decimals) for line in driver.lines]
    first, second = (T0 + 200) * MS, (T0 + 2_100) * MS
    assert found == [(first, first, ("no_event_time",), 6), (second, second, ("no_event_time",), 6)]
    assert {line.live_since_ns for line in driver.lines} == {(T0 + 100) * MS}
    assert driver.said("event_time_odd") == []


def test_aged_connection_is_replaced_before_the_venue_ends_it() -> None:
    driver = Driver(PUSHED, link=replace(LINK, life_s=86_400))
    driver.send(100, "snapshot", bids=BIDS, asks=ASKS, seq=10)
    driver.taken()
    driver.tick(int(86_400_000 * 0.9) - 1_000)
    assert driver.taken() == []
    driver.tick(int(86_400_000 * 0.98) + 1_000)
    driver.tick(90_000_000)
    assert driver.taken() == [repr(OpenSuccessor("c1"))]
    assert [(note.reason, note.detail) for note in driver.said("maintenance")] == [("closing_soon", {"code": "life"})]


def test_connection_that_was_opened_anew_has_its_own_age() -> None:
    driver = Driver(PUSHED, link=replace(LINK, life_s=1_000))
    driver.close("c1", 500_000)
    driver.open("c1", 501_000)
    driver.taken()
    driver.tick(1_300_000)
    assert [command for command in driver.taken() if "OpenSuccessor" in command] == []
    driver.tick(1_500_000)
    assert [command for command in driver.taken() if "OpenSuccessor" in command] == [repr(OpenSuccessor("c1"))]


def test_what_the_protocol_wants_said_is_said_on_its_connection() -> None:
    driver = pushed()
    driver.send(200, "say", text="pong 7")
    assert (driver.taken(), driver.losses()) == (["c1 pong 7"], [])


def test_wish_for_a_new_connection_closes_this_one() -> None:
    driver = pushed()
    driver.send(200, "reopen", text="please")
    assert driver.taken() == [repr(CloseLink("c1", "reopen"))]
    assert [(note.reason, note.detail) for note in driver.said("maintenance")] == [
        ("reopen", {"code": "3", "text": "please"})
    ]
