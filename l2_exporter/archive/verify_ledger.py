"""The ledger of one venue: its lines, and what they tell of each book."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2_exporter.archive.defects import Defect, Finding, Flaw, FlawError, said
from l2_exporter.archive.layout import LedgerPath
from l2_exporter.archive.schema import LEDGER_FIELDS, LEDGER_KINDS, LEDGER_REASONS, Type, words
from l2_exporter.archive.stored import RECEIVE_DECIMALS, check_fields, read_object, time_ns
from l2_exporter.archive.verify_chain import Chain, Run, Runs
from l2_exporter.archive.verify_line import LineTimes
from l2_exporter.archive.verify_windows import Story, Turn
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S, date_of, hour_of

LIVE = "live"
"""The origin of what comes from the venue itself."""
REPLAY = "replay"
"""The origin of what comes from a tape."""

Book = tuple[str, str]
"""Dataset and instrument."""

_KINDS = frozenset(words(LEDGER_KINDS))
_REASONS = frozenset((kind, reason.word) for reason in LEDGER_REASONS for kind in reason.kinds)
_OF_CHAINS = ("gap", "live", "write_suspended", "write_resumed", "late_line")
_SLACK_NS = 600 * NS_PER_S
"""How far the receive time of an episode's beginning may be from what its lines let us think."""
_TIMES = tuple(entry.name for entry in LEDGER_FIELDS if entry.type is Type.TIME)


@dataclass(frozen=True, slots=True)
class End:
    """A `live` line that ends a gap, and where it stands."""

    path: Path
    line: int
    id: str
    reason: str | None
    book: Book | None
    run: Run
    since_ns: int | None
    received_ns: int | None


@dataclass(frozen=True, slots=True)
class Noted:
    """A `sealed` line, and where it stands.

    Attributes:
        manifest_sha256: of the manifest; sha256, lines: of the hour file.
        known: how many turns of the book's story stand before it; broken: how many runs had ended uncleanly.
    """

    path: Path
    line: int
    at_ns: int
    lines: int
    sha256: str
    manifest_sha256: str
    reason: str | None
    run: Run
    known: int
    broken: int


