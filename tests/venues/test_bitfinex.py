"""The Bitfinex decoder: any bytes give events or a VenueError; known frames give what documents and recordings say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.books import Settings
from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import (
    BookPush,
    Event,
    Numbered,
    Other,
    Push,
    Refused,
    Reopen,
    Row,
    Say,
    Subscribed,
    Unsubscribed,
)
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.rows import are_rows
from l2_exporter.venues.bitfinex import CHANNELS, Bitfinex
from l2_exporter.venues.bitfinex_link import ASKED, BitfinexConnection

BITFINEX = Bitfinex()
INST = "tBTCUSD"
BOOK = ("book", INST)
T0_MS = 1_790_134_414_850
T0 = T0_MS * 10**6
CONF = f'{{"event":"conf","status":"OK","flags":{ASKED}}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TOKENS = st.sampled_from(
    ["7", "204", "0", "1", "-1", "1.50", "7e-7", "-0.5", "1e-8", "1E400", "NaN", "9" * 99, '"7"', "null", "[]", "true"]
)
LEVELS = st.lists(TOKENS, max_size=4).map(lambda cells: f"[{','.join(cells)}]")
PAYLOADS = LEVELS | st.lists(LEVELS, max_size=3).map(lambda levels: f"[{','.join(levels)}]")
KINDS = st.sampled_from(['"hb"', '"cs"', '"te"', '"cs",12', '"te",[1,2]', "null"])
ARRAYS = st.tuples(TOKENS, PAYLOADS | KINDS, st.lists(TOKENS, max_size=3)).map(
    lambda parts: f"[{','.join([parts[0], parts[1], *parts[2]])}]"
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(["info", "conf", "subscribed", "unsubscribed", "error", "pong"]) | JSON,
        "channel": st.just("book") | JSON,
        "symbol": st.sampled_from([INST, "fUSD", "t", "\ud800"]) | JSON,
        "prec": st.just("P0") | JSON,
        "freq": st.just("F0") | JSON,
        "len": st.sampled_from(["250", "25", 100]) | JSON,
        "chanId": st.sampled_from([7, 204, "7", -1, 10**30]) | JSON,
        "code": st.sampled_from([20051, "20061", 10301, 10400]) | JSON,
        "flags": st.sampled_from([ASKED, 1 << 16, 1 << 29, -1]) | JSON,
        "status": st.just("OK") | JSON,
        "platform": JSON,
    },
)


def ack(chan: int = 7, inst: str = INST, length: str = "250", **more: str) -> str:
    """Write the confirmation of a subscription."""
    frame = {"event": "subscribed", "channel": "book", "chanId": chan, "symbol": inst, "prec": "P0", "freq": "F0"}
    return json.dumps({**frame, "len": length, **more, "pair": inst[1:]})


def connection(*heard: str, subscribed: bool = True) -> BitfinexConnection:
    """Return a connection that has heard this; its flags are granted, its book is confirmed as channel 7."""
    link = BITFINEX.connection({})
    assert isinstance(link, BitfinexConnection)
    link.opened()
    if subscribed:
        link.subscribe([BOOK])
    for text in heard or (CONF, ack()):
        link.decode(text)
    return link


def push(kind: Push, bids: list[Row], asks: list[Row], seq: int, checksum: int | None = None) -> BookPush:
    return BookPush(kind, *BOOK, bids, asks, T0, seq, None, checksum)


# ---- any bytes ------------------------------------------------------------------------------------------------------


def assert_decodes(sent: str | bytes) -> None:
    """Decode; events or a VenueError are both fine, and events hold only what a book and a file can take."""
    link = connection(CONF, ack(), ack(204, "tDOGE:USD", "100"), f"[7,[],1,{T0_MS}]")
    for frame in (sent, f"[7,[5,1,2],2,{T0_MS}]"):
        try:
            events = link.decode(frame)
        except VenueError:
            continue
        for event in events:
            assert_fit(event)


def assert_fit(event: Event) -> None:
    repr(event).encode()
    if isinstance(event, Numbered):
        assert 0 <= event.number < 1 << 63
    if isinstance(event, BookPush):
        event.inst.encode()
        assert are_rows(event.bids, 4)
        assert are_rows(event.asks, 4)
        assert event.push is not Push.CHECKSUM or (event.bids, event.asks) == ([], [])
        assert event.event_ns is None or event.event_ns > 0
        assert event.checksum is None or -(1 << 31) <= event.checksum < 1 << 31


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_or_a_venue_error(sent: str | bytes) -> None:
    assert_decodes(sent)


@given(ARRAYS | EVENTS.map(json.dumps) | JSON.map(json.dumps))
def test_any_json_gives_events_or_a_venue_error(sent: str) -> None:
    assert_decodes(sent)
    assert_decodes(sent.encode("utf-8", "surrogatepass"))


@given(st.data())
def test_real_frame_cut_or_changed_anywhere_gives_events_or_a_venue_error(data: st.DataObject) -> None:
    text = f"[7,[[0.0000011,13,271510.49],[7e-7,1,10000],[0.00000111,1,-4847.13]],17,{T0_MS}]".encode()
    place = data.draw(st.integers(0, len(text) - 1))
    assert_decodes(text[:place])
    assert_decodes(text[:place] + data.draw(st.binary(min_size=1, max_size=3)) + text[place + 1 :])


HOSTILE = [
    "\ud800",
    '{"msg":"\\ud800"}',
    "[" * 100_000,
    '{"a":' * 50_000,
    "-Infinity",
    "[7,NaN]",
    "\ufeff{}",
    "",
    "[7,[5,",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_a_venue_error(hostile: str) -> None:
    with pytest.raises(VenueError):
        connection().decode(hostile)


# ---- books ----------------------------------------------------------------------------------------------------------


def test_levels_keep_the_texts_that_were_sent_and_lose_the_sign_of_their_side() -> None:
    link = connection()
    levels = "[0.0000011,13,271510.49],[7e-7,1,10000],[0.00000111,1,-4847.13000001]"
    bids = [["0.0000011", "271510.49", "0", "13"], ["7e-7", "10000", "0", "1"]]
    asks = [["0.00000111", "4847.13000001", "0", "1"]]
    assert link.decode(f"[7,[{levels}],1,{T0_MS}]") == [Numbered(1), push(Push.SNAPSHOT, bids, asks, 1)]
    assert link.decode(f"[7,[6.6e-7,2,30.5],2,{T0_MS}]".encode()) == [
        Numbered(2),
        push(Push.DELTA, [["6.6e-7", "30.5", "0", "2"]], [], 2),
    ]


@pytest.mark.parametrize("amount", ["1", "-1", "0.5", "-3e-7"])
def test_count_zero_removes_from_the_side_that_the_amount_s_sign_names(amount: str) -> None:
    link = connection()
    link.decode(f"[7,[],1,{T0_MS}]")
    gone, none = [["7e-7", "0", "0", "0"]], list[Row]()
    sides = (none, gone) if amount.startswith("-") else (gone, none)
    assert link.decode(f"[7,[7e-7,0,{amount}],2,{T0_MS}]")[1:] == [push(Push.DELTA, *sides, 2)]


def test_empty_first_data_are_an_empty_book_and_a_heartbeat_is_nothing() -> None:
    link = connection()
    assert link.decode(f'[7,"hb",1,{T0_MS}]') == [Numbered(1), Other("heartbeat")]
    assert link.decode(f"[7,[],2,{T0_MS}]") == [Numbered(2), push(Push.SNAPSHOT, [], [], 2)]
    with pytest.raises(SchemaError) as caught:
        link.decode(f"[7,[],3,{T0_MS}]")
    assert caught.value.missing == ("payload",)


def test_a_level_before_any_snapshot_is_an_update_and_a_list_behind_it_is_the_snapshot() -> None:
    link = connection()
    level = [["5", "2", "0", "1"]]
    assert link.decode(f"[7,[5,1,2],2,{T0_MS}]") == [Numbered(2), push(Push.DELTA, level, [], 2)]
    assert link.decode(f"[7,[[5,1,2]],3,{T0_MS}]") == [Numbered(3), push(Push.SNAPSHOT, level, [], 3)]


def test_where_updates_come_in_bulk_only_the_first_list_is_a_snapshot() -> None:
    link = connection(f'{{"event":"conf","status":"OK","flags":{ASKED | 1 << 29}}}', ack())
    kinds = []
    for number, payload in enumerate(("[[5,1,2],[6,1,-2]]", "[[5,0,1],[6,3,-4]]", "[4,1,2]"), start=1):
        (_, event) = link.decode(f"[7,{payload},{number},{T0_MS}]")
        assert isinstance(event, BookPush)
        kinds.append(event.push)
    assert kinds == [Push.SNAPSHOT, Push.DELTA, Push.DELTA]


def test_more_elements_at_the_end_of_arrays_are_no_fault() -> None:
    link = connection()
    snapshot = push(Push.SNAPSHOT, [["5", "2", "0", "1"]], [], 1)
    assert link.decode(f'[7,[[5,1,2,"new",[9]]],1,{T0_MS},"new",{{}}]') == [Numbered(1), snapshot]
    assert link.decode(f'[7,"cs",-77,2,{T0_MS},null]') == [Numbered(2), push(Push.CHECKSUM, [], [], 2, -77)]
    assert link.decode(f'[7,"hb",3,{T0_MS},[]]') == [Numbered(3), Other("heartbeat")]


@pytest.mark.parametrize(
    ("frame", "missing"),
    [
        ("[7,[5,1,2],4]", ("timestamp",)),
        ("[7,[5,1,2]]", ("seq", "timestamp")),
        (f'[7,[5,1,2],"x",{T0_MS}]', ("seq",)),
        (f"[7,[5,1],4,{T0_MS}]", ("payload",)),
        (f"[7,[5,1,0],4,{T0_MS}]", ("payload",)),
        (f"[7,[5,-1,2],4,{T0_MS}]", ("payload",)),
        (f"[7,[0,1,2],4,{T0_MS}]", ("payload",)),
        (f"[7,[[5,0,1]],4,{T0_MS}]", ("payload",)),
        (f"[7,5,1,2,4,{T0_MS}]", ("payload",)),
        (f"[7,null,4,{T0_MS}]", ("payload",)),
        (f'[7,"cs",null,4,{T0_MS}]', ("checksum",)),
        (f'[7,"cs",2147483648,4,{T0_MS}]', ("checksum",)),
        ('[7,"cs",12]', ("seq", "timestamp")),
    ],
)
def test_schema_error_names_channel_instrument_and_what_is_missing(frame: str, missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        connection().decode(frame)
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == (*BOOK, missing)


def test_number_of_a_rejected_array_is_told_with_the_next_one() -> None:
    link = connection()
    link.decode(f"[7,[],1,{T0_MS}]")
    for frame in (f"[7,[5,1],2,{T0_MS}]", f"[7,[5,1],3,{T0_MS}]", f"[7,[5,1],2,{T0_MS}]"):
        with pytest.raises(SchemaError):
            link.decode(frame)
    assert link.decode(f'[7,"hb",4,{T0_MS}]') == [Numbered(2), Numbered(3), Numbered(4), Other("heartbeat")]
    assert link.decode(f'[7,"hb",5,{T0_MS}]') == [Numbered(5), Other("heartbeat")]


def test_rejected_array_loses_its_own_book_only() -> None:
    feed = Feed(BITFINEX, Settings(), NoHistory())
    texts = [CONF, ack(7), ack(8, "tDOGE:USD"), f"[7,[[5,1,2]],1,{T0_MS}]", f"[8,[[5,1,2]],2,{T0_MS}]"]
    for text in [*texts, f"[7,[5,1],3,{T0_MS}]", f"[8,[4,1,2],4,{T0_MS}]"]:
        feed.frame_received("c", text, Stamp(None, None))
    standings = {inst: keeper.standing.value for (_, inst), keeper in feed.keepers.items()}
    assert standings == {INST: "seeding", "tDOGE:USD": "live"}


# ---- flags ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "frame", "missing"),
    [
        (1 << 16, "[7,[[5,1,2]],1]", ("timestamp",)),
        (1 << 15, f"[7,[[5,1,2]],{T0_MS}]", ("seq",)),
        (0, "[7,[[5,1,2]]]", ("seq", "timestamp")),
        (1 << 17, "[7,[[5,1,2]]]", ("seq", "timestamp")),
    ],
)
def test_who_subscribes_insists_on_the_flags_that_were_asked_for(
    granted: int, frame: str, missing: tuple[str, ...]
) -> None:
    link = connection(ack())
    (refused,) = link.decode(f'{{"event":"conf","status":"OK","flags":{granted}}}')
    assert refused == Refused("conf", f"flags {granted} instead of 229376")
    with pytest.raises(SchemaError) as caught:
        link.decode(frame)
    assert caught.value.missing == missing


@pytest.mark.parametrize(
    "text", ['{"event":"conf","status":"FAILED","flags":229376}', '{"event":"conf","status":"OK"}']
)
def test_flags_that_are_not_granted_are_said(text: str) -> None:
    (refused,) = connection().decode(text)
    assert isinstance(refused, Refused)
    assert refused.code == "conf"


@pytest.mark.parametrize(
    ("flags", "tail", "seq", "event_ns"),
    [
        (1 << 16, ",17", 17, None),
        (1 << 15, f",{T0_MS}", None, T0),
        (1 << 15 | 1 << 16, f",17,{T0_MS}", 17, T0),
        (0, "", None, None),
        (None, "", None, None),
        (None, ",17", 17, None),
        (None, f",{T0_MS}", None, T0),
        (None, f",17,{T0_MS}", 17, T0),
        (1 << 15 | 1 << 16, ",17,0", 17, None),
    ],
)
def test_a_recording_has_what_its_client_was_granted_or_what_it_looks_like(
    flags: int | None, tail: str, seq: int | None, event_ns: int | None
) -> None:
    conf = [] if flags is None else [f'{{"event":"conf","status":"OK","flags":{flags}}}']
    link = connection(*conf, ack(), subscribed=False)
    *numbered, event = link.decode(f"[7,[[5,1,2]]{tail}]")
    assert isinstance(event, BookPush)
    assert (event.seq, event.event_ns) == (seq, event_ns)
    assert numbered == ([] if seq is None else [Numbered(seq)])


def test_a_recording_that_lacks_what_was_granted_is_odd() -> None:
    link = connection(f'{{"event":"conf","status":"OK","flags":{1 << 16}}}', ack(), subscribed=False)
    with pytest.raises(SchemaError) as caught:
        link.decode("[7,[[5,1,2]]]")
    assert caught.value.missing == ("seq",)


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
        ack(9, prec="R0"),
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
