"""Faults of single frames: each does what it says, says so in the truth, and a client can tell where it lacks what."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2_exporter.simulator.dialects.okx import Okx
from l2_exporter.simulator.truth import FaultLine
from l2_exporter.simulator.wire import Cut, Kind, Send
from tests.simulator.naive import BTC, ETH, MS, T0, Memory, NaiveBook, S, books, chain

CLEAN = 3.0
"""Seconds that most tests run."""


def sends(memory: Memory) -> list[Send]:
    """Return the frames sent so far that carry a book."""
    return [output for output in memory.outputs if isinstance(output, Send) and output.push is not None]


def both(faults: str, seconds: float = CLEAN, *insts: str) -> tuple[Memory, Memory]:
    """Run twice, without and with faults."""
    memories = (Memory(), Memory(faults))
    for memory in memories:
        memory.subscribe(*(insts or (BTC,)))
        memory.run(seconds)
    return memories


def test_drop_loses_exactly_the_updates_it_declares() -> None:
    clean, faulty = both("drop:0.3")
    declared = [(prev, seq) for _, prev, seq in faulty.faults("drop")]
    sent = chain(books(json.loads(send.data) for send in sends(clean)))
    got = chain(books(json.loads(send.data) for send in sends(faulty)))
    assert declared
    assert got == [pair for pair in sent if pair not in declared]


def test_drop_at_a_moment_loses_one_update_and_only_of_the_instrument_named() -> None:
    _, faulty = both(f"drop@1s/{ETH}", CLEAN, BTC, ETH)
    ((inst, prev, seq),) = faulty.faults("drop")
    assert inst == ETH
    numbers = chain(books((json.loads(send.data) for send in sends(faulty)), ETH))
    assert any(a[1] == prev and b[0] == seq for a, b in pairwise(numbers))
    assert faulty.exchange.truth.faults[0].at == "2026-11-18T11:06:41.000000Z"


def test_a_dropped_snapshot_is_acknowledged_and_never_comes() -> None:
    memory = Memory("drop_snapshot@0s")
    assert [answer.get("event") for answer in memory.subscribe(BTC)] == ["subscribe"]
    assert memory.faults("drop_snapshot") != []
    assert all(push["prevSeqId"] != -1 for push in books(memory.run(1)))


def test_duplicate_sends_the_same_text_twice() -> None:
    _, faulty = both("duplicate@1s")
    texts = [send.data for send in sends(faulty)]
    ((_, prev, seq),) = faulty.faults("duplicate")
    (index,) = [index for index, (a, b) in enumerate(pairwise(texts)) if a == b]
    assert chain(books([json.loads(texts[index])])) == [(prev, seq)]


def test_reorder_sends_an_update_after_the_one_that_follows_it() -> None:
    clean, faulty = both("reorder@1s")
    before, after = ([send.data for send in sends(memory)] for memory in (clean, faulty))
    ((_, prev, seq),) = faulty.faults("reorder")
    index = next(index for index, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
    assert after[index : index + 2] == before[index : index + 2][::-1]
    assert after[index + 2 :] == before[index + 2 :]
    assert chain(books([json.loads(after[index + 1])])) == [(prev, seq)]


def test_an_update_held_back_comes_before_the_snapshot_of_a_new_subscription() -> None:
    memory = Memory("reorder@1s")
    memory.subscribe(BTC)
    memory.run(1)
    assert memory.faults("reorder")
    memory.send(json.dumps({"op": "unsubscribe", "args": [{"channel": "books", "instId": BTC}]}))
    memory.outputs.clear()
    memory.subscribe(BTC)
    assert [send.push.kind for send in sends(memory) if send.push] == [Kind.DELTA, Kind.SNAPSHOT]


def test_corrupt_frames_are_cut_off_or_lack_a_field() -> None:
    _, faulty = both("corrupt:0.5", 6)
    damaged = {(line.seq_from, line.seq_to): line.detail for line in faulty.exchange.truth.faults}
    details = set()
    for send in sends(faulty):
        push = send.push
        assert push is not None
        detail = damaged.get((push.prev, push.seq))
        details.add(detail)
        if detail == "cut off":
            with pytest.raises(json.JSONDecodeError):
                json.loads(send.data)
        else:
            assert ("bids" in books([json.loads(send.data)])[0]) == (detail is None)
    assert details == {None, "cut off", "a field has another name"}


def test_garbage_is_binary_no_text_and_loses_nothing() -> None:
    clean, faulty = both("garbage:0.5")
    garbage = [output.data for output in faulty.outputs if isinstance(output, Send) and isinstance(output.data, bytes)]
    assert len(garbage) == len(faulty.faults("garbage")) > 0
    for data in garbage:
        with pytest.raises(UnicodeDecodeError):
            data.decode()
    assert [send.data for send in sends(faulty)] == [send.data for send in sends(clean)]


def test_an_event_time_jumps_in_one_frame_and_the_rows_stay() -> None:
    clean, faulty = both("event_time_jump:0.5", 10)
    jumped = {(line.seq_from, line.seq_to) for line in faulty.exchange.truth.faults}
    times = set()
    for a, b in zip(sends(clean), sends(faulty), strict=True):
        (before,), (after,) = books([json.loads(a.data)]), books([json.loads(b.data)])
        moved = int(str(after["ts"])) - int(str(before["ts"]))
        assert (moved != 0) == ((before["prevSeqId"], before["seqId"]) in jumped)
        assert before | {"ts": ""} == after | {"ts": ""}
        times.add(moved if after["ts"] != "0" else "zero")
    assert {"zero", 0, 90_000, 86_400_000, -3_600_000} <= times


@pytest.mark.parametrize("fault", ["wrong_size", "bad_checksum"])
def test_only_a_checksum_can_tell_a_wrong_size_or_a_bad_checksum(fault: str) -> None:
    memory = Memory(f"checksum=right,{fault}@1s")
    memory.subscribe(BTC)
    memory.run(CLEAN)
    ((_, prev, seq),) = memory.faults(fault)
    wrong = mismatches(memory)
    assert wrong[0] == (prev, seq)
    assert (len(wrong) == 1) or fault == "wrong_size"


def mismatches(memory: Memory) -> list[tuple[object, object]]:
    """Return (prevSeqId, seqId) of the pushes whose checksum is not that of a naive client's book."""
    book, wrong = NaiveBook(), []
    for push in books(json.loads(send.data) for send in sends(memory)):
        book.apply(push)
        bids = sorted((tuple(row) for row in book.bids.values()), key=lambda row: -float(row[0]))
        asks = sorted((tuple(row) for row in book.asks.values()), key=lambda row: float(row[0]))
        if Okx(1).checksum(bids, asks) != push["checksum"]:
            wrong.append((push["prevSeqId"], push["seqId"]))
    return wrong


