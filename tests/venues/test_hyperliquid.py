"""Hyperliquid's frames as events, its lists as metadata, and what it is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Other, Push, Refused, Subscribed, Unsubscribed
from l2_exporter.core.venue import Post
from l2_exporter.venues.hyperliquid import Hyperliquid
from l2_exporter.venues.registry import venue_of_url

VENUE = Hyperliquid()
# Captured on 24 September 2026, cut to two levels a side.
BOOK: dict[str, Any] = {
    "channel": "l2Book",
    "data": {
        "coin": "kPEPE",
        "time": 1790232236546,
        "levels": [
            [{"px": "0.004411", "sz": "2058973.0", "n": 5}, {"px": "0.00441", "sz": "7447326.0", "n": 10}],
            [{"px": "0.004413", "sz": "5803647.0", "n": 11}, {"px": "0.004414", "sz": "7003446.0", "n": 9}],
        ],
    },
}
FULL = {"type": "l2Book", "coin": "SOL", "nSigFigs": None, "mantissa": None, "fast": False}


def decoded(message: object) -> list[Any]:
    return VENUE.decode(json.dumps(message))


def book(**changes: Any) -> dict[str, Any]:
    return {**BOOK, "data": {**BOOK["data"], **changes}}


def level(**changes: Any) -> dict[str, Any]:
    return book(levels=[[{"px": "1.5", "sz": "2", "n": 3, **changes}], []])


def test_every_push_is_a_whole_book_with_orders_in_the_fourth_slot() -> None:
    assert decoded(BOOK) == [
        BookPush(
            Push.WHOLE,
            "l2Book",
            "kPEPE",
            [["0.004411", "2058973.0", "0", "5"], ["0.00441", "7447326.0", "0", "10"]],
            [["0.004413", "5803647.0", "0", "11"], ["0.004414", "7003446.0", "0", "9"]],
            1790232236546 * 10**6,
            None,
            None,
            None,
        )
    ]


def test_delisted_coin_has_empty_books() -> None:
    (push,) = decoded({"channel": "l2Book", "data": {"coin": "MATIC", "time": 1790232237073, "levels": [[], []]}})
    assert (push.inst, push.bids, push.asks) == ("MATIC", [], [])


def test_book_of_five_levels_is_not_this_book_and_says_so() -> None:
    assert decoded(book(fast=True)) == [Other("push of the fast book")]
    assert decoded(book(fast=False)) == decoded(BOOK)


def test_time_that_is_none_is_told_apart_from_no_time() -> None:
    assert [decoded(book(time=time))[0].event_ns for time in (0, -1, "x", None, 10**20)] == [None] * 5
    assert decoded(book(time="1790232236546"))[0].event_ns == 1790232236546 * 10**6


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (book(coin=None), ("coin",)),
        (book(coin=""), ("coin",)),
        (book(levels=None), ("levels",)),
        (book(levels=[[]]), ("levels",)),
        (book(levels=[[], [], []]), ("levels",)),
        (book(levels=[[], {}]), ("levels",)),
        (book(levels=[[["1", "2"]], []]), ("levels",)),
        (level(px=1.5), ("levels",)),
        (level(px="0"), ("levels",)),
        (level(px=None), ("levels",)),
        (level(sz="-1"), ("levels",)),
        (level(n="3"), ("levels",)),
        (level(n=True), ("levels",)),
        (level(n=-1), ("levels",)),
        (level(n=1 << 63), ("levels",)),
        ({"channel": "l2Book", "data": {"coin": "BTC", "levels": [[], []]}}, ("time",)),
        ({"channel": "l2Book", "data": []}, ("coin", "levels", "time")),
        ({"channel": "l2Book"}, ("coin", "levels", "time")),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(message: dict[str, Any], missing: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    inst = None if "coin" in missing else message["data"]["coin"]
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == ("l2Book", inst, missing)


def test_an_unknown_field_is_no_fault() -> None:
    assert decoded({**level(orders=[]), "seq": 1})[0].bids == [["1.5", "2", "0", "3"]]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": FULL}},
            Subscribed("l2Book", "SOL"),
        ),
        (
            {"channel": "subscriptionResponse", "data": {"method": "unsubscribe", "subscription": FULL}},
            Unsubscribed("l2Book", "SOL"),
        ),
        (
            {
                "channel": "subscriptionResponse",
                "data": {"method": "subscribe", "subscription": {"type": "bbo", "coin": "SOL"}},
            },
            Other("answer to 'subscribe'"),
        ),
        ({"channel": "subscriptionResponse", "data": []}, Other("answer to None", known=False)),
        (
            {"channel": "error", "data": f"Already subscribed: {json.dumps(FULL)}"},
            Refused("", f"Already subscribed: {json.dumps(FULL)}"),
        ),
        ({"channel": "error", "data": None}, Refused("", "None")),
        ({"channel": "pong"}, Other("push of 'pong'")),
        ({"channel": "trades", "data": []}, Other("push of 'trades'")),
        ([], Other("push of None", known=False)),
        ({"surprise": 1}, Other("push of None", known=False)),
    ],
)
def test_what_else_comes(message: object, event: object) -> None:
    assert decoded(message) == [event]


def test_greeting_is_no_json_and_no_fault() -> None:
    for frame in ("Websocket connection established.", b"Websocket connection established."):
        assert VENUE.decode(frame) == [Other("greeting")]
    with pytest.raises(VenueError, match="not JSON"):
        VENUE.decode("Websocket connection lost.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1.5", "0", "-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["px", "sz", "n", "coin", "levels", "time", "name", "tokens", "index"]), inner
        )
    ),
    max_leaves=12,
)


@given(frame=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_answered(frame: bytes | str) -> None:
    try:
        VENUE.decode(frame)
    except VenueError:
        return


@given(channel=st.sampled_from(["l2Book", "subscriptionResponse", "error", "x"]), data=JSON, rows=JSON, tokens=JSON)
def test_any_fields_are_answered(channel: str, data: object, rows: object, tokens: object) -> None:
    for frame in ({"channel": channel, "data": data}, {"universe": rows, "tokens": tokens}, {"universe": rows}, rows):
        for read in (VENUE.decode, VENUE.decode_instruments, VENUE.further_instrument_paths):
            try:
                read(json.dumps(frame))
            except VenueError:
                continue


def test_depth_of_nesting_is_no_way_in() -> None:
    for read in (VENUE.decode, VENUE.decode_instruments, VENUE.further_instrument_paths):
        with pytest.raises(VenueError):
            read("[" * 100_000)


@pytest.mark.parametrize(
    ("inst", "market"),
    [
        ("BTC", "perp"),
        ("kPEPE", "perp"),
        ("xyz:SP500", "perp"),
        ("PURR/USDC", "spot"),
        ("@107", "spot"),
        ("#5160", "spot"),
    ],
)
def test_the_market_follows_from_the_id(inst: str, market: str) -> None:
    assert VENUE.market_of(inst) == market


# "Info endpoint / Perpetuals" and "/ Spot", response examples (read in September 2026), shortened; `xyz` and `MATIC` as
# they were listed then.
META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56},
        {"szDecimals": 0, "name": "kPEPE", "maxLeverage": 10, "marginTableId": 52},
        {"szDecimals": 1, "name": "MATIC", "maxLeverage": 20, "marginTableId": 20, "isDelisted": True},
    ],
    "marginTables": [],
}
SPOT = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "isCanonical": True},
        {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1, "isCanonical": True},
        {"name": "HFUN", "szDecimals": 2, "weiDecimals": 8, "index": 2, "isCanonical": False},
    ],
    "universe": [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0, "isCanonical": True},
        {"tokens": [2, 0], "name": "@1", "index": 1, "isCanonical": False},
        {"tokens": [9, 0], "name": "@2", "index": 2, "isCanonical": False},
    ],
}


def test_perpetuals_are_linear_in_their_coin_and_have_no_tick() -> None:
    btc, pepe, matic = VENUE.decode_instruments(json.dumps(META))
    assert (btc.inst, btc.symbol, btc.base, btc.quote, btc.settle) == ("BTC", "BTC/USD:USDC", "BTC", "USD", "USDC")
    assert (btc.market, btc.kind, btc.size_unit) == ("perp", "linear", "base")
    assert (btc.contract_value, btc.contract_value_ccy) == ("1", "BTC")
    assert [(one.tick, one.lot, one.state) for one in (btc, pepe, matic)] == [
        (None, "0.00001", None),
        (None, "1", None),
        (None, "0.1", "delisted"),
    ]
    assert (pepe.symbol, pepe.contract_value_ccy, pepe.raw) == ("kPEPE/USD:USDC", "kPEPE", META["universe"][1])


def test_perpetuals_of_others_may_be_settled_in_what_this_list_does_not_name() -> None:
    rows = [{"szDecimals": 3, "name": "xyz:SP500"}]
    mine, other = (
        VENUE.decode_instruments(json.dumps({"universe": rows, "collateralToken": number}))[0] for number in (0, 360)
    )
    assert (mine.inst, mine.symbol, mine.settle) == ("xyz:SP500", "SP500/USD:USDC", "USDC")
    assert (other.symbol, other.settle, other.raw) == ("SP500/USD", None, {**rows[0], "collateralToken": 360})


def test_spot_pairs_are_called_by_the_names_of_their_tokens() -> None:
    found = VENUE.decode_instruments(json.dumps(SPOT))
    assert [(one.inst, one.symbol, one.base, one.quote, one.lot) for one in found] == [
        ("PURR/USDC", "PURR/USDC", "PURR", "USDC", "1"),
        ("@1", "HFUN/USDC", "HFUN", "USDC", "0.01"),
        ("@2", None, None, "USDC", None),
    ]
    assert {(one.market, one.kind, one.tick, one.contract_value, one.settle) for one in found} == {
        ("spot", None, None, None, None)
    }
    assert [VENUE.code_of(one) for one in found] == ["PURR/USDC", "@1", "@2"]


def test_lists_are_posted_for_and_lead_to_those_of_other_exchanges() -> None:
    meta, dexes, spot = (Post("/info", f'{{"type":"{name}"}}') for name in ("meta", "perpDexs", "spotMeta"))
    assert VENUE.instrument_paths(["spot", "perp"]) == [meta, dexes, spot]
    assert VENUE.instrument_paths(["perp", "option"]) == [meta, dexes]
    assert VENUE.instrument_paths(["spot"]) == [spot]
    assert VENUE.instrument_paths(["futures"]) == []
    answer = json.dumps([None, {"name": "xyz", "fullName": "XYZ"}, {"name": "flx"}])
    assert VENUE.decode_instruments(answer) == []
    assert VENUE.further_instrument_paths(answer) == [
        Post("/info", '{"type":"meta","dex":"xyz"}'),
        Post("/info", '{"type":"meta","dex":"flx"}'),
    ]
    assert [VENUE.further_instrument_paths(json.dumps(body)) for body in (META, SPOT)] == [[], []]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        '"Failed"',
        "{}",
        '{"universe":[1]}',
        '{"universe":[{"szDecimals":1}]}',
        '{"universe":[{"name":"A/B"}]}',
        '{"universe":[{"name":"BTC","tokens":[1,0]}],"tokens":[]}',
        '{"universe":[{"name":"@1","tokens":[1]}],"tokens":[]}',
        '{"universe":[],"tokens":[7]}',
        '[null,{"fullName":"XYZ"}]',
    ],
)
def test_other_answers_are_errors(body: str) -> None:
    with pytest.raises(VenueError):
        VENUE.decode_instruments(body)


def test_frames_that_are_sent() -> None:
    asked = [json.loads(text) for text in VENUE.subscribe([("l2Book", "BTC"), ("l2Book", "@107")])]
    assert asked == [
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": coin}} for coin in ("BTC", "@107")
    ]
    assert [json.loads(text)["method"] for text in VENUE.resubscribe("l2Book", "BTC")] == ["unsubscribe", "subscribe"]
    assert json.loads(VENUE.link.ping or "") == {"method": "ping"}
    assert venue_of_url("https://api.hyperliquid.xyz/info") == "hyperliquid"
