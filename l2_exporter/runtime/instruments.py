"""What a venue lists: fetched at start and from time to time, checked against what is wanted, compared with before."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from l2_exporter.core.errors import ConfigError, TransportError, VenueError, clip
from l2_exporter.core.instrument import Instrument, changes, expired, near
from l2_exporter.core.records import BookSpec, LedgerRecord
from l2_exporter.core.venue import DATASETS, Post, Venue
from l2_exporter.runtime.rest import RestReply

REQUEST = "instruments"
DEADLINE_S = 20.0
MAX_ANSWERS = 200
"""An answer can lead to a next page; a venue whose pages never end is not followed for ever."""
MAX_LISTED = 200_000
"""Instruments of one list; the longest known, of options, have some ten thousand."""
HTTP_OK = 200
ENDING_MARKETS = ("futures", "option")


class Fetcher(Protocol):
    """The part of a RestClient that is needed here."""

    def fetch(self, path: str | Post, request: str, deadline_s: float) -> RestReply:
        """Ask for a path and wait for the reply."""


@dataclass(frozen=True, slots=True)
class ListingEvent:
    """Something that happened to an instrument, for the ledger.

    Attributes:
        kind: spec_changed, delisted or expired.
        detail: of spec_changed `changed`, by field the value before and the value now.
    """

    kind: str
    inst: str
    detail: dict[str, object] | None = None

    def record(self, at_ns: int, spec: BookSpec) -> LedgerRecord:
        """Return the ledger's record of it for one book, received at `at_ns`."""
        return LedgerRecord(at_ns, self.kind, spec=spec, detail=self.detail)


def markets_of(venue: Venue, insts: Iterable[str]) -> list[str]:
    """Return the markets of instruments, each once, in the order of the datasets."""
    wanted = {venue.market_of(inst) for inst in insts}
    return [market for market in DATASETS if market in wanted]


def fetch_instruments(client: Fetcher, venue: Venue, markets: Sequence[str]) -> list[Instrument]:
    """Fetch what a venue lists in some markets, in its own order. Waits: for the start of a program.

    Raises:
        TransportError: an answer did not come, or not with status 200.
        VenueError: an answer is not a list of instruments.
    """
    paths = deque(venue.instrument_paths(markets))
    asked = set(paths)
    found: list[Instrument] = []
    while paths:
        instruments, further = read_listing(client.fetch(paths.popleft(), REQUEST, DEADLINE_S), venue)
        found += instruments
        if len(found) > MAX_LISTED:
            raise VenueError(f"{venue.name} lists more than {MAX_LISTED} instruments")
        new = [path for path in dict.fromkeys(further) if path not in asked]
        paths.extend(new)
        asked.update(new)
        if len(asked) > MAX_ANSWERS:
            raise VenueError(f"{venue.name} lists its instruments in more than {MAX_ANSWERS} answers")
    return found


def read_listing(reply: RestReply, venue: Venue) -> tuple[list[Instrument], Sequence[str | Post]]:
    """Read one reply: its instruments, and the paths it leads to.

    Raises:
        TransportError: it did not come, or not with status 200.
        VenueError: it is not a list of instruments.
    """
    if reply.status != HTTP_OK:
        what = f"{venue.name}: the list of instruments could not be fetched from {reply.url}"
        raise TransportError(f"{what}: {_failure(reply)}")
    return venue.decode_instruments(reply.body), venue.further_instrument_paths(reply.body)


def check_wanted(venue: str, wanted: Iterable[str], known: Iterable[Instrument]) -> None:
    """Refuse ids that the venue does not list.

    Raises:
        ConfigError: naming each of them, and what may have been meant.
    """
    listed = [instrument.inst for instrument in known]
    present = set(listed)
    missing = [_missing(venue, inst, listed) for inst in dict.fromkeys(wanted) if inst not in present]
    if missing:
        raise ConfigError("; ".join(missing))


def compare(saved: Iterable[Instrument], fresh: Iterable[Instrument], now_ns: int) -> list[ListingEvent]:
    """Tell what happened to saved instruments, in their order, by what the venue lists now.

    `fresh` must hold all the venue lists in their markets: what is missing there is gone. Futures and options whose
    time has come are `expired`, all else `delisted`. New instruments are no event, and neither is a changed `raw`.
    """
    listed = {instrument.inst: instrument for instrument in fresh}
    events = []
    for old in saved:
        new = listed.get(old.inst)
        if new is None:
            ended = old.market in ENDING_MARKETS and expired(old, now_ns)
            events.append(ListingEvent("expired" if ended else "delisted", old.inst))
        elif names := changes(old, new):
            changed = {name: {"from": getattr(old, name), "to": getattr(new, name)} for name in names}
            events.append(ListingEvent("spec_changed", old.inst, {"changed": changed}))
    return events


def _missing(venue: str, inst: str, listed: list[str]) -> str:
    matches = near(inst, listed)
    hint = f"did you mean {' or '.join(matches)}?" if matches else f"see l2-exporter instruments {venue}"
    return f"{venue} lists no {inst}; {hint}"


def _failure(reply: RestReply) -> str:
    return f"HTTP {reply.status} {clip(reply.body)}" if reply.status else reply.body
