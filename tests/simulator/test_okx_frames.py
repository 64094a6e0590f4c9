"""Frames of the simulated OKX, compared with the documented ones: the keys, their order, the types, the codes."""

import json

import pytest

from l2_exporter.simulator.dialects.okx import Okx
from l2_exporter.simulator.wire import Close
from tests.simulator.naive import BTC, ETH, T0, Memory, S, ask, books, chain

DELTA_CHANNELS = ("books", "books-l2-tbt", "books50-l2-tbt")
DEPTHS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50, "books5": 5, "bbo-tbt": 1}


def last_texts(memory: Memory) -> list[str]:
    """Return the texts sent so far."""
    return [output.data for output in memory.outputs]  # type: ignore[union-attr, misc]


def test_a_subscription_is_acknowledged_once_per_arg_with_the_id_it_was_given() -> None:
    memory = Memory()
    answers = memory.send(ask("subscribe", BTC, ETH, request_id="1512"))
    acks = [answer for answer in answers if "event" in answer]
    assert [list(ack) for ack in acks] == [["id", "event", "arg", "connId"]] * 2
    assert [ack["arg"] for ack in acks] == [{"channel": "books", "instId": inst} for inst in (BTC, ETH)]
    assert {(ack["id"], ack["event"]) for ack in acks} == {("1512", "subscribe")}
    assert len({str(ack["connId"]) for ack in acks}) == 1
    assert len(str(acks[0]["connId"])) == 8


def test_an_unsubscription_is_acknowledged_and_ends_the_pushes() -> None:
    memory = Memory()
    memory.subscribe(BTC, ETH)
    (ack,) = memory.send(ask("unsubscribe", BTC))
    assert list(ack) == ["event", "arg", "connId"]
    assert ack["event"] == "unsubscribe"
    pushes = memory.run(1)
    assert not books(pushes, BTC)
    assert books(pushes, ETH)


@pytest.mark.parametrize("channel", DELTA_CHANNELS)
def test_a_delta_channel_starts_with_a_snapshot_and_goes_on_with_updates(channel: str) -> None:
    memory = Memory()
    _, snapshot = memory.subscribe(BTC, channel=channel)
    update = memory.run(0.1)[0]
    for frame, action in ((snapshot, "snapshot"), (update, "update")):
        assert list(frame) == ["arg", "action", "data"]
        assert frame["arg"] == {"channel": channel, "instId": BTC}
        assert frame["action"] == action
        (book,) = books([frame])
        assert list(book) == ["asks", "bids", "ts", "checksum", "prevSeqId", "seqId"]
        assert [type(book[key]) for key in ("ts", "checksum", "prevSeqId", "seqId")] == [str, int, int, int]
        assert book["checksum"] == 0
    first, second = books([snapshot, update])
    assert first["prevSeqId"] == -1
    assert second["prevSeqId"] == first["seqId"]
    assert first["ts"] == str(T0 // 1_000_000)
    assert second["ts"] == str(T0 // 1_000_000 + 100)
    assert len(first["bids"]) == len(first["asks"]) == DEPTHS[channel]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("channel", "keys"),
    [("bbo-tbt", ["asks", "bids", "ts", "seqId"]), ("books5", ["asks", "bids", "instId", "ts", "seqId"])],
)
def test_a_whole_book_channel_has_neither_action_nor_checksum(channel: str, keys: list[str]) -> None:
    memory = Memory()
    _, first = memory.subscribe(BTC, channel=channel)
    for frame in [first, *memory.run(1)]:
        assert list(frame) == ["arg", "data"]
        (book,) = books([frame])
        assert list(book) == keys
        assert len(book["bids"]) == len(book["asks"]) == DEPTHS[channel]  # type: ignore[arg-type]


def test_frames_are_compact_json_and_rows_are_four_texts_best_first() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    memory.run(2)
    for text in last_texts(memory):
        assert text == json.dumps(json.loads(text), separators=(",", ":"))
    for book in books([json.loads(text) for text in last_texts(memory)]):
        for side, sign in (("bids", -1), ("asks", 1)):
            rows = book[side]
            assert isinstance(rows, list)
            assert all(len(row) == 4 and all(type(cell) is str for cell in row) and row[2] == "0" for row in rows)
            assert all(row[3] == "0" for row in rows if row[1] == "0")
            assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=lambda price: sign * float(price))


