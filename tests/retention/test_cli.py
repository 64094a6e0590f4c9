"""The program: what it prints, its exit codes, and that it keeps to itself."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time

from retention import cli as program
from retention import errors, lock
from retention.cli import cli, main
from tests.retention.vaults import World, lines, pack

NOW = "2026-11-21T12:00:00Z"


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program.processes, "lower_priority", lambda: None)
    for name in ("L2_VAULT", "L2_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "vault")
    made.put(made.hour(0), lines(0))
    made.put(made.hour(9), lines(1))
    made.put(made.hour(200, ".jsonl.gz"), pack(lines(2), ".gz"))
    return made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["run", *map(str, arguments)])


def test_a_run_and_a_second_one(world: World) -> None:
    result = run("--now", NOW)
    assert result.exit_code == 0, result.output
    first, deleted, compressed, summary = result.stdout.splitlines()
    assert first == f"vault: {world.root}"
    assert deleted.startswith("deleted raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-13/04.jsonl.gz ")
    assert compressed.startswith("compressed raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/03.jsonl ")
    assert summary.startswith("1 compressed, 1 deleted, 0 leftovers and 1 empty folders removed, 0 left; ")
    log = (world.root / "meta/logs/l2_retention.log").read_text().splitlines()
    assert len(log) == 3
    before = world.files().keys(), world.record()
    assert run("--now", NOW).exit_code == 0
    assert (world.files().keys(), world.record()) == before


def test_the_clock_is_the_default_now(world: World) -> None:
    with freeze_time("2026-11-21T09:59:59Z"):
        assert "0 compressed" in run("--delete-after", "never").stdout
    with freeze_time("2026-11-21T10:00:00Z"):
        assert "1 compressed" in run("--delete-after", "never").stdout


def test_a_dry_run_changes_nothing_and_tells_sizes(world: World) -> None:
    before = sorted(world.root.rglob("*")), world.files()
    result = run("--now", NOW, "--dry-run")
    assert result.exit_code == 0
    size = f"{world.hour(9).stat().st_size / 1000:.1f} kB"
    assert (
        f"compress raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/03.jsonl {size}: hour ended 8 h 0 min ago" in result.stdout
    )
    assert "nothing was changed; 2 actions would free " in result.stdout
    told = json.loads(run("--now", NOW, "--dry-run", "--json").stdout)
    assert [action["action"] for action in told["actions"]] == ["delete", "compress"]
    assert told["would_free_bytes"] == world.hour(200, ".jsonl.gz").stat().st_size
    assert (sorted(world.root.rglob("*")), world.files()) == before


def test_json(world: World) -> None:
    world.put(world.hour(10), b"torn")
    (world.hour(0).parent / "notes.txt").write_text("x")
    result = run("--now", NOW, "--json", "--codec", "zstd", "--jobs", "3")
    assert result.exit_code == 1
    assert result.stderr == f"vault: {world.root}\n"
    told = json.loads(result.stdout)
    assert [(one["action"], one["result"]) for one in told["actions"]] == [
        ("delete", "deleted"),
        ("compress", "left"),
        ("compress", "compressed"),
    ]
    assert [one["path"].rpartition("/")[2] for one in told["left"]] == ["02.jsonl"]
    assert [one["path"].rpartition("/")[2] for one in told["skipped"]] == ["notes.txt"]
    assert told["dry_run"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vault", "gone"], "there is no vault"),
        (["--now", "noon"], "--now must be a time"),
        (["--now", "1969-01-01"], "--now must be a time"),
        (["--compress-after", "6"], "--compress-after must be a time"),
        (["--codec", "gzi"], "did you mean `gzip`?"),
        (["--level", "10"], "--level must be a whole number from 1 to 9 for gzip"),
        (["--config", "gone.toml"], "no such file"),
        (["--jobs", "0"], "--jobs"),
        (["--compres-after", "1h"], "--compress-after"),
    ],
)
def test_mistakes_of_the_user(world: World, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_zstd_that_is_not_installed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    result = run("--codec", "zstd", "--now", NOW)
    assert result.exit_code == 2
    assert "install l2-exporter[zstd]" in result.stderr
    packed = world.put(world.hour(201, ".jsonl.zst"), b"(\xb5/\xfd")
    result = run("--now", NOW)
    assert result.exit_code == 1
    assert "install l2-exporter[zstd]" in result.stdout
    assert packed.exists()


def test_a_folder_that_is_no_vault_stays_untouched(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert run("--vault", "photos").exit_code == 0
    assert list((tmp_path / "photos").iterdir()) == []


HOLDER = """
import sys
from pathlib import Path
from retention.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_job_is_refused_and_one_that_died_holds_nothing(world: World) -> None:
    path = world.root / "meta/retention/.lock"
    before = world.files()
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        result = run("--now", NOW)
        assert result.exit_code == 4
        assert f"process {other.pid}" in result.stderr
        assert world.files() == before
        other.kill()
    assert run("--now", NOW).exit_code == 0


def test_a_vault_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(world.root / "meta" / "retention", b"a file where a folder should be")
    result = run("--now", NOW)
    assert result.exit_code == 5
    assert "cannot be written" in result.stderr
    assert world.hour(9).exists()


def test_a_bug_is_reported_shortly(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(program, "make_plan", broken)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--now", NOW])
    assert ended.value.code == 70
    told = capsys.readouterr().err
    assert "bug: RuntimeError: surprise" in told
    assert "Traceback" not in told


def test_help_has_an_example() -> None:
    assert "l2-retention run --dry-run" in CliRunner().invoke(cli, ["run", "--help"]).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a signal that Windows does not have")
def test_sigterm_stops_cleanly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "vault")
    for ago in range(9, 24):
        world.put(world.hour(ago), lines(ago, 8_000))
    command = [sys.executable, "-m", "retention", "run", "--now", NOW, "--vault", str(world.root), "--level", "9"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(
        [*command, "--jobs", "1"], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as job:
        assert job.stdout is not None
        deadline = time.monotonic() + 30
        while not list(world.root.rglob("*.gz")) and time.monotonic() < deadline:
            assert job.poll() is None
        job.send_signal(signal.SIGTERM)
        told, _ = job.communicate(timeout=30)
    assert job.returncode == 0
    assert "; stopped with " in told.splitlines()[-1]
    assert not list(world.root.rglob(".tmp-*"))
    assert run("--now", NOW).exit_code == 0
    assert len(list(world.root.rglob("*.gz"))) == 15


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
def test_names_of_foreign_files_are_shown_on_one_line(world: World) -> None:
    folder = os.fsencode(world.hour(0).parent)
    for name in (b"\xff.jsonl", b"a\nleft b", b"\x1b[31mred", "\u2603".encode()):
        Path(os.fsdecode(folder + b"/" + name)).touch()
    result = run("--now", NOW)
    assert result.exit_code == 0
    shown = [line.rpartition("/")[2].partition(": ")[0] for line in result.stdout.splitlines() if "note:" in line]
    assert shown == [r"\x1b[31mred", r"a\nleft b", r"\u2603", r"\udcff.jsonl"]
    assert json.loads(run("--now", NOW, "--json").stdout)["skipped"][1]["path"].endswith("/a\nleft b")


def test_a_disk_too_full_for_the_lock_to_say_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / ".lock"
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with lock.held(path), pytest.raises(errors.BusyError, match="process unknown"), lock.held(path):
            pass


def test_the_lock_leaves_its_file(tmp_path: Path) -> None:
    with lock.held(tmp_path / "x" / ".lock"):
        pass
    assert (tmp_path / "x" / ".lock").read_text() == f"{os.getpid()}\n"
