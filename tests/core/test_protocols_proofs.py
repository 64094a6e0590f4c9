"""What proves a book on venues unlike OKX: numbers that count the frames of a connection, checksums in frames apart."""

from dataclasses import replace

import pytest

from l2_exporter.core.state import Standing
from l2_exporter.core.venue import Channel, Continuity
from tests.tools.madeup import ASKS, BIDS, CHANNEL, INST, LINKWIDE, OTHER, SUMMED, Driver


def pushed(channel: Channel, *insts: str) -> Driver:
    """Return a driver whose books were pushed, each with the next number, from 10 on."""
    driver = Driver(channel, *insts)
    for number, inst in enumerate(driver.insts, start=10):
        field = "n" if channel is LINKWIDE else "seq"
        driver.send(100, "snapshot", inst=inst, bids=BIDS, asks=ASKS, **{field: number})
    driver.taken()
    return driver


# ---- numbers that count the frames of a connection -----------------------------------------------------------------


def test_missing_number_loses_every_book_of_that_connection_and_no_other() -> None:
    driver = Driver(LINKWIDE, INST, OTHER, more={"c2": [(CHANNEL, "C")]})
    driver.open("c2", 0)
    driver.send(100, "snapshot", inst=INST, bids=BIDS, asks=ASKS, n=1)
    driver.send(110, "snapshot", inst=OTHER, bids=BIDS, asks=ASKS, n=2)
    driver.send(120, "snapshot", "c2", inst="C", bids=BIDS, asks=ASKS, n=7)
    driver.taken()
    driver.send(200, "beat", n=3)
    driver.send(300, "delta", inst=OTHER, n=5, bids=[["98", "1"]])
    assert driver.losses() == [(INST, "sequence"), (OTHER, "sequence")]
    assert [(gap.expected, gap.got) for gap in driver.said("gap")] == [(4, 5), (4, 5)]
    assert driver.taken() == [f"c1 again {INST}", f"c1 again {OTHER}"]
    assert driver.standing("C") is Standing.LIVE
    driver.send(400, "snapshot", inst=OTHER, bids=BIDS, asks=ASKS, n=6)
    assert (driver.standing(OTHER), driver.standing()) == (Standing.LIVE, Standing.SEEDING)


@pytest.mark.parametrize("n", [11, 12])
def test_frame_that_repeats_a_number_or_comes_late_is_a_duplicate(n: int) -> None:
    driver = pushed(LINKWIDE, INST, OTHER)
    driver.send(200, "delta", n=12, bids=[["99", "7"]])
    driver.send(210, "delta", n=n, bids=[["99", "9"]])
    driver.send(300, "delta", n=13, bids=[["98", "1"]])
    assert driver.levels()[0] == [*BIDS[:2], ["99", "7"], ["98", "1"]]
    assert (driver.losses(), driver.counts()) == ([], (4, 3, 1, 0, 0, 0))


def test_link_wide_numbers_stand_in_the_line_without_a_predecessor() -> None:
    driver = pushed(LINKWIDE)
    driver.send(200, "delta", n=11, bids=[["99", "7"]])
    driver.stop(300)
    assert [(line.seq, line.prev_seq) for line in driver.lines] == [(11, None)]


def test_unreadable_frame_shows_by_the_next_number() -> None:
    driver = pushed(LINKWIDE)
    driver.raw(200, "{")
    assert driver.losses() == []
    driver.send(300, "beat", n=12)
    assert driver.losses() == [(INST, "sequence")]


def test_number_starts_anew_with_the_connection() -> None:
    driver = pushed(LINKWIDE)
    driver.close("c1", 200)
    driver.open("c1", 300)
    driver.send(400, "snapshot", bids=BIDS, asks=ASKS, n=1)
    driver.send(500, "delta", n=2)
    assert (driver.losses(), driver.standing()) == ([(INST, "disconnect")], Standing.LIVE)


# ---- checksums in frames of their own ------------------------------------------------------------------------------


def sums(driver: Driver) -> int:
    """Compute the right checksum of the book as it stands."""
    return driver.venue.checksum(*driver.levels())


def test_checksum_frame_belongs_to_the_update_before_it() -> None:
    driver = pushed(SUMMED)
    driver.send(200, "delta", seq=11, prev=10, bids=[["100", "5"]])
    driver.send(201, "checksum", sum=sums(driver))
    driver.stop(300)
    (line,) = driver.lines
    assert (line.seq, line.checksum, line.checksum_ok, line.flags) == (11, sums(driver), True, ())
    assert (driver.counts(), driver.keeper().checksums["ok"]) == ((3, 3, 0, 0, 0, 0), 1)
    assert driver.said("canary") == []


def test_wrong_checksum_flags_the_line_and_the_next_update_is_unchecked() -> None:
    driver = pushed(SUMMED)
    driver.send(200, "delta", seq=11, prev=10)
    driver.send(201, "checksum", sum=1)
    driver.send(2_100, "delta", seq=12, prev=11)
    driver.stop(2_200)
    found = [(line.seq, line.checksum, line.checksum_ok, line.flags) for line in driver.lines]
    assert found == [(11, 1, False, ("checksum_mismatch",)), (12, None, None, ())]
    (note,) = driver.said("checksum_mismatch")
    assert (note.expected, note.got, driver.losses()) == (1, sums(driver), [])


def test_third_wrong_checksum_in_a_row_is_a_loss() -> None:
    driver = pushed(SUMMED)
    for count in range(3):
        assert driver.losses() == []
        driver.send(200 + count, "checksum", sum=1)
    assert (driver.losses(), driver.taken()) == ([(INST, "checksum")], [f"c1 again {INST}"])
    assert driver.counts() == (4, 4, 0, 0, 0, 0)


def test_right_checksum_ends_a_row_of_wrong_ones() -> None:
    driver = pushed(SUMMED)
    for _ in range(5):
        driver.send(200, "checksum", sum=1)
        driver.send(200, "checksum", sum=1)
        driver.send(200, "checksum", sum=sums(driver))
    assert driver.losses() == []


def test_checksum_after_a_resync_that_fails_again_ends_all_checks() -> None:
    driver = pushed(SUMMED)
    for _ in range(3):
        driver.send(200, "checksum", sum=1)
    driver.send(300, "snapshot", bids=BIDS, asks=ASKS, seq=20)
    for at in range(400, 410):
        driver.send(at, "checksum", sum=1)
    assert (driver.losses(), driver.standing()) == ([(INST, "checksum")], Standing.LIVE)
    assert [note.reason for note in driver.said("canary")] == ["algorithm_changed"]


def test_where_checksums_are_the_only_test_one_wrong_is_a_loss() -> None:
    driver = Driver(replace(SUMMED, continuity=Continuity.CHECKSUM))
    driver.send(100, "snapshot", bids=BIDS, asks=ASKS)
    driver.send(200, "delta", bids=[["98", "1"]])
    driver.send(201, "checksum", sum=1)
    assert driver.losses() == [(INST, "checksum")]


def test_checksum_before_the_first_book_says_nothing() -> None:
    driver = Driver(SUMMED)
    driver.send(100, "checksum", sum=1)
    driver.send(200, "snapshot", bids=BIDS, asks=ASKS, seq=10)
    driver.send(201, "checksum", sum=sums(driver))
    assert (driver.counts(), driver.keeper().checksums) == ((3, 2, 0, 1, 0, 0), {"unchecked": 1, "ok": 1})
