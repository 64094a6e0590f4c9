"""One run of the recorder over a disk that may fail: tape, ledger, hour files, metadata, status, syncing and sealing.

As live, but in one thread: the worker's jobs are done at once when they are due.
"""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.lock import VenueLock
from l2_exporter.archive.metadata import Metadata
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive
from l2_exporter.core.errors import ArchiveError, VaultBusyError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.runtime.link import input_line
from l2_exporter.runtime.syncing import Syncer
from l2_exporter.simulator.exchange import Exchange
from tests.crash.disk import CrashDisk, Killed
from tests.crash.verdict import CRASHED
from tests.tools.wired import Plan, Wired

LOCKS_DISK = "l2_exporter.archive.lock.Disk"
CADENCE_NS = 2 * NS_PER_S
FSYNC_NS = 2 * NS_PER_S
STATUS_NS = 3 * NS_PER_S
VENUE = "okx"
CHANNEL = "books50-l2-tbt"
DATASET = f"l2_perps.{CHANNEL}"
INSTS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")


class AtOnce(Executor):
    """Does a job when it is given; the calls it makes are told apart by the kind of job."""

    def __init__(self, disk: CrashDisk) -> None:
        self._disk = disk

    def submit(self, job: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        """Do a job; an error of the disk is in its outcome, the end of the process is not."""
        done: Future[Any] = Future()
        before, self._disk.part = self._disk.part, "seal" if job.__name__ == "run_next" else "sync"
        try:
            done.set_result(job(*args, **more))
            if self._disk.part == "sync":
                self._disk.promise()
        except OSError as error:
            done.set_exception(error)
        finally:
            self._disk.part = before
        return done


class Tape:
    """The tape as a session keeps it: it stops for good when the disk refuses it, and the ledger says so."""

    def __init__(self, files: TapeFiles, archive: Archive, syncer: Syncer) -> None:
        self._files: TapeFiles | None = files
        self._archive = archive
        self._syncer = syncer

    def write(self, line: TapeLine, n: int) -> None:
        """Write a line, if the tape goes on."""
        if self._files is None:
            return
        try:
            self._files.write(line, n)
        except OSError as error:
            detail: dict[str, object] = {"error": str(error)[:200]}
            self._archive.note(LedgerRecord(line.recv_ns, "write_suspended", reason="tape", detail=detail))
            self.close()

    def close(self) -> None:
        """End it; what cannot be synced is only logged live."""
        files, self._files, self._syncer.tape = self._files, None, None
        if files is not None:
            with contextlib.suppress(OSError):
                files.close()


class Run(Wired):
    """A run that keeps its status, syncs and seals."""

    def __init__(self, exchange: Exchange, vault: Path, plan: Plan, disk: CrashDisk) -> None:
        self.disk = disk
        self._status_path = Vault(vault).status_file(VENUE)
        self._status_due_ns = 0
        super().__init__(exchange, vault, plan, disk=disk)
        disk.part = "run"
        disk.sync_folders_later()
        self.syncer = Syncer(self._archive, FSYNC_NS)
        self.syncer._pool.shutdown()
        self.syncer._pool = AtOnce(disk)  # type: ignore[assignment]  # threads would number calls as they please
        self.syncer.tape = self._tape
        self._tape = Tape(self._tape, self._archive, self.syncer)  # type: ignore[assignment]  # of the same shape

    def _ticked(self) -> None:
        elapsed_ns = self._stamp().elapsed_ns or 0
        if elapsed_ns >= self._status_due_ns:
            self._status_due_ns = elapsed_ns + STATUS_NS
            self._write_status(elapsed_ns)
        super()._ticked()
        self.syncer.ticked(elapsed_ns)

    def _write_status(self, elapsed_ns: int) -> None:
        before, self.disk.part = self.disk.part, "status"
        status = orjson.dumps({"format": 1, "elapsed_ns": elapsed_ns, "suspended": self._archive.suspended})
        with contextlib.suppress(OSError):  # as `runtime.status` does: it grows old, which is what readers test
            self.disk.write_whole(self._status_path, status, durable=False)
        self.disk.part = before

    def stop(self) -> None:
        """End the run cleanly, in a session's order."""
        self.disk.part = "stop"
        stamp = self._stamp()
        self._n += 1
        self._tape.write(input_line("stop", "control", stamp, ""), self._n)
        self.recorder.stopped(stamp, "stop")
        self.close_files()
        self.hang_up()

    def close_files(self) -> None:
        """Close every file; with an error the others are closed all the same."""
        self.syncer.close()
        try:
            self._archive.close(self._stamp().recv_ns or 0)
        finally:
            self._tape.close()

    def happens(self, after_s: float, what: Callable[[], object]) -> None:
        """Let something happen to the vault so long after the beginning."""
        self._later(round(after_s * NS_PER_S), lambda: (what(), None)[1])

    def hang_up(self) -> None:
        """Let the exchange see that nobody is there any more."""
        for link in self.links.values():
            if link.remote is not None:
                self.exchange.link_closed(link.remote, self.now_ns)
                link.remote = None


Happening = tuple[float, Callable[[], object]]
"""After so many seconds of a run somebody does something to the vault."""


def record(
    exchange: Exchange, vault: Path, plan: Plan, disk: CrashDisk, seconds: float, happens: Sequence[Happening] = ()
) -> "Outcome":
    """Record, holding the lock, until the time is over, the archive gives up or the process is killed."""
    outcome = Outcome()
    lock = VenueLock(Vault(vault).lock_file(VENUE))
    try:
        with patch(LOCKS_DISK, lambda: disk):
            lock.acquire()
        _recorded(outcome, exchange, vault, plan, disk, seconds, happens)
    except (VaultBusyError, OSError) as error:
        outcome.end = f"did not begin: {error}"
    except Killed:
        outcome.end = "killed"
    finally:
        disk.let_go()
        lock.release()
        if outcome.run is not None:
            outcome.run.hang_up()
    return outcome


def _recorded(
    outcome: "Outcome",
    exchange: Exchange,
    vault: Path,
    plan: Plan,
    disk: CrashDisk,
    seconds: float,
    happens: Sequence[Happening],
) -> None:
    try:
        _remember(vault, disk, exchange.now_ns)
        run = outcome.run = Run(exchange, vault, plan, disk)
        for after_s, what in happens:
            run.happens(after_s, what)
        run.run(seconds)
        outcome.end = "stopped"
    except ArchiveError as error:
        outcome.end = f"gave up: {error}"
        if outcome.run is not None:
            outcome.give_up()
    except OSError as error:  # no error of the disk may come so far: live it would be a traceback
        outcome.end = f"{CRASHED}: {error!r}"


class Outcome:
    """How a run ended.

    Attributes:
        run: None if it did not even begin.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.end = ""

    def give_up(self) -> None:
        """Close the files of a run that was ended by an error, as a session does: what ended it tells more."""
        assert self.run is not None
        try:
            self.run.close_files()
        except ArchiveError:
            return
        except Killed:
            self.end = "killed"


def _remember(vault: Path, disk: CrashDisk, now_ns: int) -> None:
    """Store what the venue says of its instruments; what cannot be stored is only logged live."""
    disk.part = "metadata"
    store = Metadata(disk, Vault(vault))
    tick = f"0.{now_ns // (3 * NS_PER_S) % 9 + 1}"  # not the same in every run, so that there is a change to store
    for inst in INSTS:
        with contextlib.suppress(ArchiveError):
            store.remember(Instrument(venue=VENUE, inst=inst, market="perp", tick=tick), now_ns)
    disk.part = "start"
