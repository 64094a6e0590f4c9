"""The product with one of its precautions taken away, to see that the matrix notices: none of them may go unseen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFile
from l2_exporter.archive.ledgerfile import LedgerFile
from l2_exporter.archive.leftover import Leftover
from l2_exporter.archive.past import Past
from l2_exporter.archive.writer import Archive
from tests.crash.disk import CrashDisk
from tests.crash.faults import FAULTS

Patch = tuple[Any, str, Any]

_NUMBER = {fault.name: number for number, fault in enumerate(FAULTS)}
KILL, KILL_IN_WRITE = _NUMBER["SIGKILL before the call"], _NUMBER["SIGKILL in the middle of a write"]
GONE = _NUMBER["loss of power, what was not synced is gone"]
NULS = _NUMBER["loss of power, NUL bytes where nothing was synced"]
EIO, SHORT, FULL = _NUMBER["EIO once"], _NUMBER["short write"], _NUMBER["ENOSPC for 40 calls"]
FULL_KILLED = _NUMBER["ENOSPC for 40 calls, SIGKILL 0 to 12 calls later"]
RECORD, REPAIR, ORPHANS, CUT_SHORT, DAY_BEGUN, REPLAY = range(6)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One precaution less.

    Attributes:
        rows: which operations and faults are run with it.
        scenes: scenarios are run with it too.
    """

    name: str
    patches: Callable[[], Sequence[Patch]]
    rows: Sequence[tuple[int, int]]
    scenes: bool = False

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Take the precaution away for a while."""
        with ExitStack() as stack:
            for owner, name, instead in self.patches():
                stack.enter_context(patch.object(owner, name, instead))
            yield


def _nothing(*_args: Any, **_named: Any) -> None:
    """Do nothing."""


def _only_counted(kind: str) -> Callable[..., None]:
    def call(self: CrashDisk, _what: object) -> None:
        self._counted(kind)

    return call


def _write_in_place(self: Disk, path: Path, data: bytes, *, durable: bool = True) -> None:
    fd = self.open_append(path)
    try:
        self.truncate(fd, 0)
        self.append_all(fd, data)
        if durable:
            self.fsync(fd)
    finally:
        self.close(fd)


def _append_whatever_is_written() -> Callable[..., int]:
    usual = CrashDisk.append

    def append(self: CrashDisk, fd: int, data: bytes) -> int:
        usual(self, fd, data)
        return len(data)

    return append


def _past_without_ledger() -> Callable[..., None]:
    usual = Past.__init__

    def init(self: Past, *args: Any, repeats: bool) -> None:
        usual(self, *args, repeats=True)

    return init


def _in_repair(*names: str) -> Callable[[], Sequence[Patch]]:
    from l2_exporter.archive import repair

    return lambda: [(repair, name, _nothing) for name in names]


MUTATIONS = (
    Mutation("nothing is synced", lambda: [(CrashDisk, "fsync", _only_counted("fsync"))], [(RECORD, GONE)]),
    Mutation(
        "folders are not synced", lambda: [(CrashDisk, "sync_folder", _only_counted("sync_folder"))], [(RECORD, GONE)]
    ),
    Mutation(
        "what an earlier run left is not synced",
        lambda: [(Leftover, "found", _nothing)],
        [(ORPHANS, GONE), (DAY_BEGUN, GONE)],
    ),
    Mutation(
        "the names of files that an earlier run left are not synced",
        lambda: [(Leftover, "_named", _nothing)],
        [(CUT_SHORT, GONE), (DAY_BEGUN, GONE)],
    ),
    Mutation(
        "whole files are written in place", lambda: [(Disk, "write_whole", _write_in_place)], [(RECORD, KILL_IN_WRITE)]
    ),
    Mutation(
        "what a failed write left is not cut",
        lambda: [(HourFile, "_take_back", _nothing), (LedgerFile, "_take_back", _nothing)],
        [(RECORD, EIO), (RECORD, SHORT)],
    ),
    Mutation(
        "a short write counts as a whole one",
        lambda: [(CrashDisk, "append", _append_whatever_is_written())],
        [(RECORD, SHORT)],
    ),
    Mutation("lines need not ascend", lambda: [(HourFile, "ascends", lambda _self, _place: True)], [(REPLAY, KILL)]),
    Mutation("a torn end is not repaired", _in_repair("_append_torn", "_truncate"), [(RECORD, KILL_IN_WRITE)]),
    Mutation("a torn end is cut and not kept", _in_repair("_append_torn"), [(REPAIR, KILL)]),
    Mutation(
        "the ledger of the day before is not repaired",
        lambda: [(LedgerFile, "_make_others_sound", _nothing)],
        [(RECORD, KILL_IN_WRITE), (REPAIR, KILL)],
    ),
    Mutation(
        "a refused line is not declared",
        lambda: [(Archive, "_refused", lambda *_args: None)],
        [(RECORD, EIO), (RECORD, FULL)],
    ),
    Mutation(
        "lines are written before what waits for the ledger",
        lambda: [(Archive, "_declare_before", _nothing)],
        [(RECORD, FULL_KILLED), (REPAIR, FULL_KILLED)],
    ),
    Mutation(
        "a book that was live without a line has no past",
        lambda: [(Past, "__init__", _past_without_ledger())],
        [(RECORD, KILL)],
    ),
    Mutation(
        "a deleted file goes on being written", lambda: [(Disk, "is_named", lambda _self, _fd: True)], [], scenes=True
    ),
)
