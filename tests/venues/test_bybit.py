"""Bybit's frames: what they mean, what is odd, what is nothing; and what its instruments are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused
from l2_exporter.venues.bybit import INVERSE, LINEAR, SPOT, Bybit
from l2_exporter.venues.registry import venue_of_url

BYBIT, SPOTS, INVERSES = Bybit(LINEAR), Bybit(SPOT), Bybit(INVERSE)
# "Orderbook", response example (docs of 24 July 2026).
DELTA: dict[str, Any] = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "delta",
    "ts": 1687940967466,
    "data": {
        "s": "BTCUSDT",
        "b": [["30247.20", "30.028"], ["30245.40", "0"]],
        "a": [["30248.70", "0"]],
        "u": 177400507,
        "seq": 66544703342,
    },
    "cts": 1687940967464,
}


def decoded(message: object) -> list[Any]:
    return BYBIT.decode(json.dumps(message))


def book(**changes: Any) -> dict[str, Any]:
    return {**DELTA, "data": {**DELTA["data"], **changes}}


def test_a_delta_follows_the_number_before_its_own() -> None:
    assert decoded(DELTA) == [
        BookPush(
            Push.DELTA,
            "orderbook.50",
            "BTCUSDT",
            [["30247.20", "30.028"], ["30245.40", "0"]],
            [["30248.70", "0"]],
            1687940967464 * 10**6,
            177400507,
            177400506,
            None,
        )
    ]


def test_a_snapshot_has_no_predecessor_and_number_one_is_a_snapshot_whatever_its_type() -> None:
    for message in ({**DELTA, "type": "snapshot"}, book(u=1)):
        (push,) = decoded(message)
        assert (push.push, push.prev_seq) == (Push.SNAPSHOT, None)


def test_the_best_prices_alone_are_a_whole_book_each_time() -> None:
    (push,) = decoded({**DELTA, "topic": "orderbook.1.BTCUSDT", "type": "snapshot"})
    assert (push.push, push.channel, push.prev_seq) == (Push.WHOLE, "orderbook.1", None)


def test_without_the_engine_s_time_the_frame_s_own_is_taken_also_as_text() -> None:
    message = {name: value for name, value in DELTA.items() if name != "cts"}
    assert decoded(message)[0].event_ns == 1687940967466 * 10**6
    assert decoded({**message, "ts": "1687940967466"})[0].event_ns == 1687940967466 * 10**6
    assert decoded({**DELTA, "cts": 0})[0].event_ns is None


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (book(b=None), ("b",)),
        (book(a=[["1"]]), ("a",)),
        (book(a=[["0", "1"]]), ("a",)),
        (book(b=[[1, "1"]]), ("b",)),
        (book(u="177400507"), ("u",)),
        (book(u=True), ("u",)),
        (book(u=1 << 64), ("u",)),
        ({**DELTA, "type": "other"}, ("type",)),
        ({**DELTA, "data": []}, ("data",)),
        ({name: value for name, value in DELTA.items() if name not in ("ts", "cts")}, ("cts",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(message: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("orderbook.50", "BTCUSDT", missing)


def test_an_unknown_field_is_no_fault() -> None:
    assert len(decoded({**book(rpi=[]), "creationTime": 1})) == 1


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "", "op": "subscribe"},
            Other("answer to 'subscribe'"),
        ),
        ({"success": True, "ret_msg": "pong", "conn_id": "x", "op": "ping"}, Other("answer to 'ping'")),
        (
            {"success": False, "ret_msg": "error:handler not found,topic:orderbook.7.BTCUSDT", "op": "subscribe"},
            Refused("", "error:handler not found,topic:orderbook.7.BTCUSDT"),
        ),
        ({"topic": "publicTrade.BTCUSDT", "data": []}, Other("push of another channel")),
        ({"topic": "orderbook.7.BTCUSDT", "data": {}}, Other("push of another channel")),
        ([], Other("not an object", known=False)),
        ({"hello": 1}, Other("answer to None", known=False)),
    ],
)
def test_what_else_comes(message: object, event: object) -> None:
    assert decoded(message) == [event]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["s", "b", "a", "u", "x"]), inner),
    max_leaves=12,
)


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    try:
        BYBIT.decode(frame)
    except VenueError:
        return


@given(
    topic=st.sampled_from(["orderbook.50.BTCUSDT", "orderbook.1.", "orderbook..", "x"]), type_=JSON, data=JSON, cts=JSON
)
def test_any_fields_are_answered(topic: str, type_: object, data: object, cts: object) -> None:
    frame = json.dumps({"topic": topic, "type": type_, "data": data, "cts": cts})
    try:
        BYBIT.decode(frame)
        BYBIT.decode_instruments(frame)
    except VenueError:
        return


def test_depth_of_nesting_is_no_way_in() -> None:
    with pytest.raises(VenueError):
        BYBIT.decode("[" * 100_000)


@pytest.mark.parametrize(
    ("venue", "inst", "market"),
    [
        (BYBIT, "BTCUSDT", "perp"),
        (BYBIT, "BTCPERP", "perp"),
        (BYBIT, "BTCUSDT-26JUN26", "futures"),
        (BYBIT, "BTC-6NOV26", "futures"),
        (INVERSES, "BTCUSD", "perp"),
        (INVERSES, "BTCUSDH26", "futures"),
        (SPOTS, "BTCUSDT", "spot"),
        (SPOTS, "SOLUSDH26", "spot"),
    ],
)
def test_the_market_follows_from_the_id(venue: Bybit, inst: str, market: str) -> None:
    assert venue.market_of(inst) == market


# "Get Instruments Info", response examples for linear, inverse and spot (docs of 24 July 2026), shortened.
ROWS = {
    "linear": {
        "symbol": "BTCUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001"},
    },
    "inverse": {
        "symbol": "BTCUSDH26",
        "contractType": "InverseFutures",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USD",
        "settleCoin": "BTC",
        "launchTime": "1758873600000",
        "deliveryTime": "1774598400000",
        "priceFilter": {"tickSize": "0.50"},
        "lotSizeFilter": {"qtyStep": "1"},
    },
    "spot": {
        "symbol": "BTCUSDT",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "status": "Trading",
        "priceFilter": {"tickSize": "0.01"},
        "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.00000001"},
    },
}


def listed(venue: Bybit, word: str, cursor: str = "") -> str:
    result = {"category": word, "list": [ROWS[word]], "nextPageCursor": cursor}
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": 1})


@pytest.mark.parametrize(
    ("venue", "word", "fields"),
    [
        (BYBIT, "linear", ("BTC/USDT:USDT", "perp", "linear", "base", "1", "BTC", "0.1", "0.001", None)),
        (
            INVERSES,
            "inverse",
            ("BTC/USD:BTC", "futures", "inverse", "quote", "1", "USD", "0.5", "1", "2026-03-27T08:00:00.000Z"),
        ),
        (SPOTS, "spot", ("BTC/USDT", "spot", None, "base", None, None, "0.01", "0.000001", None)),
    ],
)
def test_instruments(venue: Bybit, word: str, fields: tuple[str | None, ...]) -> None:
    (one,) = venue.decode_instruments(listed(venue, word))
    contract = (one.size_unit, one.contract_value, one.contract_value_ccy)
    assert (one.symbol, one.market, one.kind, *contract, one.tick, one.lot, one.expiry_utc) == fields
    assert (one.venue, one.state, venue.code_of(one)) == (venue.name, "Trading", one.inst)


def test_pages_are_followed() -> None:
    assert BYBIT.instrument_paths(["spot"]) == []
    assert BYBIT.instrument_paths(["futures", "perp"]) == ["/v5/market/instruments-info?category=linear&limit=1000"]
    assert BYBIT.further_instrument_paths(listed(BYBIT, "linear")) == []
    assert BYBIT.further_instrument_paths(listed(BYBIT, "linear", "a%3D b")) == [
        "/v5/market/instruments-info?category=linear&limit=1000&cursor=a%253D%20b"
    ]


@pytest.mark.parametrize(
    "body", ["", "[]", '{"retCode":10001,"retMsg":"params error"}', '{"retCode":0,"result":{"list":[1]}}']
)
def test_other_answers_are_errors(body: str) -> None:
    with pytest.raises(VenueError):
        BYBIT.decode_instruments(body)


def test_addresses_tell_the_three_apart() -> None:
    for venue in (BYBIT, SPOTS, INVERSES):
        assert venue_of_url(venue.link.ws_url) == venue.name
    assert venue_of_url("wss://stream.bybit.com/v5/public/option") is None


def test_frames_that_are_sent() -> None:
    (text,) = BYBIT.subscribe([("orderbook.200", "BTCUSDT"), ("orderbook.1", "ETHUSDT")])
    assert json.loads(text) == {"op": "subscribe", "args": ["orderbook.200.BTCUSDT", "orderbook.1.ETHUSDT"]}
    assert [json.loads(text)["op"] for text in BYBIT.resubscribe("orderbook.200", "BTCUSDT")] == [
        "unsubscribe",
        "subscribe",
    ]
