"""Frames of the simulated Bitso: those that were seen, books that follow from every message, REST, refusals."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.dialects.bitso import Bitso
from l2_exporter.simulator.wire import Close
from tests.recordings import needs_recordings, path_of
from tests.simulator.naive import T0, S
from tests.simulator.naive_orders import bitso_applied, bitso_seeded
from tests.simulator.ordertalks import BITSO, Client, diff

BTC, XRP = BITSO.insts
T0_MS = T0 // 10**6
Json = dict[str, Any]


def of(texts: list[str], inst: str, channel: str = "diff-orders") -> list[Json]:
    """Return the pushes of a book."""
    frames = [json.loads(text) for text in texts]
    return [each for each in frames if (each.get("book"), each.get("type")) == (inst, channel) and "payload" in each]


def book(inst: str) -> str:
    """Name the path of a book's orders."""
    return f"/v3/order_book?book={inst}&aggregate=false"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_book_by_rest_and_every_message_behind_it_give_the_truth_at_each_number(seed: int) -> None:
    client = Client(BITSO, seed=seed, interval_ms=500)
    texts = client.send(diff(BTC), diff(XRP)) + client.run(4)
    _, answer = client.get(book(XRP))
    orders, seq = bitso_seeded(answer["payload"]), int(answer["payload"]["sequence"])
    frames = [frame for frame in of(texts + client.run(120), XRP) if frame["sequence"] > seq]
    assert len(frames) > 500
    several = 0
    for frame in frames:
        assert frame["sequence"] == seq + 1
        seq += 1
        bitso_applied(orders, frame)
        line = client.truth.order_book(XRP, seq)
        assert line is not None
        assert orders.rows() == (line.bids, line.asks)
        assert frame["sent"] * 10**6 == line.ts_ns
        several += len(frame["payload"]) > 1
    assert several > 20
    levels = client.truth.book_at(XRP, client.exchange.now_ns)
    assert levels is not None
    assert levels == client.truth.book(XRP, seq) == client.truth.books[-1]


@needs_recordings
def test_frames_have_the_keys_of_those_seen() -> None:
    seen = json.loads(path_of("frames/bitso/observatory-20260923-observed.json").read_text())["frames"]
    client = Client(BITSO)
    ours = [*client.send(diff(BTC), diff(BTC, "orders"), diff("nope_usd", "orders"), diff(BTC, "orders"), "nonsense")]
    ours += client.run(40)

    def shapes(texts: list[str]) -> set[tuple[object, ...]]:
        found: set[tuple[object, ...]] = set()
        for frame in map(json.loads, texts):
            payload = frame.get("payload")
            if isinstance(payload, list):
                found |= {(*frame, entry["s"], frozenset(entry)) for entry in payload}
            elif isinstance(payload, dict):
                found.add((*frame, *payload, *(frozenset(row) for side in payload.values() for row in side[:1])))
            else:
                found.add((*frame, frame.get("response", "")[:10], frame.get("error", "")[:10]))
        return found

    fresh = {("book", "sequence", "type", "payload", "sent", "open", frozenset("adorstv"))}
    assert shapes(ours) == shapes(seen) | fresh  # the documents show a new order: without a time of update


def test_what_happens_to_an_order_is_told_as_seen() -> None:
    client = Client(BITSO)
    entries = [
        (frame["sequence"], entry)
        for frame in of(client.send(diff(BTC)) + client.run(60), BTC)
        for entry in frame["payload"]
    ]
    moved = 0
    for (seq, entry), (later_seq, later) in pairwise(entries):
        if (entry["s"], later["s"], entry["o"]) == ("cancelled", "open", later["o"]):
            assert (later_seq, later["d"]) == (seq + 1, entry["d"])
            assert later["r"] != entry["r"]
            assert "z" in later
            moved += 1
    assert moved > 10
    assert {entry["z"] == 0 for _, entry in entries if entry["s"] == "cancelled"} == {True, False}
    assert {len(entry["o"]) for _, entry in entries} == {16}
    assert {len(entry["v"].partition(".")[2]) for _, entry in entries if "v" in entry} == {8}
    amounts: dict[str, list[Decimal]] = {}
    for _, entry in entries:
        if entry["s"] == "open" and "z" in entry:
            amounts.setdefault(entry["o"], []).append(Decimal(entry["a"]))
    assert sum(len(each) > 1 for each in amounts.values()) > 3


def test_the_best_orders_are_those_of_the_truth() -> None:
    client = Client(BITSO)
    frames = of(client.send(diff(BTC, "orders")) + client.run(20), BTC, "orders")
    assert len(frames) > 50
    for number, frame in enumerate(frames):
        line = client.truth.order_book_at(BTC, frame["sent"] * 10**6)
        assert line is not None
        if number + 1 < len(frames) and frames[number + 1]["sent"] == frame["sent"]:
            continue
        for side, (name, rows) in enumerate((("bids", line.bids), ("asks", line.asks))):
            told = frame["payload"][name]
            assert [(row["r"], row["a"], row["o"], row["t"]) for row in told] == [(*row, side) for row in rows[:20]]
            assert all(Decimal(row["r"]) * Decimal(row["a"]) == Decimal(row["v"]) for row in told)


# ---- the talk -------------------------------------------------------------------------------------------------------


