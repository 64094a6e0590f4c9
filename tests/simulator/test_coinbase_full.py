"""Coinbase's channel `full`, simulated: keys, numbers, recorded shapes, and books that follow from every event."""

import json
from base64 import b64decode
from typing import Any

import pytest

from l2_exporter.simulator.dialects import coinbase_full
from l2_exporter.simulator.dialects.coinbase_full import TEST_KEY, TEST_PASSPHRASE, TEST_SECRET, signature
from l2_exporter.simulator.truth import Truth
from tests.recordings import load, needs_recordings
from tests.simulator.naive import T0, S
from tests.simulator.naive_orders import Orders, coinbase_applied, coinbase_seeded
from tests.simulator.ordertalks import COINBASE, Client, full

BTC, ETH = COINBASE.insts
RECORDING = "coinbase/gdax-20170625-full-2products.jsonl.gz"
REFUSED = {
    "type": "error",
    "message": "Failed to subscribe",
    "reason": "level2, level3, and full channels now require authentication.",
}
Json = dict[str, Any]


def of(texts: list[str], inst: str) -> list[Json]:
    """Return the events of a product."""
    frames = [json.loads(text) for text in texts]
    return [frame for frame in frames if frame.get("product_id") == inst and frame["type"] != "heartbeat"]


def book(inst: str) -> str:
    """Name the path of a product's orders."""
    return f"/products/{inst}/book?level=3"