def test_pushes_of_one_step_come_in_the_documented_order() -> None:
    memory = Memory()
    for channel in ("books5", "books", "books50-l2-tbt", "bbo-tbt"):
        memory.subscribe(BTC, channel=channel)
    order: list[str] = []
    for frame in memory.run(3):
        arg = frame["arg"]
        assert isinstance(arg, dict)
        order.append(arg["channel"])
    first = order.index("bbo-tbt")
    assert order[first : first + 4] == ["bbo-tbt", "books50-l2-tbt", "books", "books5"]


def test_the_sequence_of_an_instrument_is_the_same_on_every_connection_and_channel() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    early = books(memory.run(1), BTC)
    other = memory.open()
    late_start = books(memory.subscribe(BTC, conn=other))[0]
    assert late_start["seqId"] == early[-1]["seqId"]
    assert late_start["ts"] == early[-1]["ts"]
    memory.outputs.clear()
    memory.run(1)
    texts = {conn: [o.data for o in memory.outputs if o.conn == conn] for conn in (memory.conn, other)}  # type: ignore[union-attr]
    assert texts[memory.conn] == texts[other]
    assert len(texts[other]) >= 9


def test_a_second_subscription_is_acknowledged_without_a_snapshot_a_new_one_brings_a_fresh_one() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    memory.run(1)
    assert [answer["event"] for answer in memory.subscribe(BTC)] == ["subscribe"]
    memory.send(ask("unsubscribe", BTC))
    memory.run(1)
    (fresh,) = books(memory.subscribe(BTC))
    assert fresh["prevSeqId"] == -1
    pushes = books(memory.run(1))
    assert chain(pushes)[0][0] == fresh["seqId"]


def test_ping_is_answered_with_pong_text() -> None:
    memory = Memory()
    memory.send("ping")
    assert last_texts(memory) == ["pong"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("hello", "60012"),
        ("[1]", "60012"),
        (b"\xff\x00", "60012"),
        ('{"op":"dance","args":[{}]}', "60019"),
        ('{"op":"subscribe"}', "60013"),
        ('{"op":"subscribe","args":[]}', "60013"),
        ('{"op":"subscribe","args":["books"]}', "60013"),
        ('{"op":"subscribe","args":[{"channel":"books"}]}', "60013"),
        (ask("subscribe", "BTC-NOPE"), "60018"),
        (ask("subscribe", BTC.lower()), "60018"),
        (ask("subscribe", BTC, channel="books9"), "60018"),
    ],
)
def test_a_wrong_request_is_answered_with_its_code_and_the_link_stays_open(frame: str | bytes, code: str) -> None:
    memory = Memory()
    (answer,) = memory.send(frame)
    assert list(answer) == ["event", "code", "msg", "connId"]
    assert (answer["event"], answer["code"]) == ("error", code)
    assert books(memory.subscribe(BTC))


def test_a_failing_arg_does_not_stop_the_others() -> None:
    memory = Memory()
    answers = memory.send(ask("subscribe", "NOPE", BTC, request_id="a1"))
    assert [(answer.get("event"), answer.get("id")) for answer in answers] == [
        ("error", "a1"),
        ("subscribe", "a1"),
        (None, None),
    ]


def test_books_l2_tbt_excludes_the_other_depth_channels_of_its_instrument() -> None:
    memory = Memory()
    memory.subscribe(BTC, channel="books-l2-tbt")
    assert [answer["code"] for answer in memory.subscribe(BTC, channel="books")] == ["64004"]
    assert [answer["code"] for answer in memory.subscribe(BTC, channel="books50-l2-tbt")] == ["64004"]
    assert books(memory.subscribe(ETH, channel="books"))


def test_more_than_480_requests_an_hour_are_too_many() -> None:
    memory = Memory()
    for _ in range(480):
        memory.send(ask("unsubscribe", BTC))
    (answer,) = memory.subscribe(BTC)
    assert answer["code"] == "60014"
    memory.send("ping")
    assert last_texts(memory)[-1] == "pong"


