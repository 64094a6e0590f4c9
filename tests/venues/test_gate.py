"""Gate's frames: what they mean, what is odd, what is nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import (
    BookPush,
    ClosingSoon,
    Event,
    Other,
    Push,
    Refused,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.venues.gate import Gate
from tests.gate_frames import DELTA, FULL, MS, OBU, PERPS, SPOTS, UPDATE, UPDATES, but

# The recording of 22 April 2021, shortened.
SPOT_UPDATE: dict[str, Any] = {
    "time": 1619093533,
    "channel": "spot.order_book_update",
    "event": "update",
    "result": {
        "t": 1619093533020,
        "e": "depthUpdate",
        "E": 1619093533,
        "s": "FAST_USDT",
        "U": 1130669,
        "u": 1138115,
        "b": [["10.28", "36.50154112"], ["10.23", "0"]],
        "a": [],
    },
}


def decoded(message: object, venue: Gate = PERPS) -> list[Event]:
    return venue.connection({}).decode(json.dumps(message))


def push_of(message: object, venue: Gate = PERPS) -> BookPush:
    (push,) = decoded(message, venue)
    assert isinstance(push, BookPush)
    return push


def test_obu_begins_with_a_full_book_and_leaves_out_what_has_not_changed() -> None:
    bids, asks = [["83705.9", "30166"]], [["83706", "4208"]]
    assert decoded(FULL) == [
        BookPush(Push.SNAPSHOT, OBU, "BTC_USDT", bids, asks, 1743673026995 * MS, 79072179673, None, None)
    ]
    bids = [["83702.2", "62"], ["83702.1", "0"]]
    assert decoded({**DELTA, "event": "update"}) == [
        BookPush(Push.DELTA, OBU, "BTC_USDT", bids, [], 1743673027017 * MS, 79072179694, 79072179673, None)
    ]


def test_an_update_without_rows_moves_the_number_on() -> None:
    push = push_of(but(DELTA, b=...))
    assert (push.bids, push.asks, push.prev_seq, push.seq) == ([], [], 79072179673, 79072179694)


def test_a_full_book_that_names_its_first_change_may_follow_the_one_before() -> None:
    push = push_of(but(UPDATE, full=True))
    assert (push.push, push.prev_seq, push.seq) == (Push.SNAPSHOT, 203083178, 203083180)


def test_sizes_keep_their_text_whether_number_or_text() -> None:
    push = push_of(UPDATE)
    assert (push.channel, push.inst, push.event_ns) == (UPDATES, "RDNT_USDT", 1684930165459 * MS)
    assert (push.push, push.prev_seq, push.seq) == (Push.DELTA, 203083178, 203083180)
    assert (push.bids, push.asks) == ([["0.2943", "0"]], [["0.3004", "36916"]])
    assert push_of(but(UPDATE, a=[{"p": "1.50", "s": "5116.80"}])).asks == [["1.50", "5116.80"]]
    frame = json.dumps(but(UPDATE, a=[{"p": "0.3004", "s": 0}])).replace('"s": 0}', '"s": 18446744073709551615}')
    (push,) = PERPS.connection({}).decode(frame)
    assert isinstance(push, BookPush)
    assert push.asks == [["0.3004", "18446744073709551615"]]


def test_spot_updates_have_rows_as_lists() -> None:
    push = push_of(SPOT_UPDATE, SPOTS)
    assert (push.channel, push.inst, push.event_ns) == ("spot.order_book_update", "FAST_USDT", 1619093533020 * MS)
    assert (push.prev_seq, push.seq, push.asks) == (1130668, 1138115, [])
    assert push.bids == [["10.28", "36.50154112"], ["10.23", "0"]]


def test_books_of_other_levels_are_not_ours() -> None:
    for message in (but(FULL, s="ob.BTC_USDT.50"), but(UPDATE, l="20")):
        assert decoded(message) == [Other("push of another level")]


def test_ids_may_hold_whatever_a_stream_s_name_may() -> None:
    assert push_of(but(FULL, s="ob.A.B_USDT.400")).inst == "A.B_USDT"
    assert push_of(but(FULL, s="ob.币安人生_USDT.400")).inst == "币安人生_USDT"


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (but(DELTA, b=[["1"]]), ("b",)),
        (but(DELTA, a=None), ("a",)),
        (but(DELTA, b=[["0", "1"]]), ("b",)),
        (but(DELTA, U=...), ("U",)),
        (but(DELTA, U="79072179674"), ("U",)),
        (but(DELTA, U=0), ("U",)),
        (but(DELTA, u=...), ("u",)),
        (but(DELTA, u=1 << 63), ("u",)),
        (but(DELTA, t=...), ("t",)),
        (but(DELTA, full="true"), ("full",)),
        (but(FULL, U="x"), ("U",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(message: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == (OBU, "BTC_USDT", missing)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"a": ...}, ("a",)),
        ({"a": [{"p": "1"}]}, ("a",)),
        ({"a": [{"p": "1", "s": 1.5}]}, ("a",)),
        ({"a": [{"p": "1", "s": -1}]}, ("a",)),
        ({"a": [{"p": 1, "s": 1}]}, ("a",)),
        ({"a": [{"p": "1", "s": True}]}, ("a",)),
        ({"a": [{"p": "1", "s": 1}, 7]}, ("a",)),
        ({"a": {"p": "1"}, "b": None}, ("b", "a")),
    ],
)
def test_changes_must_have_both_sides(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(but(UPDATE, **changes))
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == (UPDATES, "RDNT_USDT", missing)


@pytest.mark.parametrize("result", [None, [], {}, {"s": 7}, {"s": "BTC_USDT"}, {"s": "ob..400"}, {"s": "ob.400"}])
def test_a_book_that_names_no_instrument_is_odd(result: object) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded({"channel": OBU, "result": result})
    assert (caught.value.inst, caught.value.missing) == (None, ("result.s",))


def test_a_time_of_zero_is_none_and_an_unknown_field_no_fault() -> None:
    assert push_of({**but(DELTA, t=0, rpi=[]), "trace": 1}).event_ns is None


# Announcement of 12 February 2026.
UPGRADE = "The connection will soon be closed for a service upgrade. Please reconnect."
SYSTEM = {
    "time": 1770694860,
    "time_ms": 1770694860773,
    "channel": "futures.system",
    "event": "update",
    "result": {"type": "upgrade", "msg": UPGRADE},
}
# "Order book V2", example of a failed subscription.
TWICE = {
    "time": 1747391482,
    "time_ms": 1747391482960,
    "id": 1,
    "conn_id": "d9db9373dc5e081e",
    "channel": OBU,
    "event": "subscribe",
    "payload": ["ob.BTC_USDT.400"],
    "error": {"code": 2, "message": "Alert sub ob.BTC_USDT.400"},
    "result": {"status": "fail"},
}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (TWICE, Refused("2", "Alert sub ob.BTC_USDT.400")),
        ({"channel": "", "error": {"code": 1}}, Refused("1", "{'code': 1}")),
        ({"time": 1, "channel": "futures.pong", "event": "", "result": None}, Other("channel 'futures.pong'")),
        ({"time": 1, "channel": "futures.tickers", "event": "update"}, Other("channel 'futures.tickers'")),
        (SYSTEM, ClosingSoon("upgrade", UPGRADE)),
        ({"channel": "futures.system", "result": {"type": "hello"}}, Other("channel 'futures.system'")),
        ({"channel": "options.obu"}, Other("channel 'options.obu'", known=False)),
        ({"hello": 1}, Other("channel ''", known=False)),
        ([], Other("not an object", known=False)),
    ],
)
def test_what_else_comes(message: object, event: Event) -> None:
    assert decoded(message) == [event]


def test_requests_are_numbered_and_answers_that_name_no_book_are_known_by_their_number() -> None:
    connection = PERPS.connection({})
    texts = connection.subscribe([(OBU, "BTC_USDT"), (UPDATES, "ETH_USDT")])
    texts += connection.resubscribe(UPDATES, "ETH_USDT")
    requests = [json.loads(text) for text in texts]
    assert [(request["id"], request["event"], request["channel"], request["payload"]) for request in requests] == [
        (1, "subscribe", OBU, ["ob.BTC_USDT.400"]),
        (2, "subscribe", UPDATES, ["ETH_USDT", "100ms", "100"]),
        (3, "unsubscribe", UPDATES, ["ETH_USDT", "100ms"]),
        (4, "subscribe", UPDATES, ["ETH_USDT", "100ms", "100"]),
    ]
    assert all(type(request["time"]) is int for request in requests)

    def answered(number: int | None, event: str) -> list[Event]:
        head = {} if number is None else {"id": number}
        answer = {"time": 1, "time_ms": 0, **head, "channel": UPDATES, "event": event, "result": {"status": "success"}}
        return connection.decode(json.dumps(answer))

    assert answered(2, "subscribe") == [Subscribed(UPDATES, "ETH_USDT")]
    assert answered(3, "unsubscribe") == [Unsubscribed(UPDATES, "ETH_USDT")]
    assert connection.decode(json.dumps(TWICE)) == [Refused("2", "Alert sub ob.BTC_USDT.400")]
    for number in (1, 2, 99, None):
        assert answered(number, "subscribe") == [Other("answer to subscribe")]


def test_spot_changes_have_no_level_to_choose() -> None:
    (text,) = SPOTS.connection({}).subscribe([("spot.order_book_update", "BTC_USDT")])
    assert json.loads(text)["payload"] == ["BTC_USDT", "100ms"]
    assert json.loads(SPOTS.link.ping or "")["channel"] == "spot.ping"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["s", "p", "b", "u", "x"]), inner),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(["s", "t", "U", "u", "b", "a", "l", "full"], JSON))


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    for venue in (PERPS, SPOTS):
        try:
            venue.connection({}).decode(frame)
        except VenueError:
            continue


@given(channel=st.sampled_from([OBU, UPDATES, "futures.system", ""]), fields=FIELDS, result=JSON, event=JSON)
def test_any_fields_are_answered(channel: str, fields: dict[str, Any], result: object, event: object) -> None:
    for content in ({**DELTA["result"], **fields}, {**UPDATE["result"], **fields}, fields, result):
        for head in ({}, {"event": event, "id": event}, {"error": result}):
            try:
                decoded({"channel": channel, **head, "result": content})
            except VenueError:
                continue


@given(body=st.text(max_size=100) | JSON.map(json.dumps) | FIELDS.map(lambda row: json.dumps([row])))
def test_any_answer_is_answered(body: str) -> None:
    for read in (PERPS.decode_instruments, lambda text: PERPS.decode_book(UPDATES, "X", text)):
        try:
            read(body)
        except VenueError:
            continue


def test_depth_of_nesting_is_no_way_in() -> None:
    with pytest.raises(VenueError):
        PERPS.connection({}).decode("[" * 100_000)
