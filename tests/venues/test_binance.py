"""Binance's and Aster's frames: what they mean, what is odd, what is nothing; REST books and instruments."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, ClosingSoon, Other, Push, Refused
from l2_exporter.core.venue import BookAsked
from l2_exporter.venues.aster import Aster
from l2_exporter.venues.binance import COINM, SPOT, USDM, Binance
from l2_exporter.venues.registry import venue_of_url

FUTURES, COINS, SPOTS, ASTER = Binance(USDM), Binance(COINM), Binance(SPOT), Aster()
# As recorded on 22 July 2021.
UPDATE: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1626992741037,
    "T": 1626992741024,
    "s": "SUSHIUSDT",
    "U": 600859599090,
    "u": 600859600917,
    "pu": 600859598061,
    "b": [["7.5040", "813"], ["7.6090", "0"]],
    "a": [["7.6150", "1563"]],
}
# "Individual Symbol Book Ticker Streams", payload.
TICKER: dict[str, Any] = {
    "e": "bookTicker",
    "u": 400900217,
    "E": 1568014460893,
    "T": 1568014460891,
    "s": "BNBUSDT",
    "b": "25.35190000",
    "B": "31.21000000",
    "a": "25.36520000",
    "A": "40.66000000",
}


def decoded(message: object, venue: Binance = FUTURES) -> list[Any]:
    return venue.decode(json.dumps(message))


def wrapped(stream: str, data: object) -> dict[str, Any]:
    return {"stream": stream, "data": data}


@pytest.mark.parametrize("venue", [FUTURES, COINS, ASTER])
def test_a_futures_update_names_the_one_before_it(venue: Binance) -> None:
    expected = BookPush(
        Push.DELTA,
        "depth",
        "SUSHIUSDT",
        [["7.5040", "813"], ["7.6090", "0"]],
        [["7.6150", "1563"]],
        1626992741024 * 10**6,
        600859600917,
        600859598061,
        None,
        numbers=(([7.504, 7.609], [813.0, 0.0]), ([7.615], [1563.0])),
    )
    assert decoded(UPDATE, venue) == [expected]
    assert decoded(wrapped("sushiusdt@depth@100ms", UPDATE), venue) == [expected]
    assert decoded(wrapped("sushiusdt@depth@0ms", {**UPDATE, "ps": "SUSHIUSDT", "st": 1}), venue) == [expected]


def test_a_spot_update_begins_behind_the_one_before_and_has_the_output_s_time() -> None:
    (push,) = decoded({name: value for name, value in UPDATE.items() if name not in ("T", "pu")}, SPOTS)
    assert (push.seq, push.prev_seq, push.event_ns) == (600859600917, 600859599089, 1626992741037 * 10**6)


def test_twenty_levels_are_a_whole_book_each_time() -> None:
    (push,) = decoded(wrapped("sushiusdt@depth20@100ms", UPDATE))
    assert (push.push, push.channel, push.seq, push.prev_seq) == (Push.WHOLE, "depth20", 600859600917, 600859598061)
    assert decoded(wrapped("sushiusdt@depth20@100ms", UPDATE), SPOTS) == [Other("push of another channel")]


def test_best_prices_are_a_book_of_one_level_and_a_price_of_zero_is_no_level() -> None:
    (push,) = decoded(wrapped("bnbusdt@bookTicker", TICKER))
    assert (push.push, push.channel, push.inst) == (Push.WHOLE, "bookTicker", "BNBUSDT")
    assert (push.bids, push.asks) == ([["25.35190000", "31.21000000"]], [["25.36520000", "40.66000000"]])
    assert (push.seq, push.prev_seq, push.event_ns) == (400900217, None, 1568014460891 * 10**6)
    (push,) = decoded({**TICKER, "b": "0.00000000", "B": "0.00000000"})
    assert push.bids == []


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"b": None}, ("b",)),
        ({"a": [["1"]]}, ("a",)),
        ({"a": [["0.00", "1"]]}, ("a",)),
        ({"a": [["1", "-1"]]}, ("a",)),
        ({"u": "1"}, ("u",)),
        ({"u": True}, ("u",)),
        ({"pu": None}, ("pu",)),
        ({"T": "absent"}, ("T",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    message = {name: value for name, value in {**UPDATE, **changes}.items() if value != "absent"}
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("depth", "SUSHIUSDT", missing)


def test_a_frame_that_names_no_symbol_and_a_ticker_without_prices_are_odd() -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(wrapped("x@depth", []))
    assert (caught.value.inst, caught.value.missing) == (None, ("s",))
    with pytest.raises(SchemaError) as caught:
        decoded({**TICKER, "A": None, "u": "x"})
    assert caught.value.missing == ("A", "u")
    with pytest.raises(SchemaError) as caught:
        decoded({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "u": 5, "b": [], "a": []}, SPOTS)
    assert caught.value.missing == ("U",)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"result": None, "id": 1}, Other("answer")),
        ({"error": {"code": 2, "msg": "Invalid request"}, "id": 1}, Refused("2", "Invalid request")),
        ({"code": 3, "msg": "Invalid JSON"}, Refused("3", "Invalid JSON")),
        (wrapped("btcusdt@aggTrade", {"e": "aggTrade"}), Other("push of another channel")),
        (wrapped("", {"e": "serverShutdown", "E": 1}), ClosingSoon("serverShutdown", "")),
        ({"e": "serverShutdown", "E": 1}, ClosingSoon("serverShutdown", "")),
        ([], Other("not an object", known=False)),
        ({"hello": 1}, Other("answer", known=False)),
    ],
)
def test_what_else_comes(message: object, event: object) -> None:
    assert decoded(message) == [event]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["s", "b", "a", "u"]), inner),
    max_leaves=12,
)
STREAMS = st.sampled_from(["btcusdt@depth@100ms", "btcusdt@depth20@100ms", "btcusdt@bookTicker", "x", ""])


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    for venue in (FUTURES, SPOTS):
        try:
            venue.decode(frame)
        except VenueError:
            continue


@given(stream=STREAMS, fields=st.fixed_dictionaries({}, optional=dict.fromkeys([*UPDATE, "B", "A"], JSON)), data=JSON)
def test_any_fields_are_answered(stream: str, fields: dict[str, Any], data: object) -> None:
    for content in ({**UPDATE, **fields}, fields, data):
        for venue in (FUTURES, SPOTS):
            try:
                decoded(wrapped(stream, content), venue)
            except VenueError:
                continue


@given(body=st.text(max_size=100) | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps({"symbols": value})))
def test_any_answer_is_answered(body: str) -> None:
    for read in (FUTURES.decode_instruments, lambda text: FUTURES.decode_book("depth", "BTCUSDT", text)):
        try:
            read(body)
        except VenueError:
            continue


def test_rest_books() -> None:
    body = {"lastUpdateId": 600859605926, "E": 1626992741264, "T": 1626992741261, "bids": [["7.6110", "6"]], "asks": []}
    book = FUTURES.decode_book("depth", "SUSHIUSDT", json.dumps(body))
    assert (book.seq, book.prev_seq, book.event_ns, book.bids) == (
        *(600859605926, None, 1626992741261 * 10**6),
        [["7.6110", "6"]],
    )
    spot = SPOTS.decode_book("depth", "X", '{"lastUpdateId":7,"bids":[],"asks":[["1.0","2"]]}')
    assert (spot.seq, spot.event_ns) == (7, None)


@pytest.mark.parametrize(
    "body", ["", "[]", '{"code":-1121,"msg":"Invalid symbol."}', '{"lastUpdateId":1,"bids":[["x","1"]],"asks":[]}']
)
def test_other_answers_are_no_books(body: str) -> None:
    with pytest.raises(VenueError):
        FUTURES.decode_book("depth", "X", body)


def test_which_book_a_url_asks_for() -> None:
    path = FUTURES.book_path("depth", "BTCUSDT")
    assert path == "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    assert FUTURES.book_asked("https://fapi.binance.com" + path) == BookAsked("BTCUSDT", 1000)
    assert SPOTS.book_asked("https://www.binance.com/api/v1/depth?symbol=BUSDTRY") == BookAsked("BUSDTRY", 100)
    assert FUTURES.book_asked("https://x/depth?symbol=A&limit=" + "9" * 5000) == BookAsked("A", 500)
    assert FUTURES.book_asked("https://fapi.binance.com/fapi/v1/exchangeInfo?symbol=X") is None
    assert FUTURES.book_asked("https://[/depth?symbol=X") is None
    assert FUTURES.book_path("depth20", "BTCUSDT") is None
    assert ASTER.book_path("depth", "BTCUSDT") == "/fapi/v3/depth?symbol=BTCUSDT&limit=1000"


# "Exchange Information" of each product group, responses, shortened.
FILTERS = [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]
LISTED = {
    "usdm": {
        "symbol": "BTCUSDT",
        "pair": "BTCUSDT",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "filters": FILTERS,
    },
    "coinm": {
        "symbol": "BTCUSD_200925",
        "pair": "BTCUSD",
        "contractType": "CURRENT_QUARTER",
        "contractSize": 100,
        "deliveryDate": 1601020800000,
        "onboardDate": 1590739200000,
        "contractStatus": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USD",
        "marginAsset": "BTC",
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.1"}, {"filterType": "LOT_SIZE", "stepSize": "1"}],
    },
    "spot": {"symbol": "ETHBTC", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "BTC", "filters": FILTERS},
}


@pytest.mark.parametrize(
    ("venue", "row", "fields"),
    [
        (FUTURES, "usdm", ("BTC/USDT:USDT", "perp", "linear", "base", "1", "BTC", "0.1", "0.001", "TRADING", None)),
        (ASTER, "usdm", ("BTC/USDT:USDT", "perp", "linear", "base", "1", "BTC", "0.1", "0.001", "TRADING", None)),
        (
            COINS,
            "coinm",
            (
                "BTC/USD:BTC",
                "futures",
                "inverse",
                "contract",
                "100",
                "USD",
                "0.1",
                "1",
                "TRADING",
                "2020-09-25T08:00:00.000Z",
            ),
        ),
        (SPOTS, "spot", ("ETH/BTC", "spot", None, "base", None, None, "0.1", "0.001", "TRADING", None)),
    ],
)
def test_instruments(venue: Binance, row: str, fields: tuple[str | None, ...]) -> None:
    (one,) = venue.decode_instruments(json.dumps({"symbols": [LISTED[row]]}))
    contract = (one.size_unit, one.contract_value, one.contract_value_ccy, one.tick, one.lot)
    assert (one.symbol, one.market, one.kind, *contract, one.state, one.expiry_utc) == fields
    assert (one.venue, venue.code_of(one)) == (venue.name, one.inst)


def test_frames_that_are_sent() -> None:
    (text,) = FUTURES.subscribe([("depth", "BTCUSDT"), ("depth20", "ETHUSDT"), ("bookTicker", "BTCUSDT_261225")])
    assert json.loads(text) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@depth@100ms", "ethusdt@depth20@100ms", "btcusdt_261225@bookTicker"],
        "id": 1,
    }
    assert [json.loads(text)["method"] for text in FUTURES.resubscribe("depth", "X")] == ["UNSUBSCRIBE", "SUBSCRIBE"]


def test_addresses_tell_the_venues_apart() -> None:
    for venue in (FUTURES, COINS, SPOTS, ASTER):
        assert venue_of_url(venue.link.ws_url) == venue.name
        assert venue_of_url(venue.link.rest_url + "/x") == venue.name
