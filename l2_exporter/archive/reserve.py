"""Room set aside on the disk, so that a full one can still be told that it is full."""

import contextlib
from pathlib import Path

from l2_exporter.archive.disk import Disk

RESERVE_BYTES = 256 << 10


class Reserve:
    """A small file that is deleted when the disk is full and written again when it no longer is."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def take(self) -> None:
        """Set the room aside, unless it is.

        Raises:
            OSError: there is none.
        """
        if not self._path.exists():
            self._disk.write_whole(self._path, bytes(RESERVE_BYTES))

    def free(self) -> None:
        """Give the room to whoever writes next."""
        with contextlib.suppress(OSError):
            self._disk.remove(self._path)
