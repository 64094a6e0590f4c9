"""Continuity on the OKX feed: each case of the sequence rule, what a loss writes and says, and how it ends."""

from itertools import pairwise

import pytest

from l2_exporter.core.commands import CloseLink, FetchBook, KeepFrame, SendFrame, StopVenue
from l2_exporter.core.errors import VenueError
from l2_exporter.core.history import LastLine, NoHistory, OpenGap
from l2_exporter.core.records import BookSpec, HoursOver, LateLine
from l2_exporter.core.state import Standing
from tests.okx_frames import ASKS, BIDS, INST, MS, T0, Driver, frame, rest_book, snapshot, update


def live_book(**settings: object) -> Driver:
    """Return a driver whose book is live at seq 10."""
    driver = Driver(**settings)
    driver.send(snapshot(T0, 10))
    return driver


def standing(driver: Driver) -> Standing:
    return driver.feed.keepers["books", INST].standing


def test_update_continues_by_equality_whatever_the_step() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 5000, 10))
    assert driver.counts() == (2, 2, 0, 0, 0, 0)


def test_maintenance_reset_continues_from_the_smaller_number() -> None:
    driver = live_book()
    for prev, seq in [(10, 15), (15, 15), (15, 3), (3, 5)]:
        driver.send(update(T0 + seq + 100 * prev, seq, prev))
    assert driver.counts() == (5, 5, 0, 0, 0, 0)
    assert driver.said("gap") == []


def test_keep_alive_is_an_update_its_repetition_is_not() -> None:
    driver = live_book()
    driver.send(update(T0 + 60_000, 10, 10))
    driver.send(update(T0 + 60_000, 10, 10))
    driver.send(update(T0 + 120_000, 10, 10))
    assert driver.counts() == (4, 3, 1, 0, 0, 0)
    driver.stop(T0 + 121_000)
    assert [line.event_ns // MS - T0 for line in driver.lines] == [0, 60_000, 120_000]


def test_repeated_update_is_a_duplicate() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["99", "7", "0", "1"]]))
    driver.send(update(T0 + 100, 11, 10, bids=[["99", "7", "0", "1"]]))
    assert driver.counts() == (3, 2, 1, 0, 0, 0)


