"""Coinbase's channel `full`: recorded frames give the right events, any bytes a VenueError; signed requests."""

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import ConfigError, SchemaError, VenueError
from l2_exporter.core.events import BookPush, Change, OrderChange, Other, Push, Subscribed
from l2_exporter.core.keys import Keys
from l2_exporter.core.venue import BookAsked, Connection
from l2_exporter.simulator.dialects.coinbase_full import TEST_KEY, TEST_PASSPHRASE, TEST_SECRET
from l2_exporter.venues.coinbase import Coinbase
from tests.recordings import load, needs_recordings

COINBASE = Coinbase()
INST = "BTC-USD"
MS = 1_000_000
TIME = "2014-11-07T08:19:27.028459Z"
TIME_NS = 1_415_348_367_028_459_000
RECORDING = "coinbase/gdax-20170625-full-2products.jsonl.gz"
KEYS = Keys({"key": TEST_KEY, "secret": TEST_SECRET, "passphrase": TEST_PASSPHRASE})
MAKER, TAKER = "ac928c66-ca53-498f-9c13-a110027a60e8", "132fb6ae-456b-4654-b4e0-d681ac05cea1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.sampled_from(["1", "0", "NaN", "-1", "9" * 99, "", "buy", "sell"]) | JSON
FIELDS = (
    "side",
    "price",
    "size",
    "remaining_size",
    "new_size",
    "new_price",
    "order_id",
    "maker_order_id",
    "reason",
    "time",
)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["received", "open", "match", "change", "done", "activate", "noop", "heartbeat"]) | JSON},
    optional={"product_id": st.just(INST) | JSON, "sequence": st.integers(0, 9) | JSON} | dict.fromkeys(FIELDS, TEXTS),
)


def connection() -> Connection:
    link = COINBASE.connection({})
    link.subscribe([("full", INST)])
    return link


def message(kind: str, **members: object) -> str:
    return json.dumps({"type": kind, "time": TIME, "product_id": INST, "sequence": 50, "side": "sell"} | members)


def told(kind: str, **members: object) -> OrderChange:
    """Return what a message says of an order."""
    (event,) = connection().decode(message(kind, **members))
    assert isinstance(event, BookPush)
    assert (event.push, event.channel, event.inst, event.bids, event.asks) == (Push.DELTA, "full", INST, [], [])
    assert (event.seq, event.prev_seq, event.event_ns) == (50, 49, TIME_NS)
    (change,) = event.changes
    return change


@given(st.text() | st.binary() | MESSAGES.map(json.dumps))
def test_any_bytes_give_events_or_a_venue_error(data: str | bytes) -> None:
    for link in (connection(), COINBASE.connection({})):
        with contextlib.suppress(VenueError):
            link.decode(data)


@given(
    st.text()
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("bids", "asks"), st.lists(st.lists(TEXTS, max_size=4)) | JSON)
        | {"sequence": st.integers() | JSON, "time": TEXTS},
    ).map(json.dumps)
)
def test_any_answer_gives_a_book_or_a_venue_error(body: str) -> None:
    with contextlib.suppress(VenueError):
        COINBASE.decode_book("full", INST, body)


def of_2017(frame: Mapping[str, str]) -> tuple[object, ...]:
    """Read a recorded frame by the documents: (product, number, kind, order, side, price, what is left, reason)."""
    kind, number = frame["type"], frame["sequence"]
    if kind == "received":
        return frame["product_id"], number
    left, reason = frame["remaining_size"], frame.get("reason")
    what = Change.SET if kind == "open" else Change.DONE
    return frame["product_id"], number, what, frame["order_id"], frame["side"], frame["price"], left, reason


