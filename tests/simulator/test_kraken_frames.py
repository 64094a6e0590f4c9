"""Frames of the simulated Kraken, compared with the documented and the recorded ones: keys, numbers, errors."""

import json
import zlib
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.dialects.kraken import Kraken
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.instrument import Grid
from l2_exporter.simulator.market import Market
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings

T0 = 1_795_000_000 * 10**9
S = 10**9
BTC, DOGE = "BTC/USD", "DOGE/USD"
RECORDING = "kraken/tickvault-20260824-v2-book10-BTC_USD.jsonl.gz"
Json = dict[str, Any]


class Client:
    """One connection; keeps what came."""

    def __init__(self, faults: str = "", insts: tuple[str, ...] = (BTC, DOGE)) -> None:
        self.exchange = Exchange(Settings("kraken", 7, insts, 200_000_000, faults), T0)
        self.outputs: list[Output] = []
        self.conn, outputs = self.exchange.link_opened("/v2", T0)
        self.greeting = self._taken(outputs)

    def ask(self, method: str, *symbols: str, depth: int = 1000, **more: object) -> list[str]:
        params = {"channel": "book", "symbol": [*symbols], "depth": depth}
        return self.send(json.dumps({"method": method, "params": params, **more}))

    def send(self, text: str | bytes) -> list[str]:
        return self._taken(self.exchange.frame_received(self.conn, text, self.exchange.now_ns))

    def run(self, seconds: float) -> list[str]:
        return self._taken(self.exchange.time_advanced(self.exchange.now_ns + round(seconds * S)))

    def get(self, target: str) -> Any:
        return json.loads(self.exchange.request_received(target, self.exchange.now_ns).body)

    def _taken(self, outputs: list[Output]) -> list[str]:
        self.outputs += outputs
        return [str(output.data) for output in outputs if isinstance(output, Send)]


def read(text: str) -> Any:
    """Read a frame; numbers as they were sent."""
    return json.loads(text, parse_float=str, parse_int=str)


Shape = tuple[tuple[str, ...], tuple[str, ...], frozenset[tuple[str, ...]]]


def shapes(texts: list[str]) -> dict[str, set[Shape]]:
    """Return the members of messages, of what they hold and of its levels, in order, by what the messages are."""
    found: dict[str, set[Shape]] = {}
    for text in texts:
        message = json.loads(text)
        inner = message.get("result") or message.get("data", [{}])[0]
        levels = frozenset(tuple(level) for side in ("bids", "asks") for level in inner.get(side, ()))
        name = message.get("method", message.get("channel")) + message.get("type", "")
        found.setdefault(name, set()).add(((*message,), (*inner,), levels))
    return found


# ---- against the recording ------------------------------------------------------------------------------------------


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    recorded = shapes([line["frame"] for line in load(RECORDING)])
    assert sorted(recorded) == ["booksnapshot", "bookupdate", "heartbeat", "statusupdate", "subscribe"]
    client = Client("quiet:1m@3s")
    assert shapes([*client.greeting, *client.ask("subscribe", BTC, depth=10), *client.run(6)]) == recorded


@needs_recordings
def test_recorded_checksums_are_ours() -> None:
    bids: dict[Decimal, tuple[str, str]] = {}
    asks: dict[Decimal, tuple[str, str]] = {}
    checked = 0
    for line in load(RECORDING):
        message = read(line["frame"])
        for book in message["data"] if message.get("channel") == "book" else ():
            for side, name in ((bids, "bids"), (asks, "asks")):
                for level in book[name]:
                    side.pop(Decimal(level["price"]), None)
                    if Decimal(level["qty"]):
                        side[Decimal(level["price"])] = (level["price"], level["qty"])
            best = [[bids[key] for key in sorted(bids, reverse=True)], [asks[key] for key in sorted(asks)]]
            assert Kraken(1).checksum(*best) == int(book["checksum"])
            checked += 1
    assert checked == 4


# ---- pushes ---------------------------------------------------------------------------------------------------------


