"""Faults between the venue and the client: frames that are lost, late, damaged, doubled, or end the connection.

Every frame of a book passes here; what else the server says is only held back by a stall or lost on a dead link.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.simulator.faults import FaultPlan, Trigger
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Cut, Kind, Output, Push, Send

GARBAGE_BYTES = 64
JUMPS_S = (90, 86_400, 400 * 86_400, -3_600, -400 * 86_400)
BARRED = {
    "drop": frozenset({Kind.SNAPSHOT}),
    "drop_snapshot": frozenset({Kind.DELTA, Kind.KEEPALIVE, Kind.WHOLE}),
    "reorder": frozenset({Kind.SNAPSHOT}),
    "corrupt": frozenset({Kind.SNAPSHOT}),
    "oversize": frozenset({Kind.SNAPSHOT}),
    "close_mid_frame": frozenset({Kind.SNAPSHOT}),
    "event_time_jump": frozenset({Kind.SNAPSHOT}),
    "wrong_size": frozenset({Kind.SNAPSHOT}),
}
"""What a fault never hits. What is done to first frames has names of its own: `drop_snapshot`, `schema_change`."""


def window_of(push: Push) -> tuple[int, int]:
    """Return the numbers `(from, to]` a client lacks if it does not get this push: all of them, if it is a snapshot."""
    return (push.seq - 1 if push.prev is None else push.prev, push.seq)


class WireFaults:
    """Puts the faults of frames into what is sent.

    Args:
        broken_field: the texts that the fault `schema_change` exchanges.
    """

    def __init__(self, plan: FaultPlan, truth: Truth, broken_field: tuple[str, str]) -> None:
        self._plan = plan
        self._truth = truth
        self._broken_field = broken_field
        self._held: dict[tuple[str, str, str], Send] = {}
        self._fates: tuple[tuple[str, Callable[[Trigger, Push, Send], list[Output]]], ...] = (
            ("drop", self._drop),
            ("drop_snapshot", self._drop),
            ("corrupt", self._corrupt),
            ("oversize", self._oversize),
            ("close_mid_frame", self._close_mid_frame),
            ("reorder", self._reorder),
            ("duplicate", self._duplicate),
        )

    def content(self, conn: str, push: Push, now_ns: int) -> Push:
        """Change what a push says, before it is written."""
        for name, change in (
            ("event_time_jump", _jump),
            ("wrong_size", _wrong_size),
            ("bad_checksum", _bad_checksum),
        ):
            trigger = self._plan.struck(name, now_ns, push.inst) if _can_hit(name, push) else None
            if trigger is None:
                continue
            push, detail = change(push, trigger.random)
            self._note(name, conn, push, now_ns, detail)
        return push

    def deliver(self, send: Send) -> list[Output]:
        """Decide what becomes of one frame: usually it is sent."""
        push = send.push
        if push is None:
            return [send]
        outputs = self._with_garbage(send, push)
        if self._plan.lasting("schema_change", send.at_ns, push.inst) is not None:
            send = replace(send, data=_text(send).replace(*self._broken_field))
            self._note("schema_change", send.conn, push, send.at_ns, None)
        for name, fate in self._fates:
            trigger = self._plan.struck(name, send.at_ns, push.inst) if _can_hit(name, push) else None
            if trigger is not None:
                return outputs + fate(trigger, push, send)
        return outputs + self._in_turn(push, send)

    def forget(self, conn: str) -> None:
        """Drop what is held back for a connection that is gone."""
        self._held = {key: send for key, send in self._held.items() if key[0] != conn}

    def _in_turn(self, push: Push, send: Send) -> list[Output]:
        """Send a frame, and behind it the one that was held back; that comes first if the book starts afresh."""
        held = self._held.pop((send.conn, push.channel, push.inst), None)
        if held is None:
            return [send]
        held = replace(held, at_ns=send.at_ns)
        return [held, send] if push.kind is Kind.SNAPSHOT else [send, held]

    def _with_garbage(self, send: Send, push: Push) -> list[Output]:
        trigger = self._plan.struck("garbage", send.at_ns, push.inst)
        if trigger is None:
            return []
        self._truth.fault_done("garbage", send.at_ns, conn=send.conn, detail=f"{GARBAGE_BYTES} random bytes")
        return [Send(send.conn, send.at_ns, b"\xff" + trigger.random.randbytes(GARBAGE_BYTES - 1))]

    def _drop(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        self._note(trigger.spec.name, send.conn, push, send.at_ns, None)
        return []

    def _duplicate(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        self._note("duplicate", send.conn, push, send.at_ns, None)
        return [*self._in_turn(push, send), send]

    def _reorder(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        self._note("reorder", send.conn, push, send.at_ns, "comes after the next one")
        outputs = self._in_turn(push, send)
        self._held[send.conn, push.channel, push.inst] = send
        return [output for output in outputs if output is not send]

    def _corrupt(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        text = _text(send)
        if trigger.random.random() < 0.5:
            data, detail = text[: trigger.random.randrange(1, len(text))], "cut off"
        else:
            data, detail = text.replace(*self._broken_field), "a field has another name"
        self._note("corrupt", send.conn, push, send.at_ns, detail)
        return self._in_turn(push, replace(send, data=data))

    def _oversize(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        size_bytes = trigger.spec.size_bytes or 0
        text = _text(send)
        self._note("oversize", send.conn, push, send.at_ns, f"{size_bytes} bytes")
        return self._in_turn(push, replace(send, data=text + " " * (size_bytes - len(text))))

    def _close_mid_frame(self, trigger: Trigger, push: Push, send: Send) -> list[Output]:
        self._note("close_mid_frame", send.conn, push, send.at_ns, None)
        return [Cut(send.conn, send.at_ns, _text(send))]

    def _note(self, fault: str, conn: str, push: Push, at_ns: int, detail: str | None) -> None:
        self._truth.fault_done(fault, at_ns, inst=push.inst, conn=conn, seqs=window_of(push), detail=detail)


def _can_hit(fault: str, push: Push) -> bool:
    """Tell whether there is something in a push that a fault can spoil."""
    if fault == "bad_checksum":
        return bool(push.checksum)
    if fault == "wrong_size" and all(row[1] == "0" for row in (*push.bids, *push.asks)) and _resting(push) is None:
        return False
    return push.kind not in BARRED.get(fault, ())


def _text(send: Send) -> str:
    return send.data if isinstance(send.data, str) else send.data.decode()


def _jump(push: Push, random: Random) -> tuple[Push, str]:
    """Move the event time; one time in six it is zero."""
    jump_s = random.choice((None, *JUMPS_S))
    ts_ns = 0 if jump_s is None else max(push.ts_ns + jump_s * NS_PER_S, 0)
    return replace(push, ts_ns=ts_ns), "to 0" if jump_s is None else f"by {jump_s} s"


def _wrong_size(push: Push, random: Random) -> tuple[Push, str]:
    """Put a 7 before the size of the best level that is not deleted, of the bids if there is one.

    Where events of orders are told, before the size of the first order that rests behind its event.
    """
    place = _resting(push)
    if place is not None:
        return _wrong_event(push, place)
    on_bids = any(row[1] != "0" for row in push.bids)
    rows = push.bids if on_bids else push.asks
    index = next(index for index, row in enumerate(rows) if row[1] != "0")
    price, size, *rest = rows[index]
    wrong = (*rows[:index], (price, "7" + size, *rest), *rows[index + 1 :])
    changed = replace(push, bids=wrong) if on_bids else replace(push, asks=wrong)
    return changed, f"{'bid' if on_bids else 'ask'} {price}: 7{size} for {size}"


def _resting(push: Push) -> int | None:
    """Find the first event behind which an order rests."""
    return next((place for place, event in enumerate(push.events) if event.left not in ("", "0")), None)


def _wrong_event(push: Push, place: int) -> tuple[Push, str]:
    event = push.events[place]
    wrong = event._replace(size="7" + event.size, left="7" + event.left)
    changed = replace(push, events=(*push.events[:place], wrong, *push.events[place + 1 :]))
    return changed, f"order {event.order_id}: {event.kind} 7{event.size} for {event.size}"


def _bad_checksum(push: Push, random: Random) -> tuple[Push, str]:
    right = push.checksum or 0
    return replace(push, checksum=right ^ random.randint(1, 0xFFFF)), f"for {right}"