def test_whole_book_that_comes_behind_a_later_one_is_a_duplicate() -> None:
    driver = Driver()
    for at, seq, size in [(0, 10, "1"), (200, 12, "3"), (100, 11, "2")]:
        driver.send(frame(None, T0 + at, seq, channel="books5", bids=[["99", size, "0", "1"]]))
    counts = driver.feed.keepers["books5", INST].counts
    assert (counts.received, counts.applied, counts.duplicate) == (3, 2, 1)
    driver.stop(T0 + 300)
    assert [(line.event_ns // MS - T0, line.seq, line.bids) for line in driver.lines] == [
        (200, 12, [["99", "3", "0", "1"]])
    ]


@pytest.mark.parametrize(("prev", "seq"), [(11, 12), (9, 10), (0, 12), (-1, 12)])
def test_any_other_predecessor_is_a_loss(prev: int, seq: int) -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["99", "7", "0", "1"]]))
    if (prev, seq) == (11, 12):
        prev = 12
    driver.send(update(T0 + 200, seq, prev))
    gap = driver.said("gap")[0]
    assert (gap.reason, gap.expected, gap.got) == ("sequence", 11, prev)
    assert (gap.since_event_ns, gap.since_recv_ns) == ((T0 + 100) * MS, (T0 + 150) * MS)
    assert [(line.event_ns // MS - T0, line.gap, line.flags) for line in driver.lines] == [(100, True, ("gap",))]
    assert driver.lines[0].bids == [BIDS[0], BIDS[1], ["99", "7", "0", "1"]]
    assert driver.counts() == (3, 2, 0, 1, 0, 0)


def test_gap_line_takes_the_place_of_the_open_buckets_line() -> None:
    driver = live_book()
    driver.send(update(T0 + 2500, 12, 11))
    assert [(line.event_ns // MS - T0, line.gap) for line in driver.lines] == [(0, True)]
    driver.tick(T0 + 10_000)
    driver.stop(T0 + 10_000)
    assert len(driver.lines) == 1


def test_gap_line_follows_an_ordinary_line_of_the_same_moment() -> None:
    driver = live_book()
    driver.tick(T0 + 5000)
    driver.send(update(T0 + 6000, 12, 11))
    assert [(line.event_ns // MS - T0, line.gap) for line in driver.lines] == [(0, False), (0, True)]


def test_loss_ends_with_a_fresh_snapshot_and_a_marked_first_line() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 12, 11))
    driver.send(update(T0 + 200, 13, 12))
    driver.send(snapshot(T0 + 2300, 20))
    driver.send(update(T0 + 2400, 21, 20))
    driver.send(update(T0 + 4000, 22, 21))
    driver.stop(T0 + 4100)
    gap, live = driver.said("gap")[0], driver.said("live")[1]
    assert (live.id, live.reason, live.since_event_ns) == (gap.id, "sequence", gap.since_event_ns)
    assert (live.until_event_ns, live.until_recv_ns) == ((T0 + 2300) * MS, (T0 + 2350) * MS)
    assert [(line.event_ns // MS - T0, line.flags) for line in driver.lines] == [
        (0, ("gap",)),
        (2400, ("after_gap",)),
        (4000, ()),
    ]
    assert [line.live_since_ns // MS - T0 for line in driver.lines] == [0, 2300, 2300]
    assert driver.counts() == (6, 4, 0, 2, 0, 0)


def test_loss_resubscribes_that_one_instrument_only() -> None:
    driver = live_book()
    driver.send(snapshot(T0, 7, inst="ETH-USDT-SWAP"))
    driver.send(update(T0 + 100, 12, 11))
    driver.send(update(T0 + 200, 8, 7, inst="ETH-USDT-SWAP"))
    driver.send(update(T0 + 300, 13, 12))
    args = f'[{{"channel":"books","instId":"{INST}"}}]'
    assert driver.commands == [
        SendFrame("c1", f'{{"op":"unsubscribe","args":{args}}}'),
        SendFrame("c1", f'{{"op":"subscribe","args":{args}}}'),
    ]
    assert driver.counts("ETH-USDT-SWAP") == (2, 2, 0, 0, 0, 0)


def test_unsolicited_snapshot_equal_to_the_book_is_a_repetition() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["99", "7", "0", "1"]]))
    driver.send(snapshot(T0 + 100, 11, bids=[*BIDS, ["99", "7", "0", "1"]]))
    assert driver.counts() == (3, 2, 1, 0, 0, 0)


def test_snapshot_that_chains_continues_the_episode() -> None:
    driver = live_book()
    driver.send(snapshot(T0 + 100, 11, 10, bids=[["50", "1", "0", "1"]]))
    driver.stop(T0 + 200)
    assert driver.said("gap") == []
    assert (driver.lines[0].bids, driver.lines[0].live_since_ns) == ([["50", "1", "0", "1"]], T0 * MS)


def test_any_other_snapshot_is_a_reset_applied_at_once_without_resubscribing() -> None:
    driver = live_book()
    driver.send(snapshot(T0 + 100, 500, bids=[["50", "1", "0", "1"]]))
    driver.stop(T0 + 200)
    assert [reason for kind, reason in driver.kinds() if kind in ("gap", "live")] == [
        None,
        "venue_reset",
        "venue_reset",
    ]
    assert [(line.event_ns // MS - T0, line.flags, line.seq) for line in driver.lines] == [
        (0, ("gap",), 10),
        (100, ("after_gap",), 500),
    ]
    assert [command for command in driver.commands if not isinstance(command, HoursOver)] == []


def test_start_without_snapshot_is_stitched_onto_the_rest_book() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10, bids=[["98", "9", "0", "1"]]))
    assert driver.commands == [FetchBook(f"books/{INST}", f"/api/v5/market/books?instId={INST}&sz=400")]
    driver.send(update(T0 + 200, 30, 20, bids=[["97", "9", "0", "1"]]))
    driver.send(update(T0 + 300, 40, 30, bids=[["96", "9", "0", "1"]]))
    driver.reply(rest_book(25, T0 + 250), T0 + 400)
    assert driver.counts() == (3, 2, 0, 1, 0, 0)
    driver.send(update(T0 + 500, 45, 40))
    driver.send(update(T0 + 2000, 46, 45))
    line = driver.lines[0]
    assert line.bids == [*BIDS, ["97", "9", "0", "1"], ["96", "9", "0", "1"]]
    assert (line.event_ns // MS - T0, line.seq, line.prev_seq) == (500, 45, 40)
    assert (line.flags, line.live_since_ns // MS - T0) == (("seeded_from_rest",), 300)


def test_seeding_counts_as_one_update_of_its_last_part() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(rest_book(20, T0 + 150), T0 + 200)
    driver.stop(T0 + 300)
    line = driver.lines[0]
    assert (line.event_ns // MS - T0, line.seq, line.prev_seq, line.recv_ns) == (150, 20, None, (T0 + 200) * MS)
    assert line.live_since_ns == line.event_ns
    assert line.flags == ("seeded_from_rest",)


def test_first_update_after_a_rest_book_must_straddle_it() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(rest_book(25, T0 + 150), T0 + 200)
    driver.send(update(T0 + 210, 23, 20))
    driver.send(update(T0 + 220, 28, 23))
    driver.send(update(T0 + 230, 29, 28))
    assert driver.counts() == (4, 2, 0, 2, 0, 0)
    assert driver.said("gap") == []


def test_rest_book_older_than_the_buffer_is_not_used_and_fetched_again() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(rest_book(5, T0), T0 + 200)
    assert standing(driver) is Standing.SEEDING
    driver.tick(T0 + 10_000)
    assert [type(command) for command in driver.commands] == [FetchBook, FetchBook]
    driver.reply(rest_book(15, T0 + 90), T0 + 10_100)
    assert standing(driver) is Standing.LIVE


def test_rest_book_without_a_number_cannot_be_joined() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(rest_book(None, T0), T0 + 200)
    assert standing(driver) is Standing.SEEDING


@pytest.mark.parametrize(("status", "body"), [(500, ""), (200, "<html>"), (200, '{"code":"50011","data":[]}')])
def test_failed_rest_answer_is_in_the_ledger_and_seeds_nothing(status: int, body: str) -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(body, T0 + 200, status=status)
    assert driver.kinds()[-1] == ("resync", "rest_failed")
    assert standing(driver) is Standing.SEEDING


def test_disconnect_is_a_loss_and_another_connection_may_bring_the_book_back() -> None:
    driver = live_book()
    driver.send(update(T0 + 50, 11, 10), conn="c2")
    assert driver.counts() == (2, 1, 0, 0, 0, 1)
    driver.close(T0 + 100)
    assert driver.said("gap")[0].reason == "disconnect"
    driver.send(snapshot(T0 + 5000, 99), conn="c2")
    assert standing(driver) is Standing.LIVE


def test_attempts_are_spaced_out_and_end_in_suspicion() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 12, 11))
    for minute in range(60):
        driver.tick(T0 + minute * 60_000)
    times = [record.at_ns // MS - T0 for record in driver.said("resync")]  # type: ignore[operator]
    waits = [after - before for before, after in pairwise(times)]
    assert len(driver.said("suspect")) == 1
    assert waits[0] >= 5000
    assert waits[:4] == sorted(waits[:4])
    assert waits[-1] == 900_000
    assert len(times) == 20 + 2
    assert standing(driver) is Standing.SUSPECT
    driver.send(snapshot(T0 + 3_600_100, 50))
    assert standing(driver) is Standing.LIVE


def test_budget_is_given_back_after_ten_minutes_live() -> None:
    driver = live_book()
    recovery = driver.feed.keepers["books", INST]._seeker._recovery
    driver.send(update(T0 + 100, 12, 11))
    driver.send(snapshot(T0 + 1000, 50))
    assert recovery.attempts == 1
    driver.tick(T0 + 600_000)
    assert recovery.attempts == 1
    driver.tick(T0 + 601_050)
    assert recovery.attempts == 0


class WithPast(NoHistory):
    """An archive whose last run was killed in a gap."""

    def newest(self, spec: BookSpec) -> LastLine | None:
        return LastLine((T0 - 5000) * MS, (T0 - 4900) * MS)

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        return [OpenGap("old-1", "disconnect", (T0 - 4000) * MS, None)]


def test_start_declares_what_is_unknown_since_the_last_line_and_ends_older_gaps() -> None:
    driver = Driver(WithPast(), connections={"c1": [("books", INST)]})
    assert driver.kinds() == [("gap", "restart")]
    driver.send(snapshot(T0, 10))
    driver.stop(T0 + 100)
    ended = [(record.id, record.reason, record.since_event_ns) for record in driver.said("live")]
    assert ended == [("old-1", "disconnect", (T0 - 4000) * MS), ("run-1", "restart", (T0 - 5000) * MS)]
    assert driver.lines[0].flags == ("after_gap",)


def odd(**change: object) -> str:
    """Write an update that is wrong in one way."""
    return update(**({"ts": T0 + 100, "seq": 11, "prev": 10} | change))  # type: ignore[arg-type]


ODD = {
    "row of one text": odd(bids=[["99.5"]]),
    "rows not lists": odd(bids=["99", "1"]),
    "row of numbers": odd(bids=[[99.5, 1, "0", "1"]]),
    "row too short": odd(bids=[["99"]]),
    "bids an object": odd(bids={"99": "1"}),
    "NaN": odd(bids=[["NaN", "1", "0", "1"]]),
    "infinite": odd(asks=[["101", "Infinity", "0", "1"]]),
    "negative size": odd(asks=[["101", "-1", "0", "1"]]),
    "huge": odd(asks=[["1e400", "1", "0", "1"]]),
    "price zero": odd(asks=[["0.0", "1", "0", "1"]]),
    "comma": odd(asks=[["1,5", "1", "0", "1"]]),
    "no ts": odd().replace('"ts":', '"t":'),
    "seqId null": odd().replace('"seqId":11', '"seqId":null'),
    "no bids": odd().replace('"bids":', '"b":'),
    "seqId text": odd().replace('"seqId":11', '"seqId":"11"'),
    "seqId true": odd().replace('"seqId":11', '"seqId":true'),
    "seqId too large": odd().replace('"seqId":11', '"seqId":99999999999999999999'),
    "prevSeqId missing": odd(prev=None),
    "unknown action": odd().replace('"update"', '"patch"'),
    "no data": odd()[: odd().index('"data"')] + '"data":[]}',
    "data of text": odd()[: odd().index('"data"')] + '"data":["x"]}',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_single_odd_frame_is_rejected_and_a_loss_of_that_instrument_only(text: str) -> None:
    driver = live_book()
    driver.send(snapshot(T0, 7, inst="ETH-USDT-SWAP"))
    driver.send(text, at_ms=T0 + 150)
    assert driver.counts() == (2, 1, 0, 0, 1, 0)
    assert [(record.reason, record.spec and record.spec.inst) for record in driver.said("gap")] == [("sequence", INST)]
    assert next(command for command in driver.commands if isinstance(command, KeepFrame)).frame == text
    driver.send(update(T0 + 200, 8, 7, inst="ETH-USDT-SWAP"))
    assert driver.counts("ETH-USDT-SWAP") == (2, 2, 0, 0, 0, 0)
    assert driver.feed.broken is None


def test_odd_frame_without_instrument_loses_nothing_a_sequence_would_show() -> None:
    driver = live_book()
    driver.send(odd().replace('"instId"', '"inst"'), at_ms=T0 + 150)
    assert driver.said("gap") == []
    driver.send(update(T0 + 200, 12, 11))
    assert driver.said("gap")[0].reason == "sequence"


def test_update_without_numbers_in_a_numbered_book_is_odd() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, None, None))
    assert driver.counts() == (2, 1, 0, 0, 1, 0)
    assert driver.said("gap")[0].reason == "sequence"


@pytest.mark.parametrize("before", [0, 1])
def test_first_or_third_odd_frame_in_a_row_stops_the_venue(before: int) -> None:
    driver = Driver()
    if before:
        driver.send(snapshot(T0, 7, inst="ETH-USDT-SWAP"))
        driver.send(ODD["NaN"], at_ms=T0 + 60)
        driver.send(ODD["no ts"], at_ms=T0 + 70)
        assert driver.feed.broken is None
    driver.send(ODD["no ts"], at_ms=T0 + 150)
    assert driver.feed.broken is not None
    stop = driver.commands[-1]
    assert stop == StopVenue("BUILD_FAIL venue=okx channel=books missing=[ts]")
    assert [kind for kind, _ in driver.kinds()].count("schema_break") == 1
    gaps = [(record.reason, record.spec and record.spec.inst) for record in driver.said("gap")]
    assert gaps == ([("disconnect", "ETH-USDT-SWAP")] if before else [])
    driver.send(snapshot(T0 + 500, 1))
    assert driver.feed.keepers.get(("books", INST)) is None or standing(driver) is not Standing.LIVE


def test_unknown_fields_break_nothing() -> None:
    driver = live_book()
    text = update(T0 + 100, 11, 10, bids=[["99", "1", "0", "1", "new"]])
    driver.send(text.replace('"ts":', '"novelty":{"a":[1]},"ts":').replace('"arg":{', '"x":1,"arg":{"y":2,'))
    driver.stop(T0 + 200)
    assert driver.counts() == (2, 2, 0, 0, 0, 0)
    assert driver.lines[0].bids[-1] == ["99", "1", "0", "1", "new"]


@pytest.mark.parametrize(
    "garbage", ["", "{", "not json", b"\xff\xfe\x00", b"\x78\x9c\x03\x00", '{"arg":NaN}', "[" * 5000]
)
def test_not_json_is_rejected_and_three_in_a_row_close_the_link(garbage: str | bytes) -> None:
    driver = live_book()
    for number in range(3):
        assert not any(isinstance(command, CloseLink) for command in driver.commands)
        driver.send(garbage, at_ms=T0 + number)
    assert driver.commands[-1] == CloseLink("c1", "not_json")
    assert driver.feed.links["c1"].rejected == 3
    assert driver.said("gap") == []
    driver.send(update(T0 + 100, 11, 10))
    assert driver.counts() == (2, 2, 0, 0, 0, 0)


def test_odd_frame_of_a_book_of_another_connection_is_ignored() -> None:
    driver = live_book()
    driver.send(ODD["NaN"], at_ms=T0 + 100, conn="c2")
    assert driver.counts() == (2, 1, 0, 0, 0, 1)
    assert driver.said("gap") == []


def test_garbage_may_have_been_a_message_of_a_book_without_any_test() -> None:
    driver = Driver()
    driver.send(snapshot(T0, None, None, checksum=None))
    driver.send("garbage", at_ms=T0 + 60)
    assert driver.said("gap")[0].reason == "sequence"


def test_duplicate_prices_in_one_frame_the_last_row_wins() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["99", "1", "0", "1"], ["99.0", "5", "0", "2"], ["100", "0", "0", "0"]]))
    driver.stop(T0 + 200)
    assert driver.lines[0].bids == [["99.5", "2", "0", "1"], ["99.0", "5", "0", "2"]]


