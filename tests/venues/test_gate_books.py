"""Gate's REST books and instruments, and what the core makes of its streams."""

import json
from typing import Any

import pytest

from l2_exporter.core.books import Settings
from l2_exporter.core.commands import FetchBook, SendFrame
from l2_exporter.core.errors import VenueError
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.venue import BookAsked
from l2_exporter.venues.gate import Gate
from l2_exporter.venues.registry import venue_of_url
from tests.gate_frames import DELTA, FULL, MS, OBU, PERPS, SPOTS, UPDATE, UPDATES, but

# Captured by others on 24 May 2023, shortened.
BOOK = '{"current":1684930166.384,"update":1684930166.35,"asks":[{"s":803,"p":"0.2974"}],"bids":[],"id":203083287}'


def test_rest_books() -> None:
    book = PERPS.decode_book(UPDATES, "RDNT_USDT", BOOK)
    assert (book.seq, book.prev_seq, book.event_ns) == (203083287, None, 1684930166_350_000_000)
    assert (book.bids, book.asks) == ([], [["0.2974", "803"]])
    spot = '{"id":7,"current":1623898993123,"update":1623898993121,"asks":[["1.52","1.151"]],"bids":[]}'
    book = SPOTS.decode_book("spot.order_book_update", "X", spot)
    assert (book.seq, book.event_ns, book.asks) == (7, 1623898993121 * MS, [["1.52", "1.151"]])
    assert SPOTS.decode_book("spot.order_book_update", "X", '{"id":7,"asks":[],"bids":[]}').event_ns is None


def test_a_rest_book_is_cut_to_the_window_of_the_stream() -> None:
    rows = [{"p": str(1000 - place), "s": 1} for place in range(300)]
    book = PERPS.decode_book(UPDATES, "X", json.dumps({"id": 1, "bids": rows, "asks": []}))
    assert (len(book.bids), book.bids[-1]) == (100, ["901", "1"])


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "[" * 100_000, '{"id":NaN,"bids":[],"asks":[]}', '{"bids":[],"asks":[]}'),
        '{"label":"CONTRACT_NOT_FOUND","message":"contract not found"}',
        '{"id":9223372036854775808,"bids":[],"asks":[]}',
        '{"id":1.5,"bids":[],"asks":[]}',
        '{"id":' + "9" * 5000 + ',"bids":[],"asks":[]}',
        '{"id":1,"bids":[{"p":"x","s":1}],"asks":[]}',
    ],
)
def test_other_answers_are_no_books(body: str) -> None:
    with pytest.raises(VenueError):
        PERPS.decode_book(UPDATES, "X", body)


def test_which_book_a_url_asks_for() -> None:
    assert PERPS.book_path(OBU, "BTC_USDT") is None
    path = PERPS.book_path(UPDATES, "BTC_USDT")
    assert path == "/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=100&with_id=true"
    host = "https://api.gateio.ws"
    assert PERPS.book_asked(host + path) == BookAsked("BTC_USDT", 100)
    spot = host + "/api/v4/spot/order_book?currency_pair=HAI_ETH&limit=100&with_id=true"
    assert (SPOTS.book_asked(spot), PERPS.book_asked(spot)) == (BookAsked("HAI_ETH", 100), None)
    assert SPOTS.book_asked(host + "/api/v4/spot/order_book?currency_pair=A") == BookAsked("A", 10)
    assert SPOTS.book_asked(host + "/api/v4/spot/tickers?currency_pair=A") is None


def test_addresses_tell_the_two_apart() -> None:
    for venue in (PERPS, SPOTS):
        assert venue_of_url(venue.link.ws_url) == venue.name
    assert venue_of_url("wss://fx-ws.gateio.ws/v4/ws/btc") is None
    assert venue_of_url("https://api.gateio.ws/api/v4/spot/order_book") is None


# "Query all futures contracts" and "Query all supported currency pairs", response examples (November 2025), shortened.
CONTRACT: dict[str, Any] = {
    "name": "BTC_USDT",
    "type": "direct",
    "quanto_multiplier": "0.0001",
    "order_price_round": "0.1",
    "order_size_min": 1,
    "status": "trading",
    "launch_time": 1609899548,
}
PAIR: dict[str, Any] = {
    "id": "ETH_USDT",
    "base": "ETH",
    "quote": "USDT",
    "amount_precision": 3,
    "precision": 6,
    "trade_status": "tradable",
    "sell_start": 1516378650,
    "buy_start": 1516378650,
}


def test_a_contract_is_a_part_of_a_coin_and_sizes_count_contracts() -> None:
    (one,) = PERPS.decode_instruments(json.dumps([CONTRACT]))
    assert (one.venue, one.inst, one.symbol) == ("gate", "BTC_USDT", "BTC/USDT:USDT")
    assert (one.market, one.kind, one.size_unit) == ("perp", "linear", "contract")
    assert (one.contract_value, one.contract_value_ccy) == ("0.0001", "BTC")
    assert (one.tick, one.lot, one.state, one.list_utc) == ("0.1", "1", "trading", "2021-01-06T02:19:08.000Z")
    (one,) = PERPS.decode_instruments(json.dumps([{**CONTRACT, "enable_decimal": True, "order_size_min": 0}]))
    assert one.lot is None


