"""What is compressed and deleted, what is left alone, and what is said about it."""

import errno
import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from retention import codec
from retention.content import Gauge, read_proof
from retention.disk import Disk
from retention.errors import ProofError
from retention.job import make_plan
from retention.policy import Codec
from tests.retention.faulty import FaultyDisk, full, quick
from tests.retention.running import left, policy, run
from tests.retention.vaults import NOW, World, lines, ns, pack, unpack


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "v")


@pytest.mark.parametrize("chosen", list(Codec))
def test_bytes_stay_the_same_and_files_are_deterministic(world: World, chosen: Codec) -> None:
    data = lines(1, 5000)
    first, second = world.put(world.hour(9), data), world.put(world.hour(10), data)
    os.utime(second, (1, 1))
    assert left(run(world, policy(codec=chosen))) == {}
    packed = [path.with_name(path.name + chosen.suffix) for path in (first, second)]
    assert [unpack(path) for path in packed] == [data, data]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    if chosen is Codec.GZIP:
        assert packed[0].read_bytes()[3:8] == bytes(5)  # no name, no time
    line = world.record()[0]
    assert (line["action"], line["bytes"], line["stored_bytes"]) == ("compressed", len(data), packed[0].stat().st_size)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@given(data=st.binary(max_size=3000), repeat=st.integers(0, 2000))
@settings(max_examples=30)
def test_any_bytes_survive(suffix: str, data: bytes, repeat: int) -> None:
    plain = data * repeat
    packed = plain
    if suffix:
        packer = codec.packer(next(one for one in Codec if one.suffix == suffix), 3, len(plain))
        packed = packer.compress(plain) + packer.flush()
    blocks = [packed[start : start + 777] for start in range(0, len(packed), 777)]
    assert b"".join(codec.unpacked(blocks, suffix)) == plain


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_files_that_others_wrote_or_broke(tmp_path: Path, suffix: str) -> None:
    whole = pack(lines(1), suffix)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(whole + whole)
    assert read_proof(Disk(), path, lambda: None).content.size == 2 * len(lines(1))
    for broken in (b"", whole[:-1], whole[:20], whole + b"x", whole[:30] + b"\0\0\0\0" + whole[34:]):
        path.write_bytes(broken)
        with pytest.raises(ProofError, match="damaged"):
            read_proof(Disk(), path, lambda: None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lines(1) + b'{"n":', "its end is torn: 5 bytes without an end of line"),
        (lines(1) + bytes(64), "its end is torn"),
        (lines(1) + b"{]\n", "1 of the last 41 lines are no JSON object"),
        (lines(1) + bytes(64) + b"\n", "no JSON object"),
        (lines(1) + b"17\n", "no JSON object"),
    ],
)
def test_an_end_that_is_not_sound_is_left(world: World, data: bytes, said: str) -> None:
    young, old = world.put(world.hour(9), data), world.put(world.hour(200), data)
    packed = world.put(world.hour(300, ".jsonl.gz"), pack(data, ".gz"))
    result = run(world)
    assert set(left(result)) == {"03.jsonl", "04.jsonl", "00.jsonl"}
    assert all(said in reason for reason in left(result).values())
    assert young.read_bytes() == old.read_bytes() == unpack(packed) == data
    assert world.record() == []


def test_only_the_end_is_judged_and_memory_stays_flat() -> None:
    gauge = Gauge()
    gauge.add(b"not json\n")
    for _ in range(200):
        gauge.add(b'{"a":"' + b"x" * 65_000 + b'"}\n')
        assert gauge._tail_size < 3 << 20
    assert gauge.flaw() is None
    gauge = Gauge()
    for _ in range(100):
        gauge.add(bytes(1 << 20))
        assert gauge._tail_size < 66 << 20
    assert "torn" in str(gauge.flaw())


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"bytes": 1}, {"lines": 1}, {"bytes": None}])
def test_a_manifest_that_says_otherwise_keeps_the_hour(world: World, change: dict[str, object]) -> None:
    for ago in (9, 200, 202):
        world.seal(ago, lines(1), **change)
    world.put(world.hour(9), lines(1))
    world.put(world.hour(200), lines(1))
    world.put(world.hour(202, ".jsonl.gz"), pack(lines(1), ".gz"))
    before = world.files()
    assert len(left(run(world))) == 3
    assert world.files() == before


def test_a_manifest_goes_with_its_hour_and_stands_in_the_tombstone(world: World) -> None:
    world.put(world.hour(200, ".jsonl.zst"), pack(lines(1), ".zst"))
    sealed = world.seal(200, lines(1)).read_bytes()
    pretty = world.seal(201, b"")
    pretty.write_text(json.dumps(json.loads(pretty.read_bytes()), indent=2))
    run(world)
    assert world.files() == {}
    both = world.record()
    assert [line["manifest"]["lines"] for line in both] == [0, 40]
    raw = (world.root / "meta/retention/2026-11-21.jsonl").read_bytes().splitlines()[1]
    assert raw.endswith(b'"manifest":' + sealed.strip() + b"}")
    assert world.folders() == set()


def test_a_manifest_without_its_hour_is_not_explained_away(world: World) -> None:
    world.seal(200, lines(1))
    world.seal(201, b"", sha256="0" * 64)
    told = left(run(world))
    assert "there is no hour file" in told["04.jsonl"]
    assert "there is no hour file" in told["03.jsonl"]
    assert world.record() == []


def test_files_that_disagree_both_stay(world: World) -> None:
    for ago in (9, 200):
        world.put(world.hour(ago), lines(1))
        world.put(world.hour(ago, ".jsonl.gz"), pack(lines(2), ".gz"))
    world.put(world.hour(10, ".jsonl"), lines(1))
    world.put(world.hour(10, ".jsonl.gz"), pack(lines(1), ".gz")[:-9])
    before = world.files()
    assert len(left(run(world))) == 3
    assert world.files() == before


