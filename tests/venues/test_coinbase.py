"""The Coinbase decoder: any bytes give events or a VenueError; known frames give what documents and recordings say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Event, Numbered, Other, Push, Refused, Subscribed, Unsubscribed
from l2_exporter.core.rows import are_rows
from l2_exporter.venues.coinbase import CHANNELS, Coinbase, CoinbaseConnection
from l2_exporter.venues.registry import venue_of_url
from tests.recordings import load, needs_recordings

COINBASE = Coinbase()
TIME, T0 = "2026-08-09T21:05:48.27841Z", 1_786_309_548_278_410_000
BTC, ETH = "BTC-USD", "ETH-USD"
SNAPSHOT = {"type": "snapshot", "product_id": BTC, "asks": [["3", "1"]], "bids": [["2", "1.50"]], "time": TIME}
CHANGES = [["buy", "80688.08", "0.59153273"], ["sell", "80745.16", "0.00000000"]]
UPDATE = {"type": "l2update", "product_id": BTC, "changes": CHANGES, "time": "2026-08-25T03:35:57.300000Z"}


def level(side: str, price: str, size: str, time: Any = TIME) -> dict[str, Any]:
    return {"side": side, "event_time": time, "price_level": price, "new_quantity": size}


def event(kind: str = "update", product: str = BTC, *updates: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "product_id": product, "updates": [*(updates or (level("bid", "2", "1"),))]}


def advanced(number: Any = 7, *events: Any, channel: str = "l2_data") -> dict[str, Any]:
    sent = {"channel": channel, "timestamp": "2026-08-09T21:05:48.507227366Z", "sequence_num": number}
    return sent | {"events": [*(events or (event(),))]}


def decode(message: Any, connection: CoinbaseConnection | None = None) -> list[Event]:
    return (connection or CoinbaseConnection()).decode(json.dumps(message))


def pushed(message: Any, connection: CoinbaseConnection | None = None) -> list[BookPush]:
    return [each for each in decode(message, connection) if isinstance(each, BookPush)]


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
    kinds = [
        (json.loads(line["frame"])["type"], CoinbaseConnection().decode(line["frame"]))
        for line in load("coinbase/gdax-20170625-full-2products.jsonl.gz")
        if line["dir"] == "in"
    ]
    assert {kind for kind, _ in kinds} >= {"received", "open", "done", "heartbeat"}
    assert [found for kind, found in kinds if found != [Other(f"type '{kind}'")] and kind != "subscriptions"] == []


# ---- subscriptions --------------------------------------------------------------------------------------------------

ACK = {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": [BTC], "account_ids": None}]}
BOTH = {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": [ETH, BTC], "account_ids": None}]}


def ack(number: int, *products: str) -> dict[str, Any]:
    return advanced(number, {"subscriptions": {"level2": [*products]}}, channel="subscriptions")


def test_each_protocol_is_asked_in_its_own_words_and_heartbeats_once() -> None:
    connection = CoinbaseConnection()
    assert connection.opened() == []
    texts = connection.subscribe([("level2", BTC), ("level2_batch", BTC), ("level2", ETH)])
    assert [json.loads(text) for text in texts] == [
        {"type": "subscribe", "product_ids": [BTC, ETH], "channel": "level2"},
        {"type": "subscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
        {"type": "subscribe", "channel": "heartbeats"},
    ]
    assert [json.loads(text)["type"] for text in connection.resubscribe("level2", ETH)] == ["unsubscribe", "subscribe"]
    assert [json.loads(text) for text in connection.resubscribe("level2_batch", BTC)] == [
        {"type": "unsubscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
        {"type": "subscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
    ]


def test_acknowledgement_lists_all_subscriptions_and_only_what_is_new_is_told() -> None:
    connection = CoinbaseConnection()
    assert decode(ACK, connection) == [Subscribed("level2_batch", BTC)]
    assert decode(BOTH, connection) == [Subscribed("level2_batch", ETH)]
    assert decode(BOTH, connection) == [Other("subscriptions")]
    assert decode(ACK, connection) == [Unsubscribed("level2_batch", ETH)]
    assert decode({"type": "subscriptions", "channels": []}, connection) == [Unsubscribed("level2_batch", BTC)]
    assert decode(ack(0, BTC, ETH), connection) == [Numbered(0), Subscribed("level2", BTC), Subscribed("level2", ETH)]
    assert decode(ack(1, ETH), connection) == [Numbered(1), Unsubscribed("level2", BTC)]
    heartbeats = advanced(
        2, {"subscriptions": {"heartbeats": ["heartbeats"], "level2": [ETH]}}, channel="subscriptions"
    )
    assert decode(heartbeats, connection) == [Numbered(2), Other("subscriptions")]


def test_the_documented_name_in_an_acknowledgement_is_taken_too() -> None:
    assert decode({"type": "subscriptions", "channels": [{"name": "level2_batch", "product_ids": [BTC]}]}) == [
        Subscribed("level2_batch", BTC)
    ]


@pytest.mark.parametrize("events", [None, [], [1], [{}], [{"subscriptions": []}]])
def test_acknowledgement_without_a_list_ends_nothing(events: Any) -> None:
    connection = CoinbaseConnection()
    decode(ack(0, BTC), connection)
    odd = ack(1) | {"events": events}
    assert decode(odd, connection) == [Numbered(1), Other("subscriptions without a list", known=False)]
    assert decode(ack(2, BTC), connection) == [Numbered(2), Other("subscriptions")]


@pytest.mark.parametrize("channels", [None, "x", {}, [1]])
def test_acknowledgement_of_exchange_without_a_list_ends_nothing(channels: Any) -> None:
    connection = CoinbaseConnection()
    decode(ACK, connection)
    odd = {"type": "subscriptions", "channels": channels}
    assert decode(odd, connection) == [Other("subscriptions without a list", known=False)]
    assert decode(ACK, connection) == [Other("subscriptions")]


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (
            {"type": "error", "message": "Failed to subscribe", "reason": "ETH-XYZ is not a valid product"},
            Refused("Failed to subscribe", "ETH-XYZ is not a valid product"),
        ),
        ({"type": "error", "message": "authentication failure"}, Refused("error", "authentication failure")),
        ({"type": "error"}, Refused("error", "None")),
    ],
)
def test_errors_are_refusals(sent: Any, event: Event) -> None:
    assert decode(sent) == [event]


# ---- products in USDC -----------------------------------------------------------------------------------------------


def insts(channel: str, product: str, *asked: str) -> list[str]:
    """Tell which instruments get what comes of a product on a connection with these subscriptions."""
    connection = CoinbaseConnection()
    connection.subscribe([(channel, inst) for inst in asked])
    sent = advanced(1, event(product=product)) if channel == "level2" else UPDATE | {"product_id": product}
    return [push.inst for push in pushed(sent, connection)]


def test_product_in_usd_is_what_was_subscribed_in_usdc() -> None:
    assert insts("level2", BTC, "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2", BTC, "BTC-USDC", BTC) == [BTC, "BTC-USDC"]
    assert insts("level2", BTC, "ETH-USDC") == [BTC]
    assert insts("level2", "BTC-USDC", "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2_batch", BTC, "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2_batch", BTC, "BTC-USDC", BTC) == [BTC]


@pytest.mark.parametrize("base", ["USDT", "EURC"])
def test_products_with_books_of_their_own_in_usdc_are_no_others(base: str) -> None:
    assert insts("level2", f"{base}-USD", f"{base}-USDC", f"{base}-USD") == [f"{base}-USD"]
    assert insts("level2", f"{base}-USD", f"{base}-USDC") == [f"{base}-USD"]


def test_acknowledgement_and_odd_frame_name_what_was_subscribed() -> None:
    connection = CoinbaseConnection()
    connection.subscribe([("level2", "BTC-USDC")])
    assert decode(ack(0, BTC), connection) == [Numbered(0), Subscribed("level2", "BTC-USDC")]
    with pytest.raises(SchemaError) as caught:
        decode(advanced(1, event() | {"updates": None}), connection)
    assert caught.value.inst == "BTC-USDC"


def test_connections_remember_their_own_subscriptions() -> None:
    one, other = COINBASE.connection({}), COINBASE.connection({})
    one.subscribe([("level2", "BTC-USDC")])
    (push,) = [each for each in other.decode(json.dumps(advanced())) if isinstance(each, BookPush)]
    assert push.inst == BTC


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


# GET /products/BTC-USD, captured by a third party on 19 June 2026; a list of such is GET /products.
PRODUCT = (
    '{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001",'
    '"display_name":"BTC-USD","min_market_funds":"1","margin_enabled":false,"post_only":false,"limit_only":false,'
    '"cancel_only":false,"status":"online","status_message":"","trading_disabled":false,"fx_stablecoin":false,'
    '"max_slippage_percentage":"0.02000000","auction_mode":false,"high_bid_limit_percentage":""}'
)


def test_listing_in_the_normal_form() -> None:
    assert COINBASE.instrument_paths(["perp", "spot"]) == ["/products"]
    assert COINBASE.instrument_paths(["perp", "futures", "option"]) == []
    assert COINBASE.further_instrument_paths("[]") == []
    (one,) = COINBASE.decode_instruments(f"[{PRODUCT}]")
    assert (one.venue, one.inst, one.symbol, one.base, one.quote, one.settle) == (
        "coinbase",
        "BTC-USD",
        "BTC/USD",
        "BTC",
        "USD",
        None,
    )
    assert (one.market, one.kind, one.size_unit, one.contract_value) == ("spot", None, "base", None)
    assert (one.tick, one.lot, one.state, one.list_utc) == ("0.01", "0.00000001", "online", None)
    assert one.raw == json.loads(PRODUCT)
    assert COINBASE.code_of(one) == "BTC-USD"


def test_delisted_products_and_odd_steps() -> None:
    changed = json.loads(PRODUCT) | {"status": "delisted", "quote_increment": "", "base_increment": 0.1}
    (one,) = COINBASE.decode_instruments(json.dumps([changed]))
    assert (one.state, one.tick, one.lot) == ("delisted", None, None)


@pytest.mark.parametrize(
    "body",
    [
        '{"message":"Public rate limit exceeded"}',
        "<html>",
        "[1]",
        f'[{PRODUCT},{{"id":""}}]',
        PRODUCT.replace("BTC-USD", "").join("[]"),
        "[" * 2000,
        '[{"id":"A-B","base_currency":"A","quote_currency":null}]',
    ],
)
def test_answers_that_are_no_list_of_products(body: str) -> None:
    with pytest.raises(VenueError, match="Coinbase"):
        COINBASE.decode_instruments(body)
