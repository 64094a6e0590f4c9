"""The market of single orders: queues are kept, what is traded balances, a seed decides everything."""

import os
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import pytest

from l2_exporter.simulator.orderevents import Message, OrderEvent, OrderStyle
from l2_exporter.simulator.orders import OrderMarket
from l2_exporter.simulator.registry import DIALECTS
from tests.simulator.naive import MS, T0
from tests.simulator.naive_orders import Orders, Rows

KINDS = [("coinbase", "BTC-USD"), ("bitfinex", "tBTCUSD"), ("bitfinex", "tVETBTC"), ("bitso", "xrp_mxn")]
SEEDS = [1, 2]
STEPS = 300


def market_of(venue: str, inst: str, seed: object = 1) -> OrderMarket:
    """Make a market as a venue's channels of orders have it."""
    dialect = DIALECTS[venue](1)
    return OrderMarket(dialect.instrument(inst, T0), style_of(venue), str(seed), T0)


def style_of(venue: str) -> OrderStyle:
    """Return the style of a venue's orders."""
    return next(channel.orders for channel in DIALECTS[venue](1).channels.values() if channel.orders is not None)


def told(market: OrderMarket, steps: int = STEPS, begin: int = 1) -> list[Message]:
    """Let a market move."""
    return [message for step in range(begin, begin + steps) for message in market.step(T0 + step * 100 * MS)]


def after(orders: Orders, event: OrderEvent) -> None:
    """Do what an event says; nothing is filled or taken away that was not there."""
    held = orders.known.get(event.order_id)
    if event.kind == "match":
        assert held is not None
        assert orders.is_first(event.order_id)
        assert (held[2], held[2] - Decimal(event.size)) == (Decimal(event.old_size), Decimal(event.left))
    if event.kind == "change" and event.left:
        assert held is not None
        assert (held[1], held[2]) == (event.old_price, Decimal(event.old_size))
    if event.left == "0":
        orders.drop(event.order_id)
    elif event.left:
        assert (event.kind == "open") == (held is None)
        orders.put(0 if event.is_bid else 1, event.order_id, event.price, event.left)
    else:
        assert held is None


def opened(market: OrderMarket) -> Orders:
    """Begin a naive book with what a market opens with."""
    orders = Orders()
    for event in market.opening().events:
        after(orders, event)
    return orders


def shown(market: OrderMarket) -> Rows:
    """Return all orders of a market: price, size, id."""
    bids, asks = market.rows(10**9)
    return tuple((row[0], row[1], row[2]) for row in bids), tuple((row[0], row[1], row[2]) for row in asks)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("venue", "inst"), KINDS)
