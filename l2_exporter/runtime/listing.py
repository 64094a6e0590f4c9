"""What the venue says of the instruments that are recorded: at the start, and once a day from then on."""

import asyncio
import logging
from collections.abc import Sequence

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.metadata import Metadata
from l2_exporter.core.errors import ArchiveError, TransportError, VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.records import BookSpec, LedgerRecord
from l2_exporter.core.venue import DATASETS, Venue
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.instruments import check_wanted, compare, fetch_instruments, markets_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import Session

log = logging.getLogger("l2_exporter.listing")

EVERY_S = 24 * 3600.0
AGAIN_S = 300.0
"""While the list cannot be fetched it is asked for this often."""


class Listing:
    """Keeps the metadata of one venue's recorded instruments.

    Attributes:
        unchecked: ids that nobody has confirmed: the list could not be fetched, and nothing was saved of them.
        trouble: why, in words.
        codes: what the wire calls recorded instruments that it does not call by their id.
    """

    def __init__(self, venue: Venue, insts: Sequence[str], vault: Vault, rest: RestClient, clock: Clock) -> None:
        self.unchecked: list[str] = []
        self.trouble: str | None = None
        self.codes: dict[str, str] = {}
        self._venue = venue
        self._insts = insts
        self._rest = rest
        self._clock = clock
        self._store = Metadata(Disk(), vault)
        self._fresh: list[Instrument] | None = None
        self._fetched = False
        self._gone: set[str] = set()
        self._events: list[tuple[str, str, dict[str, object] | None]] = []

    def begin(self) -> None:
        """Check the instruments before anything is recorded, and write nothing. It waits for the venue.

        Raises:
            ConfigError: the venue lists no such instrument; near matches are named.
        """
        try:
            fresh = self._fetch()
        except (TransportError, VenueError) as error:
            saved = [inst for inst in self._insts if self._saved(inst) is not None]
            self.unchecked = [inst for inst in self._insts if inst not in saved]
            self.trouble = (
                f"{error}; {len(saved)} instruments begin from saved metadata, {len(self.unchecked)} unchecked"
            )
            self._events.append(("config", "", {"instruments_unchecked": self.unchecked, "error": str(error)[:200]}))
            self._learn_codes([old for old in map(self._saved, self._insts) if old is not None])
            return
        if {*self._insts} - {instrument.inst for instrument in fresh}:
            # The market was read off a wrong id: what was meant may stand in another one.
            fresh += self._elsewhere()
        check_wanted(self._venue.name, self._insts, fresh)
        self._fresh = fresh
        self._learn_codes(fresh)

    def _learn_codes(self, instruments: Sequence[Instrument]) -> None:
        wanted = {*self._insts}
        codes = {one.inst: self._venue.code_of(one) for one in instruments if one.inst in wanted}
        self.codes = {inst: code for inst, code in codes.items() if code != inst}

    def _elsewhere(self) -> list[Instrument]:
        """List the markets that the wanted ids do not point to, but options, which are many."""
        asked = markets_of(self._venue, self._insts)
        others = [market for market in DATASETS if market not in asked and market != "option"]
        try:
            return fetch_instruments(self._rest, self._venue, others) if others else []
        except (TransportError, VenueError):
            return []  # they would only have served for a hint

    async def run(self, session: Session) -> None:
        """Note what was found, then look again once a day, or soon if the list could not be fetched."""
        while True:
            if self._fresh is not None:
                await asyncio.to_thread(self._take, self._fresh)
            self._note(session)
            self._fresh = None
            await asyncio.sleep(EVERY_S if self._fetched else AGAIN_S)
            try:
                self._fresh = await asyncio.to_thread(self._fetch)
            except (TransportError, VenueError) as error:
                log.warning("%s", error)

    def _fetch(self) -> list[Instrument]:
        return fetch_instruments(self._rest, self._venue, markets_of(self._venue, self._insts))

    def _take(self, fresh: list[Instrument]) -> None:
        """Compare with what was saved, and save what is new."""
        now_ns = self._clock.wall_ns()
        saved = [old for old in map(self._saved, self._insts) if old is not None]
        found = compare([old for old in saved if old.inst not in self._gone], fresh, now_ns)
        self._events += [(event.kind, event.inst, event.detail) for event in found]
        self._gone |= {event.inst for event in found if event.kind in ("delisted", "expired")}
        listed = {instrument.inst: instrument for instrument in fresh}
        self._events += [("delisted", inst, {"listed": False}) for inst in self.unchecked if inst not in listed]
        self.unchecked = []
        self._fetched = True
        for inst in self._insts:
            if inst in listed:
                try:
                    self._store.remember(listed[inst], now_ns)
                except ArchiveError as error:
                    log.warning("the metadata of %s could not be saved: %s", inst, error)

    def _saved(self, inst: str) -> Instrument | None:
        try:
            return self._store.newest(self._venue.name, inst)
        except ArchiveError:  # said when it cannot be written either
            return None

    def _note(self, session: Session) -> None:
        """Say in the ledger what happened to which books."""
        events, self._events = self._events, []
        now_ns = self._clock.wall_ns()
        for kind, inst, detail in events:
            specs: list[BookSpec | None] = [
                keeper.spec for keeper in session.recorder.feed.keepers.values() if keeper.spec.inst == inst
            ]
            for spec in specs or [None]:
                session.archive.note(LedgerRecord(now_ns, kind, spec=spec, detail=detail))
