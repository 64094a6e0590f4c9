"""What can go wrong at a call to the disk, each by its name, and at which kinds of calls it can."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.crash.disk import Call, CrashDisk, PutHalf, Strike

TAKES_ROOM = frozenset({"append", "make_folders", "open_append"})
CHANGES = TAKES_ROOM | {"truncate", "rename", "remove"}
OPENS = frozenset({"open_append", "make_folders", "rename", "remove"})
SYNCS = frozenset({"fsync", "sync_folder"})
WHILE_CALLS = 40
"""A disk that is full for a while is so for this many calls."""
LATER_CALLS = 13


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    Attributes:
        kinds: the calls it can begin at; empty: all.
        loses_power: what the vault looks like afterwards is for `CrashDisk.lose_power`; `nuls` is its argument.
    """

    name: str
    strike: Strike
    kinds: frozenset[str] = frozenset()
    loses_power: bool = False
    nuls: bool = False

    def begins_at(self, calls: Sequence[Call]) -> list[int]:
        """List the numbers of the calls it can begin at."""
        return [call.number for call in calls if not self.kinds or call.kind in self.kinds]


def _once(code: int) -> Strike:
    """Refuse one call; a write has put half of its bytes down before."""

    def strike(disk: CrashDisk, call: Call, put_half: PutHalf) -> None:
        if call.number == disk.at:
            put_half()
            raise OSError(code, f"{os.strerror(code)} (call {call.number}, {call.kind})")

    return strike


def _from_there_on(code: int, kinds: frozenset[str], calls: int = 1 << 30) -> Strike:
    """Refuse some kinds of calls from one on."""

    def strike(disk: CrashDisk, call: Call, _put_half: PutHalf) -> int | None:
        if call.number >= disk.at + calls:
            return None
        if call.kind in kinds:
            raise OSError(code, f"{os.strerror(code)} (call {call.number}, {call.kind})")
        return None

    return strike


def _full(disk: CrashDisk, call: Call, put_half: PutHalf) -> int | None:
    """Be full for a while: the first write goes half, later ones not at all, until room is made by somebody."""
    if call.number < disk.at + WHILE_CALLS and call.kind in TAKES_ROOM:
        if call.number == disk.at and call.kind == "append":
            return put_half()
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (call {call.number}, {call.kind})")
    return None


def _full_and_killed(disk: CrashDisk, call: Call, put_half: PutHalf) -> int | None:
    """Be full for a while, and be killed soon after there is room again: some calls later, each number its turn."""
    if call.number >= disk.at + WHILE_CALLS + disk.at % LATER_CALLS:
        disk.die()
    return _full(disk, call, put_half)


def _short(disk: CrashDisk, call: Call, put_half: PutHalf) -> int | None:
    return put_half() if call.number == disk.at else None


def _killed(disk: CrashDisk, _call: Call, _put_half: PutHalf) -> None:
    disk.die()


def _killed_in_a_write(disk: CrashDisk, _call: Call, put_half: PutHalf) -> None:
    put_half()
    disk.die()


FAULTS = (
    Fault("SIGKILL before the call", _killed),
    Fault("SIGKILL in the middle of a write", _killed_in_a_write, frozenset({"append"})),
    Fault("loss of power, what was not synced is gone", _killed_in_a_write, loses_power=True),
    Fault("loss of power, NUL bytes where nothing was synced", _killed_in_a_write, loses_power=True, nuls=True),
    Fault("ENOSPC once", _once(errno.ENOSPC)),
    Fault("ENOSPC for 40 calls", _full, TAKES_ROOM),
    Fault("ENOSPC for 40 calls, SIGKILL 0 to 12 calls later", _full_and_killed, TAKES_ROOM),
    Fault("EDQUOT once", _once(errno.EDQUOT)),
    Fault("EIO once", _once(errno.EIO)),
    Fault("short write", _short, frozenset({"append"})),
    Fault("fsync fails", _once(errno.EIO), SYNCS),
    Fault("rename fails", _once(errno.EACCES), frozenset({"rename"})),
    Fault("EROFS from there on", _from_there_on(errno.EROFS, CHANGES), CHANGES),
    Fault("EACCES once", _once(errno.EACCES)),
    Fault("EACCES from there on", _from_there_on(errno.EACCES, OPENS), OPENS),
)
