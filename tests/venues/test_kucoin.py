"""KuCoin's frames, REST books and tickets: what they mean, what is odd, what is nothing."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.book import Book
from l2_exporter.core.errors import SchemaError, VenueError
from l2_exporter.core.events import BookPush, Event, Other, Push, Refused, Reopen, Say, Subscribed, Unsubscribed
from l2_exporter.core.venue import AsksForTicket, BookAsked, Post
from l2_exporter.venues.kucoin import FUTURES, SPOT, Kucoin
from l2_exporter.venues.kucoin_link import PING
from l2_exporter.venues.registry import venue_of_url

FUTURE, PAIR = Kucoin(FUTURES), Kucoin(SPOT)
# "Orderbook - Increment" of futures, example (docs of 2025).
CHANGE: dict[str, Any] = {
    "topic": "/contractMarket/level2:XBTUSDTM",
    "type": "message",
    "subject": "level2",
    "sn": 1709400450243,
    "data": {"sequence": 1709400450243, "change": "90631.2,sell,2", "timestamp": 1731897467182},
}
# "Level2 - Market Data" of spot, example (docs of 2023).
CHANGES: dict[str, Any] = {
    "type": "message",
    "topic": "/market/level2:BTC-USDT",
    "subject": "trade.l2update",
    "data": {
        "changes": {
            "asks": [["18906", "0.00331", "14103845"], ["18907.3", "0.58751503", "14103844"]],
            "bids": [["18891.9", "0.15688", "14103847"]],
        },
        "sequenceEnd": 14103847,
        "sequenceStart": 14103844,
        "symbol": "BTC-USDT",
        "time": 1663747970273,
    },
}
# "Orderbook - Level50" of spot, example cut short (docs of 2025).
LEVELS: dict[str, Any] = {
    "topic": "/spotMarket/level2Depth50:BTC-USDT",
    "type": "message",
    "subject": "level2",
    "data": {"asks": [["95964.3", "0.08168874"]], "bids": [["95964.2", "1.35483359"]], "timestamp": 1733124805073},
}
TICKET: dict[str, Any] = {
    "token": "2neAiuYvAU61ZDXA+secret==",
    "instanceServers": [
        {
            "endpoint": "wss://ws-api-futures.kucoin.com/",
            "encrypt": True,
            "protocol": "websocket",
            "pingInterval": 18000,
            "pingTimeout": 10000,
        }
    ],
}


def decoded(message: object) -> list[Event]:
    venue = PAIR if isinstance(message, dict) and "market" in str(message.get("topic")).casefold()[:11] else FUTURE
    return venue.connection({}).decode(json.dumps(message))


def with_data(message: dict[str, Any], *left_out: str, **changes: Any) -> dict[str, Any]:
    data = {name: value for name, value in message["data"].items() if name not in left_out}
    return {**message, "data": {**data, **changes}}


def is_no_json(frame: str | bytes) -> bool:
    """Tell whether a frame is no JSON."""
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError:
        return True
    return False


def done(data: object) -> str:
    return json.dumps({"code": "200000", "data": data})


def test_one_change_of_a_contract_follows_the_number_before_its_own() -> None:
    assert decoded(CHANGE) == [
        BookPush(
            Push.DELTA,
            "level2",
            "XBTUSDTM",
            [],
            [["90631.2", "2"]],
            1731897467182 * 10**6,
            1709400450243,
            1709400450242,
            None,
        )
    ]
    (bid,) = decoded(with_data(CHANGE, change="3988.50,buy,0"))
    assert isinstance(bid, BookPush)
    assert (bid.bids, bid.asks) == ([["3988.50", "0"]], [])


def test_changes_of_a_pair_are_kept_without_their_own_numbers_and_span_from_the_first_to_the_last() -> None:
    assert decoded(CHANGES) == [
        BookPush(
            Push.DELTA,
            "level2",
            "BTC-USDT",
            [["18891.9", "0.15688"]],
            [["18906", "0.00331"], ["18907.3", "0.58751503"]],
            1663747970273 * 10**6,
            14103847,
            14103843,
            None,
        )
    ]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000"])
def test_a_price_of_zero_is_no_level_but_takes_its_number(zero: str) -> None:
    (push,) = decoded(with_data(CHANGE, change=f"{zero},buy,17"))
    assert isinstance(push, BookPush)
    assert (push.bids, push.asks, push.seq, push.is_idle) == ([], [], 1709400450243, False)
    rows = [[zero, "0", "14103844"], ["18891.9", "0", "14103845"]]
    (push,) = decoded(with_data(CHANGES, changes={"asks": [[zero, "5", "14103847"]], "bids": rows}))
    assert isinstance(push, BookPush)
    assert (push.bids, push.asks, push.seq, push.prev_seq) == ([["18891.9", "0"]], [], 14103847, 14103843)


def test_a_message_that_a_rest_book_has_in_part_may_be_applied_as_a_whole() -> None:
    """The documents' own example: rows up to number 16 are to be left out, and applied they change nothing."""
    asks = [["3988.59", "3"], ["3988.60", "47"], ["3988.61", "32"], ["3988.62", "8"]]
    bids = [["3988.51", "56"], ["3988.50", "15"], ["3988.49", "100"], ["3988.48", "10"]]
    told = {
        "asks": [["3988.59", "3", "16"], ["3988.61", "0", "19"], ["3988.62", "8", "15"]],
        "bids": [["3988.50", "44", "18"]],
    }
    # The example has the two numbers the wrong way round.
    (push,) = decoded(with_data(CHANGES, changes=told, sequenceStart=15, sequenceEnd=19))
    assert isinstance(push, BookPush)
    assert push.prev_seq is not None
    assert push.seq is not None
    assert push.prev_seq < 16 < push.seq
    book = Book()
    book.replace(bids, asks)
    book.apply(push.bids, push.asks)
    assert book.asks.rows == [["3988.59", "3"], ["3988.60", "47"], ["3988.62", "8"]]
    assert book.bids.rows == [["3988.51", "56"], ["3988.50", "44"], ["3988.49", "100"], ["3988.48", "10"]]


