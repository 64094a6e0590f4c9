"""Units read back by systemd's own rules, implemented here once more."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import ConfigError
from retention.schedule import Role, Setup
from retention.schedule_systemd import documents
from tests.retention.paths import PLAIN, ROLES, paths, setup, setups, started

Unit = dict[str, dict[str, str]]
ESCAPES = {"\\": "\\", '"': '"', "'": "'", "s": " ", "n": "\n", "t": "\t"}


def read(text: str) -> Unit:
    """Read sections, keys and values by systemd.syntax(7). A key that comes twice is refused."""
    unit: Unit = {}
    section: dict[str, str] = {}
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        line = line.strip(" \t")
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = unit.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        assert equals
        assert key not in section
        section[key] = value.strip(" \t")
    return unit


def words(value: str) -> list[str]:
    """Split and unquote by systemd.syntax(7), "Quoting"; then expand specifiers, of which there must be none."""
    found, word, quote, begun = [], "", "", False
    letters = iter(value)
    for letter in letters:
        if letter == "\\":
            word += ESCAPES[next(letters)]
        elif quote:
            quote, word = ("", word) if letter == quote else (quote, word + letter)
        elif letter in "\"'" and not word:
            quote, begun = letter, True
        elif letter in " \t":
            if word or begun:
                found.append(word)
            word, begun = "", False
        else:
            word += letter
    assert not quote
    return [without_specifiers(one) for one in ([*found, word] if word or begun else found)]


def without_specifiers(text: str) -> str:
    assert re.fullmatch(r"([^%]|%%)*", text)
    return text.replace("%%", "%")


def argv(value: str) -> list[str]:
    """Read a command line by systemd.service(5): no variable is replaced in the program, and none is in the rest."""
    program, *arguments = words(value)
    assert program[0] == "/"  # not one of the prefixes @ - : + !
    assert not set(program) & set("\"'\\")  # string_is_safe() in systemd's load-fragment.c
    assert "$" not in program  # as argument 0 it would be looked through for variables
    assert all(re.fullmatch(r"([^$]|\$\$)*", argument) for argument in arguments)
    return [program, *(argument.replace("$$", "$") for argument in arguments)]


def folder(value: str) -> str:
    """Read a path that is not unquoted; a slash at its end means nothing."""
    return without_specifiers(value).rstrip("/")


def units(made: Setup, *roles: Role) -> Iterator[Unit]:
    for document in documents(made, roles or ROLES):
        assert document.data == document.text.encode()
        yield read(document.text)


def test_a_recorder_that_is_kept_running() -> None:
    (unit,) = units(setup(), Role.RECORDER)
    assert unit == {
        "Unit": {
            "Description": "Order book recorder",
            "Wants": "network-online.target",
            "After": "network-online.target time-sync.target",
            "RequiresMountsFor": '"/srv/l2/vault"',
            "StartLimitIntervalSec": "0",
        },
        "Service": {
            "User": "l2",
            "WorkingDirectory": "/srv/l2",
            "ExecStart": "/opt/l2/bin/python -X utf8 -P -m l2_exporter record",
            "KillSignal": "SIGTERM",
            "TimeoutStopSec": "60",
            "Restart": "on-failure",
            "RestartPreventExitStatus": "2 4",
            "RestartSec": "10",
            "RestartSteps": "5",
            "RestartMaxDelaySec": "15min",
        },
        "Install": {"WantedBy": "multi-user.target"},
    }


def test_a_retention_job_that_stands_back_and_its_timer() -> None:
    service, timer = units(setup(), Role.RETENTION)
    assert service == {
        "Unit": {"Description": "Retention of the order book archive", "RequiresMountsFor": '"/srv/l2/vault"'},
        "Service": {
            "Type": "oneshot",
            "User": "l2",
            "WorkingDirectory": "/srv/l2",
            "ExecStart": "/opt/l2/bin/python -X utf8 -P -m retention run",
            "SuccessExitStatus": "4",
            "Nice": "10",
            "IOSchedulingClass": "idle",
        },
    }
    assert timer == {
        "Unit": {"Description": "Hourly retention of the order book archive"},
        "Timer": {"OnCalendar": "hourly", "RandomizedDelaySec": "10min", "Persistent": "true"},
        "Install": {"WantedBy": "timers.target"},
    }


def test_their_first_lines_say_how_to_enable_them() -> None:
    recorder, retention, timer = documents(setup(), ROLES)
    assert recorder.text.splitlines()[:4] == [
        "# Save as /etc/systemd/system/l2-recorder.service, then:",
        "#   systemctl daemon-reload",
        "#   systemctl enable --now l2-recorder.service",
        "[Unit]",
    ]
    assert (
        retention.text.splitlines()[2] == timer.text.splitlines()[2] == "#   systemctl enable --now l2-retention.timer"
    )


@given(setups(python=st.text(PLAIN, min_size=1).map("/{}".format)), st.from_regex(r"[a-z%_]{1,8}", fullmatch=True))
def test_every_path_comes_back(made: Setup, user: str) -> None:
    made = setup(made.python, made.folder, made.vault, user, made.options)
    recorder, retention, _ = units(made)
    for unit in (recorder, retention):
        assert words(unit["Unit"]["RequiresMountsFor"]) == [made.vault]
        assert folder(unit["Service"]["WorkingDirectory"]) == made.folder
        assert without_specifiers(unit["Service"]["User"]) == user
    assert argv(recorder["Service"]["ExecStart"]) == started(made, "l2_exporter", "record", *made.options)
    assert argv(retention["Service"]["ExecStart"]) == started(made, "retention", "run", *made.options)


@pytest.mark.parametrize("path", ["/a ", "/a\\", "/a\\ \\", "/a\\\\", "/ "])
def test_a_folder_whose_name_ends_as_a_line_may_not(path: str) -> None:
    for unit in list(units(setup(folder=path)))[:2]:
        assert folder(unit["Service"]["WorkingDirectory"]) == path
        assert unit["Service"]["ExecStart"].startswith("/opt/l2/bin/python -X ")


@pytest.mark.parametrize("letter", ["'", '"', "\\", "$"])
def test_a_program_that_systemd_would_refuse_is_refused_first(letter: str) -> None:
    with pytest.raises(ConfigError, match="in the path of a program"):
        documents(setup(python=f"/opt/a{letter}b/python"), ROLES)


@pytest.mark.parametrize("user", ["two words", "a:b", "a/b", "a\\"])
def test_a_user_that_systemd_would_refuse_is_refused_first(user: str) -> None:
    with pytest.raises(ConfigError, match="no user name"):
        documents(setup(user=user), ROLES)


@given(paths, st.sampled_from(["\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\udc80", "\uffff"]))
def test_what_no_definition_can_hold_is_refused(path: str, letter: str) -> None:
    for broken in (
        {"python": path + letter},
        {"folder": path + letter},
        {"vault": path + letter},
        {"user": letter},
        {"options": ("--config", letter + path)},
    ):
        with pytest.raises(ConfigError, match="no scheduler takes"):
            setup(**broken)
    with pytest.raises(ConfigError, match="the user '' is not known"):
        setup(user="")
