"""The simulated KuCoin: frames with the keys of recorded ones, answers as the documents have them, limits."""

import json
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Send
from tests.recordings import load, needs_recordings

START_NS = 1_795_000_000_000_000_000
STEP_NS = 100_000_000
NAME = "kucoin/cryptofeed-20210425-l2update.jsonl.gz"


class Client:
    """A connection to an exchange in memory, by a ticket of it."""

    def __init__(self, venue: str, count: int = 3) -> None:
        self.exchange = Exchange(Settings(venue=venue, instruments=count), START_NS)
        self.now_ns = START_NS
        token = self.asked("/api/v1/bullet-public", posted="")["token"]
        self.conn, outputs = self.exchange.link_opened(f"/endpoint?token={token}&connectId=me", START_NS)
        self.welcome = self._frames(outputs)
        self.ends: list[Close] = []

    def asked(self, target: str, posted: str | None = None) -> Any:
        answer = json.loads(self.exchange.request_received(target, self.now_ns, posted).body)
        assert answer["code"] == "200000"
        return answer["data"]

    def send(self, request: object) -> list[Any]:
        text = request if isinstance(request, str) else json.dumps(request)
        return self._frames(self.exchange.frame_received(self.conn, text, self.now_ns))

    def subscribe(self, topic: str, **more: object) -> list[Any]:
        return self.send({"id": 1, "type": "subscribe", "topic": topic, "response": True} | more)

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        outputs = self.exchange.time_advanced(self.now_ns)
        self.ends += [output for output in outputs if isinstance(output, Close)]
        return self._frames(outputs)

    @staticmethod
    def _frames(outputs: list[Any]) -> list[Any]:
        return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def keys(message: Any) -> Any:
    """Return the names of a message, and those of its objects."""
    if not isinstance(message, dict):
        return None
    return frozenset((name, keys(value)) for name, value in message.items())


@needs_recordings
def test_messages_and_answers_have_the_keys_of_recorded_ones_and_the_time_that_was_added() -> None:
    recorded = [json.loads(line["frame"]) for line in load(NAME) if line["dir"] == "in"]
    for message in recorded:
        if "data" in message:
            message["data"]["time"] = 1
    client = Client("kucoin_spot")
    frames = [*client.welcome, *client.subscribe("/market/level2:BTC-USDT,ETH-USDT"), *client.later(30)]
    assert {keys(frame) for frame in frames} == {keys(frame) for frame in recorded}
    assert {type(frame["id"]) for frame in (*frames, *recorded) if "id" in frame} == {str}


@needs_recordings
def test_rest_books_have_the_fields_of_recorded_ones() -> None:
    recorded = next(json.loads(line["frame"]) for line in load(NAME) if line["dir"] == "http")["data"]
    book = Client("kucoin_spot").asked("/api/v1/market/orderbook/level2_100?symbol=BTC-USDT")
    assert {name: type(value) for name, value in book.items()} == {
        name: type(value) for name, value in recorded.items()
    }


def test_a_pair_s_message_spans_as_many_numbers_as_it_has_rows() -> None:
    client = Client("kucoin_spot")
    client.subscribe("/market/level2:BTC-USDT")
    last = None
    for frame in client.later(50):
        data = frame["data"]
        rows = [*data["changes"]["asks"], *data["changes"]["bids"]]
        numbers = sorted(int(row[2]) for row in rows)
        assert numbers == [*range(data["sequenceStart"], data["sequenceEnd"] + 1)]
        assert last in (None, data["sequenceStart"] - 1)
        for side in data["changes"].values():
            prices = [row[0] for row in side if row[0] != "0"]
            assert len(prices) == len({*prices})
        last = data["sequenceEnd"]
    assert last is not None


def test_a_contract_s_messages_are_those_of_the_documents() -> None:
    client = Client("kucoin")
    assert client.subscribe("/contractMarket/level2:XBTUSDTM") == [{"id": "1", "type": "ack"}]
    frames = client.later(3)
    assert {tuple(frame) for frame in frames} == {("topic", "type", "subject", "sn", "data")}
    assert {tuple(frame["data"]) for frame in frames} == {("sequence", "change", "timestamp")}
    book = client.asked("/api/v1/level2/snapshot?symbol=XBTUSDTM")
    assert book["sequence"] == frames[-1]["data"]["sequence"]
    assert {type(cell) for side in ("bids", "asks") for row in book[side] for cell in row} <= {int, float}
    assert book["ts"] == frames[-1]["data"]["timestamp"] * 1_000_000


def test_contracts_are_worth_what_their_multiplier_says() -> None:
    listed = {row["symbol"]: row for row in Client("kucoin").asked("/api/v1/contracts/active")}
    facts = {inst: (row["multiplier"], row["isInverse"], row["type"]) for inst, row in listed.items()}
    assert facts == {
        "XBTUSDTM": (0.001, False, "FFWCSX"),
        "XBTUSDM": (-1.0, True, "FFWCSX"),
        "XBTMH27": (-1.0, True, "FFICSX"),
    }
    assert listed["XBTMH27"]["expireDate"] == 1_806_048_000_000  # 26 March 2027, 08:00 UTC


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("nonsense", 400),
        ([], 400),
        ({"id": 3, "type": "dance", "topic": "/market/level2:BTC-USDT"}, 400),
        ({"id": 3, "type": "subscribe"}, 400),
        ({"id": 3, "type": "subscribe", "topic": "/market/nope"}, 404),
        ({"id": 3, "type": "subscribe", "topic": "/market/level2:NOPE-USDT"}, 404),
        ({"id": 3, "type": "subscribe", "topic": "/market/level2:" + ",".join(["BTC-USDT"] * 101)}, 509),
    ],
)
def test_what_it_refuses(request_: object, code: int) -> None:
    (answer,) = Client("kucoin_spot").send(request_)
    assert (answer["type"], answer["code"]) == ("error", code)


def test_a_request_that_wants_no_answer_gets_none_and_unsubscribing_ends_the_messages() -> None:
    client = Client("kucoin_spot")
    assert client.subscribe("/market/level2:BTC-USDT", response=False) == []
    assert client.later(10) != []
    client.subscribe("/market/level2:BTC-USDT", type="unsubscribe")
    assert client.later(10) == []


@pytest.mark.parametrize(("every_s", "ends"), [(50, 0), (70, 1)])
def test_a_client_that_does_not_ping_for_a_minute_is_cut(every_s: int, ends: int) -> None:
    client = Client("kucoin", 1)
    for _ in range(3):
        client.later(every_s * 10)
        pongs = client.send({"id": "7", "type": "ping"})
        assert pongs == ([] if ends else [{"id": "7", "type": "pong"}])
    assert len(client.ends) == ends


@pytest.mark.parametrize(
    ("venue", "inst", "example"),
    [("kucoin", "BTC-USDT", "XBTUSDTM"), ("kucoin", "XBTMF27", "XBTUSDTM"), ("kucoin_spot", "XBTUSDTM", "BTC-USDT")],
)
def test_ids_of_another_exchange_are_refused(venue: str, inst: str, example: str) -> None:
    with pytest.raises(ConfigError, match=f"{venue} has no ids like '{inst}'; write it like {example}"):
        Exchange(Settings(venue=venue, instruments=(inst,)), START_NS)