def test_the_best_fifty_levels_come_whole_and_without_a_number() -> None:
    assert decoded(LEVELS) == [
        BookPush(
            Push.WHOLE,
            "level2Depth50",
            "BTC-USDT",
            [["95964.2", "1.35483359"]],
            [["95964.3", "0.08168874"]],
            1733124805073 * 10**6,
            None,
            None,
            None,
        )
    ]


@pytest.mark.parametrize(
    ("message", "channel", "missing"),
    [
        (with_data(CHANGE, "change"), "level2", ("change",)),
        (with_data(CHANGE, change="1,sell"), "level2", ("change",)),
        (with_data(CHANGE, change="1,hold,2"), "level2", ("change",)),
        (with_data(CHANGE, change="1e99,buy,2"), "level2", ("change",)),
        (with_data(CHANGE, change="-1,buy,2"), "level2", ("change",)),
        (with_data(CHANGE, change="1,buy,x"), "level2", ("change",)),
        (with_data(CHANGE, change=None), "level2", ("change",)),
        (with_data(CHANGE, sequence="18"), "level2", ("sequence",)),
        (with_data(CHANGE, "timestamp"), "level2", ("timestamp",)),
        ({**CHANGE, "data": None}, "level2", ("data",)),
        (with_data(CHANGES, "changes"), "level2", ("changes",)),
        (with_data(CHANGES, changes={}), "level2", ("changes.bids", "changes.asks")),
        (with_data(CHANGES, changes={"asks": [], "bids": None}), "level2", ("changes.bids",)),
        (with_data(CHANGES, changes={"asks": [["1"]], "bids": []}), "level2", ("changes.asks",)),
        (with_data(CHANGES, changes={"asks": [[1, "1", "2"]], "bids": []}), "level2", ("changes.asks",)),
        (with_data(CHANGES, sequenceStart="14103844"), "level2", ("sequenceStart",)),
        (with_data(CHANGES, "sequenceEnd"), "level2", ("sequenceEnd",)),
        (with_data(CHANGES, "time"), "level2", ("time",)),
        (with_data(LEVELS, asks=[[95964.3, 1]]), "level2Depth50", ("asks",)),
        (with_data(LEVELS, "timestamp"), "level2Depth50", ("timestamp",)),
    ],
)
def test_what_lacks_what_the_channel_promises_is_odd(
    message: dict[str, Any], channel: str, missing: tuple[str, ...]
) -> None:
    with pytest.raises(SchemaError) as caught:
        decoded(message)
    inst = message["topic"].partition(":")[2]
    assert (caught.value.channel, caught.value.inst, caught.value.missing) == (channel, inst, missing)


