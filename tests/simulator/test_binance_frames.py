"""The simulated Binance and Aster: frames and answers with the keys of recorded ones, chains, silent streams."""

import json
from itertools import pairwise
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Send
from tests.recordings import load, needs_recordings

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
DAY_NS = 86_400 * 10**9
SYMBOLS = {"binance": "BTCUSDT", "binance_coinm": "BTCUSD_PERP", "binance_spot": "BTCUSDT", "aster": "BTCUSDT"}
RECORDED = {
    "binance": "binance_usdm/hftbacktest-20240808-btcusdt-0ms.jsonl.gz",
    "binance_coinm": "binance_coinm/hftbacktest-20240808_09-btcusd_perp-0ms-midnight.jsonl.gz",
    "binance_spot": "binance_spot/hftbacktest-20240808_09-btcusdt-100ms-midnight.jsonl.gz",
}
REST = {"binance": "/fapi/v1", "binance_coinm": "/dapi/v1", "binance_spot": "/api/v3", "aster": "/fapi/v3"}
every_venue = pytest.mark.parametrize("venue", SYMBOLS)


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, venue: str) -> None:
        self.exchange = Exchange(Settings(venue=venue, instruments=3), START_NS)
        self.now_ns = START_NS
        self.conn, _ = self.exchange.link_opened(self.exchange.dialect.ws_path, START_NS)

    def call(self, method: str, *params: object) -> list[Any]:
        text = json.dumps({"method": method, "params": params, "id": 7})
        return self._frames(self.exchange.frame_received(self.conn, text, self.now_ns))

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        return self._frames(self.exchange.time_advanced(self.now_ns))

    def get(self, path: str) -> tuple[int, Any]:
        reply = self.exchange.request_received(path, self.now_ns)
        return reply.status, json.loads(reply.body)

    @staticmethod
    def _frames(outputs: list[Any]) -> list[Any]:
        return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def stream(venue: str, kind: str = "depth@100ms") -> str:
    return f"{SYMBOLS[venue].lower()}@{kind}"


@every_venue
def test_changes_chain_and_nothing_comes_before_the_first(venue: str) -> None:
    client = Client(venue)
    assert client.call("SUBSCRIBE", stream(venue)) == [{"result": None, "id": 7}]
    updates = [frame["data"] for frame in client.later(40)]
    assert len(updates) > 30
    for before, after in pairwise(updates):
        if venue == "binance_spot":
            assert after["U"] == before["u"] + 1
        else:
            assert after["pu"] == before["u"] < after["U"] <= after["u"]


@every_venue
def test_a_rest_book_and_the_changes_behind_it_give_the_book(venue: str) -> None:
    client = Client(venue)
    client.call("SUBSCRIBE", stream(venue))
    client.later(5)
    path = f"{REST[venue]}/depth?symbol={SYMBOLS[venue]}&limit=1000"
    _, book = client.get(path)
    held = [{row[0]: row[1] for row in book[side]} for side in ("bids", "asks")]
    for frame in client.later(30):
        for side, rows in zip(held, (frame["data"]["b"], frame["data"]["a"]), strict=True):
            for price, quantity in rows:
                side.pop(price, None)
                if float(quantity):
                    side[price] = quantity
    _, after = client.get(path)
    assert held == [{row[0]: row[1] for row in after[side]} for side in ("bids", "asks")]


@needs_recordings
@pytest.mark.parametrize("venue", RECORDED)
def test_frames_and_books_have_the_keys_of_recorded_ones(venue: str) -> None:
    lines = load(RECORDED[venue])[:200]
    recorded = [json.loads(line["frame"]) for line in lines if line["dir"] == "in"]
    client = Client(venue)
    client.call("SUBSCRIBE", stream(venue))
    mine = client.later(30)
    assert {(tuple(frame), tuple(frame["data"])) for frame in mine} == {
        (tuple(frame), tuple(frame["data"])) for frame in recorded if frame["data"]["e"] == "depthUpdate"
    }
    (answer,) = [json.loads(line["frame"]) for line in lines if line["dir"] == "http"]
    _, book = client.get(f"{REST[venue]}/depth?symbol={SYMBOLS[venue]}&limit=1000")
    assert {*book} == {*answer}


@every_venue
@pytest.mark.parametrize("name", ["nopeusdt@depth@100ms", "BTCUSDT@depth@100ms", "btcusdt@nothing"])
def test_streams_that_do_not_exist_are_confirmed_and_silent(venue: str, name: str) -> None:
    client = Client(venue)
    assert client.call("SUBSCRIBE", name) == [{"result": None, "id": 7}]
    assert client.later(30) == []


def test_whole_books_and_best_prices() -> None:
    client = Client("aster")
    client.call("SUBSCRIBE", stream("aster", "depth20@100ms"), stream("aster", "bookTicker"))
    frames = client.later(20)
    wholes = [frame["data"] for frame in frames if "depth20" in frame["stream"]]
    best = [frame["data"] for frame in frames if "bookTicker" in frame["stream"]]
    assert {(len(book["b"]), len(book["a"])) for book in wholes} == {(20, 20)}
    assert best[-1]["b"] == wholes[-1]["b"][0][0]
    assert client.call("LIST_SUBSCRIPTIONS")[0]["result"] == ["btcusdt@depth20@100ms", "btcusdt@bookTicker"]
    client.call("UNSUBSCRIBE", stream("aster", "depth20@100ms"))
    assert {frame["stream"] for frame in client.later(20)} == {"btcusdt@bookTicker"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/fapi/v1/depth?symbol=NOPE&limit=1000", -1121),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", -1130),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=x", -1130),
    ],
)
def test_what_rest_refuses(path: str, code: int) -> None:
    status, answer = Client("binance").get(path)
    assert (status, answer["code"]) == (400, code)


def test_what_the_socket_refuses() -> None:
    client = Client("binance")
    assert "result" not in client.call("DANCE")[0]
    outputs = client.exchange.frame_received(client.conn, "{", client.now_ns)
    assert json.loads(outputs[0].data)["error"]["code"] == 3


def test_a_connection_ends_after_a_day_without_a_word() -> None:
    exchange = Exchange(Settings(venue="binance", instruments=1, interval_ns=3600 * 10**9), START_NS)
    exchange.link_opened("/public/stream", START_NS)
    assert exchange.time_advanced(START_NS + DAY_NS - 1) == []
    (ended,) = exchange.time_advanced(START_NS + DAY_NS)
    assert isinstance(ended, Close)


def test_ids_of_another_group_are_refused() -> None:
    with pytest.raises(ConfigError, match="binance_coinm has no ids like 'BTCUSDT'; write it like BTCUSD_PERP"):
        Exchange(Settings(venue="binance_coinm", instruments=("BTCUSDT",)), START_NS)
