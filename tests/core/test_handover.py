"""Handover: a connection takes over the books of one that will be closed, and nothing is lost if both agree."""

import json

import pytest

from l2_exporter.core.commands import CloseLink, FetchBook, OpenSuccessor, SendFrame
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.state import Standing
from tests.okx_frames import INST, MS, T0, Driver, frame, rest_book, snapshot, update

NOTICE = '{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a"}'
OTHER = "ETH-USDT-SWAP"
URL = "wss://ws.okx.com:8443/ws/v5/public"


class Handover(Driver):
    """A driver with one book (or two) live on c1 at seq 10."""

    def __init__(self, *insts: str, channel: str = "books") -> None:
        self.insts = insts or (INST,)
        super().__init__(connections={"c1": [(channel, inst) for inst in self.insts]})
        self.open("c1", T0)

    def open(self, conn: str, at_ms: int, replaces: str | None = None) -> None:
        """Open a connection."""
        self._sort(self.feed.link_opened(conn, URL, "live", Stamp(at_ms * MS, at_ms * MS), replaces))

    def sent(self, conn: str) -> list[str]:
        """Return what was sent on a connection."""
        return [each.text for each in self.commands if isinstance(each, SendFrame) and each.conn == conn]

    def closed(self) -> list[str]:
        """Return the connections that were to be closed for good."""
        return [each.conn for each in self.commands if isinstance(each, CloseLink) and each.reason == "replaced"]

    def planned(self) -> list[tuple[str | None, str | None]]:
        """Return what was said of planned reconnects, as (connection, reason)."""
        return [(record.conn, record.reason) for record in self.said("planned_reconnect")]

    def standing(self, inst: str = INST) -> Standing:
        """Return where a book stands."""
        return self.feed.keepers["books", inst].standing


def begun(*insts: str) -> Handover:
    """Return a driver in the middle of a handover from c1 to c2: every book live on c1, nothing on c2 yet."""
    driver = Handover(*insts)
    for inst in driver.insts:
        driver.send(snapshot(T0, 10, inst=inst))
    driver.send(NOTICE, T0 + 60)
    driver.open("c2", T0 + 70, "c1")
    return driver


def test_notice_opens_one_successor_however_often_it_comes() -> None:
    driver = begun()
    driver.send(NOTICE, T0 + 80)
    driver.send(NOTICE, T0 + 90)
    assert [each for each in driver.commands if isinstance(each, OpenSuccessor)] == [OpenSuccessor("c1")]
    assert driver.sent("c2") == driver.sent("c1")


@pytest.mark.parametrize("new_first", [False, True])
def test_whoever_is_ahead_they_meet_at_the_same_number_and_the_episode_goes_on(new_first: bool) -> None:
    driver = begun()
    change = {"bids": [["99", "7", "0", "1"]]}
    if new_first:
        driver.send(snapshot(T0, 10), T0 + 80, conn="c2")
    else:
        driver.send(update(T0 + 100, 11, 10, **change), conn="c1")
        driver.send(snapshot(T0, 10), T0 + 155, conn="c2")
        assert driver.closed() == []
        driver.send(update(T0 + 100, 11, 10, **change), T0 + 160, conn="c2")
    assert (driver.closed(), driver.planned()) == (["c1"], [("c2", "begun"), ("c2", "done")])
    driver.close(T0 + 200, "c1")
    last = 10 if new_first else 11
    driver.send(update(T0 + 2100, 12, last), conn="c2")
    driver.stop(T0 + 3000)
    assert driver.said("gap") == []
    assert {line.live_since_ns for line in driver.lines} == {T0 * MS}
    assert [line.seq for line in driver.lines] == [last, 12]


def test_new_connection_ahead_waits_for_the_old_one() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    assert driver.planned() == [("c2", "begun")]
    driver.send(update(T0 + 100, 11, 10), T0 + 170, conn="c1")
    assert (driver.planned()[-1], driver.closed()) == (("c2", "done"), ["c1"])
    assert driver.said("gap") == []


def test_messages_of_the_old_connection_are_ignored_after_the_handover() -> None:
    driver = begun()
    driver.send(snapshot(T0, 10), T0 + 80, conn="c2")
    driver.send(update(T0 + 100, 11, 10), T0 + 150, conn="c1")
    driver.send(update(T0 + 100, 11, 10), T0 + 151, conn="c2")
    assert driver.counts() == (4, 2, 0, 0, 0, 2)
    assert driver.said("gap") == []


