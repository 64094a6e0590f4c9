"""One retention job a vault at a time: a lock that the operating system releases when its holder dies.

It is the job's own: the recorders' locks are neither taken nor waited for.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retention.errors import BusyError

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


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock on a file, which stays when the lock is gone: deleting it could let two hold two files.

    Raises:
        BusyError: another job holds it.
        OSError: the file cannot be made or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if not _try_lock(fd):
            raise BusyError(f"another retention job (process {_pid_in(fd)}) works on this vault; it holds {path}")
        _write_pid(fd)
        yield
    finally:
        os.close(fd)


def _write_pid(fd: int) -> None:
    """Say who holds it, if the disk has room: on a full one the job may be what makes some."""
    try:
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, f"{os.getpid()}\n".encode())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _pid_in(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, 32).decode("ascii", "replace").strip()
    return text if text.isdecimal() else "unknown"
