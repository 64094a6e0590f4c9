"""The job beside the programs it serves: readers read what it leaves, and a running writer loses nothing."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.hourfile import HourFiles
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.lock import VenueLock
from l2_exporter.archive.read import read_lines
from l2_exporter.cli.main import cli as exporter
from l2_exporter.core.records import BookSpec
from retention.policy import Codec
from tests.archive.samples import Sample, encode, lines, manifest
from tests.okx_frames import T0, snapshot
from tests.retention.running import left, policy, run
from tests.retention.vaults import World


def command(*arguments: object) -> str:
    result = CliRunner().invoke(exporter, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("codec", list(Codec))
def test_verify_and_show_read_what_is_left(tmp_path: Path, codec: Codec) -> None:
    sample = Sample(tmp_path / "v")
    sample.put(sample.manifest, encode([manifest(sample.hour.read_bytes(), lines())]))
    show = command("show", "BTC-USDT-SWAP", "--vault", sample.vault.root)
    assert left(run(World(sample.vault.root), policy(codec=codec), datetime(2026, 11, 26, 22, tzinfo=UTC))) == {}
    assert not sample.hour.exists()
    assert "5 lines, 0 defects" in command("verify", sample.vault.root)
    assert command("show", "BTC-USDT-SWAP", "--vault", sample.vault.root).splitlines()[1:] == show.splitlines()[1:]
    assert left(run(World(sample.vault.root), policy(), datetime(2026, 12, 26, tzinfo=UTC))) == {}
    assert "0 lines, 0 defects" in command("verify", sample.vault.root)


@pytest.mark.parametrize("codec", list(Codec))
def test_replay_reads_a_compressed_tape(tmp_path: Path, codec: Codec) -> None:
    world = World(tmp_path / "v")
    tape = {"dir": "in", "url": "wss://ws.okx.com:8443/ws/v5/public", "frame": snapshot(T0, 1)}
    world.put(world.tape(9), json.dumps(tape).encode() + b"\n")
    command("replay", world.tape(9), "--vault", tmp_path / "plain", "--venue", "okx")
    run(world, policy(codec=codec))
    packed = world.tape(9, suffix=f".jsonl{codec.suffix}")
    command("replay", packed, "--vault", tmp_path / "packed", "--venue", "okx")
    rebuilt = [sorted((tmp_path / name).rglob("raw/**/*.jsonl")) for name in ("plain", "packed")]
    assert [path.read_bytes() for path in rebuilt[0]] == [path.read_bytes() for path in rebuilt[1]] != []


SPEC = BookSpec("okx", "perp", "l2_perps", "books", "BTC-USDT-SWAP", 5, 3)
"""The book that the writers below write."""


def test_a_recorder_in_compressed_time_loses_no_line(tmp_path: Path) -> None:
    """A recorder writes three days, 10 lines an hour; the job runs at every turn of an hour, as eagerly as it may."""
    world, vault = World(tmp_path), Vault(tmp_path)
    start = datetime(2031, 1, 30, tzinfo=UTC)  # later than today: a file's time of change is today's
    with VenueLock(vault.lock_file("okx")):
        files = HourFiles(Disk(), vault, lambda _book: -1)
        for step in range(72 * 10):
            moment = start + step * timedelta(minutes=6)
            at_ns = int(moment.timestamp()) * 10**9
            file = files.get(SPEC, at_ns // 3_600_000_000_000)
            assert file.takes_lines
            file.append(json.dumps({"n": step}).encode() + b"\n", (at_ns, 0))
            if step % 10 == 5:
                assert left(run(world, policy("2h", "never"), moment)) == {}
        files.close()
    stored = [
        json.loads(line)["n"] for path in sorted(world.root.rglob("raw/**/*.jsonl*")) for line in read_lines(path)
    ]
    assert stored == list(range(720))
    assert len(list(world.root.rglob("*.gz"))) == 69


WRITER = """
import sys
from pathlib import Path
from l2_exporter.archive.lock import VenueLock
with VenueLock(Path(sys.argv[1])), open(sys.argv[2], "ab", buffering=0) as file:
    file.write(b'{"n":0}\\n')
    print("open", flush=True)
    sys.stdin.readline()
    file.write(b'{"n":1}\\n')
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files of others are known from /proc only")
def test_an_old_hour_that_a_replay_is_writing_is_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    for ago in (9, 200):
        path = world.put(world.hour(ago), b"")
        arguments = [sys.executable, "-c", WRITER, str(Vault(tmp_path).lock_file("okx")), str(path)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as replay:
            assert replay.stdout is not None
            assert replay.stdout.readline() == "open\n"
            assert "is being written" in left(run(world))[path.name]
            replay.communicate("\n")
        assert [line["n"] for line in map(json.loads, read_lines(path))] == [0, 1]
        assert left(run(world)) == {}
        assert not path.exists()


REPLAY = """
import sys
from pathlib import Path
from l2_exporter.archive.lock import VenueLock
with VenueLock(Path(sys.argv[1])):
    for number in range(2):
        with open(sys.argv[2], "ab") as file:
            file.write(b'{"n":%d}\\n' % number)
        print("closed", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("ago", [9, 200])
def test_an_old_hour_that_a_replay_comes_back_to_is_left(tmp_path: Path, ago: int) -> None:
    """It has closed the file, as it does when it works on more books than it may have files open."""
    world = World(tmp_path)
    path = world.put(world.hour(ago), b"")
    arguments = [sys.executable, "-c", REPLAY, str(Vault(tmp_path).lock_file("okx")), str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as replay:
        assert replay.stdout is not None
        assert replay.stdout.readline() == "closed\n"
        assert "is being written" in left(run(world))[path.name]
        replay.communicate("\n\n")
    assert [line["n"] for line in map(json.loads, read_lines(path))] == [0, 1]
    assert left(run(world)) == {}
    assert not path.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files of others are known from /proc only")
def test_a_lock_that_nobody_holds_any_more_holds_nothing_up(tmp_path: Path) -> None:
    """The process whose id stands in the lock's file runs, and is another one by now."""
    world = World(tmp_path)
    world.put(world.hour(9), b'{"n":0}\n')
    world.put(Vault(tmp_path).lock_file("okx"), f"{os.getppid()}\n".encode())
    assert left(run(world)) == {}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files of others are known from /proc only")
def test_an_hour_that_is_only_kept_open_is_not_held_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.put(world.hour(9), b'{"n":0}\n')
    os.utime(path, (1, 1))
    with VenueLock(Vault(tmp_path).lock_file("okx")), path.open("ab"):
        assert left(run(world)) == {}