def test_numbers_are_printed_with_all_their_digits_and_deletes_are_zero() -> None:
    client = Client()
    frames = [read(text) for text in [*client.ask("subscribe", BTC, DOGE), *client.run(5)]]
    books = [book for message in frames if message.get("channel") == "book" for book in message["data"]]
    decimals = {BTC: 1, DOGE: 7}
    sizes = set()
    for book in books:
        for level in (*book["bids"], *book["asks"]):
            assert len(level["price"].partition(".")[2]) == decimals[book["symbol"]]
            assert len(level["qty"].partition(".")[2]) == 8
            sizes.add(level["qty"])
    assert "0.00000000" in sizes
    assert len(sizes) > 100


@pytest.mark.parametrize("depth", [10, 25, 100])
def test_client_that_cuts_its_book_has_the_venue_s_checksum_and_no_level_is_deleted_for_leaving(depth: int) -> None:
    client = Client()
    sides: dict[str, dict[str, tuple[str, str]]] = {"bids": {}, "asks": {}}
    grown = 0
    for text in [*client.ask("subscribe", BTC, depth=depth), *client.run(60)]:
        message = read(text)
        for book in message["data"] if message.get("channel") == "book" else ():
            for name, side in sides.items():
                for level in book[name]:
                    known = side.pop(level["price"], None)
                    if Decimal(level["qty"]):
                        side[level["price"]] = (level["price"], level["qty"])
                    else:
                        assert known is not None, "a price outside the window is not spoken of"
                ranked = sorted(side, key=Decimal, reverse=name == "bids")
                grown += len(ranked) > depth
                for price in ranked[depth:]:
                    del side[price]
            best = [sorted(side.values(), key=lambda row: Decimal(row[0])) for side in sides.values()]
            assert Kraken(1).checksum(best[0][::-1], best[1]) == int(book["checksum"])
            assert [len(side) for side in sides.values()] == [depth, depth]
    assert grown > 20


def test_differences_of_a_cut_window_add_up_for_who_cuts_it() -> None:
    dialect = Kraken(1)
    instrument = dialect.instrument(BTC, T0)
    # At most 64 levels a side: those behind are cancelled in nearly every step, and nobody who sees 50 is told.
    instrument = replace(instrument, pace=replace(instrument.pace, fewest=60, most=64))
    market = Market(instrument, dialect.row, "x", T0)
    shown = market.window(50)
    for number in range(1, 300):
        market.step(T0 + number)
        window = market.window(50)
        bids, asks = market.changes(shown, window, truncated=True)
        for old, rows, new, sign in ((shown.bids, bids, window.bids, -1), (shown.asks, asks, window.asks, 1)):
            held = {row[0]: row for row in old.values()}
            for row in rows:
                assert row[1] != "0" or row[0] in held
                held.pop(row[0], None)
                if row[1] != "0":
                    held[row[0]] = row
            assert sorted(held.values(), key=lambda row: sign * Decimal(row[0]))[:50] == [*new.values()]
        shown = window


def test_heartbeats_fill_seconds_without_anything_else_once_there_is_a_subscription() -> None:
    client = Client("quiet:1m@2s")
    assert client.run(2) == []
    client.ask("subscribe", BTC)
    assert client.run(5) == ['{"channel":"heartbeat"}'] * 5


# ---- requests -------------------------------------------------------------------------------------------------------


def test_each_symbol_is_confirmed_for_itself_with_its_depth_and_the_request_s_id() -> None:
    client = Client()
    frames = [json.loads(text) for text in client.ask("subscribe", BTC, DOGE, depth=25, req_id=7)]
    assert [list(frame) for frame in frames[::2]] == [
        ["method", "req_id", "result", "success", "time_in", "time_out"]
    ] * 2
    assert [frame["result"] for frame in frames[::2]] == [
        {"channel": "book", "depth": 25, "snapshot": True, "symbol": inst} for inst in (BTC, DOGE)
    ]
    assert [(frame["type"], frame["data"][0]["symbol"]) for frame in frames[1::2]] == [
        ("snapshot", BTC),
        ("snapshot", DOGE),
    ]


