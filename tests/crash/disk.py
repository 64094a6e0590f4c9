"""A disk that counts the calls of a run, lets one of them go wrong, and knows what a loss of power would leave.

Of a file a loss of power leaves what was synced; a name only if its folder was synced since it came, and so up to the
vault; where a file was renamed over another and the folder not synced since, the other one. What was synced never
goes. A file's length may have been written without its content: then NUL bytes stand there instead.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.archive.disk import Disk


class Killed(BaseException):
    """The process is gone. Nothing of ours may catch it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the disk: its number in the run counted from 1, its kind, and the part of the run it was made in."""

    number: int
    kind: str
    part: str


PutHalf = Callable[[], int]
"""Puts half of what is to be written down and returns how much that is; nothing where the call is no write."""
Strike = Callable[["CrashDisk", Call, PutHalf], int | None]
"""Is told each call from the first on that goes wrong: raises, returns how much a write has written, or None."""


@dataclass(slots=True)
class Kept:
    """What a loss of power cannot take.

    Attributes:
        sizes: how many bytes of each file, by inode.
        names: those that were synced, of folders too.
        replaced: content of files that were renamed over while that is not safe.
    """

    sizes: dict[int, int] = field(default_factory=dict)
    names: set[Path] = field(default_factory=set)
    replaced: dict[Path, bytes] = field(default_factory=dict)

    def found(self, root: Path) -> None:
        """Take all that is in a vault for safe."""
        for path in [root, *root.rglob("*")]:
            if path.exists() and not path.is_symlink():
                self.names.add(path)
                self.sizes[path.stat().st_ino] = path.stat().st_size


class CrashDisk(Disk):
    """A real disk below one vault.

    Attributes:
        calls: those made so far, in order.
        part: what the run is doing, for the calls to come.
        took: how many bytes of each file it has taken as whole writes, and was not told to cut again.
        promised: how many bytes of each file the last sync job has made safe: no loss of power may take them.
        dead: every further call is answered by Killed.
    """

    def __init__(self, root: Path, at: int = 0, strike: Strike | None = None, kept: Kept | None = None) -> None:
        """Begin with a vault.

        Args:
            at: the number of the first call that the strike is told.
            kept: what an earlier run on it has made safe; None: all that is there.
        """
        super().__init__(sleep=lambda _seconds: None)
        self.calls: list[Call] = []
        self.part = "start"
        self.took: dict[Path, int] = {}
        self.promised: dict[Path, int] = {}
        self.dead = False
        self.at = at
        self._root = root
        self._strike = strike
        self._fds: dict[int, Path] = {}
        if kept is None:
            kept = Kept()
            kept.found(root)
        self.kept = kept

    def die(self) -> None:
        """End the process here.

        Raises:
            Killed: always.
        """
        self.dead = True
        raise Killed

    def promise(self) -> None:
        """Take note that a sync job has ended well."""
        self.promised |= {path: self._kept_of(path) for path in self.took if path.exists()}

    def let_go(self) -> None:
        """Close what a dead run has left open."""
        for fd in self._fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._fds = {}

    def _counted(self, kind: str, put_half: PutHalf = lambda: 0) -> int | None:
        if self.dead:
            raise Killed
        call = Call(len(self.calls) + 1, kind, self.part)
        self.calls.append(call)
        if self._strike is None or call.number < self.at:
            return None
        return self._strike(self, call, put_half)

    # ---- calls ------------------------------------------------------------------------------------------------------

    def open_append(self, path: Path) -> int:
        self._counted("open_append")
        is_new = not path.exists()
        fd = super().open_append(path)
        stat = os.fstat(fd)
        if is_new:
            self.kept.sizes[stat.st_ino] = 0
        self._fds[fd] = path
        self.took.setdefault(path, path.read_bytes().rfind(b"\n") + 1)
        return fd

    def open_existing(self, path: Path) -> int:
        self._counted("open_existing")
        fd = super().open_existing(path)
        self._fds[fd] = path
        return fd

    def append(self, fd: int, data: bytes | memoryview) -> int:
        put = super().append
        short = self._counted("append", lambda: put(fd, data[: len(data) // 2]))
        if short is not None:
            return short
        written = put(fd, data)
        self.took[self._fds[fd]] = os.fstat(fd).st_size
        return written

    def truncate(self, fd: int, size: int) -> None:
        self._counted("truncate")
        super().truncate(fd, size)
        inode = os.fstat(fd).st_ino
        self.kept.sizes[inode] = min(size, self.kept.sizes.get(inode, 0))
        self.took[self._fds[fd]] = size

    def duplicate(self, fd: int) -> int:
        self._counted("duplicate")
        other = super().duplicate(fd)
        self._fds[other] = self._fds[fd]
        return other

    def free_bytes(self, folder: Path) -> int:
        self._counted("free_bytes")
        return super().free_bytes(folder)

    def fsync(self, fd: int) -> None:
        self._counted("fsync")
        stat = os.fstat(fd)
        self.kept.sizes[stat.st_ino] = stat.st_size

    def close(self, fd: int) -> None:
        if not self.dead:
            self._fds.pop(fd, None)
            super().close(fd)
        self._counted("close")

    def rename(self, tmp: Path, final: Path) -> None:
        self._counted("rename")
        if final.exists():
            kept = self.kept.sizes.pop(final.stat().st_ino, 0)
            self.kept.replaced.setdefault(final, final.read_bytes()[:kept])
        super().rename(tmp, final)

    def remove(self, path: Path) -> None:
        self._counted("remove")
        if path.exists():
            self.kept.sizes.pop(path.stat().st_ino, None)
        super().remove(path)
        self.kept.names.discard(path)

    def read_tail(self, path: Path, size: int) -> bytes:
        self._counted("read_tail")
        return super().read_tail(path, size)

    def make_folders(self, path: Path) -> None:
        self._counted("make_folders")
        super().make_folders(path)

    def sync_folder(self, folder: Path) -> None:
        self._counted("sync_folder")
        for path in folder.iterdir():
            self.kept.names.add(path)
            self.kept.replaced.pop(path, None)

    # ---- a loss of power --------------------------------------------------------------------------------------------

    def lose_power(self, *, nuls: bool) -> None:
        """Make of the vault what a loss of power would leave of it.

        Args:
            nuls: names and lengths were written, contents were not; else none of them.
        """
        self.let_go()
        for path in sorted(self._root.rglob("*"), reverse=True):
            if path.is_symlink() or not path.is_file():
                continue
            if not nuls and not self._is_named(path):
                path.unlink()
            else:
                self._lose(path, nuls=nuls)
        self.took = {path: min(size, self._kept_of(path)) for path, size in self.took.items() if path.exists()}

    def _lose(self, path: Path, *, nuls: bool) -> None:
        if path in self.kept.replaced and not nuls:
            path.write_bytes(self.kept.replaced[path])
            return
        size, kept = path.stat().st_size, self._kept_of(path)
        os.truncate(path, min(size, kept))
        if nuls:
            os.truncate(path, size)

    def _kept_of(self, path: Path) -> int:
        return self.kept.sizes.get(path.stat().st_ino, 0)

    def _is_named(self, path: Path) -> bool:
        """Tell whether a file will be found: its name was synced, and those of its folders."""
        here = [path, *(folder for folder in path.parents if self._root in folder.parents)]
        return all(each in self.kept.names for each in here)
