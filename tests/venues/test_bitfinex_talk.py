"""What is said on a Bitfinex connection besides data: subscriptions and their ends, errors, announcements, lists."""

import json

import pytest

from l2_exporter.core.errors import VenueError
from l2_exporter.core.events import (
    BookPush,
    Numbered,
    Other,
    Push,
    Refused,
    Reopen,
    Say,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.venues.bitfinex import CHANNELS
from tests.bitfinex_frames import BITFINEX, BOOK, CONF, INST, T0_MS, ack, connection, push

# ---- subscriptions --------------------------------------------------------------------------------------------------

SUBSCRIBE = {"event": "subscribe", "channel": "book", "symbol": INST, "prec": "P0", "freq": "F0", "len": "250"}


def test_flags_are_asked_for_first_and_each_book_in_a_frame_of_its_own() -> None:
    link = BITFINEX.connection({})
    assert link.opened() == ['{"event":"conf","flags":229376}']
    texts = link.subscribe([BOOK, ("book-100", "tDOGE:USD")])
    assert [json.loads(text) for text in texts] == [SUBSCRIBE, SUBSCRIBE | {"symbol": "tDOGE:USD", "len": "100"}]


def test_a_book_is_subscribed_anew_once_its_end_is_confirmed() -> None:
    link = connection()
    link.decode(f"[7,[[5,1,2]],1,{T0_MS}]")
    assert link.resubscribe(*BOOK) == ['{"event":"unsubscribe","chanId":7}']
    (_, event) = link.decode(f"[7,[5,1,3],2,{T0_MS}]")
    assert isinstance(event, BookPush)
    ended, again = link.decode('{"event":"unsubscribed","status":"OK","chanId":7}')
    assert ended == Unsubscribed(*BOOK)
    assert isinstance(again, Say)
    assert json.loads(again.text) == SUBSCRIBE
    assert link.decode(f"[7,[5,1,4],3,{T0_MS}]") == [Numbered(3), Other("data of another channel")]
    assert [json.loads(text) for text in link.resubscribe(*BOOK)] == [SUBSCRIBE]
    assert link.decode(ack(8)) == [Subscribed(*BOOK)]
    (_, event) = link.decode(f"[8,[],4,{T0_MS}]")
    assert isinstance(event, BookPush)
    assert event.push is Push.SNAPSHOT
    assert link.resubscribe(*BOOK) == ['{"event":"unsubscribe","chanId":8}']


def test_an_end_that_nobody_asked_for_is_only_noted() -> None:
    link = connection()
    assert link.decode('{"event":"unsubscribed","status":"OK","chanId":7}') == [Unsubscribed(*BOOK)]
    assert link.decode('{"event":"unsubscribed","status":"OK","chanId":7}') == [Other("end of another channel")]


def test_an_end_that_is_refused_because_there_was_none_is_one() -> None:
    link = connection()
    link.resubscribe(*BOOK)
    refusal = '{"chanId":7,"event":"error","msg":"unsubscribe: invalid","code":10400}'
    refused, again = link.decode(refusal)
    assert refused == Refused("10400", "unsubscribe: invalid")
    assert isinstance(again, Say)
    assert json.loads(again.text) == SUBSCRIBE
    assert link.decode(refusal) == [Refused("10400", "unsubscribe: invalid")]


def test_a_duplicate_names_the_channel_that_must_end_first() -> None:
    """Its confirmation may still come, as seen on the wire, or have been unreadable."""
    link = connection(CONF)
    assert [json.loads(text) for text in link.resubscribe(*BOOK)] == [SUBSCRIBE]
    duplicate = json.dumps(SUBSCRIBE | {"event": "error", "msg": "subscribe: dup", "code": 10301, "chanId": 7})
    assert link.decode(duplicate) == [Refused("10301", f"subscribe: dup {INST}")]
    assert link.resubscribe(*BOOK) == ['{"event":"unsubscribe","chanId":7}']
    ended, again = link.decode('{"event":"unsubscribed","status":"OK","chanId":7}')
    assert ended == Unsubscribed(*BOOK)
    assert isinstance(again, Say)
    assert json.loads(again.text) == SUBSCRIBE


@pytest.mark.parametrize(
    "other",
    [
        ack(9, prec="P2"),
        ack(9, prec="P1"),
        ack(9, freq="F1"),
        ack(9, length="1"),
        ack(9, "fUSD"),
        '{"event":"subscribed","channel":"ticker","chanId":9,"symbol":"tBTCUSD","pair":"BTCUSD"}',
    ],
)
def test_data_of_other_subscriptions_are_counted_and_left_alone(other: str) -> None:
    link = connection()
    assert link.decode(other) == [Other("subscription of another channel")]
    for number, payload in enumerate(("[5,1,2]", "[[5,1,2]]", '"te",[1,2,3]', '"hb"', '"cs",12'), start=1):
        assert link.decode(f"[9,{payload},{number},{T0_MS}]") == [Numbered(number), Other("data of another channel")]


@pytest.mark.parametrize("length", [str(channel.depth) for channel in CHANNELS.values()])
def test_a_book_is_of_the_length_that_was_confirmed(length: str) -> None:
    link = connection(CONF)
    (confirmed,) = link.decode(ack(5, length=length))
    assert isinstance(confirmed, Subscribed)
    assert CHANNELS[confirmed.channel].depth == int(length)
    (_, event) = link.decode(f"[5,[],1,{T0_MS}]")
    assert isinstance(event, BookPush)
    assert event.channel == confirmed.channel


def test_late_array_of_an_ended_channel_counts_as_its_book_s_and_no_other() -> None:
    """One that a later one has overtaken is not used, whatever it says: the feed counts it as a repetition."""
    link = connection()
    link.decode(f"[7,[[5,1,2]],1,{T0_MS}]")
    link.decode(f'[7,"hb",5,{T0_MS}]')
    link.decode('{"event":"unsubscribed","status":"OK","chanId":7}')
    late = push(Push.DELTA, [["5", "3", "0", "1"]], [], 4)
    assert link.decode(f"[7,[5,1,3],4,{T0_MS}]") == [Numbered(4), late]


# ---- other frames ---------------------------------------------------------------------------------------------------

INFO = '{"event":"info","version":2,"serverId":"083bd8d4-aca7-4690-a573-eabfc8103de8","platform":{"status":%d}}'
CONTROL = [
    (INFO % 1, Other("info")),
    (INFO % 0, Other("maintenance")),
    (
        '{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}',
        Reopen("20051", "Stopping. Please try to reconnect"),
    ),
    ('{"event":"info","code":"20051"}', Reopen("20051", "the server stops")),
    ('{"event":"info","code":20060,"msg":"Entering in Maintenance mode"}', Other("maintenance")),
    ('{"event":"info","code":20061,"msg":"Maintenance ended"}', Reopen("20061", "Maintenance ended")),
    ('{"event":"info","code":29999,"msg":"news"}', Other("info", known=False)),
    (CONF, Other("conf")),
    ('{"event":"pong","ts":1511545528111,"cid":1}', Other("event 'pong'")),
    (
        '{"event":"error","msg":"symbol: invalid","code":10300,"channel":"book","symbol":"tNOPE"}',
        Refused("10300", "symbol: invalid tNOPE"),
    ),
    ('{"event":"error","msg":"subscribe: limit","code":10305}', Refused("10305", "subscribe: limit")),
    ('{"event":"error"}', Refused("", "")),
    ('{"event":"subscribed","channel":"book"}', Other("subscription without a number", known=False)),
    ('{"event":"surprise"}', Other("event 'surprise'", known=False)),
    ("{}", Other("event None", known=False)),
    ("17", Other("neither an array nor an object", known=False)),
    ("[]", Other("array without a channel", known=False)),
    ("[null,[5,1,2],1]", Other("array without a channel", known=False)),
]


@pytest.mark.parametrize(("text", "event"), CONTROL)
def test_control_frames(text: str, event: object) -> None:
    assert connection().decode(text) == [event]


def test_data_of_a_channel_nobody_knows_are_numbered_and_new() -> None:
    assert connection().decode(f"[99,[5,1,2],1,{T0_MS}]") == [
        Numbered(1),
        Other("data of another channel", known=False),
    ]
    assert connection().decode(f'[7,"zz",1,{T0_MS}]') == [Numbered(1), Other("'zz' of a book", known=False)]


# ---- checksums, REST, listing ---------------------------------------------------------------------------------------


def test_checksum_takes_sides_by_turns_and_amounts_of_asks_below_zero() -> None:
    """The form of `1234:0.5:2234:-0.25:1235:1:2235:-2` (docs, "WebSocket checksum"), of which the sum is known."""
    bids, asks = (
        [["1234", "0.5", "0", "1"], ["1235", "1", "0", "1"]],
        [["2234", "0.25", "0", "1"], ["2235", "2", "0", "1"]],
    )
    assert BITFINEX.checksum(bids, asks) == 1447967471
    assert BITFINEX.checksum([], []) == 0
    many = [[str(1000 - place), "1", "0", "1"] for place in range(30)]
    assert BITFINEX.checksum(many, asks) == BITFINEX.checksum(many[:25], asks) != BITFINEX.checksum(many[:24], asks)


def test_a_checksum_of_zero_is_none() -> None:
    assert [BITFINEX.checksum_given(checksum) for checksum in (None, 0, 1, -1)] == [False, False, True, True]


def test_rest_books_cannot_be_joined() -> None:
    assert BITFINEX.book_path("book", INST) is None
    assert BITFINEX.book_asked("https://api-pub.bitfinex.com/v2/book/tBTCUSD/P0?len=100") is None
    with pytest.raises(VenueError, match=INST):
        BITFINEX.decode_book("book", INST, "[]")


@pytest.mark.parametrize(
    ("inst", "market"), [("tBTCUSD", "spot"), ("tDOGE:USD", "spot"), ("tBTCF0:USTF0", "perp"), ("tETHF0:BTCF0", "perp")]
)
def test_market_follows_from_the_id(inst: str, market: str) -> None:
    assert BITFINEX.market_of(inst) == market


def test_pairs_are_described_by_their_names_alone() -> None:
    assert BITFINEX.instrument_paths(["spot", "futures", "perp"]) == [
        "/v2/conf/pub:list:pair:exchange",
        "/v2/conf/pub:list:pair:futures",
    ]
    listed = BITFINEX.decode_instruments('[["BTCUSD","DOGE:USD"],["BTCF0:USTF0","ETHF0:BTCF0"]]')
    found = [
        (one.inst, one.symbol, one.kind, one.size_unit, one.contract_value, one.contract_value_ccy) for one in listed
    ]
    # A derivative is worth one of its base; those settled in bitcoin are quoted in it too (survey of September 2026).
    assert found == [
        ("tBTCUSD", "BTC/USD", None, "base", None, None),
        ("tDOGE:USD", "DOGE/USD", None, "base", None, None),
        ("tBTCF0:USTF0", "BTC/UST:UST", "linear", "base", "1", "BTC"),
        ("tETHF0:BTCF0", "ETH/BTC:BTC", "linear", "base", "1", "ETH"),
    ]
    assert {(one.tick, one.lot, one.state) for one in listed} == {(None, "0.00000001", None)}


@pytest.mark.parametrize("body", ['["error",10020,"symbol: invalid"]', "{}", "[]", "[[1]]", '[[""]]', "<html>"])
def test_other_answers_are_no_lists(body: str) -> None:
    with pytest.raises(VenueError):
        BITFINEX.decode_instruments(body)
