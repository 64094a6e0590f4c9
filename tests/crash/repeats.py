"""A replay that goes wrong at a call to the disk, and is done again: the hour files are those of one that did not."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.errors import ArchiveError
from l2_exporter.runtime.replay import ReplayOptions, replay
from tests.crash import oracle
from tests.crash.disk import Call, CrashDisk, Killed
from tests.crash.faults import Fault
from tests.crash.verdict import CRASHED, Verdict, aside
from tests.crash.worlds import OPERATIONS
from tests.tools.replaying import hour_files

NAME = "replay, over the end of an hour and a day, and seal it"
DISK = "l2_exporter.archive.writer.Disk"


@cache
def _taped() -> tuple[Path, dict[str, list[bytes]], tuple[Call, ...]]:
    """Record a tape once a process; return it with what a calm replay makes of it, and the calls of that."""
    folder = Path(mkdtemp(prefix="crash-tape-"))
    world = OPERATIONS[0].prepare(folder)
    world.record("r1", CrashDisk(world.vault), OPERATIONS[0].seconds)
    vault = folder / "calm"
    vault.mkdir()
    disk = CrashDisk(vault)
    assert _replayed(world.vault, vault, disk) == "stopped"
    return world.vault, hour_files(vault), tuple(disk.calls)


def calls() -> list[Call]:
    """List the calls of a replay when nothing goes wrong."""
    return [*_taped()[2]]


def run_cell(fault: Fault, at: int) -> Verdict:
    """Replay into an empty vault with a fault, and again without."""
    tape, calm, _ = _taped()
    with aside() as folder:
        vault = folder / "vault"
        vault.mkdir()
        disk = CrashDisk(vault, at, fault.strike)
        end = _replayed(tape, vault, disk)
        if fault.loses_power:
            disk.lose_power(nuls=fault.nuls)
        return Verdict(tuple(_problems(tape, vault, end, calm)), end.split(":")[0])


def _problems(tape: Path, vault: Path, end: str, calm: dict[str, list[bytes]]) -> Iterator[str]:
    if end.startswith(CRASHED):
        yield end
    again = _replayed(tape, vault, CrashDisk(vault))
    if again != "stopped":
        yield f"the next replay: {again}"
    made = hour_files(vault)
    for path in sorted(made.keys() | calm.keys()):
        if made.get(path) != calm.get(path):
            yield f"replay: {path} has not the lines of a calm one"
    yield from oracle.check_verified(vault)


def _replayed(tape: Path, vault: Path, disk: CrashDisk) -> str:
    """Replay; say how it ended."""
    lines = read_tapes(sorted(tape.glob("tape/**/*.jsonl")))
    with contextlib.suppress(OSError, Killed):
        disk.make_folders(Vault(vault).meta_folder("okx"))  # as the lock does, which is not what is broken here
    with patch(DISK, lambda: disk), contextlib.ExitStack() as after:
        after.callback(disk.let_go)
        try:
            replay(lines, Vault(vault), ReplayOptions(venue="okx"))
        except ArchiveError as error:
            return f"gave up: {error}"
        except Killed:
            return "killed"
        except OSError as error:
            return f"{CRASHED}: {error!r}"
    return "stopped"
