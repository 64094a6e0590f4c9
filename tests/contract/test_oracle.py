"""The oracle of the other tests here, by itself: it sees what is wrong, missing, late or declared without a cause."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.core.state import Standing
from l2_exporter.core.timetext import utc_text
from l2_exporter.core.venue import Scope
from tests.tools.contract import Recording, Subject, begun, protocols, recorded
from tests.tools.contract_causes import CHANGE_NUMBERS, LINK_NUMBERS, Causes
from tests.tools.truth import Window

of_links = [each for each in protocols() if each.channel.scope is Scope.LINK]
every_link_numbered = pytest.mark.parametrize("subject", of_links, ids=str)


def one_of_a_kind() -> list[Subject]:
    """List the first channel of each way to prove and to begin a book, and those whose numbers stand elsewhere."""
    kinds: dict[object, Subject] = {}
    for each in protocols():
        has_own_numbers = each.venue.name in {*LINK_NUMBERS, *CHANGE_NUMBERS}
        kind = (each.proof, each.joins_rest, each.channel.whole, each.channel.orders, has_own_numbers)
        kinds.setdefault(kind, each)
    return [*kinds.values()]


every_kind = pytest.mark.parametrize("subject", one_of_a_kind(), ids=str)

REASONS = ("sequence", "checksum", "venue_reset", "disconnect", "stale", "clock")
OKX_JUMP = (
    '{{"arg":{{"channel":"books","instId":"{inst}"}},"action":"update","data":[{{"asks":[],"bids":[],'
    '"ts":"1795000008000","checksum":0,"prevSeqId":5,"seqId":7}}]}}'
)
JUMPS = {
    "okx-books": OKX_JUMP,
    "bitfinex-book": '[1,"hb",99999,1795000008000]',
    "coinbase-level2": '{{"channel":"heartbeats","sequence_num":99999,"events":[]}}',
}
"""Frames that no exchange sent, after each of which the recorder is right to think that something is missing."""


def judge(recording: Recording) -> Causes:
    return recording.causes


def claim(conn: str, at: str, reason: str, inst: str) -> Window:
    """Make the declaration of a loss that the recorder did not make."""
    return Window(None, None, {"id": "claimed", "conn": conn, "at": at, "reason": reason, "instId": inst})


def claims(recording: Recording) -> Iterator[tuple[str, Window]]:
    """Claim a loss of every book, for every reason, at every frame that arrived."""
    for heard in recording.wired.heard:
        for inst in recording.insts:
            for reason in REASONS:
                yield inst, claim(heard.conn, utc_text(heard.recv_ns, 6), reason, inst)


def moved(window: Window, **changes: Any) -> Window:
    """Make the same declaration with something else in it."""
    return replace(window, gap={**window.gap, **changes})


def windows(recording: Recording) -> list[tuple[str, Window]]:
    """List what was declared, each with its book."""
    return [(inst, window) for inst in recording.insts for window in recording.evidence.windows[inst]]


@every_kind
def test_no_loss_of_any_book_is_justified_by_any_frame_where_nothing_went_wrong(
    subject: Subject, tmp_path: Path
) -> None:
    """Doubled frames, and all that come at once, are nothing wrong."""
    recording = recorded(subject, tmp_path / "v", "duplicate:0.2,stall:2s@5s", seconds=10)
    assert recording.faults()["duplicate"] > 0
    causes = judge(recording)
    claimed = [*claims(recording)]
    assert {inst for inst, _ in claimed} == {*recording.insts}
    assert [(inst, window.gap) for inst, window in claimed if causes.justify(inst, window)] == []


@every_kind
def test_loss_is_justified_by_its_own_cause_only(subject: Subject, tmp_path: Path) -> None:
    """Of another book, of another moment, on another connection or for another reason it would have none."""
    recording = recorded(subject, tmp_path / "v", "drop@6s/{A},reorder@9s/{A},close@12s/{C}", seconds=16)
    causes = judge(recording)
    declared = windows(recording)
    assert (recording.insts[2], "disconnect") in recording.losses()
    assert [window for inst, window in declared if not causes.justify(inst, window)] == []
    alone, shared = recording.insts[2], recording.insts[0]
    for inst, window in declared:
        conn = window.gap["conn"]
        elsewhere = next(other for other in recording.wired.links if other != conn)
        assert not causes.justify(inst, moved(window, conn=elsewhere))
        assert not causes.justify(inst, moved(window, at="2026-11-18T11:06:44.123456Z"))
        wrong_reasons = [reason for reason in REASONS if reason != window.gap["reason"]]
        assert [reason for reason in wrong_reasons if causes.justify(inst, moved(window, reason=reason))] == []
        if window.gap["reason"] != "disconnect" and subject.channel.scope is Scope.BOOK:
            assert not causes.justify(alone if inst == shared else shared, window)


@pytest.mark.parametrize("subject", [each for each in protocols() if str(each) in JUMPS], ids=str)
def test_loss_for_which_the_exchange_did_nothing_is_told(subject: Subject, tmp_path: Path) -> None:
    recording = begun(subject, tmp_path / "v")
    recording.wired.arrives(8, JUMPS[str(subject)].format(inst=recording.insts[0]))
    recording.wired.run(10)
    assert recording.losses() == [(inst, "sequence") for inst in subject.sharing(recording.insts)]
    uncaused = [(window.gap["instId"], window.gap["reason"]) for window in recording.uncaused()]
    assert uncaused == recording.losses()


def test_every_venue_that_counts_frames_of_a_connection_tells_where_its_numbers_stand() -> None:
    assert {*LINK_NUMBERS} == {each.venue.name for each in of_links}


@every_link_numbered
@pytest.mark.parametrize(
    "faults",
    ["drop@8s/{B}", "corrupt@8s/{B}", "reorder@8s/{B}", "stall:2s@8s/{B}", "drop@8s/{B},drop_snapshot@8s/{B}"],
)
def test_whatever_one_book_lacks_its_connection_lacks(subject: Subject, tmp_path: Path, faults: str) -> None:
    """Also where that shows a step later, or follows from a snapshot or from frames that were held back."""
    recording = recorded(subject, tmp_path / "v", faults, seconds=16, seed=3)
    assert {inst for inst, _ in recording.losses()} == {*recording.insts[:2]}
    assert recording.uncaused() == []
    causes = judge(recording)
    assert [causes.justify(recording.insts[2], window) for _, window in windows(recording)] != []
    assert recording.standing() == [Standing.LIVE] * 3


@every_kind
def test_lines_that_are_wrong_and_books_that_stand_still_are_told(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", seconds=8)
    assert (recording.wrong(), recording.behind(), recording.unexcused()) == ([], [], [])
    last = max((line for line in recording.lines if line["instId"] == recording.insts[1]), key=_time)
    recording.lines.remove(last)
    assert recording.behind() == [recording.insts[1]]
    bids = next(name for name in last if name.startswith("bids_top"))
    false = {**last, bids: last[bids][1:]}
    recording.lines.append(false)
    assert (recording.wrong(), recording.unexcused(), recording.behind()) == ([false], [false], [])


@pytest.mark.parametrize("subject", [each for each in one_of_a_kind() if each.numbered], ids=str)
def test_update_that_is_missing_and_not_declared_is_told(subject: Subject, tmp_path: Path) -> None:
    recording = recorded(subject, tmp_path / "v", "drop@6s/{A}", seconds=10)
    assert recording.undeclared() == []
    recording.evidence.windows[recording.insts[0]].clear()
    lost = [fault for fault in recording.wired.exchange.truth.faults if fault.fault == "drop"]
    steps = [recording.wired.exchange.truth.book(recording.insts[0], fault.seq_to or 0) for fault in lost]
    assert recording.undeclared() == [(recording.insts[0], step.ts) for step in steps if step is not None]
    assert len(steps) == 1


def _time(line: dict[str, Any]) -> tuple[str, bool]:
    return line["timestamp_utc"], line["gap_detected"]