def test_events_lead_to_the_market_s_orders_and_levels_at_every_message(venue: str, inst: str, seed: int) -> None:
    market = market_of(venue, inst, seed)
    orders = opened(market)
    for step in range(1, STEPS // 5):
        for message in market.step(T0 + step * 100 * MS):
            for event in message.events:
                after(orders, event)
            assert market.seq == message.seq
            if not market.style.each_event:
                assert orders.rows() == shown(market)
        assert orders.rows() == shown(market)
        assert orders.levels() == tuple(map(tuple, market.levels(400)))


@pytest.mark.parametrize(("venue", "inst"), KINDS)
def test_messages_are_numbered_one_by_one_and_their_times_never_fall(venue: str, inst: str) -> None:
    market = market_of(venue, inst)
    opening, style = market.opening(), style_of(venue)
    for step in range(1, STEPS):
        now_ns = T0 + step * 100 * MS
        messages = [*market.step(now_ns)]
        times = [message.ts_ns for message in messages]
        assert times == sorted(times)
        assert all(now_ns - 100 * MS <= time_ns <= now_ns and time_ns % style.time_ns == 0 for time_ns in times)
        assert len({*times}) > 1 or len(times) < 3
        assert all(len(message.events) == 1 or not style.each_event for message in messages)
        for message in messages:
            assert (message.prev, message.seq) == (opening.seq, opening.seq + 1)
            opening = message


def test_what_was_ordered_is_what_was_traded_cancelled_shrunk_or_rests() -> None:
    market = market_of("coinbase", "BTC-USD")
    resting = sum(Decimal(event.left) for event in market.opening().events)
    events = [event for message in told(market) for event in message.events]

    def total(kind: str, *reasons: str) -> Decimal:
        return sum((Decimal(event.size) for event in events if event.kind == kind and event.reason in reasons), start)

    start = Decimal(0)
    changes = [event for event in events if event.kind == "change"]
    shrunk = sum((Decimal(event.old_size) - Decimal(event.size) for event in changes), start)
    rest = sum((Decimal(row[1]) for side in market.rows(10**9) for row in side), start)
    assert resting + total("received", "") == 2 * total("match", "") + total("done", "canceled") + shrunk + rest
    assert total("done", "filled") == 0
    matches = [event for event in events if event.kind == "match"]
    assert [later.trade_id - event.trade_id for event, later in pairwise(matches)] == [1] * (len(matches) - 1)


def test_takers_are_done_without_having_rested_or_rest_with_what_is_left() -> None:
    market = market_of("coinbase", "BTC-USD")
    story: dict[str, list[str]] = {}
    for message in told(market):
        for event in message.events:
            story.setdefault(event.order_id, []).append(f"{event.kind} {event.reason}".strip())
            if event.kind == "match":
                story.setdefault(event.other_id, []).append("took")
    stories = {" ".join(dict.fromkeys(each)) for each in story.values() if each[0] == "received"}
    begun = {
        "received open",
        "received open match done filled",
        "received open done canceled",
        "received open change modify_order",
        "received took done filled",
        "received took open",
        "received took change STP done filled",
        "received done canceled",
    }
    assert begun == {each for each in begun if any(one.startswith(each) for one in stories)}
    assert all(each.startswith("received") for each in stories)


@pytest.mark.parametrize(("venue", "inst"), KINDS)
def test_books_are_as_large_as_they_shall_be_and_have_queues(venue: str, inst: str) -> None:
    market = market_of(venue, inst)
    pace = market.instrument.pace
    queued = 0
    for step in range(1, STEPS):
        for _ in market.step(T0 + step * 100 * MS):
            pass
        for side, levels in zip(market.rows(10**9), market.levels(10**9), strict=True):
            assert 75 <= len(side) <= 300
            assert len(levels) < 400
            queued += sum(int(level[3]) > 1 for level in levels)
        bids, asks = market.levels(1)
        assert Decimal(bids[0][0]) < Decimal(asks[0][0])
    assert queued / STEPS > 10
    assert pace.most < 390


def test_two_messages_move_an_order_where_the_venue_does_it_so() -> None:
    one, two = ([message.events for message in told(market_of(*kind))] for kind in (KINDS[1], ("bitso", "btc_mxn")))
    assert any(event.old_price != event.price for events in one for event in events if event.kind == "change")
    assert not any(event.old_price != event.price for events in two for event in events if event.kind == "change")
    moved = [
        (gone[0], there[0])
        for gone, there in pairwise(two)
        if gone[0].reason == "canceled" and there[0].order_id == gone[0].order_id
    ]
    assert len(moved) > 20
    assert all((gone.left, there.kind) == ("0", "open") and gone.price != there.price for gone, there in moved)


def test_a_crossed_market_has_its_best_bid_above_its_best_ask_until_it_ends() -> None:
    market = market_of("coinbase", "BTC-USD")
    told(market, 20)
    market.crossed = True
    events = [event.kind for message in told(market, 20, 21) for event in message.events]
    bids, asks = market.levels(1)
    assert Decimal(bids[0][0]) > Decimal(asks[0][0])
    assert "match" not in events
    market.crossed = False
    told(market, 5, 41)
    bids, asks = market.levels(1)
    assert Decimal(bids[0][0]) < Decimal(asks[0][0])


def test_reset_lets_the_number_fall_once() -> None:
    market = market_of("bitso", "btc_mxn")
    before = market.seq
    market.reset()
    messages = told(market, 5)
    assert (messages[0].prev, messages[0].seq) == (before, before // 2)
    assert [message.seq - message.prev for message in messages[1:]] == [1] * (len(messages) - 1)


RUN = """
import hashlib, json
from l2_exporter.simulator.exchange import Exchange, Settings
from tests.simulator.naive import MS, T0
from tests.simulator.ordertalks import TALKS
digest = hashlib.sha256()
for talk in TALKS:
    exchange = Exchange(Settings(talk.venue, 3, talk.insts, 200 * MS, "drop:0.05,duplicate:0.05,reorder:0.05"), T0)
    conn, outputs = exchange.link_opened(talk.path, T0)
    for frame in talk.frames:
        outputs += exchange.frame_received(conn, frame, T0)
    outputs += exchange.time_advanced(T0 + 6000 * MS)
    digest.update(repr(outputs).encode())
    digest.update(repr([exchange.truth.order_book_at(inst, exchange.now_ns) for inst in talk.insts]).encode())
print(digest.hexdigest())
"""


def test_the_same_seed_gives_the_same_frames_under_any_hash_seed() -> None:
    digests = []
    for hash_seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."}
        done = subprocess.run([sys.executable, "-c", RUN], env=env, capture_output=True, text=True, check=True)
        digests.append(done.stdout.strip())
    assert digests[0] == digests[1]
    assert len(digests[0]) == 64


def test_another_seed_gives_another_market() -> None:
    assert market_of("bitso", "btc_mxn", 1).rows(10) != market_of("bitso", "btc_mxn", 2).rows(10)