@needs_recordings
def test_recorded_frames_give_the_right_events() -> None:
    link, kinds, last = COINBASE.connection({}), [], dict[str, int]()
    for line in load(RECORDING):
        frame = json.loads(line["frame"])
        (event,) = link.decode(line["frame"])
        kinds.append(frame["type"])
        if frame["type"] == "heartbeat":
            assert event == Other("type 'heartbeat'")
            continue
        assert isinstance(event, BookPush)
        assert last.get(event.inst) in (None, event.prev_seq)
        last[event.inst] = event.seq or 0
        read: tuple[object, ...] = (event.inst, event.seq)
        for kind, order, side, price, size, left, reason, *_ in event.changes:
            read = (*read, kind, order, side, price, left if size is None else size, reason)
        assert read == of_2017(frame)
    assert {kind: kinds.count(kind) for kind in kinds} == {"heartbeat": 1, "received": 6, "open": 6, "done": 7}
    assert last == {"ETH-USD": 617133261, "BTC-USD": 3419023022}


def test_the_documents_examples() -> None:
    assert told("open", order_id=MAKER, price="200.2", remaining_size="1.00") == OrderChange(
        Change.SET, MAKER, "sell", "200.2", "1.00"
    )
    match = {"trade_id": 10, "maker_order_id": MAKER, "taker_order_id": TAKER, "size": "5.23512", "price": "400.23"}
    assert told("match", **match) == OrderChange(
        Change.MATCH, MAKER, "sell", "400.23", "5.23512", maker=MAKER, taker=TAKER
    )
    change = {"reason": "STP", "order_id": MAKER, "old_size": "12.234412", "new_size": "5.23512", "price": "400.23"}
    assert told("change", **change) == OrderChange(Change.CHANGE, MAKER, "sell", "400.23", "5.23512", reason="STP")
    moved = {"reason": "modify_order", "old_price": "4", "new_price": "5", "old_size": "1", "new_size": "2"}
    assert told("change", order_id=MAKER, **moved) == OrderChange(
        Change.CHANGE, MAKER, "sell", "5", "2", reason="modify_order"
    )
    filled = told("done", order_id=MAKER, price="200.2", reason="filled", remaining_size="0")
    assert filled == OrderChange(Change.DONE, MAKER, "sell", "200.2", remaining="0", reason="filled")
    # A market order is done without price and size.
    assert told("done", order_id=TAKER, reason="filled") == OrderChange(Change.DONE, TAKER, "sell", reason="filled")


@pytest.mark.parametrize("kind", ["received", "activate", "noop"])
def test_what_says_nothing_of_the_book_counts(kind: str) -> None:
    (event,) = connection().decode(message(kind))
    assert isinstance(event, BookPush)
    assert (event.seq, event.prev_seq, event.changes) == (50, 49, ())
    assert not event.is_idle


def test_a_change_of_funds_and_what_has_no_number_of_full_change_nothing() -> None:
    (event,) = connection().decode(message("change", order_id=TAKER, old_funds="9", new_funds="8"))
    assert isinstance(event, BookPush)
    assert event.changes == ()
    frame = json.loads(message("activate"))
    del frame["sequence"]
    assert connection().decode(json.dumps(frame)) == [Other("type 'activate'")]
    for kind in ("heartbeat", "last_match", "ticker"):
        assert connection().decode(message(kind)) == [Other(f"type '{kind}'")]


@pytest.mark.parametrize(
    ("kind", "members", "missing"),
    [
        ("open", {"order_id": MAKER, "price": "1"}, ("remaining_size",)),
        ("open", {"order_id": MAKER, "price": "0", "remaining_size": "1"}, ("price",)),
        ("open", {"order_id": MAKER, "price": "", "remaining_size": "1"}, ("price",)),
        ("open", {"price": "1", "remaining_size": "1", "side": "both"}, ("side", "order_id")),
        ("match", {"maker_order_id": MAKER, "taker_order_id": "", "size": "1"}, ("taker_order_id",)),
        ("match", {"maker_order_id": MAKER, "taker_order_id": TAKER, "size": "-1"}, ("size",)),
        ("done", {"order_id": MAKER, "remaining_size": None}, ("remaining_size",)),
        ("change", {"order_id": MAKER, "new_size": 1}, ("new_size",)),
        ("received", {"sequence": "50"}, ("sequence",)),
        ("received", {"product_id": None}, ("product_id",)),
    ],
)
def test_what_lacks_a_promise_is_a_schema_error(kind: str, members: dict[str, object], missing: tuple[str]) -> None:
    with pytest.raises(SchemaError) as raised:
        connection().decode(message(kind, **members))
    assert (raised.value.missing, raised.value.channel) == (missing, "full")


