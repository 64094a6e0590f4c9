"""The log file: every record once, whole and on one line, whatever is full, shared or held open."""

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.core.errors import ArchiveError
from l2_exporter.runtime.logs import LOGGER, Console, LogFile, LogSettings, start_logs
from tests.archive.faulty import FaultyDisk, full

PATIENCE_S = 10
AT = 1_795_275_045.123456
"""2026-11-21T15:30:45.123456Z."""


class SlowStream(io.StringIO):
    """A console somebody clicked into: a write to it returns only once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.open = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        return super().write(text)


# ---- the file -------------------------------------------------------------------------------------------------------


class WindowsDisk(Disk):
    """A disk that refuses to rename what is open here, and what it is told that others have open."""

    def __init__(self) -> None:
        super().__init__(sleep=lambda _seconds: None)
        self.open_here: dict[int, Path] = {}
        self.open_elsewhere: set[Path] = set()

    def open_append(self, path: Path) -> int:
        fd = super().open_append(path)
        self.open_here[fd] = path
        return fd

    def close(self, fd: int) -> None:
        del self.open_here[fd]
        super().close(fd)

    def replace(self, tmp: Path, final: Path) -> None:
        assert not {tmp, final} & set(self.open_here.values()), "renamed an open file"
        if {tmp, final} & self.open_elsewhere:
            raise PermissionError(13, "The process cannot access the file", str(tmp))
        super().replace(tmp, final)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "l2.log"


@pytest.fixture
def log(path: Path) -> Callable[..., LogFile]:
    """Make a log file of at most 10 bytes: five lines of one letter."""

    def make(keep: int = 2, disk: Disk | None = None, max_bytes: int = 10) -> LogFile:
        return LogFile(path, max_bytes, keep, disk or WindowsDisk())

    return make


def held(path: Path) -> dict[str, str]:
    """Read all files of a log, their lines joined."""
    return {
        file.name.removeprefix(path.name): file.read_text(encoding="utf-8").replace("\n", "")
        for file in sorted(path.parent.iterdir())
    }


@pytest.mark.parametrize("together", [1, 2, 3, 17])
def test_a_full_file_is_turned_over_and_the_oldest_goes(path: Path, log: Callable[..., LogFile], together: int) -> None:
    file = log()
    letters = "abcdefghijklmnopq"
    for start in range(0, len(letters), together):
        file.write(list(letters[start : start + together]))
    assert held(path) == {"": "pq", ".1": "klmno", ".2": "fghij"}
    assert path.read_text() == "p\nq\n"


def test_a_run_goes_on_where_the_last_one_stopped(path: Path, log: Callable[..., LogFile]) -> None:
    log().write(list("abc"))
    log().write(list("def"))
    assert held(path) == {"": "f", ".1": "abcde"}


def test_no_old_files_are_kept_if_none_are_wanted(path: Path, log: Callable[..., LogFile]) -> None:
    log(keep=0).write(list("abcdefg"))
    assert held(path) == {"": "fg"}


def test_a_line_longer_than_a_file_has_one_of_its_own(path: Path, log: Callable[..., LogFile]) -> None:
    file = log()
    file.write(["x" * 30])
    file.write(["a", "y" * 30, "b"])
    assert held(path) == {"": "b", ".1": "y" * 30, ".2": "a"}


def test_a_file_that_cannot_be_renamed_grows_until_it_can(path: Path, log: Callable[..., LogFile]) -> None:
    disk = WindowsDisk()
    file = log(disk=disk, max_bytes=20)
    disk.open_elsewhere = {path}
    letters = "abcdefghijklmnopqrstuvwxyz"
    for letter in letters[:15]:
        file.write([letter])
    assert held(path) == {"": letters[:15]}
    disk.open_elsewhere = set()
    for letter in letters[15:]:
        file.write([letter])
    assert held(path) == {"": "z", ".1": letters[15:25], ".2": letters[:15]}


def test_attempts_that_fail_cost_at_most_one_old_file(path: Path, log: Callable[..., LogFile]) -> None:
    disk = WindowsDisk()
    file = log(keep=3, disk=disk)
    file.write(list("abcdefghijklmnopqrst"))
    assert held(path) == {"": "pqrst", ".1": "klmno", ".2": "fghij", ".3": "abcde"}
    disk.open_elsewhere = {path}
    for letter in "uvwxyz":
        file.write([letter])
    assert held(path) == {"": "pqrstuvwxyz", ".2": "klmno", ".3": "fghij"}
    disk.open_elsewhere = set()
    for letter in "ABC":
        file.write([letter])
    assert held(path) == {"": "ABC", ".1": "pqrstuvwxyz", ".2": "klmno", ".3": "fghij"}


def test_an_old_file_that_is_being_read_elsewhere_is_not_overwritten(path: Path, log: Callable[..., LogFile]) -> None:
    disk = WindowsDisk()
    disk.open_elsewhere = {path.with_name("l2.log.1")}
    path.parent.mkdir()
    path.with_name("l2.log.1").write_text("read by somebody\n")
    log(disk=disk).write(list("abcdefg"))
    assert held(path) == {"": "abcdefg", ".1": "read by somebody"}


def test_several_processes_share_a_file_and_lose_no_line(path: Path, log: Callable[..., LogFile]) -> None:
    writers = [log(keep=50, max_bytes=40) for _ in range(3)]
    lines = [[f"{writer}{number:03d}" for number in range(60)] for writer in "abc"]
    for batch in zip(*lines, strict=True):
        for writer, line in zip(writers, batch, strict=True):
            writer.write([line])
    names = sorted(path.parent.iterdir(), key=lambda file: -int(file.suffix[1:]) if file.suffix != ".log" else 1)
    found = [line for file in names for line in file.read_text().splitlines()]
    assert found == [line for batch in zip_longest(*lines) for line in batch]
    assert max(file.stat().st_size for file in names) <= 40


def test_a_write_that_broke_off_does_not_spoil_the_next_line(path: Path, log: Callable[..., LogFile]) -> None:
    faults = iter([None, 3, full(), None])
    disk = FaultyDisk(lambda call, _count: next(faults) if call == "append" else None)
    file = log(disk=disk, max_bytes=1_000)
    file.write(["whole"])
    with pytest.raises(OSError, match="No space left"):
        file.write(["broken off"])
    file.write(["after"])
    assert path.read_text() == "whole\nbro\nafter\n"


def test_a_file_that_was_deleted_or_moved_away_is_made_again(path: Path, log: Callable[..., LogFile]) -> None:
    file = log()
    file.write(["a"])
    path.rename(path.with_name("moved"))
    file.write(["b"])
    assert held(path) == {"": "b", "moved": "a"}


# ---- logging --------------------------------------------------------------------------------------------------------


@contextmanager
def alone() -> Iterator[None]:
    """Take the handlers of the test runner away meanwhile, and check that nothing of ours stays behind."""
    root, ours = logging.getLogger(), logging.getLogger(LOGGER)
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    yield
    left = root.handlers[:]
    root.handlers[:] = handlers
    assert (left, (root.level, ours.level)) == ([], levels)


def record(name: str, level: int, message: str, *args: object, exc_info: object = None) -> None:
    """Log a record of the moment AT."""
    logger = logging.getLogger(name)
    made = logger.makeRecord(name, level, "", 0, message, args, exc_info)
    made.created = AT
    if logger.isEnabledFor(level):
        logger.handle(made)


@alone()
def test_a_record_is_one_line_with_utc_milliseconds(path: Path) -> None:
    logs = start_logs(LogSettings(path, logging.DEBUG))
    record("l2_exporter.books", logging.DEBUG, "[%s] Snapshot written: bids=%d", "BTC-USDT-SWAP", 400)
    record("l2_exporter.books", logging.WARNING, "[X] venue sent %s", "a\n2026 INFO forged\x1b[0m")
    record("l2_exporter", logging.INFO, "%d %d", 1)
    record("l2_exporter", logging.INFO, "%(what)s", {"which": 1})
    record("websockets.client", logging.INFO, "not kept")
    record("asyncio", logging.WARNING, "kept")
    assert logs.close()
    assert path.read_text(encoding="utf-8").splitlines() == [
        "2026-11-21T15:30:45.123Z DEBUG l2_exporter.books [BTC-USDT-SWAP] Snapshot written: bids=400",
        "2026-11-21T15:30:45.123Z WARNING l2_exporter.books [X] venue sent a\\n2026 INFO forged\\x1b[0m",
        "2026-11-21T15:30:45.123Z INFO l2_exporter '%d %d' does not take (1,): not enough arguments for format string",
        "2026-11-21T15:30:45.123Z INFO l2_exporter '%(what)s' does not take {'which': 1}: 'what'",
        "2026-11-21T15:30:45.123Z WARNING asyncio kept",
    ]
    assert logs.dropped == 0


@alone()
def test_a_traceback_stays_on_its_line(path: Path) -> None:
    logs = start_logs(LogSettings(path))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record("l2_exporter", logging.ERROR, "failed", exc_info=sys.exc_info())
    record("l2_exporter", logging.INFO, "next", exc_info=(None, None, None))
    assert logs.close()
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert first.startswith(
        "2026-11-21T15:30:45.123Z ERROR l2_exporter failed\\nTraceback (most recent call last):\\n  File "
    )
    assert first.endswith("\\nValueError: two\\nlines")
    assert second == "2026-11-21T15:30:45.123Z INFO l2_exporter next"


@alone()
def test_levels_of_file_and_console(path: Path) -> None:
    stream = io.StringIO()
    logs = start_logs(LogSettings(path, logging.WARNING), Console(stream), console_level=logging.ERROR)
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        record("l2_exporter.okx", level, "at %d", level)
    assert logs.close()
    assert [line.split()[1] for line in path.read_text().splitlines()] == ["WARNING", "ERROR"]
    assert stream.getvalue() == "2026-11-21T15:30:45.123Z ERROR l2_exporter.okx at 40\n"
    record("l2_exporter.okx", logging.ERROR, "after the end")
    assert len(path.read_text().splitlines()) == 2


@alone()
def test_the_file_tells_what_a_stuck_console_did_not_take(path: Path) -> None:
    stream = SlowStream()
    console = Console(stream, limit=1)
    logs = start_logs(LogSettings(path), console)
    console.say("taken by the thread")
    assert stream.entered.wait(PATIENCE_S)
    console.say("waits")
    console.say("dropped")
    assert logs.close(timeout_s=0.05) is False
    stream.open.set()
    (line,) = path.read_text().splitlines()
    assert line.endswith(" WARNING l2_exporter The console was stuck, lines dropped: 1, others still wait")
    assert console.close(PATIENCE_S)


@alone()
def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    target = tmp_path / "occupied" / "l2.log"
    with pytest.raises(ArchiveError, match=r"the log .* cannot be written: "):
        start_logs(LogSettings(target))