def test_unsubscription_must_name_the_depth_and_a_new_subscription_brings_a_snapshot() -> None:
    client = Client()
    client.ask("subscribe", BTC, depth=100)
    (wrong,) = client.ask("unsubscribe", BTC, depth=25)
    assert json.loads(wrong)["success"] is False
    assert client.run(0.4) != []
    (right,) = client.ask("unsubscribe", BTC, depth=100)
    assert json.loads(right)["result"] == {"channel": "book", "depth": 100, "symbol": BTC}
    assert client.run(2) == []
    kinds = [json.loads(text).get("type") for text in client.ask("subscribe", BTC, depth=10)]
    assert kinds == [None, "snapshot"]


@pytest.mark.parametrize(
    ("symbol", "depth", "error"),
    [
        ("BTC/NOPE", 10, "Currency pair not supported BTC/NOPE"),
        (BTC, 50, "Subscription depth not supported"),
        (DOGE, 10, "Already subscribed"),
        (DOGE, 25, "Already subscribed"),
    ],
)
def test_refusals(symbol: str, depth: int, error: str) -> None:
    client = Client()
    client.ask("subscribe", DOGE, depth=10)
    (text,) = client.ask("subscribe", symbol, depth=depth)
    refusal = json.loads(text)
    assert (refusal["error"], refusal["success"], refusal["method"], refusal["symbol"]) == (
        error,
        False,
        "subscribe",
        symbol,
    )


@pytest.mark.parametrize(
    "text", ["nonsense", b"\xff", "[1]", '{"method":"dance"}', '{"method":"subscribe","params":{"channel":"ticker"}}']
)
def test_other_requests_are_refused_and_the_link_stays_open(text: str | bytes) -> None:
    client = Client()
    (answer,) = client.send(text)
    assert json.loads(answer)["success"] is False
    assert len(client.ask("subscribe", BTC)) == 2
    assert not any(isinstance(output, Close) for output in client.outputs)


def test_ping_is_answered_with_pong() -> None:
    (answer,) = Client().send('{"method":"ping","req_id":101}')
    assert list(json.loads(answer)) == ["method", "req_id", "time_in", "time_out"]


# ---- REST, listing, numbers -----------------------------------------------------------------------------------------


def test_pairs_are_listed_in_the_older_names_unless_the_newer_are_asked_for() -> None:
    client = Client()
    old, new = client.get("/0/public/AssetPairs"), client.get("/0/public/AssetPairs?assetVersion=1")
    assert [*old["result"]] == ["XXBTZUSD", "XXDGZUSD"]
    assert [*new["result"]] == [BTC, DOGE]
    for key, row in new["result"].items():
        assert f"{row['base']}/{row['quote']}" == key
    assert [row["wsname"] for row in new["result"].values()] == ["XBT/USD", "XDG/USD"]
    assert [row["tick_size"] for row in new["result"].values()] == ["0.1", "0.0000001"]


def test_other_paths_are_refused_and_maintenance_shows_in_the_status() -> None:
    client = Client("maintenance:5s@10s")
    assert client.get("/0/public/Depth?pair=XBTUSD") == {"error": ["EGeneral:Unknown method"]}
    assert client.get("/0/public/SystemStatus")["result"]["status"] == "online"
    client.run(12)
    assert client.get("/0/public/SystemStatus")["result"]["status"] == "maintenance"


def test_no_such_pair() -> None:
    with pytest.raises(ConfigError, match="BTCUSD"):
        Kraken(1).instrument("BTCUSD", T0)


def test_padded_grid_writes_every_decimal() -> None:
    assert [Grid(5, 2, padded=True).text(count) for count in (0, 1, 20, 610)] == ["0.00", "0.05", "1.00", "30.50"]
    assert [Grid(5, 2).text(count) for count in (0, 1, 20, 610)] == ["0", "0.05", "1", "30.5"]


def test_checksum_is_of_digits_without_leading_zeros() -> None:
    bids, asks = [("0.05005", "0.00000500")], [("0.05010", "0.00000500")]
    assert Kraken(1).checksum(bids, asks) == zlib.crc32(b"50105005005500")
