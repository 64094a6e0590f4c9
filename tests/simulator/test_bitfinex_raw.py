"""Raw books (R0) of the simulated Bitfinex: windows of orders, checksums, recorded shapes."""

import json
from typing import Any

import pytest

from l2_exporter.simulator.dialects.bitfinex_raw import raw_checksum
from l2_exporter.simulator.truth import Truth
from tests.recordings import load, needs_recordings, path_of
from tests.simulator.naive import T0, S
from tests.simulator.naive_orders import Orders, RawBook, raw_crc, read
from tests.simulator.ordertalks import BITFINEX, FLAGS, Client, raw

BTC, VET = BITFINEX.insts
RECORDING = "bitfinex/nautilus-202103-R0-tBTCUSD.jsonl.gz"
MS = 1_000_000


class Window:
    """What a client has of one channel, array by array."""

    def __init__(self, client: Client, symbol: str, length: str) -> None:
        ack, self.snapshot = client.send(raw(symbol, length))
        self.symbol, self.length = symbol, int(length)
        self.chan = json.loads(ack)["chanId"]
        self.book = RawBook(read(self.snapshot)[1])
        self.sums = 0

    def heard(self, array: Any) -> None:
        """Take an array of this channel; a checksum must be that of the book now."""
        if array[1] == "cs":
            assert int(array[2]) == self.book.checksum() == raw_crc(self.book.orders.rows())
            self.sums += 1
        elif array[1] != "hb":
            self.book.apply(array[1])


@pytest.mark.parametrize("seed", [1, 2])
def test_windows_are_the_best_orders_of_the_truth_at_every_checksum(seed: int) -> None:
    client = Client(BITFINEX, seed=seed, interval_ms=1000)
    client.send(FLAGS)
    windows = [Window(client, BTC, "250"), Window(client, BTC, "25"), Window(client, VET, "100")]
    by_chan = {window.chan: window for window in windows}
    arrays = [read(text) for text in client.run(120)]
    assert [int(array[-2]) for array in arrays] == [*range(4, 4 + len(arrays))]
    for number, array in enumerate(arrays):
        window = by_chan[int(array[0])]
        window.heard(array)
        later = next((int(each[-1]) for each in arrays[number + 1 :] if each[0] == array[0]), None)
        if array[1] == "cs" and later != int(array[-1]):
            line = client.truth.order_book_at(window.symbol, int(array[-1]) * MS)
            assert line is not None
            best = (line.bids[: window.length], line.asks[: window.length])
            assert window.book.orders.rows() == best
    assert all(window.sums > 200 for window in windows)


def test_the_window_is_full_and_what_leaves_it_comes_back() -> None:
    client = Client(BITFINEX)
    client.send(FLAGS)
    window = Window(client, BTC, "25")
    shown = [*window.book.orders.known]
    gone: dict[str, int] = {}
    back = 0
    for text in client.run(60):
        array = read(text)
        window.heard(array)
        if array[1] == "cs":
            assert [len(side) for side in window.book.orders.rows()] == [25, 25]
        elif array[1] != "hb":
            order_id, price, _ = array[1]
            gone[order_id] = gone.get(order_id, 0) + (price == "0")
            back += price != "0" and gone[order_id] > 0
    assert len(shown) == 50
    assert back > 20


def test_levels_of_the_truth_are_plain_sums_where_the_wire_has_exponents() -> None:
    client = Client(BITFINEX, truth=Truth(with_rows=True))
    client.send(FLAGS)
    window = Window(client, VET, "250")
    (line,) = [line for line in client.truth.books if line.inst == VET]
    assert window.book.orders.levels() == (line.bids, line.asks)
    assert any("e" in row[0] for row in line.bids)
    assert not any("e" in row[1] for row in (*line.bids, *line.asks))
    assert any(int(row[3]) > 1 for row in line.bids)


def test_the_published_checksum_is_ours() -> None:
    bids = [("5", "0.5", "1234", "0"), ("4", "1", "1235", "0")]
    asks = [("6", "0.25", "2234", "0"), ("7", "2", "2235", "0")]
    assert raw_checksum(bids, asks) == 1447967471
    orders = Orders()
    for side, rows in enumerate((bids, asks)):
        for price, size, order_id, _ in rows:
            orders.put(side, order_id, price, size)
    assert raw_crc(orders.rows()) == 1447967471


