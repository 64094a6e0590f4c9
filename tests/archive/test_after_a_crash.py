"""What a start makes of what a crash left, and a run of what others do to its files: one precaution each."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.line import encode_line
from l2_exporter.archive.lock import VenueLock
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive
from l2_exporter.core.history import LastLine
from l2_exporter.core.records import HoursOver, LedgerRecord
from l2_exporter.core.timetext import HOUR_NS, hour_of
from tests.archive.faulty import FaultyDisk, broken, full
from tests.archive.test_writer import SPEC, T0, hour_file, ledger, record

MS = 1_000_000
DAY_MS = 86_400_000
TORN = b'{"at":"2023-11-1'


def test_the_ledger_of_the_day_before_is_repaired(tmp_path: Path) -> None:
    first = Archive(Vault(tmp_path), "okx")
    first.note(LedgerRecord(T0 * MS, "started"))
    first.close(T0 * MS)
    (path,) = Vault(tmp_path).ledger_folder("okx").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + TORN)
    again = Archive(Vault(tmp_path), "okx")
    again.note(LedgerRecord((T0 + DAY_MS) * MS, "started"))
    again.close(T0 * MS)
    assert path.read_bytes() == whole
    assert path.with_suffix(".torn").read_bytes() == TORN


def lived(ms: int) -> LedgerRecord:
    at_ns = (T0 + ms) * MS
    return LedgerRecord(at_ns, "live", spec=SPEC, until_event_ns=at_ns, until_recv_ns=at_ns + 1000)


@pytest.mark.parametrize("patient", [True, False])
def test_a_book_that_was_live_without_a_line_has_a_past_but_not_for_a_replay(tmp_path: Path, patient: bool) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.note(lived(500))
    archive.close(T0 * MS)
    found = Archive(Vault(tmp_path), "okx", patient=patient).past.newest(SPEC)
    assert found == (LastLine((T0 + 500) * MS, (T0 + 500) * MS + 1000) if patient else None)


def test_a_torn_end_that_cannot_be_cut_hides_no_past(tmp_path: Path) -> None:
    hour_file(tmp_path).parent.mkdir(parents=True)
    hour_file(tmp_path).write_bytes(encode_line(record(0)) + TORN)
    disk = FaultyDisk(lambda call, _count: broken() if call == "truncate" else None)
    found = Archive(Vault(tmp_path), "okx", disk=disk).past.newest(SPEC)
    assert found == LastLine(T0 * MS, T0 * MS)


class Refusing(FaultyDisk):
    """Refuses every write, or every write to the ledger."""

    def __init__(self) -> None:
        super().__init__(lambda _call, _count: None)
        self.refuses = ""

    def append(self, fd: int, data: bytes | memoryview) -> int:
        if self.refuses == "all" or (self.refuses == "ledger" and b'"kind":' in bytes(data)):
            raise full()
        return super().append(fd, data)


def test_what_waits_for_the_ledger_is_written_before_a_line(tmp_path: Path) -> None:
    disk = Refusing()
    archive = Archive(Vault(tmp_path), "okx", disk=disk)
    disk.refuses = "all"
    archive.note(lived(0))
    disk.refuses = ""
    calls: list[bytes] = []
    with patch.object(FaultyDisk, "append", lambda _self, fd, data: calls.append(bytes(data)) or os.write(fd, data)):
        archive.write(record(0), None)
    assert [b'"kind":"live"' in data for data in calls if data.startswith(b"{")] == [True, False]
    archive.close(T0 * MS)


def test_no_line_stands_behind_missing_ones_that_nobody_has_declared(tmp_path: Path) -> None:
    disk = Refusing()
    archive = Archive(Vault(tmp_path), "okx", disk=disk)
    archive.write(record(0), None)
    disk.refuses = "all"
    archive.write(record(2000), None)
    disk.refuses = "ledger"
    archive.write(record(4000), None)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0))
    disk.refuses = ""
    archive.write(record(6000), None)
    archive.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0)) + encode_line(record(6000))
    assert [(entry["kind"], entry["detail"]) for entry in ledger(tmp_path)][1:] == [
        ("write_resumed", {"dataset": "l2_perps", "lines_lost": 2})
    ]


def test_a_descriptor_that_cannot_be_closed_ends_no_run(tmp_path: Path) -> None:
    class Unclosing(Disk):
        def close(self, fd: int) -> None:
            super().close(fd)
            raise broken()

    archive = Archive(Vault(tmp_path), "okx", disk=Unclosing())
    archive.write(record(0), None)
    archive._files.close_hour(SPEC, hour_of(T0 * MS))
    assert hour_file(tmp_path).read_bytes() == encode_line(record(0))


def test_lines_and_ledger_go_on_in_new_files_when_their_folders_are_deleted(tmp_path: Path) -> None:
    archive = Archive(Vault(tmp_path), "okx")
    archive.note(LedgerRecord(T0 * MS, "started"))
    archive.write(record(0), None)
    shutil.rmtree(tmp_path / "raw")
    shutil.rmtree(Vault(tmp_path).ledger_folder("okx"))
    archive.write(record(2000), None)
    archive.note(LedgerRecord(T0 * MS, "stopped"))
    archive.close(T0 * MS)
    assert hour_file(tmp_path).read_bytes() == encode_line(record(2000))
    assert [entry["kind"] for entry in ledger(tmp_path)] == ["stopped"]


def test_a_tape_goes_on_in_a_new_file_that_begins_as_every_tape(tmp_path: Path) -> None:
    def line(direction: str, n: int, frame: str) -> TapeLine:
        return TapeLine(direction, "okx-1", n, T0 * MS, n, None, frame, None, 200)

    start = line("start", 1, "{}")
    tape = TapeFiles(Disk(), Vault(tmp_path), "okx", "r1", start)
    tape.write(line("in", 2, "a"), 2)
    shutil.rmtree(tmp_path / "tape")
    tape.write(line("in", 3, "b"), 3)
    tape.close()
    (path,) = tmp_path.glob("tape/okx/*/*.jsonl")
    assert [b'"n":1,' in text or b'"n":3,' in text for text in path.read_bytes().splitlines()] == [True, True]


def test_the_folders_that_the_lock_makes_are_synced(tmp_path: Path) -> None:
    synced: list[Path] = []
    with (
        patch.object(Disk, "sync_folder", lambda _self, folder: synced.append(folder)),
        VenueLock(Vault(tmp_path / "vault").lock_file("okx")),
    ):
        pass
    assert synced == [tmp_path, tmp_path / "vault", tmp_path / "vault" / "meta"]


def test_an_hour_whose_last_line_was_only_asked_for_is_sealed_as_left_behind(tmp_path: Path) -> None:
    """A tape's start tells of the last line of each book; that alone is no reason to leave its hour open."""
    archive = Archive(Vault(tmp_path), "okx")
    archive.write(record(0), None)
    archive.close(T0 * MS)
    again = Archive(Vault(tmp_path), "okx")
    hour = hour_of(T0 * MS)
    assert again.past.floor(SPEC, hour) is not None
    again.seal_orphans(HoursOver(hour + 1, (hour + 1) * HOUR_NS))
    while again.seals.waiting:
        again.sealed(again.seals.run_next())
    again.close(T0 * MS)
    assert hour_file(tmp_path).with_name(f"{hour_file(tmp_path).stem}.manifest.json").exists()