def test_a_keepalive_after_60_s_without_change_repeats_the_number() -> None:
    memory = Memory("quiet:10m@5s")
    for channel in ("books", "books5"):
        memory.subscribe(BTC, channel=channel)
    last = [book for book in books(memory.run(5)) if "instId" in book][-1]
    pushes = []
    for _ in range(3):
        memory.send("ping")
        pushes += memory.run(21)
    assert [push.get("action") for push in pushes] in ([None, "update"], ["update", None])
    whole, delta = sorted(books(pushes), key=lambda book: "instId" not in book)
    assert (delta["bids"], delta["asks"]) == ([], [])
    assert delta["seqId"] == delta["prevSeqId"]
    assert int(str(delta["ts"])) - T0 // 1_000_000 == 64_900
    assert whole == last


def test_a_link_over_which_nothing_goes_for_30_s_is_closed() -> None:
    memory = Memory()
    memory.run(29.8)
    memory.send("ping")
    memory.run(29.8)
    assert not any(isinstance(output, Close) for output in memory.outputs)
    memory.run(0.3)
    assert memory.outputs[-1] == Close(memory.conn, T0 + 59_800_000_000, 4004, "No data received in 30s")


def test_the_link_of_a_running_book_is_never_idle() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    memory.run(100)
    assert not any(isinstance(output, Close) for output in memory.outputs)


def rows(*levels: str) -> list[tuple[str, ...]]:
    """Write rows from `price:size` texts."""
    return [(*level.split(":"), "0", "1") for level in levels]


VECTOR_C = (rows("8476.97:256", "8475.55:101", "8474:9"), rows("8476.98:415", "8477:7"))


@pytest.mark.parametrize(
    ("bids", "asks", "checksum"),
    [
        (rows("3366.1:7", "3366:6"), rows("3366.8:9", "3368:8"), -1881014294),
        (rows("3366.1:7"), rows("3366.8:9", "3368:8", "3372:8"), 831078360),
        (*VECTOR_C, 774080889),
        (rows("8476.97:240", "8475.55:101", "8474:9"), rows("8477:7", "8477.34:85"), -2047291061),
        (rows("8476.97:256"), [], -339689424),
        ([], [], 0),
    ],
)
def test_checksum_vectors(bids: list[tuple[str, ...]], asks: list[tuple[str, ...]], checksum: int) -> None:
    assert Okx(1).checksum(bids, asks) == checksum


RECORDED = (
    "30233.6:3:30238.8:2:30219.4:104:30249.5:50:30219.3:1520:30249.6:29:30212.3:171:30261.1:218:30209.8:5:30261.5:215:"
    "30205.8:50:30261.7:172:30204.1:1730:30264.5:11:30202.1:30:30265.9:249:30185.4:11:30268.4:40:30184:1537:30280.8:97:"
    "30181.3:18:30280.9:217:30181.2:19:30283.1:120:30180.7:249:30291.1:442:30168.9:20:30316:81:30165.8:3078:30316.1:1:"
    "30145.8:4770:30323.1:373:30145.3:120:30325:17:30133.2:12:30371.7:202:30130.3:1:30371.8:10:30130.1:236:30418.3:374:"
    "30129.9:442:30426.3:508:30117.7:81:30439.6:1539:30117.6:369:30449.2:29:30074.9:202:30464.9:202:30074.6:373:30486.8:504"
)


def test_checksum_of_a_recorded_snapshot() -> None:
    cells = RECORDED.split(":")
    pairs = [f"{price}:{size}" for price, size in zip(cells[::2], cells[1::2], strict=True)]
    assert Okx(1).checksum(rows(*pairs[::2]), rows(*pairs[1::2])) == 1054815633


def test_simulated_time_is_the_event_time() -> None:
    memory = Memory()
    memory.subscribe(BTC)
    for book in books(memory.run(3)):
        assert T0 <= int(str(book["ts"])) * 1_000_000 <= T0 + 3 * S
