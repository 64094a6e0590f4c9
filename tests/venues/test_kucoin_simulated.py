"""KuCoin's recorder against its simulated exchange in memory: joins, losses, tickets, contracts that never traded."""

import json

import pytest

from l2_exporter.core.timetext import HOUR_NS
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.wire import Close, Send
from l2_exporter.venues.registry import venue_named
from tests.tools.listed import entrance
from tests.venues.in_memory import START_NS, InMemory

FUTURES = ("XBTUSDTM", "XBTUSDM", "XBTMH27")
SPOT = ("BTC-USDT", "ETH-USDT")
DEPTH = 400
every_exchange = pytest.mark.parametrize(("venue", "insts"), [("kucoin", FUTURES), ("kucoin_spot", SPOT)])


@every_exchange
def test_a_minute_gives_the_exchange_s_own_books(venue: str, insts: tuple[str, ...]) -> None:
    wire = InMemory(venue, "level2", insts)
    wire.run(60)
    assert {line.spec.inst for line in wire.lines} == {*insts}
    assert len(wire.lines) > 20 * len(insts)
    assert [line for line in wire.lines if not wire.is_true(line, DEPTH)] == []
    assert wire.said("gap") == wire.said("canary") == []
    assert [record.detail["instId"] for record in wire.ledger if record.kind == "subscribed"] == [*insts]
    assert {flag for line in wire.lines for flag in line.flags} == {"seeded_from_rest"}
    assert wire.methods("type").count("ping") == 3
    assert wire.ended == []


@every_exchange
def test_one_lost_message_is_one_loss_and_a_rest_book_makes_it_good(venue: str, insts: tuple[str, ...]) -> None:
    wire = InMemory(venue, "level2", insts, f"drop@20s/{insts[0]}")
    wire.run(40)
    assert wire.said("gap") == [(insts[0], "sequence")]
    assert sorted(wire.said("resync")[:-1]) == sorted((inst, "rest") for inst in insts)
    assert wire.said("resync")[-1] == (insts[0], "rest")
    assert sorted(wire.said("live")[:-1], key=str) == sorted(((inst, None) for inst in insts), key=str)
    assert wire.said("live")[-1] == (insts[0], "sequence")
    assert [line for line in wire.lines if not wire.is_true(line, DEPTH) and "gap" not in line.flags] == []
    assert wire.methods("type") == ["subscribe"] * (len(insts) if venue == "kucoin" else 1) + ["ping"] * 2


def test_each_change_of_a_contract_is_a_message_with_the_next_number_and_some_change_nothing() -> None:
    wire = InMemory("kucoin", "level2", FUTURES[:1])
    wire.run(20)
    messages = [json.loads(text)["data"] for text in wire.pushes]
    numbers = [message["sequence"] for message in messages]
    assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
    void = [message for message in messages if message["change"].startswith("0,")]
    assert 20 < len(void) < len(messages) / 5


def test_a_pair_is_known_as_far_as_rest_shows_it_and_asked_for_again_when_that_is_too_little() -> None:
    wire = InMemory("kucoin_spot", "level2", ("DEEP-USDT",))
    wire.run(60)
    assert wire.said("gap") == []
    audits = [record.detail for record in wire.ledger if record.kind == "audit"]
    assert audits == [{"agrees": True, "bids": 100, "asks": 100}] * 2
    assert wire.said("resync") == [("DEEP-USDT", "rest")] * 3
    assert len(wire.lines) > 20
    for line in wire.lines:
        truth, shown = wire.truth_of(line), (len(line.bids), len(line.asks))
        assert "partial_depth" in line.flags
        assert 30 < min(shown) <= max(shown) < 130
        assert line.bids == [[*row] for row in truth.bids or ()][: shown[0]]
        assert line.asks == [[*row] for row in truth.asks or ()][: shown[1]]


def test_whole_levels_are_taken_as_they_come() -> None:
    wire = InMemory("kucoin_spot", "level2Depth50", SPOT)
    wire.run(20)
    assert {line.spec.dataset for line in wire.lines} == {"l2_spot.level2Depth50"}
    assert [line for line in wire.lines if not wire.is_true(line, 50)] == []
    assert wire.said("resync") == wire.said("gap") == []


def test_a_contract_without_a_number_is_asked_for_again_until_it_has_one() -> None:
    wire = InMemory("kucoin", "level2", ("NEWUSDTM",))
    wire.run(20)
    assert wire.said("resync")[:2] == [("NEWUSDTM", "rest")] * 2
    assert wire.said("live") == [("NEWUSDTM", None)]
    assert wire.said("gap") == []
    assert len(wire.lines) > 5
    assert [line for line in wire.lines if not wire.is_true(line, DEPTH)] == []


def turned_away(exchange: Exchange, path: str) -> bool:
    """Tell whether a client with this address is sent away, and told why; if not, it is welcomed by its id."""
    conn, (said, *more) = exchange.link_opened(path, exchange.now_ns)
    assert isinstance(said, Send)
    message = json.loads(said.data)
    if message["type"] == "welcome":
        assert (message["id"], more) == (path.rpartition("=")[2], [])
        return False
    assert (message["type"], message["code"], message["data"]) == ("error", 401, "token is invalid")
    assert more == [Close(conn, exchange.now_ns, 1000, "")]
    assert exchange.frame_received(conn, '{"id":"1","type":"ping"}', exchange.now_ns) == []
    return True


@every_exchange
def test_a_client_needs_a_ticket_of_this_exchange_that_is_less_than_a_day_old(
    venue: str, insts: tuple[str, ...]
) -> None:
    exchange = Exchange(Settings(venue, 1, insts, HOUR_NS), START_NS)
    good = entrance(exchange, venue_named(venue), "level2")
    for path in ("/endpoint", "/endpoint?token=&connectId=x", good.replace("token=2neAiu", "token=2neAiv")):
        assert turned_away(exchange, path)
    exchange.time_advanced(START_NS + 24 * HOUR_NS - 1)
    assert not turned_away(exchange, good)
    exchange.time_advanced(START_NS + 24 * HOUR_NS)
    assert turned_away(exchange, good)
    assert not turned_away(exchange, entrance(exchange, venue_named(venue), "level2"))


def test_tickets_are_posted_for_and_nothing_else_is() -> None:
    exchange = Exchange(Settings("kucoin", 1, FUTURES), START_NS)
    replies = [
        exchange.request_received(path, START_NS, posted)
        for path, posted in (("/api/v1/bullet-public", None), ("/api/v1/contracts/active", ""))
    ]
    assert [(reply.status, json.loads(reply.body)["msg"]) for reply in replies] == [
        (405, "POST only"),
        (405, "GET only"),
    ]
