"""What a Coinbase connection remembers of its subscriptions: acknowledgements, products in USDC, refusals."""

import json
from typing import Any

import pytest

from l2_exporter.core.errors import SchemaError
from l2_exporter.core.events import BookPush, Event, Numbered, Other, Refused, Subscribed, Unsubscribed
from l2_exporter.venues.coinbase import Coinbase, CoinbaseConnection
from tests.coinbase_frames import BTC, ETH, UPDATE, ack, advanced, decode, event, pushed

COINBASE = Coinbase()

ACK = {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": [BTC], "account_ids": None}]}
BOTH = {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": [ETH, BTC], "account_ids": None}]}


def test_each_protocol_is_asked_in_its_own_words_and_heartbeats_once() -> None:
    connection = CoinbaseConnection()
    assert connection.opened() == []
    texts = connection.subscribe([("level2", BTC), ("level2_batch", BTC), ("level2", ETH)])
    assert [json.loads(text) for text in texts] == [
        {"type": "subscribe", "product_ids": [BTC, ETH], "channel": "level2"},
        {"type": "subscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
        {"type": "subscribe", "channel": "heartbeats"},
    ]
    assert [json.loads(text)["type"] for text in connection.resubscribe("level2", ETH)] == ["unsubscribe", "subscribe"]
    assert [json.loads(text) for text in connection.resubscribe("level2_batch", BTC)] == [
        {"type": "unsubscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
        {"type": "subscribe", "product_ids": [BTC], "channels": ["level2_batch"]},
    ]


def test_acknowledgement_lists_all_subscriptions_and_only_what_is_new_is_told() -> None:
    connection = CoinbaseConnection()
    assert decode(ACK, connection) == [Subscribed("level2_batch", BTC)]
    assert decode(BOTH, connection) == [Subscribed("level2_batch", ETH)]
    assert decode(BOTH, connection) == [Other("subscriptions")]
    assert decode(ACK, connection) == [Unsubscribed("level2_batch", ETH)]
    assert decode({"type": "subscriptions", "channels": []}, connection) == [Unsubscribed("level2_batch", BTC)]
    assert decode(ack(0, BTC, ETH), connection) == [Numbered(0), Subscribed("level2", BTC), Subscribed("level2", ETH)]
    assert decode(ack(1, ETH), connection) == [Numbered(1), Unsubscribed("level2", BTC)]
    heartbeats = advanced(
        2, {"subscriptions": {"heartbeats": ["heartbeats"], "level2": [ETH]}}, channel="subscriptions"
    )
    assert decode(heartbeats, connection) == [Numbered(2), Other("subscriptions")]


def test_the_documented_name_in_an_acknowledgement_is_taken_too() -> None:
    assert decode({"type": "subscriptions", "channels": [{"name": "level2_batch", "product_ids": [BTC]}]}) == [
        Subscribed("level2_batch", BTC)
    ]


@pytest.mark.parametrize("events", [None, [], [1], [{}], [{"subscriptions": []}]])
def test_acknowledgement_without_a_list_ends_nothing(events: Any) -> None:
    connection = CoinbaseConnection()
    decode(ack(0, BTC), connection)
    odd = ack(1) | {"events": events}
    assert decode(odd, connection) == [Numbered(1), Other("subscriptions without a list", known=False)]
    assert decode(ack(2, BTC), connection) == [Numbered(2), Other("subscriptions")]


@pytest.mark.parametrize("channels", [None, "x", {}, [1]])
def test_acknowledgement_of_exchange_without_a_list_ends_nothing(channels: Any) -> None:
    connection = CoinbaseConnection()
    decode(ACK, connection)
    odd = {"type": "subscriptions", "channels": channels}
    assert decode(odd, connection) == [Other("subscriptions without a list", known=False)]
    assert decode(ACK, connection) == [Other("subscriptions")]


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (
            {"type": "error", "message": "Failed to subscribe", "reason": "ETH-XYZ is not a valid product"},
            Refused("Failed to subscribe", "ETH-XYZ is not a valid product"),
        ),
        ({"type": "error", "message": "authentication failure"}, Refused("error", "authentication failure")),
        ({"type": "error"}, Refused("error", "None")),
    ],
)
def test_errors_are_refusals(sent: Any, event: Event) -> None:
    assert decode(sent) == [event]


# ---- products in USDC -----------------------------------------------------------------------------------------------


def insts(channel: str, product: str, *asked: str) -> list[str]:
    """Tell which instruments get what comes of a product on a connection with these subscriptions."""
    connection = CoinbaseConnection()
    connection.subscribe([(channel, inst) for inst in asked])
    sent = advanced(1, event(product=product)) if channel == "level2" else UPDATE | {"product_id": product}
    return [push.inst for push in pushed(sent, connection)]


def test_product_in_usd_is_what_was_subscribed_in_usdc() -> None:
    assert insts("level2", BTC, "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2", BTC, "BTC-USDC", BTC) == [BTC, "BTC-USDC"]
    assert insts("level2", BTC, "ETH-USDC") == [BTC]
    assert insts("level2", "BTC-USDC", "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2_batch", BTC, "BTC-USDC") == ["BTC-USDC"]
    assert insts("level2_batch", BTC, "BTC-USDC", BTC) == [BTC]


@pytest.mark.parametrize("base", ["USDT", "EURC"])
def test_products_with_books_of_their_own_in_usdc_are_no_others(base: str) -> None:
    assert insts("level2", f"{base}-USD", f"{base}-USDC", f"{base}-USD") == [f"{base}-USD"]
    assert insts("level2", f"{base}-USD", f"{base}-USDC") == [f"{base}-USD"]


def test_acknowledgement_and_odd_frame_name_what_was_subscribed() -> None:
    connection = CoinbaseConnection()
    connection.subscribe([("level2", "BTC-USDC")])
    assert decode(ack(0, BTC), connection) == [Numbered(0), Subscribed("level2", "BTC-USDC")]
    with pytest.raises(SchemaError) as caught:
        decode(advanced(1, event() | {"updates": None}), connection)
    assert caught.value.inst == "BTC-USDC"


def test_connections_remember_their_own_subscriptions() -> None:
    one, other = COINBASE.connection({}), COINBASE.connection({})
    one.subscribe([("level2", "BTC-USDC")])
    (push,) = [each for each in other.decode(json.dumps(advanced())) if isinstance(each, BookPush)]
    assert push.inst == BTC
