"""Recording from start to stop: sessions of all venues on one loop, signals, status, and what the console is told."""

import asyncio
import logging
import random
import signal
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from l2_exporter.archive.layout import Vault
from l2_exporter.core.books import BookKey
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.keys import Keys
from l2_exporter.core.records import LedgerRecord, Record
from l2_exporter.core.speedups import compiled
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Signs, Venue
from l2_exporter.runtime import allocating, loops
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.collecting import Collector, seldom
from l2_exporter.runtime.journal import Journal
from l2_exporter.runtime.link import MAX_MESSAGE_BYTES
from l2_exporter.runtime.listing import Listing, Wanted
from l2_exporter.runtime.pacing import limits_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import Session, SessionSettings, spread
from l2_exporter.runtime.status import StatusFile

log = logging.getLogger("l2_exporter.record")

STATUS_EVERY_S = 2.0
SUMMARY_EVERY_S = 60.0
PROBE_EVERY_S = 3600.0
"""A venue stopped by a schema break is tried again so often, as long as another one is recorded."""

Say = Callable[[str], None]
Begin = Callable[[Mapping[str, Sequence[BookKey]]], None]
"""Told of the books of each venue, once they are known, before anything is written."""


@dataclass(frozen=True, slots=True)
class VenuePlan:
    """One venue's part of a recording.

    Attributes:
        wanted: the instruments as the user names them (core.selection).
        most: instruments at most, also when new ones are listed.
        keys: of the user, where the channel needs some.
        max_message_bytes: of one message of a connection, and of the body of one answer by REST.
    """

    venue: Venue
    channel: str
    wanted: Sequence[str]
    most: int
    ws_url: str
    rest_url: str
    origin: str
    books_per_connection: int
    checksum_resync: int
    ca_file: Path | None
    keys: Keys | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """A recording.

    Attributes:
        duration_s: stop after so many seconds; None: when told to.
    """

    vault: Vault
    venues: Sequence[VenuePlan]
    cadence_ns: int
    depth: int
    grace_ns: int
    tape: bool
    fsync_s: float
    duration_s: float | None
    order_books_ns: int = 60 * NS_PER_S
    max_orders: int = 1_000_000


