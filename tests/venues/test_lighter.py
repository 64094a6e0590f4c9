"""Lighter's frames: what they mean, by whatever number a market goes; and what its instruments are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused, Say, Subscribed, Unsubscribed
from l2_exporter.core.rows import are_rows
from l2_exporter.venues.lighter import PING, PONG, Lighter
from l2_exporter.venues.registry import venue_of_url
from tests.recordings import ROOT, needs_recordings

LIGHTER = Lighter()
CODES = {"ETH": "0", "BTC": "1", "LIT/USDC": "2049"}
# An update captured on 30 March 2026.
UPDATE: dict[str, Any] = {
    "channel": "order_book:0",
    "last_updated_at": 1774884082309144,
    "offset": 1558300,
    "order_book": {
        "code": 0,
        "asks": [{"price": "2064.54", "size": "0.3285"}],
        "bids": [],
        "offset": 1558300,
        "nonce": 9182390020,
        "last_updated_at": 1774884082309144,
        "begin_nonce": 9182389998,
    },
    "timestamp": 1774884082326,
    "type": "update/order_book",
}


def decoded(message: object, codes: dict[str, str] | None = None) -> list[Any]:
    return LIGHTER.connection(CODES if codes is None else codes).decode(json.dumps(message))


def without(message: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in names}


def book(*left_out: str, **changes: Any) -> dict[str, Any]:
    return {**UPDATE, "order_book": {**without(UPDATE["order_book"], *left_out), **changes}}


def test_an_update_follows_the_nonce_it_begins_with() -> None:
    assert decoded(UPDATE) == [
        BookPush(
            Push.DELTA,
            "order_book",
            "ETH",
            [],
            [["2064.54", "0.3285"]],
            1774884082309144 * 1000,
            9182390020,
            9182389998,
            None,
        )
    ]


def test_the_answer_to_a_subscription_is_a_snapshot_without_predecessor() -> None:
    confirmed, push = decoded({**book(begin_nonce=0), "type": "subscribed/order_book"})
    assert confirmed == Subscribed("order_book", "ETH")
    assert (push.push, push.seq, push.prev_seq) == (Push.SNAPSHOT, 9182390020, None)


def test_without_begin_nonce_a_nonce_proves_nothing() -> None:
    for kind in ("subscribed/order_book", "update/order_book"):
        push = decoded({**book("begin_nonce"), "type": kind})[-1]
        assert (push.seq, push.prev_seq) == (None, None)
    push = decoded(book("begin_nonce", "nonce"))[-1]
    assert (push.seq, push.prev_seq) == (None, None)


def test_frames_without_time_of_change_are_dated_by_their_sending() -> None:
    (push,) = decoded(book("last_updated_at"))
    assert push.event_ns == 1774884082326 * 10**6


@pytest.mark.parametrize("time", [0, "", -1, None, 10**18, True, {}])
def test_time_that_is_none_is_none(time: object) -> None:
    (push,) = decoded(book(last_updated_at=time))
    assert push.event_ns is None


def test_a_side_can_be_null() -> None:
    (push,) = decoded(book(asks=None, bids=[{"price": "1.0", "size": "0.00"}]))
    assert (push.bids, push.asks) == ([["1.0", "0.00"]], [])


@needs_recordings
def test_snapshot_of_an_empty_book_has_a_number_and_no_time() -> None:
    path = ROOT / "frames" / "lighter" / "nautilus-ws_order_book_subscribed_empty.json"
    (frame,) = json.loads(path.read_text(encoding="utf-8"))["frames"]
    assert LIGHTER.connection({}).decode(frame) == [
        Subscribed("order_book", "39"),
        BookPush(Push.SNAPSHOT, "order_book", "39", [], [], None, 0, None, None),
    ]


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (book("bids"), ("bids",)),
        (book(asks={}), ("asks",)),
        (book(asks=["1"]), ("asks",)),
        (book(asks=[["1", "2"]]), ("asks",)),
        (book(asks=[{"price": "1"}]), ("asks",)),
        (book(asks=[{"price": 1, "size": "2"}]), ("asks",)),
        (book(asks=[{"price": "0", "size": "2"}]), ("asks",)),
        (book(bids=[{"price": "-1", "size": "2"}], asks=0), ("bids", "asks")),
        (book("nonce"), ("nonce",)),
        (book(nonce="9182390020"), ("nonce",)),
        (book(nonce=True), ("nonce",)),
        (book(nonce=None), ("nonce",)),
        (book(begin_nonce=1 << 64), ("begin_nonce",)),
        (without(book("last_updated_at"), "timestamp"), ("last_updated_at",)),
        ({**UPDATE, "order_book": 42}, ("order_book",)),
        (without(UPDATE, "order_book"), ("order_book",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(message: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("order_book", "ETH", missing)


@pytest.mark.parametrize("channel", [None, 7, "order_book", "order_book:", "trade:0"])
def test_book_of_no_market_is_odd(channel: object) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded({**UPDATE, "channel": channel})
    assert (caught.value.inst, caught.value.missing) == (None, ("channel",))


def test_an_unknown_field_is_no_fault() -> None:
    assert decoded({**book(depth=7), "sequence": 1}) == decoded(UPDATE)


# ---- numbers of markets ---------------------------------------------------------------------------------------------


def test_markets_are_called_by_symbol_here_and_by_number_on_the_wire() -> None:
    connection = LIGHTER.connection(CODES)
    asked = [json.loads(text) for text in connection.subscribe([("order_book", "LIT/USDC"), ("order_book", "ETH")])]
    assert asked == [
        {"type": "subscribe", "channel": "order_book/2049"},
        {"type": "subscribe", "channel": "order_book/0"},
    ]
    assert connection.decode(json.dumps({**UPDATE, "channel": "order_book:2049"}))[-1].inst == "LIT/USDC"


def test_a_book_is_brought_anew_by_ending_its_subscription_first() -> None:
    asked = [json.loads(text) for text in LIGHTER.connection(CODES).resubscribe("order_book", "BTC")]
    assert asked == [
        {"type": "unsubscribe", "channel": "order_book/1"},
        {"type": "subscribe", "channel": "order_book/1"},
    ]


def test_a_number_that_nobody_has_named_stands_for_itself() -> None:
    connection = LIGHTER.connection({})
    assert connection.decode(json.dumps(UPDATE))[-1].inst == "0"
    assert json.loads(connection.subscribe([("order_book", "7")])[0])["channel"] == "order_book/7"


def test_numbers_are_learnt_while_the_connection_lasts() -> None:
    codes = {"BTC": "1"}
    connection = LIGHTER.connection(codes)
    assert connection.decode(json.dumps(UPDATE))[-1].inst == "0"
    codes["ETH"] = "0"
    assert connection.decode(json.dumps(UPDATE))[-1].inst == "ETH"
    del codes["ETH"]
    codes["ETHER"] = "0"
    assert connection.decode(json.dumps(UPDATE))[-1].inst == "ETHER"


# ---- what else comes ------------------------------------------------------------------------------------------------


def test_a_ping_of_the_venue_is_answered() -> None:
    assert decoded({"type": "ping"}) == [Say(PONG)]


def test_a_busy_venue_hears_from_us_by_the_time_of_its_pushes() -> None:
    connection = LIGHTER.connection(CODES)
    start_ms = UPDATE["timestamp"]

    def asks(after_ms: int) -> bool:
        return connection.decode(json.dumps({**UPDATE, "timestamp": start_ms + after_ms}))[1:] == [Say(PING)]

    spoken = [after_ms for after_ms in range(0, 100_000, 500) if asks(after_ms)]
    assert spoken == [30_000, 60_000, 90_000]
    # A sender's clock that jumps costs a word, not the silence of a connection.
    assert asks(86_400_000)
    assert asks(100_000)
    assert not asks(100_500)
    assert asks(130_000)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"session_id": "b23c70b2", "type": "connected"}, Other("type 'connected'")),
        ({"type": "pong"}, Other("type 'pong'")),
        ({"channel": "height", "height": 301813997, "type": "update/height"}, Other("type 'update/height'")),
        ({"channel": "trade:0", "type": "subscribed/trade"}, Other("type 'subscribed/trade'")),
        ({"type": "unsubscribed", "channel": "order_book:0"}, Unsubscribed("order_book", "ETH")),
        ({"type": "unsubscribed", "channel": "trade:0"}, Other("type 'unsubscribed'")),
        (
            {"error": {"code": 30003, "message": "Already Subscribed to : order_book:0"}},
            Refused("30003", "Already Subscribed to : order_book:0"),
        ),
        (
            {"type": "error", "code": 30012, "channel": "order_book:0", "message": "failed to subscribe"},
            Refused("30012", "failed to subscribe"),
        ),
        ({"error": {}}, Refused("", "{}")),
        ({"type": "surprise"}, Other("type 'surprise'", known=False)),
        ({"hello": 1}, Other("type None", known=False)),
        ([], Other("not an object", known=False)),
    ],
)
def test_what_else_comes(message: object, event: object) -> None:
    assert decoded(message) == [event]


@needs_recordings
def test_every_captured_frame_is_known() -> None:
    path = ROOT / "frames" / "lighter" / "collector-20260728-verbatim-chain.json"
    connection = LIGHTER.connection(CODES)
    events = [
        event for frame in json.loads(path.read_text(encoding="utf-8"))["frames"] for event in connection.decode(frame)
    ]
    assert [event for event in events if isinstance(event, Other) and not event.known] == []
    assert [event.inst for event in events if isinstance(event, BookPush)] == ["ETH"] * 5
    assert events[-1] == Unsubscribed("order_book", "ETH")


# ---- any bytes ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["price", "size", "x"]), inner),
    max_leaves=12,
)


def assert_answered(frame: str | bytes) -> None:
    try:
        events = LIGHTER.connection(CODES).decode(frame)
    except VenueError:
        return
    for event in events:
        assert not isinstance(event, BookPush) or (are_rows(event.bids, 2) and are_rows(event.asks, 2))


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    assert_answered(frame)


@given(
    kind=st.sampled_from(["subscribed/order_book", "update/order_book", "error", "unsubscribed"]) | JSON,
    channel=st.sampled_from(["order_book:0", "order_book:9"]) | JSON,
    fields=st.dictionaries(st.sampled_from(["bids", "asks", "nonce", "begin_nonce", "last_updated_at"]), JSON),
    whole=JSON,
)
def test_any_fields_are_answered(kind: object, channel: object, fields: dict[str, object], whole: object) -> None:
    head = {"type": kind, "channel": channel, "timestamp": whole}
    for inner in ({**UPDATE["order_book"], **fields}, whole):
        assert_answered(json.dumps({**head, "order_book": inner, "error": whole}))
        assert_answered(json.dumps({**head, "order_book": inner}))


def test_depth_of_nesting_and_length_of_numbers_are_no_way_in() -> None:
    for frame in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(VenueError):
            LIGHTER.connection(CODES).decode(frame)
    for digits, error in ((30, SchemaError), (400, VenueError)):
        with pytest.raises(error):
            LIGHTER.connection(CODES).decode(json.dumps(UPDATE).replace("9182390020", "9" * digits))


# ---- instruments ----------------------------------------------------------------------------------------------------

# GET /api/v1/orderBookDetails as captured on 5 May 2026, statistics left out; a spot market as on the testnet of
# 18 September 2026.
ETH: dict[str, Any] = {
    "symbol": "ETH",
    "market_id": 0,
    "market_type": "perp",
    "base_asset_id": 0,
    "quote_asset_id": 0,
    "status": "active",
    "min_base_amount": "0.0050",
    "min_quote_amount": "10.000000",
    "supported_size_decimals": 4,
    "supported_price_decimals": 2,
    "supported_quote_decimals": 6,
    "size_decimals": 4,
    "price_decimals": 2,
    "quote_multiplier": 1,
    "last_trade_price": 2361.31,
}
ETH_USDC: dict[str, Any] = {
    **without(ETH, "quote_multiplier"),
    "symbol": "ETH/USDC",
    "market_id": 4098,
    "market_type": "spot",
    "base_asset_id": 1,
    "quote_asset_id": 3,
    "last_trade_price": 0,
}


def listed(perps: object, spots: object = (), code: int = 200) -> str:
    return json.dumps({"code": code, "order_book_details": perps, "spot_order_book_details": spots})


def test_perpetuals_count_their_base_and_are_settled_in_the_collateral() -> None:
    (one,) = LIGHTER.decode_instruments(listed([ETH]))
    assert (one.venue, one.inst, one.symbol, one.market) == ("lighter", "ETH", "ETH/USDC:USDC", "perp")
    assert (one.base, one.quote, one.settle, one.kind) == ("ETH", "USDC", "USDC", "linear")
    assert (one.size_unit, one.contract_value, one.contract_value_ccy) == ("base", "1", "ETH")
    assert (one.tick, one.lot, one.state) == ("0.01", "0.0001", "active")
    assert (LIGHTER.code_of(one), one.raw["market_id"]) == ("0", 0)


def test_spot_markets() -> None:
    (one,) = LIGHTER.decode_instruments(listed([], [ETH_USDC]))
    assert (one.inst, one.symbol, one.market, one.kind, one.settle) == ("ETH/USDC", "ETH/USDC", "spot", None, None)
    assert (one.base, one.quote, one.size_unit, one.contract_value) == ("ETH", "USDC", "base", None)
    assert LIGHTER.code_of(one) == "4098"


def test_steps_are_powers_of_ten() -> None:
    rows = [{**ETH, "symbol": f"S{places}", "price_decimals": places} for places in (0, 1, 6, -1, "2", None, True)]
    assert [one.tick for one in LIGHTER.decode_instruments(listed(rows))] == ["1", "0.1", "0.000001", *[None] * 4]


def test_markets_of_a_kind_that_is_not_recorded_are_passed_over() -> None:
    rows = [{**ETH, "market_type": "binary_option"}, {**ETH, "symbol": "EUR/USD"}, without(ETH, "market_type")]
    assert [one.inst for one in LIGHTER.decode_instruments(listed(rows))] == ["ETH"]
    assert LIGHTER.decode_instruments(listed([], [{**ETH_USDC, "symbol": "ETHUSDC"}])) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        listed([ETH], code=20001),
        listed({}),
        listed([1]),
        listed([without(ETH, "symbol")]),
        listed([without(ETH, "market_id")]),
        listed([{**ETH, "market_id": "0"}]),
        listed([ETH], [without(ETH_USDC, "symbol")]),
        "[" * 100_000,
    ],
)
def test_other_answers_are_errors(body: str) -> None:
    with pytest.raises(VenueError):
        LIGHTER.decode_instruments(body)


def test_paths_ids_and_addresses() -> None:
    assert LIGHTER.instrument_paths(["option", "spot"]) == ["/api/v1/orderBookDetails"]
    assert LIGHTER.instrument_paths(["futures"]) == []
    assert LIGHTER.further_instrument_paths(listed([ETH])) == []
    assert [LIGHTER.market_of(inst) for inst in ("ETH", "LIT/USDC", "1")] == ["perp", "spot", "perp"]
    assert LIGHTER.book_path("order_book", "ETH") is None
    assert LIGHTER.book_asked("https://mainnet.zklighter.elliot.ai/api/v1/orderBookOrders?market_id=0") is None
    assert venue_of_url(LIGHTER.link.ws_url) == venue_of_url(LIGHTER.link.ws_url + "?readonly=true") == "lighter"
    assert venue_of_url("wss://testnet.zklighter.elliot.ai/stream") is None
    with pytest.raises(VenueError):
        LIGHTER.decode_book("order_book", "ETH", "{}")
