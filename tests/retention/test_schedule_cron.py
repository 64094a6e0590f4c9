"""Crontab lines as both kinds of cron hand them to the shell, read by shlex and run by /bin/sh itself."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from retention.errors import ConfigError
from retention.schedule import Role, Setup
from retention.schedule_cron import documents
from tests.retention.paths import ROLES, setup, setups, started

WHEN = ("@reboot", "*/5 * * * *", "17 * * * *")
SILENT = [">/dev/null", "2>&1"]


def vixie(command: str) -> str:
    """Read a command as do_command.c of Vixie cron 4 and its descendants, which take a backslash from `\\%`, `\\\\`."""
    handed, letters = "", iter(command)
    for letter in letters:
        if letter == "\\":
            following = next(letters)
            handed += following if following in "%\\" else letter + following
        else:
            assert letter != "%"  # what follows would be input, not command
            handed += letter
    return handed


def busybox(command: str) -> str:
    """Read a command as busybox does, which knows no percent sign."""
    return command


BOTH = pytest.mark.parametrize("cron", [vixie, busybox])
Cron = Callable[[str], str]


def commands(made: Setup, *roles: Role) -> list[str]:
    """Read a crontab by crontab(5): comments, settings, and entries, whose times are checked."""
    (document,) = documents(made, roles or ROLES)
    assert document.data == document.text.encode()
    lines = [line for line in document.text.split("\n") if line and not line.startswith("#")]
    assert document.text.endswith("\n")
    assert lines.pop(0) == "SHELL=/bin/sh"
    times = {Role.RECORDER: WHEN[:2], Role.RETENTION: WHEN[2:]}
    expected = [when for role in roles or ROLES for when in times[role]]
    assert all(line.startswith(f"{when} ") for line, when in zip(lines, expected, strict=True))
    return [line.removeprefix(f"{when} ") for line, when in zip(lines, expected, strict=True)]


def test_the_whole_text_of_plain_paths() -> None:
    (document,) = documents(setup(), ROLES)
    python = "/opt/l2/bin/python -X utf8 -P -m"
    assert [line for line in document.text.splitlines() if line[0] != "#"] == [
        "SHELL=/bin/sh",
        f"@reboot cd /srv/l2 && exec {python} l2_exporter record >/dev/null",
        f"*/5 * * * * cd /srv/l2 && {{ {python} l2_exporter status --vault /srv/l2/vault >/dev/null 2>&1 "
        f"|| exec {python} l2_exporter record >/dev/null 2>&1; }}",
        f"17 * * * * cd /srv/l2 && {python} retention run >/dev/null "
        '|| echo "l2-retention ended with exit code $?: see meta/logs/l2_retention.log in the vault"',
    ]
    assert {"#   crontab -e", "#   crontab -l"} <= set(document.text.splitlines())


@pytest.mark.parametrize("role", ROLES)
def test_one_role_alone(role: Role) -> None:
    assert len(commands(setup(), role)) == {Role.RECORDER: 2, Role.RETENTION: 1}[role]


@BOTH
@given(made=setups())
def test_every_path_comes_back(cron: Cron, made: Setup) -> None:
    record = started(made, "l2_exporter", "record", *made.options)
    status = started(made, "l2_exporter", "status", "--vault", made.vault)
    boot, watch, hourly = (shlex.split(cron(command)) for command in commands(made))
    assert boot == ["cd", made.folder, "&&", "exec", *record, ">/dev/null"]
    assert watch[:-2] == ["cd", made.folder, "&&", "{", *status, *SILENT, "||", "exec", *record, SILENT[0]]
    assert watch[-2:] == ["2>&1;", "}"]
    assert hourly[:3] == ["cd", made.folder, "&&"]
    assert hourly[3:-2] == [*started(made, "retention", "run", *made.options), ">/dev/null", "||"]


def test_a_command_that_cron_would_cut_is_refused() -> None:
    made = setup(vault="/" + "v" * 800)
    longest = max(len(command.encode()) for command in commands(made))
    fits = setup(vault="/" + "v" * (800 + 998 - longest))
    assert max(len(command.encode()) for command in commands(fits)) == 998
    with pytest.raises(ConfigError, match="999 bytes; cron takes 998 at most"):
        documents(setup(vault=fits.vault + "v"), ROLES)
    assert len(commands(setup(vault=fits.vault + "v"), Role.RETENTION)) == 1


# Notes each call; says that no recorder runs; lets retention end with 5.
PYTHON = """\
#!/bin/sh
{ pwd; for argument; do printf '%s\\n' "$argument"; done; echo; } >>"${0%/*}/calls"
echo chatter
echo trouble >&2
case $6 in status) exit 1 ;; run) exit 5 ;; esac
"""

NAMES = (
    'it\'s 100% "so" & <ä> $HOME `x` ; # *',
    "\\\\server\\%TEMP%\\\\%\\",
    "-n !! {a,b} ~ | (c) [d] ^ 漢😀",
)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")
@pytest.mark.parametrize("name", NAMES)
@BOTH
def test_the_shell_starts_what_is_meant(tmp_path: Path, name: str, cron: Cron) -> None:
    place = tmp_path / name
    place.mkdir()
    python = place / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    config, vault = str(place / "l2.toml"), str(place / "vault")
    made = setup(str(python), str(place), vault, options=("--config", config, "--vault", vault))
    told = []
    for command in commands(made):
        ended = subprocess.run(
            ["/bin/sh", "-c", cron(command)], cwd="/", env={}, capture_output=True, encoding="utf-8", check=False
        )
        told.append((ended.returncode, ended.stdout, ended.stderr))
    said = "l2-retention ended with exit code 5: see meta/logs/l2_retention.log in the vault\n"
    assert told == [(0, "", "trouble\n"), (0, "", ""), (0, said, "trouble\n")]
    record = started(made, "l2_exporter", "record", *made.options)
    status = started(made, "l2_exporter", "status", "--vault", vault)
    run = started(made, "retention", "run", *made.options)
    assert re.split(r"\n\n", (place / "calls").read_text(encoding="utf-8")) == [
        *("\n".join([str(place), *command[1:]]) for command in (record, status, record, run)),
        "",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /bin/sh")
def test_nothing_is_started_in_another_folder(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    for command in commands(setup(str(python), str(tmp_path / "gone"))):
        subprocess.run(["/bin/sh", "-c", command], cwd="/", env={}, capture_output=True, check=False)
    assert not (tmp_path / "calls").exists()