class Recording:
    """All venues of one plan.

    Attributes:
        build_fails: the line of each venue that was stopped because its frames are not what they were.
    """

    def __init__(self, plan: RecordPlan, say: Say) -> None:
        self.build_fails: list[str] = []
        self._plan = plan
        self._say = say
        self._clock = Clock()
        self._collector = Collector()
        self._stopping = asyncio.Event()
        self._working = len(plan.venues)
        self._tls = {one.venue.name: _tls(one) for one in plan.venues}

    def stop(self) -> None:
        """Begin a clean stop."""
        self._stopping.set()

    async def check(self, listings: Sequence[tuple[VenuePlan, Listing, RestClient]]) -> bool:
        """Ask all venues for their instruments; return False if a stop was asked for before the answers came.

        Raises:
            ConfigError: an instrument that its venue does not list.
        """
        checks = [asyncio.create_task(asyncio.to_thread(listing.begin)) for _, listing, _ in listings]
        stopping = asyncio.create_task(self._give_up(listings))
        results = await asyncio.gather(*checks, return_exceptions=True)
        stopping.cancel()
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors and not self._stopping.is_set():
            raise errors[0]
        return not self._stopping.is_set()

    async def _give_up(self, listings: Sequence[tuple[VenuePlan, Listing, RestClient]]) -> None:
        """Once a stop is asked for, wait for no answer any more."""
        await self._stopping.wait()
        for _, _, rest in listings:
            rest.close()

    async def run(self, listings: Sequence[tuple[VenuePlan, Listing, RestClient]]) -> None:
        """Record until stopped, or until no venue is left.

        Raises:
            ArchiveError: the archive cannot be written.
        """
        loop = asyncio.get_running_loop()
        if self._plan.duration_s is not None:
            loop.call_later(self._plan.duration_s, self.stop)
        collecting = loop.create_task(self._collector.run())
        try:
            async with asyncio.TaskGroup() as group:
                for plan, listing, rest in listings:
                    group.create_task(self._venue(plan, listing, rest))
        finally:
            collecting.cancel()

    async def _venue(self, plan: VenuePlan, listing: Listing, rest: RestClient) -> None:
        """Record one venue; after a schema break try again hourly while others go on."""
        while True:
            session = Session(self._session_settings(plan, listing), self._plan.vault, rest, self._clock, self._watch())
            await self._session(session, listing)
            if session.recorder.build_fail is None:
                return
            self._working -= 1
            self.build_fails.append(session.recorder.build_fail)
            log.critical("%s", session.recorder.build_fail)
            if self._working == 0:
                self.stop()
                return
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._stopping.wait()
            except TimeoutError:
                self._working += 1
                continue
            return

    async def _session(self, session: Session, listing: Listing) -> None:
        vault = self._plan.vault
        status = StatusFile(vault, session.settings.venue.name, str(vault.root))
        helpers = [
            asyncio.create_task(self._report(session, status)),
            asyncio.create_task(listing.run(session)),
            asyncio.create_task(self._stop_with_me(session)),
        ]
        state = "failed"
        try:
            await session.run()
            state = "stopped" if session.recorder.build_fail is None else "schema_break"
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            status.finish(session, state, self._clock.stamp())
            self._say(summary(session))

    async def _stop_with_me(self, session: Session) -> None:
        await self._stopping.wait()
        session.stop()

    async def _report(self, session: Session, status: StatusFile) -> None:
        """Replace the status every few seconds, and sum up on the console once a minute."""
        until_summary_s = SUMMARY_EVERY_S
        while True:
            status.update(session, "running", self._clock.stamp())
            await asyncio.sleep(STATUS_EVERY_S)
            until_summary_s -= STATUS_EVERY_S
            if until_summary_s <= 0:
                until_summary_s = SUMMARY_EVERY_S
                self._say(summary(session))

    def _watch(self) -> Callable[[Record], None]:
        """Tell the log of every record, and the console of each episode's beginning and of losses."""
        journal = Journal()

        def saw(record: Record) -> None:
            journal.saw(record)
            self._collector.saw(record)
            if isinstance(record, LedgerRecord) and record.spec is not None:
                if record.kind == "live":
                    detail = record.detail or {}
                    bids, asks = detail.get("bids"), detail.get("asks")
                    self._say(f"[{record.spec.inst}] Snapshot loaded: {bids} bids, {asks} asks")
                elif record.kind == "gap" and record.reason != "restart":
                    self._say(f"[{record.spec.inst}] lost: {record.reason}")

        return saw

    def _session_settings(self, plan: VenuePlan, listing: Listing) -> SessionSettings:
        return SessionSettings(
            venue=plan.venue,
            ws_url=plan.ws_url,
            origin=plan.origin,
            connections=spread(plan.venue.name, listing.books, plan.books_per_connection),
            cadence_ns=self._plan.cadence_ns,
            depth=self._plan.depth,
            grace_ns=self._plan.grace_ns,
            order_books_ns=self._plan.order_books_ns,
            max_orders=self._plan.max_orders,
            checksum_resync=plan.checksum_resync,
            tape=self._plan.tape,
            fsync_ns=int(self._plan.fsync_s * NS_PER_S),
            tls=self._tls[plan.venue.name],
            jitter_seed=random.SystemRandom().randrange(1 << 31),
            run=f"{time.time_ns():x}",
            codes=listing.codes,
            keys=plan.keys,
            max_message_bytes=plan.max_message_bytes,
        )


