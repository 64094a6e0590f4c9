"""What the writer does where the disk is full or fails: room is kept for the ledger, and all is tried again."""

import errno
from pathlib import Path

import pytest

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.line import encode_line
from l2_exporter.archive.reserve import RESERVE_BYTES
from l2_exporter.archive.writer import ROOM_BYTES, Archive
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.records import LedgerRecord
from tests.archive.faulty import FaultyDisk, full
from tests.archive.test_writer import OTHER, T0, hour_file, ledger, record

MS = 1_000_000
S = 1000 * MS


class SmallDisk(FaultyDisk):
    """A disk that says how much is free, and refuses single calls."""

    def __init__(self) -> None:
        super().__init__(lambda call, _count: full() if call in self.refused else None)
        self.refused: set[str] = set()
        self.free = 10 * ROOM_BYTES

    def free_bytes(self, folder: Path) -> int:
        return self.free


def begun(vault: Path, disk: SmallDisk) -> Archive:
    archive = Archive(Vault(vault), "okx", disk=disk)
    archive.begin()
    return archive


def test_lines_keep_out_of_the_room_that_a_full_disk_needs_for_its_ledger(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    reserve = Vault(tmp_path).meta_folder("okx") / ".reserve"
    archive.write(record(0), 0)
    disk.refused = {"append"}
    archive.write(record(2000), 2 * S)
    assert not reserve.exists()
    disk.refused, disk.free = set(), RESERVE_BYTES
    archive.write(record(4000), 4 * S)
    archive.write(record(4000, spec=OTHER), 4 * S)
    disk.free = ROOM_BYTES - 1
    archive.write(record(6000), 6 * S)
    assert archive.suspended == 2
    disk.free = ROOM_BYTES
    archive.write(record(8000), 8 * S)
    assert not reserve.exists()
    archive.write(record(8000, spec=OTHER), 8 * S)
    assert reserve.stat().st_size == RESERVE_BYTES
    archive.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0)) + encode_line(record(8000))
    assert [(entry["kind"], entry["instId"]) for entry in ledger(tmp_path)] == [
        ("write_suspended", "BTC-USDT-SWAP"),
        ("write_suspended", OTHER.inst),
        ("write_resumed", "BTC-USDT-SWAP"),
        ("write_resumed", OTHER.inst),
    ]
    assert [entry["detail"]["lines_lost"] for entry in ledger(tmp_path)[2:]] == [3, 1]


def test_a_ledger_that_meets_a_full_disk_first_gets_the_reserve(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    disk.refused = {"append"}
    archive.note(LedgerRecord(T0 * MS, "gap", id="1"))
    assert not (Vault(tmp_path).meta_folder("okx") / ".reserve").exists()
    disk.refused = set()
    assert ledger(tmp_path) == []
    archive.sync_job(10 * S, S)
    assert [entry["id"] for entry in ledger(tmp_path)] == ["1"]


def test_a_ledger_that_is_forbidden_for_a_minute_ends_the_recording(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    disk.fault = lambda call, _count: OSError(errno.EACCES, "Permission denied") if call == "append" else None
    archive.note(LedgerRecord(T0 * MS, "gap", id="1"))
    archive.sync_job(10 * S, S)
    archive.sync_job(69 * S, S)
    with pytest.raises(ArchiveError, match=r"for a minute now: .*Permission denied"):
        archive.sync_job(71 * S, S)


def test_a_start_on_a_full_disk_is_refused_and_litter_is_removed(tmp_path: Path) -> None:
    disk = SmallDisk()
    begun(tmp_path, disk).close(T0 * MS)
    left = Vault(tmp_path).meta_folder("okx") / "rejected" / ".tmp-1.json-4242"
    left.parent.mkdir()
    left.write_bytes(b"half")
    disk.free = RESERVE_BYTES - 1
    with pytest.raises(ArchiveError, match=r"the vault cannot be written: .*No space left"):
        begun(tmp_path, disk)
    assert not left.exists()


def test_lag_counts_what_is_being_synced_and_what_failed_is_due_again(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    archive.write(record(0), 10 * S)
    archive.note(LedgerRecord(T0 * MS, "started"))
    job = archive.sync_job(15 * S, S)
    assert job is not None
    archive.write(record(2000), 16 * S)
    assert archive.sync_lag_ns(20 * S) == 10 * S
    disk.refused = {"fsync"}
    with pytest.raises(OSError, match="No space left"):
        job.run()
    archive.synced(job, ok=False)
    assert archive.sync_lag_ns(20 * S) == 10 * S
    disk.refused = set()
    again = archive.sync_job(20 * S, S)
    assert again is not None
    assert again.ledger
    again.run()
    archive.synced(again, ok=True)
    assert archive.sync_lag_ns(20 * S) == 0
    assert archive.sync_job(30 * S, S) is None


def test_folders_of_new_files_are_synced_with_the_next_job(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    disk.sync_folders_later()
    archive.write(record(0), 0)
    job = archive.sync_job(0, S)
    assert job is not None
    assert hour_file(tmp_path).parent in job.folders
    job.run()
    archive.synced(job, ok=False)
    again = archive.sync_job(0, S)
    assert again is not None
    assert list(again.folders) == list(job.folders)


def test_every_file_is_closed_even_if_one_cannot_be_synced(tmp_path: Path) -> None:
    disk = SmallDisk()
    archive = begun(tmp_path, disk)
    archive.write(record(0), 0)
    archive.write(record(0, spec=OTHER), 0)
    archive.note(LedgerRecord(T0 * MS, "started"))
    synced = []
    disk.fault = lambda call, count: synced.append(call) or (full() if call == "fsync" and len(synced) == 1 else None)
    with pytest.raises(ArchiveError, match="could not be closed"):
        archive.close(T0 * MS)
    assert synced.count("fsync") >= 3


def test_a_loss_of_power_just_after_an_hour_ended_leaves_neither_file_torn(tmp_path: Path) -> None:
    hour_ms = 3_600_000
    archive = Archive(Vault(tmp_path), "okx")
    for ms in (0, hour_ms):
        archive.write(record(ms), None)
    archive.close(T0 * MS)
    for ms in (0, hour_ms):
        with hour_file(tmp_path, ms).open("ab") as file:
            file.write(b"\0" * 4096)
    last = Archive(Vault(tmp_path), "okx").past.newest(record(0).spec)
    assert last is not None
    assert last.event_ns == record(hour_ms).event_ns
    for ms in (0, hour_ms):
        assert hour_file(tmp_path, ms).read_bytes() == encode_line(record(ms))
        assert hour_file(tmp_path, ms).with_suffix(".torn").read_bytes() == b"\0" * 4096


def test_rejected_frames_of_many_runs_are_bounded_too(tmp_path: Path) -> None:
    folder = Vault(tmp_path).rejected_folder("okx")
    folder.mkdir(parents=True)
    names = [f"2026-11-21T100000.{number:06d}Z-001.json" for number in range(1_000)]
    for name in names:
        (folder / name).write_bytes(b"{}")
    begun(tmp_path, SmallDisk()).close(T0 * MS)
    assert sorted(path.name for path in folder.iterdir()) == names[100:]
