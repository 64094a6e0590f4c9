"""The command `schedule`: what it takes from flags, environment and l2.toml, and that what it prints works."""

import os
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retention import schedule_command
from retention.cli import cli
from tests.retention.vaults import World, lines

SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
SCHEDULERS = ("windows", "systemd", "cron")
UNITS = ("l2-recorder.service", "l2-retention.service", "l2-retention.timer")
NEVER = "[retention]\ncompress_after = 'never'\ndelete_after = 'never'\n"
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh, and paths cannot be such")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("L2_VAULT", "L2_CONFIG", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def schedule(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["schedule", *map(str, arguments)])


def printed(scheduler: str, *arguments: object) -> str:
    result = schedule("--print", scheduler, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def values(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def commands(*arguments: object) -> list[list[str]]:
    """Tell what systemd starts with plain paths: the recorder and the retention job."""
    return [shlex.split(value) for value in values(printed("systemd", *arguments), "ExecStart")]


def check(options: list[str], *arguments: object) -> None:
    python = [sys.executable, "-X", "utf8", "-P", "-m"]
    assert commands(*arguments) == [
        [*python, "l2_exporter", "record", *options],
        [*python, "retention", "run", *options],
    ]


def test_what_says_where_the_vault_is_now_says_it_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check([])
    assert values(printed("systemd"), "WorkingDirectory") == [str(folder)] * 2
    check(["--vault", str(folder / "d")], "--vault", "d")
    config = folder / "etc" / "mine.toml"
    config.parent.mkdir()
    config.write_text("vault = 'there'\n", encoding="utf-8")
    check(["--config", str(config)], "--config", "etc/../etc/mine.toml")
    monkeypatch.setenv("L2_CONFIG", "etc/mine.toml")
    check(["--config", str(config)])
    monkeypatch.setenv("L2_VAULT", "e")
    check(["--config", str(config), "--vault", str(folder / "e")])
    text = printed("systemd")
    assert values(text, "WorkingDirectory") == [str(config.parent)] * 2
    assert values(text, "RequiresMountsFor") == [f'"{folder / "e"}"'] * 2


def test_an_l2_toml_in_the_working_folder_is_named(folder: Path) -> None:
    (folder / "l2.toml").write_text("vault = 'deep/down'\n", encoding="utf-8")
    check(["--config", str(folder / "l2.toml")])
    result = schedule("--print", "cron")
    assert f"status --vault {folder / 'deep' / 'down'} " in result.stdout
    assert result.stderr.splitlines()[0] == f"vault: {folder / 'deep' / 'down'}"


@pytest.mark.parametrize(
    ("scheduler", "recorder", "retention"),
    [
        ("windows", "L2 recorder", "L2 retention"),
        ("systemd", "l2-recorder.service", "l2-retention.timer"),
        ("cron", "l2_exporter record", "retention run"),
    ],
)
def test_for_one_program_alone(scheduler: str, recorder: str, retention: str) -> None:
    both = printed(scheduler)
    assert recorder in both
    assert retention in both
    alone = printed(scheduler, "--for", "recorder")
    assert (recorder in alone, retention in alone) == (True, False)
    alone = printed(scheduler, "--for", "retention")
    assert (recorder in alone, retention in alone) == (False, True)


def test_two_tasks_printed_are_two_documents() -> None:
    recorder, retention = printed("windows").split("\n\n<!-- Save as ")
    for text, module in ((recorder, "l2_exporter record"), (f"<!-- {retention}", "retention run")):
        arguments = ET.fromstring(text).findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}Arguments")
        assert arguments == f"-X utf8 -P -m {module}"


def test_a_task_file(folder: Path) -> None:
    result = schedule("--print", "windows", "--for", "recorder", "--user", "DESK\\Jörg", "--out", "mein é.xml")
    assert result.exit_code == 0
    path = folder / "mein é.xml"
    assert result.stdout.splitlines() == [
        f"vault: {folder / 'vault'}",
        f"wrote {path}",
        "as administrator, in that folder (the first asks for the password of the user):",
        '  schtasks /Create /TN "L2 recorder" /XML "mein é.xml" /RU "DESK\\Jörg" /RP *',
        '  schtasks /Run /TN "L2 recorder"',
    ]
    assert path.read_bytes().startswith(b"\xff\xfe")
    task = ET.parse(path).getroot()
    assert task.findtext(f"{SPACE}Principals/{SPACE}Principal/{SPACE}UserId") == "DESK\\Jörg"
    assert task.findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}WorkingDirectory") == str(folder)


def test_units_into_a_folder(folder: Path) -> None:
    (folder / "units").mkdir()
    (folder / "units" / UNITS[0]).write_text("what an earlier call wrote", encoding="utf-8")
    result = schedule("--print", "systemd", "--user", "l2", "--out", "units")
    assert result.exit_code == 0
    files = [folder / "units" / name for name in UNITS]
    assert result.stdout.splitlines() == [
        f"vault: {folder / 'vault'}",
        *(f"wrote {path}" for path in files),
        "when they are in /etc/systemd/system:",
        "  systemctl daemon-reload",
        "  systemctl enable --now l2-recorder.service",
        "  systemctl enable --now l2-retention.timer",
    ]
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert "\n".join(texts) == printed("systemd", "--user", "l2")
    assert values(texts[0], "User") == values(texts[1], "User") == ["l2"]


