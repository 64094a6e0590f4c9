"""The lock: one recorder per vault and venue, and none left behind by one that was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from l2_exporter.archive.lock import VenueLock
from l2_exporter.core.errors import VaultBusyError

HOLDER = """
import sys
from pathlib import Path
from l2_exporter.archive.lock import VenueLock
with VenueLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_with_path_and_pid(tmp_path: Path) -> None:
    path = tmp_path / "meta" / "okx" / ".lock"
    with holder(path) as process:
        with pytest.raises(VaultBusyError) as refusal:
            VenueLock(path).acquire()
        assert str(path) in str(refusal.value)
        assert f"process {process.pid})" in str(refusal.value)


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
        with VenueLock(path):
            assert path.read_text() == f"{os.getpid()}\n"


def test_a_clean_end_releases_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        with VenueLock(path):
            pass


def test_it_holds_within_a_process_too_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    lock = VenueLock(path)
    with lock, pytest.raises(VaultBusyError, match=f"process {os.getpid()}"), VenueLock(path):
        pass
    with lock:
        pass
    lock.release()


def test_other_venues_are_free(tmp_path: Path) -> None:
    with VenueLock(tmp_path / "okx" / ".lock"), VenueLock(tmp_path / "binance" / ".lock"):
        pass


def test_a_lock_file_with_odd_content_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_bytes(b"\xff\xfe not a pid" * 100)
    with VenueLock(path):
        assert path.read_text() == f"{os.getpid()}\n"
        path.write_bytes(b"\xff\xfe not a pid")
        with pytest.raises(VaultBusyError, match="process unknown"):
            VenueLock(path).acquire()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "meta").touch()
    with pytest.raises(OSError, match="meta"):
        VenueLock(tmp_path / "meta" / "okx" / ".lock").acquire()
