"""The simulated Backpack: frames with the keys of captured ones, numbers one by one, REST books in other texts; and the
recorder wired to it by hand, so that REST is ahead of the socket."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.core.books import Settings as CoreSettings
from l2_exporter.core.commands import FetchBook
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.state import Standing
from l2_exporter.core.surroundings import Output as FeedOutput
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Output, Send
from l2_exporter.venues.registry import venue_named
from tests.recordings import ROOT, needs_recordings
from tests.tools.contract import Subject, recorded

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
BACKPACK = venue_named("backpack")
SUBJECT = Subject(BACKPACK, BACKPACK.channels["depth"])
INST = "kSHIB_USDC_PERP"


class Client:
    """A connection to an exchange in memory."""

    def __init__(self, *insts: str) -> None:
        self.exchange = Exchange(Settings(venue="backpack", instruments=insts or (INST, "SOL_USDC")), START_NS)
        self.now_ns = START_NS
        self.conn, outputs = self.exchange.link_opened("/", START_NS)
        assert outputs == []

    def say(self, request: object) -> list[Any]:
        return frames_of(self.exchange.frame_received(self.conn, json.dumps(request), self.now_ns))

    def ask(self, *streams: str) -> list[Any]:
        return self.say({"method": "SUBSCRIBE", "params": [*streams]})

    def later(self, steps: int) -> list[Any]:
        self.now_ns += steps * STEP_NS
        return frames_of(self.exchange.time_advanced(self.now_ns))

    def book(self, query: str) -> Any:
        return json.loads(self.exchange.request_received(f"/api/v1/depth?{query}", self.now_ns).body)


def frames_of(outputs: list[Output]) -> list[Any]:
    return [json.loads(output.data) for output in outputs if isinstance(output, Send)]


def error(code: int, message: str) -> list[Any]:
    return [{"id": None, "error": {"code": code, "message": message}}]


def test_changes_begin_without_an_answer_and_are_numbered_one_by_one() -> None:
    client = Client()
    assert client.ask(f"depth.{INST}") == []
    frames = client.later(60)
    assert {frame["stream"] for frame in frames} == {f"depth.{INST}"}
    numbers = [(frame["data"]["U"], frame["data"]["u"]) for frame in frames]
    assert len(numbers) > 50
    assert [first for first, _ in numbers] == [numbers[0][0], *(last + 1 for _, last in numbers[:-1])]
    assert all(frame["data"]["E"] > frame["data"]["T"] for frame in frames)


@needs_recordings
def test_frames_have_the_keys_of_captured_ones() -> None:
    path = ROOT / "frames" / "backpack" / "observatory-20260923-observed.json"
    captured = [json.loads(text) for text in json.loads(path.read_text(encoding="utf-8"))["frames"]]
    books = [frame for frame in captured if frame.get("stream", "").startswith("depth.")]
    client = Client()
    client.ask(f"depth.{INST}")
    frames = client.later(20)
    assert {(tuple(frame), tuple(frame["data"])) for frame in frames} == {
        (tuple(frame), tuple(frame["data"])) for frame in books
    }
    refusals = [*client.ask("nope.SOL_USDC"), *client.say("x"), *client.ask("depth.100ms.SOL_USDC")]
    assert refusals == [frame for frame in captured if "error" in frame]


def test_what_it_refuses_and_what_it_meets_with_silence() -> None:
    client = Client()
    assert client.ask("nope.SOL_USDC", "trade.SOL_USDC") == error(4006, "Invalid stream")
    assert client.say({"method": "FOO", "params": []}) == error(4002, "Parse error")
    assert client.ask("depth.100ms.SOL_USDC") == error(4008, "Invalid depth window")
    assert client.ask("depth.NOPE_USDC", "depth.200ms.SOL_USDC", "bookTicker.SOL_USDC") == []
    assert client.later(20) == []


def test_an_ended_subscription_brings_nothing() -> None:
    client = Client()
    client.ask("depth.SOL_USDC")
    assert client.say({"method": "UNSUBSCRIBE", "params": ["depth.SOL_USDC"]}) == []
    assert client.later(20) == []


def test_rest_writes_prices_shorter_and_bids_worst_first() -> None:
    client = Client("BTC_USDC_PERP")
    client.ask("depth.BTC_USDC_PERP")
    pushed = [row[0] for frame in client.later(200) for row in frame["data"]["b"] + frame["data"]["a"]]
    assert {len(price.partition(".")[2]) for price in pushed} == {1}
    book = client.book("symbol=BTC_USDC_PERP&limit=1000")
    prices = [row[0] for row in book["bids"]]
    assert [Decimal(price) for price in prices] == sorted(Decimal(price) for price in prices)
    assert {price.endswith(".0") for price in pushed} == {True, False}
    assert {price.endswith(".0") for price in prices} == {False}
    truth = client.exchange.truth.book("BTC_USDC_PERP", int(book["lastUpdateId"]))
    assert truth is not None
    assert (type(book["lastUpdateId"]), book["timestamp"]) == (str, truth.ts * 1000)


def test_limits_of_rest_books() -> None:
    client = Client()
    assert [len(client.book(f"symbol={INST}&limit={limit}")["asks"]) for limit in (5, 20, 50)] == [5, 20, 50]
    whole = client.book(f"symbol={INST}")
    assert whole == client.book(f"symbol={INST}&limit=1000")
    assert len(whole["bids"]) > 100
    for target, status, said in (
        (f"/api/v1/depth?symbol={INST}&limit=30", 400, "failed to parse parameter `limit`"),
        ("/api/v1/depth?symbol=NOPE", 400, "Invalid market symbol"),
        ("/api/v1/nope", 404, "not found"),
    ):
        reply = client.exchange.request_received(target, client.now_ns)
        assert (reply.status, said in reply.body) == (status, True)


def test_ids_of_another_shape_are_refused() -> None:
    with pytest.raises(ConfigError, match="Backpack has no ids like 'SOL-USDC'"):
        Exchange(Settings(venue="backpack", instruments=("SOL-USDC",)), START_NS)


# ---- the recorder wired to it ---------------------------------------------------------------------------------------


class NoPast:
    """An empty archive."""

    def newest(self, spec: object) -> None:
        return None

    def floor(self, spec: object, hour: int) -> None:
        return None

    def takes_lines(self, spec: object, hour: int) -> bool:
        return True

    def open_gaps(self, spec: object) -> tuple[str, ...]:
        return ()

    def admit(self, spec: object) -> None:
        return None


@dataclass
class ByHand:
    """A feed and an exchange: what the socket brings is handed over when a test says so."""

    exchange: Exchange
    feed: Feed = field(init=False)
    out: list[FeedOutput] = field(default_factory=list)
    now_ns: int = START_NS

    def __post_init__(self) -> None:
        settings = CoreSettings(connections={"c": [("depth", INST)]})
        self.feed = Feed(BACKPACK, settings, NoPast())
        self.conn, _ = self.exchange.link_opened("/", START_NS)
        self.feed.started(self.stamp())
        for command in self.feed.link_opened("c", BACKPACK.link.ws_url, "live", self.stamp()):
            if hasattr(command, "text"):
                self.exchange.frame_received(self.conn, command.text, self.now_ns)

    def stamp(self) -> Stamp:
        return Stamp(self.now_ns, self.now_ns - START_NS)

    def waits(self, steps: int) -> list[Output]:
        self.now_ns += steps * STEP_NS
        return self.exchange.time_advanced(self.now_ns)

    def hands(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.out += self.feed.frame_received("c", output.data, self.stamp())

    def fetches(self) -> str:
        """Ask for the book that the feed wants, and return the answer."""
        (fetch,) = [command for command in self.out if isinstance(command, FetchBook)]
        self.out.clear()
        return self.exchange.request_received(fetch.path, self.now_ns).body

    def replies(self, body: str) -> None:
        path = BACKPACK.book_path("depth", INST)
        self.out += self.feed.book_replied(f"{BACKPACK.link.rest_url}{path}", 200, body, self.stamp())

    @property
    def keeper(self) -> Any:
        return self.feed.keepers["depth", INST]

    def assert_true(self) -> None:
        """The book is the exchange's at its number, as numbers."""
        state = self.keeper.state
        truth = self.exchange.truth.book(INST, state.chain.seq)
        assert truth is not None
        for mine, theirs in ((state.book.bids.rows, truth.bids), (state.book.asks.rows, truth.asks)):
            assert [[*map(Decimal, row)] for row in mine] == [[*map(Decimal, row)] for row in theirs or ()]


