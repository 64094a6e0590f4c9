"""Handover on streams that OKX does not have: changes only, numbers of a connection, no numbers, no event time."""

from dataclasses import replace
from typing import Any

import pytest

from l2_exporter.core.state import Standing
from l2_exporter.core.venue import Channel, Continuity
from tests.tools.madeup import ASKS, BIDS, INST, LINKWIDE, MS, OTHER, PUSHED, SEEDED, SUMMED, T0, UNDATED, Driver

GET = f"GET /book?inst={INST}"
REPLACED = "CloseLink(conn='c1', reason='replaced')"
NUMBERLESS = replace(PUSHED, continuity=Continuity.NONE)


def succession(channel: Channel, *insts: str, **fields: Any) -> Driver:
    """Return a driver in a handover from c1 to c2: every book live on c1, nothing on c2 yet."""
    driver = Driver(channel, *insts)
    for inst in driver.insts:
        if channel is SEEDED:
            driver.send(100, "delta", inst=inst, seq=12, prev=10)
            driver.reply(150, 10, inst, t=50)
        else:
            driver.send(100, "snapshot", inst=inst, bids=BIDS, asks=ASKS, **fields)
    driver.send(200, "soon")
    driver.open("c2", 210, "c1")
    driver.taken()
    return driver


def change(driver: Driver, at: int, conn: str, prev: int, seq: int) -> None:
    """Send the change that leads from one number to another: it leaves its number at the price of 90."""
    driver.send(at, "delta", conn, seq=seq, prev=prev, t=T0 + 1_000 + seq, bids=[["90", str(seq)]])


def is_whole(driver: Driver, last: int) -> bool:
    """Tell whether nothing was lost, and the book is that of a number in the episode it always was in."""
    state = driver.keeper().state
    level = [row[1] for row in driver.levels()[0] if row[0] == "90"]
    assert level == ([str(last)] if last > 12 else [])
    return driver.losses() == [] and state.chain.seq == last and state.live_since_ns == (T0 + 100) * MS


# ---- changes only --------------------------------------------------------------------------------------------------


def test_heir_that_is_behind_takes_over_when_it_has_come_to_the_same_number() -> None:
    driver = succession(SEEDED)
    change(driver, 300, "c1", 12, 14)
    change(driver, 310, "c1", 14, 15)
    change(driver, 320, "c2", 12, 14)
    assert driver.taken() == []
    change(driver, 330, "c2", 14, 15)
    assert driver.taken() == [REPLACED]
    change(driver, 340, "c2", 15, 18)
    assert (is_whole(driver, 18), driver.keeper().says.conn) == (True, "c2")
    assert driver.counts() == (6, 4, 0, 0, 0, 2)


def test_heir_that_is_ahead_waits_for_the_old_connection_and_brings_what_it_has_beyond() -> None:
    driver = succession(SEEDED)
    change(driver, 300, "c2", 12, 14)
    change(driver, 310, "c2", 14, 15)
    change(driver, 320, "c2", 15, 18)
    assert driver.taken() == []
    change(driver, 330, "c1", 12, 14)
    assert (driver.taken(), is_whole(driver, 18)) == ([REPLACED], True)
    change(driver, 340, "c2", 18, 19)
    assert is_whole(driver, 19)
    assert driver.counts() == (6, 5, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("old", "new"), [([], [(12, 14), (14, 15)]), ([(12, 14)], [(14, 15)]), ([(12, 14), (14, 15)], [(14, 15)])]
)
def test_old_connection_that_ends_first_leaves_the_book_to_an_heir_that_goes_on(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    driver = succession(SEEDED)
    for at, (prev, seq) in enumerate(new, start=300):
        change(driver, at, "c2", prev, seq)
    for at, (prev, seq) in enumerate(old, start=310):
        change(driver, at, "c1", prev, seq)
    driver.close("c1", 400)
    assert (is_whole(driver, 15), driver.keeper().says.conn) == (True, "c2")
    change(driver, 500, "c2", 15, 16)
    assert is_whole(driver, 16)


def test_old_connection_that_ends_before_the_heir_can_go_on_is_a_loss_that_rest_ends() -> None:
    driver = succession(SEEDED)
    change(driver, 300, "c2", 14, 15)
    driver.close("c1", 400)
    assert (driver.losses(), driver.taken()) == ([(INST, "disconnect")], [GET, REPLACED])
    change(driver, 410, "c2", 15, 16)
    driver.reply(500, 14)
    assert (driver.standing(), driver.keeper().state.chain.seq) == (Standing.LIVE, 16)
    assert driver.counts() == (3, 3, 0, 0, 0, 0)


def test_heir_whose_changes_have_a_hole_goes_on_with_those_behind_it() -> None:
    driver = succession(SEEDED)
    change(driver, 300, "c2", 12, 14)
    change(driver, 310, "c2", 15, 18)
    for at, (prev, seq) in enumerate([(12, 14), (14, 15)], start=320):
        change(driver, at, "c1", prev, seq)
    assert driver.keeper().says.conn == "c1"
    change(driver, 330, "c1", 15, 18)
    assert (is_whole(driver, 18), driver.keeper().says.conn, driver.taken()) == (True, "c2", [REPLACED])


def test_every_book_is_handed_over_before_the_old_connection_is_closed() -> None:
    driver = succession(SEEDED, INST, OTHER)
    for inst in (INST, OTHER):
        assert driver.taken() == []
        for conn in ("c1", "c2"):
            driver.send(300, "delta", conn, inst=inst, seq=14, prev=12)
    assert (driver.taken(), driver.losses()) == ([REPLACED], [])


# ---- numbers of a connection: nothing can be proven, so the old connection's end is the loss -----------------------


def test_heir_with_its_own_numbers_goes_on_at_once_when_the_old_connection_ends() -> None:
    driver = succession(LINKWIDE, n=10)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, n=1)
    driver.send(310, "delta", "c2", bids=[["99", "7"]], n=2)
    driver.close("c1", 400)
    assert (driver.losses(), driver.standing()) == ([(INST, "disconnect")], Standing.LIVE)
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"]]
    driver.send(500, "delta", "c2", bids=[["98", "1"]], n=3)
    assert (driver.losses(), driver.levels()[0][-1]) == ([(INST, "disconnect")], ["98", "1"])
    assert driver.taken() == [REPLACED]


