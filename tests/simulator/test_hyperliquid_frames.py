"""The simulated Hyperliquid: frames with the keys of recorded ones, its refusals, its minute of silence, its lists."""

import json
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings

START_NS = 1_790_000_000_000_000_000
STEP_NS = 500_000_000
NAME = "hyperliquid/hftbacktest-20250126-l2Book-BTC.jsonl.gz"
INSTS = ("BTC", "ETH", "PURR/USDC", "@107", "kPEPE", "xyz:SP500")


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, insts: tuple[str, ...] = INSTS) -> None:
        self.exchange = Exchange(Settings("hyperliquid", 1, insts, STEP_NS), START_NS)
        self.now_ns = START_NS
        self.conn, _ = self.exchange.link_opened("/ws", START_NS)

    def send(self, request: object) -> list[Any]:
        text = request if isinstance(request, str) else json.dumps(request)
        return frames(self.exchange.frame_received(self.conn, text, self.now_ns))

    def ask(self, method: str, coin: str, **more: Any) -> list[Any]:
        return self.send({"method": method, "subscription": {"type": "l2Book", "coin": coin, **more}})

    def later(self, seconds: float) -> list[Output]:
        self.now_ns += round(seconds * 10**9)
        return self.exchange.time_advanced(self.now_ns)

    def info(self, **body: str) -> Any:
        return json.loads(self.exchange.request_received("/info", self.now_ns, json.dumps(body)).body)


def frames(outputs: list[Output]) -> list[Any]:
    return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def full(coin: str) -> dict[str, Any]:
    return {"type": "l2Book", "coin": coin, "nSigFigs": None, "mantissa": None, "fast": False}


def key_sets(found: list[Any]) -> set[tuple[frozenset[str], ...]]:
    """Name the keys of book frames, of their data, and of each level."""
    return {
        (frozenset(frame), frozenset(frame["data"]), frozenset(level))
        for frame in found
        if frame["channel"] == "l2Book"
        for side in frame["data"]["levels"]
        for level in side
    }


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    recorded = [json.loads(line["frame"]) for line in load(NAME) if line["dir"] == "in"]
    client = Client()
    told = client.ask("subscribe", "BTC") + frames(client.later(20))
    assert key_sets(told) == key_sets(recorded)
    assert {tuple(map(len, frame["data"]["levels"])) for frame in recorded} == {(20, 20)}


@pytest.mark.parametrize("coin", INSTS)
def test_subscription_is_confirmed_in_full_and_every_push_is_a_whole_book(coin: str) -> None:
    client = Client()
    ack, *books = client.ask("subscribe", coin)
    assert ack == {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": full(coin)}}
    books += frames(client.later(20))
    assert len(books) > 30
    times = [book["data"]["time"] for book in books]
    assert times == sorted(times)
    for book in books:
        bids, asks = ([float(level["px"]) for level in side] for side in book["data"]["levels"])
        assert (len(bids), len(asks)) == (20, 20)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]
        assert {type(level["n"]) for side in book["data"]["levels"] for level in side} == {int}
        assert all("." in level[key] for side in book["data"]["levels"] for level in side for key in ("px", "sz"))


def test_prices_have_five_figures_at_most_or_are_whole() -> None:
    client = Client()
    for coin in INSTS[:5]:
        client.ask("subscribe", coin)
    prices = {level["px"] for book in frames(client.later(20)) for side in book["data"]["levels"] for level in side}
    assert len(prices) > 100
    for price in prices:
        whole, _, fraction = price.partition(".")
        figures = (whole + fraction).strip("0")
        assert fraction == "0" or len(figures) <= 5, price


def test_second_subscription_and_end_of_none_are_refused() -> None:
    client = Client()
    client.ask("subscribe", "ETH")
    (again,) = client.ask("subscribe", "ETH")
    assert (again["channel"], again["data"]) == (
        "error",
        'Already subscribed: {"type":"l2Book","coin":"ETH","nSigFigs":null,"mantissa":null,"fast":false}',
    )
    (none,) = client.ask("unsubscribe", "BTC")
    assert none["data"].startswith('Already unsubscribed: {"type":"l2Book","coin":"BTC"')
    (ended,) = client.ask("unsubscribe", "ETH")
    assert ended["data"] == {"method": "unsubscribe", "subscription": full("ETH")}
    assert client.later(5) == []


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("nonsense", "Error parsing JSON into valid websocket request: nonsense"),
        ([], "Error parsing JSON into valid websocket request: []"),
        ({"method": "dance"}, 'Error parsing JSON into valid websocket request: {"method": "dance"}'),
        (
            {"method": "subscribe", "subscription": {"type": "x"}},
            'Error parsing JSON into valid websocket request: {"method": "subscribe", "subscription": {"type": "x"}}',
        ),
        (
            {"method": "subscribe", "subscription": {"type": "l2Book", "coin": ["BTC"]}},
            "Error parsing JSON into valid websocket request: "
            '{"method": "subscribe", "subscription": {"type": "l2Book", "coin": ["BTC"]}}',
        ),
        (
            {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "btc"}},
            'Invalid subscription {"type":"l2Book","coin":"btc"}',
        ),
        (
            {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC", "nSigFigs": 5}},
            'Invalid subscription {"type":"l2Book","coin":"BTC","nSigFigs":5}',
        ),
        (
            {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC", "depth": 9}},
            'Invalid subscription {"type":"l2Book","coin":"BTC","depth":9}',
        ),
    ],
)
def test_what_it_refuses(request_: object, said: str) -> None:
    assert Client().send(request_) == [{"channel": "error", "data": said}]


def test_connection_that_nothing_is_sent_on_ends_after_a_minute_and_a_pong_is_something() -> None:
    silent, asking = Client(), Client()
    assert silent.later(59) == []
    assert [type(output) for output in silent.later(2)] == [Close]
    for _ in range(3):
        assert asking.later(50) == []
        assert asking.send({"method": "ping"}) == [{"channel": "pong"}]


def test_lists() -> None:
    client = Client()
    assert [row["name"] for row in client.info(type="meta")["universe"]] == ["BTC", "ETH", "kPEPE"]
    assert [row and row["name"] for row in client.info(type="perpDexs")] == [None, "xyz"]
    (row,) = client.info(type="meta", dex="xyz")["universe"]
    assert (row["name"], row["szDecimals"]) == ("xyz:SP500", 1)
    assert client.info(type="meta", dex="nope") is None
    spot = client.info(type="spotMeta")
    tokens = {token["index"]: token["name"] for token in spot["tokens"]}
    assert [(row["name"], [tokens[index] for index in row["tokens"]]) for row in spot["universe"]] == [
        ("PURR/USDC", ["PURR", "USDC"]),
        ("@107", ["HYPE", "USDC"]),
    ]


@pytest.mark.parametrize(
    ("target", "posted", "status"),
    [("/info", None, 404), ("/exchange", "{}", 404), ("/info", "", 422), ("/info", "[]", 422), ("/info", "{}", 422)],
)
def test_other_requests_fail(target: str, posted: str | None, status: int) -> None:
    assert Client().exchange.request_received(target, START_NS, posted).status == status


@pytest.mark.parametrize("inst", ["BTC-PERP", "@1", "A/B", "XYZ:SP500", ""])
def test_ids_of_no_such_kind_are_refused(inst: str) -> None:
    with pytest.raises(ConfigError, match="Hyperliquid has no ids like"):
        Client((inst,))
