"""What earlier runs may have left unsynced: a killed one leaves lines, and names, that only the system's memory holds.

A run that builds on them has to sync them too, or a loss of power takes what nobody declares lost. It is done with the
run's first sync, so off the event loop, and before what the run itself has written.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault


class Leftover:
    """Files, and folders that hold names, of earlier runs that are still to be synced; each once a run."""

    def __init__(self, disk: Disk, vault: Vault, venue: str) -> None:
        """Begin with nothing."""
        self._disk = disk
        self._root = vault.root
        self._meta, self._tapes = vault.meta_folder(venue), vault.root / "tape" / venue
        self._known: set[Path] = set()
        self._folders: list[Path] = []
        self._files: list[Path] = []

    def look(self) -> None:
        """Find the folders that every run of a venue puts something into, and the tapes written last."""
        for folder in (self._meta, self._tapes):
            if folder.is_dir():
                self._named(folder)
                for inner in sorted(folder.iterdir()):
                    if inner.is_dir():
                        self._named(inner)
        days = sorted(path for path in self._tapes.glob("*") if path.is_dir())
        names = sorted(path.name for path in days[-1].glob("*.jsonl")) if days else []
        for name in names:
            if name[:2] == names[-1][:2]:
                self.found(days[-1] / name)

    def found(self, path: Path) -> None:
        """Take note of a file that this run reads or goes on with."""
        if path not in self._known:
            self._known.add(path)
            self._files.append(path)
            self._named(path.parent)

    def take(self) -> tuple[Sequence[Path], Sequence[Path]]:
        """Hand over folders and files to sync."""
        folders, self._folders = self._folders, []
        files, self._files = self._files, []
        return folders, files

    def again(self, folders: Iterable[Path], files: Iterable[Path]) -> None:
        """Take back what could not be synced."""
        self._folders += folders
        self._files += files

    def sync(self) -> None:
        """Sync all at once.

        Raises:
            OSError: the disk could not promise it.
        """
        folders, files = self.take()
        for folder in folders:
            sync_folder(self._disk, folder)
        for path in files:
            sync_file(self._disk, path)

    def _named(self, folder: Path) -> None:
        """Take note of a folder, and of those it lies in, up to the vault."""
        for each in [folder, *folder.parents]:
            if each in self._known:
                return
            self._known.add(each)
            self._folders.append(each)
            if each == self._root:
                return


def sync_folder(disk: Disk, folder: Path) -> None:
    """Make the names in a folder safe, unless retention was faster."""
    if folder.is_dir():
        disk.sync_folder(folder)


def sync_file(disk: Disk, path: Path) -> None:
    """Make what a file holds safe, unless retention was faster."""
    try:
        fd = disk.open_existing(path)
    except FileNotFoundError:
        return
    try:
        disk.fsync(fd)
    finally:
        disk.close(fd)
