"""What was done, for ever: one line an action in meta/retention/<UTC date>.jsonl, synced before anything is deleted.

A line that says `deleted` is a tombstone: a reader tells a deleted hour from a missing one by it. It may stand twice,
or for a file that is still there, when the job was killed between line and deletion; the next run deletes then.
"""

import contextlib
import errno
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from l2_exporter.archive.layout import Vault
from retention.codec import BLOCK_BYTES
from retention.content import Proof
from retention.disk import Disk
from retention.inventory import Item
from retention.manifest import Manifest
from retention.timetext import day_of, utc_text

FORMAT = 1
RESERVE_BYTES = 1 << 18
"""Kept on the disk so that a full one still takes the tombstones that make room."""

NO_ROOM = "the disk has no room for the record, without which nothing is deleted: free 1 MB of it by hand"

Key = tuple[object, ...]
"""What makes two lines say the same: action, paths, digests of stored file and manifest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        action: `compressed` or `deleted`.
        stored: the compressed file that was made, or the file that is deleted; None: only a manifest is.
    """

    action: str
    item: Item
    reason: str
    stored: Proof | None
    manifest: Manifest | None


class Record:
    """The record of one run. Several threads may append.

    Raises:
        OSError: on making it, when the newest file cannot be read.
    """

    def __init__(self, disk: Disk, root: Path, now_ns: int) -> None:
        self._disk = disk
        self._root = root
        self._at = utc_text(now_ns)
        self._path = Vault(root).retention_file(day_of(now_ns))
        self._reserve = Vault(root).retention_reserve()
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._size = 0
        newest = self._files()[:1]
        self._known = {_key(fields) for path in newest for fields in _lines(path)}

    def append(self, entry: Entry) -> None:
        """Write a line and sync it, unless it stands there since a run that was killed.

        Raises:
            OSError: it does not stand there; nothing may be deleted on its account.
        """
        fields = self._fields(entry)
        line = orjson.dumps(fields)[:-1]
        raw = entry.manifest.raw if entry.manifest else b"null"
        with self._lock:
            if _key(fields) in self._known:
                return
            self._write(line + b',"manifest":' + raw + b"}\n")
            self._known.add(_key(fields))

    def tombstone_of(self, item: Item, manifest: Manifest) -> bool:
        """Tell whether the hour with this manifest was deleted by an earlier run. Reads all there is, newest first."""
        name = self._relative(item.name)
        return any(
            fields.get("action") == "deleted"
            and fields.get("path") == name
            and fields.get("manifest_sha256") == manifest.sha256
            for path in self._files()
            for fields in _lines(path)
        )

    def close(self) -> None:
        """Close the file and see to it that there is a reserve for the next run."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):  # every line was synced
                self._disk.close(fd)
        if not self._reserve.exists():
            self._make_reserve()

    def _fields(self, entry: Entry) -> dict[str, object]:
        item, stored, manifest = entry.item, entry.stored, entry.manifest
        return {
            "format": FORMAT,
            "at": self._at,
            "action": entry.action,
            "what": str(item.what),
            "venue": item.venue,
            "dataset": item.dataset or None,
            "inst": item.inst or None,
            "from": utc_text(item.start_ns),
            "until": utc_text(item.end_ns),
            "reason": entry.reason,
            "path": self._relative(item.name),
            "lines": stored.content.lines if stored else 0,
            "bytes": stored.content.size if stored else 0,
            "sha256": stored.content.sha256 if stored else None,
            "stored_path": self._relative(stored.path) if stored else None,
            "stored_bytes": stored.size if stored else 0,
            "stored_sha256": stored.sha256 if stored else None,
            "manifest_sha256": manifest.sha256 if manifest else None,
        }

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _files(self) -> list[Path]:
        """List the record's files, newest first."""
        return sorted((path for path in self._path.parent.glob("????-??-??.jsonl") if path.is_file()), reverse=True)

    def _write(self, line: bytes) -> None:
        try:
            self._append(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if not self._reserve.exists():
                raise OSError(error.errno, NO_ROOM) from error
            self._disk.remove(self._reserve)
            self._append(line)

    def _append(self, line: bytes) -> None:
        """Append durably; what a failure may have left is cut now, or by the next opening."""
        fd = self._opened()
        try:
            self._disk.write(fd, line)
            self._disk.fsync(fd)
        except OSError:
            self._fd = None
            try:
                self._disk.truncate(fd, self._size)
            finally:
                self._disk.close(fd)
            raise
        self._size += len(line)

    def _opened(self) -> int:
        """Open the file of the day; a line that a crash has torn stands for nothing that was done, and is cut."""
        if self._fd is None:
            fd = self._disk.open_append(self._path)
            try:
                self._size = _whole_size(self._path)
                self._disk.truncate(fd, self._size)
                for folder in (self._root, self._path.parents[1], self._path.parent):  # a first run has made them
                    self._disk.sync_folder(folder)
            except OSError:
                self._disk.close(fd)
                raise
            self._fd = fd
        return self._fd

    def _make_reserve(self) -> None:
        """Take some room on the disk; where there is none, the next run tries again."""
        with contextlib.suppress(OSError):
            fd = self._disk.create(self._reserve)
            try:
                self._disk.write(fd, bytes(RESERVE_BYTES))
                self._disk.fsync(fd)
            except OSError:
                self._disk.remove(self._reserve)
            finally:
                self._disk.close(fd)


def _key(fields: Mapping[str, object]) -> Key:
    return tuple(fields.get(name) for name in ("action", "stored_path", "path", "stored_sha256", "manifest_sha256"))


def _lines(path: Path) -> Iterator[dict[str, object]]:
    """Yield the lines that can be read."""
    with path.open("rb") as file:
        for line in file:
            try:
                fields = orjson.loads(line) if line.endswith(b"\n") else None
            except orjson.JSONDecodeError:
                continue
            if isinstance(fields, dict):
                yield fields


def _whole_size(path: Path) -> int:
    """Return where the last whole line ends."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            cut = file.read(end - start).rfind(b"\n")
            if cut >= 0:
                return start + cut + 1
            end = start
    return 0