def test_price_is_the_same_level_however_it_is_written() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["100.0", "8", "0", "1"], ["99.50", "0.00", "0", "0"]]))
    driver.stop(T0 + 200)
    assert driver.lines[0].bids == [["100.0", "8", "0", "1"]]


def test_event_time_may_be_a_json_number() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10).replace(f'"ts":"{T0 + 100}"', f'"ts":{T0 + 100}'), at_ms=T0 + 150)
    driver.stop(T0 + 200)
    assert driver.lines[0].event_ns == (T0 + 100) * MS


def test_keep_alive_without_event_time_proves_the_chain_and_changes_nothing() -> None:
    driver = live_book()
    driver.send(update("0", 10, 10), at_ms=T0 + 5000)
    driver.send(update(T0 + 6000, 11, 10))
    driver.stop(T0 + 6100)
    assert [(line.event_ns // MS - T0, line.prev_seq) for line in driver.lines] == [(0, -1), (6000, 10)]


def test_rest_answer_for_a_book_nobody_has_heard_of_is_ignored() -> None:
    driver = Driver()
    driver.reply(rest_book(15, T0), T0 + 50)
    assert (driver.feed.keepers, driver.ledger) == ({}, [])


def test_rest_answer_before_the_first_frame_of_a_declared_book_seeds_it() -> None:
    driver = Driver(connections={"c1": [("books", INST)]})
    driver.reply(rest_book(15, T0), T0 + 50)
    driver.send(update(T0 + 100, 20, 10))
    driver.stop(T0 + 200)
    assert (driver.lines[0].seq, driver.lines[0].flags) == (20, ("seeded_from_rest",))


@pytest.mark.parametrize(("levels", "live"), [("", True), ("&sz=400", True), ("&sz=1000", True), ("&sz=50", False)])
def test_rest_answer_must_have_asked_for_all_the_channel_knows(levels: str, live: bool) -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    url = f"https://www.okx.com/api/v5/market/books?instId={INST}{levels}"
    driver.answer(url, rest_book(15, T0), T0 + 200)
    assert (standing(driver) is Standing.LIVE) == live


def test_rest_book_from_before_a_reset_of_the_numbers_does_not_contain_for_ever_what_comes() -> None:
    driver = Driver()
    driver.send(update(T0, 7, 5))
    driver.reply(rest_book(1000, T0 - 3000), T0 + 50)
    driver.send(update(T0 + 7000, 9, 7))
    assert (standing(driver), driver.said("gap")) == (Standing.LIVE, [])
    driver.send(update(T0 + 7001, 11, 9))
    gap = driver.said("gap")[0]
    assert (gap.reason, gap.since_event_ns, gap.expected, gap.got) == ("sequence", (T0 - 3000) * MS, 1000, 9)


@pytest.mark.parametrize(("book", "live"), [(-10_000, True), (-10_001, False)])
def test_rest_book_much_older_than_what_is_held_back_is_no_seed_whatever_its_number(book: int, live: bool) -> None:
    driver = Driver()
    driver.send(update(T0, 7, 5))
    driver.reply(rest_book(1000, T0 + book), T0 + 50)
    assert (standing(driver) is Standing.LIVE) is live


def test_rest_book_is_cut_to_what_the_channel_knows() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10, channel="books50-l2-tbt"))
    bids = [[str(price), "1", "0", "1"] for price in range(1, 100)]
    driver.reply(rest_book(15, T0, bids=bids), T0 + 200)
    driver.stop(T0 + 300)
    assert driver.lines[0].bids == bids[:48:-1]


