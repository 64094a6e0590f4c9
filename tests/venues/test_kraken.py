"""The Kraken decoder: any bytes give events or a VenueError; known frames give what documents and recordings say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused, Subscribed, Unsubscribed
from l2_exporter.venues.kraken import CHANNELS, Kraken, KrakenConnection
from tests.kraken_frames import INST, T0, TIME, ack, frame, rows

KRAKEN = Kraken()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.sampled_from(["1", "0", "1.50", "0.00000000", "1e-8", "-1", "NaN", "9" * 99, '"7"', "null", "[]"])
LEVELS = st.lists(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f'{{"price":{pair[0]},"qty":{pair[1]}}}'), max_size=3
).map(lambda levels: f"[{','.join(levels)}]")
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(['"BTC/USD"', '""', '"\\ud800"', "3"]),
        "bids": LEVELS | JSON.map(json.dumps),
        "asks": LEVELS | JSON.map(json.dumps),
        "checksum": st.sampled_from(["0", "4294967295", "4294967296", "-1", "1.5", '"12"', "null", "9" * 400]),
        "timestamp": st.sampled_from([f'"{TIME}"', '"0000-00-00T00:00:00Z"', '"9999-12-31T23:59:59Z"', "17", "null"]),
    },
)


def text_of(members: dict[str, str]) -> str:
    """Write an object whose values are JSON already."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"


PUSHES = st.tuples(
    st.sampled_from(['"book"', '"ticker"', "[]"]),
    st.sampled_from(['"snapshot"', '"update"', "null", "[]"]),
    st.lists(ENTRIES, max_size=2),
).map(
    lambda push: text_of(
        {"channel": push[0], "type": push[1], "data": f"[{','.join(text_of(one) for one in push[2])}]"}
    )
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["subscribe", "unsubscribe", "pong"]) | JSON,
        "success": JSON,
        "error": JSON,
        "symbol": JSON,
        "result": st.fixed_dictionaries(
            {}, optional={"channel": st.just("book") | JSON, "symbol": JSON, "depth": st.just(10) | JSON}
        )
        | JSON,
    },
)


# ---- any bytes ------------------------------------------------------------------------------------------------------


def assert_decodes(sent: str | bytes) -> None:
    """Decode; events or a VenueError are both fine, and events hold only what a book and a file can take."""
    connection = KrakenConnection()
    try:
        events = [*connection.decode(ack(10)), *connection.decode(sent), *connection.decode(frame())]
    except VenueError:
        return
    for event in events:
        repr(event).encode()
        if isinstance(event, BookPush):
            event.inst.encode()
            assert all(type(cell) is str for row in [*event.bids, *event.asks] for cell in row)
            assert all(float(row[0]) > 0 and float(row[1]) >= 0 for row in [*event.bids, *event.asks])
            assert event.event_ns is None or event.event_ns > 0
            assert event.checksum is None or 0 <= event.checksum < 1 << 32


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_or_a_venue_error(sent: str | bytes) -> None:
    assert_decodes(sent)


@given(PUSHES | ANSWERS.map(json.dumps) | JSON.map(json.dumps))
def test_any_json_gives_events_or_a_venue_error(sent: str) -> None:
    assert_decodes(sent)
    assert_decodes(sent.encode())


@given(st.data())
def test_real_frame_cut_or_changed_anywhere_gives_events_or_a_venue_error(data: st.DataObject) -> None:
    text = frame("snapshot", "78871.5:0.01266503 78868.4:0.00005100", "78878.0:4.52243185").encode()
    place = data.draw(st.integers(0, len(text) - 1))
    assert_decodes(text[:place])
    assert_decodes(text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :])


