"""The soak judges rightly: losses that are not declared, losses without a fault, memory that grows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import faults, page
from benchmarks.soak.day import Day, Plan, lived
from benchmarks.soak.judging import Loss, uncaused, undeclared
from benchmarks.soak.running import saved
from l2_exporter.simulator.faultspec import parse_faults
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.venues.registry import VENUES

T0 = datetime(2026, 11, 25, 12, tzinfo=UTC)
INST = "BTC-USDT-SWAP"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def fault(name: str, seconds: float, inst: str | None = INST, **more: Any) -> dict[str, Any]:
    told = {"venue": "okx", "fault": name, "inst": inst, "conn": "sim-1", "seq_from": 1, "seq_to": 2, "detail": None}
    return {**told, "moment": at(seconds), **more}


def loss(since: float, until: float | None, reason: str = "sequence", inst: str = INST, venue: str = "okx") -> Loss:
    return Loss(venue, inst, reason, at(since), at(since + 0.5), None if until is None else at(until))


LIVE = {("okx", INST): at(0), ("coinbase", INST): at(0), ("bitfinex", INST): at(0)}


def test_a_lost_update_must_lie_in_a_loss_of_its_book() -> None:
    drops = [fault("drop", 10), fault("drop", 30), fault("drop", -5), fault("drop", 50, "OTHER")]
    assert [*undeclared(drops, [loss(9.5, 12)], LIVE)] == [drops[1]]
    assert [*undeclared(drops, [loss(9.5, None)], LIVE)] == []
    assert [*undeclared(drops, [loss(9.5, 12, inst="OTHER"), loss(29, 31)], LIVE)] == [drops[0]]


def test_what_nobody_can_notice_is_no_lost_update() -> None:
    unnumbered = fault("drop", 10, venue="coinbase")
    on_two = [fault("notice", 5, None), fault("drop", 10)]
    to_the_dead = [fault("half_open", 5, None), fault("drop", 10)]
    to_another = [fault("half_open", 5, None, conn="sim-2"), fault("drop", 10)]
    assert [*undeclared([unnumbered, fault("duplicate", 10)], [], LIVE)] == []
    assert [*undeclared(on_two, [], LIVE)] == []
    assert [*undeclared(to_the_dead, [], LIVE)] == []
    assert [*undeclared(to_another, [], LIVE)] == [to_another[1]]


def test_a_loss_needs_a_fault_of_its_book_or_its_connection() -> None:
    losses = [loss(9.5, 12), loss(40, 41), loss(60, 61, "disconnect")]
    assert [*uncaused([fault("drop", 10), fault("drop", 40, "OTHER"), fault("close", 59, None)], losses)] == [losses[1]]
    shared = [loss(9.5, 12, venue="bitfinex")]
    assert [*uncaused([fault("drop", 10, "OTHER", venue="bitfinex")], shared)] == []
    assert [*uncaused([fault("duplicate", 10, "OTHER", venue="bitfinex")], shared)] == shared


@pytest.mark.parametrize("venue", VENUES)
def test_faults_are_drawn_from_the_seed_and_are_such_as_the_venue_can_show(venue: str) -> None:
    lacks = DIALECTS[venue](1).lacks
    text = faults.drawn(venue, 1, 1800, lacks)
    assert text == faults.drawn(venue, 1, 1800, lacks) != faults.drawn(venue, 2, 1800, lacks)
    assert {spec.name for spec in parse_faults(text)}.isdisjoint(lacks)


def samples(*rss: float) -> list[dict[str, float]]:
    return [{"rss_mib": each, "age_s": 5.0, "waiting": 0} for each in rss]


def test_memory_that_grows_is_told() -> None:
    assert page.thirds(samples(1, 2, 3, 10, 11, 12, 20, 30, 40), "rss_mib") == (2, 11, 30)
    assert page.is_flat(100, 105)
    assert page.is_flat(20, 24)
    assert not page.is_flat(100, 106)


def test_a_day_seals_its_hours_and_lets_retention_do_its_work(tmp_path: Path) -> None:
    plan = Plan(hours=3, venues=("okx", "kraken"), instruments=1, step_s=60, compress_after="1h", delete_after="2h")
    day = lived(plan, tmp_path / "v")
    assert (day.books, day.defects, len(day.rss_mib)) == ((2, 2), 0, 3)
    assert day.compressed > 0
    assert day.deleted > 0
    assert all(holds for what, _, holds in page.day_checks(saved(day)) if "memory" not in what)


@pytest.mark.soak
def test_memory_at_hour_24_is_that_of_hour_2(tmp_path: Path) -> None:
    day: Day = lived(Plan(), tmp_path / "v")
    assert [what for what, _, holds in page.day_checks(saved(day)) if not holds] == []