@pytest.mark.parametrize("url", ["http://[::1", "", "https://www.okx.com/api/v5/market/books", "no url at all"])
def test_answer_to_something_else_is_left_alone(url: str) -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    before = [*driver.ledger]
    driver.answer(url, rest_book(15, T0), T0 + 200)
    assert driver.ledger == before


def test_delta_that_follows_the_rest_books_number_joins_it_even_if_it_is_a_reset() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 950, 940))
    driver.reply(rest_book(1000, T0), T0 + 200)
    driver.send(update(T0 + 210, 3, 1000, bids=[["91", "1", "0", "1"]]))
    driver.send(update(T0 + 220, 998, 3, bids=[["92", "1", "0", "1"]]))
    driver.stop(T0 + 300)
    assert [row[0] for row in driver.lines[0].bids] == ["100", "99.5", "92", "91"]
    assert (driver.lines[0].seq, driver.said("gap")) == (998, [])


def test_rest_book_at_the_last_held_number_is_live_even_after_a_reset() -> None:
    driver = Driver()
    for number, (prev, seq) in enumerate([(10, 15), (15, 3), (3, 8)]):
        driver.send(update(T0 + 100 + number, seq, prev))
    driver.reply(rest_book(8, T0), T0 + 200)
    driver.send(update(T0 + 300, 9, 8))
    assert (standing(driver), driver.said("gap"), driver.counts()) == (Standing.LIVE, [], (4, 1, 0, 3, 0, 0))


