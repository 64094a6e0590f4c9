"""A disk whose Nth call fails or never returns, and otherwise is one."""

import errno
import os
import signal
from collections.abc import Callable
from typing import Any

from retention.disk import Disk

CALLS = (
    "open_read",
    "create",
    "open_append",
    "read",
    "write",
    "fsync",
    "close",
    "truncate",
    "stat",
    "lstat",
    "rename",
    "remove",
    "remove_folder",
    "sync_folder",
)


class FaultyDisk(Disk):
    """Counts its calls.

    Args:
        at: the number of the call that goes wrong.
        fault: what happens then; a write has put half of its bytes down before.
    """

    def __init__(self, at: int, fault: Callable[[str], None]) -> None:
        self.at = at
        self.fault = fault
        self.calls: list[str] = []


def _counted(name: str) -> Callable[..., Any]:
    def call(self: FaultyDisk, *args: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self.at:
            if name == "write":
                os.write(args[0], args[1][: len(args[1]) // 2])
            self.fault(name)
        if name in ("fsync", "sync_folder"):
            return None  # the machine does not lose power here, and the tests must not wait for its disk
        return getattr(Disk, name)(self, *args)

    return call


for _name in CALLS:
    setattr(FaultyDisk, _name, _counted(_name))


def quick() -> FaultyDisk:
    """Make a disk that never fails."""
    return FaultyDisk(0, killed)


def refused(code: int) -> Callable[[str], None]:
    """Make a fault that is an error of the system."""

    def fault(name: str) -> None:
        raise OSError(code, f"{os.strerror(code)} in {name}")

    return fault


def full(_name: str) -> None:
    """Be a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def killed(_name: str) -> None:
    """Die as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