def test_a_topic_without_an_instrument_is_odd_and_an_unknown_field_is_no_fault() -> None:
    with pytest.raises(SchemaError) as caught:
        decoded({**CHANGE, "topic": "/contractMarket/level2:"})
    assert (caught.value.inst, caught.value.missing) == (None, ("topic",))
    assert decoded({**with_data(CHANGE, ts=1), "userId": "x"}) == decoded(CHANGE)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"id": "NSkIrWGB1s", "type": "welcome"}, Other("answer 'welcome'")),
        ({"id": "ping", "type": "pong"}, Other("answer 'pong'")),
        ({"id": "1", "type": "ack"}, Other("answer 'ack'")),
        (
            {"id": "3", "type": "error", "code": 404, "data": "topic /market/nope is not found"},
            Refused("404", "topic /market/nope is not found"),
        ),
        (
            {"id": "3", "type": "error", "code": 509, "data": "exceed max subscription count limitation"},
            Refused("509", "exceed max subscription count limitation"),
        ),
        ({"id": "x", "type": "error", "code": 401, "data": "token is invalid"}, Reopen("401", "token is invalid")),
        ({"topic": "/contractMarket/tickerV2:XBTUSDTM", "data": {}}, Other("push of another channel")),
        ([], Other("not an object", known=False)),
        ({"hello": 1}, Other("answer None", known=False)),
    ],
)
def test_what_else_comes(message: object, event: Event) -> None:
    assert FUTURE.connection({}).decode(json.dumps(message)) == [event]


@given((st.text() | st.binary()).filter(is_no_json))
def test_what_is_no_json_is_an_error_of_the_venue(frame: str | bytes) -> None:
    with pytest.raises(VenueError, match="KuCoin sent a frame that is not JSON"):
        PAIR.connection({}).decode(frame)


def test_requests_are_numbered_and_an_acknowledgement_confirms_the_books_of_its_own() -> None:
    connection = PAIR.connection({})
    books = [("level2", "BTC-USDT"), ("level2Depth50", "BTC-USDT"), ("level2", "ETH-USDT")]
    texts = [*connection.subscribe(books), *connection.resubscribe("level2", "ETH-USDT")]
    assert [json.loads(text) for text in texts] == [
        {"id": number, "type": kind, "topic": topic, "privateChannel": False, "response": True}
        for number, kind, topic in (
            (1, "subscribe", "/market/level2:BTC-USDT,ETH-USDT"),
            (2, "subscribe", "/spotMarket/level2Depth50:BTC-USDT"),
            (3, "unsubscribe", "/market/level2:ETH-USDT"),
            (4, "subscribe", "/market/level2:ETH-USDT"),
        )
    ]
    heard = {number: connection.decode(json.dumps({"id": str(number), "type": "ack"})) for number in (1, 3, 4, 2, 1)}
    assert heard == {
        1: [Other("answer 'ack'")],  # the second of them: nobody waits for it
        2: [Subscribed("level2Depth50", "BTC-USDT")],
        3: [Unsubscribed("level2", "ETH-USDT")],
        4: [Subscribed("level2", "ETH-USDT")],
    }


