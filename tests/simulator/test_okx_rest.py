"""The simulated OKX by HTTP: listings, books, status, time, errors, and the faults of answers."""

import json

import pytest

from l2_exporter.simulator.exchange import Exchange, Settings
from tests.simulator.naive import BTC, ETH, T0, Memory, S

BOOK = f"/api/v5/market/books?instId={BTC}"
LISTING = "/api/v5/public/instruments?instType="
LISTED_KEYS = [
    *("instId", "instIdCode", "instType", "uly", "instFamily", "baseCcy", "quoteCcy", "settleCcy"),
    *("ctVal", "ctMult", "ctValCcy", "ctType", "optType", "stk", "tickSz", "lotSz", "minSz", "state"),
    *("listTime", "expTime", "lever", "alias", "ruleType", "upcChg"),
]


def data(memory: Memory, target: str) -> list[dict[str, object]]:
    """Request and return `data` of a good answer."""
    status, answer = memory.get(target)
    assert (status, answer["code"], answer["msg"]) == (200, "0", "")
    rows = answer["data"]
    assert isinstance(rows, list)
    return rows


def test_a_book_has_one_level_a_side_unless_more_are_asked_for() -> None:
    memory = Memory()
    (book,) = data(memory, BOOK)
    assert list(book) == ["asks", "bids", "ts", "seqId"]
    assert (len(book["asks"]), len(book["bids"])) == (1, 1)  # type: ignore[arg-type]
    assert (type(book["ts"]), type(book["seqId"])) == (str, int)


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/api/v5/market/books?instId=NOPE", 200, "51001"),
        ("/api/v5/market/books", 200, "50014"),
        (BOOK + "&sz=401", 200, "51000"),
        (BOOK + "&sz=x", 200, "51000"),
        ("/api/v5/public/instruments", 200, "50014"),
        (LISTING + "BOND", 200, "51000"),
        (LISTING + "OPTION", 200, "50014"),
        (LISTING + "SPOT&instId=BTC-USDT-SWAP", 200, "51001"),
        ("/api/v5/nothing", 404, "404"),
    ],
)
def test_a_wrong_request_gets_its_code_and_no_data(target: str, status: int, code: str) -> None:
    got, answer = Memory().get(target)
    assert (got, answer["code"], answer["data"]) == (status, code, [])
    assert answer["msg"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "SPOT&instId=BTC-USDT",
            {"baseCcy": "BTC", "quoteCcy": "USDT", "settleCcy": "", "ctType": "", "uly": "", "tickSz": "0.1"},
        ),
        (
            "SWAP&instId=BTC-USDT-SWAP",
            {"baseCcy": "", "settleCcy": "USDT", "ctType": "linear", "ctVal": "0.01", "ctValCcy": "BTC", "expTime": ""},
        ),
        ("SWAP&instId=BTC-USD-SWAP", {"settleCcy": "BTC", "ctType": "inverse", "ctVal": "100", "ctValCcy": "USD"}),
        (
            "FUTURES&instId=BTC-USDT-270326",
            {"instFamily": "BTC-USDT", "expTime": "1806048000000", "stk": "", "alias": "next_quarter"},
        ),
        (
            "OPTION&instFamily=BTC-USD&instId=BTC-USD-270326-45000-P",
            {"stk": "45000", "optType": "P", "uly": "BTC-USD", "settleCcy": "BTC", "expTime": "1806048000000"},
        ),
    ],
)
def test_a_listing_has_every_field_of_the_venue(query: str, expected: dict[str, str]) -> None:
    (row,) = data(Memory(), LISTING + query)
    assert list(row) == LISTED_KEYS
    assert row | expected == row
    assert (row["state"], type(row["instIdCode"]), row["upcChg"]) == ("live", int, [])
    assert all(type(row[key]) is str for key in LISTED_KEYS if key not in ("instIdCode", "upcChg"))


def test_there_are_64_instruments_by_default_fifty_of_them_liquid_ones() -> None:
    memory = Memory()
    counts = [len(data(memory, LISTING + kind)) for kind in ("SPOT", "SWAP", "FUTURES", "OPTION&uly=BTC-USD")]
    assert counts == [3, 55, 2, 4]
    assert sum(counts) == len(memory.exchange.instruments) == 64
    assert list(memory.exchange.instruments)[:2] == [BTC, ETH]
    assert data(memory, LISTING + "MARGIN") == []


def test_any_id_of_the_right_shape_can_be_simulated_and_gets_the_same_price_each_time() -> None:
    ids = ("PEPE-USDT-SWAP", "X9-USDC", "SOL-USD_UM-SWAP")
    exchanges = [Exchange(Settings(instruments=ids, seed=seed), T0) for seed in (1, 2)]
    assert exchanges[0].instruments == exchanges[1].instruments
    assert list(exchanges[0].instruments) == list(ids)
    assert len(exchanges[0].book("PEPE-USDT-SWAP", 400).bids) == 400


def test_time_is_the_simulated_time_and_status_is_empty_without_maintenance() -> None:
    memory = Memory()
    memory.run(2)
    assert data(memory, "/api/v5/public/time") == [{"ts": str(T0 // 1_000_000 + 2000)}]
    assert data(memory, "/api/v5/system/status") == []


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [("rest_429@1s", {429}), ("rest_5xx@1s", {500, 502, 503}), ("rest_html@1s", {200}), ("rest_hang@1s", {0})],
)
def test_a_fault_of_http_spoils_one_answer_and_says_so(fault: str, statuses: set[int]) -> None:
    memory = Memory(f"{fault}/{BTC}")
    memory.run(1)
    assert data(memory, BOOK.replace(BTC, ETH))
    reply = memory.exchange.request_received(BOOK, memory.now_ns)
    assert reply.status in statuses
    assert reply.hangs == fault.startswith("rest_hang")
    assert (reply.headers.get("Retry-After") == "1") == ("429" in fault)
    if "429" not in fault:
        with pytest.raises(json.JSONDecodeError):
            json.loads(reply.body)
    assert memory.faults(fault.partition("@")[0]) == [(BTC, None, None)]
    assert data(memory, BOOK)


def test_rest_late_holds_answers_back() -> None:
    memory = Memory("rest_late:3s@1s")
    assert memory.exchange.request_received(BOOK, T0).delay_ns == 0
    reply = memory.exchange.request_received(BOOK, T0 + 2 * S)
    assert (reply.status, reply.delay_ns) == (200, 3 * S)
    assert memory.faults("rest_late") == [(BTC, None, None)]


def test_a_cached_book_is_as_old_as_the_last_renewal() -> None:
    memory = Memory("rest_cached:30s")
    memory.subscribe(BTC)
    numbers = []
    for _ in range(7):
        (book,) = data(memory, BOOK)
        numbers.append((int(str(book["ts"])) - T0 // 1_000_000, book["seqId"]))
        memory.run(10)
    assert [ts // 1000 for ts, _ in numbers] == [0, 0, 0, 30, 30, 30, 60]
    faults = memory.faults("rest_cached")
    assert [seq_from for _, seq_from, _ in faults] == [numbers[1][1], numbers[2][1], numbers[4][1], numbers[5][1]]
    assert all(seq_from < seq_to for _, seq_from, seq_to in faults)  # type: ignore[operator]
