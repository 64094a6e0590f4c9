"""The recorder on a simulated Poloniex: true lines, one loss for a lost update, and a client that keeps talking."""

from l2_exporter.core.state import Standing
from tests.venues.in_memory import InMemory

INSTS = ("BTC_USDT", "SIM01_USDT")
PING = '{"event":"ping"}'


def test_lines_are_true_and_the_venue_hears_from_a_busy_client_in_time() -> None:
    wire = InMemory("poloniex", "book_lv2", INSTS)
    wire.run(100)
    assert len(wire.lines) >= 2 * 48
    assert [line for line in wire.lines if not wire.is_true(line, 20)] == []
    assert {len(side) for line in wire.lines for side in (line.bids, line.asks)} == {20}
    assert {line.flags for line in wire.lines} == {()}
    assert (wire.said("gap"), wire.said("canary")) == ([], [])
    assert (wire.sent[1:], wire.ended) == ([PING] * 10, [])


def test_lost_update_is_one_loss_of_that_book_and_a_new_subscription_ends_it() -> None:
    wire = InMemory("poloniex", "book_lv2", INSTS, "drop@5s/BTC_USDT")
    wire.run(9)
    assert wire.said("gap") == [("BTC_USDT", "sequence")]
    assert wire.methods("event") == ["subscribe", "unsubscribe", "subscribe"]
    assert [keeper.standing for keeper in wire.feed.keepers.values()] == [Standing.LIVE] * 2
    assert [line for line in wire.lines if not wire.is_true(line, 20)] == []


def test_silent_client_is_cut_however_much_is_sent_to_it() -> None:
    wire = InMemory("poloniex", "book_lv2", INSTS)
    wire.run(5)
    conn, _ = wire.exchange.link_opened("/ws/public", wire.exchange.now_ns)
    wire.exchange.frame_received(conn, wire.sent[0], wire.exchange.now_ns)
    wire.run(29)
    assert wire.ended == []
    wire.run(2)
    assert [output.conn for output in wire.ended] == [conn]