def test_rest_book_that_several_held_deltas_could_follow_is_not_used() -> None:
    driver = Driver()
    for number, (prev, seq) in enumerate([(10, 15), (15, 3), (3, 20)]):
        driver.send(update(T0 + 100 + number, seq, prev))
    driver.reply(rest_book(14, T0), T0 + 200)
    assert standing(driver) is Standing.SEEDING


def test_snapshotless_venue_is_asked_for_a_book_again_after_a_disconnect() -> None:
    driver = Driver()
    driver.send(update(T0 + 100, 20, 10))
    driver.reply(rest_book(20, T0 + 150), T0 + 200)
    driver.close(T0 + 300)
    driver.send(update(T0 + 400, 40, 30), conn="c2")
    assert [type(command) for command in driver.commands] == [FetchBook, FetchBook]


def test_jump_of_the_receive_clock_does_not_repeat_what_was_missed() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 12, 11))
    driver.tick(T0 + 10 * 365 * 86_400_000)
    assert len(driver.ledger) < 30


def test_snapshot_from_long_ago_after_hours_of_lines() -> None:
    driver = live_book()
    for hour in range(1, 100):
        driver.send(snapshot(T0 + hour * 3_600_000, 10 + hour))
    driver.send(snapshot(1, 500), at_ms=T0 + 100 * 3_600_000)
    driver.stop(T0 + 100 * 3_600_000)
    late = [command for command in driver.commands if isinstance(command, LateLine)]
    assert [line.event_ns for line in late] == [1 * MS]
    assert driver.lines[-1].seq == 109