def test_subscriptions_are_acknowledged_and_refused_as_seen() -> None:
    client = Client(BITSO)
    assert [json.loads(text) for text in client.send(diff(BTC), diff(BTC), diff("nope_usd"), diff(BTC, "trades"))] == [
        {"action": "subscribe", "response": "ok", "time": T0_MS, "type": "diff-orders", "book": BTC},
        {
            "action": "subscribe",
            "response": f"Already subscribed to channel: diff-orders:{BTC}",
            "time": T0_MS,
            "type": "diff-orders",
            "book": BTC,
        },
        {"action": "subscribe", "type": "diff-orders", "error": "This book is not supported - nope_usd", "time": T0_MS},
        {"action": "subscribe", "response": "ok", "time": T0_MS, "type": "trades", "book": BTC},
    ]
    invalid = {"error": "invalid message", "time": T0_MS}
    wrong = ["nonsense", "[]", "{}", diff(BTC, "candles"), diff(BTC).replace("subscribe", "unsubscribe")]
    assert [json.loads(text) for text in client.send(*wrong)] == [invalid] * 5


def test_keep_alives_come_all_the_time_and_nobody_is_cut() -> None:
    client = Client(BITSO)
    assert [json.loads(text) for text in client.run(31)] == [{"type": "ka"}] * 6
    client.send(diff(BTC))
    assert sum(text == '{"type":"ka"}' for text in client.run(30)) == 6
    assert not any(isinstance(output, Close) for output in client.outputs)


def test_a_message_that_is_lost_is_missed_by_its_number() -> None:
    client = Client(BITSO, f"drop@3s/{BTC}")
    texts = client.send(diff(BTC), diff(XRP)) + client.run(8)
    numbers = {inst: [frame["sequence"] for frame in of(texts, inst)] for inst in (BTC, XRP)}
    ((inst, since, until),) = client.faults("drop")
    whole = [*range(numbers[BTC][0], numbers[BTC][-1] + 1)]
    assert (inst, since) == (BTC, (until or 0) - 1)
    assert [number for number in whole if number not in numbers[BTC]] == [until]
    assert numbers[XRP] == [*range(numbers[XRP][0], numbers[XRP][-1] + 1)]


# ---- REST -----------------------------------------------------------------------------------------------------------


def test_books_by_rest_are_cached_for_two_seconds() -> None:
    client = Client(BITSO)
    client.send(diff(BTC))
    client.run(1)
    first = client.get(book(BTC))
    client.run(1.5)
    assert client.get(book(BTC)) == client.get(book(BTC).replace("order_book", "order_book/")) == first
    client.run(1)
    later = client.get(book(BTC))[1]["payload"]
    assert int(later["sequence"]) == client.exchange.order_seq(BTC) > int(first[1]["payload"]["sequence"])
    assert [*later] == ["updated_at", "asks", "bids", "sequence"]
    assert {tuple(row) for row in later["asks"] + later["bids"]} == {("book", "price", "amount", "oid")}
    line = client.truth.order_book(BTC, int(later["sequence"]))
    assert line is not None
    assert bitso_seeded(later).rows() == (line.bids, line.asks)


def test_levels_by_rest_are_the_best_fifty() -> None:
    client = Client(BITSO)
    _, orders = client.get(book(BTC))
    _, levels = client.get(f"/v3/order_book?book={BTC}")
    sums = bitso_seeded(orders["payload"]).levels()
    for name, rows in zip(("bids", "asks"), sums, strict=True):
        found = levels["payload"][name]
        assert found == [{"book": BTC, "price": price, "amount": total} for price, total, _, _ in rows[:50]]
        assert len(found) == 50


def test_listing_and_refusals() -> None:
    client = Client(BITSO)
    _, answer = client.get("/v3/available_books/")
    assert [(row["book"], row["tick_size"]) for row in answer["payload"]] == [(BTC, "10"), (XRP, "0.01")]
    assert [*answer["payload"][0]] == [
        "book",
        "default_chart",
        "minimum_amount",
        "maximum_amount",
        "minimum_price",
        "maximum_price",
        "minimum_value",
        "maximum_value",
        "tick_size",
        "fees",
    ]
    refusal = {"success": False, "error": {"code": "0301", "message": "Unknown OrderBook nope_usd"}}
    assert client.get(book("nope_usd")) == (400, refusal)
    assert client.get("/v3/nowhere")[0] == 404
    assert Client(BITSO, "rest_429:1").get(book(BTC)) == (
        429,
        {"success": False, "error": {"code": "0200", "message": "Too many requests"}},
    )


def test_a_cached_book_may_be_older_still() -> None:
    client = Client(BITSO, "rest_cached:10s")
    client.send(diff(BTC))
    client.run(19)
    line = client.truth.order_book(BTC, int(client.get(book(BTC))[1]["payload"]["sequence"]))
    assert line is not None
    assert T0 + 9 * S < line.ts_ns <= T0 + 10 * S


@pytest.mark.parametrize("inst", ["BTC_MXN", "btcmxn", "btc-mxn", "b_mxn", ""])
def test_no_such_book(inst: str) -> None:
    with pytest.raises(ConfigError, match="write it like btc_mxn"):
        Bitso(1).instrument(inst, T0)
