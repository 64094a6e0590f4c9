"""Every call to the disk fails once, by an error and by kill -9: nothing is lost, and the next run converges."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.retention.faulty import FaultyDisk, full, refused
from tests.retention.running import left, policy, run
from tests.retention.vaults import Mixed, World, lines, pack, unpack

ROOT = Path(__file__).resolve().parents[2]


def settled(world: World) -> tuple[dict[str, bytes], set[str], set[tuple[str, ...]]]:
    """Tell the state of a vault that matters: files, date folders, and what the record says, each once."""
    said = {tuple(str(line[key]) for key in ("action", "path", "sha256", "stored_path")) for line in world.record()}
    return world.files(), world.folders(), said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], set[str], set[tuple[str, ...]]]:
    world = Mixed(tmp_path_factory.mktemp("calm") / "v").build()
    assert left(run(world)) == {}
    world.check()
    return settled(world)


def test_the_undisturbed_run_does_all_there_is_to_do(tmp_path: Path) -> None:
    world = Mixed(tmp_path).build()
    sealed = world.hour(200, ".manifest.json").read_text()
    assert left(run(world)) == {}
    names = {Path(name).name for name in world.files()}
    assert names == {
        "12.jsonl",
        "04.jsonl.gz",
        "04.manifest.json",
        "03.jsonl.gz",
        "02.jsonl.zst",
        "03-okx-1-r1.jsonl.gz",
    }
    assert all(unpack(next(world.root.rglob(Path(name).name))) for name in names - {"04.manifest.json"})
    buried = [line for line in world.record() if line["action"] == "deleted"]
    assert len(buried) == 5  # one hour stood in two files
    assert sealed.strip() in {
        text
        for line in (world.root / "meta/retention/2026-11-21.jsonl").read_text().splitlines()
        for text in [line[line.index('"manifest":') + len('"manifest":') : -1]]
    }
    before = settled(world)
    assert run(world).outcomes == []
    assert settled(world) == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_every_call_fails_once(tmp_path: Path, undisturbed: object, code: int) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        world = Mixed(tmp_path / str(at)).build()
        disk = FaultyDisk(at, refused(code))
        run(world, disk=disk)
        calls = len(disk.calls)
        where = f"call {at}, {disk.calls[at - 1]}"
        world.check()
        assert not list(world.root.rglob(f".tmp-*-{os.getpid()}")) or disk.calls[at - 1] == "remove", where
        run(world)
        world.check()
        assert settled(world) == undisturbed, where
        shutil.rmtree(world.root)
    assert at > 100


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")
def test_killed_at_every_call(tmp_path: Path, undisturbed: object) -> None:
    template = Mixed(tmp_path / "template").build()
    command = [sys.executable, "-m", "tests.retention.killing", str(template.root), str(tmp_path / "killed")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    copies = sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name))
    assert len(copies) > 100
    for copy in copies:
        world = Mixed(copy)
        for name in ("kept", "doomed"):
            setattr(
                world,
                name,
                {copy / path.relative_to(template.root): data for path, data in getattr(template, name).items()},
            )
        world.check()
        assert left(run(world)) == {}, copy.name
        world.check()
        assert settled(world) == undisturbed, copy.name
        assert len(world.record()) == len(settled(world)[2]), "a line stands twice"
        shutil.rmtree(copy)


def test_a_disk_that_stays_full_loses_nothing_and_is_told(tmp_path: Path) -> None:
    class Full(FaultyDisk):
        def write(self, fd: int, data: bytes) -> None:
            full("write")

    world = Mixed(tmp_path).build()
    result = run(world, disk=Full(0, full))
    assert "No space left" in left(result)["04.jsonl"]
    assert not list(world.root.rglob(f".tmp-*-{os.getpid()}"))
    world.check()


def test_the_reserve_lets_a_full_disk_be_emptied(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(world.hour(0), lines(0))
    run(world)
    reserve = tmp_path / "meta" / "retention" / ".reserve"
    assert reserve.stat().st_size > 100_000

    class Full(FaultyDisk):
        def write(self, fd: int, data: bytes) -> None:
            if reserve.exists():
                full("write")
            super().write(fd, data)

    gone = world.put(world.hour(300, ".jsonl.gz"), pack(lines(1), ".gz"))
    assert left(run(world, disk=Full(0, full))) == {}
    assert not gone.exists()
    assert [line["action"] for line in world.record()] == ["deleted"]


def test_output_that_the_disk_spoilt_is_found_before_the_source_goes(tmp_path: Path) -> None:
    class Spoiling(FaultyDisk):
        def write(self, fd: int, data: bytes) -> None:
            spoilt = bytearray(data)
            if len(spoilt) > 100 and data[:2] != b'{"':
                spoilt[len(spoilt) // 2] ^= 1
            super().write(fd, bytes(spoilt))

    for codec in policy().codec.__class__:
        world = World(tmp_path / codec)
        data = lines(1, 400)
        plain = world.put(world.hour(9), data)
        result = run(world, policy(codec=codec), disk=Spoiling(0, full))
        assert left(result).keys() == {"03.jsonl"}
        assert plain.read_bytes() == data
        assert [path.name for path in plain.parent.iterdir()] == ["03.jsonl"]
        assert world.record() == []


def test_output_that_is_sound_but_of_other_lines_is_found(tmp_path: Path) -> None:
    class Mixing(FaultyDisk):
        def fsync(self, fd: int) -> None:
            for tmp in tmp_path.rglob(f".tmp-*-{os.getpid()}"):
                tmp.write_bytes(pack(lines(2), ".gz"))

    world = World(tmp_path)
    plain = world.put(world.hour(9), lines(1))
    assert "digest" in left(run(world, disk=Mixing(0, full)))["03.jsonl"]
    assert plain.read_bytes() == lines(1)
    assert [path.name for path in plain.parent.iterdir()] == ["03.jsonl"]