def test_a_busy_connection_is_pinged_every_18_seconds_of_the_venue_s_time() -> None:
    connection, said = FUTURE.connection({}), []
    for second in range(0, 60, 3):
        message = with_data(CHANGE, timestamp=1731897467182 + second * 1000)
        said += [second for event in connection.decode(json.dumps(message)) if event == Say(PING)]
    assert said == [18, 36, 54]
    assert connection.decode(json.dumps(with_data(CHANGE, timestamp=0)))[1:] == []
    assert json.loads(PING)["type"] == "ping"
    assert FUTURE.link.ping == PING
    # The link waits so long after the last frame; both together stay below the venue's 60 s.
    assert 2 * FUTURE.link.ping_after_s < 60


def test_a_ticket_is_posted_for_and_leads_to_the_venue() -> None:
    assert isinstance(FUTURE, AsksForTicket)
    assert FUTURE.ticket_path() == PAIR.ticket_path() == Post("/api/v1/bullet-public", "")
    parts = urlsplit(FUTURE.address(FUTURE.link.ws_url, done(TICKET)))
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, parts.path) == ("wss", "ws-api-futures.kucoin.com", "/")
    assert (query["token"], [*query]) == ([TICKET["token"]], ["token", "connectId"])
    other = FUTURE.address(FUTURE.link.ws_url, done({**TICKET, "token": "another"}))
    assert parse_qs(urlsplit(other).query)["connectId"] != query["connectId"]


@pytest.mark.parametrize(
    ("given_url", "begins"),
    [("ws://127.0.0.1:8765/endpoint", "/endpoint?token="), ("wss://proxy.example/x?a=1", "/x?a=1&token=")],
)
def test_an_address_of_the_user_s_own_keeps_its_host(given_url: str, begins: str) -> None:
    address = FUTURE.address(given_url, done(TICKET))
    assert urlsplit(address).netloc == urlsplit(given_url).netloc
    assert address.partition(urlsplit(given_url).netloc)[2].startswith(begins)


@pytest.mark.parametrize(
    "endpoint",
    [
        "wss://kucoin.com.evil.example/",
        "wss://evilkucoin.com/",
        "ws://ws-api-futures.kucoin.com/",
        "https://ws-api-futures.kucoin.com/",
        "wss://user@ws-api-futures.kucoin.com/",
        "wss://ws-api-futures.kucoin.com:99999/",
        "wss://ws-api-futures.kucoin.com/ x",
        "wss://ws-api-futures.kucoin.com/#x",
        "wss://[/",
        "",
    ],
)
def test_a_ticket_that_leads_anywhere_else_is_refused(endpoint: str) -> None:
    body = done({**TICKET, "instanceServers": [{"endpoint": endpoint}]})
    with pytest.raises(VenueError, match="it leads to"):
        FUTURE.address(FUTURE.link.ws_url, body)
    assert FUTURE.address("ws://127.0.0.1:1/", body).startswith("ws://127.0.0.1:1/?token=")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>" + TICKET["token"],
        "[" * 100_000,
        '{"code":"429000","msg":"Too Many Requests"}',
        json.dumps({"code": "400100", "data": TICKET}),
        done(None),
        done([TICKET]),
        done({**TICKET, "token": None}),
        done({**TICKET, "token": ""}),
        done({**TICKET, "token": TICKET["token"] + "\n"}),
        done({**TICKET, "instanceServers": []}),
        done({**TICKET, "instanceServers": [TICKET["token"]]}),
        done({"token": TICKET["token"]}),
    ],
)
def test_what_is_no_ticket_is_said_without_quoting_one(body: str) -> None:
    with pytest.raises(VenueError, match="KuCoin gave no ticket for a connection") as caught:
        FUTURE.address(FUTURE.link.ws_url, body)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value.__cause__)


