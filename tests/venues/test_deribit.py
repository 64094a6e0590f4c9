"""Deribit's frames: what they mean, what is odd, what is nothing; and what its instruments are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused, Say, Subscribed, Unsubscribed
from l2_exporter.venues.deribit import Deribit

DERIBIT = Deribit()
CHANGE = (
    '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-24SEP21-8000-P.raw","data":{"type":"change",'
    '"timestamp":1626993724337,"prev_change_id":33195894355,"instrument_name":"BTC-24SEP21-8000-P",'
    '"change_id":33195894358,"bids":[["new",1e-4,5.0],["change",0.0015,4714.0]],"asks":[["delete",0.001,0.0]]}}}'
)
"""As recorded on 22 July 2021, two bids added."""


def pushed(**changes: Any) -> str:
    message = json.loads(CHANGE)
    data = message["params"]["data"] | changes
    message["params"]["data"] = {name: value for name, value in data.items() if value != "absent"}
    return json.dumps(message)


def test_a_change_keeps_the_wire_s_number_texts_and_names_its_predecessor() -> None:
    assert DERIBIT.decode(CHANGE) == [
        BookPush(
            Push.DELTA,
            "book.raw",
            "BTC-24SEP21-8000-P",
            [["1e-4", "5.0"], ["0.0015", "4714.0"]],
            [["0.001", "0"]],
            1626993724337 * 10**6,
            33195894358,
            33195894355,
            None,
        )
    ]


@pytest.mark.parametrize("prev", ["absent", None])
def test_a_snapshot_has_no_predecessor(prev: object) -> None:
    (push,) = DERIBIT.decode(pushed(type="snapshot", prev_change_id=prev, change_id=0, bids=[], asks=[]))
    assert (push.push, push.seq, push.prev_seq, push.bids, push.asks) == (Push.SNAPSHOT, 0, None, [], [])


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"bids": None}, ("bids",)),
        ({"bids": [["new", 1]]}, ("bids",)),
        ({"asks": [["moved", 1.5, 2.0]]}, ("asks",)),
        ({"asks": [[["new"], 1.5, 2.0]]}, ("asks",)),
        ({"asks": [["new", 0.0, 2.0]]}, ("asks",)),
        ({"asks": [["new", -1.0, 2.0]]}, ("asks",)),
        ({"change_id": "absent"}, ("change_id",)),
        ({"change_id": 1.5}, ("change_id",)),
        ({"change_id": 1 << 70}, ("change_id",)),
        ({"prev_change_id": "absent"}, ("prev_change_id",)),
        ({"timestamp": "absent"}, ("timestamp",)),
        ({"type": "other"}, ("type",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        DERIBIT.decode(pushed(**changes))
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == (
        "book.raw",
        "BTC-24SEP21-8000-P",
        missing,
    )


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (
            {"jsonrpc": "2.0", "id": 1, "result": ["book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"]},
            [Subscribed("book.100ms", "BTC-PERPETUAL")],
        ),
        ({"jsonrpc": "2.0", "id": 2, "result": ["book.A.raw"]}, [Unsubscribed("book.raw", "A")]),
        ({"jsonrpc": "2.0", "id": 1, "result": []}, [Other("answer")]),
        ({"jsonrpc": "2.0", "id": 3, "result": "ok"}, [Other("answer")]),
        ({"id": 5, "error": {"message": "too_many_requests", "code": 10028}}, [Refused("10028", "too_many_requests")]),
        ({"method": "heartbeat", "params": {"type": "heartbeat"}}, [Other("heartbeat")]),
        (
            {"method": "heartbeat", "params": {"type": "test_request"}},
            [Say('{"jsonrpc":"2.0","id":4,"method":"public/test","params":{}}')],
        ),
        (
            {"method": "subscription", "params": {"channel": "trades.X.raw", "data": []}},
            [Other("push of another channel")],
        ),
        ({"method": "subscription", "params": 1}, [Other("push of another channel", known=False)]),
        ([], [Other("not an object", known=False)]),
        ({"hello": 1}, [Other("answer", known=False)]),
    ],
)
def test_what_else_comes(message: object, events: list[object]) -> None:
    assert DERIBIT.decode(json.dumps(message)) == events


@pytest.mark.parametrize("text", ["NaN", '{"a":Infinity}', "[" * 100_000, "", "{", b"\xff\xfe", '{"a":-Infinity}'])
def test_what_is_no_json_is_an_error(text: str | bytes) -> None:
    with pytest.raises(VenueError):
        DERIBIT.decode(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["new", "delete"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "bids", "x"]), inner),
    max_leaves=12,
)


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    try:
        DERIBIT.decode(frame)
    except VenueError:
        return


@given(fields=st.fixed_dictionaries({}, optional=dict.fromkeys(json.loads(CHANGE)["params"]["data"], JSON)))
def test_any_fields_are_answered(fields: dict[str, Any]) -> None:
    message = json.loads(CHANGE)
    message["params"]["data"] |= fields
    try:
        DERIBIT.decode(json.dumps(message))
    except VenueError:
        return


@given(result=JSON)
def test_any_list_is_answered(result: object) -> None:
    try:
        DERIBIT.decode_instruments(json.dumps({"result": result}))
    except VenueError:
        return


@pytest.mark.parametrize(
    ("inst", "market"),
    [
        ("BTC-PERPETUAL", "perp"),
        ("SOL_USDC-PERPETUAL", "perp"),
        ("BTC-26JUN26", "futures"),
        ("BTC-6NOV26", "futures"),
        ("BTC-26JUN26-100000-C", "option"),
        ("XRP_USDC-30JUN26-0d625-C", "option"),
        ("BTC_USDC", "spot"),
    ],
)
def test_the_market_follows_from_the_id(inst: str, market: str) -> None:
    assert DERIBIT.market_of(inst) == market


# "public/get_instruments", response examples (docs, copies of 2025), shortened.
PERPETUAL = {
    "instrument_name": "BTC-PERPETUAL",
    "kind": "future",
    "instrument_type": "reversed",
    "settlement_period": "perpetual",
    "base_currency": "BTC",
    "quote_currency": "USD",
    "settlement_currency": "BTC",
    "contract_size": 10,
    "tick_size": 0.5,
    "min_trade_amount": 10,
    "state": "open",
    "creation_timestamp": 1534167754000,
    "expiration_timestamp": 32503708800000,
}
OPTION = {
    "instrument_name": "BTC-29SEP23-30000-C",
    "kind": "option",
    "instrument_type": "reversed",
    "base_currency": "BTC",
    "quote_currency": "BTC",
    "settlement_currency": "BTC",
    "contract_size": 1,
    "tick_size": 0.0005,
    "min_trade_amount": 0.1,
    "strike": 30000,
    "option_type": "call",
    "state": "open",
    "creation_timestamp": 1664438460000,
    "expiration_timestamp": 1695974400000,
}
LINEAR = PERPETUAL | {
    "instrument_name": "SOL_USDC-PERPETUAL",
    "instrument_type": "linear",
    "base_currency": "SOL",
    "quote_currency": "USDC",
    "settlement_currency": "USDC",
    "contract_size": 0.1,
    "tick_size": 0.0001,
    "min_trade_amount": 0.1,
}
SPOT = {
    "instrument_name": "BTC_USDC",
    "kind": "spot",
    "instrument_type": "linear",
    "base_currency": "BTC",
    "quote_currency": "USDC",
    "tick_size": 1.0,
    "min_trade_amount": 1e-4,
}


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (PERPETUAL, ("BTC/USD:BTC", "perp", "inverse", "quote", "10", "USD", "0.5", "10", None, None, None)),
        (LINEAR, ("SOL/USDC:USDC", "perp", "linear", "base", "0.1", "SOL", "0.0001", "0.1", None, None, None)),
        (
            OPTION,
            (
                *("BTC/USD:BTC", "option", "inverse", "base", "1", "BTC", "0.0005", "0.1"),
                *("2023-09-29T08:00:00.000Z", "30000", "call"),
            ),
        ),
        (SPOT, ("BTC/USDC", "spot", None, "base", None, None, "1", "0.0001", None, None, None)),
    ],
)
def test_instruments(row: dict[str, Any], fields: tuple[str | None, ...]) -> None:
    combination = {"instrument_name": "BTC-FS-27SEP24_PERP", "kind": "future_combo"}
    (one,) = DERIBIT.decode_instruments(json.dumps({"result": [combination, row]}))
    contract = (one.size_unit, one.contract_value, one.contract_value_ccy, one.tick, one.lot)
    assert (one.symbol, one.market, one.kind, *contract, one.expiry_utc, one.strike, one.right) == fields


def test_paths_and_frames_that_are_sent() -> None:
    path = "/api/v2/public/get_instruments?currency=any&expired=false&kind="
    assert DERIBIT.instrument_paths(["perp", "futures", "option"]) == [path + "future", path + "option"]
    assert [json.loads(text)["method"] for text in DERIBIT.opened()] == ["public/set_heartbeat"]
    (text,) = DERIBIT.subscribe([("book.100ms", "BTC-PERPETUAL"), ("book.raw", "A")])
    assert json.loads(text)["params"] == {"channels": ["book.BTC-PERPETUAL.100ms", "book.A.raw"]}
    calls = [json.loads(text) for text in DERIBIT.resubscribe("book.100ms", "BTC-PERPETUAL")]
    assert [call["method"] for call in calls] == ["public/unsubscribe", "public/subscribe"]
