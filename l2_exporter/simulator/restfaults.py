"""Faults of HTTP: answers late, old, refused, broken, or never."""

from collections.abc import Callable
from dataclasses import replace

from l2_exporter.simulator.dialect import Book, Dialect, Request
from l2_exporter.simulator.faults import FaultPlan, Trigger
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Reply

PAGE = "<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
FAILURES = (500, 502, 503)


class RestFaults:
    """Puts the faults of HTTP into the answers.

    Args:
        start_ns: when the exchange started; cached books are renewed at multiples of the span after it.
    """

    def __init__(self, plan: FaultPlan, truth: Truth, dialect: Dialect, start_ns: int) -> None:
        self._plan = plan
        self._truth = truth
        self._dialect = dialect
        self._start_ns = start_ns
        self._cached: dict[tuple[bool, str], tuple[int, Book]] = {}
        self._refusals: tuple[tuple[str, Callable[[Trigger], Reply]], ...] = (
            ("rest_hang", lambda trigger: Reply(0, "", hangs=True)),
            ("rest_429", lambda trigger: self._dialect.too_many_requests()),
            ("rest_5xx", lambda trigger: Reply(trigger.random.choice(FAILURES), "upstream failed", HTML)),
            ("rest_html", lambda trigger: Reply(200, PAGE, HTML)),
        )

    def answer(self, request: Request, now_ns: int, make: Callable[[], Reply]) -> Reply:
        """Answer a request as the venue does, or as a fault has it."""
        inst = self._dialect.requested_inst(request)
        for name, refuse in self._refusals:
            trigger = self._plan.struck(name, now_ns, inst)
            if trigger is not None:
                self._truth.fault_done(name, now_ns, inst=inst, detail=request.path)
                return refuse(trigger)
        late = next((t for t in self._plan.of("rest_late") if now_ns >= t.begin_ns and t.spec.selects(inst)), None)
        if late is None:
            return make()
        self._truth.fault_done("rest_late", now_ns, inst=inst, detail=late.spec.text)
        return replace(make(), delay_ns=late.spec.span_ns or 0)

    def stepped(self, inst: str, now_ns: int, book: Callable[[], Book], *, orders: bool = False) -> None:
        """Renew the cached book of an instrument, of levels or of orders, where its time has come."""
        trigger = self._plan.present("rest_cached", inst)
        if trigger is None or not trigger.spec.span_ns:
            return
        number = (now_ns - self._start_ns) // trigger.spec.span_ns
        if (orders, inst) not in self._cached or self._cached[orders, inst][0] != number:
            self._cached[orders, inst] = (number, book())

    def book(self, inst: str, now_ns: int, fresh: Book, *, orders: bool = False) -> Book:
        """Return the book to answer with, which may be an old one."""
        trigger = self._plan.present("rest_cached", inst)
        if trigger is None or now_ns < trigger.begin_ns or (orders, inst) not in self._cached:
            return fresh
        old = self._cached[orders, inst][1]
        if old.seq != fresh.seq:
            seqs = (old.seq, fresh.seq)
            self._truth.fault_done("rest_cached", now_ns, inst=inst, seqs=seqs, detail=trigger.spec.text)
        return old
