"""Backpack's frames and REST books: what they mean, what is odd, what is nothing; and what its instruments are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused
from l2_exporter.core.rows import are_rows
from l2_exporter.core.venue import BookAsked
from l2_exporter.venues.backpack import Backpack
from l2_exporter.venues.registry import venue_of_url
from tests.recordings import ROOT, needs_recordings

BACKPACK = Backpack()
DATA: dict[str, Any] = {
    "E": 1790134357267289,
    "T": 1790134357267074,
    "U": 6730019258,
    "a": [],
    "b": [["86655.9", "1.94230"]],
    "e": "depth",
    "s": "BTC_USDC_PERP",
    "u": 6730019260,
}
FRAME = {"data": DATA, "stream": "depth.BTC_USDC_PERP"}
BOOK: dict[str, Any] = {
    "asks": [["86656", "2.01178"], ["86657.5", "0.5"]],
    "bids": [["86654.1", "0.1"], ["86655.9", "1.9423"]],
    "lastUpdateId": "6730019257",
    "timestamp": 1790134357267000,
}


def decoded(message: object) -> list[Any]:
    return BACKPACK.decode(json.dumps(message))


def without(message: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in names}


def data(*left_out: str, **changes: Any) -> dict[str, Any]:
    return {**FRAME, "data": {**without(DATA, *left_out), **changes}}


def test_a_message_follows_the_number_before_its_first() -> None:
    assert decoded(FRAME) == [
        BookPush(
            Push.DELTA,
            "depth",
            "BTC_USDC_PERP",
            [["86655.9", "1.94230"]],
            [],
            1790134357267074 * 1000,
            6730019260,
            6730019257,
            None,
        )
    ]


def test_times_come_as_numbers_and_as_text() -> None:
    # Captures of August 2025 have text where the documents and the wire of September 2026 have numbers.
    assert decoded(data(T="1754903057554352", E="1754903057555305"))[0].event_ns == 1754903057554352 * 1000
    assert [decoded(data(T=time))[0].event_ns for time in (0, "", "x", None, 10**18, -1)] == [None] * 6


def test_ids_can_hold_dots() -> None:
    frame = {"data": {**DATA, "s": "AAPL.US_USDC_PERP"}, "stream": "depth.AAPL.US_USDC_PERP"}
    assert decoded(frame)[0].inst == "AAPL.US_USDC_PERP"


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (data("b"), ("b",)),
        (data(a=[["1"]]), ("a",)),
        (data(a=[["0", "1"]], b=[[1, "1"]]), ("b", "a")),
        (data("u"), ("u",)),
        (data(U="6730019258"), ("U",)),
        (data(u=True), ("u",)),
        (data(u=1 << 64), ("u",)),
        (data(U=6730019261), ("U",)),
        (data(U=-1), ("U",)),
        (data(s="SOL_USDC"), ("s",)),
        (data("T"), ("T",)),
        ({**FRAME, "data": []}, ("data",)),
        ({"stream": "depth.BTC_USDC_PERP"}, ("data",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(message: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("depth", "BTC_USDC_PERP", missing)


def test_book_of_no_market_is_odd() -> None:
    with pytest.raises(SchemaError) as caught:
        decoded({**FRAME, "stream": "depth."})
    assert (caught.value.inst, caught.value.missing) == (None, ("stream",))


def test_an_unknown_field_is_no_fault() -> None:
    assert decoded({**data(x=1), "id": 7}) == decoded(FRAME)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"data": DATA, "stream": "depth.200ms.BTC_USDC_PERP"}, Other("push of another stream")),
        ({"data": {}, "stream": "bookTicker.BTC_USDC_PERP"}, Other("push of another stream")),
        ({"id": None, "error": {"code": 4006, "message": "Invalid stream"}}, Refused("4006", "Invalid stream")),
        ({"id": 1, "error": {"code": 4005}}, Refused("4005", "{'code': 4005}")),
        ({"hello": 1}, Other("neither stream nor error", known=False)),
        ([], Other("not an object", known=False)),
    ],
)
def test_what_else_comes(message: object, event: object) -> None:
    assert decoded(message) == [event]


@needs_recordings
def test_captured_frames() -> None:
    path = ROOT / "frames" / "backpack" / "observatory-20260923-observed.json"
    frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
    events = [event for frame in frames for event in BACKPACK.decode(frame)]
    pushes = [event for event in events if isinstance(event, BookPush)]
    assert [(push.inst, push.prev_seq, push.seq, push.bids) for push in pushes] == [
        ("BTC_USDC_PERP", 6730019257, 6730019258, [["86655.9", "1.94230"]]),
        ("AAPL.US_USDC_PERP", 6789928, 6789929, [["340.32", "0.00"]]),
    ]
    assert [event.code for event in events if isinstance(event, Refused)] == ["4006", "4002", "4008"]
    assert events[2:4] == [Other("push of another stream")] * 2


# ---- REST books -----------------------------------------------------------------------------------------------------


def test_a_rest_book_is_sorted_and_keeps_its_texts() -> None:
    assert BACKPACK.decode_book("depth", "BTC_USDC_PERP", json.dumps(BOOK)) == BookPush(
        Push.SNAPSHOT,
        "depth",
        "BTC_USDC_PERP",
        [["86655.9", "1.9423"], ["86654.1", "0.1"]],
        [["86656", "2.01178"], ["86657.5", "0.5"]],
        1790134357267000 * 1000,
        6730019257,
        None,
        None,
    )


def test_the_number_of_a_rest_book_is_text_or_a_number() -> None:
    books = [BACKPACK.decode_book("depth", "X", json.dumps({**BOOK, "lastUpdateId": value})) for value in ("7", 7, "0")]
    assert [book.seq for book in books] == [7, 7, 0]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "failed to parse parameter `limit`",
        "[]",
        '{"code":"INVALID_CLIENT_REQUEST","message":"Invalid market symbol"}',
        *(json.dumps(without(BOOK, name)) for name in ("asks", "bids", "lastUpdateId")),
        *(json.dumps({**BOOK, "lastUpdateId": value}) for value in (None, "", "-1", -1, "x", "٣", "9" * 30, 1.5, True)),
        json.dumps({**BOOK, "asks": [["1"]]}),
        json.dumps({**BOOK, "bids": [{"price": "1", "size": "2"}]}),
        "[" * 100_000,
    ],
)
def test_other_answers_are_no_book(body: str) -> None:
    with pytest.raises(VenueError):
        BACKPACK.decode_book("depth", "BTC_USDC_PERP", body)


def test_paths_name_the_book_they_ask_for() -> None:
    path = BACKPACK.book_path("depth", "AAPL.US_USDC_PERP")
    assert path == "/api/v1/depth?symbol=AAPL.US_USDC_PERP&limit=1000"
    host = BACKPACK.link.rest_url
    assert BACKPACK.book_asked(host + path) == BookAsked("AAPL.US_USDC_PERP", 1000)
    assert BACKPACK.book_asked(f"{host}/api/v1/depth?symbol=SOL_USDC") == BookAsked("SOL_USDC", None)
    assert BACKPACK.book_asked(f"{host}/api/v1/depth?symbol=SOL_USDC&limit=x") == BookAsked("SOL_USDC", None)
    for other in ("/api/v1/depth", "/api/v1/trades?symbol=SOL_USDC", "https://[", ""):
        assert BACKPACK.book_asked(other) is None


# ---- any bytes ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "a", "u", "U", "x"]), inner),
    max_leaves=12,
)


def assert_answered(frame: str | bytes) -> None:
    try:
        events = BACKPACK.decode(frame)
    except VenueError:
        return
    for event in events:
        assert not isinstance(event, BookPush) or (are_rows(event.bids, 2) and are_rows(event.asks, 2))


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    assert_answered(frame)


@given(
    stream=st.sampled_from(["depth.BTC_USDC_PERP", "depth.", "depth", "depth.200ms.", "x"]) | JSON,
    fields=st.dictionaries(st.sampled_from(["b", "a", "u", "U", "T", "s"]), JSON),
    whole=JSON,
)
def test_any_fields_are_answered(stream: object, fields: dict[str, object], whole: object) -> None:
    for inner in ({**DATA, **fields}, whole):
        assert_answered(json.dumps({"stream": stream, "data": inner, "error": whole}))
    for body in (json.dumps({**BOOK, **fields, "lastUpdateId": whole}), json.dumps(whole)):
        for read in (lambda text: BACKPACK.decode_book("depth", "X", text), BACKPACK.decode_instruments):
            try:
                read(body)
            except VenueError:
                continue


def test_depth_of_nesting_is_no_way_in() -> None:
    with pytest.raises(VenueError):
        BACKPACK.decode("[" * 100_000)


# ---- instruments ----------------------------------------------------------------------------------------------------

# GET /api/v1/markets, answer captured in July 2025 and quoted by ccxt (backpack.ts, fetchMarkets), shortened.
SOL: dict[str, Any] = {
    "baseSymbol": "SOL",
    "createdAt": "2025-01-21T06:34:54.691858",
    "filters": {
        "price": {"maxPrice": None, "minPrice": "0.01", "tickSize": "0.01"},
        "quantity": {"maxQuantity": None, "minQuantity": "0.01", "stepSize": "0.01"},
    },
    "fundingInterval": 28800000,
    "marketType": "SPOT",
    "openInterestLimit": "0",
    "orderBookState": "Open",
    "quoteSymbol": "USDC",
    "symbol": "SOL_USDC",
}
SOL_PERP: dict[str, Any] = {**SOL, "marketType": "PERP", "openInterestLimit": "4000000", "symbol": "SOL_USDC_PERP"}


def test_instruments() -> None:
    spot, perp = BACKPACK.decode_instruments(json.dumps([SOL, SOL_PERP]))
    assert (spot.inst, spot.symbol, spot.market, spot.kind, spot.settle) == ("SOL_USDC", "SOL/USDC", "spot", None, None)
    assert (spot.size_unit, spot.contract_value, spot.contract_value_ccy) == ("base", None, None)
    assert (perp.inst, perp.symbol, perp.market) == ("SOL_USDC_PERP", "SOL/USDC:USDC", "perp")
    assert (perp.kind, perp.size_unit, perp.contract_value, perp.contract_value_ccy) == ("linear", "base", "1", "SOL")
    for one in (spot, perp):
        assert (one.venue, one.base, one.quote) == ("backpack", "SOL", "USDC")
        assert (one.tick, one.lot, one.state) == ("0.01", "0.01", "Open")
        assert (one.list_utc, one.expiry_utc, BACKPACK.code_of(one)) == ("2025-01-21T06:34:54.691Z", None, one.inst)


@pytest.mark.parametrize("created", [None, "", "2025-13-01T00:00:00", "1969-12-31T00:00:00", 7])
def test_time_of_listing_that_is_none_is_none(created: object) -> None:
    (one,) = BACKPACK.decode_instruments(json.dumps([{**SOL, "createdAt": created}]))
    assert one.list_utc is None


def test_markets_of_a_kind_that_is_not_recorded_are_passed_over() -> None:
    others = [{**SOL, "marketType": kind} for kind in ("IPERP", "DATED", "PREDICTION", "RFQ", "NEW", "PERP")]
    assert BACKPACK.decode_instruments(json.dumps([*others, {**SOL_PERP, "marketType": "SPOT"}])) == []


def test_odd_filters_leave_steps_unknown() -> None:
    rows = [{**SOL, "filters": filters} for filters in (None, {}, {"price": 1}, {"price": {"tickSize": 0.01}})]
    assert [(one.tick, one.lot) for one in BACKPACK.decode_instruments(json.dumps(rows))] == [(None, None)] * 4


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[1]",
        json.dumps([without(SOL, "symbol")]),
        json.dumps([{**SOL, "symbol": ""}]),
        json.dumps([without(SOL, "marketType")]),
    ],
)
def test_other_answers_are_errors(body: str) -> None:
    with pytest.raises(VenueError):
        BACKPACK.decode_instruments(body)


def test_frames_that_are_sent_ids_and_addresses() -> None:
    (text,) = BACKPACK.subscribe([("depth", "SOL_USDC"), ("depth", "AAPL.US_USDC_PERP")])
    assert json.loads(text) == {"method": "SUBSCRIBE", "params": ["depth.SOL_USDC", "depth.AAPL.US_USDC_PERP"]}
    assert [json.loads(text) for text in BACKPACK.resubscribe("depth", "SOL_USDC")] == [
        {"method": "UNSUBSCRIBE", "params": ["depth.SOL_USDC"]},
        {"method": "SUBSCRIBE", "params": ["depth.SOL_USDC"]},
    ]
    assert BACKPACK.instrument_paths(["spot", "option"]) == ["/api/v1/markets"]
    assert BACKPACK.instrument_paths(["futures"]) == []
    assert [BACKPACK.market_of(inst) for inst in ("SOL_USDC", "SOL_USDC_PERP")] == ["spot", "perp"]
    assert venue_of_url(BACKPACK.link.ws_url) == "backpack"