def test_snapshot_with_only_one_number_or_none_in_a_numbered_book_is_odd() -> None:
    for seq, prev in ((20, None), (None, -1), (None, None)):
        driver = live_book()
        driver.send(snapshot(T0 + 100, seq, prev))
        assert driver.counts() == (2, 1, 0, 0, 1, 0)
        assert driver.said("gap")[0].reason == "sequence"


def test_added_event_key_does_not_hide_a_book() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10).replace('{"arg"', '{"event":"push","arg"'))
    assert driver.counts() == (2, 2, 0, 0, 0, 0)


def test_odd_frame_with_several_books_counts_each() -> None:
    driver = live_book()
    two = update(T0 + 100, 11, 10)[:-2] + "," + ODD["NaN"].partition('"data":[')[2]
    driver.send(two, at_ms=T0 + 250)
    assert driver.counts() == (3, 1, 0, 0, 2, 0)


def test_odd_frame_of_an_id_that_can_be_no_file_name_is_rejected_on_the_connection() -> None:
    driver = live_book()
    driver.feed._shared.history = Unnameable()
    driver.send(ODD["NaN"].replace(INST, "X" * 400), at_ms=T0 + 100)
    assert (driver.feed.links["c1"].rejected, driver.said("gap")) == (1, [])


class Unnameable(NoHistory):
    """An archive that can name nothing."""

    def admit(self, spec: BookSpec) -> None:
        raise VenueError(f"{spec.inst} can be no file name")


