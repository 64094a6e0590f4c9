"""Torn ends: cut at the first bad line, nothing lost, nothing good cut, safe to be killed at any step."""

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.repair import WINDOW_BYTES, Repair, repair_tail

LINES = [b'{"a":1}', b'{"b":"\xc3\xa9 [}"}', b'{"c":[1,2]}']
WHOLE = b"".join(line + b"\n" for line in LINES)
BAD_LINES = [
    b"",
    b"[1]",
    b"null",
    b"{",
    b'{"a":1}x',
    b"\0" * 20,
    b'{"a":"\0"}',
    b'{"a":"\xff"}',
    b"[" * 3000,
    b'{"a":NaN}',
]


class DyingDisk(Disk):
    """Dies (here: fails) at the `step`-th call that changes something."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def count(self) -> None:
        self.step -= 1
        if self.step < 0:
            raise OSError(errno.EIO, "died")

    def open_append(self, path: Path) -> int:
        self.count()
        return super().open_append(path)

    def append(self, fd: int, data: bytes | memoryview) -> int:
        self.count()
        return super().append(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        self.count()
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        self.count()
        super().fsync(fd)


def torn_of(path: Path) -> Path:
    return path.with_suffix(".torn")


def repair(path: Path, data: bytes, disk: Disk | None = None) -> Repair:
    path.write_bytes(data)
    return repair_tail(disk or Disk(), path, torn_of(path))


def check(path: Path, data: bytes, kept: bytes) -> None:
    """Repair a file of `data` and hold the result against what should be kept."""
    torn_of(path).unlink(missing_ok=True)
    found = repair(path, data)
    last = kept.split(b"\n")[-2] if kept else None
    assert found == Repair(last, len(kept), len(data) - len(kept))
    assert path.read_bytes() == kept
    assert torn_of(path).exists() == (kept != data)
    assert kept + (torn_of(path).read_bytes() if kept != data else b"") == data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "15.jsonl"


@pytest.mark.parametrize("size", range(len(WHOLE) + 1))
def test_every_cut_position(path: Path, size: int) -> None:
    data = WHOLE[:size]
    check(path, data, data[: data.rfind(b"\n") + 1])


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
@pytest.mark.parametrize("place", range(len(LINES) + 1))
def test_a_bad_line_takes_all_behind_it_along(path: Path, bad: bytes, place: int) -> None:
    lines = [*LINES[:place], bad, *LINES[place:]]
    check(path, b"".join(line + b"\n" for line in lines), b"".join(line + b"\n" for line in LINES[:place]))


@pytest.mark.parametrize("size", [1, 4096, WINDOW_BYTES - 1, WINDOW_BYTES, 3 * WINDOW_BYTES])
def test_a_tail_of_nuls(path: Path, size: int) -> None:
    check(path, WHOLE + b"\0" * size, WHOLE)
    check(path, WHOLE + b'{"d":' + b"\0" * size, WHOLE)
    check(path, b"\0" * size, b"")


def line_of(size: int) -> bytes:
    """Make a good line of so many bytes, its end included."""
    return json.dumps({"x": "y" * (size - 9)}, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("size", [WINDOW_BYTES - 1, WINDOW_BYTES, WINDOW_BYTES + 1, 3 * WINDOW_BYTES])
def test_lines_longer_than_the_window(path: Path, size: int) -> None:
    long = line_of(size)
    assert len(long) == size
    check(path, WHOLE + long, WHOLE + long)
    check(path, long + long, long + long)
    check(path, long + WHOLE, long + WHOLE)
    check(path, WHOLE + long[:-1], WHOLE)
    check(path, WHOLE + long + long[:-5], WHOLE + long)
    check(path, long[:-1], b"")


@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_a_window_that_begins_at_a_line(path: Path, shift: int) -> None:
    last = line_of(WINDOW_BYTES + shift - len(WHOLE))
    check(path, WHOLE + WHOLE + last, WHOLE + WHOLE + last)
    check(path, WHOLE + WHOLE + last + b"{", WHOLE + WHOLE + last)


def test_only_the_end_is_judged(path: Path) -> None:
    old = b"not json\n" + line_of(2 * WINDOW_BYTES)
    check(path, old + WHOLE + b"{", old + WHOLE)


def test_a_sound_file_is_not_touched(path: Path) -> None:
    assert repair(path, WHOLE, DyingDisk(0)) == Repair(LINES[-1], len(WHOLE), 0)
    assert repair(path, b"", DyingDisk(0)) == Repair(None, 0, 0)


def test_a_file_that_is_not_there_is_an_os_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        repair_tail(Disk(), path, torn_of(path))


def test_what_was_torn_before_stays(path: Path) -> None:
    torn_of(path).write_bytes(b"before\0")
    repair(path, WHOLE + b'{"d')
    assert torn_of(path).read_bytes() == b'before\0{"d'


@pytest.mark.parametrize("step", range(6))
def test_killed_at_any_step_and_done_again(path: Path, step: int) -> None:
    with pytest.raises(OSError, match="died"):
        repair(path, WHOLE + b'{"d', DyingDisk(step))
    assert path.read_bytes().startswith(WHOLE)
    found = repair_tail(Disk(), path, torn_of(path))
    assert (found.last_line, found.size) == (LINES[-1], len(WHOLE))
    assert path.read_bytes() == WHOLE
    assert torn_of(path).read_bytes() == b'{"d'


def test_all_steps_were_tried(path: Path) -> None:
    assert repair(path, WHOLE + b'{"d', DyingDisk(6)) == Repair(LINES[-1], len(WHOLE), 3)


def test_the_cut_waits_for_the_copy(path: Path) -> None:
    """Until the torn file is synced the file is as it was."""
    for step in range(4):
        torn_of(path).unlink(missing_ok=True)
        with pytest.raises(OSError, match="died"):
            repair(path, WHOLE + b'{"d', DyingDisk(step))
        assert path.read_bytes() == WHOLE + b'{"d'


pieces = st.lists(
    st.sampled_from([*LINES, *BAD_LINES, b"\n", b"\0", b"{", b'"']).flatmap(
        lambda piece: st.sampled_from([piece, piece + b"\n"])
    ),
    max_size=8,
)


@settings(deadline=None)
@given(pieces)
def test_any_content(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    data = b"".join(parts)
    kept = b""
    for line in data.split(b"\n")[:-1]:
        try:
            good = isinstance(json.loads(line.decode(), parse_constant=refuse), dict)
        except (ValueError, RecursionError):
            good = False
        if not good:
            break
        kept += line + b"\n"
    check(tmp_path_factory.getbasetemp() / "any.jsonl", data, kept)


def refuse(constant: str) -> None:
    raise ValueError(constant)
