"""The simulated Gate: frames and answers with the keys of recorded ones, chains, refusals as the venue words them."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.dialect import Link
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Kind, Push, Send
from tests.recordings import load, needs_recordings

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
RECORDED = "gate/cryptofeed-20210422-v4-spot-order_book_update.jsonl.gz"
WORDS = {"gate": "futures", "gate_spot": "spot"}
BOOKS = {
    "gate": "/api/v4/futures/usdt/order_book?contract=BTC_USDT&with_id=true",
    "gate_spot": "/api/v4/spot/order_book?currency_pair=BTC_USDT&with_id=true",
}
every_venue = pytest.mark.parametrize("venue", WORDS)


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, venue: str, faults: str = "") -> None:
        self.exchange = Exchange(Settings(venue=venue, instruments=2, faults=faults), START_NS)
        self.now_ns = START_NS
        self.word = WORDS[venue]
        self.conn, _ = self.exchange.link_opened(self.exchange.dialect.ws_path, START_NS)

    def say(self, text: str) -> list[Any]:
        return frames_of(self.exchange.frame_received(self.conn, text, self.now_ns))

    def ask(self, kind: str, *payload: object, event: str = "subscribe") -> list[Any]:
        request = {"time": 1, "id": 7, "channel": f"{self.word}.{kind}", "event": event, "payload": payload}
        return self.say(json.dumps(request))

    def changes(self) -> list[Any]:
        """Subscribe the changes of a book."""
        level = ["100"] if self.word == "futures" else []
        return self.ask("order_book_update", "BTC_USDT", "100ms", *level)

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        return frames_of(self.exchange.time_advanced(self.now_ns))

    def get(self, path: str) -> tuple[int, Any]:
        reply = self.exchange.request_received(path, self.now_ns)
        return reply.status, json.loads(reply.body)


def frames_of(outputs: list[Any]) -> list[Any]:
    return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def levels(rows: list[Any]) -> dict[Decimal, Decimal]:
    """Read levels, in either form, as numbers."""
    pairs = [(row["p"], row["s"]) if isinstance(row, dict) else row for row in rows]
    return {Decimal(price): Decimal(size) for price, size in pairs}


def moved(held: dict[Decimal, Decimal], rows: list[Any]) -> dict[Decimal, Decimal]:
    return {price: size for price, size in {**held, **levels(rows)}.items() if size}


@every_venue
def test_obu_begins_with_a_full_book_and_goes_on_with_what_has_changed(venue: str) -> None:
    client = Client(venue)
    ack, first = client.ask("obu", "ob.BTC_USDT.400")
    assert (ack["id"], ack["payload"], ack["result"]) == (7, ["ob.BTC_USDT.400"], {"status": "success"})
    assert (first["result"]["full"], first["result"]["s"]) == (True, "ob.BTC_USDT.400")
    frames = [first, *client.later(40)]
    assert len(frames) > 30
    held = [levels(first["result"][side]) for side in ("b", "a")]
    for before, after in pairwise(frame["result"] for frame in frames):
        assert after["U"] == before["u"] + 1 <= after["u"]
        assert "full" not in after
        held = [moved(side, after.get(name, [])) for side, name in zip(held, ("b", "a"), strict=True)]
    _, book = client.get(f"{BOOKS[venue]}&limit=300")
    assert held == [levels(book["bids"]), levels(book["asks"])]


def test_a_side_on_which_nothing_has_changed_is_left_out() -> None:
    client = Client("gate")
    link = Link(client.conn, "", START_NS, START_NS)
    for asks in ((("1.5", "2"),), ()):
        push = Push(Kind.DELTA, "futures.obu", "BTC_USDT", (), asks, START_NS, 12, 9)
        (text,) = client.exchange.dialect.encode(link, push)
        sides = {"a": [["1.5", "2"]]} if asks else {}
        assert json.loads(text)["result"] == {"t": START_NS // 10**6, "s": "ob.BTC_USDT.400", "U": 10, "u": 12, **sides}


@every_venue
def test_changes_keep_to_a_window_that_the_rest_book_of_that_level_begins(venue: str) -> None:
    client = Client(venue)
    (ack,) = client.changes()
    assert ack["result"] == {"status": "success"}
    client.later(5)
    _, book = client.get(f"{BOOKS[venue]}&limit=100")
    held = [levels(book[side]) for side in ("bids", "asks")]
    assert [len(side) for side in held] == [100, 100]
    last = book["id"]
    for frame in client.later(40):
        result = frame["result"]
        assert result["U"] == last + 1 <= result["u"]
        last = result["u"]
        held = [moved(side, result[name]) for side, name in zip(held, ("b", "a"), strict=True)]
        assert [len(side) for side in held] == [100, 100]
    _, book = client.get(f"{BOOKS[venue]}&limit=100")
    assert held == [levels(book["bids"]), levels(book["asks"])]


@needs_recordings
def test_spot_frames_and_books_have_the_keys_of_recorded_ones() -> None:
    """Since the recording the venue has added `time_ms` (22 November 2022), the level `l`, and times of REST books."""
    lines = load(RECORDED)
    recorded = [json.loads(line["frame"]) for line in lines if line["dir"] == "in"]
    updates = [frame for frame in recorded if frame["event"] == "update"]
    client = Client("gate_spot")
    acks, mine = client.changes(), client.later(30)
    assert {tuple(name for name in frame if name != "time_ms") for frame in mine} == {*map(tuple, updates)}
    assert {tuple(name for name in frame["result"] if name != "l") for frame in mine} == {
        tuple(frame["result"]) for frame in updates
    }
    confirmed = [frame for frame in recorded if frame["event"] == "subscribe"]
    assert {frame["result"]["status"] for frame in confirmed} == {acks[0]["result"]["status"]}
    assert {*confirmed[0]} <= {*acks[0]}
    (answer, *_) = [json.loads(line["frame"]) for line in lines if line["dir"] == "http"]
    assert {*client.get(BOOKS["gate_spot"])[1]} - {"current", "update"} == {*answer}


def test_futures_frames_have_the_keys_of_captured_ones() -> None:
    """As others captured them in May 2023 (a book) and on 15 September 2026."""
    client = Client("gate")
    client.changes()
    frames = client.later(30)
    assert {*map(tuple, frames)} == {("time", "time_ms", "channel", "event", "result")}
    assert {tuple(frame["result"]) for frame in frames} == {("t", "U", "u", "s", "a", "b", "l")}
    sizes = {type(row["s"]) for frame in frames for row in frame["result"]["a"]}
    assert sizes == {int}
    _, book = client.get(f"{BOOKS['gate']}&limit=100")
    assert {*book} == {"id", "current", "update", "asks", "bids"}
    assert (type(book["update"]), {*book["asks"][0]}) == (float, {"p", "s"})


@every_venue
def test_a_stream_that_does_not_exist_is_confirmed_and_silent(venue: str) -> None:
    client = Client(venue)
    for stream in ("ob.NOPE_USDT.400", "ob.BTC_USDT.20", "BTC_USDT"):
        (ack,) = client.ask("obu", stream)
        assert ack["result"] == {"status": "success"}
    assert client.later(30) == []


@every_venue
def test_a_second_subscription_of_a_stream_is_refused_and_the_first_goes_on(venue: str) -> None:
    client = Client(venue)
    client.ask("obu", "ob.BTC_USDT.400")
    (answer,) = client.ask("obu", "ob.ETH_USDT.400", "ob.BTC_USDT.400")
    assert (answer["error"], answer["result"]) == (
        {"code": 2, "message": "Alert sub ob.BTC_USDT.400"},
        {"status": "fail"},
    )
    assert {frame["result"]["s"] for frame in client.later(20)} == {"ob.BTC_USDT.400"}
    client.ask("obu", "ob.BTC_USDT.400", event="unsubscribe")
    assert client.later(20) == []
    _, first = client.ask("obu", "ob.BTC_USDT.400")
    assert first["result"]["full"] is True


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("nonsense", 1, "request message need json scheme"),
        ("[]", 1, "invalid argument struct"),
        ('{"channel":"futures.nope","event":"subscribe","payload":[]}', 2, "Unknown channel futures.nope"),
        ('{"channel":["futures.obu"],"event":"subscribe"}', 2, "Unknown channel ['futures.obu']"),
        ('{"channel":"futures.obu","event":"dance","payload":[]}', 2, "invalid argument"),
        ('{"channel":"futures.obu","event":"subscribe","payload":[7]}', 2, "invalid argument"),
        (
            '{"channel":"futures.order_book_update","event":"subscribe","payload":["NOPE_USDT","100ms","100"]}',
            *(2, "unknown currency pair NOPE_USDT"),
        ),
        (
            '{"channel":"futures.order_book_update","event":"subscribe","payload":["BTC_USDT","100ms","30"]}',
            *(2, "provided level not supported: 30"),
        ),
        (
            '{"channel":"futures.order_book_update","event":"subscribe","payload":[]}',
            *(2, "unknown currency pair "),
        ),
        (
            '{"channel":"futures.order_book_update","event":"subscribe","payload":["BTC_USDT"]}',
            *(2, "provided interval not supported: "),
        ),
    ],
)
def test_what_the_socket_refuses(text: str, code: int, said: str) -> None:
    (answer,) = Client("gate").say(text)
    assert (answer["error"], answer["result"]) == ({"code": code, "message": said}, {"status": "fail"})


@every_venue
def test_pings_are_answered(venue: str) -> None:
    client = Client(venue)
    (pong,) = client.say(json.dumps({"time": 1, "channel": f"{client.word}.ping"}))
    assert (pong["channel"], pong["event"], pong["result"]) == (f"{client.word}.pong", "", None)


def test_a_connection_that_wants_nothing_and_says_nothing_is_closed() -> None:
    exchange = Exchange(Settings(venue="gate", instruments=1, interval_ns=10**9), START_NS)
    exchange.link_opened("/v4/ws/usdt", START_NS)
    assert exchange.time_advanced(START_NS + 29 * 10**9) == []
    (ended,) = exchange.time_advanced(START_NS + 30 * 10**9)
    assert isinstance(ended, Close)


@every_venue
def test_a_close_is_announced(venue: str) -> None:
    client = Client(venue, "notice:2s@1s")
    client.changes()
    (said,) = [frame for frame in client.later(20) if frame["channel"] == f"{client.word}.system"]
    assert (said["event"], said["result"]["type"]) == ("update", "upgrade")


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("contract=NOPE_USDT&limit=100", "CONTRACT_NOT_FOUND"),
        ("contract=BTC_USDT&limit=0", "INVALID_PARAM_VALUE"),
        ("contract=BTC_USDT&limit=301", "INVALID_PARAM_VALUE"),
        ("contract=BTC_USDT&limit=x", "INVALID_PARAM_VALUE"),
    ],
)
def test_what_rest_refuses(query: str, label: str) -> None:
    status, answer = Client("gate").get(f"/api/v4/futures/usdt/order_book?{query}")
    assert (status, answer["label"]) == (400, label)


def test_without_being_asked_for_it_a_book_has_no_number_and_ten_levels() -> None:
    _, book = Client("gate_spot").get("/api/v4/spot/order_book?currency_pair=BTC_USDT")
    assert ("id" in book, len(book["bids"]), len(book["asks"])) == (False, 10, 10)


def test_ids_of_others_are_refused() -> None:
    with pytest.raises(ConfigError, match="gate has no ids like 'BTCUSDT'; write it like BTC_USDT"):
        Exchange(Settings(venue="gate", instruments=("BTCUSDT",)), START_NS)
