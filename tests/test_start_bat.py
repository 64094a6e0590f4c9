"""start_l2.bat, which only Windows can run: what its text says, and its steps as a stand-in for cmd takes them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2_exporter.cli import main as program
from tests.tools.batch import Cmd

ROOT = Path(__file__).parents[1]
BAT = ROOT / "start_l2.bat"
LINES = BAT.read_bytes().decode("ascii").splitlines()
FOLDER = "C:\\Users\\A. User\\My & Co! (x86)^\\100% l2\\"
CLICK = f'C:\\Windows\\system32\\cmd.exe /c ""{FOLDER}start_l2.bat" "'
PROMPT = '"C:\\Windows\\system32\\cmd.exe" '
WAITS = {0: None, 2: None, 4: None, -1073741510: None, 3: 900, 5: 900, 1: 10, 70: 10, -1073741819: 10, 9009: 10}
"""Seconds until `record` starts again after an exit code; None: never. -1073741510 is Ctrl-C, -1073741819 a crash."""

RUN = '".venv\\Scripts\\python.exe" -m'
INSTALL = f"{RUN} pip install --disable-pip-version-check --quiet --editable"


# ---- the text -------------------------------------------------------------------------------------------------------


def test_every_line_ends_as_windows_wants_and_git_keeps_it_so() -> None:
    data = BAT.read_bytes()
    assert data.isascii()
    assert data.endswith(b"\r\n")
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n") == len(LINES)
    assert "*.bat text eol=crlf" in (ROOT / ".gitattributes").read_text().splitlines()


def test_it_begins_without_special_exclamation_marks_and_never_wants_them() -> None:
    assert LINES[:2] == ["@echo off", "setlocal EnableExtensions DisableDelayedExpansion"]
    assert [line for line in LINES if "delayedexpansion" in line.lower()] == LINES[1:2]
    assert "!" not in "".join(LINES)


def test_every_jump_has_its_label_and_every_label_a_way_to_it() -> None:
    labels = [line[1:] for line in LINES if line.startswith(":")]
    jumps = {match[1] for line in LINES for match in re.finditer(r"\bgoto (\w+)", line)}
    assert len(set(map(str.lower, labels))) == len(labels)
    assert jumps <= set(labels)
    assert set(labels) - jumps == set()


def test_it_avoids_what_fails_on_windows() -> None:
    code = [line for line in LINES if not line.startswith("rem ")]
    for trap in (r"\bshift\b", r"\btimeout\b", r"if (not )?errorlevel", r"\($", r"^\)", r"%[2-9]"):
        assert [line for line in code if re.search(trap, line, re.IGNORECASE)] == []
    assert [line for line in LINES if line.startswith("rem") and "%" in line] == []


@pytest.mark.parametrize("name", ["%~dp0", "%PY%", "%STAMP%", "%FIRST%", "%CHECK%", "%LINE", "%~1", "%SystemRoot%"])
def test_what_may_hold_spaces_and_ampersands_stands_in_quotes(name: str) -> None:
    places = [line[: match.start()] for line in LINES for match in re.finditer(re.escape(name), line)]
    assert places
    assert [before for before in places if before.count('"') % 2 == 0] == []


# ---- the steps ------------------------------------------------------------------------------------------------------


READY = ".venv\\Scripts\\python.exe"


def prepared(outcomes: dict[str, list[int]], *files: str, arguments: str = "status", click: bool = False) -> Cmd:
    """Run the file where there are only these files; programs end with exit code 0 unless told otherwise."""
    cmd = Cmd(LINES, arguments, outcomes, cmdcmdline=CLICK if click else PROMPT, folder=FOLDER, files=files)
    return cmd.run()


def started(arguments: str, codes: list[int], *, click: bool = False) -> Cmd:
    """Run the file where everything is installed; the program ends with these exit codes, one after the other."""
    module = {"retention": "retention", "test": "pytest"}.get(arguments.partition(" ")[0], "l2_exporter")
    return prepared({f"{RUN} {module}": codes}, READY, arguments=arguments, click=click)


def modules(cmd: Cmd) -> list[str]:
    """What was run with `python -m`."""
    return [line.removeprefix(f"{RUN} ") for line in cmd.ran if line.startswith(RUN)]


def pauses(cmd: Cmd) -> list[int]:
    """How long it waited between starts, in seconds."""
    return [int(match[1]) - 1 for line in cmd.ran if (match := re.search(r"ping\.exe\" -n (\d+) 127", line))]


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ("", "l2_exporter record "),
        ("record", "l2_exporter record"),
        ("-i okx:BTC-USDT --cadence 0.5", "l2_exporter record -i okx:BTC-USDT --cadence 0.5"),
        ('record --vault "D:\\My & Co\\a (b)"', 'l2_exporter record --vault "D:\\My & Co\\a (b)"'),
        (
            '--ws-url okx=ws://127.0.0.1:1/a,b --vault "v"',
            'l2_exporter record --ws-url okx=ws://127.0.0.1:1/a,b --vault "v"',
        ),
        ("demo --duration 5", "l2_exporter demo --duration 5"),
        ("status --max-age 30 --json", "l2_exporter status --max-age 30 --json"),
        ("retention", "retention run"),
        (
            'retention --vault "D:\\retention & more" --dry-run',
            'retention run --vault "D:\\retention & more" --dry-run',
        ),
        ("test", "pytest -n auto"),
        ("test -k test_settings", "pytest -n auto -k test_settings"),
    ],
)
def test_the_first_word_is_a_command_and_the_rest_is_passed_on(arguments: str, module: str) -> None:
    cmd = started(arguments, [0])
    assert modules(cmd) == [module]
    assert cmd.exit_code == 0


def test_another_word_is_refused() -> None:
    cmd = started("recrod --tape", [0])
    assert (cmd.ran, cmd.exit_code) == ([], 2)
    assert cmd.said[0].startswith(
        'There is no command "recrod". Use: start_l2.bat record, demo, status, retention or test'
    )


@pytest.mark.parametrize(("code", "wait"), WAITS.items())
def test_record_starts_again_by_its_exit_code(code: int, wait: int | None) -> None:
    cmd = started("record --tape", [code, 0])
    assert pauses(cmd) == ([] if wait is None else [wait])
    assert modules(cmd) == ["l2_exporter record --tape"] * (1 if wait is None else 2)
    assert cmd.exit_code == (code if wait is None else 0)


def test_record_starts_again_as_often_as_it_must() -> None:
    cmd = started("", [1, 3, 70, 2])
    assert (pauses(cmd), cmd.exit_code) == ([10, 900, 10], 2)


@pytest.mark.parametrize("arguments", ["demo", "status", "retention", "test"])
@pytest.mark.parametrize("code", WAITS)
def test_nothing_else_starts_again(arguments: str, code: int) -> None:
    cmd = started(arguments, [code])
    assert (pauses(cmd), len(modules(cmd)), cmd.exit_code) == ([], 1, code)


def exit_codes() -> Iterator[int]:
    return (code for name, code in vars(program).items() if name.startswith("EXIT_"))


def test_the_operations_page_has_the_same_table() -> None:
    page = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(-?\d+)` \|.*\| (never|after 10 s|after 15 min) \|$", page, re.MULTILINE)
    texts = {None: "never", 10: "after 10 s", 900: "after 15 min"}
    assert {int(code): text for code, text in rows} == {
        code: texts[WAITS[code]] for code in (0, *exit_codes(), -1073741510)
    }


# ---- the environment ------------------------------------------------------------------------------------------------


def test_the_first_start_makes_the_environment_and_installs() -> None:
    cmd = prepared({"fc ": [1]})
    assert [line.split(" -c ")[0] for line in cmd.ran] == [
        "py -3.11",
        "py -3.11 -m venv  .venv",
        'fc /b pyproject.toml ".venv\\installed.toml"',
        f'{INSTALL} ".[zstd]"',
        'copy /y pyproject.toml ".venv\\installed.toml"',
        f"{RUN} l2_exporter status",
    ]


def test_a_later_start_installs_only_what_pyproject_changed() -> None:
    same = prepared({}, READY)
    changed = prepared({"fc ": [1]}, READY)
    assert [line.split(" -c ")[0] for line in same.ran] == [
        f'"{READY}"',
        'fc /b pyproject.toml ".venv\\installed.toml"',
        f"{RUN} l2_exporter status",
    ]
    assert [line for line in changed.ran if line not in same.ran] == [
        f'{INSTALL} ".[zstd]"',
        'copy /y pyproject.toml ".venv\\installed.toml"',
    ]


def test_tests_need_more_packages_with_a_mark_of_their_own() -> None:
    cmd = prepared({"fc ": [1]}, READY, arguments="test")
    assert f'{INSTALL} ".[zstd,test]"' in cmd.ran
    assert 'copy /y pyproject.toml ".venv\\installed-test.toml"' in cmd.ran


@pytest.mark.parametrize(
    ("outcomes", "python"),
    [({}, "py -3.11"), ({"py -3.11": [9009]}, "py -3"), ({"py -3": [1]}, "python")],
)
def test_python_is_looked_for(outcomes: dict[str, list[int]], python: str) -> None:
    assert f"{python} -m venv  .venv" in prepared(outcomes).ran


def test_an_environment_that_does_not_work_is_made_anew() -> None:
    cmd = prepared({f'"{READY}" -c': [-1073741515]}, READY)
    assert "py -3.11 -m venv --clear .venv" in cmd.ran


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ({"pushd": [1]}, f'The folder of this file cannot be entered: "{FOLDER}"'),
        ({"py": [9009]}, "Python 3.11 or newer was not found. Install it from "),
        ({"py -3.11 -m venv": [1]}, "The environment could not be made. "),
        ({"fc ": [2], INSTALL: [1]}, "The packages could not be installed. "),
    ],
)
def test_what_is_missing_is_said_and_never_tried_again(outcomes: dict[str, list[int]], said: str) -> None:
    cmd = prepared(outcomes, arguments="record")
    assert cmd.exit_code == 2
    assert [line for line in cmd.said if line.startswith(said)]
    assert [line for line in cmd.ran if line.startswith(f"{RUN} l2_exporter")] == []


@pytest.mark.parametrize(
    ("arguments", "click", "code", "waits"),
    [("", True, 2, True), ("", True, 0, False), ("", False, 2, False), ("record", True, 2, False)],
)
def test_the_window_waits_for_a_key_after_an_error_of_a_double_click_only(
    arguments: str, click: bool, code: int, waits: bool
) -> None:
    cmd = started(arguments, [code], click=click)
    assert ("pause" in cmd.ran) is waits
    assert cmd.exit_code == code