@pytest.mark.parametrize("ts", ["0", "", "soon", "-5", "9" * 30, "１２３"])
def test_unusable_event_time_keeps_the_book_time_and_is_said_once(ts: str) -> None:
    driver = live_book()
    driver.send(update(ts, 11, 10), at_ms=T0 + 150)
    driver.send(update(ts, 12, 11), at_ms=T0 + 250)
    driver.stop(T0 + 300)
    assert (driver.lines[0].event_ns, driver.lines[0].seq) == (T0 * MS, 12)
    assert len(driver.said("event_time_odd")) == 1


def test_event_time_far_ahead_is_not_believed_until_ten_agree() -> None:
    driver = live_book()
    hour = 3_600_000
    for number in range(1, 10):
        driver.send(update(T0 + hour + number * 100, 10 + number, 9 + number), at_ms=T0 + 50 + number * 100)
    assert driver.feed.keepers["books", INST].state.book_ns == T0 * MS
    driver.send(update(T0 + hour + 1000, 20, 19), at_ms=T0 + 1050)
    assert driver.feed.keepers["books", INST].state.book_ns == (T0 + hour + 1000) * MS


def test_one_event_time_far_ahead_leaves_no_trace_in_the_lines() -> None:
    driver = live_book()
    driver.send(update(T0 + 3_600_000, 11, 10), at_ms=T0 + 150)
    driver.send(update(T0 + 200, 12, 11))
    driver.stop(T0 + 300)
    assert [line.event_ns for line in driver.lines] == [(T0 + 200) * MS]


