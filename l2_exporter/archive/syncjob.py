"""What one visit to the disk makes survive a loss of power, away from the event loop."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFile
from l2_exporter.archive.leftover import sync_file, sync_folder

What = TypeVar("What", int, Path)


class SyncJob:
    """Folders, files and descriptors to sync, and the hour files they stand for. It owns the descriptors.

    Attributes:
        marks: each hour file with the time of its first line that a loss of power could take.
        folders: in which files are new; ledger: whether the ledger is among the descriptors.
        left: folders and files of earlier runs, synced before all else.
    """

    def __init__(
        self,
        disk: Disk,
        files: Sequence[HourFile],
        folders: Sequence[Path],
        fds: Sequence[int],
        *,
        ledger: bool,
        left: tuple[Sequence[Path], Sequence[Path]] = ((), ()),
    ) -> None:
        self.marks: list[tuple[HourFile, int]] = []
        self.folders = folders
        self.ledger = ledger
        self.left = left
        self._disk = disk
        self._fds = [*fds]
        self._failed: OSError | None = None
        for file in files:
            self._add(file)

    @property
    def since_ns(self) -> int | None:
        """The age of the oldest line that it makes safe, as elapsed time; None if there is none."""
        return min((since_ns for _, since_ns in self.marks), default=None)

    def run(self) -> None:
        """Sync all, and close every descriptor.

        Raises:
            OSError: the disk could not promise one of them; the others were tried.
        """
        left_folders, left_files = self.left
        for path in left_files:
            self._try(sync_file, path)
        for folder in [*left_folders, *self.folders]:
            self._try(sync_folder, folder)
        for fd in self._fds:
            try:
                self._try(_sync_open, fd)
            finally:
                self._disk.close(fd)
        if self._failed is not None:
            raise self._failed

    def _add(self, file: HourFile) -> None:
        """Take a file in; one that cannot even be opened is tried again with the next job."""
        since_ns = file.unsynced_since_ns
        try:
            self._fds.append(file.duplicate())
        except OSError as error:
            self._failed = error
            return
        if since_ns is not None:
            self.marks.append((file, since_ns))
        file.unsynced_since_ns = None

    def _try(self, sync: Callable[[Disk, What], None], what: What) -> None:
        try:
            sync(self._disk, what)
        except OSError as error:
            self._failed = error


def _sync_open(disk: Disk, fd: int) -> None:
    disk.fsync(fd)
