"""The book of orders against a naive one: queues, sums, what is told of each event, and where it refuses."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import BookError
from l2_exporter.core.events import BookPush, Change, OrderChange, Push, Row
from l2_exporter.core.orderbook import OrderBook, OrderSide
from tests.reference.naive_orders import NaiveOrders

IDS = [f"o{number}" for number in range(12)]
PRICES = ["100", "100.0", "100.5", "101", "1e2", "99.00000001", "99.000000000000000001", "0.5"]
SIZES = ["1", "0.10", "2.50000000", "1e-8", "1234567890.123456789"]
ALL = 10**9


def push(*changes: OrderChange) -> BookPush:
    return BookPush(Push.DELTA, "full", "X", [], [], None, None, None, None, changes)


def snapshot(bids: list[Row], asks: list[Row]) -> BookPush:
    return BookPush(Push.SNAPSHOT, "full", "X", bids, asks, None, None, None, None)


def put(ident: str, side: str, price: str, size: str = "1") -> OrderChange:
    return OrderChange(Change.SET, ident, side, price, size)


def match(ident: str, size: str) -> OrderChange:
    return OrderChange(Change.MATCH, ident, size=size, maker=ident, taker="t")


def done(ident: str) -> OrderChange:
    return OrderChange(Change.DONE, ident, reason="canceled")


def book_of(*changes: OrderChange, window: int | None = None, most: int = ALL) -> OrderBook:
    book = OrderBook(window, most)
    for change in changes:
        book.take(push(change), 7)
    return book


def queue(side: OrderSide) -> list[tuple[str, str, str]]:
    return [(order.price, order.size, order.id) for order in side.orders(side.depth)]


@st.composite
def messages(draw: st.DrawFn) -> list[OrderChange]:
    """Draw messages that can be true: a match is of an order that rests, and of no more than is left."""
    naive, told = NaiveOrders(), []
    for _ in range(draw(st.integers(1, 30))):
        kind = draw(st.sampled_from(["set", "set", "set", "match", "done"]))
        ident = draw(st.sampled_from(IDS))
        order = naive.find(ident)
        if kind == "match" and order is not None:
            fitting = [size for size in SIZES if Decimal(size) <= order.size]
            told.append(match(ident, draw(st.sampled_from([*fitting, format(order.size, "f")]))))
        elif kind == "done":
            told.append(done(ident))
        else:
            side, price = draw(st.sampled_from(["buy", "sell"])), draw(st.sampled_from(PRICES))
            told.append(put(ident, side, price, draw(st.sampled_from(SIZES))))
        naive_takes(naive, told[-1])
    return told


def naive_takes(naive: NaiveOrders, change: OrderChange) -> None:
    naive.tell(change.kind.value, change.order_id, change.side, change.price, change.size)


@given(messages())
def test_queues_sums_and_what_is_told_equal_a_naive_book_s(told: list[OrderChange]) -> None:
    naive, book = NaiveOrders(), OrderBook(None, ALL)
    for change in told:
        naive_takes(naive, change)
        (event,) = book.take(push(change), 7)
        kind, ident, side, price, remaining = naive.log[-1]
        assert (event.kind.value, event.order_id, event.side) == (kind, ident, side)
        assert (event.price is None) is (price is None)
        assert price is None or Decimal(event.price or "0") == Decimal(price)
        assert (event.remaining is None) is (remaining is None)
        assert remaining is None or Decimal(event.remaining or "0") == remaining
        for held, name in ((book.bids, "buy"), (book.asks, "sell")):
            theirs = naive.queue(name)
            assert [(ident, Decimal(size)) for _, size, ident in queue(held)] == [(i, size) for _, size, i in theirs]
            assert all(Decimal(size) > 0 for _, size, _ in queue(held))
            levels = [(Decimal(price), Decimal(total), int(count)) for price, total, _, count in held.rows]
            assert levels == naive.levels(name)
            assert held.count == len(theirs)
        assert len(book) == len(naive.resting)
        assert book.is_empty() is (not naive.resting)
    assert book.agrees_with(book.copy())
    assert book.same_levels(*book.summed(ALL))


@given(messages(), messages())
def test_a_copy_goes_its_own_way(before: list[OrderChange], after: list[OrderChange]) -> None:
    book = book_of(*before)
    rows, copied = (book.bids.rows, book.asks.rows), book.copy()
    kept = [*map(queue, (book.bids, book.asks))]
    for change in after:
        try:
            copied.take(push(change), 8)
        except BookError:
            break
    assert (book.bids.rows, book.asks.rows) == rows
    assert [*map(queue, (book.bids, book.asks))] == kept


def test_an_amended_order_keeps_its_place_unless_its_price_changes() -> None:
    book = book_of(put("a", "buy", "10"), put("b", "buy", "10"), put("c", "buy", "9"))
    book.take(push(put("a", "buy", "10.0", "5")), 8)
    assert queue(book.bids) == [("10", "5", "a"), ("10", "1", "b"), ("9", "1", "c")]
    book.take(push(put("a", "buy", "9", "5")), 8)
    assert queue(book.bids) == [("10", "1", "b"), ("9", "1", "c"), ("9", "5", "a")]
    moved = book.take(push(put("b", "sell", "11", "1")), 8)
    assert [(each.kind, each.side) for each in moved] == [(Change.CHANGE, "sell")]
    assert queue(book.asks) == [("11", "1", "b")]


def test_levels_are_exact_sums_in_plain_notation_and_the_first_order_s_price() -> None:
    book = book_of(put("a", "sell", "10.50", "0.10"), put("b", "sell", "10.5", "2e-8"), put("c", "sell", "11", "3.00"))
    assert book.asks.rows == [["10.50", "0.10000002", "0", "2"], ["11", "3", "0", "1"]]
    book.take(push(done("a")), 8)
    assert book.asks.top(1) == [["10.5", "0.00000002", "0", "1"]]
    assert book.asks.best == "10.5"


def test_times_of_entry_are_book_times_and_unknown_for_what_was_there() -> None:
    book = OrderBook(None, ALL)
    book.take(snapshot([["10", "1", "a"]], []), None)
    book.take(push(put("b", "buy", "10")), 42)
    book.take(push(put("b", "buy", "11")), 43)
    assert [(order.id, order.entered_ns) for order in book.bids.orders(9)] == [("b", 42), ("a", None)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (match("a", "1.01"), "order a has 1 left, 1.01 of it were matched"),
        (match("x", "1"), "order x was matched and is not on the book"),
        (OrderChange(Change.DONE, "a", "sell"), "order a is on the other side"),
        (OrderChange(Change.SET, "x", None, "1", "1"), "order x comes without side or price"),
    ],
)
def test_what_cannot_be_true_is_refused_and_changes_nothing(change: OrderChange, why: str) -> None:
    book = book_of(put("a", "buy", "10"))
    with pytest.raises(BookError, match=f"^{why}$"):
        book.take(push(change), 8)
    assert queue(book.bids) == [("10", "1", "a")]


def test_a_book_with_an_order_twice_is_refused() -> None:
    with pytest.raises(BookError, match="order a is twice in a book"):
        OrderBook(None, ALL).take(snapshot([["10", "1", "a"]], [["11", "1", "a"]]), None)


def test_orders_that_do_not_rest_are_told_and_change_nothing() -> None:
    book = book_of(put("a", "buy", "10"))
    told = [
        OrderChange(Change.DONE, "t", "sell", None, None, "0", "filled"),
        OrderChange(Change.CHANGE, "u", "buy", "9", "1"),
    ]
    assert book.take(push(*told), 8) == told
    assert queue(book.bids) == [("10", "1", "a")]


def test_beyond_the_most_orders_the_deepest_levels_go_and_the_best_never() -> None:
    book = book_of(*(put(f"b{n}", "buy", str(100 - n)) for n in range(6)), put("s", "sell", "101"), most=7)
    assert not book.is_cut
    book.take(push(put("s2", "sell", "102")), 8)
    assert book.is_cut
    assert [price for price, _, _ in queue(book.bids)] == ["100", "99", "98", "97", "96"]
    assert (book.bids.last_known, book.asks.last_known) == ("96", None)
    assert (book.is_short_of(5), book.is_short_of(6)) == (False, True)
    # What comes behind the last level left is not kept, and nobody is surprised by what is said of it.
    book.take(push(put("b9", "buy", "95.5"), match("b5", "1"), done("b5")), 8)
    assert queue(book.bids)[-1] == ("96", "1", "b4")
    crowded = book_of(put("a", "buy", "10"), put("b", "buy", "10"), put("c", "sell", "11"), most=1)
    assert (queue(crowded.bids), queue(crowded.asks)) == ([("10", "1", "a"), ("10", "1", "b")], [("11", "1", "c")])


def test_a_window_that_is_nearly_full_ends_inside_the_market() -> None:
    book = book_of(*(put(f"b{n}", "buy", str(100 - n % 3)) for n in range(9)), window=10)
    assert not book.is_short_of(3)
    assert not book.is_short_of(4)
    book.take(push(put("more", "buy", "100")), 8)
    assert book.is_short_of(4)
    assert not book.is_short_of(3)
    book.take(push(match("nobody", "1")), 8)  # an order outside the window