def test_orders_of_one_price_are_summed_by_their_ids() -> None:
    first, second = ("5", "0.5", "9", "0"), ("5.0", "1", "10", "0")
    assert (
        raw_checksum([second, first], []) == raw_checksum([first, second], []) == raw_crc(((first[:3], second[:3]), ()))
    )


@needs_recordings
def test_frames_look_like_recorded_ones() -> None:
    recorded = [line["frame"] for line in load(RECORDING)[:3000]]
    client = Client(BITFINEX)
    ours = [*client.first, *client.send(raw(BTC, "25")), *client.run(30)]
    for texts in (recorded, ours):
        assert [*json.loads(texts[0])] == ["event", "version", "serverId", "platform"]
    acks = [json.loads(texts[1]) for texts in (recorded, ours)]
    assert [ack | {"chanId": 0} for ack in acks] == [acks[0] | {"chanId": 0}] * 2

    def shapes(texts: list[str]) -> set[tuple[object, ...]]:
        rows = [read(text)[1] for text in texts[3:]]
        return {(len(row), row[1] == "0", row[2].startswith("-"), row[2] in ("1", "-1")) for row in rows if row != "hb"}

    assert {(3, True, False, True), (3, True, True, True), (3, False, False, False)} < shapes(ours)
    whole = {each for each in shapes(recorded) if each[1] or not each[3]}
    assert {each for each in shapes(ours) if each[1] or not each[3]} == whole
    assert [len(RawBook(read(texts[2])[1]).orders.known) for texts in (recorded, ours)] == [50, 50]


@needs_recordings
def test_a_snapshot_has_the_shape_of_the_one_of_2017() -> None:
    (text,) = json.loads(path_of("frames/bitfinex/bitfinex-api-node-2017-R0-snapshot.json").read_text())["frames"]
    client = Client(BITFINEX)
    _, ours = client.send(raw(BTC, "100"))
    for each in (text, ours):
        chan, rows = json.loads(each)
        assert isinstance(chan, int)
        assert {tuple(isinstance(item, int | float) for item in row) for row in rows} == {(True, True, True)}
        assert {isinstance(row[0], int) for row in rows} == {True}
        assert [row[2] > 0 for row in rows] == sorted((row[2] > 0 for row in rows), reverse=True)


def test_lengths_and_precisions_that_there_are() -> None:
    client = Client(BITFINEX)
    assert [len(client.send(raw(BTC, length))) for length in ("25", "100", "250")] == [2, 2, 2]
    refusals = [json.loads(client.send(raw(BTC, length))[0]) for length in ("1", "25")]
    assert [refusal["msg"] for refusal in refusals] == ["length: invalid", "subscribe: dup"]
    plain = json.dumps({"event": "subscribe", "channel": "book", "symbol": BTC, "prec": "P0", "len": "25"})
    ack, snapshot = client.send(plain)
    assert (json.loads(ack)["prec"], len(json.loads(snapshot)[1][0])) == ("P0", 3)


@pytest.mark.parametrize(
    ("faults", "right"), [("", True), ("bad_checksum:1", False), ("checksum=zero", False), ("checksum=change@3s", True)]
)
def test_checksums_are_those_asked_for(faults: str, right: bool) -> None:
    client = Client(BITFINEX, faults)
    client.send(FLAGS)
    window = Window(client, BTC, "25")
    told = []
    for text in client.run(6):
        array = read(text)
        if array[1] == "cs":
            told.append((int(array[-1]) * MS < T0 + 3 * S, int(array[2]) == window.book.checksum()))
        elif array[1] != "hb":
            window.book.apply(array[1])
    assert (True, right) in told
    assert ((False, False) in told) == (faults != "")
    assert ("zero" in faults) == all(read(text)[2] == "0" for text in map(str, sums(client)))


def sums(client: Client) -> list[object]:
    """Return the checksum frames that came."""
    return [output.data for output in client.outputs if '"cs"' in str(getattr(output, "data", ""))]


def test_a_wrong_size_shows_by_the_checksum() -> None:
    client = Client(BITFINEX, "wrong_size@2s")
    client.send(FLAGS)
    window = Window(client, BTC, "25")
    found = []
    for text in client.run(4):
        array = read(text)
        if array[1] == "cs":
            found.append(int(array[2]) == window.book.checksum())
        elif array[1] != "hb":
            window.book.apply(array[1])
    assert {*found} == {True, False}
    assert [inst for inst, _, _ in client.faults("wrong_size")] == [BTC]