def test_the_right_checksum_is_that_of_the_clients_book() -> None:
    memory = Memory("checksum=right")
    memory.subscribe(BTC)
    memory.run(10)
    assert mismatches(memory) == []


def test_a_checksum_whose_rule_changes_is_wrong_from_then_on() -> None:
    memory = Memory("checksum=change@2s")
    memory.subscribe(BTC)
    memory.run(4)
    changed = [chain(books([json.loads(send.data)]))[0] for send in sends(memory) if send.at_ns >= T0 + 2 * S]
    assert mismatches(memory) == changed
    assert [line.detail for line in memory.exchange.truth.faults] == [
        "from now on of the book with its sides exchanged"
    ]


def test_the_checksum_can_be_left_out_or_be_zero_per_instrument() -> None:
    memory = Memory(f"checksum=absent/{BTC},checksum=right/ETH*")
    memory.subscribe(BTC, ETH, "BTC-USDT")
    memory.run(1)
    for inst, sums in ((BTC, {None}), ("BTC-USDT", {0})):
        assert {push.get("checksum") for push in books((json.loads(s.data) for s in sends(memory)), inst)} == sums
    assert 0 not in {push["checksum"] for push in books((json.loads(s.data) for s in sends(memory)), ETH)}


def test_oversize_pads_one_update_to_the_size_and_it_still_reads() -> None:
    clean, faulty = both("oversize:300kB@1s")
    ((_, prev, seq),) = faulty.faults("oversize")
    (big,) = [send for send in sends(faulty) if len(send.data) >= 300_000]
    assert len(big.data) == 300_000
    assert chain(books([json.loads(big.data)])) == [(prev, seq)]
    assert [json.loads(send.data) for send in sends(faulty)] == [json.loads(send.data) for send in sends(clean)]


