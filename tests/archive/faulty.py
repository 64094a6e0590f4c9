"""A disk that fails where a test says so, and otherwise is one."""

import errno
from collections.abc import Callable
from pathlib import Path

from l2_exporter.archive.disk import Disk

Fault = Callable[[str, int], OSError | int | None]
"""Told the call and how many of its kind came before; answers with an error, a number of bytes to write, or None."""


class FaultyDisk(Disk):
    """A real disk whose calls `append`, `truncate`, `fsync` and `open_append` may fail."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(sleep=lambda _seconds: None)
        self.fault = fault
        self._calls: dict[str, int] = {}

    def _ask(self, call: str) -> int | None:
        count = self._calls.get(call, 0)
        self._calls[call] = count + 1
        answer = self.fault(call, count)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def open_append(self, path: Path) -> int:
        self._ask("open_append")
        return super().open_append(path)

    def append(self, fd: int, data: bytes | memoryview) -> int:
        length = self._ask("append")
        return super().append(fd, data if length is None else data[:length])

    def truncate(self, fd: int, size: int) -> None:
        self._ask("truncate")
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        self._ask("fsync")
        super().fsync(fd)


def full() -> OSError:
    """Make the error of a full disk."""
    return OSError(errno.ENOSPC, "No space left on device")


def broken() -> OSError:
    """Make the error of a broken disk."""
    return OSError(errno.EIO, "Input/output error")
