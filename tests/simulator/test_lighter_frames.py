"""The simulated Lighter: frames with the keys of captured ones, a nonce chain, refusals, and how long a client may be
silent; and the recorder wired to it for longer than that."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.venue import LinkRules
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from l2_exporter.venues.registry import venue_named
from tests.recordings import ROOT, needs_recordings
from tests.tools.contract import Subject, recorded
from tests.tools.replaying import hour_files

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
SECOND_NS = 10 * STEP_NS
LIGHTER = venue_named("lighter")
SUBJECT = Subject(LIGHTER, LIGHTER.channels["order_book"])


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, *insts: str) -> None:
        self.exchange = Exchange(Settings(venue="lighter", instruments=insts or ("ETH", "LIT/USDC")), START_NS)
        self.now_ns = START_NS
        self.conn, outputs = self.exchange.link_opened("/stream", START_NS)
        self.greeting = frames_of(outputs)
        self.closed: list[Output] = []

    def say(self, request: object) -> list[Any]:
        return frames_of(self.exchange.frame_received(self.conn, json.dumps(request), self.now_ns))

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        outputs = self.exchange.time_advanced(self.now_ns)
        self.closed += [output for output in outputs if isinstance(output, Close)]
        return frames_of(outputs)


def frames_of(outputs: list[Output]) -> list[Any]:
    return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def subscribe(number: int) -> dict[str, str]:
    return {"type": "subscribe", "channel": f"order_book/{number}"}


def refusal(code: int, message: str) -> list[Any]:
    return [{"error": {"code": code, "message": message}}]


def test_the_snapshot_answers_and_each_nonce_begins_where_the_last_ended() -> None:
    client = Client()
    (snapshot,) = client.say(subscribe(2049))
    frames = [snapshot, *client.later(60)]
    assert [frame["type"] for frame in frames] == ["subscribed/order_book", *["update/order_book"] * (len(frames) - 1)]
    assert len(frames) > 50
    assert {frame["channel"] for frame in frames} == {"order_book:2049"}
    books = [frame["order_book"] for frame in frames]
    assert books[0]["begin_nonce"] == 0
    assert [later["begin_nonce"] for later in books[1:]] == [earlier["nonce"] for earlier in books[:-1]]
    steps = {later["offset"] - earlier["offset"] for earlier, later in pairwise(books)}
    assert min(steps) >= 0
    assert len(steps) > 3
    assert all(frame["timestamp"] * 1000 > frame["last_updated_at"] for frame in frames)


def test_sizes_have_all_decimals_of_the_market_zero_too() -> None:
    client = Client()
    client.say(subscribe(0))
    levels = [level for frame in client.later(60) for level in frame["order_book"]["bids"]]
    assert {len(level["size"].partition(".")[2]) for level in levels} == {4}
    assert {len(level["price"].partition(".")[2]) for level in levels} == {2}
    assert "0.0000" in {level["size"] for level in levels}


def keys(frames: list[Any]) -> set[tuple[Any, ...]]:
    """Name the keys of frames, in order, and those of what they hold."""
    return {
        tuple((name, tuple(value)) if isinstance(value, dict) else name for name, value in frame.items())
        for frame in frames
        if frame.get("type") != "update/height"
    }


@needs_recordings
def test_frames_have_the_keys_of_captured_ones() -> None:
    path = ROOT / "frames" / "lighter" / "collector-20260728-verbatim-chain.json"
    texts = json.loads(path.read_text(encoding="utf-8"))["frames"]
    client = Client()
    frames = [*client.greeting, *client.say(subscribe(0)), *client.later(10), *client.say({"type": "ping"})]
    frames += client.say({"type": "dance"})
    outputs = client.exchange.frame_received(
        client.conn, '{"type":"unsubscribe","channel":"order_book/0"}', client.now_ns
    )
    assert [output.data for output in outputs] == [texts[-1]]
    assert keys(frames + frames_of(outputs)) == keys([json.loads(text) for text in texts])


def test_what_it_refuses() -> None:
    client = Client()
    assert client.say(subscribe(7)) == refusal(30005, "Invalid Channel")
    assert client.say({"type": "subscribe", "channel": "trade/0"}) == refusal(30005, "Invalid Channel")
    assert client.say([]) == refusal(30005, "Invalid Channel")
    client.say(subscribe(0))
    assert client.say(subscribe(0)) == refusal(30003, "Already Subscribed to : order_book:0")
    for _ in range(195):
        client.say({"type": "pong"})
    assert client.say({"type": "ping"}) == refusal(30009, "Too Many Websocket Messages!")
    client.later(601)
    assert client.say({"type": "ping"}) == [{"type": "pong"}]


def test_an_ended_subscription_brings_nothing_and_a_new_one_a_snapshot() -> None:
    client = Client()
    client.say(subscribe(0))
    assert client.say({"type": "unsubscribe", "channel": "order_book/0"}) == [
        {"type": "unsubscribed", "channel": "order_book:0"}
    ]
    assert client.later(20) == []
    assert [frame["type"] for frame in client.say(subscribe(0))] == ["subscribed/order_book"]


def test_a_client_that_says_nothing_is_asked_after_a_minute_and_cut_after_two_however_much_is_sent() -> None:
    client = Client()
    client.say(subscribe(0))
    asked = [frame for frame in client.later(1199) if frame["type"] == "ping"]
    assert (len(asked), client.closed) == (1, [])
    client.later(2)
    assert [(close.conn, close.at_ns - START_NS) for close in client.closed] == [(client.conn, 120 * SECOND_NS)]


def test_an_answer_to_its_question_is_a_sign_of_life() -> None:
    client = Client()
    client.later(700)
    client.say({"type": "pong"})
    assert [frame["type"] for frame in client.later(1199)] == ["ping"]
    assert client.closed == []


def test_markets_are_listed_by_kind_and_by_number() -> None:
    exchange = Exchange(Settings(venue="lighter", instruments=6), START_NS)
    answer = json.loads(exchange.request_received("/api/v1/orderBookDetails", START_NS).body)
    perps, spots = answer["order_book_details"], answer["spot_order_book_details"]
    assert [(row["symbol"], row["market_id"]) for row in perps] == [("ETH", 0), ("BTC", 1), ("SOL", 2), ("1000PEPE", 4)]
    assert [(row["symbol"], row["market_id"]) for row in spots] == [("LIT/USDC", 2049), ("ETH/USDC", 2048)]
    one = json.loads(exchange.request_received("/api/v1/orderBookDetails?market_id=1", START_NS).body)
    assert (one["order_book_details"], one["spot_order_book_details"]) == ([perps[1]], [])
    assert exchange.request_received("/api/v1/orderBookOrders", START_NS).status == 404


def test_ids_of_another_shape_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="Lighter has no symbols like 'eth'; write it like ETH or, for spot, LIT/USDC"
    ):
        Exchange(Settings(venue="lighter", instruments=("eth",)), START_NS)


def test_invented_markets_have_numbers_of_their_own() -> None:
    exchange = Exchange(Settings(venue="lighter"), START_NS)
    answer = json.loads(exchange.request_received("/api/v1/orderBookDetails", START_NS).body)
    numbers = [row["market_id"] for name in ("order_book_details", "spot_order_book_details") for row in answer[name]]
    assert len({*numbers}) == len(numbers) == len(exchange.instruments) == 32


# ---- the recorder wired to it ---------------------------------------------------------------------------------------


def test_a_busy_connection_outlives_the_two_minutes_and_spot_books_have_their_place(tmp_path: Path) -> None:
    rules: LinkRules = LIGHTER.link
    recording = recorded(SUBJECT, tmp_path / "v", seconds=200)
    assert recording.said("disconnected") == []
    assert (recording.losses(), recording.wrong()) == ([], [])
    says = [line for line in recording.evidence.tape if line.dir == "out" and line.frame == rules.ping]
    for conn in recording.wired.connections:
        assert len([line for line in says if line.conn == conn]) == 6
    assert [line for line in recording.evidence.tape if line.dir == "in" and line.frame == rules.ping] == []
    places = {"/".join(path.split("/")[:4]) for path in hour_files(tmp_path / "v")}
    assert places == {f"raw/lighter/{place}" for place in ("l2_perps/ETH", "l2_perps/BTC", "l2_spot/LIT%2FUSDC")}


def test_a_lost_update_costs_its_book_alone_and_a_new_subscription_brings_it_back(tmp_path: Path) -> None:
    recording = recorded(SUBJECT, tmp_path / "v", "drop@20s/{B}", seconds=60)
    lost = recording.insts[1]
    assert lost == "LIT/USDC"
    assert recording.losses() == [(lost, "sequence")]
    assert (recording.wrong(), recording.undeclared()) == ([], [])
    said = [json.loads(line.frame) for line in recording.evidence.tape if line.dir == "out"]
    asked = [(message["type"], message["channel"]) for message in said if message["type"] != "ping"]
    assert asked[3:] == [("unsubscribe", "order_book/2049"), ("subscribe", "order_book/2049")]
    after = [line for line in recording.lines if line["instId"] == lost and line["flags"] == ["after_gap"]]
    assert [line["prevSeqId"] for line in after] == [None]
