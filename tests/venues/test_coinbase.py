"""The Coinbase decoder: any bytes give events or a VenueError; known frames give what documents and recordings say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Numbered, Other, Push
from l2_exporter.core.rows import are_rows
from l2_exporter.venues.coinbase import CHANNELS, Coinbase, CoinbaseConnection
from l2_exporter.venues.registry import venue_of_url
from tests.coinbase_frames import BTC, ETH, SNAPSHOT, T0, TIME, UPDATE, advanced, decode, event, level, pushed
from tests.recordings import load, needs_recordings

COINBASE = Coinbase()


def wrong(message: Any) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        decode(message)
    return caught.value


# ---- any bytes ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.sampled_from(["1", "0", "1.50", "0.00000000", "1e-8", "-1", "NaN", "9" * 99, "", "x", BTC])
TIMES = st.sampled_from(
    [TIME, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "", "2026-13-01"]
)
SIDES = st.sampled_from(["bid", "offer", "buy", "sell"])
LEVELS = st.fixed_dictionaries(
    {},
    optional={
        "side": SIDES | JSON,
        "event_time": TIMES | JSON,
        "price_level": TEXTS | JSON,
        "new_quantity": TEXTS | JSON,
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["snapshot", "update"]) | JSON,
        "product_id": st.sampled_from([BTC, "BTC-USDC", ""]) | JSON,
        "updates": st.lists(LEVELS, max_size=3) | JSON,
        "subscriptions": st.fixed_dictionaries({}, optional={"level2": st.lists(TEXTS | JSON, max_size=2) | JSON}),
    },
)
ADVANCED = st.fixed_dictionaries(
    {"channel": st.sampled_from(["l2_data", "subscriptions", "heartbeats"]) | JSON},
    optional={
        "sequence_num": st.integers() | JSON,
        "events": st.lists(EVENTS, max_size=2) | JSON,
        "timestamp": TIMES | JSON,
    },
)
ROWS = st.lists(st.lists(TEXTS | JSON, max_size=3), max_size=3) | JSON
CHANGED = st.lists(st.tuples(SIDES | JSON, TEXTS | JSON, TEXTS), max_size=3) | JSON
NAMED = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["level2_50"]) | JSON, "product_ids": ROWS})
EXCHANGE = st.fixed_dictionaries(
    {"type": st.sampled_from(["snapshot", "l2update", "subscriptions", "error", "heartbeat"]) | JSON},
    optional={
        "product_id": st.sampled_from([BTC, ""]) | JSON,
        "bids": ROWS,
        "asks": ROWS,
        "changes": CHANGED,
        "time": TIMES | JSON,
        "channels": st.lists(NAMED, max_size=2) | JSON,
        "message": JSON,
        "reason": JSON,
    },
)


def assert_told(error: VenueError) -> None:
    """A schema error says what it is about."""
    if isinstance(error, SchemaError):
        assert error.channel in CHANNELS
        assert error.missing != ()
        assert error.inst != ""


def assert_decodes(sent: str | bytes) -> None:
    """Decode; events or a VenueError are both fine, and events hold only what a book and a file can take."""
    connection = CoinbaseConnection()
    connection.subscribe([("level2", "BTC-USDC"), ("level2_batch", BTC)])
    try:
        events = connection.decode(sent)
    except VenueError as error:
        assert_told(error)
        return
    for each in events:
        repr(each).encode()
        if isinstance(each, BookPush):
            assert each.inst
            assert are_rows(each.bids, 2)
            assert are_rows(each.asks, 2)
            assert each.event_ns is None or each.event_ns > 0
            assert (each.seq is None) is (each.channel == "level2_batch")


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_or_a_venue_error(sent: str | bytes) -> None:
    assert_decodes(sent)


@given(ADVANCED | EXCHANGE | JSON)
def test_any_json_gives_events_or_a_venue_error(sent: Any) -> None:
    assert_decodes(json.dumps(sent))
    assert_decodes(json.dumps(sent).encode())


@given(st.data(), st.sampled_from([advanced(), SNAPSHOT, UPDATE]))
def test_frame_cut_or_changed_anywhere_gives_events_or_a_venue_error(data: st.DataObject, sent: Any) -> None:
    text = json.dumps(sent).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    assert_decodes(text[:place])
    assert_decodes(text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :])


HOSTILE = ["\ud800", '{"type":"\\ud800"}', "[" * 100_000, '{"a":' * 50_000, "-Infinity", '{"a":NaN}', "\ufeff{}", ""]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_a_venue_error(hostile: str) -> None:
    with pytest.raises(VenueError):
        CoinbaseConnection().decode(hostile)


# ---- Advanced Trade -------------------------------------------------------------------------------------------------


def test_number_of_the_connection_comes_first_and_is_that_of_each_book() -> None:
    book = event("snapshot", BTC, level("bid", "2.50", "1.0"), level("offer", "3", "4"), level("bid", "2.4", "0"))
    assert decode(advanced(0, book, event("update", ETH, level("offer", "5", "0")))) == [
        Numbered(0),
        BookPush(Push.SNAPSHOT, "level2", BTC, [["2.50", "1.0"], ["2.4", "0"]], [["3", "4"]], T0, 0, None, None),
        BookPush(Push.DELTA, "level2", ETH, [], [["5", "0"]], T0, 0, None, None),
    ]


@pytest.mark.parametrize("channel", ["heartbeats", "ticker", "market_trades", "candles", "status"])
def test_number_counts_whatever_the_frame_says(channel: str) -> None:
    assert decode(advanced(9, {}, channel=channel)) == [Numbered(9), Other(f"channel '{channel}'")]


def test_channel_that_nobody_knows_is_counted_too() -> None:
    assert decode(advanced(9, channel="surprise")) == [Numbered(9), Other("channel 'surprise'", known=False)]
    assert decode(advanced(None, channel="surprise")) == [Other("channel 'surprise'", known=False)]


def test_time_is_the_latest_of_the_engine_never_that_of_sending() -> None:
    times = ["2026-08-09T21:05:48.27841Z", "2026-08-09T21:05:48.278413Z", "0001-01-01T00:00:00Z"]
    (push,) = pushed(advanced(1, event("update", BTC, *(level("bid", "2", "1", time) for time in times))))
    assert push.event_ns == T0 + 3_000


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "", "yesterday", None, 5])
def test_zero_or_unreadable_time_is_none_and_no_break(time: Any) -> None:
    (first,) = pushed(advanced(1, event("snapshot", BTC, level("bid", "2", "1", time))))
    (second,) = pushed(UPDATE | {"time": time})
    assert (first.event_ns, second.event_ns) == (None, None)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"product_id": ""}, ("product_id",)),
        ({"type": "l2update"}, ("type",)),
        ({"updates": None}, ("updates",)),
        ({"updates": [[]]}, ("updates",)),
        ({"updates": [level("buy", "1", "1")]}, ("updates[].side",)),
        ({"updates": [{"side": "bid", "price_level": "1"}]}, ("updates[].event_time", "updates[].new_quantity")),
        ({"updates": [level("bid", "-1", "1")]}, ("updates[].price_level", "updates[].new_quantity")),
    ],
)
def test_event_that_lacks_something_is_named(change: dict[str, Any], missing: tuple[str, ...]) -> None:
    error = wrong(advanced(3, event() | change, event(product=ETH)))
    assert (error.channel, error.inst) == ("level2", BTC if "product_id" not in change else None)
    assert (error.missing, error.books) == (missing, 1)


@pytest.mark.parametrize("number", [None, "7", 1.5, True, 1 << 63])
def test_books_without_a_number_are_odd(number: Any) -> None:
    assert wrong(advanced(number)).missing == ("sequence_num",)


@pytest.mark.parametrize("events", [None, [], {}, [[]], "x"])
def test_frame_without_events_is_odd(events: Any) -> None:
    error = wrong(advanced() | {"events": events})
    assert (error.missing, error.inst) == (("events",), None)


def test_odd_event_among_several_of_one_product_spoils_all_of_them() -> None:
    assert wrong(advanced(3, event(), event(), event() | {"updates": None}, event(product=ETH))).books == 3


def test_field_that_is_added_is_no_break() -> None:
    more = event("snapshot", BTC, level("bid", "2", "1") | {"orders": "4"}) | {"news": 1}
    assert pushed(advanced(3, more) | {"client_id": ""})[0].bids == [["2", "1"]]
    assert pushed(UPDATE | {"sequence": 4, "changes": [["buy", "2", "1", "4"]]})[0].bids == [["2", "1"]]


# ---- Exchange -------------------------------------------------------------------------------------------------------


def test_books_of_exchange_have_no_numbers() -> None:
    assert decode(SNAPSHOT) == [
        BookPush(Push.SNAPSHOT, "level2_batch", BTC, [["2", "1.50"]], [["3", "1"]], T0, None, None, None)
    ]
    bids, asks = [["80688.08", "0.59153273"]], [["80745.16", "0.00000000"]]
    assert decode(UPDATE) == [
        BookPush(Push.DELTA, "level2_batch", BTC, bids, asks, 1_787_628_957_300_000_000, None, None, None)
    ]


def test_older_snapshot_and_odd_update_lack_their_time() -> None:
    for sent in (SNAPSHOT, UPDATE):
        (push,) = pushed({name: value for name, value in sent.items() if name != "time"})
        assert push.event_ns is None


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        (SNAPSHOT | {"bids": None}, ("bids",)),
        (SNAPSHOT | {"bids": [["1"]], "asks": [["x", "1"]]}, ("bids", "asks")),
        (UPDATE | {"changes": None}, ("changes",)),
        (UPDATE | {"changes": ["buy"]}, ("changes",)),
        (UPDATE | {"changes": [["bid", "1", "1"]]}, ("changes",)),
        (UPDATE | {"changes": [["buy", "1"]]}, ("changes",)),
        (UPDATE | {"changes": [["buy", "0", "1"]]}, ("changes",)),
        (UPDATE | {"changes": [[[], "1", "1"]]}, ("changes",)),
        (UPDATE | {"product_id": None}, ("product_id",)),
    ],
)
def test_book_of_exchange_that_lacks_something_is_named(sent: Any, missing: tuple[str, ...]) -> None:
    error = wrong(sent)
    assert (error.channel, error.missing) == ("level2_batch", missing)
    assert error.inst == (None if missing == ("product_id",) else BTC)


def test_other_frames_of_exchange() -> None:
    assert decode({"type": "heartbeat", "sequence": 90, "product_id": BTC}) == [Other("type 'heartbeat'")]
    assert decode({"type": "news"}) == [Other("type 'news'", known=False)]
    assert decode({}) == [Other("type None", known=False)]
    assert decode([]) == [Other("not an object", known=False)]


@needs_recordings
def test_frames_of_another_channel_say_nothing() -> None:
    batch = CoinbaseConnection()
    batch.subscribe([("level2_batch", BTC)])
    kinds = [
        (json.loads(line["frame"])["type"], batch.decode(line["frame"]))
        for line in load("coinbase/gdax-20170625-full-2products.jsonl.gz")
        if line["dir"] == "in"
    ]
    assert {kind for kind, _ in kinds} >= {"received", "open", "done", "heartbeat"}
    assert [found for kind, found in kinds if found != [Other(f"type '{kind}'")] and kind != "subscriptions"] == []


# ---- the venue ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inst", "market"),
    [(BTC, "spot"), ("ETH-BTC", "spot"), ("BIT-28NOV25-CDE", "futures"), ("BTC-PERP-INTX", "perp"), ("", "spot")],
)
def test_market_is_in_the_id(inst: str, market: str) -> None:
    assert COINBASE.market_of(inst) == market


def test_addresses() -> None:
    urls = (
        "wss://ws-feed.exchange.coinbase.com",
        "wss://advanced-trade-ws.coinbase.com",
        "https://api.exchange.coinbase.com/x",
    )
    assert [venue_of_url(url) for url in urls] == ["coinbase"] * 3
    assert venue_of_url("wss://ws-feed-public.sandbox.exchange.coinbase.com") is None


def test_rest_books_and_checksums_are_refused() -> None:
    assert COINBASE.book_path("level2", BTC) is None
    assert COINBASE.book_asked(f"https://api.exchange.coinbase.com/products/{BTC}/book?level=2") is None
    with pytest.raises(VenueError, match="BTC-USD is not read"):
        COINBASE.decode_book("level2", BTC, "{}")
    with pytest.raises(VenueError, match="no checksum"):
        COINBASE.checksum([], [])
    assert COINBASE.checksum_given(1) is False