def test_a_pair() -> None:
    (one,) = SPOTS.decode_instruments(json.dumps([PAIR]))
    assert (one.symbol, one.market, one.kind, one.size_unit) == ("ETH/USDT", "spot", None, "base")
    assert (one.contract_value, one.tick, one.lot) == (None, "0.000001", "0.001")
    assert (one.state, one.list_utc) == ("tradable", "2018-01-19T16:17:30.000Z")
    (one,) = SPOTS.decode_instruments(json.dumps([{**PAIR, "precision": 0, "amount_precision": -1}]))
    assert (one.tick, one.lot) == ("1", None)


@pytest.mark.parametrize("body", ["", "{}", "[1]", '[{"name":""}]', '{"label":"X","message":"y"}', "[" * 100_000])
def test_other_answers_are_no_lists(body: str) -> None:
    with pytest.raises(VenueError):
        PERPS.decode_instruments(body)


class Core:
    """A feed with one book, fed with frames of the venue."""

    def __init__(self, venue: Gate, channel: str, inst: str) -> None:
        self.feed = Feed(venue, Settings(connections={"c1": [(channel, inst)]}, jitter_seed=1), NoHistory())
        self.key = (channel, inst)
        self.out: list[object] = []
        self.now_ms = 1743673027000
        self.out += self.feed.started(self._stamp())
        self.out += self.feed.link_opened("c1", None, "live", self._stamp())

    def hears(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.now_ms += 10
            self.out += self.feed.frame_received("c1", json.dumps(message), self._stamp())

    def losses(self) -> list[str | None]:
        return [each.reason for each in self.out if isinstance(each, LedgerRecord) and each.kind == "gap"]

    def sent(self) -> list[str]:
        return [json.loads(each.text)["event"] for each in self.out if isinstance(each, SendFrame)]

    def counts(self) -> tuple[int, int]:
        """Return how many messages were applied, and how many were duplicates."""
        counts = self.feed.keepers[self.key].counts
        return counts.applied, counts.duplicate

    def levels(self) -> tuple[Any, Any]:
        book = self.feed.keepers[self.key].state.book
        return book.bids.rows, book.asks.rows

    def _stamp(self) -> Stamp:
        return Stamp(self.now_ms * MS, self.now_ms * MS - 1743673000000 * MS)


def test_a_full_book_that_is_repeated_is_a_duplicate_and_another_one_a_reset_that_is_live_at_once() -> None:
    core = Core(PERPS, OBU, "BTC_USDT")
    core.hears(FULL, FULL, DELTA)
    assert (core.counts(), core.losses()) == ((2, 1), [])
    core.hears(but(FULL, t=1743673028000, u=79072179700))
    assert (core.losses(), core.counts()) == (["venue_reset"], (3, 1))
    assert core.levels() == ([["83705.9", "30166"]], [["83706", "4208"]])
    assert core.sent() == ["subscribe"]


def test_the_number_goes_on_over_updates_without_rows_and_a_hole_is_a_loss() -> None:
    core = Core(PERPS, OBU, "BTC_USDT")
    idle = but(DELTA, t=1743673027020, U=79072179695, u=79072179699, b=...)
    core.hears(FULL, DELTA, idle, but(DELTA, t=1743673027030, U=79072179700, u=79072179700, b=[["83700", "1"]]))
    assert (core.losses(), core.counts()) == ([], (4, 0))
    assert core.levels()[0] == [["83705.9", "30166"], ["83702.2", "62"], ["83700", "1"]]
    core.hears(but(DELTA, t=1743673027040, U=79072179702, u=79072179702))
    assert core.losses() == ["sequence"]
    assert core.sent() == ["subscribe", "unsubscribe", "subscribe"]


def test_a_book_of_fewer_levels_than_the_stream_has_ends_where_it_ends() -> None:
    """The documents: a REST book of another level than the subscribed one is misaligned with the stream."""
    core = Core(PERPS, UPDATES, "BTC_USDT")
    rows = [{"p": str(100 - place), "s": 1} for place in range(20)]
    body = json.dumps({"id": 10, "current": 1.0, "update": 1743673027.0, "bids": rows, "asks": []})
    first = but(UPDATE, s="BTC_USDT", t=1743673027010, U=11, u=11, b=[{"p": "80", "s": 7}], a=[])
    core.hears(first)
    (path,) = [each.path for each in core.out if isinstance(each, FetchBook)]
    core.feed.book_replied(path.replace("limit=100", "limit=20"), 200, body, Stamp(None, None))
    assert [row[0] for row in core.levels()[0]] == [str(100 - place) for place in range(20)]
