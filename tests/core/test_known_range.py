"""Books whose REST answer shows the best levels only: beyond its last one nothing is known, and nothing is claimed."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.events import Row
from l2_exporter.core.state import Standing
from tests.tools.madeup import INST, KNOWN, MS, T0, Driver, applied

GET = f"GET /book?inst={INST}&levels=8"
DEPTH = 4
LEVELS = 8
"""What a REST book has at most; a book is short, and asked for again, with fewer than five known levels."""


def side(first: int, count: int, step: int = -1, size: str = "1") -> list[Row]:
    """Return a side of neighbouring prices, best first."""
    return [[str(first + step * place), size] for place in range(count)]


BIDS = side(100, LEVELS)
ASKS = side(101, LEVELS, 1)


def known(bids: list[Row] = BIDS, asks: list[Row] = ASKS) -> Driver:
    """Return a driver whose book is live at number 11, from a REST book with these levels."""
    driver = Driver(KNOWN, depth=DEPTH)
    driver.send(100, "delta", seq=11, prev=10)
    driver.reply(200, 10, t=50, bids=bids, asks=asks)
    assert driver.standing() is Standing.LIVE
    driver.taken()
    return driver


def shortened() -> Driver:
    """Return such a driver at number 12, when four bids are left and another REST book is under way."""
    driver = known()
    driver.send(300, "delta", seq=12, prev=11, bids=side(100, 4, size="0"))
    assert driver.taken() == [GET]
    return driver


def flags(driver: Driver, at: int) -> list[tuple[str, ...]]:
    """Stop, and return the flags of every line."""
    driver.stop(at)
    return [line.flags for line in driver.lines]


def test_rows_beyond_the_last_level_of_a_full_rest_book_are_not_kept() -> None:
    driver = known()
    driver.send(300, "delta", seq=12, prev=11, bids=[["92", "5"], ["93.5", "5"]], asks=[["109", "5"], ["107.5", "5"]])
    assert driver.levels() == ([*BIDS[:7], ["93.5", "5"], BIDS[7]], [*ASKS[:7], ["107.5", "5"], ASKS[7]])


def test_last_known_level_can_go_and_come_back() -> None:
    driver = known()
    driver.send(300, "delta", seq=12, prev=11, bids=[["93", "0"]])
    driver.send(400, "delta", seq=13, prev=12, bids=[["93.0", "5"], ["92.9", "5"]])
    assert driver.levels()[0] == [*BIDS[:7], ["93.0", "5"]]


def test_side_with_fewer_levels_than_were_asked_for_is_known_as_a_whole() -> None:
    driver = known(bids=BIDS[:3], asks=ASKS)
    driver.send(300, "delta", seq=12, prev=11, bids=[["50", "5"]], asks=[["200", "5"]])
    assert driver.levels() == ([*BIDS[:3], ["50", "5"]], ASKS)
    driver.send(400, "delta", seq=13, prev=12, bids=side(100, 3, size="0"))
    assert (driver.taken(), flags(driver, 500)) == ([], [("seeded_from_rest",)])


def test_where_the_stream_shows_a_window_a_book_as_deep_as_that_is_all_there_is() -> None:
    driver = Driver(replace(KNOWN, depth=LEVELS), depth=DEPTH)
    driver.send(100, "delta", seq=11, prev=10)
    driver.reply(200, 10, t=50, bids=BIDS, asks=ASKS)
    driver.taken()
    driver.send(300, "delta", seq=12, prev=11, bids=[*side(100, 5, size="0"), ["50", "5"]], asks=[["200", "5"]])
    assert driver.levels() == ([*BIDS[5:], ["50", "5"]], [*ASKS, ["200", "5"]])
    driver.send(2_100, "delta", seq=13, prev=12, bids=[["94", "0"]])
    assert (driver.taken(), flags(driver, 2_200)) == ([], [("seeded_from_rest",), ()])


def test_a_book_that_is_less_deep_than_the_window_ends_where_it_ends() -> None:
    driver = Driver(replace(KNOWN, depth=LEVELS + 1), depth=DEPTH)
    driver.send(100, "delta", seq=11, prev=10)
    driver.reply(200, 10, t=50, bids=BIDS, asks=ASKS)
    driver.send(300, "delta", seq=12, prev=11, bids=[["92", "5"]], asks=[["109", "5"]])
    assert driver.levels() == (BIDS, ASKS)


def test_line_says_when_knowledge_ends_before_its_depth() -> None:
    driver = known()
    driver.send(300, "delta", seq=12, prev=11, bids=side(100, 4, size="0"))
    driver.send(2_100, "delta", seq=13, prev=12, bids=[["96", "0"]])
    driver.send(4_100, "delta", seq=14, prev=13, bids=[["95.5", "3"]])
    assert flags(driver, 4_200) == [("seeded_from_rest",), ("partial_depth",), ()]
    assert [len(line.bids) for line in driver.lines] == [4, 3, 4]


def test_asks_once_before_known_levels_run_out_and_again_only_after_a_while() -> None:
    driver = known()
    driver.send(300, "delta", seq=12, prev=11, bids=side(100, 3, size="0"))
    assert driver.taken() == []
    driver.send(400, "delta", seq=13, prev=12, bids=[["97", "0"]])
    driver.send(30_300, "delta", seq=14, prev=13, bids=[["96", "0"]])
    assert driver.taken() == [GET]
    driver.send(30_400, "delta", seq=15, prev=14)
    assert driver.taken() == [GET]


WIDER = side(96, LEVELS)
"""The bids as a REST book shows them once the best four of BIDS are gone."""


def test_rest_book_that_agrees_makes_the_book_wider_and_is_no_loss() -> None:
    driver = shortened()
    driver.reply(400, 12, bids=WIDER, asks=ASKS)
    assert driver.levels() == (WIDER, ASKS)
    driver.send(500, "delta", seq=13, prev=12, bids=[["89", "7"], ["88.5", "7"]])
    assert driver.levels()[0] == [*WIDER[:7], ["89", "7"]]
    assert (driver.losses(), driver.taken()) == ([], [])
    (audit,) = driver.said("audit")
    assert (audit.detail or {})["agrees"] is True
    driver.stop(600)
    assert [(line.seq, line.recv_ns, line.flags) for line in driver.lines] == [
        (13, (T0 + 500) * MS, ("seeded_from_rest",))
    ]


def test_book_that_was_made_wider_keeps_its_time_and_episode() -> None:
    driver = shortened()
    driver.reply(5_000, 12, bids=WIDER, asks=ASKS)
    driver.stop(5_100)
    assert {(line.event_ns, line.live_since_ns) for line in driver.lines} == {((T0 + 300) * MS, (T0 + 100) * MS)}


def test_rest_book_written_in_other_texts_agrees() -> None:
    driver = shortened()
    driver.reply(400, 12, bids=[[f"{price}.00", f"{size}.0"] for price, size in WIDER], asks=ASKS)
    assert (driver.losses(), len(driver.levels()[0])) == ([], LEVELS)
    assert driver.levels()[0][:4] == WIDER[:4]


def test_rest_book_that_lags_is_brought_up_by_the_deltas_since_the_question() -> None:
    driver = shortened()
    driver.send(350, "delta", seq=13, prev=12, bids=[["96", "9"], ["90", "0"]])
    driver.send(360, "delta", seq=14, prev=13, bids=[["95.5", "2"], ["89", "8"]])
    driver.reply(400, 12, t=300, bids=WIDER, asks=ASKS)
    naive = applied(applied({Decimal(row[0]): row for row in WIDER}, [["96", "9"], ["90", "0"]]), [["95.5", "2"]])
    wanted = [naive[price] for price in sorted(naive, reverse=True)]
    wanted[-1] = ["89", "8"]
    assert (driver.levels()[0], driver.losses()) == (wanted, [])


def test_rest_book_from_before_the_question_is_of_no_use() -> None:
    driver = shortened()
    driver.send(350, "delta", seq=13, prev=12)
    driver.reply(400, 11, t=150)
    assert (driver.losses(), driver.said("audit"), len(driver.levels()[0])) == ([], [], 4)
    driver.send(31_000, "delta", seq=14, prev=13)
    assert driver.taken() == [GET]


@pytest.mark.parametrize("reached", [15, 17])
def test_rest_book_ahead_of_the_stream_waits_for_it(reached: int) -> None:
    driver = shortened()
    driver.reply(400, 15, bids=[["97", "4"], *WIDER[:7]], asks=ASKS)
    driver.send(500, "delta", seq=14, prev=12)
    assert (driver.said("audit"), len(driver.levels()[0])) == ([], 4)
    driver.send(600, "delta", seq=reached, prev=14, bids=[["97", "4"]])
    assert driver.levels()[0] == [["97", "4"], *WIDER[:7]]
    assert driver.losses() == []


def test_rest_book_that_disagrees_where_both_know_is_a_loss() -> None:
    driver = shortened()
    driver.reply(400, 12, bids=[["96", "2"], *WIDER[1:]], asks=ASKS)
    assert (driver.losses(), driver.taken()) == ([(INST, "venue_reset")], [GET])
    assert [(line.gap, line.bids) for line in driver.lines] == [(True, WIDER[:4])]
    driver.send(500, "delta", seq=13, prev=12)
    assert driver.taken() == []
    driver.reply(600, 12, bids=[["96", "2"], *WIDER[1:]], asks=ASKS)
    assert (driver.standing(), driver.levels()[0][0]) == (Standing.LIVE, ["96", "2"])


def test_level_that_only_one_of_both_has_is_a_loss_too() -> None:
    driver = shortened()
    driver.reply(400, 12, bids=[*WIDER[:2], *WIDER[3:], ["88", "1"]], asks=ASKS)
    assert driver.losses() == [(INST, "venue_reset")]


def test_failed_request_is_made_again_after_a_while() -> None:
    driver = shortened()
    driver.fail(400)
    driver.send(30_400, "delta", seq=13, prev=12)
    assert (driver.taken(), driver.losses()) == ([GET], [])
    driver.reply(30_500, 13, bids=WIDER, asks=ASKS)
    assert len(driver.levels()[0]) == LEVELS


def test_loss_while_a_request_is_under_way_is_over_with_its_answer() -> None:
    driver = shortened()
    driver.send(350, "delta", seq=20, prev=19)
    assert driver.losses() == [(INST, "sequence")]
    driver.reply(400, 19, bids=WIDER, asks=ASKS)
    assert (driver.standing(), driver.levels()[0]) == (Standing.LIVE, WIDER)


def test_rest_book_nobody_asked_for_changes_nothing() -> None:
    driver = known()
    driver.reply(400, 11, bids=side(50, LEVELS), asks=ASKS)
    assert (driver.levels()[0], driver.losses()) == (BIDS, [])


# ---- against a book of everything ----------------------------------------------------------------------------------

TICKS = 24
changes = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(0, TICKS - 1), st.integers(0, 3)), max_size=6), max_size=25
)
"""Changes by message: (of bids, tick, size); both sides share no price, tick 0 is the best."""


def price(is_bid: bool, tick: int) -> Decimal:
    """Place a tick: bids fall from 999, asks rise from 1000."""
    return Decimal(999 - tick) if is_bid else Decimal(1000 + tick)


def best_first(naive: dict[Decimal, Row], is_bid: bool) -> list[Row]:
    """Sort a naive side."""
    return [naive[at] for at in sorted(naive, reverse=is_bid)]


@given(
    first=st.tuples(st.sets(st.integers(0, TICKS - 1)), st.sets(st.integers(0, TICKS - 1))),
    messages=changes,
    answers=st.sets(st.integers(0, 30)),
)
def test_known_levels_are_those_of_a_book_of_everything(
    first: tuple[set[int], set[int]],
    messages: list[list[tuple[bool, int, int]]],
    answers: set[int],
) -> None:
    """Whatever moves, and whenever REST answers: no level that is not there, none left out before the last known."""
    naive = {
        is_bid: {price(is_bid, tick): [str(price(is_bid, tick)), "1"] for tick in ticks}
        for is_bid, ticks in zip((True, False), first, strict=True)
    }

    def shown() -> dict[str, list[Row]]:
        return {name: best_first(naive[is_bid], is_bid)[:LEVELS] for name, is_bid in (("bids", True), ("asks", False))}

    driver = Driver(KNOWN, depth=DEPTH)
    driver.send(100, "delta", seq=1, prev=0)
    driver.reply(150, 1, t=100, **shown())
    wanted = {1: {is_bid: best_first(naive[is_bid], is_bid) for is_bid in (True, False)}}
    for number, rows in enumerate(messages, start=2):
        texts = {
            is_bid: [[str(price(is_bid, tick)), str(size)] for of_bids, tick, size in rows if of_bids is is_bid]
            for is_bid in (True, False)
        }
        for is_bid in (True, False):
            naive[is_bid] = applied(naive[is_bid], texts[is_bid])
        wanted[number] = {is_bid: best_first(naive[is_bid], is_bid) for is_bid in (True, False)}
        at = 40_000 * number
        driver.send(at, "delta", seq=number, prev=number - 1, bids=texts[True], asks=texts[False])
        if number in answers:
            driver.reply(at + 50, number, t=at, **shown())
        book = driver.keeper().state.book
        for held, is_bid in ((book.bids, True), (book.asks, False)):
            assert held.rows == until(wanted[number][is_bid], held.last_known, is_bid)
    driver.stop(10_000_000)
    assert driver.losses() == []
    for line in driver.lines:
        whole = True
        for held, is_bid in ((line.bids, True), (line.asks, False)):
            best = wanted[line.seq or 0][is_bid][:DEPTH]
            assert held == best[: len(held)]
            whole = whole and held == best
        assert whole or "partial_depth" in line.flags


def until(rows: list[Row], last_known: str | None, is_bid: bool) -> list[Row]:
    """Return the levels from the best to a price; None: all."""
    if last_known is None:
        return rows
    return [row for row in rows if (Decimal(row[0]) >= Decimal(last_known)) is is_bid or row[0] == last_known]
