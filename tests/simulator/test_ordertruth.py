"""The truth of single orders: any message's book is found again, old ones are forgotten, a sink gets it all."""

import json

import pytest

from l2_exporter.simulator.ordertruth import COPIED, levels_of, orders_digest
from l2_exporter.simulator.truth import Truth, book_digest
from tests.simulator.naive import T0, S
from tests.simulator.naive_orders import coinbase_applied, coinbase_seeded
from tests.simulator.ordertalks import BITSO, COINBASE, Client, diff, full

BTC = COINBASE.insts[0]


def followed(truth: Truth | None = None, seconds: float = 20) -> Client:
    """Let a client hear of one product's orders."""
    client = Client(COINBASE, truth=truth)
    client.send(full(BTC))
    client.run(seconds)
    return client


def test_books_are_found_in_any_order_by_number_and_by_time() -> None:
    client = followed()
    messages = client.truth.order_messages(BTC)
    assert len(messages) > 4 * COPIED
    lines = {message.seq: client.truth.order_book(BTC, message.seq) for message in messages}
    for message in messages[::-7]:
        line = client.truth.order_book(BTC, message.seq)
        assert line == lines[message.seq]
        assert line is not None
        last = max(each.seq for each in messages if each.ts_ns == message.ts_ns)
        for later_ns in (0, 1):
            assert client.truth.order_book_at(BTC, message.ts_ns + later_ns) == lines[last]
        assert (line.prev, line.ts_ns, line.events) == (message.prev, message.ts_ns, message.events)
        assert line.orders_sha256 == orders_digest(line.bids, line.asks)
    assert client.truth.order_book_at(BTC, T0 - S) is None
    assert client.truth.order_book(BTC, 1) is None
    assert client.truth.order_book("ETH-USD", 1) is None
    assert client.truth.order_book_at("ETH-USD", T0) is client.truth.book_at("ETH-USD", T0) is None
    assert client.truth.order_messages("ETH-USD") == []


def test_levels_are_those_of_a_naive_book_and_lines_come_in_order() -> None:
    client = followed(Truth(with_rows=True), 5)
    first, *messages = client.truth.order_messages(BTC)
    line = client.truth.order_book(BTC, first.seq)
    assert line is not None
    assert first.events == ()
    orders = coinbase_seeded({"bids": [*map(list, line.bids)], "asks": [*map(list, line.asks)]})
    frames = iter([json.loads(str(getattr(output, "data", ""))) for output in client.outputs][1:])
    lines = client.truth.books
    assert [(each.seq, each.prev) for each in lines] == [(each.seq, each.prev) for each in (first, *messages)]
    for each in lines[1:]:
        coinbase_applied(orders, next(frames))
        assert (each.bids, each.asks) == orders.levels()
        assert each.sha256 == book_digest(*orders.levels())
        assert each == client.truth.book(BTC, each.seq)


def test_memory_is_bounded_over_all_instruments() -> None:
    client = Client(BITSO, truth=Truth(limit=300))
    client.send(diff("btc_mxn"), diff("xrp_mxn"))
    client.run(60)
    kept = [client.truth.order_messages(inst) for inst in BITSO.insts]
    assert sum(map(len, kept)) == len(client.truth.books) == 300
    for inst, messages in zip(BITSO.insts, kept, strict=True):
        oldest, newest = messages[0], messages[-1]
        assert newest.seq == client.exchange.order_seq(inst)
        assert client.truth.order_book(inst, oldest.prev) is client.truth.book(inst, oldest.prev) is None
        line = client.truth.order_book(inst, newest.seq)
        book = client.exchange.order_book(inst)
        assert line is not None
        assert (line.bids, line.asks) == tuple(tuple(row[:3] for row in side) for side in (book.bids, book.asks))


def test_without_memory_and_sink_nothing_is_kept() -> None:
    client = followed(Truth(limit=0), 1)
    assert client.truth.order_messages(BTC) == []
    assert client.truth.order_book_at(BTC, T0 + S) is None


@pytest.mark.parametrize("with_rows", [False, True])
def test_a_sink_gets_levels_and_orders_of_every_message(with_rows: bool) -> None:
    texts: list[str] = []
    client = followed(Truth(sink=texts.append, with_rows=with_rows), 1)
    lines = [json.loads(text) for text in texts]
    rows = ["bids", "asks"] if with_rows else []
    kinds = [["inst", "seq", "prev", "ts", "sha256", *rows]]
    kinds += [["inst", "seq", "prev", "ts_ns", "events", "orders_sha256", *rows]]
    messages = client.truth.order_messages(BTC)
    assert [[*line] for line in lines] == kinds * len(messages)
    for message, line in zip(messages, lines[1::2], strict=True):
        truth = client.truth.order_book(BTC, message.seq)
        assert truth is not None
        assert (line["seq"], line["orders_sha256"]) == (message.seq, truth.orders_sha256)
        assert line["events"] == [event._asdict() for event in message.events]
        if with_rows:
            assert orders_digest(line["bids"], line["asks"]) == line["orders_sha256"]


def test_totals_are_exact_and_plain() -> None:
    orders = [("5", "0.10000000", "a"), ("5.0", "7e-7", "b"), ("4", "1e+21", "c"), ("4", "2", "d"), ("3", "100", "e")]
    assert levels_of(orders) == (
        ("5", "0.1000007", "0", "2"),
        ("4", "1000000000000000000002", "0", "2"),
        ("3", "100", "0", "1"),
    )
