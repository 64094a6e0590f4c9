"""Data of Bitfinex: any bytes give events or a VenueError; known arrays give what documents and recordings say."""

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
    Row,
)
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.rows import are_rows
from l2_exporter.venues.bitfinex_link import ASKED
from tests.bitfinex_frames import BITFINEX, BOOK, CONF, INST, T0, T0_MS, ack, connection, push

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