def test_disagreement_at_the_same_number_is_a_loss_and_the_new_book_goes_on() -> None:
    driver = begun()
    driver.send(snapshot(T0, 10, bids=[["98", "1", "0", "1"]]), T0 + 80, conn="c2")
    (gap,) = driver.said("gap")
    assert (gap.reason, gap.conn, gap.since_event_ns) == ("venue_reset", "c1", T0 * MS)
    assert [(line.gap, line.bids[0][0]) for line in driver.lines] == [(True, "100")]
    assert driver.said("live")[-1].id == gap.id
    assert driver.closed() == ["c1"]
    driver.send(update(T0 + 2100, 12, 10), conn="c2")
    driver.stop(T0 + 3000)
    assert [row[0] for row in driver.lines[-1].bids] == ["98"]


def test_old_connection_that_ends_first_is_a_loss_and_the_new_book_goes_on_at_once() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    driver.close(T0 + 200, "c1")
    assert [(gap.reason, gap.conn) for gap in driver.said("gap")] == [("disconnect", "c1")]
    assert (driver.standing(), driver.said("live")[-1].until_event_ns) == (Standing.LIVE, (T0 + 100) * MS)
    assert driver.closed() == ["c1"]
    driver.send(update(T0 + 300, 12, 11), conn="c2")
    assert driver.feed.keepers["books", INST].state.chain.seq == 12


def test_old_connection_that_ends_before_the_new_one_brought_a_book_leaves_it_waiting_for_that() -> None:
    driver = begun()
    driver.close(T0 + 80, "c1")
    assert driver.standing() is Standing.SEEDING
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    assert driver.standing() is Standing.LIVE


def test_new_connection_that_never_brings_the_book_is_asked_again() -> None:
    driver = begun()
    driver.close(T0 + 80, "c1")
    before = len(driver.sent("c2"))
    driver.tick(T0 + 5_100)
    assert len(driver.sent("c2")) == before + 2


def test_new_connection_that_missed_a_message_is_asked_for_a_fresh_book_when_the_old_one_ends() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    driver.send(update(T0 + 300, 13, 12), conn="c2")
    before = len(driver.sent("c2"))
    driver.close(T0 + 400, "c1")
    assert len(driver.sent("c2")) == before + 2
    assert [each for each in driver.commands if isinstance(each, FetchBook)] == []


def test_new_connection_that_ends_first_loses_nothing_and_tries_again() -> None:
    driver = begun()
    driver.close(T0 + 80, "c2")
    driver.send(update(T0 + 100, 11, 10), conn="c1")
    assert driver.said("gap") == []
    driver.open("c2", T0 + 200, "c1")
    assert len(driver.sent("c2")) == 2
    driver.send(update(T0 + 300, 12, 11), conn="c1")
    driver.send(snapshot(T0 + 300, 12), T0 + 351, conn="c2")
    assert driver.said("gap") == []
    assert driver.closed() == ["c1"]


def test_books_already_taken_over_come_back_with_the_new_connection_when_it_ends_half_way() -> None:
    driver = begun(INST, OTHER)
    driver.send(snapshot(T0, 10), T0 + 80, conn="c2")
    driver.close(T0 + 90, "c2")
    assert [gap.spec.inst for gap in driver.said("gap")] == [INST]
    driver.open("c2", T0 + 200, "c1")
    heir, own = (json.loads(text)["args"] for text in driver.sent("c2")[1:])
    assert ([arg["instId"] for arg in heir], [arg["instId"] for arg in own]) == ([OTHER], [INST])
    driver.send(snapshot(T0 + 300, 12), conn="c2")
    driver.send(snapshot(T0, 10, inst=OTHER), T0 + 351, conn="c2")
    assert (driver.standing(INST), driver.standing(OTHER)) == (Standing.LIVE, Standing.LIVE)
    assert driver.closed() == ["c1"]


def test_successor_that_is_cut_off_brings_its_books_back_even_if_the_old_connection_was_opened_again() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    driver.close(T0 + 200, "c1")
    driver.open("c1", T0 + 210)
    assert driver.closed() == ["c1", "c1"], "it has no books and need not stay"
    driver.close(T0 + 300, "c2")
    driver.open("c2", T0 + 400, "c1")
    assert len(driver.sent("c2")) == 2
    driver.send(snapshot(T0 + 500, 20), conn="c2")
    assert driver.standing() is Standing.LIVE