def test_a_book_of_a_contract_has_numbers_whose_texts_are_kept() -> None:
    # "Get Full Order Book - Level 2" (docs of 2021), with numbers instead of texts.
    body = """{"code":"200000","data":{"symbol":"XBTUSDM","sequence":100,"asks":[[5000.0,1000],[6E+3,1983]],
        "bids":[[3200.10,800],["3100.0",100]],"ts":1604643655040584408}}"""
    asks, bids = [["5000.0", "1000"], ["6E+3", "1983"]], [["3200.10", "800"], ["3100.0", "100"]]
    assert FUTURE.decode_book("level2", "XBTUSDM", body) == BookPush(
        Push.SNAPSHOT, "level2", "XBTUSDM", bids, asks, 1604643655040584408, 100, None, None
    )


def test_a_book_of_a_pair_has_texts_and_milliseconds() -> None:
    # "Get Part Order Book" (docs of 2023).
    book = {"sequence": "3262786978", "time": 1550653727731, "bids": [["6500.12", "0.45054140"]], "asks": []}
    assert PAIR.decode_book("level2", "BTC-USDT", done(book)) == BookPush(
        Push.SNAPSHOT,
        "level2",
        "BTC-USDT",
        [["6500.12", "0.45054140"]],
        [],
        1550653727731 * 10**6,
        3262786978,
        None,
        None,
    )


@pytest.mark.parametrize("number", [-1, 0])
def test_a_contract_that_never_traded_has_null_sides_and_no_number_to_speak_of(number: int) -> None:
    book = FUTURE.decode_book("level2", "NEWUSDTM", done({"sequence": number, "bids": None, "asks": None, "ts": 1}))
    assert (book.bids, book.asks, book.seq) == ([], [], number)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[" * 100_000,
        '{"code":"400001","msg":"Please check the header of your request for KC-API-KEY"}',
        done({"sequence": 1, "bids": []}),
        done({"sequence": 1, "bids": [], "asks": [[0, 1]]}),
        done({"sequence": 1, "bids": [], "asks": [[1]]}),
        done({"sequence": 1.5, "bids": [], "asks": []}),
        done({"sequence": None, "bids": [], "asks": []}),
        done({"sequence": 10**400, "bids": [], "asks": []}),
        '{"code":"200000","data":{"sequence":1,"bids":[[NaN,1]],"asks":[]}}',
        done([]),
    ],
)
def test_what_is_no_book_is_an_error_of_the_venue(body: str) -> None:
    with pytest.raises(VenueError):
        FUTURE.decode_book("level2", "XBTUSDTM", body)


@pytest.mark.parametrize(
    ("venue", "url", "asked"),
    [
        (FUTURE, "https://api-futures.kucoin.com/api/v1/level2/snapshot?symbol=XBTUSDM", BookAsked("XBTUSDM", None)),
        (FUTURE, "https://api-futures.kucoin.com/api/v1/level2/depth20?symbol=XBTUSDM", BookAsked("XBTUSDM", 20)),
        (FUTURE, "https://api-futures.kucoin.com/api/v1/contracts/active", None),
        (PAIR, "https://api.kucoin.com/api/v1/market/orderbook/level2_100?symbol=A-B", BookAsked("A-B", 100)),
        (PAIR, "https://api.kucoin.com/api/v2/market/orderbook/level2?symbol=A-B", BookAsked("A-B", 1_000_000)),
        (PAIR, "https://api.kucoin.com/api/v1/market/orderbook/level2_20", None),
        (PAIR, "https://[", None),
    ],
)
def test_which_book_an_address_asks_for(venue: Kucoin, url: str, asked: BookAsked | None) -> None:
    assert venue.book_asked(url) == asked


def test_whole_levels_need_no_rest_book() -> None:
    assert PAIR.book_path("level2Depth50", "BTC-USDT") is None
    assert PAIR.book_path("level2", "BTC-USDT") == "/api/v1/market/orderbook/level2_100?symbol=BTC-USDT"


def test_a_recording_tells_which_of_the_two_it_is_of() -> None:
    assert venue_of_url("wss://push-private.kucoin.com/endpoint?token=TOKEN") == "kucoin_spot"
    assert venue_of_url("wss://ws-api-futures.kucoin.com/") == "kucoin"
    assert venue_of_url("https://api.kucoin.com/api/v2/market/orderbook/level2?symbol=A-B") == "kucoin_spot"
