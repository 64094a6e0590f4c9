"""The sampling rule, case by case, on the feed: which states become lines, and when (docs/FORMAT.md)."""

import pytest

from l2_exporter.core.history import NoHistory
from l2_exporter.core.records import BookSpec
from l2_exporter.core.sampling import Floor, Sampler
from tests.okx_frames import MS, T0, Driver, S, snapshot, update

HOUR_MS = 3_600_000


def stamps(driver: Driver) -> list[tuple[int, bool]]:
    """List the lines as (event time in ms after T0, gap)."""
    return [(line.event_ns // MS - T0, line.gap) for line in driver.lines]


def chain(driver: Driver, *times: int, start: int = 1) -> None:
    """Feed a snapshot and updates at these times (ms after T0), in sequence."""
    driver.send(snapshot(T0 + times[0], start))
    for number, time in enumerate(times[1:], start + 1):
        driver.send(update(T0 + time, number, number - 1, bids=[["98", str(number), "0", "1"]]))


def test_line_is_the_last_state_of_its_bucket_written_by_the_first_update_of_a_later_one() -> None:
    driver = Driver()
    chain(driver, 0, 700, 1999)
    assert stamps(driver) == []
    driver.send(update(T0 + 2000, 4, 3))
    assert stamps(driver) == [(1999, False)]
    assert driver.lines[0].bids == [["100", "1", "0", "1"], ["99.5", "2", "0", "1"], ["98", "3", "0", "1"]]
    assert (driver.lines[0].seq, driver.lines[0].prev_seq) == (3, 2)


def test_deadline_is_end_of_bucket_plus_grace_from_the_receive_time_of_the_first_update() -> None:
    driver = Driver()
    chain(driver, 500)
    # received at 550; the bucket ends 1500 ms after its book time; grace 1000 ms
    driver.tick(T0 + 3049)
    assert stamps(driver) == []
    driver.tick(T0 + 3050)
    assert stamps(driver) == [(500, False)]


def test_deadline_due_at_an_update_is_run_before_it_even_if_the_update_is_of_the_same_bucket() -> None:
    driver = Driver()
    chain(driver, 500)
    driver.send(update(T0 + 600, 2, 1), at_ms=T0 + 3050)
    assert stamps(driver) == [(500, False)]
    driver.stop(T0 + 3100)
    # the late update went to the next bucket, whose line it is
    assert stamps(driver) == [(500, False), (600, False)]


def test_late_bucket_is_closed_by_the_bucket_after_the_next() -> None:
    driver = Driver()
    chain(driver, 500)
    driver.send(update(T0 + 600, 2, 1), at_ms=T0 + 3050)
    driver.send(update(T0 + 2500, 3, 2), at_ms=T0 + 3060)
    driver.send(update(T0 + 4000, 4, 3), at_ms=T0 + 4050)
    assert stamps(driver) == [(500, False), (2500, False)]


def test_quiet_market_gives_one_line_and_then_nothing() -> None:
    driver = Driver()
    chain(driver, 0)
    for second in range(1, 60):
        driver.tick(T0 + second * 1000)
    driver.stop(T0 + 60_000)
    assert stamps(driver) == [(0, False)]


def test_update_without_receive_time_has_no_deadline() -> None:
    driver = Driver()
    from l2_exporter.core.inputs import UNKNOWN

    driver._sort(driver.feed.frame_received("c1", snapshot(T0, 1), UNKNOWN))
    driver.tick(T0 + 100_000)
    assert stamps(driver) == []
    driver.stop(T0 + 100_000)
    assert stamps(driver) == [(0, False)]
    assert driver.lines[0].recv_ns is None


def test_book_time_never_falls() -> None:
    driver = Driver()
    chain(driver, 1000)
    driver.send(update(T0 + 400, 2, 1), at_ms=T0 + 1100)
    driver.stop(T0 + 1200)
    assert stamps(driver) == [(1000, False)]
    assert driver.lines[0].seq == 2


def test_cadence_of_its_own() -> None:
    driver = Driver(cadence_ns=100 * MS)
    chain(driver, 0, 50, 100, 199, 305)
    driver.stop(T0 + 400)
    assert stamps(driver) == [(50, False), (199, False), (305, False)]


class Earlier(NoHistory):
    """An archive whose hour file of T0 ends with one line."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        return self._floor if hour == self._floor.event_ns // (HOUR_MS * MS) else None


def test_restart_in_the_same_bucket_waits_for_the_next_one() -> None:
    driver = Driver(Earlier(Floor((T0 + 300) * MS, gap=False)))
    chain(driver, 700, 1500, 2100)
    driver.stop(T0 + 2200)
    # 700 and 1500 belong to the bucket after the file's last line, like 2100
    assert stamps(driver) == [(2100, False)]


def test_restart_in_the_same_bucket_still_writes_what_the_closed_bucket_has_to_say() -> None:
    driver = Driver(Earlier(Floor((T0 + 300) * MS, gap=False)))
    chain(driver, 700)
    driver.stop(T0 + 800)
    assert stamps(driver) == [(700, False)]


def test_repeated_run_samples_as_the_first_one_did() -> None:
    times = [0, 500, 2600, 2700, 4100, 6500]
    first = Driver()
    chain(first, *times)
    first.stop(T0 + 7000)
    for line in first.lines:
        again = Driver(Earlier(Floor(line.event_ns, line.gap)))
        chain(again, *times)
        again.stop(T0 + 7000)
        new = [other for other in again.lines if other.event_ns > line.event_ns]
        assert new == [other for other in first.lines if other.event_ns > line.event_ns]


@pytest.mark.parametrize("cadence_s", [7, 3600])
def test_bucket_may_span_hours(cadence_s: int) -> None:
    driver = Driver(cadence_ns=cadence_s * S)
    boundary = (T0 // HOUR_MS + 1) * HOUR_MS - T0
    chain(driver, boundary - 10_000, boundary - 1, boundary + 1, boundary + 20_000)
    driver.stop(T0 + boundary + 20_100)
    buckets = [line.event_ns // (cadence_s * S) for line in driver.lines]
    assert buckets == sorted(set(buckets))
    assert stamps(driver)[-1] == (boundary + 20_000, False)


def test_lines_of_one_run_ascend_in_their_hour() -> None:
    sampler = Sampler(2 * S, S, lambda hour: None)
    at = T0 * MS
    assert [sampler.ascends(at, False), sampler.ascends(at, True), sampler.ascends(at, False)] == [True, True, False]
    assert not sampler.ascends(at - 1, True)
    assert sampler.ascends(at - HOUR_MS * MS, False)
