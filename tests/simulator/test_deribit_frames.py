"""The simulated Deribit: frames with the keys and actions of recorded ones, heartbeats that must be answered."""

import json
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
RECORDINGS = ("deribit/cryptofeed-20210405-raw.jsonl.gz", "deribit/cryptofeed-20210722-raw.jsonl.gz")
TOPIC = "book.BTC-PERPETUAL.100ms"


class Client:
    """A connection to an exchange in memory."""

    def __init__(self) -> None:
        self.exchange = Exchange(Settings(venue="deribit", instruments=3), START_NS)
        self.now_ns = START_NS
        self.conn, _ = self.exchange.link_opened("/ws/api/v2", START_NS)

    def call(self, method: str, params: object, number: int = 1) -> list[Any]:
        text = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return frames(self.exchange.frame_received(self.conn, text, self.now_ns))

    def later(self, steps: int) -> list[Output]:
        self.now_ns += steps * STEP_NS
        return self.exchange.time_advanced(self.now_ns)


def frames(outputs: list[Output]) -> list[Any]:
    return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def books(messages: list[Any]) -> list[Any]:
    return [message["params"]["data"] for message in messages if message.get("method") == "subscription"]


def test_changes_chain_and_their_actions_are_true() -> None:
    client = Client()
    answer, snapshot = client.call("public/subscribe", {"channels": [TOPIC, "book.NOPE.100ms", "trades.X.raw"]})
    assert answer["result"] == [TOPIC]
    (book,) = books([snapshot])
    held = [{price for _, price, _ in book[side]} for side in ("bids", "asks")]
    assert {action for side in ("bids", "asks") for action, _, _ in book[side]} == {"new"}
    seen = set()
    number = book["change_id"]
    for change in books(frames(client.later(60))):
        assert (change["type"], change["prev_change_id"]) == ("change", number)
        number = change["change_id"]
        for side, prices in zip(("bids", "asks"), held, strict=True):
            for action, price, amount in change[side]:
                seen.add(action)
                assert action == "delete" or (action == "change") == (price in prices)
                assert (amount == 0) == (action == "delete")
                prices.discard(price) if action == "delete" else prices.add(price)
    assert seen == {"new", "change", "delete"}


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    recorded = [json.loads(line["frame"]) for name in RECORDINGS for line in load(name) if line["dir"] == "in"]
    client = Client()
    mine = client.call("public/subscribe", {"channels": [TOPIC]}) + frames(client.later(30))
    assert {tuple(book) for book in books(mine)} == {tuple(book) for book in books(recorded)}
    shells = {(tuple(message), tuple(message["params"])) for message in recorded if "params" in message}
    assert {(tuple(message), tuple(message["params"])) for message in mine if "params" in message} == shells
    answers = {tuple(sorted(message)) for message in recorded if "result" in message}
    assert {tuple(sorted(message)) for message in mine if "result" in message} == answers


def test_a_question_that_is_answered_keeps_the_link_and_one_that_is_not_ends_it() -> None:
    client = Client()
    client.call("public/set_heartbeat", {"interval": 10})
    (asked,) = frames(client.later(101))
    assert asked["params"] == {"type": "test_request"}
    client.call("public/test", {})
    (again,) = frames(client.later(100))
    assert again == asked
    (ended,) = client.later(100)
    assert isinstance(ended, Close)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [("public/dance", {}, -32601), ("public/subscribe", [], -32602), ("public/set_heartbeat", {"interval": 1}, -32602)],
)
def test_what_it_refuses(method: str, params: object, code: int) -> None:
    (answer,) = Client().call(method, params)
    assert answer["error"]["code"] == code


def test_unsubscribed_books_are_silent() -> None:
    client = Client()
    client.call("public/subscribe", {"channels": [TOPIC]})
    (answer,) = client.call("public/unsubscribe", {"channels": [TOPIC, "book.ETH-PERPETUAL.100ms"]}, 2)
    assert answer["result"] == [TOPIC]
    assert client.later(20) == []


def test_ids_it_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="the simulated Deribit has no ids like 'BTC-26JUN26'"):
        Exchange(Settings(venue="deribit", instruments=("BTC-26JUN26",)), START_NS)
