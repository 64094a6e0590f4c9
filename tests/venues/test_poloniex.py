"""The Poloniex decoder: any bytes give events or a VenueError; known frames give what documents and a recording say."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Say, Subscribed, Unsubscribed
from l2_exporter.core.instrument import Instrument
from l2_exporter.venues.poloniex import Poloniex, PoloniexConnection
from l2_exporter.venues.registry import venue_of_url

POLONIEX = Poloniex()
INST = "BTC_USDT"
TS = 1_661_123_517_837
MS = 1_000_000
PING = Say('{"event":"ping"}')
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.lists(st.sampled_from(["1", "0", "1.50", "NaN", "-1", "9" * 99, ""]), max_size=3), max_size=3)
NUMBERS = st.sampled_from([0, -1, 1, TS, 1 << 62, 1 << 70, 1.5, "7"]) | JSON
PUSHES = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.just("book_lv2") | JSON,
        "event": st.sampled_from(["subscribe", "error"]) | JSON,
        "symbols": st.lists(st.just(INST) | JSON, max_size=2) | JSON,
        "action": st.sampled_from(["snapshot", "update"]) | JSON,
        "data": st.lists(
            st.fixed_dictionaries(
                {},
                optional={"symbol": st.just(INST) | JSON, "bids": ROWS | JSON, "asks": ROWS | JSON}
                | dict.fromkeys(("id", "lastId", "createTime", "ts"), NUMBERS),
            ),
            max_size=2,
        )
        | JSON,
    },
)


def frame(action: str = "update", **members: object) -> str:
    """Write a push as it was recorded."""
    book: dict[str, object] = {
        "symbol": INST,
        "createTime": TS - 5,
        "asks": [["21617.15", "0.34"]],
        "bids": [],
        "lastId": 4485675,
        "id": 4485676,
        "ts": TS,
    }
    return json.dumps({"channel": "book_lv2", "data": [book | members], "action": action})


def books(events: list[Event]) -> list[BookPush]:
    return [event for event in events if isinstance(event, BookPush)]


# ---- any bytes ------------------------------------------------------------------------------------------------------


def assert_decodes(sent: str | bytes) -> None:
    """Decode; events or a VenueError are both fine, and book events hold only what a book can take."""
    connection = PoloniexConnection()
    try:
        events = [*connection.decode(frame()), *connection.decode(sent), *connection.decode(frame())]
    except VenueError:
        return
    for push in books(events):
        assert all(type(cell) is str for row in [*push.bids, *push.asks] for cell in row)
        assert all(float(row[0]) > 0 and float(row[1]) >= 0 for row in [*push.bids, *push.asks])
        assert push.event_ns is None or push.event_ns > 0
        assert push.seq is not None
        assert push.prev_seq is not None


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_or_a_venue_error(sent: str | bytes) -> None:
    assert_decodes(sent)


@given(PUSHES | JSON)
def test_any_json_gives_events_or_a_venue_error(message: object) -> None:
    assert_decodes(json.dumps(message))


@given(st.data())
def test_real_frame_cut_or_changed_anywhere_gives_events_or_a_venue_error(data: st.DataObject) -> None:
    text = frame("snapshot", bids=[["21612.26", "0.68"]]).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    assert_decodes(text[:place])
    assert_decodes(text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :])


@pytest.mark.parametrize("hostile", ["\ud800", '{"event":"\\ud800"}', "[" * 100_000, '{"a":' * 50_000, "NaN", "1e999"])
def test_hostile_text(hostile: str) -> None:
    assert_decodes(hostile)


@given(
    st.text(max_size=60) | JSON.map(json.dumps) | st.lists(st.dictionaries(st.text(max_size=4), JSON)).map(json.dumps)
)
def test_any_list_gives_instruments_or_a_venue_error(body: str) -> None:
    with contextlib.suppress(VenueError):
        for instrument in POLONIEX.decode_instruments(body):
            assert instrument.inst


# ---- books ----------------------------------------------------------------------------------------------------------


def test_update_is_of_its_engine_time_and_follows_the_number_it_names() -> None:
    assert PoloniexConnection().decode(frame()) == [
        BookPush(Push.DELTA, "book_lv2", INST, [], [["21617.15", "0.34"]], (TS - 5) * MS, 4485676, 4485675, None)
    ]


def test_snapshot_is_of_the_time_it_was_sent_however_old_its_last_change_is() -> None:
    sent = frame("snapshot", createTime=TS - 31_665_117, bids=[["21612.26", "0.340000"]])
    (push,) = PoloniexConnection().decode(sent.encode())
    assert isinstance(push, BookPush)
    assert (push.push, push.event_ns, push.bids) == (Push.SNAPSHOT, TS * MS, [["21612.26", "0.340000"]])


def test_schema_error_names_channel_instrument_and_fields() -> None:
    with pytest.raises(SchemaError) as caught:
        PoloniexConnection().decode(frame("patch", id="7").replace('"asks"', '"a"').replace('"ts"', '"t"'))
    assert (caught.value.channel, caught.value.inst) == ("book_lv2", INST)
    assert caught.value.missing == ("action", "asks", "id", "ts")


def test_unknown_fields_are_no_fault() -> None:
    assert len(books(PoloniexConnection().decode(frame(news=[{}])))) == 1


# ---- requests and answers -------------------------------------------------------------------------------------------

ACK = '{"event":"subscribe","channel":"book_lv2","symbols":["BTC_USDT","SOL_USDT"]}'
CONTROL = [
    (ACK, [Subscribed("book_lv2", INST), Subscribed("book_lv2", "SOL_USDT")]),
    (
        ACK.replace("subscribe", "unsubscribe"),
        [Unsubscribed("book_lv2", INST), Unsubscribed("book_lv2", "SOL_USDT")],
    ),
    (ACK.replace("book_lv2", "trades"), [Other("answer to subscribe")]),
    ('{"event":"subscribe","channel":"book_lv2"}', [Other("answer to subscribe")]),
    (
        '{"event":"error","message":"Subscription failed (already subscribed)"}',
        [Refused("error", "Subscription failed (already subscribed)")],
    ),
    ('{"event":"pong"}', [Other("event 'pong'")]),
    ('{"channel":"trades","data":[{}]}', [Other("channel 'trades'")]),
    ('{"event":"surprise"}', [Other("event 'surprise'", known=False)]),
    ("{}", [Other("channel None", known=False)]),
    ("42", [Other("not an object", known=False)]),
]


@pytest.mark.parametrize(("text", "events"), CONTROL)
def test_control_frames(text: str, events: list[Event]) -> None:
    assert PoloniexConnection().decode(text) == events


def test_subscription_frames() -> None:
    connection = PoloniexConnection()
    texts = [
        *connection.subscribe([("book_lv2", "A_B"), ("book_lv2", 'C"_D')]),
        *connection.resubscribe("book_lv2", "A_B"),
    ]
    assert [json.loads(text) for text in texts] == [
        {"event": "subscribe", "channel": ["book_lv2"], "symbols": ["A_B", 'C"_D']},
        {"event": "unsubscribe", "channel": ["book_lv2"], "symbols": ["A_B"]},
        {"event": "subscribe", "channel": ["book_lv2"], "symbols": ["A_B"]},
    ]


def test_busy_connection_is_asked_every_ten_seconds_of_the_venue_s_time() -> None:
    connection = PoloniexConnection()
    asked = [ms for ms in range(0, 60_000, 700) if PING in connection.decode(frame(ts=TS + ms))]
    assert asked == [10_500, 21_000, 31_500, 42_000, 52_500]


def test_one_time_that_is_far_off_does_not_end_the_asking() -> None:
    connection = PoloniexConnection()
    connection.decode(frame(ts=TS + 10**12))
    assert [PING in connection.decode(frame(ts=TS + ms)) for ms in (100, 200, 11_000)] == [True, False, True]


def test_address() -> None:
    assert venue_of_url("wss://ws.poloniex.com/ws/public") == "poloniex"
    assert [venue_of_url(url) for url in ("wss://ws.poloniex.com/ws/v3/public", "wss://api2.poloniex.com")] == [
        None,
        None,
    ]


# ---- instruments ----------------------------------------------------------------------------------------------------

# Rows of `GET /markets`, the first as probed in February 2026, the second as listed in February 2025.
MARKETS = """[
 {"symbol":"DASH_BTC","baseCurrencyName":"DASH","quoteCurrencyName":"BTC","displayName":"DASH/BTC","state":"NORMAL",
  "symbolTradeLimit":{"symbol":"DASH_BTC","priceScale":6,"quantityScale":2,"amountScale":6,"minQuantity":"0.01",
   "minAmount":"0.00001","maxQuantity":"0","maxAmount":"0","highestBid":"0","lowestAsk":"0"}},
 {"symbol":"BTS_BTC","baseCurrencyName":"BTS","quoteCurrencyName":"BTC","displayName":"BTS/BTC","state":"PAUSE",
  "visibleStartTime":1659018816626,"tradableStartTime":1659018816626,
  "symbolTradeLimit":{"symbol":"BTS_BTC","priceScale":10,"quantityScale":0,"amountScale":8,"minQuantity":"100",
   "minAmount":"0.00001","highestBid":"0","lowestAsk":"0"}}
]"""


def test_pairs_have_steps_of_their_scales() -> None:
    dash, bts = POLONIEX.decode_instruments(MARKETS)
    assert dash == Instrument(
        venue="poloniex",
        inst="DASH_BTC",
        symbol="DASH/BTC",
        base="DASH",
        quote="BTC",
        market="spot",
        size_unit="base",
        tick="0.000001",
        lot="0.01",
        state="NORMAL",
        raw=json.loads(MARKETS)[0],
    )
    assert (bts.tick, bts.lot, bts.state, bts.list_utc) == ("0.0000000001", "1", "PAUSE", "2022-07-28T14:33:36.626Z")
    assert (POLONIEX.code_of(bts), POLONIEX.market_of(bts.inst)) == ("BTS_BTC", "spot")


@pytest.mark.parametrize("body", ['{"code":500,"message":"Internal error"}', "[3]", '[{"state":"NORMAL"}]', "<html>"])
def test_an_answer_that_lists_nothing_is_a_venue_error(body: str) -> None:
    with pytest.raises(VenueError):
        POLONIEX.decode_instruments(body)


def test_spot_is_listed_at_once() -> None:
    assert (POLONIEX.instrument_paths(["spot", "perp"]), POLONIEX.instrument_paths(["perp"])) == (["/markets"], [])
    assert POLONIEX.further_instrument_paths(MARKETS) == []


def test_rest_books_cannot_be_joined_and_there_is_no_checksum() -> None:
    assert POLONIEX.book_path("book_lv2", INST) is None
    assert POLONIEX.book_asked("https://api.poloniex.com/markets/BTC_USDT/orderBook?limit=20") is None
    assert POLONIEX.checksum_given(0) is POLONIEX.checksum_given(7) is False
    with pytest.raises(VenueError, match=INST):
        POLONIEX.decode_book("book_lv2", INST, "{}")