def test_a_time_of_the_year_one_is_none() -> None:
    (event,) = connection().decode(message("received", time="0001-01-01T00:00:00.000000Z"))
    assert isinstance(event, BookPush)
    assert event.event_ns is None


def test_acknowledgements() -> None:
    ack = {"type": "subscriptions", "channels": [{"name": "full", "product_ids": [INST]}]}
    assert connection().decode(json.dumps(ack)) == [Subscribed("full", INST)]


def test_the_rest_book_of_orders() -> None:
    book = {
        "bids": [["6247.58", "6.3578146", MAKER]],
        "asks": [],
        "sequence": 13051505638,
        "auction_mode": False,
        "time": TIME,
    }
    read = COINBASE.decode_book("full", INST, json.dumps(book))
    assert (read.push, read.seq, read.event_ns) == (Push.SNAPSHOT, 13051505638, TIME_NS)
    assert (read.bids, read.asks) == ([["6247.58", "6.3578146", MAKER]], [])
    levels = book | {"bids": [["6247.58", "6.3578146", 2]]}
    for wrong in (levels, book | {"sequence": "1"}, book | {"asks": None}, {"message": "NotFound"}, []):
        with pytest.raises(VenueError):
            COINBASE.decode_book("full", INST, json.dumps(wrong))
    with pytest.raises(VenueError, match="cannot be joined"):
        COINBASE.decode_book("level2_batch", INST, json.dumps(book))


def test_urls_of_books() -> None:
    path = COINBASE.book_path("full", INST)
    assert path == "/products/BTC-USD/book?level=3"
    assert COINBASE.book_asked(f"https://api.exchange.coinbase.com{path}") == BookAsked(INST, None)
    assert COINBASE.book_asked("https://api.exchange.coinbase.com/products/BTC-USD/book?level=2") is None
    assert COINBASE.book_path("level2_batch", INST) is None


def test_requests_are_signed_as_the_documents_say() -> None:
    (text,) = COINBASE.connection({}).subscribe([("full", INST)])
    request = json.loads(COINBASE.signed(text, KEYS, TIME_NS))
    assert {**json.loads(text), "key": TEST_KEY, "passphrase": TEST_PASSPHRASE, "timestamp": "1415348367"} == {
        name: value for name, value in request.items() if name != "signature"
    }
    secret = base64.b64decode(TEST_SECRET)
    digest = hmac.new(secret, b"1415348367GET/users/self/verify", hashlib.sha256).digest()
    assert request["signature"] == base64.b64encode(digest).decode()
    headers = COINBASE.headers("/products/BTC-USD/book?level=3", KEYS, TIME_NS)
    digest = hmac.new(secret, b"1415348367GET/products/BTC-USD/book?level=3", hashlib.sha256).digest()
    assert headers["CB-ACCESS-SIGN"] == base64.b64encode(digest).decode()
    assert (headers["CB-ACCESS-KEY"], headers["CB-ACCESS-TIMESTAMP"]) == (TEST_KEY, "1415348367")


def test_other_requests_stay_as_they_are_and_wrong_secrets_are_not_shown() -> None:
    (text,) = COINBASE.connection({}).subscribe([("level2_batch", INST)])
    assert COINBASE.signed(text, KEYS, TIME_NS) == text
    wrong = Keys({"key": "k", "secret": "no base64!", "passphrase": "p"})
    with pytest.raises(ConfigError) as raised:
        COINBASE.headers("/", wrong, TIME_NS)
    assert "no base64!" not in f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"
    assert repr(KEYS) == "Keys(key, secret, passphrase)"
