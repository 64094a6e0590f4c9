"""What the simulator says happened is what a client gets: a naive book equals the truth at every sequence number."""

import json

import pytest

from l2_exporter.core.timetext import utc_ns
from l2_exporter.simulator.dialect import Request
from l2_exporter.simulator.truth import Truth, book_digest
from tests.simulator.naive import BTC, ETH, MS, T0, Memory, NaiveBook, S, books

INSTS = (BTC, "BTC-USDT", "ETH-USD-SWAP", "BTC-USD-270326", "BTC-USD-270326-40000-C")


@pytest.mark.parametrize("inst", INSTS)
def test_applying_every_update_gives_the_truth_at_each_number(inst: str) -> None:
    memory = Memory(instruments=INSTS)
    book = NaiveBook()
    checked = 0
    for push in [*books(memory.subscribe(inst)), *books(memory.run(60))]:
        book.apply(push) if push["prevSeqId"] != -1 else book.replace(push)
        line = memory.exchange.truth.book(inst, int(str(push["seqId"])))
        assert line is not None
        assert (line.sha256, line.ts) == (book.digest(), int(str(push["ts"])))
        checked += 1
    assert checked > (20 if "-C" not in inst else 1)
    assert (book.unknown_deletes > 0) == (len(book.bids) == 400)


def test_a_client_that_joins_by_rest_gets_the_same_book() -> None:
    memory = Memory("no_snapshot")
    assert not books(memory.subscribe(BTC))
    updates = books(memory.run(1))
    _, answer = memory.get(f"/api/v5/market/books?instId={BTC}&sz=400")
    (seed,) = answer["data"]  # type: ignore[misc]
    book = NaiveBook()
    book.replace(seed)
    updates = [push for push in [*updates, *books(memory.run(2))] if push["seqId"] > seed["seqId"]]  # type: ignore[operator]
    assert updates[0]["prevSeqId"] <= seed["seqId"] < updates[0]["seqId"]  # type: ignore[operator]
    for push in updates:
        book.apply(push)
        line = memory.exchange.truth.book(BTC, int(str(push["seqId"])))
        assert line is not None
        assert line.sha256 == book.digest()
    assert memory.faults("no_snapshot") == [(BTC, None, None)]


def test_the_chain_of_books_is_whole_and_the_numbers_are_those_of_the_frames() -> None:
    memory = Memory()
    memory.subscribe(BTC, ETH)
    memory.run(5)
    for inst in (BTC, ETH):
        lines = [line for line in memory.exchange.truth.books if line.inst == inst]
        assert [line.prev for line in lines[1:]] == [line.seq for line in lines[:-1]]
        assert lines[0].prev == lines[0].seq
        assert lines[0].ts == T0 // MS


def test_rows_are_kept_on_request_and_digest_to_the_line() -> None:
    memory = Memory(truth=Truth(with_rows=True))
    memory.subscribe(BTC)
    memory.run(1)
    for line in memory.exchange.truth.books:
        assert line.bids is not None
        assert line.asks is not None
        assert len(line.bids) == len(line.asks) == 400
        assert book_digest(line.bids, line.asks) == line.sha256
        assert book_digest([list(row) for row in line.bids], [list(row) for row in line.asks]) == line.sha256


def test_memory_is_bounded_and_the_newest_lines_stay() -> None:
    memory = Memory("drop:1", truth=Truth(limit=10))
    memory.subscribe(BTC)
    memory.run(5)
    truth = memory.exchange.truth
    assert (len(truth.books), len(truth.faults)) == (10, 10)
    assert truth.books[-1].seq == truth.faults[-1].seq_to
    assert truth.book(BTC, truth.books[0].prev) is None


def test_without_memory_and_sink_no_book_is_digested() -> None:
    memory = Memory(truth=Truth(limit=0))
    memory.subscribe(BTC)
    assert books(memory.run(1))
    assert memory.exchange.truth.books == []


@pytest.mark.parametrize("with_rows", [False, True])
def test_a_sink_gets_every_line_as_json(with_rows: bool) -> None:
    texts: list[str] = []
    memory = Memory("drop@1s", truth=Truth(limit=0, sink=texts.append, with_rows=with_rows))
    memory.subscribe(BTC)
    memory.run(2)
    lines = [json.loads(text) for text in texts]
    keys = ["inst", "seq", "prev", "ts", "sha256"] + (["bids", "asks"] if with_rows else [])
    assert all(list(line) == keys for line in lines if "fault" not in line)
    (fault,) = [line for line in lines if "fault" in line]
    assert list(fault) == ["fault", "inst", "conn", "seq_from", "seq_to", "at", "detail"]
    assert utc_ns(fault["at"]) == T0 + S
    assert len(lines) >= 20


def test_a_request_of_rest_is_as_deep_as_asked_and_as_old_as_the_last_step() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    memory.run(1.05)
    for size in (1, 5, 400):
        _, answer = memory.get(f"/api/v5/market/books?instId={BTC}&sz={size}")
        (book,) = answer["data"]  # type: ignore[misc]
        assert len(book["bids"]) == len(book["asks"]) == size
        assert int(book["ts"]) <= T0 // MS + 1000
    line = memory.exchange.truth.book(BTC, book["seqId"])
    assert line is not None
    assert line.sha256 == book_digest(book["bids"], book["asks"])
    assert memory.exchange.dialect.requested_inst(Request("/", {})) is None
