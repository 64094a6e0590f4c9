"""Frames of the simulated Bitfinex, compared with the recorded ones and the survey's: keys, numbers, errors."""

import json
from decimal import Decimal
from typing import Any

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.dialects.bitfinex import Bitfinex, number_text
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Output, Send
from tests.recordings import load, needs_recordings, path_of
from tests.reference.naive_bitfinex import State, Sum, read, steps

T0 = 1_795_000_000 * 10**9
S = 10**9
BTC, VET, PERP = "tBTCUSD", "tVETBTC", "tBTCF0:USTF0"
ALL_FLAGS = 32768 | 65536 | 131072
Json = dict[str, Any]


class Client:
    """One connection; keeps what came."""

    def __init__(self, faults: str = "", insts: tuple[str, ...] = (BTC, VET), flags: int | None = ALL_FLAGS) -> None:
        self.exchange = Exchange(Settings("bitfinex", 7, insts, 200_000_000, faults), T0)
        self.outputs: list[Output] = []
        self.conn, outputs = self.exchange.link_opened("/ws/2", T0)
        self.greeting = self._taken(outputs)
        self.conf = [] if flags is None else self.send({"event": "conf", "flags": flags})

    def subscribe(self, symbol: str, **more: object) -> list[str]:
        asked = {"event": "subscribe", "channel": "book", "symbol": symbol, "prec": "P0", "freq": "F0", "len": "250"}
        return self.send(asked | more)

    def send(self, message: Json | str | bytes) -> list[str]:
        text = json.dumps(message) if isinstance(message, dict) else message
        return self._taken(self.exchange.frame_received(self.conn, text, self.exchange.now_ns))

    def run(self, seconds: float) -> list[str]:
        return self._taken(self.exchange.time_advanced(self.exchange.now_ns + round(seconds * S)))

    def get(self, target: str) -> Any:
        return json.loads(self.exchange.request_received(target, self.exchange.now_ns).body)

    def _taken(self, outputs: list[Output]) -> list[str]:
        self.outputs += outputs
        return [str(output.data) for output in outputs if isinstance(output, Send)]


def shapes(texts: list[str]) -> dict[str, set[tuple[str, ...]]]:
    """Return the keys of objects and the kinds of elements of arrays, in order, by what the frames are.

    Data of channels that are no books are left out.
    """
    found: dict[str, set[tuple[str, ...]]] = {}
    books = set()
    for text in texts:
        message = json.loads(text)
        if isinstance(message, dict):
            if message.get("channel", "book") == "book":
                books |= {message.get("chanId")}
                found.setdefault(message["event"], set()).add(tuple(message))
        elif message[0] in books:
            payload = message[1]
            rows = payload if isinstance(payload[0], list) else [payload] if isinstance(payload, list) else []
            kind = payload if isinstance(payload, str) else "snapshot" if rows is payload else "update"
            found.setdefault(kind, set()).add(tuple(type(each).__name__ for each in message))
            found.setdefault("level", set()).update((f"{len(row)} numbers",) for row in rows)
    return found


def tape(texts: list[str]) -> list[Json]:
    return [{"dir": "in", "frame": text} for text in texts]


# ---- against recordings ---------------------------------------------------------------------------------------------


@needs_recordings
def test_frames_have_the_keys_of_recorded_ones() -> None:
    lines = load("bitfinex/cryptofeed-20210405-P0-seq.jsonl.gz")
    recorded = shapes([line["frame"] for line in lines if line["dir"] == "in"])
    assert sorted(recorded) == ["conf", "hb", "info", "level", "snapshot", "subscribed", "update"]
    client = Client("quiet:1m@3s", flags=65536)
    assert shapes([*client.greeting, *client.conf, *client.subscribe(BTC), *client.run(20)]) == recorded


@needs_recordings
def test_errors_and_checksums_look_like_surveyed_ones() -> None:
    frames = json.loads(path_of("frames/bitfinex/observatory-20260923-observed.json").read_text())["frames"]
    (error,) = [json.loads(text) for text in frames if '"error"' in text]
    client = Client(flags=131072)
    (text,) = client.send({key: error[key] for key in ("channel", "symbol", "prec", "len")} | {"event": "subscribe"})
    assert json.loads(text) == error | {"freq": "F0"}  # which the survey's client left out, and ours fills in
    sums = [json.loads(text) for text in [*client.subscribe(BTC), *client.run(1)] if '"cs"' in text]
    (surveyed,) = [json.loads(text) for text in frames if '"cs"' in text]
    assert {tuple(map(type, each)) for each in sums} == {tuple(map(type, surveyed))}