def test_a_file_in_use_on_windows_is_left_and_told(world: World) -> None:
    class Locked(FaultyDisk):
        def remove(self, path: Path) -> None:
            if path.suffix == ".jsonl":
                error = PermissionError(errno.EACCES, "The process cannot access the file", str(path))
                error.winerror = 32
                raise error
            super().remove(path)

    plain = world.put(world.hour(9), lines(1))
    assert "in use, left for the next run" in left(run(world, disk=Locked(0, full)))["03.jsonl"]
    assert plain.read_bytes() == lines(1)
    assert left(run(world)) == {}
    assert [path.name for path in plain.parent.iterdir()] == ["03.jsonl.gz"]


def test_links_and_foreign_files_are_never_touched(world: World, tmp_path: Path) -> None:
    outside = World(tmp_path / "outside")
    target = outside.put(outside.hour(300), lines(1))
    world.put(world.hour(0), lines(2))
    day = world.hour(200).parent
    for name in (
        "notes.txt",
        "1.jsonl",
        "24.jsonl",
        "04.jsonl.bz2",
        ".tmp-04-x",
        ".tmp-x-7",
        "04.torn",
        "05.JSONL.old",
    ):
        world.put(day / name, b"mine")
    (day / "06.jsonl").symlink_to(target)
    (day / "07.jsonl").mkdir()
    (day.parent / "2026-11-01").symlink_to(target.parent, target_is_directory=True)
    (day.parents[1] / "ETH-USDT-SWAP").symlink_to(target.parents[1], target_is_directory=True)
    world.put(world.root / "meta/okx/rejected/2020-01-01.jsonl", b"{}\n")
    world.put(world.root / "meta/okx/instruments/X.history.jsonl", b"{}\n")
    world.put(world.root / "meta/retention/2020-01-01.jsonl", b'{"action":"deleted"}\n')
    world.put(world.root / "meta/okx/events/2020-01-01.jsonl", b"{}\n")
    before = world.files(), outside.files(), world.folders()
    assert run(world, policy("0s", "0s")).outcomes == []
    assert (world.files(), outside.files(), world.folders()) == before
    skipped = dict(make_plan(world.root, policy(), ns(NOW)).skipped)
    for link in ("2026-11-13/06.jsonl", "2026-11-01", "../ETH-USDT-SWAP"):
        assert skipped[Path(os.path.normpath(day.parent / link))] == "a symbolic link is not followed"
    assert skipped[day / "notes.txt"] == "no file of the archive"
    assert stat.S_ISLNK((day / "06.jsonl").lstat().st_mode)


def test_ledgers_and_tapes(world: World) -> None:
    for days in (0, 5, 6):
        world.put(world.ledger(days), lines(days))
    world.put(world.tape(200), lines(1))
    world.put(world.tape(200, suffix=".jsonl.zst").with_name("05-okx-2-r1.jsonl.zst"), pack(lines(1), ".zst"))
    world.put(world.tape(2), lines(2))
    run(world, policy("1h", "100h", ledger="5d"))
    assert sorted(world.files()) == [
        "meta/okx/events/2026-11-16.jsonl",
        "meta/okx/events/2026-11-21.jsonl",
        "tape/okx/2026-11-21/10-okx-1-r1.jsonl",
    ]
    run(world, policy("1h", "100h", ledger="5d"), NOW + timedelta(seconds=1))
    assert "tape/okx/2026-11-21/10-okx-1-r1.jsonl.gz" in world.files()


def test_empty_date_folders_go_and_no_others(world: World) -> None:
    for name in ("2026-11-19", "2026-11-21", "2026-11-22", "notes", "2026-02-30"):
        (world.hour(0).parents[1] / name).mkdir(parents=True)
    kept = world.put(world.hour(300, ".torn"), b"x").parent
    run(world)
    names = {path.name for path in world.hour(0).parents[1].iterdir()}
    assert names == {"2026-11-21", "2026-11-22", "notes", "2026-02-30", kept.name}


def test_an_empty_vault_and_a_far_future(world: World) -> None:
    world.root.mkdir()
    assert run(world, now=NOW.replace(year=9000)).outcomes == []


def test_a_clock_behind_the_files_does_nothing(world: World) -> None:
    world.put(world.hour(0), lines(1))
    before = world.files()
    assert run(world, policy("0s", "0s"), NOW.replace(year=2020)).outcomes == []
    assert world.files() == before


def test_threads_give_what_one_gives(tmp_path: Path) -> None:
    worlds = [World(tmp_path / name) for name in "ab"]
    for world, threads in zip(worlds, (1, 4), strict=True):
        for ago in (*range(8, 20), *range(200, 220)):
            world.put(world.hour(ago), lines(ago))
        assert left(run(world, threads=threads)) == {}
    assert worlds[0].files() == worlds[1].files()
    assert len(worlds[1].record()) == 32


def test_a_torn_record_is_cut_before_it_goes_on(world: World) -> None:
    record = world.put(world.root / "meta/retention/2026-11-21.jsonl", b'{"action":"x","path":"y"}\n{"action":"dele')
    world.put(world.hour(200), lines(1))
    assert left(run(world)) == {}
    assert [line["action"] for line in world.record()] == ["x", "deleted"]
    assert record.read_bytes().endswith(b"}\n")


def test_zstd_frames_without_a_length_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zst"
    packer = zstandard.ZstdCompressor().compressobj()
    path.write_bytes(packer.compress(lines(1)) + packer.flush())
    assert read_proof(quick(), path, lambda: None).content.lines == 40
