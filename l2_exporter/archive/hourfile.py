"""One hour file open for appending: strict ascent, one write a line, and never a torn line left behind."""

import contextlib
import errno
from collections import OrderedDict
from collections.abc import Callable

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import LINE_SUFFIXES, Vault
from l2_exporter.archive.repair import repair_tail
from l2_exporter.core.records import BookSpec
from l2_exporter.core.sampling import Floor
from l2_exporter.core.timetext import utc_ns

OPEN_FILES = 256

Place = tuple[int, int]
"""What lines ascend by: book time, and of two lines of the same time 1 for the gap line; of order events their number
in the episode instead."""


class HourFile:
    """The lines of one book in one hour.

    Attributes:
        place: of the last line the file holds.
        takes_lines: False: the hour is sealed, compressed or deleted, and never opened for writing again.
        unsynced_since_ns: elapsed time of the first line that a loss of power could still take; None: there is none.
    """

    __slots__ = (
        "_disk",
        "_fd",
        "_path",
        "_size",
        "_sound",
        "_torn_path",
        "place",
        "takes_lines",
        "unsynced_since_ns",
    )

    def __init__(self, disk: Disk, vault: Vault, spec: BookSpec, hour: int) -> None:
        self._disk = disk
        self._path = vault.hour_file(spec.venue, spec.dataset, spec.inst, hour)
        self._fd: int | None = None
        self._size = 0
        self.place: Place | None = None
        self.unsynced_since_ns: int | None = None
        self.takes_lines = takes_lines(vault, spec, hour)
        self._torn_path = vault.torn_file(spec.venue, spec.dataset, spec.inst, hour)
        self._sound = False
        if self.takes_lines:
            self._make_sound()

    @property
    def floor(self) -> Floor | None:
        """The last line of a file of snapshots, for whoever samples."""
        return None if self.place is None else Floor(self.place[0], self.place[1] == 1)

    def ascends(self, place: Place) -> bool:
        """Tell whether a line may follow what the file holds."""
        return self.place is None or place > self.place

    def append(self, lines: bytes, place: Place, elapsed_ns: int | None = None) -> None:
        """Append a line, or several, with one write; after a failure the file is what it was before.

        Args:
            place: of the last of them.

        Raises:
            OSError: the line was not written.
        """
        if self._fd is not None and not self._disk.is_named(self._fd):
            self.release()
            self._sound = False
        if not self._sound:
            self._make_sound()
        if self._fd is None:
            self._fd = self._disk.open_append(self._path)
        try:
            written = self._disk.append(self._fd, lines)
            if written != len(lines):
                raise OSError(errno.ENOSPC, f"only {written} of {len(lines)} bytes were written", str(self._path))
        except OSError:
            self._take_back()
            raise
        self._size += len(lines)
        self.place = place
        if self.unsynced_since_ns is None:
            self.unsynced_since_ns = elapsed_ns or 0

    def sync(self) -> None:
        """Make what was written survive a loss of power.

        Raises:
            OSError: the disk could not promise it.
        """
        if self.unsynced_since_ns is None:
            return
        if self._fd is None:
            self._fd = self._disk.open_append(self._path)
        self._disk.fsync(self._fd)
        self.unsynced_since_ns = None

    def duplicate(self) -> int:
        """Return another descriptor of the file, for a sync elsewhere that may outlive this handle."""
        return self._disk.open_append(self._path) if self._fd is None else self._disk.duplicate(self._fd)

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self._fd is not None

    def release(self) -> None:
        """Give the descriptor back for a while; what is unsynced stays so."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):  # it is gone all the same, and the next sync opens the file anew
                self._disk.close(fd)

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            self.release()

    def _take_back(self) -> None:
        """Cut what a failed write may have left; if even that fails, the next line begins with a repair."""
        if self._fd is None:
            return
        try:
            self._disk.truncate(self._fd, self._size)
        except OSError:
            self._sound = False
            raise

    def _make_sound(self) -> None:
        """Cut a torn tail, and learn where the file ends."""
        self._size = 0
        if self._path.exists():
            repair = repair_tail(self._disk, self._path, self._torn_path)
            self.place = place_of_line(repair.last_line)
            self._size = repair.size
        self._sound = True


def takes_lines(vault: Vault, spec: BookSpec, hour: int) -> bool:
    """Tell whether an hour may still grow: it is neither sealed nor compressed."""
    book = (spec.venue, spec.dataset, spec.inst, hour)
    closed = [vault.hour_file(*book, suffix) for suffix in LINE_SUFFIXES[1:]] + [vault.manifest_file(*book)]
    return not any(path.exists() for path in closed)


def place_of_line(line: bytes | None) -> Place | None:
    """Read the place of a line in its file; None for no line, or one that is not ours."""
    try:
        fields = orjson.loads(line or b"null")
        if "gap_detected" in fields:
            return utc_ns(fields["timestamp_utc"]), int(fields["gap_detected"] is True)
        return utc_ns(fields["timestamp_utc"]), int(fields["n"])
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return None


def received_of_line(line: bytes) -> int | None:
    """Read the receive time of a line; None if it has none."""
    try:
        return utc_ns(orjson.loads(line)["received_utc"])
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return None


class HourFiles:
    """The hour files of a venue that are in use, of each book the two newest hours; a bounded number holds descriptors.

    A handle of an older hour would not notice that the hour has been compressed meanwhile.
    """

    def __init__(self, disk: Disk, vault: Vault, deleted_until: Callable[[tuple[str, str]], int]) -> None:
        """Begin with none.

        Args:
            deleted_until: tells the newest hour of a (dataset, instrument) that retention has deleted, -1: none.
        """
        self._disk = disk
        self._vault = vault
        self._deleted_until = deleted_until
        self._continued: dict[tuple[str, str, int], bool] = {}
        self._first: dict[tuple[str, str], int] = {}
        self._closed: dict[tuple[str, str], int] = {}
        self._closed_before = 0
        self._files: OrderedDict[tuple[str, str, int], HourFile] = OrderedDict()
        self._open: dict[HourFile, None] = {}

    def get(self, spec: BookSpec, hour: int) -> HourFile:
        """Return the file of a book's hour, repaired and ready; it comes to exist with its first line.

        Raises:
            OSError: the file is there and cannot be read or repaired, or another one could not be closed.
        """
        key = (spec.dataset, spec.inst, hour)
        file = self._files.get(key)
        if file is None:
            file = HourFile(self._disk, self._vault, spec, hour)
            closed = max(self._deleted_until(key[:2]), self._closed.get(key[:2], -1), self._closed_before - 1)
            if hour <= closed:
                file.takes_lines = False
            self._continued.setdefault(key, file.place is not None)
            self._files[key] = file
            self._close_older(spec, hour)
        self._files.move_to_end(key)
        return file

    def has_line(self, spec: BookSpec, hour: int) -> None:
        """Take note that this run has made a line for an hour: it seals it, and those behind it, itself."""
        book = (spec.dataset, spec.inst)
        self._first[book] = min(hour, self._first.get(book, hour))

    def is_continued(self, spec: BookSpec, hour: int) -> bool:
        """Tell whether the file held lines when this run opened it first."""
        return self._continued.get((spec.dataset, spec.inst, hour), False)

    def close_hour(self, spec: BookSpec, hour: int) -> None:
        """Take no more lines for an hour.

        Raises:
            OSError: its file could not be synced.
        """
        key = (spec.dataset, spec.inst, hour)
        self._continued.pop(key, None)
        self._closed[key[:2]] = max(hour, self._closed.get(key[:2], hour))
        file = self._files.get(key)
        if file is not None:
            self._close_file(file)

    def close_before(self, hour: int) -> None:
        """Take no more lines for any hour before this one."""
        self._closed_before = max(hour, self._closed_before)
        for key, file in self._files.items():
            if key[2] < hour:
                self._close_file(file)

    def first_hours(self) -> dict[tuple[str, str], int]:
        """Return the first hour of each (dataset, instrument) that this run has made a line for."""
        return dict(self._first)

    def _close_file(self, file: HourFile) -> None:
        file.takes_lines = False
        self._open.pop(file, None)
        file.release()

    def opened(self, file: HourFile) -> None:
        """Keep the number of descriptors bounded after a file has been written."""
        self._open.pop(file, None)
        self._open[file] = None
        if len(self._open) > OPEN_FILES:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.release()

    def sync(self) -> None:
        """Sync every file that needs it."""
        for file in self._files.values():
            file.sync()

    def unsynced(self) -> list[HourFile]:
        """List the files that a loss of power could still take something from, oldest first."""
        dirty = [file for file in self._files.values() if file.unsynced_since_ns is not None]
        return sorted(dirty, key=lambda file: file.unsynced_since_ns or 0)

    def close(self) -> None:
        """Close every file.

        Raises:
            OSError: one of them could not be synced; all were closed.
        """
        self._open.clear()
        failed: OSError | None = None
        while self._files:
            try:
                self._files.popitem(last=False)[1].close()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def _close_older(self, spec: BookSpec, hour: int) -> None:
        for key in [key for key in self._files if key[:2] == (spec.dataset, spec.inst) and key[2] < hour - 1]:
            file = self._files.pop(key)
            self._open.pop(file, None)
            file.close()
