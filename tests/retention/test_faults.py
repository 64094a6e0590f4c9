"""Every call to the disk fails once, by an error and by kill -9: nothing is lost, and the next run converges."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.retention.faulty import CALLS, FaultyDisk, full, refused
from tests.retention.running import left, name_of, policy, run, run_all
from tests.retention.vaults import Mixed, World, lines, pack

ROOT = Path(__file__).resolve().parents[2]


def settled(world: World) -> tuple[dict[str, bytes], set[str], set[tuple[str, ...]]]:
    """Tell the state of a vault that matters: files, date folders, and what the record says, each once."""
    said = {tuple(str(line[key]) for key in ("action", "path", "sha256", "stored_path")) for line in world.record()}
    return world.files(), world.folders(), said


Settled = tuple[dict[str, bytes], set[str], set[tuple[str, ...]]]
SUFFIXES = (".gz", ".zst")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Settled]:
    """What a run leaves that nothing disturbs, by the suffix of compressed files."""
    found = {}
    for suffix in SUFFIXES:
        world = Mixed(tmp_path_factory.mktemp("calm") / "v", suffix).build()
        assert left(run_all(world)) == {}
        world.check()
        found[suffix] = settled(world)
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_undisturbed_run_does_all_there_is_to_do(tmp_path: Path, suffix: str) -> None:
    """Every kind of action is in it: the tests below break each of its calls."""
    world = Mixed(tmp_path, suffix).build()
    sealed = world.hour(200, ".manifest.json").read_text()
    result = run_all(world)
    assert left(result) == {}
    done = sorted((str(outcome.action.kind), name_of(outcome)) for outcome in result.outcomes)
    assert done == [
        ("compress", "03-okx-1-r1.jsonl"),
        ("compress", "04.jsonl"),
        ("delete", "01.jsonl"),  # a manifest alone
        ("delete", "02.jsonl"),  # in two files
        ("delete", "03.jsonl"),  # plain
        ("delete", "04-okx-1-r1.jsonl"),
        ("delete", "04.jsonl"),  # compressed, with its manifest
        ("delete", "2026-11-12.jsonl"),
        ("finish", "03.jsonl"),
        ("sweep", ".tmp-01-999999999"),
    ]
    other = SUFFIXES[suffix == ".gz"]
    names = {path.removeprefix("raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/") for path in world.files()}
    assert names == {
        "12.jsonl",
        f"04.jsonl{suffix}",
        "04.manifest.json",
        f"03.jsonl{suffix}",
        f"02.jsonl{other}",
        f"tape/okx/2026-11-21/03-okx-1-r1.jsonl{suffix}",
        "meta/okx/events/2026-11-20.jsonl",
    }
    world.check()
    buried = [line for line in world.record() if line["action"] == "deleted"]
    assert len(buried) == 7  # one hour stood in two files
    assert sealed.strip() in {
        text
        for line in (world.root / "meta/retention/2026-11-21.jsonl").read_text().splitlines()
        for text in [line[line.index('"manifest":') + len('"manifest":') : -1]]
    }
    before = settled(world)
    assert run_all(world).outcomes == []
    assert settled(world) == before


@pytest.mark.parametrize(
    ("code", "suffix"), [(errno.ENOSPC, ".gz"), (errno.EIO, ".gz"), (errno.EACCES, ".gz"), (errno.EIO, ".zst")]
)
def test_every_call_fails_once(tmp_path: Path, undisturbed: dict[str, Settled], code: int, suffix: str) -> None:
    at, calls = 0, 1
    seen = set()
    while at < calls:
        at += 1
        world = Mixed(tmp_path / str(at), suffix).build()
        disk = FaultyDisk(at, refused(code))
        run_all(world, disk)
        calls = len(disk.calls)
        where = f"call {at}, {disk.calls[at - 1]}"
        seen.add(disk.calls[at - 1])
        world.check()
        assert not list(world.root.rglob(f".tmp-*-{os.getpid()}")) or disk.calls[at - 1] == "remove", where
        run_all(world)
        world.check()
        assert settled(world) == undisturbed[suffix], where
        shutil.rmtree(world.root)
    assert seen == {*CALLS}


def test_two_calls_fail_in_two_runs(tmp_path: Path, undisturbed: dict[str, Settled]) -> None:
    """The run that mends meets a fault itself; a hundred pairs of places, always the same ones."""
    chosen = Random(1)
    for number in range(100):
        suffix = SUFFIXES[number % 2]
        world = Mixed(tmp_path / str(number), suffix).build()
        for _ in range(2):
            run_all(world, FaultyDisk(chosen.randint(1, 170), refused(chosen.choice((errno.EIO, errno.ENOSPC)))))
            world.check()
        run_all(world)
        assert settled(world) == undisturbed[suffix], number
        shutil.rmtree(world.root)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_at_every_call(tmp_path: Path, undisturbed: dict[str, Settled], suffix: str) -> None:
    template = Mixed(tmp_path / "template", suffix).build()
    command = [sys.executable, "-m", "tests.retention.killing", str(template.root), str(tmp_path / "killed"), suffix]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    copies = sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name))
    assert len(copies) > 150
    for copy in copies:
        world = Mixed(copy, suffix)
        for name in ("kept", "doomed"):
            setattr(
                world,
                name,
                {copy / path.relative_to(template.root): data for path, data in getattr(template, name).items()},
            )
        world.check()
        assert left(run_all(world)) == {}, copy.name
        world.check()
        assert settled(world) == undisturbed[suffix], copy.name
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


def test_without_room_for_the_record_nothing_goes_and_the_user_is_told_what_to_do(tmp_path: Path) -> None:
    """The first run there ever was, on a disk that is full to the last byte: there is no reserve yet."""
    world = Mixed(tmp_path).build()

    class Full(FaultyDisk):
        def write(self, fd: int, data: bytes) -> None:
            full("write")

    before = world.files()
    result = run_all(world, Full(0, full))
    assert "free 1 MB of it by hand" in left(result)["03.jsonl"]
    swept = {str(tmp.relative_to(tmp_path)) for tmp in [world.hour(11).with_name(".tmp-01-999999999")]}
    assert before.keys() - world.files().keys() == swept  # what needs no record makes room
    world.check()


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
