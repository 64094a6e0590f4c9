"""Task definitions read back by an XML parser and by the rules of CommandLineToArgvW, implemented here once more."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retention.errors import ConfigError
from retention.schedule import Role, Setup
from retention.schedule_windows import documents
from tests.retention.paths import NASTY, ROLES, setup, setups, started

SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "IdleSettings/StopOnIdleEnd": "false",
    "IdleSettings/RestartOnIdle": "false",
    "AllowStartOnDemand": "true",
    "Enabled": "true",
    "Hidden": "false",
    "RunOnlyIfIdle": "false",
    "WakeToRun": "false",
    "ExecutionTimeLimit": "PT0S",
}
EACH = {
    Role.RECORDER: {"Priority": "4", "RestartOnFailure/Interval": "PT1M", "RestartOnFailure/Count": "255"},
    Role.RETENTION: {"Priority": "7", "RestartOnFailure/Interval": "PT10M", "RestartOnFailure/Count": "3"},
}
LETTERS = "".join(set(NASTY) - set('%"<>|*?\\'))
windows_paths = st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=3).map(
    lambda parts: "C:\\" + "\\".join(parts)
)


def split(line: str) -> list[str]:
    """Split arguments (not the program) as learn.microsoft.com, "CommandLineToArgvW function", has it."""
    found: list[str] = []
    word: str | None = None
    quoted, index = False, 0
    while index < len(line):
        backslashes = len(line[index:]) - len(line[index:].lstrip("\\"))
        index += backslashes
        letter = line[index : index + 1]
        if letter == '"':
            word = (word or "") + "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            else:
                quoted = not quoted
        else:
            word = None if word is None and not backslashes else (word or "") + "\\" * backslashes
            if letter in (" ", "\t") and not quoted:
                found += [] if word is None else [word]
                word = None
            elif letter:
                word = (word or "") + letter
        index += 1
    assert not quoted
    return found if word is None else [*found, word]


def leaves(element: ET.Element, above: str = "") -> dict[str, str]:
    """Flatten an element: path to text. No path may come twice."""
    found: dict[str, str] = {}
    for child in element:
        name = above + child.tag.removeprefix(SPACE)
        inner = leaves(child, f"{name}/") if len(child) else {name: child.text or ""}
        assert not found.keys() & inner.keys()
        found |= inner
    return found


def tasks(made: Setup, *roles: Role) -> list[dict[str, str]]:
    """Read both forms of each definition, which must say the same."""
    found = []
    for document in documents(made, roles or ROLES):
        assert document.text.isascii()
        assert "<?xml" not in document.text
        printed, written = ET.fromstring(document.text), ET.fromstring(document.data)
        assert (printed.tag, printed.attrib) == (f"{SPACE}Task", {"version": "1.2"})
        assert leaves(printed) == leaves(written)
        found.append(leaves(printed))
    return found


def part(task: dict[str, str], name: str) -> dict[str, str]:
    return {key.removeprefix(f"{name}/"): value for key, value in task.items() if key.startswith(f"{name}/")}


def test_the_settings_that_keep_it_running() -> None:
    for role, task in zip(ROLES, tasks(setup(user="DESK\\max")), strict=True):
        assert part(task, "Settings") == SETTINGS | EACH[role]
        assert part(task, "Principals/Principal") == {
            "UserId": "DESK\\max",
            "LogonType": "Password",
            "RunLevel": "LeastPrivilege",
        }


def test_when_they_start() -> None:
    recorder, retention = tasks(setup())
    assert part(recorder, "Triggers") == {
        "BootTrigger/Enabled": "true",
        "LogonTrigger/Enabled": "true",
        "TimeTrigger/Repetition/Interval": "PT5M",
        "TimeTrigger/Repetition/StopAtDurationEnd": "false",
        "TimeTrigger/StartBoundary": "2020-01-01T00:00:00",
        "TimeTrigger/Enabled": "true",
    }
    assert part(retention, "Triggers") == {
        "TimeTrigger/Repetition/Interval": "PT1H",
        "TimeTrigger/Repetition/StopAtDurationEnd": "false",
        "TimeTrigger/StartBoundary": "2020-01-01T00:17:00",
        "TimeTrigger/Enabled": "true",
    }


def test_a_file_is_in_the_encoding_that_it_declares() -> None:
    (document,) = documents(setup(folder="C:\\Käse 漢 😀"), [Role.RECORDER])
    assert document.data.startswith(b"\xff\xfe<\x00?\x00")
    text = document.data.decode("utf-16")
    assert text.startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n<!-- Save as l2-recorder.xml ')
    assert "<WorkingDirectory>C:\\Käse 漢 😀</WorkingDirectory>\r\n" in text
    assert "<WorkingDirectory>C:\\K&#228;se &#28450; &#128512;</WorkingDirectory>\n" in document.text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("user", "shown"), [("DESK\\max", "DESK\\max"), ("DESK\\Jörg", "USER"), ("DESK\\a--b", "USER")]
)
def test_its_first_lines_say_how_to_register_it(role: Role, user: str, shown: str) -> None:
    (document,) = documents(setup(user=user), [role])
    assert document.name == f"l2-{role}.xml"
    assert document.text.splitlines()[1:4] == [
        f'       schtasks /Create /TN "L2 {role}" /XML "l2-{role}.xml" /RU "{shown}" /RP *',
        f'       schtasks /Run /TN "L2 {role}"',
        "-->",
    ]
    assert document.commands[0] == f'schtasks /Create /TN "L2 {role}" /XML "l2-{role}.xml" /RU "{user}" /RP *'
    assert ET.fromstring(document.text).tag == f"{SPACE}Task"


def check(made: Setup) -> None:
    wanted = (
        started(made, "l2_exporter", "record", *made.options),
        started(made, "retention", "run", *made.options),
    )
    for task, command in zip(tasks(made), wanted, strict=True):
        action = part(task, "Actions/Exec")
        assert (action["Command"], action["WorkingDirectory"]) == (made.python, made.folder)
        assert split(action["Arguments"]) == command[1:]
        assert part(task, "Principals/Principal")["UserId"] == made.user


@given(windows_paths, windows_paths, windows_paths, st.text(LETTERS, min_size=1, max_size=20))
def test_every_path_of_windows_comes_back(python: str, folder: str, vault: str, user: str) -> None:
    check(setup(python, folder, vault, user, ("--config", f"{folder}\\l2.toml", "--vault", f"{vault}\\")))


@given(setups())
def test_every_other_path_comes_back_too(made: Setup) -> None:
    texts = (made.python, made.folder, *made.options)
    assume(sum(text.count("%") for text in texts) < 2)
    check(made)


def test_one_percent_sign_is_harmless_and_two_around_a_name_are_not() -> None:
    check(setup(folder="C:\\50% off", options=("--vault", "C:\\100%\\%", "--config", "D:\\5 %")))
    for broken in (
        setup(python="C:\\%TEMP%\\python.exe"),
        setup(folder="C:\\a%ProgramFiles(x86)%b"),
        setup(options=("--config", "C:\\%a b%")),
    ):
        with pytest.raises(ConfigError, match="environment variable"):
            documents(broken, ROLES)
