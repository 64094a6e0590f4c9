"""The one writer of a venue's data files: hour files, ledger, rejected frames."""

import contextlib
import errno
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFile, HourFiles
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.ledger import encode_entry
from l2_exporter.archive.ledgerfile import LedgerFile
from l2_exporter.archive.line import encode_line
from l2_exporter.archive.past import Past
from l2_exporter.archive.reserve import Reserve
from l2_exporter.core.errors import ArchiveError, clip
from l2_exporter.core.records import BookSpec, LedgerRecord, SnapshotRecord
from l2_exporter.core.timetext import NS_PER_S, hour_of, utc_text

REJECTED_LIMIT = 100
REJECTED_BYTES = 1 << 20
HOPELESS = frozenset({errno.EROFS, errno.EACCES, errno.EIO})
HOPELESS_AFTER_NS = 60 * NS_PER_S


@dataclass(slots=True)
class Suspension:
    """Lines of one book that the disk did not take.

    Attributes:
        since_event_ns, since_recv_ns: of the first of them.
    """

    since_event_ns: int
    since_recv_ns: int | None
    lines: int = 0


class SyncJob:
    """Descriptors to sync, away from the event loop, and the files they belong to."""

    def __init__(self, disk: Disk, files: list[HourFile], ledger_fd: int | None) -> None:
        self._disk = disk
        self.marks = [(file, file.unsynced_since_ns) for file in files]
        self._fds = [file.duplicate() for file in files]
        if ledger_fd is not None:
            self._fds.append(ledger_fd)
        for file in files:
            file.unsynced_since_ns = None

    def run(self) -> None:
        """Sync and close every descriptor.

        Raises:
            OSError: the disk could not promise one of them; the others were tried.
        """
        failed: OSError | None = None
        for fd in self._fds:
            try:
                self._disk.fsync(fd)
            except OSError as error:
                failed = error
            finally:
                self._disk.close(fd)
        if failed is not None:
            raise failed