@needs_recordings
@pytest.mark.parametrize("name", ["go-P0-checksum-tXRPBTC", "py-P0-checksum-tVETBTC-tiny", "py-P0-checksum-tXRPBTC"])
def test_published_checksums_are_ours(name: str) -> None:
    vector = json.loads(path_of(f"frames/bitfinex/bitfinex-api-{name}.json").read_text())
    sides: tuple[dict[Decimal, tuple[str, str]], ...] = ({}, {})
    for text in vector["frames"]:
        payload = read(text)[1]
        for price, count, amount in () if payload == "cs" else payload if type(payload[0]) is list else [payload]:
            side = sides[amount.startswith("-")]
            side.pop(Decimal(price), None)
            if count != "0":
                side[Decimal(price)] = (price, amount.strip("-"))
    bids, asks = ([side[price] for price in sorted(side)] for side in sides)
    assert Bitfinex(1).checksum(bids[::-1], asks) == vector["checksum"]


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("0.000001", "0.000001"),
        ("0.0000007", "7e-7"),
        ("7e-7", "7e-7"),
        ("0.00000066", "6.6e-7"),
        ("0.000000005", "5e-9"),
        ("0.00000122", "0.00000122"),
        ("5000.0", "5000"),
        ("205000", "205000"),
        ("266122.9400", "266122.94"),
        ("0", "0"),
        ("0.00000000", "0"),
        ("100000000000000000000", "100000000000000000000"),
        ("1000000000000000000000", "1e+21"),
        ("12.5e20", "1.25e+21"),
    ],
)
def test_numbers_are_written_as_javascript_does(given: str, written: str) -> None:
    assert number_text(given) == written


def test_prices_below_a_millionth_have_exponents_and_all_others_none() -> None:
    client = Client()
    texts = [*client.subscribe(VET), *client.run(5)]
    states = [step for step in steps(tape(texts)) if isinstance(step, State)]
    prices = {row[0] for state in states for row in (*state.bids, *state.asks)}
    assert {("e" in price) for price in prices} == {True, False}
    assert all(("e-" in price) is (Decimal(price) < Decimal("0.000001")) for price in prices)
    assert all(number_text(price) == price for price in prices)


# ---- data -----------------------------------------------------------------------------------------------------------


