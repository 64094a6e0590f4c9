"""The log file: one line a record, turned over by size, written by a thread of its own."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2_exporter.archive.disk import Disk
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import NS_PER_MS, utc_text
from l2_exporter.runtime.outlet import STOP_S, Console, Outlet, one_line

__all__ = ["LOGGER", "Console", "LogFile", "LogSettings", "Logs", "start_logs"]

LOGGER = "l2_exporter"
"""The root of our loggers; `l2_exporter.okx` is a venue's."""

FILE_LINES = 10_000
"""Lines that wait for a disk that does not move."""


class LogFile:
    """Appends lines to a file and turns it over by size: `<name>.1` is the newest old file, `<name>.<keep>` the oldest.

    The file is open only while lines are written, so this process never renames a file that it has open, and several
    processes can share one (not quite on Windows: its C runtime seeks to the end before it writes, so lines written in
    the same instant can meet). Where another program has it open and Windows refuses the rename, writing goes on in
    the same file, and the rename is tried again a tenth of `max_bytes` later.

    Args:
        keep: old files; 0: a full file is deleted.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int, disk: Disk) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._disk = disk
        self._full_bytes = max_bytes
        self._torn = False

    def write(self, lines: Sequence[str]) -> None:
        """Append lines.

        Raises:
            OSError: some of them may not have been written.
        """
        waiting = [f"{line}\n".encode("utf-8", "backslashreplace") for line in lines]
        while waiting:
            size = self._size()
            count = self._fitting(size, waiting)
            if not count and size:
                self._turn_over(size)
                count = self._fitting(self._size(), waiting)
            count = max(count, 1)
            self._append(b"".join(waiting[:count]))
            waiting = waiting[count:]

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _fitting(self, size: int, lines: Sequence[bytes]) -> int:
        """Count the lines that fit into a file of this size."""
        if size < self._max_bytes:
            self._full_bytes = self._max_bytes
        for count, line in enumerate(lines):
            size += len(line)
            if size > self._full_bytes:
                return count
        return len(lines)

    def _append(self, data: bytes) -> None:
        fd = self._disk.open_append(self._path)
        try:
            torn, self._torn = self._torn, True
            self._disk.append_all(fd, b"\n" + data if torn else data)
            self._torn = False
        finally:
            self._disk.close(fd)

    def _turn_over(self, size: int) -> None:
        """Rename the files, oldest first, up to the first free number: an attempt that fails costs no second file."""
        free = next((number for number in range(1, self._keep) if not self._old(number).exists()), self._keep)
        try:
            for number in range(free - 1, 0, -1):
                self._disk.replace(self._old(number), self._old(number + 1))
            if self._keep:
                self._disk.replace(self._path, self._old(1))
            else:
                self._disk.remove(self._path)
        except FileNotFoundError:
            return  # another process was faster
        except OSError:
            self._full_bytes = size + self._max_bytes // 10

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the log is kept: `level` as the logging module counts, at most `max_bytes` a file, `keep` old files."""

    file: Path
    level: int = logging.INFO
    max_bytes: int = 10 * 1024**2
    keep: int = 5


class _Line(logging.Formatter):
    """One line a record: `2026-11-21T15:30:45.123Z INFO l2_exporter.okx [BTC-USDT-SWAP] Snapshot loaded: ...`."""

    def format(self, record: logging.LogRecord) -> str:
        at = utc_text(round(record.created * 1_000_000) // 1_000 * NS_PER_MS, 3)
        return f"{at} {record.levelname} {record.name} {one_line(self._text(record))}"

    def _text(self, record: logging.LogRecord) -> str:
        try:
            said = record.getMessage()
        except (TypeError, ValueError, LookupError) as error:
            said = f"{record.msg!r} does not take {record.args!r}: {error}"
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else None
        return "\n".join(part for part in (said, trace, record.stack_info) if part)


class _Handler(logging.Handler):
    """Hands each record on as a line. It never blocks and never prints."""

    def __init__(self, put: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._put = put
        self.setFormatter(_Line())

    def emit(self, record: logging.LogRecord) -> None:
        self._put(self.format(record))


class Logs:
    """The logging of this process, from `start_logs` to `close`."""

    def __init__(self, level: int, file: Outlet, console: Console | None, console_level: int) -> None:
        self._file = file
        self._console = console
        self._handlers = [_Handler(file.put, logging.NOTSET)]
        if console is not None:
            self._handlers.append(_Handler(console.say, console_level))
        self._before = {name: logging.getLogger(name).level for name in (None, LOGGER)}
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger(LOGGER).setLevel(level)
        for handler in self._handlers:
            logging.getLogger().addHandler(handler)

    @property
    def dropped(self) -> int:
        """How many lines the log file has lost so far."""
        return self._file.dropped

    def close(self, timeout_s: float = STOP_S) -> bool:
        """Write what waits and leave logging as it was; False if a way out was stuck for that time.

        The console is closed first, so that the file can tell what it did not take.
        """
        done = self._console is None or self._console.close(timeout_s)
        if self._console is not None and (self._console.dropped or not done):
            rest = "" if done else ", others still wait"
            logging.getLogger(LOGGER).warning("The console was stuck, lines dropped: %d%s", self._console.dropped, rest)
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
        for name, level in self._before.items():
            logging.getLogger(name).setLevel(level)
        return self._file.close(timeout_s) and done


def start_logs(
    settings: LogSettings,
    console: Console | None = None,
    console_level: int = logging.ERROR,
    disk: Disk | None = None,
) -> Logs:
    """Send the records of all loggers to the log file, those of `console_level` and above to the console too.

    Ours are kept from the level asked for on, those of libraries from warnings on. `Logs.close` closes the console.

    Raises:
        ArchiveError: the file cannot be written.
    """
    disk = disk or Disk()
    try:
        disk.close(disk.open_append(settings.file))
    except OSError as error:
        raise ArchiveError(f"the log {settings.file} cannot be written: {error.strerror or error}") from error
    file = LogFile(settings.file, settings.max_bytes, settings.keep, disk)
    return Logs(settings.level, Outlet(file.write, "log file", FILE_LINES), console, console_level)
