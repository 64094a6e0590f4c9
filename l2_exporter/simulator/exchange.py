"""A simulated exchange without I/O: markets that move, clients that subscribe, faults that strike, and the truth kept.

Frames, requests and time go in, what the server does comes out as a list. No socket, thread or clock: a test can wire
it to a client in memory and let hours pass at once; `server` carries it over loopback sockets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.simulator.dialect import (
    Action,
    Book,
    Dialect,
    HangUp,
    Link,
    Maintenance,
    Request,
    Subscribe,
    Tell,
    Unsubscribe,
)
from l2_exporter.simulator.faults import FaultPlan
from l2_exporter.simulator.faultspec import parse_faults
from l2_exporter.simulator.floor import Floor
from l2_exporter.simulator.instrument import Instrument
from l2_exporter.simulator.linkfaults import LinkFaults
from l2_exporter.simulator.registry import dialect_named
from l2_exporter.simulator.restfaults import RestFaults
from l2_exporter.simulator.truth import BOOK_DEPTH, Truth
from l2_exporter.simulator.wire import Close, Freeze, Kind, Output, Push, Reply, Send
from l2_exporter.simulator.wirefaults import WireFaults

PLAIN = {"Content-Type": "text/plain"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What to simulate.

    Attributes:
        instruments: ids, or how many of the venue's defaults; None: all defaults.
        interval_ns: time between two steps of the markets; each is pushed on every channel.
        faults: in the grammar of docs/SIMULATOR.md.
        keepalive_ns: silence after which a channel sends something; None: as the venue does.
    """

    venue: str = "okx"
    seed: int = 1
    instruments: int | tuple[str, ...] | None = None
    interval_ns: int = 100 * NS_PER_MS
    faults: str = ""
    keepalive_ns: int | None = None