class Archive:
    """Writes one venue's records into a vault.

    Attributes:
        past: what the vault holds from earlier runs.
        lines: written in this run, by book; last_lines: book time of the newest; bytes_written: of all of them.
        not_ascending, late: lines that were not written, and why.
    """

    def __init__(self, vault: Vault, venue: str, *, disk: Disk | None = None, patient: bool = True) -> None:
        """Open the archive of a venue; the caller holds its lock.

        Args:
            patient: keep going when a line cannot be written, and declare it; else the first failure is an error.
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
        self._files = HourFiles(disk, vault)
        self._ledger = LedgerFile(disk, vault, venue)
        self._suspended: dict[BookSpec, Suspension] = {}
        self._undated: list[LedgerRecord] = []
        self._hopeless_since_ns: int | None = None
        self._rejected = 0
        self.past = Past(disk, vault, venue, self._files)

    @property
    def suspended(self) -> int:
        """How many books the disk takes no lines of at the moment."""
        return len(self._suspended)

    def begin(self) -> None:
        """Prove that the vault can be written, and set room aside for saying so when it no longer can.

        Raises:
            ArchiveError: it cannot.
        """
        try:
            self._disk.make_folders(self._vault.meta_folder(self._venue))
            if self._reserve is not None:
                self._reserve.take()
        except OSError as error:
            raise ArchiveError(f"the vault cannot be written: {error}") from error

    def write(self, record: SnapshotRecord, elapsed_ns: int | None) -> None:
        """Append a line to its hour file, unless it would not ascend there or the hour takes no more lines.

        Raises:
            ArchiveError: the disk refused it and the writer is not patient, or has been refused for a minute for a
                reason that waiting does not mend.
        """
        hour = hour_of(record.event_ns)
        try:
            file = self._files.get(record.spec, hour)
            if not file.takes_lines:
                self._too_late(record, hour)
            elif not file.ascends(record.event_ns, record.gap):
                self.not_ascending[record.spec] += 1
            else:
                line = encode_line(record)
                file.append(line, record.event_ns, record.gap, elapsed_ns)
                self._files.opened(file)
                self.lines[record.spec] += 1
                self.last_lines[record.spec] = record.event_ns
                self.bytes_written += len(line)
                self._written(record)
        except OSError as error:
            self._refused(record, error, elapsed_ns)

    def note(self, record: LedgerRecord, newest_event_ns: int | None = None) -> None:
        """Append a ledger line; one without receive time gets the newest event time, or waits until one is known."""
        at_ns = newest_event_ns if record.at_ns is None else record.at_ns
        if at_ns is None:
            self._undated.append(record)
            return
        undated, self._undated = self._undated, []
        for earlier in [*undated, record]:
            self._ledger.append(encode_entry(earlier, self._venue, at_ns), at_ns)

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
        self._files.sync()
        self._ledger.sync()

    def sync_job(self, elapsed_ns: int, after_ns: int) -> SyncJob | None:
        """Collect what has been unsynced for `after_ns`, and the ledger; None if there is nothing."""
        due = [file for file in self._files.unsynced() if elapsed_ns - (file.unsynced_since_ns or 0) >= after_ns]
        ledger_fd = self._ledger.duplicate()
        return SyncJob(self._disk, due, ledger_fd) if due or ledger_fd is not None else None

    def synced(self, job: SyncJob, *, ok: bool) -> None:
        """Take note of a finished job; after a failure its files are as unsynced as before."""
        for file, since_ns in job.marks:
            if not ok:
                file.unsynced_since_ns = since_ns

    def sync_lag_ns(self, elapsed_ns: int) -> int:
        """Tell the age of the oldest line that a loss of power could still take."""
        unsynced = self._files.unsynced()
        return elapsed_ns - (unsynced[0].unsynced_since_ns or 0) if unsynced else 0

    def free_bytes(self) -> int:
        """Tell how much room the vault's disk has."""
        return self._disk.free_bytes(self._vault.root)

    def close(self, closing_ns: int) -> None:
        """Sync and close all files. What is still undated is dated with this moment.

        Raises:
            ArchiveError: something could not be written or synced.
        """
        try:
            for record in self._undated:
                self._ledger.append(encode_entry(record, self._venue, closing_ns), closing_ns)
            self._undated = []
            try:
                self._files.close()
            finally:
                self._ledger.close()
        except OSError as error:
            raise ArchiveError(f"the archive could not be closed: {error}") from error

    def _too_late(self, record: SnapshotRecord, hour: int) -> None:
        """Count a line for an hour that takes no more; say it once."""
        self.late[record.spec, hour] += 1
        if self.late[record.spec, hour] == 1:
            event = LedgerRecord(record.recv_ns, "late_line", spec=record.spec, since_event_ns=record.event_ns)
            self.note(event, record.event_ns)

    def _written(self, record: SnapshotRecord) -> None:
        self._hopeless_since_ns = None
        lost = self._suspended.pop(record.spec, None)
        if lost is None:
            return
        if self._reserve is not None and not self._suspended:
            with contextlib.suppress(OSError):  # the disk may be nearly full still; the next recovery tries again
                self._reserve.take()
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

    def _refused(self, record: SnapshotRecord, error: OSError, elapsed_ns: int | None) -> None:
        """Declare a line that could not be written. The book stays live; its next line tries again."""
        self._raise_if_impatient(error)
        if self._reserve is not None and error.errno == errno.ENOSPC:
            self._reserve.free()
        if error.errno in HOPELESS and elapsed_ns is not None:
            if self._hopeless_since_ns is None:
                self._hopeless_since_ns = elapsed_ns
            if elapsed_ns - self._hopeless_since_ns >= HOPELESS_AFTER_NS:
                raise ArchiveError(f"the archive cannot be written, for a minute now: {error}") from error
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
