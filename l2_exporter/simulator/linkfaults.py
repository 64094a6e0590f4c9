"""Faults of whole connections: stalls, dead links, closes announced or not, maintenance. Looked at once per step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from l2_exporter.simulator.dialect import Link, Maintenance
from l2_exporter.simulator.faults import FaultPlan, Trigger
from l2_exporter.simulator.faultspec import FaultSpec
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Abort, Close, Freeze, Output, Push, Send
from l2_exporter.simulator.wirefaults import window_of

CLOSED = (1001, "going away")


@dataclass(slots=True)
class _Stall:
    """Frames held back until a moment."""

    spec: FaultSpec
    until_ns: int
    frames: list[Send] = field(default_factory=list)


class LinkFaults:
    """Puts the faults of connections into what is sent."""

    def __init__(self, plan: FaultPlan, truth: Truth, notice: Callable[[Link], str]) -> None:
        self._plan = plan
        self._truth = truth
        self._notice = notice
        self._stalls: list[_Stall] = []
        self._frozen: dict[str, int] = {}
        self._closing: dict[str, int] = {}
        self.maintenances: Sequence[Maintenance] = [
            Maintenance(trigger.begin_ns, trigger.begin_ns + (trigger.spec.span_ns or 0))
            for trigger in plan.of("maintenance")
        ]
        self._hits: tuple[tuple[str, Callable[[Trigger, Link, int], list[Output]]], ...] = (
            ("half_open", self._freeze),
            ("notice", self._announce),
            ("close", self._close),
            ("maintenance", self._close),
        )

    def ticked(self, links: Sequence[Link], now_ns: int) -> list[Output]:
        """Do what is due; a moment waits for a connection that it can hit."""
        outputs = self._released(now_ns)
        outputs += [Abort(conn, now_ns) for conn, until_ns in self._frozen.items() if until_ns <= now_ns]
        outputs += [Close(conn, now_ns, *CLOSED) for conn, until_ns in self._closing.items() if until_ns <= now_ns]
        for name, hit in self._hits:
            for trigger in self._plan.of(name):
                outputs += self._strike(trigger, hit, links, now_ns)
        for trigger in self._plan.of("stall"):
            if trigger.take(now_ns):
                self._stall(trigger, now_ns)
        return outputs

    def deliver(self, send: Send) -> list[Output]:
        """Let a frame pass, hold it back, or lose it on a dead link."""
        inst = send.push.inst if send.push is not None else None
        if send.conn in self._frozen:
            if send.push is not None:
                self._lost("half_open", send, send.push)
            return []
        for stall in self._stalls:
            if stall.spec.selects(inst):
                stall.frames.append(send)
                return []
        return [send]

    def is_frozen(self, conn: str) -> bool:
        """Tell whether nothing is read from a connection any more."""
        return conn in self._frozen

    def in_maintenance(self, now_ns: int) -> bool:
        """Tell whether no connection is accepted."""
        return any(window.begin_ns <= now_ns < window.end_ns for window in self.maintenances)

    def forget(self, conn: str) -> None:
        """Drop what concerns a connection that is gone; frames still held back for it are lost with it."""
        self._frozen.pop(conn, None)
        self._closing.pop(conn, None)
        for stall in self._stalls:
            for send in stall.frames:
                if send.conn == conn and send.push is not None:
                    self._lost("stall", send, send.push)
            stall.frames = [send for send in stall.frames if send.conn != conn]

    def _released(self, now_ns: int) -> list[Output]:
        ended = [stall for stall in self._stalls if stall.until_ns <= now_ns]
        self._stalls = [stall for stall in self._stalls if stall.until_ns > now_ns]
        return [replace(send, at_ns=now_ns) for stall in ended for send in stall.frames]

    def _strike(
        self, trigger: Trigger, hit: Callable[[Trigger, Link, int], list[Output]], links: Sequence[Link], now_ns: int
    ) -> list[Output]:
        if not trigger.due(now_ns):
            return []
        struck = [link for link in links if self._is_hit(trigger.spec, link)]
        if not struck and trigger.spec.name != "maintenance":
            return []
        trigger.take(now_ns)
        return [output for link in struck for output in hit(trigger, link, now_ns)]

    def _is_hit(self, spec: FaultSpec, link: Link) -> bool:
        return link.conn not in self._frozen and any(spec.selects(inst) for _, inst in link.books)

    def _stall(self, trigger: Trigger, now_ns: int) -> None:
        spec = trigger.spec
        self._stalls.append(_Stall(spec, now_ns + (spec.span_ns or 0)))
        self._truth.fault_done("stall", now_ns, inst=spec.insts, detail=spec.text)

    def _lost(self, fault: str, send: Send, push: Push) -> None:
        self._truth.fault_done(fault, send.at_ns, inst=push.inst, conn=send.conn, seqs=window_of(push), detail="lost")

    def _freeze(self, trigger: Trigger, link: Link, now_ns: int) -> list[Output]:
        self._frozen[link.conn] = now_ns + (trigger.spec.span_ns or 0)
        self._truth.fault_done("half_open", now_ns, conn=link.conn, detail=trigger.spec.text)
        return [Freeze(link.conn, now_ns)]

    def _announce(self, trigger: Trigger, link: Link, now_ns: int) -> list[Output]:
        self._closing[link.conn] = now_ns + (trigger.spec.span_ns or 0)
        self._truth.fault_done("notice", now_ns, conn=link.conn, detail=trigger.spec.text)
        return self.deliver(Send(link.conn, now_ns, self._notice(link)))

    def _close(self, trigger: Trigger, link: Link, now_ns: int) -> list[Output]:
        self._truth.fault_done(trigger.spec.name, now_ns, conn=link.conn, detail=trigger.spec.text)
        return [Close(link.conn, now_ns, *CLOSED)]
