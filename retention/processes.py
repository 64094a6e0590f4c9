"""Other processes: whether one runs, and what the one that records a venue has open. Signals none of them."""

import contextlib
import os
import stat
import sys
import time
from pathlib import Path

from l2_exporter.archive.layout import Vault
from retention.policy import HOUR_NS

if sys.platform == "win32":
    import ctypes

    _QUERY = 0x1000
    _STILL_ACTIVE = 259

    def _runs(pid: int) -> bool:
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_QUERY, False, pid)
        if not handle:
            return bool(kernel.GetLastError() == 5)  # access denied: it is there
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == _STILL_ACTIVE
else:

    def _runs(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True


def is_other_alive(pid: int) -> bool:
    """Tell whether a process runs that is not this one."""
    return pid not in (0, os.getpid()) and _runs(pid)


def lower_priority() -> None:
    """Stand back behind the recorder, where the system lets us."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(10)


class Writers:
    """The recorders and replays that work on a vault.

    A replay writes hours that are long over, and its lines would be lost if such a file were replaced under it.
    Windows refuses to delete an open file; elsewhere the files that the holder of the venue's lock has open are
    looked up in /proc, where there is one. A file that nobody has written to for an hour is only being kept open.
    A replay of many books closes files and comes back to them: what was written lately, but long after its hour, is
    taken for one of those as long as the holder is there.
    """

    def __init__(self, root: Path) -> None:
        self._vault = Vault(root)

    def is_writing(self, venue: str, found: os.stat_result, end_ns: int) -> bool:
        """Tell whether a file may be being written. `end_ns`: when the time ended that its path names."""
        if time.time_ns() - found.st_mtime_ns > HOUR_NS:
            return False
        holder = self._holder(venue)
        if holder in (None, os.getpid()):  # ours: the lock's file tells of a process that is gone
            return False
        if (found.st_dev, found.st_ino) in _open_files(holder):
            return True
        return found.st_mtime_ns > end_ns + HOUR_NS and self._is_at_work(venue, holder)

    def _holder(self, venue: str) -> int | None:
        try:
            text = self._vault.lock_file(venue).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.isdecimal() and len(text) < 11 else None

    def _is_at_work(self, venue: str, holder: int) -> bool:
        """Tell whether the holder still holds the lock; where its files are not known, whether it runs."""
        if not _runs(holder):
            return False
        files = _open_files(holder)
        try:
            lock = self._vault.lock_file(venue).stat()
        except OSError:
            return False
        return not files or (lock.st_dev, lock.st_ino) in files


def _open_files(pid: int) -> set[tuple[int, int]]:
    """List the files a process has open, by device and inode; none where that cannot be known."""
    found = set()
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    described = entry.stat()
                    if stat.S_ISREG(described.st_mode):
                        found.add((described.st_dev, described.st_ino))
    except OSError:
        return set()
    return found
