"""The disk: appends land at the end, whole files appear whole or not at all, and a file in use is waited for."""

import errno
import os
from pathlib import Path

import pytest

from l2_exporter.archive.disk import RETRIES, RETRY_PAUSE_S, Disk


class FaultyDisk(Disk):
    """Takes at most `taken` bytes a write, and `room` bytes in all."""

    def __init__(self, taken: int, room: int) -> None:
        super().__init__()
        self.taken = taken
        self.room = room

    def append(self, fd: int, data: bytes | memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "disk full")
        written = super().append(fd, bytes(data)[: min(self.taken, self.room)])
        self.room -= written
        return written


class SharingViolationError(PermissionError):
    """What Windows raises for a file that another program looks at."""

    def __init__(self, code: int) -> None:
        super().__init__(errno.EACCES, "in use")
        self.winerror = code


def read(path: Path) -> bytes:
    return path.read_bytes()


def test_appends_land_at_the_end(tmp_path: Path) -> None:
    disk = Disk()
    path = tmp_path / "a" / "b" / "15.jsonl"
    one = disk.open_append(path)
    assert disk.append(one, b"first\n") == 6
    other = disk.open_append(path)
    assert disk.append(other, b"second\n") == 7
    assert disk.append(one, b"third\n") == 6
    assert disk.size(one) == 19
    disk.fsync(one)
    disk.truncate(other, 13)
    disk.close(one)
    disk.close(other)
    assert read(path) == b"first\nsecond\n"
    assert disk.read_tail(path, 7) == b"second\n"
    assert disk.read_tail(path, 1000) == b"first\nsecond\n"
    assert disk.read_tail(path, 0) == b""


def test_a_file_is_readable_by_others_as_the_umask_says(tmp_path: Path) -> None:
    disk = Disk()
    umask = os.umask(0o022)
    try:
        disk.close(disk.open_append(tmp_path / "15.jsonl"))
    finally:
        os.umask(umask)
    if os.name == "posix":
        assert (tmp_path / "15.jsonl").stat().st_mode & 0o777 == 0o644


def test_a_short_write_is_told(tmp_path: Path) -> None:
    disk = FaultyDisk(taken=3, room=100)
    fd = disk.open_append(tmp_path / "x")
    assert disk.append(fd, b"abcdef") == 3
    disk.append_all(fd, b"ghijklm")
    disk.close(fd)
    assert read(tmp_path / "x") == b"abcghijklm"


def test_a_disk_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    disk = FaultyDisk(taken=0, room=100)
    fd = disk.open_append(tmp_path / "x")
    with pytest.raises(OSError, match="took nothing"):
        disk.append_all(fd, b"x")
    disk.close(fd)


def test_a_whole_file_is_replaced(tmp_path: Path) -> None:
    disk = FaultyDisk(taken=2, room=100)
    path = tmp_path / "meta" / "status.json"
    disk.write_whole(path, b'{"a":1}')
    disk.write_whole(path, b'{"a":2,"b":3}')
    assert read(path) == b'{"a":2,"b":3}'
    assert [entry.name for entry in path.parent.iterdir()] == ["status.json"]


def test_a_whole_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "15.manifest.json"
    Disk().write_whole(path, b"old")
    with pytest.raises(OSError, match="disk full"):
        FaultyDisk(taken=2, room=4).write_whole(path, b"newer")
    assert read(path) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["15.manifest.json"]


def test_a_temporary_file_of_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".tmp-15-{os.getpid()}").write_bytes(b"left behind")
    Disk().write_whole(tmp_path / "15.manifest.json", b"new")
    assert {entry.name: read(entry) for entry in tmp_path.iterdir()} == {"15.manifest.json": b"new"}


def test_remove(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    path.touch()
    Disk().remove(path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        Disk().remove(path)


def test_failures_pass_through(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Disk().open_append(tmp_path / "file" / "x")
    with pytest.raises(IsADirectoryError):
        Disk().open_append(tmp_path)


@pytest.mark.parametrize("code", [5, 32, 33])
def test_a_file_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    pauses: list[float] = []
    disk = Disk(sleep=pauses.append)
    failures = [SharingViolationError(code) for _ in range(3)]
    really = os.write

    def write(fd: int, data: bytes) -> int:
        if failures:
            raise failures.pop()
        return really(fd, data)

    fd = disk.open_append(tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        assert disk.append(fd, b"line\n") == 5
    disk.close(fd)
    assert read(tmp_path / "x") == b"line\n"
    assert pauses == [RETRY_PAUSE_S] * 3


def test_a_file_that_stays_in_use_is_an_error_after_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    disk = Disk(sleep=pauses.append)

    def busy(*_: object) -> int:
        raise SharingViolationError(32)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", busy)
        with pytest.raises(PermissionError):
            disk.open_append(tmp_path / "x")
    assert len(pauses) == RETRIES
    assert sum(pauses) == pytest.approx(2)


def test_another_refusal_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_seconds: float) -> None:
        raise AssertionError("waited")

    disk = Disk(sleep=refuse)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "disk full")

    fd = disk.open_append(tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="disk full"):
            disk.append(fd, b"x")
    disk.close(fd)


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot sync folders")
def test_new_names_are_synced_with_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").resolve().name)
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    disk = Disk()
    path = tmp_path / "inst" / "2026-11-26" / "15.jsonl"
    disk.close(disk.open_append(path))
    assert synced == [tmp_path.name, "inst", "2026-11-26"]
    synced.clear()
    disk.close(disk.open_append(path))
    assert synced == []
    disk.replace(path, path.with_name("16.jsonl"))
    assert synced == ["2026-11-26"]
    synced.clear()
    disk.write_whole(path.with_name("15.manifest.json"), b"{}")
    assert synced == ["2026-11-26", f".tmp-15-{os.getpid()}", "2026-11-26"]


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot sync folders")
@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, passes: bool
) -> None:
    def fsync(_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    disk = Disk()
    if passes:
        disk.close(disk.open_append(tmp_path / "x"))
    else:
        with pytest.raises(OSError, match="Input/output"):
            disk.open_append(tmp_path / "x")
