"""Coinbase Advanced Trade, server side: half of the dialect `coinbase`, and what both halves say alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S, utc_text
from l2_exporter.simulator.dialect import Action, Link, Subscribe, Tell, Unsubscribe, Venue
from l2_exporter.simulator.wire import Kind, Push

DELAY_NS = 23 * NS_PER_MS + 456_789
"""From the engine's time to the sender's."""
ZERO_TIME = "0001-01-01T00:00:00Z"
LEVEL2 = "level2"
HAS_OWN_USDC = ("USDT-USDC", "EURC-USDC")

Json = dict[str, object]


@dataclass(slots=True)
class Talk:
    """What was said on a connection.

    Attributes:
        advanced: whether it is in Advanced Trade's protocol; None until something was subscribed.
        names: what was subscribed, by channel, in the client's words.
        number: of the next frame of Advanced Trade.
        due: lists of subscriptions that are still to be acknowledged; Advanced Trade does so a moment later.
        beat_ns: when a heartbeat was due last.
        trades: number of the last trade that was told, by product.
    """

    advanced: bool | None = None
    names: dict[str, dict[str, None]] = field(default_factory=dict)
    number: int = 0
    due: list[Json] = field(default_factory=list)
    beat_ns: int = 0
    trades: dict[str, int] = field(default_factory=dict)

    def heard(self, push: Push) -> None:
        """Note the trades of a push of single orders."""
        for event in push.events:
            if event.kind == "match":
                self.trades[push.inst] = event.trade_id

    def joined(self, kind: str, channel: str, insts: Sequence[str]) -> None:
        """Begin or end subscriptions."""
        held = self.names.setdefault(channel, {})
        for inst in insts:
            if kind == "subscribe":
                held[inst] = None
            else:
                held.pop(inst, None)
        if not held:
            del self.names[channel]


def advanced(talk: Talk, request: Json, venue: Venue) -> list[Action]:
    """Answer Advanced Trade's request, one channel each; it is acknowledged behind the snapshots it brings."""
    kind, channel = str(request["type"]), request["channel"]
    if channel not in (LEVEL2, "heartbeats"):
        return [error(f"{str(channel)[:64]} is not a valid channel", None)]
    if channel == "heartbeats":
        talk.joined(kind, "heartbeats", ["heartbeats"])
        talk.due.append(_names(talk))
        return []
    listed, unlisted = products(request.get("product_ids"), venue)
    actions: list[Action] = [error(f"{each} is not a valid product", None) for each in unlisted]
    for inst in listed:
        actions += _joined(talk, kind, inst, venue)
    if listed:
        talk.due.append(_names(talk))
    return actions


def _joined(talk: Talk, kind: str, inst: str, venue: Venue) -> list[Action]:
    """Begin or end a subscription. `BTC-USDC` has no book of its own: it is that of `BTC-USD`, if that is listed."""
    book = _in_usd(inst) if _in_usd(inst) in venue.instruments else inst
    others = {name for name in talk.names.get(LEVEL2, {}) if name != inst and _in_usd(name) == _in_usd(inst)}
    talk.joined(kind, LEVEL2, [inst])
    if kind == "unsubscribe":
        return [] if others else [Unsubscribe(LEVEL2, book)]
    return [Unsubscribe(LEVEL2, book), Subscribe(LEVEL2, book)] if others else [Subscribe(LEVEL2, book)]


def _in_usd(inst: str) -> str:
    """Name the product whose data a subscription delivers."""
    return inst[:-1] if inst.endswith("-USDC") and inst not in HAS_OWN_USDC else inst


def _names(talk: Talk) -> Json:
    return {name: [*insts] for name, insts in sorted(talk.names.items())}


def l2_data(talk: Talk, push: Push) -> str:
    """Write a push; all its levels carry the engine's time, the message that of its sending."""
    time = _shortest(push.ts_ns) if push.ts_ns else ZERO_TIME
    rows = [("bid", row) for row in push.bids] + [("offer", row) for row in push.asks]
    updates = [{"side": side, "event_time": time, "price_level": row[0], "new_quantity": row[1]} for side, row in rows]
    kind = "snapshot" if push.kind is Kind.SNAPSHOT else "update"
    event: Json = {"type": kind, "product_id": _in_usd(push.inst), "updates": updates}
    return numbered(talk, "l2_data", push.ts_ns, [event]).text


def numbered(talk: Talk, channel: str, ts_ns: int, events: list[Json]) -> Tell:
    """Write a frame of Advanced Trade: all of a connection are counted."""
    number, talk.number = talk.number, talk.number + 1
    timestamp = _shortest(ts_ns + DELAY_NS)
    return tell({"channel": channel, "timestamp": timestamp, "sequence_num": number, "events": events})


def acknowledgements(talk: Talk, now_ns: int) -> list[Action]:
    """Write the acknowledgements that are due."""
    due, talk.due = talk.due, []
    return [numbered(talk, "subscriptions", now_ns, [{"subscriptions": names}]) for names in due]


def heartbeat(talk: Talk, link: Link, now_ns: int) -> list[Action]:
    """Write the heartbeat of a connection that has subscribed them."""
    if "heartbeats" not in talk.names:
        return []
    since_s = (now_ns - link.opened_ns) / NS_PER_S
    current = f"{utc_text(now_ns, 9)[:-1].replace('T', ' ')} +0000 UTC m=+{since_s:.9f}"
    event: Json = {"current_time": current, "heartbeat_counter": int(since_s)}
    return [numbered(talk, "heartbeats", now_ns, [event])]


def products(ids: object, venue: Venue) -> tuple[list[str], list[str]]:
    """Split the products asked for into those that are listed and those that are not."""
    asked = [str(each) for each in ids] if isinstance(ids, list) else []
    listed = [each for each in asked if each in venue.instruments]
    return listed, [each for each in asked if each not in venue.instruments]


def _shortest(ns: int) -> str:
    """Write a time without trailing zeros, `2026-08-09T21:05:48.27841Z`."""
    return utc_text(ns, 9)[:-1].rstrip("0").rstrip(".") + "Z"


def error(message: str, reason: str | None) -> Tell:
    """Refuse something; Exchange gives the reason beside."""
    frame: Json = {"type": "error", "message": message}
    return tell(frame if reason is None else frame | {"reason": reason})


def tell(frame: Json) -> Tell:
    """Say something that is no push."""
    return Tell(text(frame))


def text(value: object) -> str:
    """Write JSON."""
    return orjson.dumps(value).decode()
