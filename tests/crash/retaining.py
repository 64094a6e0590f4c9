"""A retention run that goes wrong at a call to the disk, and the next: no hour is lost, both end at the same vault."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from retention import disk as product
from tests.crash.disk import Call, Killed
from tests.crash.faults import Fault
from tests.crash.verdict import CRASHED, Verdict, aside
from tests.retention.faulty import CALLS, quick
from tests.retention.powercut import CutDisk
from tests.retention.running import left, run_all
from tests.retention.test_faults import Settled, settled
from tests.retention.vaults import Mixed

NAME = "retention: compress, delete, sweep, finish what an earlier run began"
SUFFIX = ".gz"
KINDS = {"write": "append", "create": "open_append", "remove_folder": "remove"}
"""What the exporter's disk calls otherwise."""


class RetentionDisk(product.Disk):
    """Counts its calls as `CrashDisk` does, and lets one of them go wrong."""

    def __init__(self, at: int, fault: Fault | None) -> None:
        self.calls: list[Call] = []
        self.at = at
        self.dead = False
        self._fault = fault

    def die(self) -> None:
        """End the process here.

        Raises:
            Killed: always.
        """
        self.dead = True
        raise Killed

    def struck(self, name: str, args: tuple[Any, ...]) -> bool:
        """Count a call; tell whether it has been made already, in part."""
        if self.dead:
            raise Killed
        call = Call(len(self.calls) + 1, KINDS.get(name, name), "retention")
        self.calls.append(call)
        if self._fault is None or call.number < self.at:
            return False

        def put_half() -> int:
            return os.write(args[0], args[1][: len(args[1]) // 2]) if name == "write" else 0

        strike: Callable[..., int | None] = self._fault.strike
        return strike(self, call, put_half) is not None


def _counted(name: str) -> Callable[..., Any]:
    def call(self: RetentionDisk, *args: Any) -> Any:
        if name == "close" and not self.dead:
            os.close(args[0])
        if self.struck(name, args) and name == "write":
            half = len(args[1]) // 2
            return self.write(args[0], args[1][half:])  # the system's own write is called again with the rest
        if name in ("fsync", "sync_folder", "close"):
            return None
        return getattr(product.Disk, name)(self, *args)

    return call


for _name in CALLS:
    setattr(RetentionDisk, _name, _counted(_name))


@cache
def _calm() -> tuple[Settled, tuple[Call, ...], int]:
    """Tell what a run leaves that nothing disturbs, its calls, and how many moments of change there are in it."""
    folder = Path(mkdtemp(prefix="crash-retention-"))
    world = Mixed(folder / "calm", SUFFIX).build()
    disk = RetentionDisk(0, None)
    assert left(run_all(world, disk)) == {}
    moments: list[None] = []
    cut = Mixed(folder / "cut", SUFFIX).build()
    run_all(cut, CutDisk(cut.root, folder / "survived", lambda: moments.append(None)))
    return settled(world), tuple(disk.calls), len(moments)


def begins_at(fault: Fault) -> list[int]:
    """List the calls that a fault can begin at; of a loss of power the moments after each change."""
    _, calls, moments = _calm()
    if fault.loses_power:
        return [] if fault.nuls else [*range(1, moments + 1)]
    return fault.begins_at(calls)


def run_cell(fault: Fault, at: int) -> Verdict:
    """Run with a fault, and again without."""
    with aside() as folder:
        world = Mixed(folder / "vault", SUFFIX).build()
        if fault.loses_power:
            return Verdict(tuple(_after_power(world, folder, at)), "killed")
        disk = RetentionDisk(at, fault)
        how = "ended"
        try:
            result = run_all(world, disk)
            how = "left some of it" if left(result) else "done"
        except Killed:
            how = "killed"
        except OSError as error:
            how = f"gave up: {error}" if disk.calls else CRASHED
        return Verdict(tuple(_problems(world)), how.split(":")[0])


def _after_power(world: Mixed, folder: Path, at: int) -> Iterator[str]:
    """Lose power at a moment, go on with what is left."""
    survived, moments = folder / "survived", [0]

    def looked() -> None:
        moments[0] += 1
        if moments[0] == at:
            shutil.copytree(survived, folder / "at")

    run_all(world, CutDisk(world.root, survived, looked))
    after = Mixed(folder / "at", SUFFIX)
    for name in ("kept", "doomed"):
        files = getattr(world, name).items()
        setattr(after, name, {after.root / path.relative_to(world.root): data for path, data in files})
    yield from _problems(after)


def _problems(world: Mixed) -> Iterator[str]:
    try:
        world.check()
        if left(run_all(world, quick())):
            yield "the next run left something"
        world.check()
    except AssertionError as error:
        yield f"retention: {error}"
        return
    if settled(world) != _calm()[0]:
        yield "the next run ended at another vault"
