"""The one writer of a venue's data files: hour files, ledger, rejected frames."""

import contextlib
import errno
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFile, HourFiles, Place
from l2_exporter.archive.layout import TEMPORARY_PREFIX, Vault
from l2_exporter.archive.ledger import encode_entry
from l2_exporter.archive.ledgerfile import LedgerFile
from l2_exporter.archive.leftover import Leftover, sync_folder
from l2_exporter.archive.line import encode_event, encode_line
from l2_exporter.archive.past import Past
from l2_exporter.archive.patience import Patience
from l2_exporter.archive.reserve import RESERVE_BYTES, Reserve
from l2_exporter.archive.sealing import Seals
from l2_exporter.archive.sealjob import Sealed
from l2_exporter.archive.syncjob import SyncJob
from l2_exporter.core.errors import ArchiveError, clip
from l2_exporter.core.records import (
    BookSpec,
    HourOver,
    HoursOver,
    LateLine,
    LedgerRecord,
    Line,
    OrderRecord,
    SnapshotRecord,
)
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S, hour_of, utc_text

REPLAY = "replay"
"""The origin of lines that were made from a tape."""
REJECTED_LIMIT = 100
REJECTED_BYTES = 1 << 20
REJECTED_KEPT = 900
"""Of earlier runs, the newest: a recorder that is restarted whenever it ends must not fill the disk with them."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ROOM_BYTES = 8 << 20
"""On a disk that was full, lines are written again when so much is free: what the reserve gave up is for the ledger."""
LEDGER_AGAIN_NS = NS_PER_S
EVENTS_WAITING = 1_000
"""Order events that wait for others to be written with."""


@dataclass(slots=True)
class Suspension:
    """Lines of one book that the disk did not take.

    Attributes:
        since_event_ns, since_recv_ns: of the first of them.
    """

    since_event_ns: int
    since_recv_ns: int | None
    lines: int = 0


class Archive:
    """Writes one venue's records into a vault.

    Attributes:
        past: what the vault holds from earlier runs; seals: the hours that are over.
        lines: written in this run, by book; last_lines: book time of the newest; bytes_written: of all of them.
        not_ascending, late: lines that were not written, and why.
    """

    def __init__(
        self,
        vault: Vault,
        venue: str,
        *,
        disk: Disk | None = None,
        patient: bool = True,
        continuity_of: Callable[[str], str] = lambda _channel: "none",
    ) -> None:
        """Open the archive of a venue; the caller holds its lock.

        Args:
            patient: keep going when a line cannot be written, and declare it; else the first failure is an error, and
                hours are sealed at once instead of by who syncs.
            continuity_of: tells what proves the continuity of a channel.
        """
        disk = disk or Disk()
        self.lines: Counter[BookSpec] = Counter()
        self.last_lines: dict[BookSpec, int] = {}
        self.bytes_written = 0
        self.not_ascending: Counter[BookSpec] = Counter()
        self.late: Counter[tuple[BookSpec, int]] = Counter()
        self._disk = disk
        self._vault = vault
        self._venue = venue
        self._patient = patient
        self._reserve = Reserve(disk, vault.meta_folder(venue) / ".reserve") if patient else None
        self.seals = Seals(disk, vault, venue, continuity_of, self._is_continued)
        self._files = HourFiles(disk, vault, self.seals.deleted_until)
        self._left = Leftover(disk, vault, venue)
        self._ledger = LedgerFile(disk, vault, venue, self._left)
        self._suspended: dict[BookSpec, Suspension] = {}
        self._undated: list[LedgerRecord] = []
        self._full = self._gave_up_reserve = False
        self._lines_refused = Patience()
        self._ledger_refused = Patience()
        self._ledger_again_ns = 0
        self._syncing: SyncJob | None = None
        self._rejected = 0
        self._events: dict[tuple[str, str, int], list[OrderRecord]] = {}
        self._events_elapsed_ns: int | None = None
        self.past = Past(disk, vault, venue, self._files, self.seals.windows, self._left, repeats=not patient)

    @property
    def suspended(self) -> int:
        """How many books the disk takes no lines of at the moment."""
        return len(self._suspended)

    def begin(self) -> None:
        """Prove that the vault can be written, and set room aside for saying so when it no longer can.

        What a killed run left half-written in temporary files is removed.

        Raises:
            ArchiveError: it cannot.
        """
        folder = self._vault.meta_folder(self._venue)
        try:
            self._disk.make_folders(folder)
            for left in folder.rglob(f"{TEMPORARY_PREFIX}*"):
                self._disk.remove(left)
            for old in sorted(self._vault.rejected_folder(self._venue).glob("*.json"))[:-REJECTED_KEPT]:
                self._disk.remove(old)
            self._left.look()
            if self._reserve is not None:
                self._reserve.take()
            if self._disk.free_bytes(folder) < RESERVE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise ArchiveError(f"the vault cannot be written: {error}") from error

    def write(self, record: SnapshotRecord, elapsed_ns: int | None) -> None:
        """Append a line to its hour file, unless it would not ascend there or the hour takes no more lines.

        Raises:
            ArchiveError: the disk refused it and the writer is not patient, or has been refused for a minute for a
                reason that waiting does not mend.
        """
        self.flush_events()
        place = (record.event_ns, int(record.gap))
        try:
            file = self._file_for(record, place)
            if file is not None:
                self._append(file, encode_line(record), [record], place, elapsed_ns)
        except OSError as error:
            self._refused(record, error, elapsed_ns)

    def write_event(self, record: OrderRecord, elapsed_ns: int | None) -> None:
        """Take an order event; it is written with others of its file, before any line that is made after it.

        Raises:
            ArchiveError: as `write`.
        """
        key = (record.spec.dataset, record.spec.inst, hour_of(record.event_ns))
        waiting = self._events.get(key)
        if waiting is None:
            waiting = self._events[key] = []
        waiting.append(record)
        self._events_elapsed_ns = elapsed_ns
        if len(waiting) >= EVENTS_WAITING:
            self.flush_events()

    def flush_events(self) -> None:
        """Write the order events that wait, those of one file with one write.

        Raises:
            ArchiveError: as `write`.
        """
        if self._events:
            waiting, self._events = self._events, {}
            for records in waiting.values():
                self._write_events(records)

    def _write_events(self, records: Sequence[OrderRecord]) -> None:
        last = records[-1]
        try:
            file = self._file_for(records[0], None)
            if file is None:
                self.late[last.spec, hour_of(last.event_ns)] += len(records) - 1
                return
            ascending = [record for record in records if file.ascends((record.event_ns, record.number))]
            self.not_ascending[last.spec] += len(records) - len(ascending)
            if ascending:
                lines = b"".join(map(encode_event, ascending))
                self._append(file, lines, ascending, (last.event_ns, last.number), self._events_elapsed_ns)
        except OSError as error:
            for record in records:
                self._refused(record, error, self._events_elapsed_ns)

    def _file_for(self, record: Line, place: Place | None) -> HourFile | None:
        """Return the file that takes a line; None if none does, which is counted.

        Args:
            place: it must ascend there; None: the caller sees to that.
        """
        hour = hour_of(record.event_ns)
        self._files.has_line(record.spec, hour)
        file = self._files.get(record.spec, hour)
        if not file.takes_lines:
            self._too_late(record, hour)
            return None
        if place is not None and not file.ascends(place):
            self.not_ascending[record.spec] += 1
            return None
        return file

    def _append(
        self, file: HourFile, lines: bytes, records: Sequence[Line], place: Place, elapsed_ns: int | None
    ) -> None:
        self._require_room()
        self._declare_before()
        file.append(lines, place, elapsed_ns)
        self._files.opened(file)
        last = records[-1]
        self.lines[last.spec] += len(records)
        self.last_lines[last.spec] = last.event_ns
        self.bytes_written += len(lines)
        self._written(records[0])

    def count_late(self, record: LateLine) -> None:
        """Count a line whose hour is over; say it once an hour and book.

        Raises:
            ArchiveError: as `write`.
        """
        self._too_late(record, hour_of(record.event_ns))

    def seal(self, record: HourOver, origin: str, newest_event_ns: int | None) -> None:
        """Let an hour of a book take no more lines, and have it sealed.

        Raises:
            ArchiveError: as `write`.
        """
        self.flush_events()
        if origin != REPLAY:
            self.seals.orphans_before(record.hour, record.at_ns, self._files.first_hours())
        self.seals.over(record, origin)
        for spec, _ in record.datasets:
            self._files.close_hour(spec, record.hour)
        if not self._patient:
            self._seal_all(newest_event_ns)

    def seal_orphans(self, record: HoursOver) -> None:
        """Have the hours sealed that earlier runs have left behind; none of them takes lines any more.

        Raises:
            ArchiveError: as `write`.
        """
        self.flush_events()
        self._files.close_before(record.hour)
        self.seals.orphans_before(record.hour, record.at_ns, self._files.first_hours())

    def sealed(self, hours: Sequence[Sealed], newest_event_ns: int | None = None) -> None:
        """Say in the ledger which hours have been sealed."""
        for hour in hours:
            detail: dict[str, object] = {
                "hour_utc": utc_text(hour.hour * HOUR_NS, 1)[:-3] + "Z",
                "lines": hour.lines,
                "sha256": hour.sha256,
                "manifest_sha256": hour.digest,
            }
            reason = None if hour.by_run else "later"
            self.note(LedgerRecord(hour.at_ns, "sealed", spec=hour.spec, reason=reason, detail=detail), newest_event_ns)

    def _seal_all(self, newest_event_ns: int | None) -> None:
        try:
            if self.seals.waiting:
                self._ledger.sync()  # no manifest is safe before what the ledger says of its hour
            while self.seals.waiting:
                self.sealed(self.seals.run_next(), newest_event_ns)
        except OSError as error:
            raise ArchiveError(f"an hour cannot be sealed: {error}") from error

    def _is_continued(self, spec: BookSpec, hour: int) -> bool:
        return self._files.is_continued(spec, hour)

    def note(self, record: LedgerRecord, newest_event_ns: int | None = None) -> None:
        """Append a ledger line; one without receive time gets the newest event time, or waits until one is known."""
        self.flush_events()
        at_ns = newest_event_ns if record.at_ns is None else record.at_ns
        if at_ns is None:
            self._undated.append(record)
            return
        undated, self._undated = self._undated, []
        for earlier in [*undated, record]:
            self.seals.windows.noted(earlier, at_ns)
            self._ledger.append(encode_entry(earlier, self._venue, at_ns), at_ns)
        if self._reserve is not None and self._ledger.refused is not None and self._ledger.refused.errno in FULL:
            self._make_room()

    def keep_frame(self, frame: str | bytes, reason: str, at_ns: int | None) -> None:
        """Keep a rejected frame for whoever has to find out why, the first hundred of a run, cut at 1 MiB."""
        if self._rejected >= REJECTED_LIMIT:
            return
        self._rejected += 1
        at = utc_text(at_ns or 0, 6)
        raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
        text = {"at": at, "reason": clip(reason, 1000), "b64": b64encode(raw[:REJECTED_BYTES]).decode()}
        name = f"{at.replace(':', '')}-{self._rejected:03d}.json"
        try:
            self._disk.write_whole(self._vault.rejected_folder(self._venue) / name, orjson.dumps(text))
        except OSError as error:
            self._raise_if_impatient(error)

    def sync(self) -> None:
        """Make everything written survive a loss of power.

        Raises:
            OSError: the disk could not promise it.
        """
        self.flush_events()
        self._left.sync()
        self._files.sync()
        self._ledger.sync()

    def sync_job(self, elapsed_ns: int, after_ns: int, more_fds: Sequence[int] = ()) -> SyncJob | None:
        """Collect what has been unsynced for `after_ns`, and the ledger; None if there is nothing.

        One job at a time; its end is told to `synced`. It takes over `more_fds`. A ledger that waits is tried again.

        Raises:
            ArchiveError: the ledger was refused for a minute, for a reason that waiting does not mend.
        """
        self._retry_ledger(elapsed_ns)
        due = [file for file in self._files.unsynced() if elapsed_ns - (file.unsynced_since_ns or 0) >= after_ns]
        folders = self._disk.changed_folders()
        try:
            ledger_fd = self._ledger.duplicate()
        except OSError:  # no descriptor is left; the next job tries again
            ledger_fd = None
        fds = [*more_fds] if ledger_fd is None else [*more_fds, ledger_fd]
        left = self._left.take()
        if not (due or folders or fds or any(left)):
            return None
        self._syncing = SyncJob(self._disk, due, folders, fds, ledger=ledger_fd is not None, left=left)
        return self._syncing

    def synced(self, job: SyncJob, *, ok: bool) -> None:
        """Take note of a finished job; after a failure what it was for is as unsynced as before."""
        self._syncing = None
        if ok:
            return
        for file, since_ns in job.marks:
            file.unsynced_since_ns = since_ns
        self._disk.folders_changed(job.folders)
        self._left.again(*job.left)
        if job.ledger:
            self._ledger.unsynced()

    def sync_lag_ns(self, elapsed_ns: int) -> int:
        """Tell the age of the oldest line that a loss of power could still take."""
        since = [file.unsynced_since_ns or 0 for file in self._files.unsynced()[:1]]
        if self._syncing is not None and self._syncing.since_ns is not None:
            since.append(self._syncing.since_ns)
        return elapsed_ns - min(since) if since else 0

    def free_bytes(self) -> int:
        """Tell how much room the vault's disk has."""
        return self._disk.free_bytes(self._vault.root)

    def close(self, closing_ns: int) -> None:
        """Sync and close all files. What is still undated is dated with this moment.

        Raises:
            ArchiveError: something could not be written or synced.
        """
        self.flush_events()
        try:
            for record in self._undated:
                self._ledger.append(encode_entry(record, self._venue, closing_ns), closing_ns)
            self._undated = []
            try:
                self._left.sync()
                for folder in self._disk.changed_folders():
                    sync_folder(self._disk, folder)
            finally:
                try:
                    self._files.close()
                finally:
                    self._ledger.close()
        except OSError as error:
            raise ArchiveError(f"the archive could not be closed: {error}") from error

    def _too_late(self, record: Line | LateLine, hour: int) -> None:
        """Count a line for an hour that takes no more; say it once."""
        self.late[record.spec, hour] += 1
        if self.late[record.spec, hour] == 1:
            event = LedgerRecord(record.recv_ns, "late_line", spec=record.spec, since_event_ns=record.event_ns)
            self.note(event, record.event_ns)

    def _require_room(self) -> None:
        """Write no lines into the room that a full disk needs for its ledger and status."""
        if self._full and self._disk.free_bytes(self._vault.root) < ROOM_BYTES:
            raise OSError(errno.ENOSPC, "the disk is full still")
        self._full = False

    def _make_room(self) -> None:
        """Give up the reserve, and let the ledger have it at once."""
        self._full = self._gave_up_reserve = True
        if self._reserve is not None:
            self._reserve.free()
        with contextlib.suppress(OSError):  # it goes on waiting
            self._ledger.flush()

    def _declare_before(self) -> None:
        """Let what waits for the ledger go before a line: a kill between the two would leave what nobody declared.

        Raises:
            OSError: the ledger is refused still, and so is the line.
        """
        if self._ledger.waiting:
            self._ledger.flush()

    def _retry_ledger(self, elapsed_ns: int) -> None:
        """Write what waits of the ledger, once a second."""
        if not self._ledger.waiting:
            self._ledger_refused.done()
        elif elapsed_ns >= self._ledger_again_ns:
            self._ledger_again_ns = elapsed_ns + LEDGER_AGAIN_NS
            try:
                self._ledger.flush()
            except OSError as error:
                self._ledger_refused.refused(error, elapsed_ns)

    def _written(self, record: Line) -> None:
        self._lines_refused.done()
        lost = self._suspended.pop(record.spec, None)
        if self._gave_up_reserve and self._reserve is not None and not self._suspended:
            with contextlib.suppress(OSError):  # the disk may be nearly full still; the next line tries again
                self._reserve.take()
                self._gave_up_reserve = False
        if lost is None:
            return
        resumed = LedgerRecord(
            record.recv_ns,
            "write_resumed",
            spec=record.spec,
            since_event_ns=lost.since_event_ns,
            since_recv_ns=lost.since_recv_ns,
            until_event_ns=record.event_ns,
            until_recv_ns=record.recv_ns,
            detail={"lines_lost": lost.lines},
        )
        self.note(resumed, record.event_ns)

    def _refused(self, record: Line, error: OSError, elapsed_ns: int | None) -> None:
        """Declare a line that could not be written. The book stays live; its next line tries again."""
        self._raise_if_impatient(error)
        if error.errno in FULL and not self._full:
            self._make_room()
        self._lines_refused.refused(error, elapsed_ns)
        lost = self._suspended.get(record.spec)
        if lost is None:
            lost = self._suspended[record.spec] = Suspension(record.event_ns, record.recv_ns)
            suspended = LedgerRecord(
                record.recv_ns,
                "write_suspended",
                spec=record.spec,
                since_event_ns=record.event_ns,
                since_recv_ns=record.recv_ns,
                detail={"error": clip(str(error))},
            )
            self.note(suspended, record.event_ns)
        lost.lines += 1

    def _raise_if_impatient(self, error: OSError) -> None:
        if not self._patient:
            raise ArchiveError(f"the archive cannot be written: {error}") from error
