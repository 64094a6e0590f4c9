"""The only place that calls the operating system about files, so that a faulty disk can stand in.

It decides nothing: every failure passes through as the OSError it is. Symbolic links are never followed at the end of
a path.
"""

import errno
import os
import sys
from pathlib import Path

_WINDOWS = sys.platform == "win32"
_FLAGS: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Disk:
    """Files as the retention job needs them. Descriptors belong to the caller, who closes them."""

    def open_read(self, path: Path) -> int:
        """Open a file for reading."""
        return os.open(path, os.O_RDONLY | _FLAGS)

    def create(self, path: Path) -> int:
        """Make a file that must not exist yet, for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)

    def open_append(self, path: Path) -> int:
        """Open a file for writes at its end; it is made if it does not exist."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS, 0o666)

    def read(self, fd: int, size: int) -> bytes:
        """Read up to so many bytes; none at the end."""
        return os.read(fd, size)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of it. A failure may leave a part of it behind."""
        rest = memoryview(data)
        while rest:
            written = os.write(fd, rest)
            if written <= 0:
                raise OSError(errno.EIO, "the disk took nothing")
            rest = rest[written:]

    def fsync(self, fd: int) -> None:
        """Wait until what was written would survive a loss of power."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut an open file to `size` bytes."""
        os.ftruncate(fd, size)

    def stat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        return os.fstat(fd)

    def lstat(self, path: Path) -> os.stat_result:
        """Describe a file; a link is described itself."""
        return path.lstat()

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same folder."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Delete a folder that is empty; any other is refused by the system."""
        path.rmdir()

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
