"""One recorder per vault and venue: a lock that the operating system releases when its holder dies."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from l2_exporter.archive.disk import Disk
from l2_exporter.core.errors import VaultBusyError

if sys.platform == "win32":
    import msvcrt

    _BEYOND = 1 << 30  # Windows keeps others from reading what is locked; the pid at the start stays readable

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, _BEYOND, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class VenueLock:
    """The lock on one venue of a vault; `path` is `Vault.lock_file(venue)`.

    The file stays when the lock is released: deleting it could let two recorders lock two files of one name.
    """

    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write our process id into its file.

        Raises:
            VaultBusyError: another recorder holds it.
            OSError: the file cannot be made or locked.
        """
        Disk().make_folders(self._path.parent)  # synced: with these folders the ledger would be gone
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _try_lock(fd):
                raise VaultBusyError(
                    f"another recorder (process {_read_pid(fd)}) holds {self._path}: stop it, or use another vault"
                )
            _write_pid(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read_pid(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, 32).decode("ascii", "replace").strip()
    return text if text.isdecimal() else "unknown"


def _write_pid(fd: int) -> None:
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, f"{os.getpid()}\n".encode())
