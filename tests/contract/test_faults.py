"""What every venue must do when something goes wrong on the wire, each fault by itself, on its default channel.

No venue is exempt: where it lacks a means to notice (numbers, a checksum), the test asserts that it does not notice.
"""

from pathlib import Path

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.state import Standing
from l2_exporter.core.venue import Continuity, Scope, Seeding
from l2_exporter.simulator.faultkinds import FAULTS
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.simulator.wire import Kind
from tests.tools.contract import BOOKS, SHARING, Recording, Subject, exchange_of, protocols, recorded, shown, subjects
from tests.tools.wired import REST

every_protocol = pytest.mark.parametrize("subject", protocols(), ids=str)
every_channel = pytest.mark.parametrize("subject", subjects(), ids=str)
LIVE = [Standing.LIVE] * BOOKS
FIRST = {Seeding.PUSHED: Kind.SNAPSHOT, Seeding.REST: Kind.DELTA}
"""What a subscription brings first, on channels that tell changes."""
NAMES_NO_BOOKS = {
    *("binance", "binance_coinm", "binance_spot", "aster"),
    *("bybit", "bybit_inverse", "bybit_spot"),
    "backpack",
}
"""Venues that confirm a request without naming its books, or (Backpack) answer nothing to one that is right."""
REASONS = {Continuity.SEQUENCE: "sequence", Continuity.CHECKSUM: "checksum"}


def assert_recovered(recording: Recording) -> None:
    """Every line is true, every book is live again and up to date, what was lost is declared, and nothing else."""
    assert recording.wrong() == []
    assert recording.undeclared() == []
    assert recording.uncaused() == []
    assert recording.standing() == LIVE
    assert recording.behind() == []


def assert_asked_once(recording: Recording, inst: str) -> None:
    """A lost book was asked for once, in the way of its channel; `rest` is also how a stream of changes begins."""
    if recording.subject.joins_rest:
        path = recording.subject.venue.book_path(recording.subject.channel.name, inst)
        urls = [line.url for line in recording.evidence.tape if line.dir == "http"]
        assert (recording.said("resync", inst), urls.count(f"{REST}{path}")) == (["rest", "rest"], 2)
    else:
        pushes = [heard.push for heard in recording.wired.heard if heard.push is not None and heard.push.inst == inst]
        firsts = [push for push in pushes if push.kind is Kind.SNAPSHOT]
        assert (recording.said("resync", inst), len(firsts)) == (["resubscribe"], 2)