class StopSignals:
    """What asks for a clean stop, from entering to leaving: SIGINT, SIGTERM, Ctrl-Break.

    Asking again changes nothing, and a stop that was asked for is not disturbed any more until the process has ended.

    Attributes:
        asked: whether one has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._stop: Callable[[], object] | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
        self._before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
        for number in self._before:
            signal.signal(number, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.asked else handler)  # type: ignore[arg-type]

    def tell(self, stop: Callable[[], object] | None) -> None:
        """Call this for a stop that was or will be asked for; None: nobody is to be told any more."""
        self._stop = stop
        if stop is not None and self.asked:
            stop()

    def _came(self, *_: object) -> None:
        self.asked = True
        if self._stop is not None:
            self._stop()


def record(plan: RecordPlan, say: Say, stops: StopSignals, begin: Begin) -> list[str]:
    """Record until a signal, the plan's duration, or the last venue's schema break; return the breaks' lines.

    Args:
        begin: called once the instruments have proven right, before anything is written.

    Raises:
        ConfigError: an instrument that its venue does not list.
        ArchiveError: the archive cannot be written.
    """
    allocating.tune()
    with seldom(), asyncio.Runner(loop_factory=loops.fastest()) as runner:
        return runner.run(_record(plan, say, stops, begin))


async def _record(plan: RecordPlan, say: Say, stops: StopSignals, begin: Begin) -> list[str]:
    recording = Recording(plan, say)
    loop = asyncio.get_running_loop()
    stops.tell(lambda: loop.call_soon_threadsafe(recording.stop))
    with ExitStack() as stack:
        stack.callback(stops.tell, None)
        listings = []
        for venue in plan.venues:
            rest = make_rest(venue)
            # Requests under way must end before the loop does: they answer into it, and its threads are waited for.
            stack.callback(rest.close)
            selection = Wanted(venue.channel, venue.wanted, venue.most, venue.books_per_connection)
            listings.append((venue, Listing(venue.venue, selection, plan.vault, rest, Clock()), rest))
        if not await recording.check(listings):
            return []
        _refuse_too_many(plan, [listing for _, listing, _ in listings])
        begin({venue.venue.name: listing.books for venue, listing, _ in listings})
        log.info("the event loop is of %s", type(loop).__module__.partition(".")[0])
        log.info("levels are kept by %s", "Python" if compiled is None else "compiled code")
        for trouble in [listing.trouble for _, listing, _ in listings if listing.trouble is not None]:
            log.warning("%s", trouble)
            say(trouble)
        try:
            await recording.run(listings)
        except* Exception as group:  # noqa: BLE001 - unwrapped: the first failure is the one to tell
            raise group.exceptions[0] from None
    return recording.build_fails


def _refuse_too_many(plan: RecordPlan, listings: Sequence[Listing]) -> None:
    """Hold all venues together against max_instruments; each by itself has been already."""
    count = sum(len(listing.books) for listing in listings)
    most = min(venue.most for venue in plan.venues)
    if count > most:
        raise ConfigError(f"{count} instruments are meant, max_instruments allows {most}")


def make_rest(plan: VenuePlan) -> RestClient:
    """Make the REST client of a venue."""
    venue, keys = plan.venue, plan.keys

    def headers(path: str, at_ns: int) -> Mapping[str, str]:
        return venue.headers(path, keys, at_ns) if isinstance(venue, Signs) and keys is not None else {}

    return RestClient(
        plan.rest_url,
        limits_of(venue.link),
        plan.ca_file,
        headers=None if keys is None else headers,
        max_bytes=plan.max_message_bytes,
    )


def _tls(plan: VenuePlan) -> ssl.SSLContext | None:
    """Make the TLS settings of a venue's sockets: the system's certificates, or those of `ca_file`."""
    if not plan.ws_url.startswith("wss:"):
        return None
    try:
        return ssl.create_default_context(cafile=None if plan.ca_file is None else str(plan.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca_file {plan.ca_file} cannot be used: {error}") from error


def summary(session: Session) -> str:
    """Sum a session up in one line."""
    keepers = session.recorder.feed.keepers.values()
    live = sum(keeper.standing.value == "live" for keeper in keepers)
    received = sum(keeper.counts.received for keeper in keepers)
    lines = sum(session.archive.lines.values())
    losses = sum(session.recorder.losses[reason] for reason in session.recorder.losses if reason != "restart")
    name = session.settings.venue.name
    return f"{name}: {live}/{len(keepers)} live, {received} messages, {lines} lines, {losses} losses"