def test_all_arrays_of_a_connection_have_one_number_and_all_end_in_number_and_time() -> None:
    client = Client("quiet:40s@3s")
    texts = [*client.subscribe(BTC), *client.subscribe(VET), *client.subscribe(VET, len="25"), *client.run(60)]
    arrays = [json.loads(text) for text in texts if text.startswith("[")]
    assert [array[-2] for array in arrays] == [*range(1, len(arrays) + 1)]
    times = [array[-1] for array in arrays]
    assert all(T0 // 10**6 <= time <= T0 // 10**6 + 60_000 for time in times)
    assert {len(array) for array in arrays} == {4, 5}
    beats = [array for array in arrays if array[1] == "hb"]
    assert len(beats) == 6  # three channels, two times 15 s without anything else


def test_client_has_the_venue_s_book_and_checksum_and_never_more_than_its_window() -> None:
    client = Client()
    texts = [*client.subscribe(BTC), *client.subscribe(VET, len="25"), *client.run(30)]
    found = [*steps(tape(texts))]
    sums = [step for step in found if isinstance(step, Sum)]
    assert {inst for inst, _, _ in sums} == {BTC, VET}
    assert [step.sent for step in sums] == [step.computed for step in sums]
    widths = {inst: set[int]() for inst in (BTC, VET)}
    for step in found:
        if isinstance(step, State):
            widths[step.inst] |= {*map(len, step.sides)}
    assert (max(widths[BTC]), max(widths[VET])) == (250, 25)
    assert min(widths[BTC]) < 250


def test_each_frame_tells_one_level_and_what_goes_was_there() -> None:
    client = Client()
    held: set[tuple[str, bool]] = set()
    gone = 0
    for text in [*client.subscribe(BTC), *client.run(20)]:
        array = read(text) if text.startswith("[") else [None, "hb"]
        payload = array[1]
        if isinstance(payload, str):
            continue
        first = isinstance(payload[0], list)
        for price, count, amount in payload if first else [payload]:
            level = (price, amount.startswith("-"))
            if count == "0":
                assert amount in ("1", "-1")
                assert level in held
                held.remove(level)
                gone += 1
            else:
                assert int(count) >= 1
                held.add(level)
    assert gone > 50


@pytest.mark.parametrize(
    ("flags", "length", "sums"), [(None, 2, False), (0, 2, False), (131072, 2, True), (98304, 4, False)]
)
def test_arrays_have_what_was_asked_for(flags: int | None, length: int, sums: bool) -> None:
    client = Client(flags=flags)
    arrays = [json.loads(text) for text in [*client.subscribe(BTC), *client.run(3)] if text.startswith("[")]
    assert {len(array) for array in arrays if array[1] != "cs"} == {length}
    assert any(array[1] == "cs" for array in arrays) is sums


def test_flags_nobody_serves_are_not_granted() -> None:
    client = Client(flags=ALL_FLAGS | 536870912 | 8)
    assert client.conf == ['{"event":"conf","status":"OK","flags":229376}']
    assert client.send({"event": "conf", "flags": "all"}) == ['{"event":"conf","status":"OK","flags":0}']


# ---- requests -------------------------------------------------------------------------------------------------------


def test_second_subscription_is_refused_by_the_number_of_the_first_and_brings_nothing() -> None:
    client = Client()
    first, _ = client.subscribe(BTC, subId="mine")
    assert json.loads(first)["subId"] == "mine"
    (text,) = client.subscribe(BTC)
    refusal = json.loads(text)
    chan = json.loads(first)["chanId"]
    assert [refusal[key] for key in ("event", "code", "msg", "chanId")] == ["error", 10301, "subscribe: dup", chan]


def test_number_means_nothing_once_its_channel_has_ended() -> None:
    client = Client()
    first, snapshot = client.subscribe(BTC)
    chan = json.loads(first)["chanId"]
    assert json.loads(snapshot)[0] == chan
    assert client.send({"event": "unsubscribe", "chanId": chan}) == [
        f'{{"event":"unsubscribed","status":"OK","chanId":{chan}}}'
    ]
    assert client.run(20) == []
    (error,) = client.send({"event": "unsubscribe", "chanId": chan})
    assert json.loads(error) == {"chanId": chan, "event": "error", "msg": "unsubscribe: invalid", "code": 10400}
    again, snapshot = client.subscribe(BTC)
    assert json.loads(again)["chanId"] == json.loads(snapshot)[0] != chan


def test_twenty_sixth_channel_is_refused() -> None:
    insts = tuple(f"tSIM{number:02d}:USD" for number in range(1, 27))
    client = Client(insts=insts)
    texts = [client.subscribe(inst)[0] for inst in insts]
    assert [json.loads(text)["event"] for text in texts] == ["subscribed"] * 25 + ["error"]
    assert texts[-1] == '{"event":"error","msg":"subscribe: limit","code":10305}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": "tNOPE"}, "symbol: invalid"),
        ({"channel": "nope"}, "channel: unknown"),
        ({"len": "7"}, "length: invalid"),
        ({"prec": "P9"}, "precision: invalid"),
    ],
)
def test_wrong_subscriptions_are_refused_and_the_link_stays_open(change: Json, message: str) -> None:
    client = Client()
    (text,) = client.subscribe(**{"symbol": BTC} | change)
    refusal = json.loads(text)
    assert (refusal["event"], refusal["msg"], refusal["code"]) == ("error", message, 10300)
    assert len(client.subscribe("BTCUSD")) == 2  # taken without its t, too


def test_other_requests() -> None:
    client = Client()
    (error,) = client.send({"event": "nope"})
    assert json.loads(error) == {"event": "error", "msg": "event: invalid (nope)", "code": 10000}
    assert client.send("nonsense") == client.send(b"\xff") == []
    (pong,) = client.send({"event": "ping", "cid": 1234})
    assert json.loads(pong) == {"event": "pong", "ts": T0 // 10**6, "cid": 1234}


def test_connection_that_subscribes_nothing_is_ended_after_a_minute() -> None:
    client, other = Client(), Client()
    other.subscribe(BTC)
    client.run(59)
    assert not any(isinstance(output, Close) for output in client.outputs)
    client.run(2)
    other.run(61)
    assert [isinstance(each.outputs[-1], Close) for each in (client, other)] == [True, False]


# ---- REST, listing --------------------------------------------------------------------------------------------------


def test_pairs_are_listed_by_market_and_maintenance_shows() -> None:
    client = Client("maintenance:5s@10s", insts=(BTC, VET, PERP))
    assert client.get("/v2/conf/pub:list:pair:exchange") == [["BTCUSD", "VETBTC"]]
    assert client.get("/v2/conf/pub%3Alist%3Apair%3Afutures,pub:list:pair:exchange") == [
        ["BTCF0:USTF0"],
        ["BTCUSD", "VETBTC"],
    ]
    assert client.get("/v2/platform/status") == [1]
    client.run(12)
    assert client.get("/v2/platform/status") == [0]
    assert client.exchange.request_received("/v2/nope", client.exchange.now_ns).status == 404


@pytest.mark.parametrize("inst", ["BTCUSD", "tbtcusd", "tBTC", "tBTC:", "fUSD"])
def test_no_such_symbol(inst: str) -> None:
    with pytest.raises(ConfigError, match=inst):
        Bitfinex(1).instrument(inst, T0)
