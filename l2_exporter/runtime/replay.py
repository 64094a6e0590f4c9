"""Rebuilds an archive from tapes: the recorder, driven by what was written down instead of by sockets and clocks.

Commands are ignored, since what they led to stands on the tape; deadlines run at their own time from inputs alone. The
same tapes give the same hour files, byte for byte, as often as they are replayed and under any hash seed.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import chain

from l2_exporter import __version__
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.lock import VenueLock
from l2_exporter.archive.tape import TapeLine, start_settings
from l2_exporter.archive.writer import REPLAY, Archive
from l2_exporter.core.books import BookKey, Settings
from l2_exporter.core.errors import ArchiveError, ConfigError, clip
from l2_exporter.core.feed import Feed
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.core.venue import Venue
from l2_exporter.runtime.recorder import Recorder, stamp_of, venue_continuity
from l2_exporter.runtime.tapedpast import Made, MadePast, TapedPast
from l2_exporter.venues.registry import venue_named, venue_of_url


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the user asked for; None: what the tape's own start says, else the default.

    Attributes:
        insts: record these instruments only, on whatever channel the tape has them.
    """

    venue: str | None = None
    cadence_ns: int | None = None
    depth: int | None = None
    insts: frozenset[str] | None = None


@dataclass(slots=True)
class BookSummary:
    """What a replay made of one book, over all runs of the tape."""

    dataset: str
    inst: str
    lines: int = 0
    not_ascending: int = 0
    late: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    checksums: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class ReplaySummary:
    """What a replay did.

    Attributes:
        control: frames without a book; ignored: messages of books not asked for; rejected: frames that name no book.
        missing: instruments asked for that have no frame on the tapes.
        build_fail: the line to log if the venue's frames are not what they were.
    """

    venue: str
    inputs: int = 0
    runs: int = 0
    control: int = 0
    ignored: int = 0
    rejected: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    books: dict[tuple[str, str], BookSummary] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    build_fail: str | None = None

    @property
    def lines(self) -> int:
        """Lines written."""
        return sum(book.lines for book in self.books.values())


def replay(lines: Iterable[TapeLine], vault: Vault, options: ReplayOptions) -> ReplaySummary:
    """Feed the inputs of a tape, in the order given, to a recorder over `vault`.

    Raises:
        ConfigError: the venue is not known, or the tape holds nothing.
        VaultBusyError: another recorder holds the venue's lock in this vault.
        ArchiveError: the archive cannot be written; what was written stands, and replaying again completes it.
    """
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        raise ConfigError("the tapes hold no input")
    name = options.venue or _venue_of(first)
    if name is None:
        raise ConfigError(
            f"nothing at the beginning tells the tape's venue (url {first.url!r}): name it, such as --venue okx"
        )
    venue = venue_named(name)
    summary = ReplaySummary(name)
    made: Made = {}
    with VenueLock(vault.lock_file(name)):
        run: _Run | None = None
        try:
            for line in chain([first], lines):
                if run is not None and run.ended and _belongs_to_the_end(line, run):
                    continue
                if run is None or run.ended or (line.dir == "start" and line.run != run.tape_run):
                    if run is not None:
                        run.end("next_run")
                    run = _Run(vault, venue, options, line, summary, made)
                run.take(line)
                if summary.build_fail is not None:
                    break
        except BaseException:
            if run is not None:
                run.abandon()
            raise
        if run is not None:
            run.end("end_of_tape" if summary.build_fail is None else "schema_break")
    insts = {book.inst for book in summary.books.values()}
    summary.missing = sorted((options.insts or frozenset()) - insts)
    return summary


