"""What the venue says of the instruments that are recorded: at the start, and once a day from then on.

The start resolves what the user named (core.selection) and writes nothing. Each later look saves what has changed, says
what has ended, and lets what a pattern names and the venue has listed meanwhile join the recording.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import MAX_NAME_BYTES, LayoutError, Vault, encode_inst, refuse_clashes
from l2_exporter.archive.metadata import Metadata
from l2_exporter.core.books import BookKey
from l2_exporter.core.errors import ArchiveError, ConfigError, TransportError, VenueError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.records import BookSpec, LedgerRecord
from l2_exporter.core.selection import EXCLUDES, is_plain, select
from l2_exporter.core.venue import DATASETS, Venue
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.instruments import check_wanted, compare, fetch_instruments, markets_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import Session

log = logging.getLogger("l2_exporter.listing")

EVERY_S = 24 * 3600.0
AGAIN_S = 300.0
"""While the list cannot be fetched it is asked for this often."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recorded of a venue.

    Attributes:
        items: as the user names them (core.selection).
        most: instruments at most.
        per_connection: books a connection carries at most.
    """

    channel: str
    items: Sequence[str]
    most: int
    per_connection: int


class Listing:
    """Keeps the metadata of one venue's recorded instruments.

    Attributes:
        unchecked: ids that nobody has confirmed: the list could not be fetched, and nothing was saved of them.
        trouble: why, in words.
        codes: what the wire calls recorded instruments that it does not call by their id.
    """

    def __init__(self, venue: Venue, wanted: Wanted, vault: Vault, rest: RestClient, clock: Clock) -> None:
        self.unchecked: list[str] = []
        self.trouble: str | None = None
        self.codes: dict[str, str] = {}
        self._venue = venue
        self._wanted = wanted
        self._insts: list[str] = []
        self._rest = rest
        self._clock = clock
        self._store = Metadata(Disk(), vault)
        self._fresh: list[Instrument] | None = None
        self._fetched = False
        self._gone: set[str] = set()
        self._events: list[tuple[str, str, dict[str, object] | None]] = []

    @property
    def books(self) -> list[BookKey]:
        """What is recorded, in the order in which it was named."""
        return [(self._wanted.channel, inst) for inst in self._insts]

    def begin(self) -> None:
        """Resolve and check the instruments before anything is recorded, and write nothing. It waits for the venue.

        Raises:
            ConfigError: the venue lists no such instrument (near matches are named), an item means two, a pattern
                means too many, or nothing is known that it could be held against.
        """
        try:
            fresh = self._fetch(self._first_markets())
            if (
                not is_plain(self._wanted.items)
                or select(self._venue.name, self._wanted.items, fresh, self._venue.code_of).unknown
            ):
                # What is meant may stand in a market that the text of an id does not point to.
                fresh += self._elsewhere()
        except (TransportError, VenueError) as error:
            self._begin_from_saved(error)
            return
        self._choose(fresh)
        self._fresh = fresh

    def _first_markets(self) -> list[str]:
        items = self._wanted.items
        return markets_of(self._venue, [item.removeprefix(EXCLUDES) for item in items])

    def _elsewhere(self) -> list[Instrument]:
        """List the markets that the wanted ids do not point to, but options, which are many."""
        asked = self._first_markets()
        others = [market for market in DATASETS if market not in asked and market != "option"]
        try:
            return self._fetch(others) if others else []
        except (TransportError, VenueError):
            return []  # what is not found without them is refused, with the ids that are near

    def _begin_from_saved(self, error: Exception) -> None:
        """Begin without the venue's list: by ids as they are, and by what an earlier run has saved of the others."""
        saved = self._store.all(self._venue.name)
        named = [item for item in self._wanted.items if not item.startswith(EXCLUDES)]
        if is_plain(self._wanted.items):
            found = select(self._venue.name, named, saved, self._venue.code_of)
            self._insts = [*found.insts, *found.unknown]
            self.unchecked = [*found.unknown]
        else:
            found = select(self._venue.name, self._wanted.items, saved, self._venue.code_of)
            if found.unknown or not found.insts:
                what = ", ".join(found.unknown) or "the patterns"
                raise ConfigError(
                    f"{error}; without that list and without saved metadata nobody knows what {what} means"
                )
            self._insts = [*found.insts]
        self._refuse_too_many()
        self._learn_codes(saved)
        known = len(self._insts) - len(self.unchecked)
        self.trouble = f"{error}; {known} instruments begin from saved metadata, {len(self.unchecked)} unchecked"
        self._events.append(("config", "", {"instruments_unchecked": self.unchecked, "error": str(error)[:200]}))

    def _choose(self, fresh: Sequence[Instrument]) -> None:
        found = select(self._venue.name, self._wanted.items, fresh, self._venue.code_of)
        check_wanted(self._venue.name, found.unknown, fresh)
        insts = self._nameable(found.insts)
        if not insts:
            raise ConfigError(f"{self._venue.name}: everything that was named is excluded again")
        self._insts = insts
        self._refuse_too_many()
        self._learn_codes(fresh)

    def _refuse_too_many(self) -> None:
        if len(self._insts) > self._wanted.most:
            raise ConfigError(
                f"{self._venue.name}: {len(self._insts)} instruments are meant, max_instruments allows "
                f"{self._wanted.most}: {', '.join(self._insts[:5])}, ..."
            )

    def _learn_codes(self, instruments: Sequence[Instrument]) -> None:
        wanted = {*self._insts}
        codes = {one.inst: self._venue.code_of(one) for one in instruments if one.inst in wanted}
        self.codes.update({inst: code for inst, code in codes.items() if code != inst})

    def _tell_codes(self, session: Session, fresh: Sequence[Instrument]) -> None:
        """Pass on what the wire calls instruments that had to begin without the list."""
        before = dict(self.codes)
        self._learn_codes(fresh)
        if self.codes != before:
            session.join([], self.codes, self._wanted.per_connection)

    async def run(self, session: Session) -> None:
        """Note what was found, then look again once a day, or soon if the list could not be fetched."""
        while True:
            if self._fresh is not None:
                await asyncio.to_thread(self._take, self._fresh)
                self._tell_codes(session, self._fresh)
                self._join(session, self._fresh)
            self._note(session)
            self._fresh = None
            await asyncio.sleep(EVERY_S if self._fetched else AGAIN_S)
            try:
                self._fresh = await asyncio.to_thread(self._fetch, self._markets())
            except (TransportError, VenueError) as error:
                log.warning("%s", error)

    def _fetch(self, markets: Sequence[str]) -> list[Instrument]:
        return fetch_instruments(self._rest, self._venue, markets)

    def _markets(self) -> list[str]:
        """Name the markets that recorded instruments stand in, and those that patterns may find new ones in."""
        recorded = markets_of(self._venue, self._insts)
        if is_plain(self._wanted.items):
            return recorded
        return [market for market in DATASETS if market in recorded or market != "option"]

    def _join(self, session: Session, fresh: Sequence[Instrument]) -> None:
        """Let what the venue has listed since the start join, if a pattern names it and there is room."""
        if is_plain(self._wanted.items):
            return
        found = select(self._venue.name, self._wanted.items, fresh, self._venue.code_of)
        new = self._recordable([inst for inst in found.insts if inst not in self._insts])
        room = self._wanted.most - len(self._insts)
        if new[room:]:
            self._events.append(("config", "", {"not_joined": new[room:], "max_instruments": self._wanted.most}))
        if joining := new[:room]:
            self._insts += joining
            self._learn_codes(fresh)
            codes = {inst: self.codes[inst] for inst in joining if inst in self.codes}
            session.join([(self._wanted.channel, inst) for inst in joining], codes, self._wanted.per_connection)

    def _recordable(self, insts: Sequence[str]) -> list[str]:
        """Leave out what would share a file with another, too: it must not end what is recorded."""
        good: list[str] = []
        for inst in self._nameable(insts):
            try:
                refuse_clashes([*self._insts, *good, inst])
            except LayoutError as error:
                self._not_joined(inst, error)
            else:
                good.append(inst)
        return good

    def _nameable(self, insts: Sequence[str]) -> list[str]:
        """Leave out ids that can be no file name. No user has written them: a pattern names what is listed."""
        good: list[str] = []
        for inst in insts:
            try:
                encode_inst(inst)
            except LayoutError as error:
                self._not_joined(inst, error)
            else:
                good.append(inst)
        return good

    def _not_joined(self, inst: str, error: LayoutError) -> None:
        self._events.append(("config", "", {"not_joined": [inst[:MAX_NAME_BYTES]], "error": str(error)[:200]}))

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
