"""The OKX decoder: any bytes give events or a VenueError; known frames give what the documents say."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, ClosingSoon, Other, Push, Refused, Subscribed, Unsubscribed
from l2_exporter.core.venue import BookAsked
from l2_exporter.venues.okx import CHANNELS, Okx
from l2_exporter.venues.registry import venue_of_url
from tests.okx_frames import ASKS, BIDS, INST, MS, T0, rest_book, snapshot, update

OKX = Okx()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
PUSHES = st.fixed_dictionaries(
    {},
    optional={
        "arg": st.fixed_dictionaries({}, optional={"channel": st.sampled_from([*CHANNELS]) | JSON, "instId": JSON})
        | JSON,
        "action": st.sampled_from(["snapshot", "update"]) | JSON,
        "event": st.sampled_from(["subscribe", "error", "notice"]) | JSON,
        "data": JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    name: JSON | st.lists(st.lists(st.sampled_from(["1", "0", "NaN", "-1", "9" * 99]), max_size=5))
                    for name in ("bids", "asks", "ts", "seqId", "prevSeqId", "checksum")
                },
            ),
            max_size=2,
        ),
    },
)


def assert_decodes(frame: str | bytes) -> None:
    """Decode; events or a VenueError are both fine, and book events hold only what a book can take."""
    try:
        events = OKX.decode(frame)
    except VenueError:
        return
    for event in events:
        if isinstance(event, BookPush):
            assert all(type(cell) is str for row in [*event.bids, *event.asks] for cell in row)
            assert all(float(row[0]) > 0 and float(row[1]) >= 0 for row in [*event.bids, *event.asks])
            assert event.event_ns is None or event.event_ns > 0


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_or_a_venue_error(frame: str | bytes) -> None:
    assert_decodes(frame)


@given(PUSHES | JSON)
def test_any_json_gives_events_or_a_venue_error(message: object) -> None:
    assert_decodes(json.dumps(message))


@given(st.data())
def test_real_frame_cut_or_changed_anywhere_gives_events_or_a_venue_error(data: st.DataObject) -> None:
    text = snapshot(T0, 10).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    assert_decodes(text[:place])
    assert_decodes(text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :])


@pytest.mark.parametrize(
    "hostile", ["\ud800", '{"event":"\ud800"}', "[" * 100_000, '{"a":' * 5000, "1e999", "-Infinity"]
)
def test_hostile_text(hostile: str) -> None:
    assert_decodes(hostile)


NUMBERS = (([100.0, 99.5], [1.0, 2.0]), ([100.5, 101.0], [3.0, 4.0]))
"""Of `BIDS` and `ASKS`."""


def test_snapshot_and_update() -> None:
    assert OKX.decode(snapshot(T0, 123456)) == [
        BookPush(Push.SNAPSHOT, "books", INST, BIDS, ASKS, T0 * MS, 123456, -1, 0, (), NUMBERS)
    ]
    assert OKX.decode(update(T0, 7, 5, checksum=None).encode()) == [
        BookPush(Push.DELTA, "books", INST, [], [], T0 * MS, 7, 5, None)
    ]


def test_missing_zero_and_minus_one_are_different() -> None:
    numbers = [OKX.decode(snapshot(T0, seq, prev))[0] for seq, prev in ((None, None), (5, 0), (5, -1))]
    assert [push.prev_seq for push in numbers if isinstance(push, BookPush)] == [None, 0, -1]


ACK = '{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}'
CONTROL = [
    (ACK, Subscribed("books", "BTC-USDT")),
    (ACK.replace("subscribe", "unsubscribe"), Unsubscribed("books", "BTC-USDT")),
    (ACK.replace("books", "trades"), Other("event 'subscribe'")),
    ('{"id":"1","event":"error","code":"60012","msg":"Invalid request"}', Refused("60012", "Invalid request")),
    ('{"event":"notice","code":"64008","msg":"closing","connId":"a4d3ae55"}', ClosingSoon("64008", "closing")),
    ('{"event":"channel-conn-count","channel":"books","connCount":"1"}', Other("event 'channel-conn-count'")),
    ('{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}', Other("push of another channel")),
    ("pong", Other("pong")),
    ("42", Other("not an object", known=False)),
    ('{"table":"spot/depth","data":[]}', Other("push of another channel", known=False)),
]


@pytest.mark.parametrize(("text", "event"), CONTROL)
def test_control_frames(text: str, event: object) -> None:
    assert OKX.decode(text) == [event]


def test_schema_error_names_channel_instrument_and_fields() -> None:
    with pytest.raises(SchemaError) as caught:
        OKX.decode(update(T0, 7, 5).replace('"ts":', '"t":').replace('"asks":', '"a":'))
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("books", INST, ("asks", "ts"))


def test_checksum_vectors() -> None:
    def side(text: str) -> list[list[str]]:
        return [level.split("x") for level in text.split()]

    assert OKX.checksum(side("3366.1x7 3366x6"), side("3366.8x9 3368x8")) == -1881014294
    assert OKX.checksum(side("3366.1x7"), side("3366.8x9 3368x8 3372x8")) == 831078360
    asks = side("8476.98x415 8477x7")
    assert OKX.checksum(side("8476.97x256 8475.55x101 8474x9"), asks) == 774080889
    assert OKX.checksum(side("8476.97x240 8475.55x101 8474x9"), side("8477x7 8477.34x85")) == -2047291061
    assert OKX.checksum(side("8476.97x256"), []) == -339689424
    assert OKX.checksum([], []) == 0


def test_checksum_takes_the_best_25_levels() -> None:
    bids = [[str(price), "1", "0", "1"] for price in range(200, 160, -1)]
    assert OKX.checksum(bids, []) == OKX.checksum(bids[:25], [])
    assert OKX.checksum(bids, []) != OKX.checksum(bids[:24], [])


@pytest.mark.parametrize(
    ("inst", "market"),
    [
        ("BTC-USDT-SWAP", "perp"),
        ("BTC-USD_UM-SWAP", "perp"),
        ("BTC-USD-220527", "futures"),
        ("BTC-USD-220325-40000-C", "option"),
        ("EOS-USD-210625-8.00-P", "option"),
        ("BTC-USDT", "spot"),
        ("1INCH-USDT", "spot"),
    ],
)
def test_market_of_an_id(inst: str, market: str) -> None:
    assert OKX.market_of(inst) == market


def test_rest_book() -> None:
    book = OKX.decode_book("books", INST, rest_book(55, T0))
    assert (book.push, book.seq, book.prev_seq, book.checksum) == (Push.SNAPSHOT, 55, None, None)
    assert (book.bids, book.asks, book.event_ns) == (BIDS, ASKS, T0 * MS)
    path = OKX.book_path("books50-l2-tbt", "A&B/C-USDT")
    assert path == "/api/v5/market/books?instId=A%26B%2FC-USDT&sz=50"
    assert OKX.book_asked("https://www.okx.com" + path) == BookAsked("A&B/C-USDT", 50)
    assert OKX.book_asked("https://www.okx.com/api/v5/public/instruments?instId=X") is None


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_rest_answer_gives_a_book_or_a_venue_error(body: str) -> None:
    with contextlib.suppress(VenueError):
        assert OKX.decode_book("books", INST, body).inst == INST


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("wss://ws.okx.com:8443/ws/v5/public", "okx"),
        ("wss://wseea.okx.com:8443/ws/v5/public", "okx"),
        ("wss://real.okcoin.com:8443/ws/v5/public", None),
        ("wss://evilokx.com/", None),
        ("", None),
    ],
)
def test_venue_of_an_address(url: str, venue: str | None) -> None:
    assert venue_of_url(url) == venue


def test_subscription_frames_carry_every_pair() -> None:
    books = [("books", "A-B"), ("bbo-tbt", 'C"D')]
    (text,) = OKX.subscribe(books)
    message = json.loads(text)
    assert message["op"] == "subscribe"
    assert [(arg["channel"], arg["instId"]) for arg in message["args"]] == books


def test_a_book_is_subscribed_anew_by_ending_the_old_subscription_first() -> None:
    args = [{"channel": "books", "instId": "A-B"}]
    assert [json.loads(text) for text in OKX.resubscribe("books", "A-B")] == [
        {"op": "unsubscribe", "args": args},
        {"op": "subscribe", "args": args},
    ]


def test_every_channel_has_its_own_dataset() -> None:
    suffixes = [channel.suffix for channel in CHANNELS.values()]
    assert len(set(suffixes)) == len(suffixes)
    assert suffixes[0] == ""
