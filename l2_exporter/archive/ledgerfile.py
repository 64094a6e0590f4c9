"""The ledger open for appending, the file of each UTC date in turn. What cannot be written waits, in order."""

import errno
from collections import deque

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.leftover import Leftover
from l2_exporter.archive.repair import repair_tail
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import date_of

WAITING_LIMIT = 20_000


class LedgerFile:
    """Appends ledger lines. Not one is dropped: while the disk refuses them they wait in memory, up to a limit.

    Attributes:
        refused: why they wait; None: they do not.
    """

    def __init__(self, disk: Disk, vault: Vault, venue: str, left: Leftover) -> None:
        """Begin without a file.

        Args:
            left: is told of files that may be unsynced.
        """
        self._disk = disk
        self._vault = vault
        self._venue = venue
        self._left = left
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._day: str | None = None
        self._fd: int | None = None
        self._size = 0
        self._unsynced = False
        self._others_sound = False
        self.refused: OSError | None = None

    @property
    def waiting(self) -> int:
        """How many lines wait for the disk."""
        return len(self._waiting)

    def append(self, line: bytes, at_ns: int) -> None:
        """Append a line to the file of its date, after all that still waits.

        Raises:
            ArchiveError: so many lines wait that no more can be held.
        """
        self._waiting.append((at_ns, line))
        try:
            self.flush()
        except OSError as error:
            if len(self._waiting) >= WAITING_LIMIT:
                raise ArchiveError(f"the ledger cannot be written: {error}") from error

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: the disk refuses it still.
        """
        try:
            while self._waiting:
                at_ns, line = self._waiting[0]
                self._write(line, date_of(at_ns))
                self._waiting.popleft()
        except OSError as error:
            self.refused = error
            raise
        self.refused = None

    def sync(self) -> None:
        """Write what waits and make it survive a loss of power."""
        self.flush()
        if self._fd is not None:
            self._disk.fsync(self._fd)

    def duplicate(self) -> int | None:
        """Return another descriptor of the open file, for a sync elsewhere; None if nothing needs it."""
        if self._fd is None or not self._unsynced:
            return None
        fd = self._disk.duplicate(self._fd)
        self._unsynced = False
        return fd

    def unsynced(self) -> None:
        """Take note that what `duplicate` was for has failed."""
        self._unsynced = True

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            self._shut()

    def _write(self, line: bytes, day: str) -> None:
        if self._fd is None or day != self._day or not self._disk.is_named(self._fd):
            self._open(day)
        if self._fd is None:
            raise OSError(errno.EIO, "the ledger is not open")
        try:
            written = self._disk.append(self._fd, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes of a ledger line were written")
        except OSError:
            self._take_back()
            raise
        self._size += len(line)
        self._unsynced = True

    def _open(self, day: str) -> None:
        self._shut()
        self._make_others_sound(day)
        path = self._vault.ledger_file(self._venue, day)
        self._size = 0
        if path.exists():
            self._size = repair_tail(self._disk, path, path.with_suffix(".torn")).size
            self._left.found(path)
        self._fd = self._disk.open_append(path)
        self._day = day

    def _make_others_sound(self, day: str) -> None:
        """Cut a torn tail of another date once a run: the run before may have been killed on the day before."""
        if self._others_sound:
            return
        own = self._vault.ledger_file(self._venue, day)
        others = [path for path in own.parent.glob("*.jsonl") if path != own]
        for path in sorted(others)[-1:]:
            repair_tail(self._disk, path, path.with_suffix(".torn"))
            self._left.found(path)
        self._others_sound = True

    def _take_back(self) -> None:
        """Cut what a failed write may have left; if even that fails, close: the next opening repairs."""
        if self._fd is None:
            return
        try:
            self._disk.truncate(self._fd, self._size)
        except OSError:
            self._shut()
            raise

    def _shut(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                self._disk.fsync(fd)
            finally:
                self._disk.close(fd)
