"""Reading lines: the same from every suffix, and damage is told, never passed over."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from l2_exporter.archive.read import BLOCK_BYTES, last_line, read_lines
from l2_exporter.core.errors import ArchiveError


def pack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": pack_zstd}
COMPRESSED = [".jsonl.gz", ".jsonl.zst"]


def write(folder: Path, suffix: str, packed: bytes) -> Path:
    path = folder / f"15{suffix}"
    path.write_bytes(packed)
    return path


def read(path: Path) -> tuple[list[bytes], list[bytes]]:
    torn: list[bytes] = []
    return list(read_lines(path, torn.append)), torn


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    ("data", "lines", "torn"),
    [
        (b"", [], []),
        (b"\n", [b""], []),
        (b"a\nb\n", [b"a", b"b"], []),
        (b"a\nb", [b"a"], [b"b"]),
        (b"a", [], [b"a"]),
        (b"a\r\n\n\x85\x0b", [b"a\r", b""], [b"\x85\x0b"]),
    ],
)
def test_lines_and_what_is_torn(
    tmp_path: Path, suffix: str, data: bytes, lines: list[bytes], torn: list[bytes]
) -> None:
    path = write(tmp_path, suffix, PACK[suffix](data))
    assert read(path) == (lines, torn)
    assert list(read_lines(path)) == lines
    assert last_line(path) == (lines[-1] if lines else None)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES])
def test_lines_longer_than_a_block(tmp_path: Path, suffix: str, size: int) -> None:
    lines = [b"a" * size, b"b", b"c" * size]
    path = write(tmp_path, suffix, PACK[suffix](b"\n".join(lines) + b"\n" + b"d" * size))
    assert read(path) == (lines, [b"d" * size])
    assert last_line(path) == lines[-1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([b"", b"a", b"b" * 7, b"c" * BLOCK_BYTES]), max_size=5), st.sampled_from(list(PACK)))
def test_the_last_line_is_the_last_of_all(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], suffix: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), suffix, PACK[suffix](b"".join(line + b"\n" for line in lines)))
    assert read(path) == (lines, [])
    assert last_line(path) == (lines[-1] if lines else None)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_file_of_several_members(tmp_path: Path, suffix: str) -> None:
    pack = PACK[suffix]
    assert read(write(tmp_path, suffix, pack(b"a\nb") + pack(b"") + pack(b"c\n"))) == ([b"a", b"bc"], [])


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_compressed_file_that_ends_too_early_is_damaged(tmp_path: Path, suffix: str, cut: int) -> None:
    packed = PACK[suffix](bytes(range(256)) * 4 + b"\n")
    path = write(tmp_path, suffix, packed[:cut])
    with pytest.raises(ArchiveError, match=r"15\.jsonl.* is damaged"):
        list(read_lines(path))
    with pytest.raises(ArchiveError, match="is damaged"):
        last_line(path)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_file_that_is_not_what_its_name_says_is_damaged(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ArchiveError, match="is damaged"):
        list(read_lines(write(tmp_path, suffix, b'{"plain":1}\n')))
    with pytest.raises(ArchiveError, match="is damaged"):
        list(read_lines(write(tmp_path, suffix, PACK[suffix](b"a\n") + b"garbage behind it")))


def test_gzip_bytes_that_were_changed_are_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"abcdefgh\n" * 100))
    packed[-6] ^= 1
    with pytest.raises(ArchiveError, match="CRC"):
        list(read_lines(write(tmp_path, ".jsonl.gz", bytes(packed))))


def test_lines_before_the_damage_are_read(tmp_path: Path) -> None:
    lines = [str(n).encode() for n in range(200_000)]
    packed = gzip.compress(b"\n".join(lines), 1)
    read_before = read_lines(write(tmp_path, ".jsonl.gz", packed[: len(packed) // 2]))
    taken: list[bytes] = []
    with pytest.raises(ArchiveError):
        taken.extend(iter(read_before))
    assert taken
    assert taken == lines[: len(taken)]


def test_without_zstandard_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, ".jsonl.zst", pack_zstd(b"a\n"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ArchiveError, match=r"install l2-exporter\[zstd\]"):
        list(read_lines(path))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "15.jsonl"))
    with pytest.raises(FileNotFoundError):
        last_line(tmp_path / "15.jsonl")
