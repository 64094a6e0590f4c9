"""Runs one venue's feed over an archive: inputs in, records to the files, commands back to whoever can carry them out.

A live session and a replay drive the same recorder with the same kind of input, a tape line; nothing here knows which.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import orjson

from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.writer import REPLAY, Archive
from l2_exporter.core.commands import Command, KeepFrame, StopVenue
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import (
    Ended,
    HourOver,
    HoursOver,
    LateLine,
    LedgerRecord,
    OrderRecord,
    Record,
    SnapshotRecord,
)
from l2_exporter.core.surroundings import Output
from l2_exporter.core.venue import Venue

Watcher = Callable[[Record], None]


class Recorder:
    """One run of one venue.

    Attributes:
        feed: the state machine.
        losses: declared in this run, by reason.
        build_fail: the line to log if the venue had to be stopped, None otherwise.
    """

    def __init__(self, feed: Feed, archive: Archive, origin: str, watch: Watcher | None = None) -> None:
        self.feed = feed
        self.losses: Counter[str] = Counter()
        self.build_fail: str | None = None
        self._archive = archive
        self._origin = origin
        self._watch = watch
        self._newest_event_ns: int | None = None

    def started(self, stamp: Stamp, detail: dict[str, object]) -> list[Command]:
        """Begin the run."""
        self._note(LedgerRecord(stamp.recv_ns, "started", detail={"origin": self._origin, **detail}))
        return self._settle(self.feed.started(stamp), stamp)

    def take(self, line: TapeLine) -> list[Command]:
        """Feed one input; what was sent, and what this version does not know, is none.

        Raises:
            ArchiveError: the archive cannot be written.
        """
        stamp = stamp_of(line)
        if line.dir == "in" and line.conn in self.feed.links:
            outputs = self.feed.frame_received(line.conn, line.frame, stamp)
        else:
            take = _INPUTS.get(line.dir)
            outputs = [] if take is None else take(self, line, stamp)
        return self._settle(outputs, stamp) if outputs else []

    def stopped(self, stamp: Stamp, reason: str) -> list[Command]:
        """End the run cleanly: open buckets are written."""
        commands = self._settle(self.feed.stopped(stamp), stamp)
        self._note(LedgerRecord(stamp.recv_ns, "stopped", reason=reason))
        return commands

    def _dated(self, record: LedgerRecord) -> int | None:
        """Find the newest event time for a ledger record of a tape without receive times."""
        times = [keeper.state.book_ns for keeper in self.feed.keepers.values()]
        times += [record.since_event_ns, record.until_event_ns, self._newest_event_ns]
        self._newest_event_ns = max((time for time in times if time is not None), default=None)
        return self._newest_event_ns

    def _frame_received(self, line: TapeLine, stamp: Stamp) -> list[Output]:
        """Feed the first frame of a connection; recordings do not say when it was opened."""
        opened = self.feed.link_opened(line.conn, line.url, self._origin, stamp)
        return [*opened, *self.feed.frame_received(line.conn, line.frame, stamp)]

    def _link_opened(self, line: TapeLine, stamp: Stamp) -> list[Output]:
        replaces = _object(line).get("replaces")
        return self.feed.link_opened(
            line.conn, line.url, self._origin, stamp, replaces if isinstance(replaces, str) else None
        )

    def _link_closed(self, line: TapeLine, stamp: Stamp) -> list[Output]:
        return self.feed.link_closed(line.conn, _text(line) or "closed", stamp)

    def _replied(self, line: TapeLine, stamp: Stamp) -> list[Output]:
        return self.feed.book_replied(line.url or "", line.status, _text(line), stamp)

    def _ticked(self, line: TapeLine, stamp: Stamp) -> list[Output]:
        """Feed the passing of time, and what the shell has found out by it."""
        found = _object(line)
        stale, kind, detail = found.get("stale"), found.get("kind"), found.get("detail")
        if isinstance(stale, list):
            return self.feed.books_silent(_books(stale), stamp)
        if isinstance(found.get("join"), str):
            return self.feed.books_joined(str(found["join"]), _books(found.get("books")), _codes(found), stamp)
        if isinstance(kind, str) and isinstance(detail, dict):
            return self.feed.noted(kind, detail, stamp)
        return self.feed.ticked(stamp)

    def _settle(self, outputs: Iterable[Output], stamp: Stamp) -> list[Command]:
        """Write the records among a feed's outputs and return the commands."""
        commands: list[Command] = []
        for output in outputs:
            if isinstance(output, OrderRecord):
                self._archive.write_event(output, stamp.elapsed_ns)
                if self._watch is not None:
                    self._watch(output)
            elif isinstance(output, SnapshotRecord):
                self._archive.write(output, stamp.elapsed_ns)
                if self._watch is not None:
                    self._watch(output)
            elif isinstance(output, LedgerRecord):
                self._note(output)
            elif isinstance(output, HourOver | HoursOver | LateLine):
                self._ended(output)
            elif isinstance(output, KeepFrame):
                self._archive.keep_frame(output.frame, output.reason, stamp.recv_ns)
            else:
                if isinstance(output, StopVenue):
                    self.build_fail = output.line
                commands.append(output)
        return commands

    def _ended(self, ended: Ended) -> None:
        """Tell the archive of what is over."""
        if isinstance(ended, HourOver):
            self._archive.seal(ended, self._origin, self._newest_event_ns)
        elif isinstance(ended, LateLine):
            self._archive.count_late(ended)
        elif self._origin != REPLAY:
            self._archive.seal_orphans(ended)

    def _note(self, record: LedgerRecord) -> None:
        if record.kind == "gap" and record.reason is not None:
            self.losses[record.reason] += 1
        self._archive.note(record, self._dated(record) if record.at_ns is None else None)
        if self._watch is not None:
            self._watch(record)


_INPUTS = {
    "in": Recorder._frame_received,
    "open": Recorder._link_opened,
    "close": Recorder._link_closed,
    "http": Recorder._replied,
    "tick": Recorder._ticked,
}


def venue_continuity(venue: Venue) -> Callable[[str], str]:
    """Return what tells the continuity of a venue's channels, as manifests have it."""

    def of(channel: str) -> str:
        known = venue.channels.get(channel)
        return "none" if known is None else known.continuity.value

    return of


def stamp_of(line: TapeLine) -> Stamp:
    """Tell when an input arrived; elapsed time is the monotonic clock where it was taped."""
    recv_ns, mono_ns = line.recv_ns, line.mono_ns
    return Stamp(recv_ns, recv_ns if mono_ns is None else mono_ns)


def _books(value: object) -> list[tuple[str, str]]:
    """Read (channel, instrument) pairs."""
    rows = value if isinstance(value, list) else []
    return [(str(row[0]), str(row[1])) for row in rows if isinstance(row, list) and len(row) == 2]


def _codes(found: dict[str, object]) -> dict[str, str]:
    codes = found.get("codes")
    return {str(inst): str(code) for inst, code in codes.items()} if isinstance(codes, dict) else {}


def _text(line: TapeLine) -> str:
    return line.frame if isinstance(line.frame, str) else line.frame.decode("utf-8", "replace")


def _object(line: TapeLine) -> dict[str, object]:
    """Read the JSON object a line of ours carries; empty for any other text."""
    try:
        value = orjson.loads(line.frame)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
