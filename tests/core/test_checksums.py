"""Checksums on the OKX feed: verified over the venue's own text, and every rule on what a mismatch means."""

import pytest

from l2_exporter.venues.okx import Okx
from tests.okx_frames import ASKS, BIDS, INST, MS, T0, Driver, snapshot, update

GOOD = Okx().checksum(BIDS, ASKS)


def sum_with(*more_bids: list[str]) -> int:
    """Compute the checksum of the usual book with more bids, which must lie below the others."""
    return Okx().checksum([*BIDS, *more_bids], ASKS)


def numbered(count: int, checksum: int, driver: Driver, start: int = 11) -> None:
    """Feed empty updates in sequence, all with this checksum."""
    for seq in range(start, start + count):
        driver.send(update(T0 + 100 * seq, seq, seq - 1, checksum=checksum))


def test_right_checksum_is_said_with_the_line() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(1, GOOD, driver)
    driver.stop(T0 + 2000)
    assert (driver.lines[0].checksum, driver.lines[0].checksum_ok, driver.lines[0].flags) == (GOOD, True, ())


def test_checksum_covers_the_venues_text_not_the_number() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, bids=[["100.0", "1", "0", "1"]], checksum=GOOD))
    assert driver.said("checksum_mismatch")[0].expected == GOOD


@pytest.mark.parametrize(("checksum", "reason"), [(0, "checksum_zero"), (None, "checksum_absent")])
def test_no_checksum_is_no_mismatch_but_one_canary(checksum: int | None, reason: str) -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=checksum))
    driver.send(update(T0 + 100, 11, 10, checksum=checksum))
    driver.send(snapshot(T0, 10, checksum=checksum, inst="ETH-USDT-SWAP"))
    driver.stop(T0 + 200)
    assert [record.reason for record in driver.said("canary")] == [reason]
    assert (driver.lines[0].checksum, driver.lines[0].checksum_ok) == (checksum, None)


def test_zero_on_an_empty_book_is_its_true_checksum_and_no_canary() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, bids=[], asks=[], checksum=0))
    assert driver.said("canary") == []


@pytest.mark.parametrize("wrong", [77, -1, -(1 << 31)])
def test_mismatch_with_a_sequence_is_a_flag_and_one_warning_a_row(wrong: int) -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(2, wrong, driver)
    driver.stop(T0 + 1300)
    assert (driver.lines[0].checksum_ok, driver.lines[0].flags) == (False, ("checksum_mismatch",))
    warnings = driver.said("checksum_mismatch")
    assert [(record.expected, record.got) for record in warnings] == [(wrong, GOOD)]
    assert driver.said("gap") == []


@pytest.mark.parametrize("none", [0, None])
def test_checksums_that_come_after_all_are_checked(none: int | None) -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=none))
    driver.send(update(T0 + 100, 11, 10, checksum=none))
    driver.send(update(T0 + 200, 12, 11, checksum=77))
    driver.send(update(T0 + 300, 13, 12, checksum=None if none == 0 else 0))
    driver.stop(T0 + 1300)
    assert [record.expected for record in driver.said("checksum_mismatch")] == [77]
    assert [record.reason for record in driver.said("canary")] == (
        ["checksum_zero", "checksum_absent"] if none == 0 else ["checksum_absent", "checksum_zero"]
    )


def test_match_ends_a_row_of_mismatches() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    for start in (11, 14, 17):
        numbered(2, 77, driver, start)
        numbered(1, GOOD, driver, start + 2)
    assert driver.said("gap") == []
    assert len(driver.said("checksum_mismatch")) == 3


def test_third_mismatch_in_a_row_is_a_loss_and_is_not_applied() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(2, 77, driver)
    driver.send(update(T0 + 1300, 13, 12, checksum=77, bids=[["99", "1", "0", "1"]]))
    gap = driver.said("gap")[0]
    assert (gap.reason, gap.expected, gap.got) == ("checksum", 77, sum_with(["99", "1"]))
    line = driver.lines[0]
    assert (line.event_ns // MS - T0, line.bids, line.seq) == (1200, BIDS, 12)
    assert line.flags == ("gap", "checksum_mismatch")
    assert driver.counts() == (4, 3, 0, 0, 1, 0)


def test_mismatches_are_not_carried_into_the_next_episode() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(2, 77, driver)
    driver.send(update(T0 + 1300, 99, 98, checksum=GOOD))
    driver.send(snapshot(T0 + 1400, 200, checksum=GOOD))
    numbered(2, 77, driver, 201)
    assert [record.reason for record in driver.said("gap")] == ["sequence"]


@pytest.mark.parametrize(("limit", "losses"), [(0, 0), (1, 9), (5, 1)])
def test_how_many_in_a_row_is_configurable_and_zero_means_never(limit: int, losses: int) -> None:
    driver = Driver(checksum_resync=limit)
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(9, 77, driver)
    assert len(driver.said("gap")) == min(losses, 1)


def test_failure_right_after_the_fresh_snapshot_means_the_venue_changed_and_checking_stops() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(3, 77, driver)
    driver.send(snapshot(T0 + 2000, 30, checksum=78))
    numbered(9, 79, driver, 31)
    driver.send(snapshot(T0 + 2000, 30, checksum=78, inst="ETH-USDT-SWAP"))
    driver.stop(T0 + 9000)
    assert [(record.reason, record.got) for record in driver.said("canary")] == [("algorithm_changed", GOOD)]
    assert [record.reason for record in driver.said("gap")] == ["checksum"]
    assert all(line.checksum_ok is None for line in driver.lines[1:])
    assert driver.feed.keepers["books", INST].checksums == {"ok": 1, "mismatch": 3, "changed": 1, "unchecked": 9}


def test_success_after_the_fresh_snapshot_means_the_book_was_wrong_and_checking_goes_on() -> None:
    driver = Driver()
    driver.send(snapshot(T0, 10, checksum=GOOD))
    numbered(3, 77, driver)
    driver.send(snapshot(T0 + 2000, 30, checksum=GOOD))
    numbered(3, 77, driver, 31)
    assert [record.reason for record in driver.said("gap")] == ["checksum", "checksum"]


def test_without_a_sequence_one_mismatch_is_a_loss_of_the_book_before_it() -> None:
    driver = Driver()
    driver.send(snapshot(T0, None, None, checksum=GOOD))
    driver.send(update(T0 + 100, None, None, bids=[["99", "1", "0", "1"]], checksum=sum_with(["99", "1"])))
    driver.send(update(T0 + 2100, None, None, bids=[["98", "1", "0", "1"]], checksum=77))
    assert driver.said("gap")[0].reason == "checksum"
    assert [(line.event_ns // MS - T0, line.gap, line.bids) for line in driver.lines] == [
        (100, True, [*BIDS, ["99", "1", "0", "1"]])
    ]
    assert (driver.lines[0].checksum_ok, driver.lines[0].flags) == (True, ("gap",))
    driver.send(update(T0 + 2200, None, None, checksum=GOOD))
    assert driver.counts() == (4, 2, 0, 1, 1, 0)


def test_without_a_sequence_a_snapshot_that_fails_its_own_checksum_is_no_book() -> None:
    driver = Driver()
    driver.send(snapshot(T0, None, None, checksum=77))
    driver.send(snapshot(T0 + 100, None, None, checksum=GOOD))
    driver.stop(T0 + 200)
    assert [line.event_ns // MS - T0 for line in driver.lines] == [100]
    assert driver.counts() == (2, 1, 0, 0, 1, 0)
