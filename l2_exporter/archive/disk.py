"""The only place that calls the operating system to write the archive, so that a faulty disk can stand in.

It decides nothing and logs nothing: every failure passes through as the OSError it is. Windows differs in
three ways: files are opened in binary mode, folders cannot be synced, and a file that another program (a
virus scanner, say) looks at is refused for a moment, which is waited out for two seconds.
"""

import contextlib
import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from l2_exporter.archive import layout

T = TypeVar("T")

RETRY_PAUSE_S = 0.05
RETRIES = 40
"""Together two seconds."""

_WINDOWS = sys.platform == "win32"
_BINARY: int = getattr(os, "O_BINARY", 0)
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""A file of ours that is a symbolic link would lead out of the vault."""
_SHARING_VIOLATIONS = (5, 32, 33)


class Disk:
    """Files as the archive needs them. File descriptors belong to the caller, who closes them.

    Args:
        sleep: pauses for that many seconds between two attempts at a file that is in use.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._changed_folders: dict[Path, None] | None = None
        self._folders_gate = threading.Lock()  # hours are sealed in a thread of its own

    def sync_folders_later(self) -> None:
        """Only remember from now on which folders hold new files: whoever asks for `changed_folders` syncs them."""
        self._changed_folders = {}

    def changed_folders(self) -> list[Path]:
        """Hand over the folders to sync, outer ones first."""
        with self._folders_gate:
            folders = [*(self._changed_folders or ())]
            if folders:
                self._changed_folders = {}
            return folders

    def folders_changed(self, folders: Iterable[Path]) -> None:
        """Sync folders that hold new files, or remember them."""
        for folder in folders:
            with self._folders_gate:
                if self._changed_folders is not None:
                    self._changed_folders[folder] = None
                    continue
            self.sync_folder(folder)

    def open_append(self, path: Path) -> int:
        """Open a file for writes at its end, with its folders; a new one will be found after a crash."""
        flags = os.O_WRONLY | os.O_APPEND | _BINARY | _NOFOLLOW
        with contextlib.suppress(FileNotFoundError):
            return self._patiently(lambda: os.open(path, flags))
        self.make_folders(path.parent)
        try:
            fd = self._patiently(lambda: os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            return self._patiently(lambda: os.open(path, flags | os.O_CREAT, 0o666))
        try:
            self.folders_changed([path.parent])
        except OSError:
            os.close(fd)
            raise
        return fd

    def open_existing(self, path: Path) -> int:
        """Open a file that is there, to sync it; only Windows must be allowed to write it for that."""
        flags = os.O_WRONLY | os.O_APPEND if _WINDOWS else os.O_RDONLY
        return self._patiently(lambda: os.open(path, flags | _BINARY | _NOFOLLOW))

    def append(self, fd: int, data: bytes | memoryview) -> int:
        """Write once and return the number of bytes written, which may be fewer than given."""
        return self._patiently(lambda: os.write(fd, data))

    def append_all(self, fd: int, data: bytes) -> None:
        """Write until all is written. A failure may leave a part of it behind."""
        rest = memoryview(data)
        while rest:
            written = self.append(fd, rest)
            if written <= 0:
                raise OSError(errno.EIO, "the disk took nothing")
            rest = rest[written:]

    def size(self, fd: int) -> int:
        """Return the size of an open file in bytes."""
        return os.fstat(fd).st_size

    def is_named(self, fd: int) -> bool:
        """Tell whether an open file still has a name: into one that was deleted underneath lines would vanish."""
        return os.fstat(fd).st_nlink > 0

    def truncate(self, fd: int, size: int) -> None:
        """Cut an open file to `size` bytes."""
        os.ftruncate(fd, size)

    def duplicate(self, fd: int) -> int:
        """Return a second descriptor of an open file."""
        return os.dup(fd)

    def free_bytes(self, folder: Path) -> int:
        """Return how much may still be written below a folder that exists."""
        return shutil.disk_usage(folder).free

    def fsync(self, fd: int) -> None:
        """Wait until what was written would survive a loss of power."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor that was opened or duplicated here."""
        os.close(fd)

    def rename(self, tmp: Path, final: Path) -> None:
        """Rename a file over another; a loss of power can undo it until the folder is synced."""
        self._patiently(lambda: tmp.replace(final))

    def replace(self, tmp: Path, final: Path) -> None:
        """Rename a file over another, so that a crash leaves the old or the new one, whole."""
        self.rename(tmp, final)
        self.folders_changed([final.parent])

    def write_whole(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        """Put a whole file in the place of the old one, by a temporary file beside it.

        Args:
            durable: it survives a loss of power; without, a reader still sees the old or the new file, whole.
        """
        tmp = layout.temporary(path, os.getpid())
        with contextlib.suppress(FileNotFoundError):
            self.remove(tmp)
        try:
            fd = self.open_append(tmp)
            try:
                self.append_all(fd, data)
                if durable:
                    self.fsync(fd)
            finally:
                self.close(fd)
            if durable:
                self.replace(tmp, path)
            else:
                self.rename(tmp, path)
        except OSError:
            with contextlib.suppress(OSError):
                self.remove(tmp)
            raise

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def read_tail(self, path: Path, size: int) -> bytes:
        """Read the last `size` bytes of a file, all of it if it is shorter."""
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)

    def make_folders(self, path: Path) -> None:
        """Make a folder and those above it; new ones are sure to be found after a crash."""
        missing = [path]
        while not missing[-1].exists():
            missing.append(missing[-1].parent)
        for folder in reversed(missing[:-1]):
            folder.mkdir(exist_ok=True)
            self.folders_changed([folder.parent])

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder would survive a loss of power; Windows has no such call."""
        if _WINDOWS:
            return
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync files only
                raise
        finally:
            os.close(fd)

    def _patiently(self, call: Callable[[], T]) -> T:
        for _ in range(RETRIES):
            try:
                return call()
            except OSError as error:
                if not _in_use(error):
                    raise
            self._sleep(RETRY_PAUSE_S)
        return call()


def _in_use(error: OSError) -> bool:
    """Tell whether another Windows program holds the file. The C runtime gives no winerror, only EACCES."""
    code = getattr(error, "winerror", None)
    return code in _SHARING_VIOLATIONS or (_WINDOWS and code is None and isinstance(error, PermissionError))