@every_channel
def test_books_are_subscribed_confirmed_and_recorded_and_nothing_is_declared(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v")
    assert_recovered(recording)
    assert recording.losses() == []
    assert recording.said("canary") in ([], ["checksum_zero"], ["checksum_absent"])
    assert recording.said("resync") == (["rest"] * BOOKS if subject.joins_rest else [])
    confirmed = [line["detail"]["instId"] for line in recording.evidence.ledger if line["kind"] == "subscribed"]
    assert sorted(confirmed) == ([] if subject.venue.name in NAMES_NO_BOOKS else sorted(recording.insts))
    for inst in recording.insts:
        kinds = [heard.push.kind for heard in recording.wired.heard if heard.push and heard.push.inst == inst]
        assert kinds[0] is (Kind.WHOLE if subject.channel.whole else FIRST[subject.channel.seeding])
        assert {*kinds[1:]} == {Kind.WHOLE if subject.channel.whole else Kind.DELTA}
    for inst in recording.insts:
        lines = [line for line in recording.lines if line["instId"] == inst]
        assert len(lines) >= 10
        always = [] if subject.channel.event_time else ["no_event_time"]
        firsts = ["seeded_from_rest"] if subject.joins_rest else []
        for place, line in enumerate(lines):
            knowledge_ends = recording.orders is not None and recording.orders.ends_within(line)
            wanted = [*(firsts if place == 0 else []), *always, *(["partial_depth"] if knowledge_ends else [])]
            assert line["flags"] == wanted


@every_channel
def test_update_that_is_lost(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "drop@10s/{A}")
    assert recording.faults()["drop"] == 1
    if subject.numbered and not subject.channel.whole:
        assert recording.losses() == [(inst, "sequence") for inst in subject.sharing(recording.insts)]
        assert_recovered(recording)
        assert_asked_once(recording, recording.insts[0])
    elif subject.channel.continuity is Continuity.CHECKSUM:
        assert recording.losses() == [(recording.insts[0], "checksum")]
        assert_recovered(recording)
    else:
        assert recording.losses() == []
        wrong = {line["instId"] for line in recording.wrong()}
        assert wrong == ({recording.insts[0]} if subject.forgetful else set())


@every_protocol
def test_update_that_comes_twice(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "duplicate@10s/{A}")
    assert recording.faults()["duplicate"] == 1
    assert recording.losses() == []
    assert_recovered(recording)
    can_tell = subject.numbered or subject.channel.whole
    assert [counts.duplicate for counts in recording.counts()] == [int(can_tell), 0, 0]


@every_protocol
def test_update_that_comes_behind_its_successor(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "reorder@10s/{A}")
    assert recording.faults()["reorder"] == 1
    if subject.forgetful or subject.channel.whole:
        assert recording.losses() == []
        assert recording.unexcused() == []
        assert {line["instId"] for line in recording.wrong()} <= ({recording.insts[0]} if subject.forgetful else set())
        return
    reason = REASONS[subject.channel.continuity]
    assert recording.losses() == [(inst, reason) for inst in subject.sharing(recording.insts)]
    assert_recovered(recording)


@every_protocol
@pytest.mark.parametrize("seed", [3, 4])
def test_update_that_is_damaged(subject: Subject, tmp_path: Path, seed: int) -> None:
    """Its seed lets it lack a field (3) or be cut off (4): either way what it said is missing from then on."""
    recording = recorded(subject, tmp_path / "v", "corrupt@10s/{A}", seed=seed)
    assert recording.faults()["corrupt"] == 1
    assert {inst for inst, _ in recording.losses()} <= {*recording.insts[:SHARING]}
    if not subject.channel.whole:
        assert recording.insts[0] in {inst for inst, _ in recording.losses()}
        assert len(recording.losses()) == len({*recording.losses()})
    assert_recovered(recording)
    assert list((recording.vault / "meta" / subject.venue.name / "rejected").iterdir()) != []


@every_protocol
def test_checksum_that_is_wrong(subject: Subject, tmp_path: Path) -> None:
    served = DIALECTS[subject.venue.name](1).channels[subject.channel.name]
    assert served.checksum is subject.channel.checksum
    if not subject.channel.checksum:
        recording = recorded(subject, tmp_path / "v", shown(subject, "bad_checksum@10s/{A}"))
        assert (recording.faults()["bad_checksum"], recording.losses()) == (0, [])
        assert {(line["checksum"], line["checksum_ok"]) for line in recording.lines} == {(None, None)}
        return
    recording = recorded(subject, tmp_path / "v", "checksum=right,bad_checksum@10s/{A}")
    assert recording.faults()["bad_checksum"] == 1
    assert recording.said("checksum_mismatch", recording.insts[0]) == [None]
    only_test = subject.channel.continuity is Continuity.CHECKSUM
    assert recording.losses() == ([(recording.insts[0], "checksum")] if only_test else [])
    assert recording.wrong() == []
    assert {line["checksum_ok"] for line in recording.lines} >= {True}


@every_protocol
def test_size_that_is_wrong_goes_unnoticed_but_where_a_checksum_tells(subject: Subject, tmp_path: Path) -> None:
    """Its seed lets it be of the best levels or orders, of which a checksum is made; of others it tells nothing."""
    sums = "checksum=right," if subject.channel.checksum else ""
    recording = recorded(subject, tmp_path / "v", f"{sums}wrong_size@10s/{{A}}", seed=4)
    assert recording.faults()["wrong_size"] == 1
    if subject.channel.checksum:
        assert recording.said("checksum_mismatch", recording.insts[0]) != []
        return
    assert recording.losses() == []
    assert {line["instId"] for line in recording.wrong()} == {recording.insts[0]}
    assert {line["checksum_ok"] for line in recording.lines} == {None}


@every_protocol
def test_frames_that_are_held_back_and_then_all_come_at_once(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "stall:5s@8s")
    assert recording.losses() == []
    assert_recovered(recording)


@every_protocol
def test_connection_that_is_dead_but_open(subject: Subject, tmp_path: Path) -> None:
    seconds = 10 + subject.venue.link.dead_after_s + 15
    recording = recorded(subject, tmp_path / "v", "half_open:10m@10s/{A}", seconds=seconds)
    assert recording.losses() == [(inst, "stale") for inst in recording.insts[:SHARING]]
    assert_recovered(recording)


@every_protocol
def test_connection_that_the_venue_closes(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "close@10s/{A}")
    assert recording.losses() == [(inst, "disconnect") for inst in recording.insts[:SHARING]]
    assert_recovered(recording)


@every_protocol
def test_connection_that_breaks_off_within_a_frame(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "close_mid_frame@10s/{C}")
    assert recording.losses() == [(recording.insts[2], "disconnect")]
    assert_recovered(recording)


@every_protocol
def test_close_that_is_announced(subject: Subject, tmp_path: Path) -> None:
    if "notice" in DIALECTS[subject.venue.name](1).lacks:
        with pytest.raises(ConfigError, match="nothing like notice"):
            exchange_of(subject, "notice:4s@10s")
        return
    recording = recorded(subject, tmp_path / "v", "notice:4s@10s/{A}")
    assert [reason for reason in recording.said("maintenance") if reason == "closing_soon"] == ["closing_soon"]
    provable = subject.numbered and subject.channel.scope is Scope.BOOK
    assert recording.losses() == ([] if provable else [(inst, "disconnect") for inst in recording.insts[:SHARING]])
    assert_recovered(recording)


@every_protocol
def test_first_book_that_is_lost(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", shown(subject, "drop_snapshot@0s/{A}"), seconds=25)
    pushes = DIALECTS[subject.venue.name](1).channels[subject.channel.name].pushes_snapshot
    assert pushes is not subject.joins_rest
    assert recording.faults()["drop_snapshot"] == int(pushes and not subject.channel.whole)
    assert recording.losses() == []
    assert_recovered(recording)


@every_protocol
def test_rest_that_is_slow_and_fails_at_times(subject: Subject, tmp_path: Path) -> None:
    faults = shown(subject, "rest_late:2s,rest_5xx@0s/{A},rest_429@0s/{B},drop@20s/{A},rest_html@20s/{A}")
    recording = recorded(subject, tmp_path / "v", faults, seconds=60 if subject.joins_rest else 25)
    if subject.joins_rest:
        assert recording.losses() == [(recording.insts[0], "sequence")]
        assert [recording.said("resync", inst) for inst in recording.insts] == [
            ["rest", "rest_failed", "rest", "rest", "rest_failed", "rest"],
            ["rest", "rest_failed", "rest"],
            ["rest"],
        ]
        assert recording.said("suspect") == []
    if not subject.forgetful:
        assert_recovered(recording)


@every_protocol
def test_rest_that_is_cached(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", shown(subject, "rest_cached:10s,drop@12s/{A}"), seconds=30)
    if subject.joins_rest:
        assert recording.losses() == [(recording.insts[0], "sequence")]
    if not subject.forgetful:
        assert_recovered(recording)


@every_protocol
def test_field_that_has_another_name_stops_the_venue(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "schema_change@10s")
    stopped = recording.wired.recorder.build_fail or ""
    assert stopped.startswith(f"BUILD_FAIL venue={subject.venue.name} channel={subject.channel.name} missing=[")
    assert not stopped.endswith("[]")
    assert sorted({inst for inst, _ in recording.losses()}) == sorted(recording.insts)
    assert len(recording.said("schema_break")) == 1
    assert recording.wrong() == []


@every_protocol
def test_faults_that_a_venue_cannot_show_are_refused_and_all_others_accepted(subject: Subject) -> None:
    lacks = DIALECTS[subject.venue.name](1).lacks
    assert lacks <= {*FAULTS}
    for kind in FAULTS.values():
        if kind.name in lacks:
            with pytest.raises(ConfigError, match=f"nothing like {kind.name}"):
                exchange_of(subject, kind.example)
        else:
            exchange_of(subject, kind.example.replace("ETH-USDT-SWAP", "{A}"))