def test_close_mid_frame_ends_the_link_within_an_update() -> None:
    _, faulty = both("close_mid_frame@1s")
    ((_, prev, seq),) = faulty.faults("close_mid_frame")
    cut = faulty.outputs[-1]
    assert isinstance(cut, Cut)
    assert chain(books([json.loads(cut.data)])) == [(prev, seq)]
    assert cut.at_ns == T0 + S
    assert faulty.send("ping") == []


def test_schema_change_renames_a_field_for_a_while() -> None:
    _, faulty = both("schema_change:1s@1s")
    for send in sends(faulty):
        broken = T0 + S <= send.at_ns < T0 + 2 * S
        assert ("bidLevels" in books([json.loads(send.data)])[0]) == broken
    assert len(faulty.faults("schema_change")) >= 9


def test_crossed_quiet_and_reset_are_states_of_the_market_that_the_truth_tells() -> None:
    memory = Memory("crossed:1s@1s,quiet:1s@3s,reset@5s")
    memory.subscribe(BTC)
    memory.run(7)
    book, crossed, numbers = NaiveBook(), set(), []
    for send in sends(memory):
        (push,) = books([json.loads(send.data)])
        book.apply(push)
        line = memory.exchange.truth.book(BTC, int(str(push["seqId"])))
        assert line is not None
        assert line.sha256 == book.digest()
        if max(map(float, book.bids)) >= min(map(float, book.asks)):
            crossed.add(send.at_ns)
        numbers.append((push["prevSeqId"], push["seqId"]))
    assert crossed
    assert min(crossed) >= T0 + S
    assert max(crossed) < T0 + 2 * S + 300 * MS
    assert not [send for send in sends(memory) if T0 + 3 * S <= send.at_ns < T0 + 4 * S]
    assert all(a[1] == b[0] for a, b in pairwise(numbers))
    assert len([1 for prev, seq in numbers[1:] if seq < prev]) == 1  # type: ignore[operator]
    assert [(line.fault, line.at[17:21]) for line in memory.exchange.truth.faults] == [
        ("crossed", "41.0"),
        ("quiet", "43.0"),
        ("reset", "45.0"),
    ]


FRAME_FAULTS = "drop:0.05,duplicate:0.05,reorder:0.05,corrupt:0.05,garbage:0.05,oversize:50kB@1s+2s"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_a_client_lacks_lies_in_a_window_that_was_declared(seed: int) -> None:
    """The clean chain, cut at what came in order, leaves only numbers that some fault declares."""
    memory = Memory(FRAME_FAULTS, seed=seed)
    memory.subscribe(BTC, ETH)
    memory.run(5)
    for inst in (BTC, ETH):
        got = set(chain(whole_books(memory, inst)))
        windows = {(line.seq_from, line.seq_to) for line in declared(memory, inst)}
        for line in memory.exchange.truth.books[2:]:
            if line.inst == inst:
                assert (line.prev, line.seq) in got or (line.prev, line.seq) in windows


def declared(memory: Memory, inst: str) -> list[FaultLine]:
    """Return the faults that an instrument's frames had."""
    return [line for line in memory.exchange.truth.faults if line.inst == inst]


def whole_books(memory: Memory, inst: str) -> list[dict[str, object]]:
    """Return the pushes of an instrument that a client can read."""
    readable = []
    for send in sends(memory):
        try:
            readable += books([json.loads(send.data)], inst)
        except json.JSONDecodeError:
            continue
    return [book for book in readable if "bids" in book]
