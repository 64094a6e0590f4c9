"""Runs one venue's feed over an archive: inputs in, records to the files, commands back to whoever can carry them out.

A live link and a replay drive the same recorder; nothing here knows which.
"""

from collections import Counter
from collections.abc import Iterable

from l2_exporter.archive.writer import Archive
from l2_exporter.core.commands import Command, KeepFrame, StopVenue
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import LedgerRecord, SnapshotRecord
from l2_exporter.core.surroundings import Output


class Recorder:
    """One run of one venue.

    Attributes:
        feed: the state machine.
        losses: declared in this run, by reason.
        build_fail: the line to log if the venue had to be stopped, None otherwise.
    """

    def __init__(self, feed: Feed, archive: Archive) -> None:
        self.feed = feed
        self.losses: Counter[str] = Counter()
        self.build_fail: str | None = None
        self._archive = archive

    def started(self, stamp: Stamp, detail: dict[str, object]) -> list[Command]:
        """Begin the run."""
        self._archive.note(LedgerRecord(stamp.recv_ns, "started", detail=detail))
        return self.settle(self.feed.started(stamp), stamp)

    def stopped(self, stamp: Stamp, reason: str) -> list[Command]:
        """End the run cleanly: open buckets are written."""
        commands = self.settle(self.feed.stopped(stamp), stamp)
        self._archive.note(LedgerRecord(stamp.recv_ns, "stopped", reason=reason), self._newest_event_ns())
        return commands

    def settle(self, outputs: Iterable[Output], stamp: Stamp) -> list[Command]:
        """Write the records among a feed's outputs and return the commands.

        Raises:
            ArchiveError: the archive cannot be written.
        """
        commands: list[Command] = []
        for output in outputs:
            if isinstance(output, SnapshotRecord):
                self._archive.write(output, stamp.elapsed_ns)
            elif isinstance(output, LedgerRecord):
                self._note(output)
            elif isinstance(output, KeepFrame):
                self._archive.keep_frame(output.frame, output.reason, stamp.recv_ns)
            else:
                if isinstance(output, StopVenue):
                    self.build_fail = output.line
                commands.append(output)
        return commands

    def _note(self, record: LedgerRecord) -> None:
        if record.kind == "gap" and record.reason is not None:
            self.losses[record.reason] += 1
        newest_ns = self._newest_event_ns() if record.at_ns is None else None
        self._archive.note(record, newest_ns)

    def _newest_event_ns(self) -> int | None:
        times = [keeper.state.book_ns for keeper in self.feed.keepers.values() if keeper.state.book_ns is not None]
        return max(times, default=None)