def test_heir_that_misses_a_number_has_no_book() -> None:
    driver = succession(LINKWIDE, n=10)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, n=1)
    driver.send(310, "delta", "c2", bids=[["99", "7"]], n=3)
    driver.close("c1", 400)
    assert (driver.standing(), driver.taken()) == (Standing.SEEDING, [f"c2 again {INST}", REPLACED])
    driver.send(500, "snapshot", "c2", bids=BIDS, asks=ASKS, n=4)
    assert (driver.standing(), driver.losses()) == (Standing.LIVE, [(INST, "disconnect")])


# ---- no numbers at all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ['{"kind":"delta","inst":"AAA"}', "{"])
def test_heir_without_numbers_that_cannot_be_read_has_no_book(frame: str) -> None:
    driver = succession(NUMBERLESS)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS)
    driver.raw(310, frame, "c2")
    driver.taken()
    driver.close("c1", 400)
    assert (driver.standing(), driver.taken()) == (Standing.SEEDING, [f"c2 again {INST}", REPLACED])


def test_heir_without_numbers_goes_on_when_the_old_connection_ends() -> None:
    driver = succession(NUMBERLESS)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS)
    driver.send(310, "delta", "c2", bids=[["99", "7"]])
    driver.close("c1", 400)
    assert (driver.losses(), driver.levels()[0]) == ([(INST, "disconnect")], [*BIDS[:2], ["99", "7"]])


# ---- what else a fresh book must be, when it is an heir's ----------------------------------------------------------


@pytest.mark.parametrize("right", [True, False])
def test_checksum_frame_of_the_heir_leaves_its_book_whole(right: bool) -> None:
    driver = succession(SUMMED, seq=10)
    driver.send(300, "snapshot", "c2", bids=[*BIDS, ["98", "1"]], asks=ASKS, seq=11)
    driver.send(310, "checksum", "c2", sum=driver.venue.checksum(BIDS, ASKS) if right else 1)
    driver.close("c1", 400)
    assert (driver.standing(), driver.levels()) == (Standing.LIVE, ([*BIDS, ["98", "1"]], ASKS))
    driver.stop(500)
    sent = driver.venue.checksum(BIDS, ASKS) if right else 1
    found = [(line.gap, line.seq, line.checksum, line.checksum_ok) for line in driver.lines]
    assert found == [(True, 10, None, None), (False, 11, sent, None)]


def test_heir_without_event_time_is_dated_by_receive_time() -> None:
    driver = succession(UNDATED, seq=10, t=None)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, seq=11, t=None)
    driver.close("c1", 400)
    driver.stop(500)
    found = [(line.gap, line.event_ns, line.flags) for line in driver.lines]
    assert found == [
        (True, (T0 + 100) * MS, ("gap", "no_event_time")),
        (False, (T0 + 300) * MS, ("after_gap", "no_event_time")),
    ]


def test_heir_keeps_the_best_levels_only_where_the_venue_leaves_it_to_the_client() -> None:
    driver = succession(replace(PUSHED, depth=2, truncates=True), seq=10)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, seq=10)
    assert (driver.losses(), driver.taken()) == ([], [REPLACED])
    driver = succession(replace(PUSHED, depth=2, truncates=True), seq=10)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, seq=9)
    driver.send(310, "delta", "c2", bids=[["102", "1"]], seq=10, prev=9)
    driver.send(320, "delta", "c2", bids=[["102", "0"]], seq=11, prev=10)
    driver.close("c1", 400)
    assert driver.levels() == (BIDS[:1], ASKS[:2])


def test_heir_drops_what_its_pushed_book_may_hold_already() -> None:
    driver = succession(replace(PUSHED, overlaps=True), seq=10)
    driver.send(300, "snapshot", "c2", bids=BIDS, asks=ASKS, seq=12)
    driver.send(310, "delta", "c2", seq=11, prev=10, bids=[["100", "0"]])
    driver.send(320, "delta", "c2", seq=13, prev=11, bids=[["99", "7"]])
    driver.send(330, "delta", seq=13, prev=10, bids=[["99", "7"]])
    assert (driver.losses(), driver.taken()) == ([], [REPLACED])
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"]]
