"""The book against a naive one: whatever the rows and however prices are written."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.book import Book
from l2_exporter.core.side import Side
from tests.okx_frames import ASKS, BIDS

PRICES = st.one_of(
    st.integers(1, 60).map(str),
    st.builds("{}.{}".format, st.integers(0, 3), st.from_regex(r"[0-9]{0,2}[1-9]0{0,3}", fullmatch=True)),
    st.builds("{}.{}".format, st.integers(1, 2), st.from_regex(r"0{14,20}[0-9]{0,3}1", fullmatch=True)),
    st.sampled_from(["1e0", "10e-1", "1.0", "01", "1", "1E+1", "10", "0.1e2"]),
)
SIZES = st.sampled_from(["0", "0.0", "0.000", "0e5", "1", "2.50", "1e-9", "0.00000001", "100"])
FRAMES = st.lists(st.lists(st.tuples(PRICES, SIZES), max_size=8), max_size=12)


def naive(frames: list[list[list[str]]], *, best_is_highest: bool) -> list[list[str]]:
    """Keep a book as a dict by exact number."""
    held: dict[Decimal, list[str]] = {}
    for rows in frames:
        for row in rows:
            held.pop(Decimal(row[0]), None)
            if Decimal(row[1]) != 0:
                held[Decimal(row[0])] = row
    return [held[price] for price in sorted(held, reverse=best_is_highest)]


@given(FRAMES)
def test_side_equals_a_naive_one_after_any_rows(drawn: list[list[tuple[str, str]]]) -> None:
    frames = [[[price, size] for price, size in rows] for rows in drawn]
    bids, asks = Side(-1), Side(1)
    for number, rows in enumerate(frames, 1):
        bids.apply(rows)
        asks.apply(rows)
        assert bids.rows == naive(frames[:number], best_is_highest=True)
        assert asks.rows == naive(frames[:number], best_is_highest=False)


@given(FRAMES, st.lists(st.tuples(PRICES, SIZES), max_size=8))
def test_copy_is_not_touched_by_later_changes(drawn: list[list[tuple[str, str]]], later: list[tuple[str, str]]) -> None:
    book = Book()
    for rows in drawn:
        book.apply([[price, size] for price, size in rows], [])
    kept = book.copy()
    before = [*book.bids.rows]
    book.apply([[price, size] for price, size in later], [["7", "1"]])
    assert (kept.bids.rows, kept.asks.rows) == (before, [])
    kept.apply([["1000", "1"]], [])
    assert ["1000", "1"] not in book.bids.rows


def test_long_price_makes_the_order_exact_where_floats_would_tie() -> None:
    side = Side(1)
    near = ["100.1", "100.10000000000000001", "100.09999999999999999"]
    for price in near:
        side.apply([[price, "1"]])
    assert [row[0] for row in side.rows] == ["100.09999999999999999", "100.1", "100.10000000000000001"]


def test_sixteen_digits_and_many_more_are_levels_of_their_own() -> None:
    prices = ["9007199254740992", "9007199254740993", "1." + "0" * 31 + "1", "1." + "0" * 31 + "2"]
    for sign in (-1, 1):
        side = Side(sign)
        side.apply([[price, "1"] for price in prices])
        assert [row[0] for row in side.rows] == sorted(prices, key=Decimal, reverse=sign < 0)
        side.apply([["9007199254740993.0", "0"]])
        assert len(side.rows) == 3


def test_same_levels_ignores_the_order_of_rows() -> None:
    book = Book()
    book.replace(BIDS, ASKS)
    assert book.same_levels(BIDS[::-1], ASKS[::-1])
    assert not book.same_levels(BIDS[:1], ASKS)
    assert not book.same_levels([["100.0", *BIDS[0][1:]], BIDS[1]], ASKS)


def test_crossed_compares_numbers() -> None:
    book = Book()
    book.replace([["9.50", "1"]], [["9.5", "1"]])
    assert book.is_crossed()
    book.replace([["9.49", "1"]], [["10", "1"]])
    assert not book.is_crossed()
    book.replace([], [["10", "1"]])
    assert not book.is_crossed()


@given(FRAMES, st.integers(1, 3))
def test_nearest_levels_are_the_best_ones_after_any_rows(drawn: list[list[tuple[str, str]]], count: int) -> None:
    frames = [[[price, size] for price, size in rows] for rows in drawn]
    bids, asks = Side(-1), Side(1)
    for number, rows in enumerate(frames, 1):
        bids.apply(rows)
        asks.apply(rows)
        assert bids.nearest(count) == naive(frames[:number], best_is_highest=True)[:count]
        assert asks.nearest(count) == naive(frames[:number], best_is_highest=False)[:count]


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), max_size=40), max_size=12), st.integers(1, 9)
)
def test_rows_whose_numbers_are_known_are_applied_as_others_are(
    drawn: list[list[tuple[int, int]]], covered: int
) -> None:
    known, common = Side(-1), Side(-1)
    for number, levels in enumerate(drawn):
        texts = [[f"{price / 2:.1f}", str(size)] for price, size in levels]
        numbers = ([price / 2 for price, _ in levels], [float(size) for _, size in levels])
        known.apply(texts, numbers)
        common.apply(texts)
        if number == 0:
            known.cover(covered)
            common.cover(covered)
        assert known.rows == common.rows
        assert known.nearest(2) == common.nearest(2) == common.rows[:2]
