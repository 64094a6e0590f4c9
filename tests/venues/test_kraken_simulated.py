"""The recorder on a simulated Kraken, at depths that cut its books: true lines, and one loss for a lost update."""

import json
from collections import Counter

import pytest

from l2_exporter.core.state import Standing
from tests.venues.in_memory import InMemory

INSTS = ("BTC/USD", "DOGE/USD")


def returns(pushes: list[str], depth: int) -> int:
    """Count levels that a client was told anew although their delete was never told."""
    held: dict[tuple[str, str], dict[float, None]] = {}
    left: set[tuple[str, str, float]] = set()
    count = 0
    for text in pushes:
        message = json.loads(text)
        book = message["data"][0]
        for name, sign in (("bids", -1), ("asks", 1)):
            side = held.setdefault((book["symbol"], name), {})
            for level in book[name]:
                key = (book["symbol"], name, level["price"])
                if level["qty"] == 0:
                    side.pop(level["price"], None)
                    left.discard(key)
                else:
                    count += key in left
                    left.discard(key)
                    side[level["price"]] = None
            for price in sorted(side, key=lambda price: sign * price)[depth:]:
                del side[price]
                left.add((book["symbol"], name, price))
    return count


@pytest.mark.parametrize(("channel", "depth"), [("book-10", 10), ("book-100", 100), ("book", 400)])
def test_lines_are_true_though_levels_leave_the_window_without_a_delete(channel: str, depth: int) -> None:
    wire = InMemory("kraken", channel, INSTS)
    wire.run(60)
    lines = Counter(line.spec.inst for line in wire.lines)
    assert min(lines.values()) >= 28
    assert {line.checksum_ok for line in wire.lines} == {True}
    assert [line for line in wire.lines if not wire.is_true(line, depth)] == []
    assert {line.flags for line in wire.lines} == {()}
    assert (wire.said("gap"), wire.said("canary"), wire.ended) == ([], [], [])
    if depth < 400:
        assert {len(side) for line in wire.lines for side in (line.bids, line.asks)} == {depth}
        assert returns(wire.pushes, depth) > 20
    else:
        assert returns(wire.pushes, 1000) == 0


@pytest.mark.parametrize("channel", ["book-10", "book-100", "book"])
def test_lost_update_is_one_loss_of_that_book_and_a_new_subscription_ends_it(channel: str) -> None:
    wire = InMemory("kraken", channel, INSTS, "drop@10s/BTC/USD")
    wire.run(30)
    assert wire.said("gap") == [("BTC/USD", "checksum")]
    assert wire.methods("method") == ["subscribe", "unsubscribe", "subscribe"]
    assert [json.loads(text)["params"]["symbol"] for text in wire.sent[1:]] == [["BTC/USD"]] * 2
    assert [keeper.standing for keeper in wire.feed.keepers.values()] == [Standing.LIVE] * 2
    depth = wire.lines[0].spec.depth
    assert [line for line in wire.lines if not wire.is_true(line, depth)] == []
    assert [line.spec.inst for line in wire.lines if "after_gap" in line.flags] == ["BTC/USD"]


def test_quiet_connection_is_kept_by_heartbeats_alone() -> None:
    wire = InMemory("kraken", "book", INSTS[:1], "quiet:10m@5s", interval_ms=500)
    wire.run(60)
    assert (wire.said("gap"), wire.said("canary"), wire.said("stale")) == ([], [], [])
    # Of 55 quiet seconds each had one; they say nothing of the book, and no line repeats it.
    assert wire.feed.links["c1"].control >= 55
    assert wire.truth_of(wire.lines[-1]) == wire.exchange.truth.books[-1]