def headers(path: str, **changed: str) -> dict[str, str]:
    """Sign a request."""
    timestamp = str(T0 // S)
    given = {"CB-ACCESS-KEY": TEST_KEY, "CB-ACCESS-PASSPHRASE": TEST_PASSPHRASE, "CB-ACCESS-TIMESTAMP": timestamp}
    return given | {"CB-ACCESS-SIGN": signature(timestamp, path)} | {f"CB-ACCESS-{k}": v for k, v in changed.items()}


# ---- the book -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_book_by_rest_and_every_event_behind_it_give_the_truth_at_each_number(seed: int) -> None:
    client = Client(COINBASE, seed=seed, interval_ms=1000, truth=Truth(with_rows=True))
    texts = client.send(full(BTC, ETH)) + client.run(4)
    status, answer = client.get(book(BTC))
    orders, seq = coinbase_seeded(answer), answer["sequence"]
    frames = [frame for frame in of(texts + client.run(120), BTC) if frame["sequence"] > seq]
    assert (status, frames[0]["sequence"]) == (200, seq + 1)
    assert len(frames) > 2000
    for frame in frames:
        assert frame["sequence"] == seq + 1
        seq += 1
        coinbase_applied(orders, frame)
        line = client.truth.order_book(BTC, seq)
        assert line is not None
        assert orders.rows() == (line.bids, line.asks)
    assert_is_truth(client, orders, seq)


def assert_is_truth(client: Client, orders: Orders, seq: int) -> None:
    """The levels are those of the truth, too; the last message of all is the one of the last moment."""
    line, now = client.truth.book(BTC, seq), client.truth.order_book_at(BTC, client.exchange.now_ns)
    assert line is not None
    assert now is not None
    assert orders.levels() == (line.bids, line.asks)
    assert (now.seq, now.bids, now.asks) == (seq, *orders.rows())


def test_frames_tell_what_the_truth_says_happened() -> None:
    client = Client(COINBASE)
    frames = of(client.send(full(BTC)) + client.run(20), BTC)
    messages = client.truth.order_messages(BTC)[1:]
    assert [(frame["type"], frame["sequence"]) for frame in frames] == [
        (message.events[0].kind, message.seq) for message in messages
    ]
    named = [event for message in messages for event in message.events]
    for frame, event in zip(frames, named, strict=True):
        ids = frame.get("order_id", frame.get("maker_order_id")), frame["side"]
        assert ids == (event.order_id, "buy" if event.is_bid else "sell")
        if frame["type"] == "match":
            facts = (frame["trade_id"], frame["taker_order_id"], frame["price"], frame["size"])
            assert facts == (event.trade_id, event.other_id, event.price, event.size)
        if frame["type"] == "done":
            assert (frame["reason"], frame.get("remaining_size", event.size)) == (event.reason, event.size)


def test_levels_by_rest_are_the_sums_of_the_orders() -> None:
    client = Client(COINBASE)
    client.send(full(BTC))
    client.run(3)
    bids, asks = coinbase_seeded(client.get(book(BTC))[1]).levels()
    for level, depth in (("2", 400), ("1", 1)):
        _, answer = client.get(f"/products/{BTC}/book?level={level}")
        assert answer["bids"] == [[price, total, int(count)] for price, total, _, count in bids[:depth]]
        assert answer["asks"] == [[price, total, int(count)] for price, total, _, count in asks[:depth]]
    assert [*answer] == ["bids", "asks", "sequence", "auction_mode", "auction", "time"]
    assert client.get(f"/products/{BTC}/book")[1] == answer
    assert client.get("/products/NO-SUCH/book?level=3") == (404, {"message": "NotFound"})


# ---- frames ---------------------------------------------------------------------------------------------------------

MARKET = {
    "type",
    "order_id",
    "order_type",
    "size",
    "side",
    "product_id",
    "sequence",
    "time",
}


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    recorded = [json.loads(line["frame"]) for line in load(RECORDING)]
    client = Client(COINBASE)
    frames = [json.loads(text) for text in client.send(full(BTC, ETH, channels=["full", "heartbeat"])) + client.run(30)]

    def shapes(given: list[Json]) -> dict[str, set[frozenset[str]]]:
        found: dict[str, set[frozenset[str]]] = {}
        for frame in given:
            found.setdefault(frame["type"], set()).add(frozenset(frame))
        return found

    ours, theirs = shapes(frames), shapes(recorded)
    assert sorted(theirs) == ["done", "heartbeat", "open", "received"]
    for kind, keys in theirs.items():
        of_limits = {each for each in ours[kind] if kind not in ("received", "done") or "price" in each}
        assert of_limits == keys
    assert {each - {"client_oid"} for each in ours["received"] if "price" not in each} == {frozenset(MARKET)}


def test_changes_name_prices_as_their_reason_wants() -> None:
    client = Client(COINBASE, seed=5)
    frames = of(client.send(full(BTC)) + client.run(60), BTC)
    changes = [frame for frame in frames if frame["type"] == "change"]
    head = {"type", "reason", "order_id", "side", "old_size", "new_size", "product_id", "sequence", "time"}
    keys = {frame["reason"]: {*frame} - head for frame in changes}
    assert keys == {"STP": {"price"}, "modify_order": {"old_price", "new_price"}}
    moved = [frame for frame in changes if frame["reason"] != "STP" and frame["old_price"] != frame["new_price"]]
    assert len(moved) > 20
    assert None in [frame["price"] for frame in changes if frame["reason"] == "STP"]
    done = [frame for frame in frames if frame["type"] == "done"]
    assert {len(frame) for frame in done} == {7, 9}
    assert {len(frame["time"]) for frame in frames} == {27}
    assert {frame["type"] for frame in frames} == {"received", "open", "match", "change", "done", "activate"}


def test_heartbeats_have_the_last_number_and_trade() -> None:
    client = Client(COINBASE)
    frames = [json.loads(text) for text in client.send(full(BTC, channels=["heartbeat", "full"])) + client.run(10)]
    last = {"sequence": 0, "trade_id": None}
    beats = 0
    for frame in frames[1:]:
        if frame["type"] == "heartbeat":
            beats += 1
            assert (frame["sequence"], frame["last_trade_id"]) == (last["sequence"], last["trade_id"])
        else:
            last |= {key: frame[key] for key in last if key in frame}
    assert beats == 10


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_another_tool() -> None:
    """As `openssl dgst -sha256 -mac HMAC` computes it."""
    assert b64decode(TEST_SECRET) == b"simulated exchange, test key only, no secret"
    assert signature("1700000000", coinbase_full.LOGIN_PATH) == "hJsBFDO4rAFTlgBuIGIH9XgbJmzzDfDKk6REFFKTSlo="


@pytest.mark.parametrize(
    "changed",
    [
        {"signature": signature("1", coinbase_full.LOGIN_PATH)},
        {"signature": "é"},
        {"signature": None},
        {"key": "another"},
        {"passphrase": "another"},
        {"timestamp": "1"},
        {"timestamp": 1},
    ],
)
def test_a_subscription_with_wrong_keys_is_refused_and_brings_nothing(changed: Json) -> None:
    client = Client(COINBASE)
    assert [json.loads(text) for text in client.send(full(BTC, **changed))] == [REFUSED]
    assert client.run(3) == []


def test_the_rest_of_who_may_subscribe() -> None:
    client = Client(COINBASE)
    plain = {"type": "subscribe", "product_ids": [BTC], "channels": ["full"]}
    assert [json.loads(text) for text in client.send(json.dumps(plain))] == [REFUSED]
    assert [json.loads(text) for text in client.send(full(BTC, channels=["level3"]))] == [REFUSED]
    (ack,) = [json.loads(text) for text in client.send(full(BTC))]
    assert ack["channels"] == [{"name": "full", "product_ids": [BTC], "account_ids": None}]
    assert len(of(client.run(2), BTC)) > 20
    client.send(json.dumps(plain | {"type": "unsubscribe"}))
    assert client.run(2) == []


def test_a_request_may_be_signed_rightly_or_not_at_all() -> None:
    client = Client(COINBASE)
    assert client.get(book(BTC))[0] == client.get(book(BTC), headers(book(BTC)))[0] == 200
    lower = {name.lower(): value for name, value in headers(book(BTC)).items()}
    assert client.get(book(BTC), lower | {"Accept": "*/*"})[0] == 200
    for wrong in (
        headers(book(ETH)),
        headers(book(BTC), KEY="another"),
        headers(book(BTC), PASSPHRASE="another"),
        {"CB-ACCESS-KEY": TEST_KEY},
    ):
        assert client.get(book(BTC), wrong) == (401, {"message": "invalid signature"})


# ---- faults ---------------------------------------------------------------------------------------------------------


def test_an_event_that_is_lost_is_missed_by_its_number() -> None:
    client = Client(COINBASE, "drop@3s/BTC-USD,duplicate@5s/BTC-USD,reorder@7s/BTC-USD")
    numbers = [frame["sequence"] for frame in of(client.send(full(BTC)) + client.run(10), BTC)]
    ((inst, since, until),) = client.faults("drop")
    assert (inst, until) == (BTC, (since or 0) + 1)
    assert [n for n in range(numbers[0], numbers[-1]) if n not in numbers] == [until]
    ((_, _, twice),) = client.faults("duplicate")
    assert [number for number in {*numbers} if numbers.count(number) == 2] == [twice]
    ((_, _, late),) = client.faults("reorder")
    place = numbers.index(late or 0)
    assert numbers[place - 1 : place + 1] == [late + 1, late]  # type: ignore[operator]


def test_rest_may_be_older_than_the_stream() -> None:
    client = Client(COINBASE, "rest_cached:5s")
    client.send(full(BTC))
    client.run(7)
    old = client.get(book(BTC))[1]
    line = client.truth.order_book(BTC, old["sequence"])
    assert line is not None
    assert line.ts_ns <= T0 + 5 * S
    assert coinbase_seeded(old).rows() == (line.bids, line.asks)
    ((_, since, until),) = client.faults("rest_cached")
    assert (since, until) == (old["sequence"], client.exchange.order_seq(BTC))


@pytest.mark.parametrize("fault", ["wrong_size@2s", "event_time_jump@2s", "corrupt@2s", "schema_change:100ms@2s"])
def test_a_frame_is_spoiled_and_the_others_are_as_ever(fault: str) -> None:
    client, clean = Client(COINBASE, fault), Client(COINBASE)
    ours, theirs = (each.send(full(BTC)) + each.run(8) for each in (client, clean))
    spoiled = [number for number, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]
    assert len(spoiled) == len(client.faults(fault.partition("@")[0].partition(":")[0])) >= 1
    if "size" in fault:
        one, other = (json.loads(texts[spoiled[0]]) for texts in (ours, theirs))
        assert {(one[key], other[key]) for key in one if one[key] != other[key]} == {
            (f"7{other[key]}", other[key]) for key in ("size", "remaining_size", "new_size") if key in other
        }


def test_a_stall_holds_events_back_and_loses_none() -> None:
    client, clean = Client(COINBASE, "stall:2s@2s"), Client(COINBASE)
    assert client.send(full(BTC)) + client.run(8) == clean.send(full(BTC)) + clean.run(8)
    times = [output.at_ns for output in client.outputs]
    assert not any(T0 + 2 * S <= time < T0 + 4 * S for time in times)


def test_a_crossed_book_comes_and_goes() -> None:
    client = Client(COINBASE, "crossed:2s@2s")
    client.send(full(BTC))
    client.run(8)
    gaps = []
    for second in (1, 3, 6):
        line = client.truth.order_book_at(BTC, T0 + second * S)
        assert line is not None
        gaps.append(float(line.asks[0][0]) - float(line.bids[0][0]))
    assert [gap > 0 for gap in gaps] == [True, False, True]