class LedgerChecker:
    """Checks the ledger files of one venue, given in order of their dates; what they tell is asked for afterwards.

    Attributes:
        origins: where connections led, by ledger file, so far as it was not to the venue itself.
        is_whole: every line of it could be read; set to False by whoever finds a file damaged.
        chains: the episodes of each book that has had any; stories: its losses, as they came to be known.
        sealed: what it says of hours that are over, by book and hour; if it says so twice, the last time.
    """

    def __init__(self) -> None:
        self.origins: dict[Path, set[str]] = {}
        self.is_whole = True
        self.chains: dict[Book, Chain] = {}
        self.stories: dict[Book, Story] = {}
        self.sealed: dict[Book, dict[int, Noted]] = {}
        self._runs = Runs()
        self._day: str | None = None
        self._first_day: str | None = None
        self._first_start_ns: int | None = None
        self._last_ns: int | None = None
        self._ends: list[End] = []
        self._gaps: dict[str, Book] = {}
        self._has_ended = False

    def check(self, place: LedgerPath, number: int, raw: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next ledger line, given without its `\\n`; `number` counts lines from 1."""
        self._begin(place)
        try:
            entry = read_object(raw)
            check_fields(entry, LEDGER_FIELDS)
            times = {name: time_ns(name, entry[name]) for name in _TIMES if entry[name] is not None}
            time_ns("at", entry["at"], RECEIVE_DECIMALS)
        except FlawError as flaw:
            self.is_whole = False
            yield flaw.finding
            return
        if date_of(times["at"]) != place.day:
            yield Flaw.DATE, f"{said('at', entry['at'])}, of another date"
        if entry["venue"] != place.venue:
            yield Flaw.VENUE, f"{said('venue', entry['venue'])}, the path says {place.venue}"
        yield from _check_kind(entry)
        origin = str((entry["detail"] or {}).get("origin", LIVE))
        if entry["kind"] == "connected" and origin != LIVE:
            self.origins.setdefault(place.path, set()).add(origin)
        yield from self._check_run(entry["kind"])
        self._place(entry["kind"], origin, times["at"])
        if entry["kind"] == "started":
            self._runs.current.settings.update(entry["detail"] or {})
        if entry["kind"] == "gap":
            yield from self._check_gap(entry)
        elif entry["kind"] == "live" and entry["id"] is not None:
            since = times.get("since_event"), times.get("since_received")
            run = self._runs.current
            self._ends.append(End(place.path, number, entry["id"], entry["reason"], _book(entry), run, *since))
        elif entry["kind"] == "sealed":
            yield from self._check_sealed(entry, times["at"], place.path, number)
        self._tell(entry, times)

    def finish(self) -> Iterator[Defect]:
        """Join each end with its gap once all files were read: a clock set back can put the end into an earlier one."""
        for end in self._ends:
            book = self._gaps.get(end.id)
            if book is None and self._began_before_ledger(end):
                continue
            if book is None or end.book != book:
                whose = "no gap" if book is None else f"a gap of {'/'.join(book)}"
                yield Defect(end.path, end.line, Flaw.LIVE_ID, f"{said('id', end.id)}, of {whose}")

    def knows_gap(self, times: LineTimes, *, lives_still: bool) -> bool:
        """Tell whether the loss of this gap line would have to stand in the ledger.

        Args:
            lives_still: for all the ledger tells, the line's episode has not ended.
        """
        if (self._runs.going_on and lives_still) or not self.was_read_after(times):
            return False
        return self._has_day(times.event_ns, times.received_ns)

    def knows_life(self, chain: Chain | None, times: LineTimes) -> bool:
        """Tell whether the beginning of a line's episode would have to stand in the ledger, for certain.

        Its older files may have been deleted, and a run that has not ended may have gone on since they were read.
        """
        if self._first_day is None or self._last_ns is None or not self.is_whole:
            return False
        live_ns, received_ns = times.live_since_ns, times.received_ns
        if not self.was_read_after(times):
            return False
        behind_ns = 0 if received_ns is None else received_ns - times.event_ns
        day = date_of(max(0, live_ns + min(0, behind_ns) - _SLACK_NS))
        if day <= self._first_day:
            start_ns = self._first_start_ns
            begun_since = start_ns is not None and received_ns is not None and received_ns >= start_ns
            return day == self._first_day and (begun_since or bool(chain and chain.begins_with_first_life))
        return True

    @property
    def is_going_on(self) -> bool:
        """Whether a run was at work when the ledger was read."""
        return bool(self._runs.going_on)

    def was_read_after(self, times: LineTimes) -> bool:
        """Tell whether the ledger goes on after this line, or has ended; a new run may have begun since."""
        if times.received_ns is None:
            return not self._runs.going_on
        return self._last_ns is not None and times.received_ns <= self._last_ns

    def _begin(self, place: LedgerPath) -> None:
        """Note a new file."""
        if place.day != self._day:
            self._runs.begin_file()
            self._has_ended = False
        self._day = place.day
        self._first_day = self._first_day or place.day

    def _place(self, kind: str, origin: str, at_ns: int) -> None:
        """Note where the line stands."""
        if kind == "started" and self._last_ns is None:
            self._first_start_ns = at_ns
        self._last_ns = max(at_ns, self._last_ns or 0)
        self._runs.take(kind, replayed=origin == REPLAY)

    def _tell(self, entry: dict[str, Any], times: dict[str, int]) -> None:
        """Note what the line tells of its book."""
        book, kind = _book(entry), entry["kind"]
        if book is None or kind not in _OF_CHAINS:
            return
        since_ns, until_ns = times.get("since_event"), times.get("until_event")
        for each in (book, *_beside(entry, book)):
            chain = self.chains.setdefault(each, Chain())
            if kind in ("gap", "live"):
                self.stories.setdefault(each, Story()).add(_turn(entry, times, self._runs.current))
            if kind == "gap":
                # A restart's window begins with the newest of the lines that are named first; others may be newer.
                certain = each == book or entry["reason"] != "restart"
                chain.lost(since_ns if certain else None, entry["reason"], self._runs.current)
            elif kind == "live":
                chain.lived(until_ns, after_loss=entry["id"] is not None, run=self._runs.current)
            elif kind == "write_resumed" and until_ns is not None:
                chain.resumed_ns.add(until_ns)
            elif kind != "write_resumed" and since_ns is not None:
                chain.unwritten_ns.add(since_ns)

    def _check_gap(self, entry: dict[str, Any]) -> Iterator[Finding]:
        ident, book = entry["id"], _book(entry)
        if ident is None or ident in self._gaps:
            yield Flaw.GAP_ID, "a gap without an id" if ident is None else f"{said('id', ident)}, of an earlier gap too"
        elif book is None:
            yield Flaw.GAP_ID, "a gap without an instrument and its dataset"
        else:
            self._gaps[ident] = book

    def _check_sealed(self, entry: dict[str, Any], at_ns: int, path: Path, number: int) -> Iterator[Finding]:
        """Take note of an hour that has been sealed."""
        book, detail = _book(entry), entry["detail"] or {}
        try:
            hour_ns = time_ns("hour_utc", str(detail.get("hour_utc")))
        except FlawError as flaw:
            yield flaw.finding
            return
        lines, digests = detail.get("lines"), [detail.get(name) for name in ("sha256", "manifest_sha256")]
        if book is None or type(lines) is not int or not all(type(digest) is str for digest in digests):
            yield Flaw.SEAL, f"{said('detail', detail)}, not what is said of a sealed hour"
            return
        self.sealed.setdefault(book, {})[hour_of(hour_ns)] = Noted(
            path,
            number,
            at_ns,
            lines,
            str(digests[0]),
            str(digests[1]),
            entry["reason"],
            self._runs.current,
            len(self.stories.get(book, ())),
            self._runs.broken,
        )

    def _check_run(self, kind: str) -> Iterator[Finding]:
        """After a recorder's end comes the next one's beginning, but for hours that were being sealed then."""
        if self._has_ended and kind not in ("started", "sealed"):
            yield Flaw.RUN, f"{kind} after the end of one run and before the beginning of another"
        if kind != "sealed":
            alone = self._runs.current.replayed is False and len(self._runs.going_on) <= 1
            self._has_ended = kind == "stopped" and alone

    def ended_badly(self, book: Book, hour: int) -> bool:
        """Tell whether a run may have ended between the sealing of an hour and saying so, or is at work still."""
        noted = self.sealed.get(book, {})
        before = max((each for each in noted if each < hour), default=None)
        behind = min((each for each in noted if each > hour), default=None)
        broken_before = 0 if before is None else noted[before].broken
        if behind is None:
            return self.is_going_on or self._runs.broken > broken_before
        return noted[behind].broken > broken_before

    def covers(self, hour: int) -> bool:
        """Tell whether the ledger there is would have to tell of the end of an hour."""
        return self._first_day is not None and self.is_whole and date_of(hour * HOUR_NS) >= self._first_day

    def _began_before_ledger(self, end: End) -> bool:
        """Tell whether the gap may have stood in a ledger file that retention has deleted."""
        if end.reason == "restart":  # its window begins with the newest line: a replayed tape can be older than that
            chain = self.chains.get(end.book) if end.book else None
            return end.run.replayed is not False or not (chain and chain.begins_with_first_life)
        return not self._has_day(end.since_ns, end.received_ns)

    def _has_day(self, event_ns: int | None, received_ns: int | None) -> bool:
        """Tell whether what came later than this update must stand in the files there are."""
        if event_ns is None and received_ns is None:
            return False
        earliest_ns = max(0, (event_ns or 0) - _SLACK_NS) if received_ns is None else received_ns
        return self._first_day is not None and date_of(earliest_ns) >= self._first_day


def _check_kind(entry: dict[str, Any]) -> Iterator[Finding]:
    kind, reason = entry["kind"], entry["reason"]
    if kind not in _KINDS:
        yield Flaw.KIND, said("kind", kind)
    elif reason is not None and (kind, reason) not in _REASONS:
        yield Flaw.KIND, f"{said('reason', reason)}, not one of kind {kind}"


def _turn(entry: dict[str, Any], times: dict[str, int], run: Run) -> Turn:
    """Tell where a loss begins or ends: by book time, else by receive time, else by when it was noted."""
    is_gap = entry["kind"] == "gap"
    names = ("since_event", "since_received") if is_gap else ("until_event", "until_received")
    moments = [times[name] for name in (*names, "at") if name in times]
    return Turn(is_gap, entry["id"], entry["reason"], moments[0], times["at"], run, names[0] in times)


def _beside(entry: dict[str, Any], book: Book) -> list[Book]:
    """List the other datasets of a book that is recorded in several: the ledger says all of it once."""
    also = entry["detail"].get("also", [])
    return [(dataset, book[1]) for dataset in also if isinstance(dataset, str)] if isinstance(also, list) else []


def _book(entry: dict[str, Any]) -> Book | None:
    inst, detail = entry["instId"], entry["detail"]
    dataset = detail.get("dataset") if isinstance(detail, dict) else None
    return (dataset, inst) if isinstance(dataset, str) and inst is not None else None