def test_a_crontab_file(folder: Path) -> None:
    assert schedule("--print", "cron", "--out", "mine").exit_code == 0
    assert (folder / "mine").read_text(encoding="utf-8") == printed("cron")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--print"),
        (["--print", "launchd"], "launchd"),
        (["--print", "cron", "--for", "recorders"], "recorders"),
        (["--print", "cron", "--user", "l2"], "the user whose crontab it is"),
        (["--print", "cron", "--config", "gone.toml"], "no such file"),
        (["--print", "cron", "--vault", ""], "--vault is empty"),
        (["--print", "cron", "--out", ""], "--out is empty"),
        (["--print", "windows", "--out", "x.xml"], "2 files: l2-recorder.xml, l2-retention.xml"),
        (["--print", "systemd", "--for", "retention", "--out", "x"], "2 files: l2-retention.service, l2-retention"),
        (["--print", "cron", "--out", "gone/x"], "cannot be written"),
        (["--print", "cron", "--vault", "a\nb"], "control character"),
        (["--print", "windows", "--vault", "%TEMP%"], "environment variable"),
        (["--print", "systemd", "--user", "a b"], "no user name that systemd takes"),
        (["--print", "windows", "--user", "a\tb"], "the user 'a\\tb' holds a character that no scheduler takes"),
    ],
)
def test_what_is_wrong_or_unclear_is_refused(folder: Path, arguments: list[str], said: str) -> None:
    result = schedule(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert list(folder.iterdir()) == []


@needs_posix
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["two\nlines", "\udcff", "\x7f"])
def test_a_folder_that_no_definition_can_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str, name: str
) -> None:
    broken = folder / name
    broken.mkdir()
    monkeypatch.chdir(broken)
    result = schedule("--print", scheduler, "--vault", "/v")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: the working folder '")
    assert result.stdout == ""


def test_retention_settings_that_would_fail_every_hour_are_refused_now(folder: Path) -> None:
    (folder / "l2.toml").write_text("[retention]\ncodec = 'rar'\n", encoding="utf-8")
    result = schedule("--print", "cron")
    assert result.exit_code == 2
    assert "codec must be one of gzip, zstd" in result.stderr


def test_help_has_an_example() -> None:
    assert "l2-retention schedule --print systemd\n" in CliRunner().invoke(cli, ["schedule", "--help"]).stdout
    assert "l2-retention schedule --print systemd\n" in CliRunner().invoke(cli, ["--help"]).stdout


@needs_posix
def test_whose_account_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "max")
    result = schedule("--print", "systemd")
    assert values(result.stdout, "User") == ["max", "max"]
    assert "run as root" not in result.stderr
    monkeypatch.delenv("SUDO_USER")
    result = schedule("--print", "systemd")
    assert values(result.stdout, "User") == ["root", "root"]
    assert "run as root" in result.stderr
    monkeypatch.setattr(os, "geteuid", lambda: 4_111_222_333)
    monkeypatch.setenv("SUDO_USER", "max")
    assert values(printed("systemd"), "User") == ["4111222333"] * 2


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_definition_for_another_system_comes_with_a_word(scheduler: str) -> None:
    foreign = (scheduler == "windows") != (sys.platform == "win32")
    assert (
        f"note: the paths and the user are those of this machine, which has no {scheduler}\n"
        in (schedule("--print", scheduler).stderr)
    ) is foreign


@needs_posix
def test_programs_that_a_scheduler_would_not_find_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(Path(schedule_command.__file__).parents[1]))
    monkeypatch.setattr(sys, "executable", str(python))
    result = schedule("--print", "cron")
    assert result.exit_code == 2
    assert f"{python} does not find l2_exporter and retention by itself: install them" in result.stderr
    monkeypatch.setattr(sys, "executable", "")
    result = schedule("--print", "cron")
    assert result.exit_code == 2
    assert "the path of Python '' is not known" in result.stderr


@needs_posix
def test_the_hourly_line_does_run_retention(tmp_path: Path) -> None:
    place = tmp_path / "it's 100% \\%"
    world = World(place / "vault")
    world.put(world.hour(0), lines(0))
    (place / "l2.toml").write_text(NEVER, encoding="utf-8")
    # In the way of every `python -m` without -P.
    (place / "click.py").write_text("raise SystemExit('the wrong click')\n", encoding="utf-8")
    text = printed("cron", "--for", "retention", "--config", place / "l2.toml")
    command = text.splitlines()[-1].removeprefix("17 * * * * ").replace("\\%", "%")
    ended = subprocess.run(["/bin/sh", "-c", command], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    log = (world.root / "meta" / "logs" / "l2_retention.log").read_text(encoding="utf-8").splitlines()
    assert len(log) == 1
    assert "0 compressed, 0 deleted, 0 leftovers and 0 empty folders removed, 0 left; " in log[0]


@needs_posix
def test_the_watch_line_starts_the_recorder_only_when_none_runs(tmp_path: Path) -> None:
    (tmp_path / "l2.toml").write_text("[record]\ninstruments = ['nowhere:X']\n", encoding="utf-8")
    line = next(line for line in printed("cron").splitlines() if line.startswith("*/5 "))
    heard = line.removeprefix("*/5 * * * * ").replace(">/dev/null 2>&1", "")
    ended = subprocess.run(["/bin/sh", "-c", heard], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no recorder has left a status in" in ended.stdout
    assert "nowhere" in ended.stderr
