"""Frames of the simulated Coinbase: keys of the recorded ones, both protocols, refusals, who is cut and when."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings

T0 = 1_795_000_000 * 10**9
S = 10**9
BTC, ETH = "BTC-USD", "ETH-USD"
RECORDING = "coinbase/cryptofeed-20260809-advanced_trade-level2.jsonl.gz"
Json = dict[str, Any]


class Client:
    """One connection; keeps what came."""

    def __init__(self, faults: str = "", insts: tuple[str, ...] = (BTC, ETH), exchange: Exchange | None = None) -> None:
        self.exchange = exchange or Exchange(Settings("coinbase", 7, insts, 200_000_000, faults), T0)
        self.ended: list[Output] = []
        self.conn, outputs = self.exchange.link_opened("/", self.exchange.now_ns)
        assert outputs == []

    def send(self, request: object) -> list[Json]:
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        return self._taken(self.exchange.frame_received(self.conn, text, self.exchange.now_ns))

    def run(self, seconds: float) -> list[Json]:
        return self._taken(self.exchange.time_advanced(self.exchange.now_ns + round(seconds * S)))

    def _taken(self, outputs: list[Output]) -> list[Json]:
        mine = [output for output in outputs if output.conn == self.conn]
        self.ended += [output for output in mine if not isinstance(output, Send)]
        return [json.loads(output.data) for output in mine if isinstance(output, Send)]


def exchange(kind: str, *insts: str, channels: Iterable[object] = ("level2_batch",)) -> Json:
    return {"type": kind, "product_ids": [*insts], "channels": [*channels]}


def advanced(kind: str, *insts: str, channel: str = "level2") -> Json:
    return {"type": kind, "product_ids": [*insts], "channel": channel}


def of(frames: list[Json], key: str, value: str) -> list[Json]:
    return [frame for frame in frames if frame.get(key) == value]


# ---- Advanced Trade -------------------------------------------------------------------------------------------------

SHOWN = ("l2_data", "subscriptions", "heartbeats")


def shapes(frames: Iterable[Json]) -> set[tuple[object, ...]]:
    """Return the members of frames, of their events and of their levels, in order."""
    found: set[tuple[object, ...]] = set()
    for frame in frames:
        if frame.get("channel") in SHOWN:
            event = frame["events"][0]
            levels = frozenset(map(tuple, event.get("updates", ())))
            found.add((frame["channel"], tuple(frame), tuple(event), event.get("type"), len(frame["events"]), levels))
    return found


def sides(frames: Iterable[Json]) -> set[str]:
    events = [event for frame in frames if frame.get("channel") == "l2_data" for event in frame["events"]]
    return {level["side"] for event in events for level in event["updates"]}


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    recorded = [json.loads(line["frame"]) for line in load(RECORDING) if line["dir"] == "in"]
    client = Client()
    frames = [*client.send(advanced("subscribe", BTC, ETH)), *client.send(advanced("subscribe", channel="heartbeats"))]
    frames += client.run(20)
    assert shapes(frames) == shapes(recorded)
    assert sides(frames) == sides(recorded) == {"bid", "offer"}


def test_every_frame_is_counted_from_zero_on_its_own_connection() -> None:
    client = Client()
    frames = [*client.send(advanced("subscribe", BTC, ETH)), *client.send(advanced("subscribe", channel="heartbeats"))]
    client.run(3)
    other = Client(exchange=client.exchange)
    theirs = other.send(advanced("subscribe", ETH)) + other.run(3)
    frames += client.run(3)
    assert [frame["sequence_num"] for frame in theirs] == [*range(len(theirs))]
    assert [frame["sequence_num"] for frame in frames][:2] == [0, 1]
    assert {frame["channel"] for frame in frames} <= {*SHOWN}


def test_books_come_before_the_acknowledgement_and_heartbeats_every_second() -> None:
    client = Client()
    first = client.send(advanced("subscribe", BTC, ETH)) + client.send({"type": "subscribe", "channel": "heartbeats"})
    assert [(frame["channel"], frame["events"][0]["type"], frame["events"][0]["product_id"]) for frame in first] == [
        ("l2_data", "snapshot", BTC),
        ("l2_data", "snapshot", ETH),
    ]
    frames = first + client.run(10)
    assert [frame["sequence_num"] for frame in frames] == [*range(len(frames))]
    assert [frame["events"] for frame in of(frames, "channel", "subscriptions")] == [
        [{"subscriptions": {"level2": [BTC, ETH]}}],
        [{"subscriptions": {"heartbeats": ["heartbeats"], "level2": [BTC, ETH]}}],
    ]
    beats = [frame["events"][0]["heartbeat_counter"] for frame in of(frames, "channel", "heartbeats")]
    assert beats == [*range(beats[0], beats[0] + len(beats))]
    assert len(beats) >= 10
    updates = [event for frame in of(frames, "channel", "l2_data") for event in frame["events"]]
    assert {len({level["event_time"] for level in event["updates"]}) for event in updates} == {1}
    assert "0" in {level["new_quantity"] for event in updates for level in event["updates"]}


def test_subscription_that_ends_brings_nothing_more_and_one_begun_anew_a_snapshot() -> None:
    client = Client()
    client.send(advanced("subscribe", BTC, ETH))
    client.run(2)
    assert client.send(advanced("unsubscribe", ETH)) == []
    frames = client.run(2)
    assert of(frames, "channel", "subscriptions")[0]["events"] == [{"subscriptions": {"level2": [BTC]}}]
    assert {frame["events"][0]["product_id"] for frame in of(frames, "channel", "l2_data")} == {BTC}
    (again,) = client.send(advanced("subscribe", ETH))
    assert again["events"][0]["type"] == "snapshot"


@pytest.mark.parametrize(("inst", "name"), [("BTC-USDC", BTC), ("USDT-USDC", "USDT-USDC"), ("BTC-EUR", "BTC-EUR")])
def test_products_in_usdc_come_as_those_in_usd(inst: str, name: str) -> None:
    client = Client(insts=(inst,))
    frames = client.send(advanced("subscribe", inst)) + client.run(2)
    assert {frame["events"][0]["product_id"] for frame in of(frames, "channel", "l2_data")} == {name}
    assert of(frames, "channel", "subscriptions")[0]["events"] == [{"subscriptions": {"level2": [inst]}}]


def test_quiet_connection_without_heartbeats_is_closed() -> None:
    client, kept = Client("quiet:10m@1s"), Client("quiet:10m@1s")
    client.send(advanced("subscribe", BTC))
    kept.send(advanced("subscribe", BTC))
    kept.send({"type": "subscribe", "channel": "heartbeats"})
    client.run(89)
    assert client.ended == []
    client.run(4)
    assert [type(output) for output in client.ended] == [Close]
    kept.run(300)
    assert kept.ended == []


# ---- Exchange -------------------------------------------------------------------------------------------------------


def test_acknowledgement_first_then_books_and_changes() -> None:
    client = Client()
    heartbeat = {"name": "heartbeat", "product_ids": [BTC]}
    frames = client.send(exchange("subscribe", BTC, ETH, channels=["level2_batch", heartbeat])) + client.run(5)
    assert frames[0] == {
        "type": "subscriptions",
        "channels": [
            {"name": "level2_50", "product_ids": [BTC, ETH], "account_ids": None},
            {"name": "heartbeat", "product_ids": [BTC], "account_ids": None},
        ],
    }
    assert [(frame["type"], frame["product_id"]) for frame in frames[1:3]] == [("snapshot", BTC), ("snapshot", ETH)]
    assert {tuple(frame) for frame in frames} == {
        ("type", "channels"),
        ("type", "product_id", "asks", "bids", "time"),
        ("type", "product_id", "changes", "time"),
        ("type", "last_trade_id", "product_id", "sequence", "time"),
    }
    changes = [change for frame in of(frames, "type", "l2update") for change in frame["changes"]]
    assert {side for side, _, _ in changes} == {"buy", "sell"}
    assert "0.00000000" in {size for _, _, size in changes}
    assert {len(frame["time"]) for frame in frames[1:]} == {27}
    beats = of(frames, "type", "heartbeat")
    assert [frame["product_id"] for frame in beats] == [BTC] * len(beats)
    assert len(beats) >= 5


def test_time_that_is_zero_is_that_of_the_year_one() -> None:
    for request in (exchange("subscribe", BTC), advanced("subscribe", BTC)):
        client = Client("event_time_jump:0.5")
        texts = json.dumps(client.send(request) + client.run(20))
        assert '"0001-01-01T00:00:00Z"' in texts


def test_books_are_those_of_the_market_in_both_protocols() -> None:
    one = Client()
    other = Client(exchange=one.exchange)
    one.run(3)
    (_, snapshot) = one.send(exchange("subscribe", BTC))
    (book,) = other.send(advanced("subscribe", BTC))
    levels = book["events"][0]["updates"]
    for side, name in (("bid", "bids"), ("offer", "asks")):
        found = [[level["price_level"], level["new_quantity"]] for level in levels if level["side"] == side]
        assert found == snapshot[name]
        assert len(found) < 390


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("nonsense", ["Malformed request"]),
        ([], ["Malformed request"]),
        ({"type": "dance"}, ["Malformed request"]),
        (exchange("subscribe", "NO-SUCH"), ["Failed to subscribe: NO-SUCH is not a valid product"]),
        (exchange("subscribe", BTC, channels=[]), ["Failed to subscribe: channels required"]),
        (exchange("subscribe", BTC, channels=["x"]), ["Failed to subscribe: x is not a valid channel"]),
        (
            exchange("subscribe", BTC, channels=["level2"]),
            ["Failed to subscribe: level2, level3, and full channels now require authentication."],
        ),
        (
            advanced("subscribe", "NO-SUCH", "NOR-THIS"),
            ["NO-SUCH is not a valid product", "NOR-THIS is not a valid product"],
        ),
        (advanced("subscribe", BTC, channel="level3"), ["level3 is not a valid channel"]),
    ],
)
def test_what_it_refuses(request_: object, said: list[str]) -> None:
    answers = Client().send(request_)
    assert {answer.pop("type") for answer in answers} == {"error"}
    assert [": ".join(answer.values()) for answer in answers] == said


def test_one_product_that_is_not_listed_does_not_hinder_the_others() -> None:
    error, ack, snapshot = Client().send(exchange("subscribe", "NO-SUCH", BTC))
    assert (error["type"], ack["channels"][0]["product_ids"], snapshot["product_id"]) == ("error", [BTC], BTC)


def test_a_connection_speaks_one_protocol() -> None:
    client = Client()
    client.send(exchange("subscribe", BTC))
    (answer,) = client.send(advanced("subscribe", ETH))
    assert (answer["type"], answer["reason"]) == ("error", "not the protocol of this connection")
    assert {frame["type"] for frame in client.run(3)} == {"l2update"}


def test_client_that_subscribes_nothing_is_cut_after_five_seconds() -> None:
    silent, wrong, good = Client(), Client(), Client()
    wrong.send(advanced("subscribe", "NO-SUCH"))
    good.send(exchange("subscribe", BTC))
    for client in (silent, wrong, good):
        client.run(4.8)
        assert client.ended == []
        client.run(0.4)
    assert [[type(output) for output in client.ended] for client in (silent, wrong, good)] == [[Close], [Close], []]


# ---- listings -------------------------------------------------------------------------------------------------------


def test_products_by_rest() -> None:
    client = Client()

    def get(path: str) -> tuple[int, Any]:
        reply = client.exchange.request_received(path, T0)
        return reply.status, json.loads(reply.body)

    status, listed = get("/products")
    assert (status, [row["id"] for row in listed]) == (200, [BTC, ETH])
    assert (listed[0]["quote_increment"], listed[0]["base_increment"], listed[0]["status"]) == (
        "0.01",
        "0.00000001",
        "online",
    )
    assert get(f"/products/{ETH}") == (200, listed[1])
    assert get("/products/NO-SUCH") == get("/elsewhere") == (404, {"message": "NotFound"})


@pytest.mark.parametrize("inst", ["BTCUSD", "BIT-28NOV25-CDE", "btc-usd", ""])
def test_ids_that_are_no_products_of_exchange_are_refused(inst: str) -> None:
    with pytest.raises(ConfigError, match="write it like BTC-USD"):
        Exchange(Settings("coinbase", instruments=(inst,)), T0)
