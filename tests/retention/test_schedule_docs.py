"""docs/OPERATIONS.md shows what `l2-retention schedule` prints for the paths it uses."""

import re
from pathlib import Path

from retention import schedule_cron, schedule_systemd, schedule_windows
from retention.schedule import Role
from tests.retention.paths import ROLES, setup

PAGE = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LINUX = setup("/opt/l2-exporter/.venv/bin/python", options=("--config", "/srv/l2/l2.toml"))


def test_its_unit_is_the_one_that_is_printed() -> None:
    (unit,) = schedule_systemd.documents(LINUX, [Role.RECORDER])
    assert [text for kind, text in BLOCKS if kind == "ini"] == [unit.text]


def test_its_crontab_is_the_one_that_is_printed() -> None:
    (lines,) = schedule_cron.documents(LINUX, ROLES)
    assert [text for kind, text in BLOCKS if "SHELL=" in text] == [lines.text]


def test_its_commands_are_those_that_the_definitions_name() -> None:
    units = schedule_systemd.documents(LINUX, ROLES)
    bash = "".join(text for kind, text in BLOCKS if kind == "bash")
    enabled = [command.split()[-1] for unit in units for command in unit.commands if " enable " in command]
    assert f"systemctl enable --now {' '.join(dict.fromkeys(enabled))}\n" in bash
    tasks = schedule_windows.documents(setup(user="DESK\\max"), ROLES)
    (bat,) = (text for kind, text in BLOCKS if kind == "bat" and "schtasks" in text)
    assert bat.splitlines()[2:] == [command for task in tasks for command in task.commands]
