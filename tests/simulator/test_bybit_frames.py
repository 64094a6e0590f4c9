"""The simulated Bybit: frames with the keys of recorded ones, numbers one by one, refusals as the venue words them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Send
from tests.recordings import load, needs_recordings

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
NAME = "bybit/cryptofeed-20260809-v5-orderbook200-2conns.jsonl.gz"


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, venue: str, count: int = 2, faults: str = "") -> None:
        self.exchange = Exchange(Settings(venue=venue, instruments=count, faults=faults), START_NS)
        self.now_ns = START_NS
        self.conn, _ = self.exchange.link_opened(self.exchange.dialect.ws_path, START_NS)

    def send(self, request: object) -> list[Any]:
        return self._frames(self.exchange.frame_received(self.conn, json.dumps(request), self.now_ns))

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        return self._frames(self.exchange.time_advanced(self.now_ns))

    @staticmethod
    def _frames(outputs: list[Any]) -> list[Any]:
        return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def subscribed(venue: str, *topics: str) -> tuple[Client, list[Any]]:
    client = Client(venue)
    return client, client.send({"op": "subscribe", "args": list(topics)})


@pytest.mark.parametrize(
    ("venue", "inst"), [("bybit", "BTCUSDT"), ("bybit_inverse", "BTCUSD"), ("bybit_spot", "BTCUSDT")]
)
def test_a_snapshot_and_deltas_numbered_one_by_one(venue: str, inst: str) -> None:
    client, (ack, snapshot) = subscribed(venue, f"orderbook.200.{inst}")
    assert (ack["success"], ack["op"]) == (True, "subscribe")
    frames = [snapshot, *client.later(40)]
    assert [frame["type"] for frame in frames] == ["snapshot", *["delta"] * (len(frames) - 1)]
    numbers = [frame["data"]["u"] for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(frames)))
    assert len(frames) > 30
    assert {frame["data"]["s"] for frame in frames} == {inst}
    assert all(frame["cts"] < frame["ts"] for frame in frames)


def test_a_second_client_sees_the_same_numbers() -> None:
    client, (_, _) = subscribed("bybit", "orderbook.50.BTCUSDT")
    client.later(5)
    other, _ = client.exchange.link_opened("/v5/public/linear", client.now_ns)
    outputs = client.exchange.frame_received(
        other, json.dumps({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}), client.now_ns
    )
    snapshot = json.loads(outputs[-1].data)
    following = [frame["data"]["u"] for frame in client.later(3)]
    assert following == sorted(following)
    assert set(following) == {snapshot["data"]["u"] + step for step in range(1, len(set(following)) + 1)}


def key_sets(frames: Iterator[Any] | list[Any]) -> set[tuple[tuple[str, ...], ...]]:
    """Name the keys of book frames, in order, and those of their data."""
    return {
        (tuple(frame), tuple(frame["data"]))
        for frame in frames
        if frame.get("topic", "").startswith("orderbook.") and frame["data"]["b"]
    }


@needs_recordings
@pytest.mark.parametrize(("venue", "word"), [("bybit", "linear"), ("bybit_spot", "spot")])
def test_frames_have_the_keys_of_recorded_ones(venue: str, word: str) -> None:
    lines = [line for line in load(NAME) if line["dir"] == "in" and line["url"].endswith(word)]
    recorded = [json.loads(line["frame"]) for line in lines]
    client, frames = subscribed(venue, "orderbook.200.BTCUSDT")
    frames += client.later(30)
    assert key_sets(frames) == key_sets(recorded)
    acks = {tuple(sorted(frame)) for frame in recorded if "success" in frame}
    assert {tuple(sorted(frame)) for frame in frames if "success" in frame} == acks


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"op": "subscribe", "args": ["orderbook.7.BTCUSDT"]}, "error:handler not found,topic:orderbook.7.BTCUSDT"),
        ({"op": "subscribe", "args": ["orderbook.50.NOPE"]}, "error:handler not found,topic:orderbook.50.NOPE"),
        ({"op": "subscribe", "args": [7]}, "error:handler not found,topic:7"),
        ({"op": "dance", "args": ["x"]}, "error:unknown op dance"),
        ([], "error:request not an object"),
    ],
)
def test_what_it_refuses(request_: object, said: str) -> None:
    (answer,) = Client("bybit").send(request_)
    assert (answer["success"], answer["ret_msg"]) == (False, said)


def test_ping_and_unsubscribe() -> None:
    client, _ = subscribed("bybit", "orderbook.50.BTCUSDT")
    (pong,) = client.send({"op": "ping", "req_id": "7"})
    assert (pong["ret_msg"], pong["op"], pong["req_id"]) == ("pong", "ping", "7")
    client.send({"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]})
    assert client.later(10) == []


def test_the_list_comes_in_pages() -> None:
    exchange = Exchange(Settings(venue="bybit", instruments=5), START_NS)
    found, cursor = [], ""
    for _ in range(3):
        target = f"/v5/market/instruments-info?category=linear&limit=2&cursor={cursor}"
        result = json.loads(exchange.request_received(target, START_NS).body)["result"]
        found += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"]
    assert (found, cursor) == ([*exchange.instruments], "")


def test_ids_of_another_group_are_refused() -> None:
    with pytest.raises(ConfigError, match="Bybit inverse has no ids like 'BTCUSDT'; write it like BTCUSD"):
        Exchange(Settings(venue="bybit_inverse", instruments=("BTCUSDT",)), START_NS)