class _Run:
    """One run on a tape, from its `start` (or the tape's beginning) to the next."""

    def __init__(
        self, vault: Vault, venue: Venue, options: ReplayOptions, first: TapeLine, summary: ReplaySummary, made: Made
    ) -> None:
        self.tape_run = first.run
        self.ended = False
        self._summary = summary
        self._stamp = stamp_of(first)
        self._archive = Archive(vault, venue.name, patient=False, continuity_of=venue_continuity(venue))
        taped = start_settings(first) if first.dir == "start" else {}
        settings = _settings(venue, options, taped, summary.runs)
        history = MadePast(made, TapedPast(taped.get("past"), self._archive.past))
        self._recorder = Recorder(Feed(venue, settings, history), self._archive, REPLAY, history.saw)
        summary.runs += 1
        self._recorder.started(self._stamp, describe(settings))

    def take(self, line: TapeLine) -> None:
        """Feed one line."""
        if self.ended or line.dir in ("start", "out"):
            return
        self._stamp = stamp_of(line)
        if line.dir == "stop":
            self.end("stop")
            return
        self._summary.inputs += 1
        self._recorder.take(line)
        self._summary.build_fail = self._recorder.build_fail

    def end(self, reason: str) -> None:
        """Close the run as a clean stop does, and add it to the summary. Once."""
        if self.ended:
            return
        self.ended = True
        self._recorder.stopped(self._stamp, reason)
        self._archive.close(time.time_ns())
        self._summarise()

    def abandon(self) -> None:
        """Let go of the files after a failure."""
        if not self.ended:
            self.ended = True
            with contextlib.suppress(ArchiveError):
                self._archive.close(time.time_ns())

    def _summarise(self) -> None:
        summary, feed = self._summary, self._recorder.feed
        summary.losses += self._recorder.losses
        for link in [*feed.links.values(), feed.closed]:
            summary.control += link.control
            summary.ignored += link.ignored
            summary.rejected += link.rejected
        for keeper in feed.keepers.values():
            spec = keeper.spec
            book = summary.books.setdefault((spec.dataset, spec.inst), BookSummary(spec.dataset, spec.inst))
            book.lines += self._archive.lines[spec]
            book.not_ascending += self._archive.not_ascending[spec]
            book.late += sum(count for (late, _), count in self._archive.late.items() if late == spec)
            book.messages.update(asdict(keeper.counts))
            book.checksums.update(keeper.checksums)


def _belongs_to_the_end(line: TapeLine, run: _Run) -> bool:
    """Tell whether a line behind a run's `stop` is none that begins another run: no input, or its own start again."""
    return line.dir in ("out", "stop") or (line.dir == "start" and line.run == run.tape_run)


def _venue_of(line: TapeLine) -> str | None:
    """Tell the venue from a start line, else from the address of the connection."""
    named = start_settings(line).get("venue") if line.dir == "start" else None
    return named if isinstance(named, str) else venue_of_url(line.url or "")


def _settings(venue: Venue, options: ReplayOptions, taped: dict[str, object], run: int) -> Settings:
    """Take each setting from the user, else from the tape's start, else the default."""
    default = Settings()
    insts = options.insts
    only = None if insts is None else frozenset((channel, inst) for channel in venue.channels for inst in insts)
    return Settings(
        cadence_ns=options.cadence_ns
        or _whole(taped, "cadence_ms", default.cadence_ns // NS_PER_MS, 10, 3_600_000) * NS_PER_MS,
        depth=options.depth or _whole(taped, "depth", default.depth, 1, 100_000),
        grace_ns=_whole(taped, "grace_ms", default.grace_ns // NS_PER_MS, 0, 3_600_000) * NS_PER_MS,
        order_books_ns=_whole(taped, "order_books_ms", default.order_books_ns // NS_PER_MS, 10, 3_600_000) * NS_PER_MS,
        max_orders=_whole(taped, "max_orders", default.max_orders, 1, 1_000_000_000),
        connections=_connections(venue, taped, insts),
        checksum_resync=_whole(taped, "checksum_resync", default.checksum_resync),
        jitter_seed=_whole(taped, "jitter_seed", default.jitter_seed),
        only=only,
        codes=_codes(taped),
        run=f"{time.time_ns():x}.{run}",
    )


def _connections(venue: Venue, taped: dict[str, object], insts: frozenset[str] | None) -> dict[str, list[BookKey]]:
    """Read which books each connection of a taped run subscribed."""
    connections = taped.get("connections")
    if not isinstance(connections, dict):
        return {}
    return {
        str(conn): [(channel, inst) for channel, inst in books if insts is None or inst in insts]
        for conn, books in connections.items()
        if all(channel in venue.channels for channel, _ in books)
    }


def _codes(taped: dict[str, object]) -> dict[str, str]:
    """Read what the wire called instruments in a taped run."""
    codes = taped.get("codes")
    return {str(inst): str(code) for inst, code in codes.items()} if isinstance(codes, dict) else {}


def _whole(taped: dict[str, object], name: str, default: int, least: int = 0, most: int = 1 << 62) -> int:
    """Read a whole number from a tape's start.

    Raises:
        ConfigError: it is none, or not within its limits.
    """
    value = taped.get(name, default)
    if type(value) is not int or not least <= value <= most:
        raise ConfigError(
            f"the tape's start has {name} {clip(value)}; it must be a whole number from {least} to {most}"
        )
    return value


def describe(settings: Settings) -> dict[str, object]:
    """Say in the ledger how lines are made in this run."""
    return {
        "version": __version__,
        "cadence_ms": settings.cadence_ns // NS_PER_MS,
        "depth": settings.depth,
    }
