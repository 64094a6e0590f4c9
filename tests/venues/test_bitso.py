"""The Bitso decoder: any bytes give events or a VenueError; captured frames give what was said of them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Change, OrderChange, Other, Push, Refused, Subscribed
from l2_exporter.core.venue import BookAsked
from l2_exporter.venues.bitso import Bitso
from tests.recordings import needs_recordings, path_of
from tests.venues.in_memory import InMemory

BITSO = Bitso()
INST = "btc_mxn"
MS = 1_000_000
SURVEY = path_of("frames/bitso/observatory-20260923-observed.json")
OPEN = {"o": "FX7PmAfqYzaye1Zz", "r": "1494390", "t": 0, "a": "0.00199645", "v": "2983.47", "s": "open", "d": 1, "z": 2}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.sampled_from(["1", "0", "1.50", "NaN", "-1", "9" * 99, "", "open", "completed"]) | JSON
ENTRIES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("o", "r", "a", "s"), TEXTS) | {"t": st.integers(-1, 2) | JSON}
)
PUSHES = st.fixed_dictionaries(
    {"type": st.just("diff-orders") | JSON},
    optional={
        "book": st.just(INST) | JSON,
        "payload": st.lists(ENTRIES, max_size=3) | JSON,
        "sequence": st.sampled_from([0, 1, 1 << 62, 1 << 70, 1.5, "7"]) | JSON,
        "sent": st.integers() | JSON,
        "action": st.just("subscribe") | JSON,
        "error": JSON,
    },
)
BOOKS = st.fixed_dictionaries(
    {"success": st.just(True) | JSON},
    optional={
        "payload": st.fixed_dictionaries(
            {},
            optional={
                side: st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("price", "amount", "oid"), TEXTS)))
                | JSON
                for side in ("bids", "asks")
            }
            | {"sequence": TEXTS, "updated_at": TEXTS},
        )
        | st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("book", "tick_size"), TEXTS)))
        | JSON
    },
)


def frame(*entries: object, **members: object) -> str:
    message = {"type": "diff-orders", "book": INST, "sequence": 7, "payload": [*entries], "sent": 1790127803815}
    return json.dumps(message | members)


def told(*entries: object) -> tuple[OrderChange, ...]:
    (event,) = BITSO.decode(frame(*entries))
    assert isinstance(event, BookPush)
    return (*event.changes,)


@given(st.text() | st.binary() | PUSHES.map(json.dumps) | JSON.map(json.dumps))
def test_any_bytes_give_events_or_a_venue_error(data: str | bytes) -> None:
    with contextlib.suppress(VenueError):
        BITSO.decode(data)


@given(st.text() | BOOKS.map(json.dumps))
def test_any_answer_gives_a_book_or_a_venue_error(body: str) -> None:
    for read in (lambda: BITSO.decode_book("diff-orders", INST, body), lambda: BITSO.decode_instruments(body)):
        with contextlib.suppress(VenueError):
            read()


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(VenueError):
        BITSO.decode('{"type":' + "[" * 400 + "]" * 400 + "}")


@needs_recordings
def test_captured_frames_are_what_they_were_said_to_be() -> None:
    frames = json.loads(SURVEY.read_text())["frames"]
    events = [event for text in frames for event in BITSO.decode(text)]
    pushes = [event for event in events if isinstance(event, BookPush)]
    assert [(push.inst, push.seq, push.prev_seq, push.event_ns) for push in pushes] == [
        ("btc_mxn", 4520986708, 4520986707, 1790126713928 * MS),
        ("btc_mxn", 4520986709, 4520986708, 1790126713933 * MS),
        ("btc_usd", 3633396483, 3633396482, 1790126319428 * MS),
        ("btc_mxn", 4521005667, 4521005666, 1790127803815 * MS),
    ]
    # A changed order is cancelled, and opened again with its id in the next message.
    cancelled, opened = (push.changes[0] for push in pushes[:2])
    assert cancelled[:6] == (Change.DONE, "HWeHxDg0wjcUHibz", "sell", "1500370", None, "0.00181072")
    assert opened[:5] == (Change.SET, "HWeHxDg0wjcUHibz", "sell", "1499630", "0.00181072")
    # A trade: the taker, who never rested, is completed, and so much is left of the maker.
    assert pushes[3].changes == (
        OrderChange(Change.DONE, "nW0AuzICRQ92QMr0", "buy", "1494400", remaining="0", reason="filled"),
        OrderChange(Change.SET, "FX7PmAfqYzaye1Zz", "buy", "1494390", "0.00199645"),
    )
    assert [event for event in events if isinstance(event, Refused)] == [
        Refused("error", "This book is not supported - nope_usd"),
        Refused("error", "invalid message"),
    ]
    assert sum(isinstance(event, Other) and event.known for event in events) == 4


def test_the_states_of_an_order() -> None:
    assert told(OPEN) == (OrderChange(Change.SET, OPEN["o"], "buy", "1494390", "0.00199645"),)
    cancelled = OPEN | {"s": "cancelled", "t": 1}
    done = OrderChange(Change.DONE, OPEN["o"], "sell", "1494390", remaining="0.00199645", reason="canceled")
    assert told(cancelled) == (done,)
    del cancelled["a"]  # as the documents have it
    assert told(cancelled) == (done._replace(remaining=None),)
    assert told() == ()


@pytest.mark.parametrize(
    ("entry", "members", "missing"),
    [
        (OPEN | {"s": "queued"}, {}, ("payload",)),
        (OPEN | {"t": 2}, {}, ("payload",)),
        (OPEN | {"t": True}, {}, ("payload",)),
        (OPEN | {"r": "0"}, {}, ("payload",)),
        (OPEN | {"a": "-1"}, {}, ("payload",)),
        ({**OPEN, "a": None}, {}, ("payload",)),
        (OPEN | {"o": ""}, {}, ("payload",)),
        ("order", {}, ("payload",)),
        (OPEN, {"payload": {}}, ("payload",)),
        (OPEN, {"sequence": "7"}, ("sequence",)),
        (OPEN, {"sent": None, "sequence": None}, ("sequence", "sent")),
        (OPEN, {"book": None}, ("book",)),
    ],
)
def test_what_lacks_a_promise_is_a_schema_error(entry: object, members: dict[str, object], missing: tuple[str]) -> None:
    with pytest.raises(SchemaError) as raised:
        BITSO.decode(frame(entry, **members))
    assert raised.value.missing == missing
    assert raised.value.inst == (None if missing == ("book",) else INST)


def test_a_push_whose_payload_has_another_name_is_a_schema_error_and_no_unknown_frame() -> None:
    with pytest.raises(SchemaError) as raised:
        BITSO.decode(frame(OPEN).replace('"payload":', '"entries":'))
    assert (raised.value.missing, raised.value.inst) == (("payload",), INST)
    refusal = {"action": "subscribe", "type": "diff-orders", "error": "This book is not supported - x", "time": 1}
    assert BITSO.decode(json.dumps(refusal)) == [Refused("error", "This book is not supported - x")]


def test_control_frames() -> None:
    ok = {"action": "subscribe", "response": "ok", "time": 1, "type": "diff-orders"}
    assert BITSO.decode(json.dumps(ok | {"book": INST})) == [Subscribed("diff-orders", INST)]
    assert BITSO.decode(json.dumps(ok)) == [Other("answer to subscribe")]
    assert BITSO.decode('{"type":"ka"}') == [Other("type 'ka'")]
    assert BITSO.decode('{"type":"news"}') == [Other("type 'news'", known=False)]
    assert BITSO.decode("[]") == [Other("not an object", known=False)]
    assert BITSO.subscribe([("diff-orders", INST)]) == ['{"action":"subscribe","book":"btc_mxn","type":"diff-orders"}']


def test_the_rest_book() -> None:
    ask = {"book": INST, "price": "5632.24", "amount": "1.34491802", "oid": "a1"}
    payload = {"asks": [ask], "bids": [], "updated_at": "2016-04-08T17:52:31.000+00:00", "sequence": "27214"}
    book = BITSO.decode_book("diff-orders", INST, json.dumps({"success": True, "payload": payload}))
    assert (book.push, book.seq, book.prev_seq) == (Push.SNAPSHOT, 27214, None)
    assert (book.bids, book.asks) == ([], [["5632.24", "1.34491802", "a1"]])
    assert book.event_ns == 1_460_137_951_000 * MS
    for wrong in (
        payload | {"sequence": "x"},
        payload | {"asks": [ask | {"book": "eth_mxn"}]},
        payload | {"asks": [{"price": "1", "amount": "1"}]},
        payload | {"bids": None},
    ):
        with pytest.raises(VenueError):
            BITSO.decode_book("diff-orders", INST, json.dumps({"success": True, "payload": wrong}))
    refused = '{"success":false,"error":{"code":"0301","message":"Unknown OrderBook xyz"}}'
    with pytest.raises(VenueError, match="Unknown OrderBook"):
        BITSO.decode_book("diff-orders", INST, refused)


def test_urls_of_books() -> None:
    path = BITSO.book_path("diff-orders", INST)
    assert path == "/v3/order_book?book=btc_mxn&aggregate=false"
    assert BITSO.book_asked("https://api.bitso.com" + path) == BookAsked(INST, None)
    assert BITSO.book_asked("https://api.bitso.com/v3/order_book?book=btc_mxn") is None
    assert BITSO.book_asked("https://api.bitso.com/v3/ticker?book=btc_mxn&aggregate=false") is None


def test_the_list_of_books() -> None:
    row = {"book": INST, "minimum_amount": ".003", "maximum_amount": "1000.00", "tick_size": "10"}
    (listed,) = BITSO.decode_instruments(json.dumps({"success": True, "payload": [row]}))
    assert (listed.inst, listed.symbol, listed.base, listed.quote) == (INST, "BTC/MXN", "BTC", "MXN")
    assert (listed.market, listed.size_unit, listed.tick, listed.lot, listed.kind) == ("spot", "base", "10", None, None)
    assert listed.raw == row
    with pytest.raises(VenueError):
        BITSO.decode_instruments('{"success":true,"payload":[{"tick_size":"1"}]}')


def test_books_of_a_simulated_exchange_are_true_and_a_lost_message_is_a_loss() -> None:
    memory = InMemory("bitso", "diff-orders", [INST, "eth_mxn"], faults="drop@20s/btc_mxn")
    memory.run(60)
    levels = [line for line in memory.lines if line.spec.dataset == "l2_spot"]
    assert len(levels) > 50
    assert all(memory.is_true(line, 400) for line in levels)
    assert memory.said("gap") == [(INST, "sequence")]
    assert memory.said("live") == [(INST, None), ("eth_mxn", None), (INST, "sequence")]
