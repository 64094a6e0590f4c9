"""Frames of the simulated Poloniex, compared with the documented and the recorded ones."""

import json
from itertools import pairwise
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.dialects.poloniex import Poloniex
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings

T0 = 1_795_000_000 * 10**9
S = 10**9
BTC, SOL = "BTC_USDT", "SOL_USDT"
RECORDING = "poloniex/cryptofeed-20220821b-book_lv2.jsonl.gz"


class Client:
    """One connection; keeps what came."""

    def __init__(self, faults: str = "") -> None:
        self.exchange = Exchange(Settings("poloniex", 7, (BTC, SOL), 200_000_000, faults), T0)
        self.outputs: list[Output] = []
        self.conn, _ = self.exchange.link_opened("/ws/public", T0)

    def ask(self, event: str, *symbols: str, channel: str = "book_lv2") -> list[dict[str, Any]]:
        return self.send(json.dumps({"event": event, "channel": [channel], "symbols": [*symbols]}))

    def send(self, text: str | bytes) -> list[dict[str, Any]]:
        return self._taken(self.exchange.frame_received(self.conn, text, self.exchange.now_ns))

    def run(self, seconds: float) -> list[dict[str, Any]]:
        return self._taken(self.exchange.time_advanced(self.exchange.now_ns + round(seconds * S)))

    def get(self, target: str) -> tuple[int, Any]:
        reply = self.exchange.request_received(target, self.exchange.now_ns)
        return reply.status, json.loads(reply.body)

    def _taken(self, outputs: list[Output]) -> list[dict[str, Any]]:
        self.outputs += outputs
        return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def shapes(messages: list[dict[str, Any]]) -> dict[str, set[tuple[str, ...]]]:
    """Return the members of messages in order, by what they are."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for message in messages:
        name = message.get("action") or f"answer to {message['event']}"
        inner = [
            f"data[].{key}:{type(value).__name__}" for book in message.get("data", ()) for key, value in book.items()
        ]
        found.setdefault(name, set()).add((*message, *inner))
    return found


@needs_recordings
def test_frames_have_the_keys_and_types_of_recorded_ones() -> None:
    recorded = shapes([json.loads(line["frame"]) for line in load(RECORDING) if line["dir"] == "in"])
    client = Client()
    assert shapes([*client.ask("subscribe", BTC, SOL), *client.run(3)]) == recorded


def test_updates_follow_each_other_by_number_and_keep_twenty_levels() -> None:
    client = Client()
    ack, *pushes = [*client.ask("subscribe", BTC), *client.run(25)]
    assert ack == {"event": "subscribe", "channel": "book_lv2", "symbols": [BTC]}
    books = [push["data"][0] for push in pushes]
    assert [push["action"] for push in pushes] == ["snapshot"] + ["update"] * (len(pushes) - 1)
    assert all(later["lastId"] == earlier["id"] for earlier, later in pairwise(books))
    assert any(book["id"] - book["lastId"] > 1 for book in books)
    sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    for book in books:
        assert book["createTime"] <= book["ts"]
        for name, side in sides.items():
            for price, size in book[name]:
                side.pop(price, None)
                if size != "0":
                    side[price] = size
        assert [len(side) for side in sides.values()] == [20, 20]


def test_snapshot_of_a_quiet_book_is_sent_later_than_it_was_made() -> None:
    client = Client("quiet:10m@2s")
    client.ask("subscribe", BTC)
    client.run(20)
    client.ask("unsubscribe", BTC)
    _, snapshot = client.ask("subscribe", BTC)
    book = snapshot["data"][0]
    assert (book["ts"] - T0 // 10**6, book["createTime"] - T0 // 10**6) == (20_000, 1_800)


@pytest.mark.parametrize("text", ["nonsense", b"\xff", "[1]", '{"event":"dance"}', '{"event":"subscribe"}'])
def test_other_requests_are_refused_and_the_link_stays_open(text: str | bytes) -> None:
    client = Client()
    assert client.send(text) == [{"event": "error", "message": "Bad request"}]
    assert len(client.ask("subscribe", BTC)) == 2


def test_refusals() -> None:
    client = Client()
    client.ask("subscribe", BTC)
    (again,) = client.ask("subscribe", BTC)
    assert again == {"event": "error", "message": "Subscription failed (already subscribed)"}
    for symbols, channel in (((SOL, "NO_SUCH"), "book_lv2"), ((SOL,), "book_lv9")):
        (refusal,) = client.ask("subscribe", *symbols, channel=channel)
        assert refusal["event"] == "error"
    assert client.ask("subscribe", SOL, channel="trades") == [
        {"event": "subscribe", "channel": "trades", "symbols": [SOL]}
    ]


def test_all_symbols_at_once() -> None:
    client = Client()
    ack, *snapshots = client.ask("subscribe", "all")
    assert (ack["symbols"], [each["data"][0]["symbol"] for each in snapshots]) == (["all"], [BTC, SOL])


def test_client_that_says_nothing_for_thirty_seconds_is_cut_whatever_it_is_sent() -> None:
    client = Client()
    client.ask("subscribe", BTC)
    client.run(29)
    assert client.send('{"event":"ping"}') == [{"event": "pong"}]
    client.run(29.8)
    assert not any(isinstance(output, Close) for output in client.outputs)
    client.run(0.4)
    assert client.outputs[-1] == Close(client.conn, T0 + 59 * S, 1000, "")


def test_pairs_are_listed_with_their_scales() -> None:
    status, rows = Client().get("/markets")
    assert (status, [row["symbol"] for row in rows]) == (200, [BTC, SOL])
    scales = [(row["symbolTradeLimit"]["priceScale"], row["symbolTradeLimit"]["quantityScale"]) for row in rows]
    assert scales == [(2, 6), (3, 6)]


def test_rest_book_is_a_flat_list_without_a_number() -> None:
    client = Client()
    client.ask("subscribe", BTC)
    status, book = client.get("/markets/BTC_USDT/orderBook?limit=5")
    assert (status, sorted(book)) == (200, ["asks", "bids", "scale", "time", "ts"])
    assert [len(book[side]) for side in ("bids", "asks")] == [10, 10]
    assert [client.get(f"/markets/{rest}")[0] for rest in ("NO_SUCH/orderBook", "BTC_USDT/orderBook?limit=7")] == [
        400
    ] * 2


def test_no_such_pair() -> None:
    with pytest.raises(ConfigError, match="BTC-USDT"):
        Poloniex(1).instrument("BTC-USDT", T0)
