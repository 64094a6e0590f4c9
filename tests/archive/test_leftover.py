"""What earlier runs have left is synced by the first job of the next, and again if that fails."""

import errno
import os
import sys
from pathlib import Path

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.leftover import Leftover, sync_file
from l2_exporter.archive.writer import Archive
from l2_exporter.core.records import LedgerRecord
from tests.archive.faulty import FaultyDisk
from tests.archive.test_writer import T0, hour_file, record

MS = 1_000_000
HOUR_MS = 3_600_000
DAY = 86_400_000
S = 1000 * MS


class Watched(FaultyDisk):
    """Tells what was synced, in order, by path."""

    def __init__(self) -> None:
        super().__init__(lambda _call, _count: None)
        self.synced: list[Path] = []
        self.refuses = False

    def fsync(self, fd: int) -> None:
        self._note(Path(f"/proc/self/fd/{fd}").readlink())

    def sync_folder(self, folder: Path) -> None:
        self._note(folder)

    def _note(self, path: Path) -> None:
        if self.refuses:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.synced.append(path)


def left_behind(vault: Path) -> None:
    """Write a line in each of three hours, a ledger, and tapes of two hours."""
    archive = Archive(Vault(vault), "okx")
    for hour in range(3):
        archive.write(record(hour * HOUR_MS), None)
    archive.note(LedgerRecord((T0 - DAY) * MS, "started"))
    archive.note(LedgerRecord(T0 * MS, "started"))
    archive.close(T0 * MS)
    for name in ("00-okx-1-a.jsonl", "01-okx-1-a.jsonl", "01-okx-2-a.jsonl"):
        path = vault / "tape/okx/2026-11-21" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")


def test_the_first_job_syncs_contents_and_names_and_tries_again(tmp_path: Path) -> None:
    left_behind(tmp_path)
    disk = Watched()
    archive = Archive(Vault(tmp_path), "okx", disk=disk)
    archive.begin()
    disk.sync_folders_later()
    disk.synced.clear()
    assert archive.past.newest(record(0).spec) is not None
    archive.note(LedgerRecord(T0 * MS, "started"))
    assert disk.synced == []
    disk.refuses = True
    refused = archive.sync_job(0, S)
    assert refused is not None
    try:
        refused.run()
    except OSError:
        archive.synced(refused, ok=False)
    disk.refuses = False
    job = archive.sync_job(S, S)
    assert job is not None
    job.run()
    archive.synced(job, ok=True)
    newest = [hour_file(tmp_path, hour * HOUR_MS) for hour in (2, 1)]
    tapes = [tmp_path / "tape/okx/2026-11-21" / name for name in ("01-okx-1-a.jsonl", "01-okx-2-a.jsonl")]
    ledgers = sorted(tmp_path.glob("meta/okx/events/*.jsonl"))
    assert len(ledgers) == 2
    files = [path for path in disk.synced if path.is_file()]
    assert sorted(files[:6]) == sorted([*newest, *tapes, *ledgers])
    folders = {path for path in disk.synced if path.is_dir()}
    for path in [*newest, *tapes, *ledgers]:
        assert {folder for folder in path.parents if tmp_path in [folder, *folder.parents]} <= folders
    assert archive.sync_job(30 * S, S) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows syncs only what may be written")
def test_what_may_only_be_read_is_synced_too(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    modes: list[int] = []

    class Looked(Disk):
        def fsync(self, fd: int) -> None:
            modes.append(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
            super().fsync(fd)

    sync_file(Looked(), path)
    assert modes == [os.O_RDONLY]


def test_each_is_synced_once_and_what_retention_took_is_passed_over(tmp_path: Path) -> None:
    disk = Watched()
    left = Leftover(disk, Vault(tmp_path), "okx")
    path = tmp_path / "raw/okx/x/2026-11-21/00.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    for _ in range(2):
        left.found(path)
    left.sync()
    assert disk.synced.count(path) == 1
    gone = path.with_name("01.jsonl")
    left.found(gone)
    left.sync()
    assert gone not in disk.synced
    left.found(path)
    assert left.take() == ([], [])
