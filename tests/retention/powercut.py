"""A disk that keeps, beside the files, what a loss of power would leave of them at this moment, at its worst.

Of a file only what was synced is there; a name only if its folder was synced since it came, and that folder's own name
by its parent; a name that was taken away is gone at once. No real disk is that bad in all of it at the same time.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from retention.disk import Disk


class CutDisk(Disk):
    """Mirrors every call into a second vault.

    Args:
        root: the vault; all that is in it now is safe.
        survived: where to keep what a loss of power would leave; made here.
        looked: called after every call that changes something.
    """

    def __init__(self, root: Path, survived: Path, looked: Callable[[], None]) -> None:
        shutil.copytree(root, survived)
        self._root = root
        self._survived = survived
        self._looked = looked
        self._contents: dict[int, bytes] = {
            path.stat().st_ino: path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        self._paths: dict[int, Path] = {}

    def create(self, path: Path) -> int:
        fd = super().create(path)
        return self._opened(fd, path)

    def open_append(self, path: Path) -> int:
        fd = super().open_append(path)
        return self._opened(fd, path)

    def fsync(self, fd: int) -> None:
        inode = os.fstat(fd).st_ino
        self._contents[inode] = self._now(inode)
        self._write_through(inode)
        self._looked()

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        inode = os.fstat(fd).st_ino
        self._contents[inode] = self._contents.get(inode, b"")[:size]
        self._write_through(inode)
        self._looked()

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._paths[new.stat().st_ino] = new
        self._looked()

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._mirror(path).unlink(missing_ok=True)
        self._looked()

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        mirror = self._mirror(path)
        if mirror.is_dir():
            mirror.rmdir()
        self._looked()

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder safe, so far as the folder itself is."""
        mirror = self._mirror(folder)
        if mirror.is_dir():
            there = {path.name for path in folder.iterdir()}
            for gone in [path for path in mirror.iterdir() if path.name not in there and path.is_file()]:
                gone.unlink()
            for path in folder.iterdir():
                if path.is_dir():
                    self._mirror(path).mkdir(exist_ok=True)
                else:
                    self._mirror(path).write_bytes(self._contents.get(path.stat().st_ino, b""))
        self._looked()

    def _opened(self, fd: int, path: Path) -> int:
        inode = os.fstat(fd).st_ino
        self._paths[inode] = path
        self._contents.setdefault(inode, b"")
        self._looked()
        return fd

    def _now(self, inode: int) -> bytes:
        return self._paths[inode].read_bytes()

    def _write_through(self, inode: int) -> None:
        """A file whose name is safe has its synced content there."""
        mirror = self._mirror(self._paths[inode])
        if mirror.exists():
            mirror.write_bytes(self._contents[inode])

    def _mirror(self, path: Path) -> Path:
        return self._survived / path.relative_to(self._root)