def test_old_connection_opened_again_before_the_successor_hands_over_as_usual() -> None:
    driver = Handover()
    driver.send(snapshot(T0, 10))
    driver.send(NOTICE, T0 + 60)
    driver.close(T0 + 70, "c1")
    driver.open("c1", T0 + 80)
    driver.send(snapshot(T0 + 100, 11), conn="c1")
    driver.open("c2", T0 + 200, "c1")
    driver.send(snapshot(T0 + 100, 11), T0 + 210, conn="c2")
    assert [gap.reason for gap in driver.said("gap")] == ["disconnect"]
    assert driver.closed() == ["c1"]


def test_successor_opened_after_the_old_connection_was_gone_subscribes_its_books() -> None:
    driver = Handover()
    driver.send(snapshot(T0, 10))
    driver.send(NOTICE, T0 + 60)
    driver.close(T0 + 70, "c1")
    driver.open("c2", T0 + 200, "c1")
    assert driver.sent("c2") == driver.sent("c1")
    driver.open("c1", T0 + 300)
    assert driver.closed() == ["c1"]


def test_book_that_is_not_live_is_taken_over_when_the_old_connection_ends() -> None:
    driver = Handover()
    driver.send(NOTICE, T0 + 60)
    driver.open("c2", T0 + 70, "c1")
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    assert driver.standing() is Standing.SEEDING
    driver.close(T0 + 200, "c1")
    assert (driver.standing(), driver.said("gap")) == (Standing.LIVE, [])


def test_book_lost_on_the_old_connection_meanwhile_is_handed_over_once_it_is_back() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 12), conn="c2")
    driver.send(update(T0 + 100, 12, 11), conn="c1")
    assert [gap.reason for gap in driver.said("gap")] == ["sequence"]
    driver.send(snapshot(T0 + 100, 12), T0 + 180, conn="c1")
    assert (driver.standing(), driver.closed()) == (Standing.LIVE, ["c1"])
    assert len(driver.said("gap")) == 1


def test_whole_books_meet_at_the_same_number() -> None:
    driver = Handover(channel="books5")
    driver.send(frame(None, T0, 10, channel="books5"))
    driver.send(NOTICE, T0 + 60)
    driver.open("c2", T0 + 70, "c1")
    driver.send(frame(None, T0 + 100, 11, channel="books5", bids=[["99", "7"]]), conn="c2")
    driver.send(frame(None, T0 + 100, 11, channel="books5", bids=[["99", "7"]]), T0 + 160, conn="c1")
    assert (driver.said("gap"), driver.closed()) == ([], ["c1"])
    driver.send(frame(None, T0 + 200, 12, channel="books5", bids=[["98", "7"]]), conn="c2")
    driver.stop(T0 + 300)
    assert [(line.seq, line.bids) for line in driver.lines] == [(12, [["98", "7"]])]


def test_books_without_numbers_prove_no_overlap() -> None:
    driver = Handover()
    driver.send(snapshot(T0, None, None))
    driver.send(NOTICE, T0 + 60)
    driver.open("c2", T0 + 70, "c1")
    driver.send(snapshot(T0, None, None), T0 + 80, conn="c2")
    assert driver.closed() == []
    driver.close(T0 + 200, "c1")
    assert [gap.reason for gap in driver.said("gap")] == ["disconnect"]
    assert driver.standing() is Standing.LIVE


def test_event_time_that_cannot_be_believed_does_not_reach_the_book_by_a_handover() -> None:
    driver = begun()
    driver.send(snapshot(T0 + 100, 11), conn="c2")
    driver.send(update(T0 + 86_400_000, 12, 11), T0 + 200, conn="c2")
    driver.close(T0 + 300, "c1")
    driver.stop(T0 + 400)
    assert driver.lines[-1].event_ns == (T0 + 100) * MS


def test_late_rest_answer_without_a_connection_is_an_episode_that_ends_when_one_is_there() -> None:
    driver = Handover()
    driver.send(snapshot(T0, 10))
    driver.close(T0 + 100, "c1")
    driver.reply(rest_book(12, T0 + 120), T0 + 150)
    driver.open("c1", T0 + 200)
    driver.send(snapshot(T0 + 300, 14), conn="c1")
    gaps = driver.said("gap")
    assert [(gap.reason, gap.since_event_ns) for gap in gaps] == [
        ("disconnect", T0 * MS),
        ("disconnect", (T0 + 120) * MS),
    ]
    assert [live.id for live in driver.said("live")] == [None, gaps[0].id, gaps[1].id]


def test_book_is_asked_for_once_where_the_time_is_up_and_then_updates_come() -> None:
    driver = Handover()
    driver.tick(T0 + 5_000)
    driver.send(update(T0 + 6_000, 20, 10), conn="c1")
    assert [record.kind for record in driver.said("resync")] == ["resync"]