class Exchange:
    """One simulated exchange. Every input carries the time, which never goes back, and first runs the steps now due.

    Attributes:
        now_ns: the time of the last input or step.
        instruments: what is listed, by id.
        truth: what really happened.

    Raises:
        ConfigError: an unknown venue, instrument or fault.
    """

    def __init__(self, settings: Settings, start_ns: int, truth: Truth | None = None) -> None:
        if settings.interval_ns <= 0:
            raise ConfigError("the interval between two steps must be above 0")
        self.settings = settings
        self.truth = truth or Truth()
        self.dialect = dialect_named(settings.venue)(settings.seed)
        self.instruments = _listing(self.dialect, settings.instruments, start_ns)
        self.now_ns = self._stepped_ns = start_ns
        specs = parse_faults(settings.faults)
        plan = self._plan = FaultPlan(specs, settings.seed, start_ns, self.dialect.lacks)
        self._wire = WireFaults(plan, self.truth, self.dialect.broken_field)
        self._link_faults = LinkFaults(plan, self.truth, self.dialect.notice)
        self._rest = RestFaults(plan, self.truth, self.dialect, start_ns)
        self._floor = Floor(self.dialect, self.instruments, plan, self.truth, settings.seed, settings.keepalive_ns)
        self._links: dict[str, Link] = {}
        self._link_count = 0
        self._outputs: list[Output] = []

    @property
    def due_ns(self) -> int:
        """Return when the next step is due."""
        return self._stepped_ns + self.settings.interval_ns

    @property
    def maintenances(self) -> Sequence[Maintenance]:
        """Return every maintenance, past and to come."""
        return self._link_faults.maintenances

    def link_refused(self, path: str, now_ns: int) -> Reply | None:
        """Answer a handshake that is not accepted; None: go on with `link_opened`."""
        if not self.dialect.accepts(urlsplit(path).path):
            return Reply(404, f"the WebSocket is at {self.dialect.ws_path}", PLAIN)
        if self._link_faults.in_maintenance(now_ns):
            return Reply(503, "maintenance", PLAIN)
        return None

    def link_opened(self, path: str, now_ns: int) -> tuple[str, list[Output]]:
        """Accept a connection; returns the name it has from now on."""
        self._advance(now_ns)
        self._link_count += 1
        link = Link(f"sim-{self._link_count}", path, self.now_ns, self.now_ns)
        self._links[link.conn] = link
        self._do(link, self.dialect.opened(link))
        return link.conn, self._taken()

    def frame_received(self, conn: str, frame: str | bytes, now_ns: int) -> list[Output]:
        """Take a client's frame. A dead link, or one that is gone, answers nothing."""
        self._advance(now_ns)
        link = self._links.get(conn)
        if link is not None and not self._link_faults.is_frozen(conn):
            link.active_ns = self.now_ns
            self._do(link, self.dialect.received(link, frame, self))
        return self._taken()

    def link_closed(self, conn: str, now_ns: int) -> list[Output]:
        """Learn that a client is gone."""
        self._advance(now_ns)
        self._forget(conn)
        return self._taken()

    def time_advanced(self, now_ns: int) -> list[Output]:
        """Run every step up to now."""
        self._advance(now_ns)
        return self._taken()

    def request_received(
        self, target: str, now_ns: int, posted: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Answer an HTTP request for a path with its query, a POST with its body or a GET.

        What steps had to be run is said at the next input.
        """
        self._advance(now_ns)
        parts = urlsplit(target)
        query: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, value)
        named = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(parts.path, query, posted, named, target)
        return self._rest.answer(request, self.now_ns, lambda: self.dialect.requested(request, self))

    def book(self, inst: str, depth: int) -> Book:
        """Return a listed instrument's book as REST has it."""
        return self._rest.book(inst, self.now_ns, self._fresh_book(inst)).cut(depth)

    def order_book(self, inst: str) -> Book:
        """Return all orders of a listed instrument as REST has them."""
        book = self._floor.order_book(inst, self.now_ns)
        self._rest.stepped(inst, self.now_ns, lambda: book, orders=True)
        return self._rest.book(inst, self.now_ns, book, orders=True)

    def order_seq(self, inst: str) -> int:
        """Return the number of the last message of a listed instrument's orders."""
        return self._floor.order_seq(inst, self.now_ns)

    def _fresh_book(self, inst: str) -> Book:
        book = self._floor.book(inst, BOOK_DEPTH, self.now_ns)
        self._rest.stepped(inst, self.now_ns, lambda: book)
        return book

    def _advance(self, now_ns: int) -> None:
        while self.due_ns <= now_ns:
            self._stepped_ns = self.now_ns = self.due_ns
            self._step()
        self.now_ns = max(self.now_ns, now_ns)

    def _step(self) -> None:
        for output in self._link_faults.ticked(list(self._links.values()), self.now_ns):
            self._emit(output)
        for push in self._floor.step(self.now_ns):
            for link in self._followers(push.channel, push.inst):
                self._push(link, push)
        for inst in self._floor.running:
            self._rest.stepped(inst, self.now_ns, partial(self._floor.book, inst, BOOK_DEPTH, self.now_ns))
        for inst in self._floor.running_orders:
            self._rest.stepped(inst, self.now_ns, partial(self._floor.order_book, inst, self.now_ns), orders=True)
        for link in list(self._links.values()):
            if not self._link_faults.is_frozen(link.conn):
                self._do(link, self.dialect.ticked(link, self))

    def _do(self, link: Link, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Tell(text):
                    link.active_ns = self.now_ns
                    self._send(Send(link.conn, self.now_ns, text))
                case Subscribe(channel, inst):
                    self._subscribe(link, channel, inst)
                case Unsubscribe(channel, inst):
                    self._unsubscribe(link, channel, inst)
                case HangUp(code, reason):
                    self._emit(Close(link.conn, self.now_ns, code, reason))

    def _subscribe(self, link: Link, channel: str, inst: str) -> None:
        """Start a book on a connection; a second subscription of the same changes nothing."""
        if (channel, inst) in link.books:
            return
        link.books[channel, inst] = None
        push = self._floor.subscribed(channel, inst, self.now_ns)
        if not self.dialect.channels[channel].pushes_snapshot:
            return
        silent = self._plan.present("no_snapshot", inst)
        if silent is None or push.kind is Kind.WHOLE:
            self._push(link, push)
        else:
            self.truth.fault_done("no_snapshot", self.now_ns, inst=inst, conn=link.conn)

    def _unsubscribe(self, link: Link, channel: str, inst: str) -> None:
        link.books.pop((channel, inst), None)
        if not self._followers(channel, inst):
            self._floor.unsubscribed(channel, inst)

    def _followers(self, channel: str, inst: str) -> list[Link]:
        return [link for link in self._links.values() if (channel, inst) in link.books]

    def _push(self, link: Link, push: Push) -> None:
        link.active_ns = self.now_ns
        push = self._wire.content(link.conn, push, self.now_ns)
        for text in self.dialect.encode(link, push):
            for output in self._wire.deliver(Send(link.conn, self.now_ns, text, push)):
                self._send(output) if isinstance(output, Send) else self._emit(output)

    def _send(self, send: Send) -> None:
        for output in self._link_faults.deliver(send):
            self._emit(output)

    def _emit(self, output: Output) -> None:
        """Let an output out, unless its connection is gone; one that ends the connection makes it so."""
        if output.conn not in self._links:
            return
        self._outputs.append(output)
        if not isinstance(output, Send | Freeze):
            self._forget(output.conn)

    def _forget(self, conn: str) -> None:
        link = self._links.pop(conn, None)
        if link is None:
            return
        self.dialect.closed(link)
        self._wire.forget(conn)
        self._link_faults.forget(conn)
        for channel, inst in list(link.books):
            self._unsubscribe(link, channel, inst)

    def _taken(self) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        return outputs


def _listing(dialect: Dialect, chosen: int | tuple[str, ...] | None, start_ns: int) -> Mapping[str, Instrument]:
    """Choose what is listed: the ids named, or that many of the defaults."""
    insts: Sequence[str] = dialect.default_insts(start_ns) if chosen is None or isinstance(chosen, int) else chosen
    if isinstance(chosen, int):
        if not 1 <= chosen <= len(insts):
            raise ConfigError(f"{dialect.name} is simulated with 1 to {len(insts)} instruments, or those you name")
        insts = insts[:chosen]
    if not insts:
        raise ConfigError("a simulated exchange needs at least one instrument")
    return {inst: dialect.instrument(inst, start_ns) for inst in insts}