def by_hand() -> ByHand:
    settings = Settings(venue="backpack", instruments=(INST,))
    return ByHand(Exchange(settings, START_NS, Truth(with_rows=True)))


def test_a_rest_book_that_is_ahead_of_the_socket_is_joined() -> None:
    wired = by_hand()
    wired.hands(wired.waits(5))
    late = wired.waits(3)
    wired.replies(wired.fetches())
    assert wired.keeper.standing is Standing.LIVE
    assert int(wired.keeper.state.chain.seq) > json.loads(late[0].data)["data"]["u"]
    wired.assert_true()
    wired.hands(late)
    assert wired.keeper.counts.before_seed == len(late) + 5 - wired.keeper.counts.applied
    for _ in range(600):
        wired.hands(wired.waits(1))
    assert wired.keeper.standing is Standing.LIVE
    assert [record for record in wired.out if getattr(record, "kind", None) == "gap"] == []
    wired.assert_true()


def test_a_rest_book_that_is_behind_the_socket_is_brought_up_to_it() -> None:
    wired = by_hand()
    wired.hands(wired.waits(5))
    body = wired.fetches()
    wired.hands(wired.waits(20))
    wired.replies(body)
    assert wired.keeper.standing is Standing.LIVE
    assert wired.keeper.counts.applied > 10
    wired.assert_true()


def test_a_rest_book_older_than_all_that_came_is_asked_for_again() -> None:
    wired = by_hand()
    old = wired.exchange.request_received(BACKPACK.book_path("depth", INST) or "", wired.now_ns).body
    wired.waits(20)
    wired.hands(wired.waits(5))
    wired.replies(old)
    assert wired.keeper.standing is Standing.SEEDING
    wired.out.clear()
    wired.now_ns += 10**10
    wired.hands(wired.waits(1))
    wired.replies(wired.fetches())
    assert wired.keeper.standing is Standing.LIVE
    wired.assert_true()


def test_a_minute_is_recorded_and_a_lost_update_costs_its_book_alone(tmp_path: Path) -> None:
    recording = recorded(SUBJECT, tmp_path / "v", "drop@20s/{A}", seconds=60)
    assert recording.losses() == [(recording.insts[0], "sequence")]
    assert (recording.wrong(), recording.undeclared()) == ([], [])
    assert recording.standing() == [Standing.LIVE] * 3
    seeded = {(line["instId"], tuple(line["flags"])) for line in recording.lines if "seeded_from_rest" in line["flags"]}
    first = recording.insts[0]
    assert seeded == {
        *((inst, ("seeded_from_rest",)) for inst in recording.insts),
        (first, ("after_gap", "seeded_from_rest")),
    }
    for line in recording.lines:
        assert line["prevSeqId"] in (None, line["seqId"] - 1)
        prices = [Decimal(row[0]) for row in line["bids_top400"]]
        assert prices == sorted({*prices}, reverse=True)