HOSTILE = ["\ud800", '{"error":"\\ud800"}', "[" * 100_000, '{"a":' * 50_000, "-Infinity", '{"a":NaN}', "\ufeff{}"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_a_venue_error(hostile: str) -> None:
    with pytest.raises(VenueError):
        KrakenConnection().decode(hostile)


# ---- books ----------------------------------------------------------------------------------------------------------


def test_numbers_keep_every_digit_that_was_sent() -> None:
    sent = frame("snapshot", "78871.5:0.01266503 78868.4:0.00005100", "78878.0:4", "1406471562")
    bids, asks = rows("78871.5:0.01266503 78868.4:0.00005100"), rows("78878.0:4")
    assert KrakenConnection().decode(sent) == [
        BookPush(Push.SNAPSHOT, "book", INST, bids, asks, T0, None, None, 1406471562)
    ]
    assert KrakenConnection().decode(frame(bids="78858.8:0.00000000 1e-8:1E3").encode()) == [
        BookPush(Push.DELTA, "book", INST, rows("78858.8:0.00000000 1e-8:1E3"), [], T0, None, None, 1)
    ]


def test_a_snapshot_may_lack_its_time_an_update_may_not() -> None:
    (push,) = KrakenConnection().decode(frame("snapshot", "2:1", "3:1", time=None))
    assert isinstance(push, BookPush)
    assert push.event_ns is None
    with pytest.raises(SchemaError) as caught:
        KrakenConnection().decode(frame(time=None))
    assert caught.value.missing == ("timestamp",)


def test_schema_error_names_channel_instrument_and_fields() -> None:
    connection = KrakenConnection()
    connection.decode(ack(25))
    sent = frame("patch", checksum="4294967296").replace('"bids":', '"b":').replace('"timestamp":', '"t":')
    with pytest.raises(SchemaError) as caught:
        connection.decode(sent)
    assert (caught.value.channel, caught.value.inst) == ("book-25", INST)
    assert caught.value.missing == ("type", "bids", "timestamp", "checksum")


def test_unknown_fields_are_no_fault() -> None:
    sent = frame(bids="2:1").replace('"qty":1', '"qty":1,"orders":3').replace('"symbol"', '"news":[{}],"symbol"')
    assert [type(event) for event in KrakenConnection().decode(sent)] == [BookPush]


@pytest.mark.parametrize("depth", [10, 25, 100, 500, 1000])
def test_a_book_is_of_the_depth_that_was_confirmed_on_its_connection(depth: int) -> None:
    connection, other = KrakenConnection(), KrakenConnection()
    (confirmed,) = connection.decode(ack(depth))
    assert isinstance(confirmed, Subscribed)
    assert CHANNELS[confirmed.channel].depth == depth
    found = [each.decode(frame())[0] for each in (connection, other)]
    assert [push.channel for push in found if isinstance(push, BookPush)] == [confirmed.channel, "book"]


def test_a_book_without_confirmation_is_what_was_asked_for_and_one_of_another_depth_is_none_of_ours() -> None:
    connection = KrakenConnection()
    connection.subscribe([("book-100", INST)])
    (push,) = connection.decode(frame())
    assert isinstance(push, BookPush)
    assert push.channel == "book-100"
    assert connection.decode(ack(50)) == [Other("book of depth '50'", known=False)]
    assert connection.decode(frame()) == [Other("book of a depth that is none of ours", known=False)]
    assert connection.decode(ack(100)) == [Subscribed("book-100", INST)]


def test_every_channel_has_its_own_dataset() -> None:
    suffixes = [channel.suffix for channel in CHANNELS.values()]
    assert len(set(suffixes)) == len(suffixes)
    assert suffixes[0] == ""


# ---- requests and answers -------------------------------------------------------------------------------------------


def request(method: str, depth: int, *symbols: str) -> dict[str, object]:
    params: dict[str, object] = {"channel": "book", "symbol": [*symbols], "depth": depth}
    return {"method": method, "params": params | ({"snapshot": True} if method == "subscribe" else {})}


def test_each_depth_is_a_request_of_its_own() -> None:
    texts = KrakenConnection().subscribe([("book", "A/B"), ("book-10", 'C"/D'), ("book", "E/F")])
    assert [json.loads(text) for text in texts] == [
        request("subscribe", 1000, "A/B", "E/F"),
        request("subscribe", 10, 'C"/D'),
    ]


def test_a_book_is_subscribed_anew_by_ending_the_old_subscription_with_its_depth_first() -> None:
    texts = KrakenConnection().resubscribe("book-100", INST)
    assert [json.loads(text) for text in texts] == [
        request("unsubscribe", 100, INST),
        request("subscribe", 100, INST),
    ]


REFUSED = '{"error":"%s","method":"subscribe","success":false,"symbol":"XBT/USD","time_in":"...","time_out":"..."}'
STATUS = '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2"}]}'
CONTROL = [
    (ack(1000), Subscribed("book", INST)),
    (ack(10, method="unsubscribe"), Unsubscribed("book-10", INST)),
    (ack(10).replace('"book"', '"trade"'), Other("answer to 'subscribe'")),
    (
        REFUSED % "Currency pair not supported XBT/USD",
        Refused("subscribe", "Currency pair not supported XBT/USD"),
    ),
    (REFUSED % "Already subscribed", Refused("subscribe", "Already subscribed XBT/USD")),
    ('{"error":"Malformed request","success":false}', Refused("", "Malformed request")),
    ('{"method":"pong","req_id":101,"time_in":"...","time_out":"..."}', Other("pong")),
    ('{"channel":"heartbeat"}', Other("channel 'heartbeat'")),
    (STATUS, Other("channel 'status'")),
    ('{"channel":"ticker","type":"update","data":[{}]}', Other("channel 'ticker'")),
    ('{"channel":"surprise"}', Other("channel 'surprise'", known=False)),
    ('[320,{"a":[]},"book-1000","XBT/USD"]', Other("not an object", known=False)),
]


@pytest.mark.parametrize(("text", "event"), CONTROL)
def test_control_frames(text: str, event: object) -> None:
    assert KrakenConnection().decode(text) == [event]


# ---- checksums ------------------------------------------------------------------------------------------------------

# The example of the guide "WebSocket v2 checksum", recomputed.
ASKS = rows(
    "45285.2:0.00100000 45286.4:1.54571953 45286.6:1.54571109 45289.6:1.54560911 45290.2:0.15890660 45291.8:1.54553491 "
    "45294.7:0.04454749 45296.1:0.35380000 45297.5:0.09945542 45299.5:0.18772827"
)
BIDS = rows(
    "45283.5:0.10000000 45283.4:1.54582015 45282.1:0.10000000 45281.0:0.10000000 45280.3:1.54592586 45279.0:0.07990000 "
    "45277.6:0.03310103 45277.5:0.30000000 45277.3:1.54602737 45276.6:0.15445238"
)


def test_checksum_vectors() -> None:
    assert KRAKEN.checksum(BIDS, ASKS) == 3310070434
    assert KRAKEN.checksum([], []) == 0
    deeper = [*rows("45276.5:1 45276.4:2")]
    assert KRAKEN.checksum([*BIDS, *deeper], ASKS) == 3310070434
    assert KRAKEN.checksum(BIDS[:9], ASKS) != 3310070434


def test_a_checksum_of_zero_is_none() -> None:
    assert [KRAKEN.checksum_given(checksum) for checksum in (None, 0, 1, (1 << 32) - 1)] == [False, False, True, True]


def test_rest_books_cannot_be_joined() -> None:
    assert KRAKEN.book_path("book", INST) is None
    assert KRAKEN.book_asked("https://api.kraken.com/0/public/Depth?pair=XBTUSD&count=500") is None
    with pytest.raises(VenueError, match="BTC/USD"):
        KRAKEN.decode_book("book", INST, "{}")