def test_no_event_time_yet_gives_no_line() -> None:
    driver = Driver()
    driver.send(snapshot("0", 10), at_ms=T0)
    driver.tick(T0 + 60_000)
    assert driver.lines == []
    driver.send(update(T0 + 60_000, 11, 10))
    driver.stop(T0 + 60_100)
    assert [(line.event_ns, line.live_since_ns) for line in driver.lines] == [((T0 + 60_000) * MS,) * 2]


def test_whole_book_channels_replace_and_know_repetitions() -> None:
    driver = Driver()
    top = {"channel": "bbo-tbt", "checksum": None}
    driver.send(frame(None, T0, 5, bids=BIDS[:1], asks=ASKS[:1], **top))  # type: ignore[arg-type]
    driver.send(frame(None, T0, 5, bids=BIDS[:1], asks=ASKS[:1], **top))  # type: ignore[arg-type]
    driver.send(frame(None, T0 + 100, 9, bids=BIDS[1:], asks=[], **top))  # type: ignore[arg-type]
    driver.stop(T0 + 200)
    assert driver.counts(channel="bbo-tbt") == (3, 2, 1, 0, 0, 0)
    line = driver.lines[0]
    assert (line.spec.dataset, line.spec.depth, line.bids, line.asks) == ("l2_perps.bbo-tbt", 1, BIDS[1:], [])
    assert (line.seq, line.prev_seq, line.checksum) == (9, None, None)


def test_crossed_book_is_flagged_not_refused() -> None:
    driver = live_book()
    driver.send(update(T0 + 100, 11, 10, bids=[["100.50", "1", "0", "1"]]))
    driver.stop(T0 + 200)
    assert driver.lines[0].flags == ("crossed",)


def test_instruments_not_asked_for_are_ignored() -> None:
    driver = Driver(only=[("books", "ETH-USDT-SWAP")])
    driver.send(snapshot(T0, 1))
    assert driver.feed.keepers == {}
    assert driver.feed.links["c1"].ignored == 1


def test_conservation_counts_a_frame_with_several_books_by_its_books() -> None:
    driver = live_book()
    two = update(T0 + 100, 11, 10)[:-2] + "," + update(T0 + 200, 12, 11).partition('"data":[')[2]
    driver.send(two, at_ms=T0 + 250)
    assert driver.counts() == (3, 3, 0, 0, 0, 0)
