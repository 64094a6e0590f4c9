"""Units for systemd: systemd.service(5) "Command lines", systemd.syntax(7) "Quoting", systemd.unit(5) "Specifiers"."""

import re
from collections.abc import Sequence

from retention.errors import ConfigError
from retention.schedule import Document, Role, Setup

_FOLDER = "/etc/systemd/system"
_USER = re.compile(r"[^\s:/]*[^\s:/\\]")
_NO_PROGRAM = re.compile(r"""["'\\$]""")

_RECORDER = """\
[Unit]
Description=Order book recorder
Wants=network-online.target
After=network-online.target time-sync.target
RequiresMountsFor={vault}
StartLimitIntervalSec=0

[Service]
User={user}
WorkingDirectory={folder}
ExecStart={command}
KillSignal=SIGTERM
TimeoutStopSec=60
Restart=on-failure
# 2: wrong flags or settings. 4: another recorder has the vault. Neither passes by itself.
RestartPreventExitStatus=2 4
RestartSec=10
# The pauses grow to a quarter of an hour. Before systemd 254 these two lines are passed over, with a warning.
RestartSteps=5
RestartMaxDelaySec=15min

[Install]
WantedBy=multi-user.target
"""

_RETENTION = """\
[Unit]
Description=Retention of the order book archive
RequiresMountsFor={vault}

[Service]
Type=oneshot
User={user}
WorkingDirectory={folder}
ExecStart={command}
# 4: another retention job is at work; nothing is wrong. 1, something was left or failed its proof, stays a failure, so
# that `systemctl --failed` shows it; the timer starts the next run all the same.
SuccessExitStatus=4
Nice=10
IOSchedulingClass=idle
"""

_TIMER = """\
[Unit]
Description=Hourly retention of the order book archive

[Timer]
OnCalendar=hourly
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
"""


def documents(setup: Setup, roles: Sequence[Role]) -> list[Document]:
    """Make a service for the recorder, a service and a timer for retention.

    Raises:
        ConfigError: a path of Python or a user that systemd refuses.
    """
    if not _USER.fullmatch(setup.user):
        raise ConfigError(f"--user {setup.user[:200]!r} is no user name that systemd takes")
    made = []
    if Role.RECORDER in roles:
        name = "l2-recorder.service"
        made.append(_document(name, _filled(_RECORDER, setup, Role.RECORDER), name))
    if Role.RETENTION in roles:
        service, timer = "l2-retention.service", "l2-retention.timer"
        made.append(_document(service, _filled(_RETENTION, setup, Role.RETENTION), timer))
        made.append(_document(timer, _TIMER, timer))
    return made


def _document(name: str, unit: str, enabled: str) -> Document:
    commands = ("systemctl daemon-reload", f"systemctl enable --now {enabled}")
    comment = f"# Save as {_FOLDER}/{name}, then:\n" + "".join(f"#   {command}\n" for command in commands)
    text = comment + unit
    return Document(name, text, text.encode(), f"when they are in {_FOLDER}:", commands)


def _filled(template: str, setup: Setup, role: Role) -> str:
    return template.format(
        vault=_quoted(setup.vault),
        user=_percent(setup.user),
        folder=_folder(setup.folder),
        command=_command(setup.command(role)),
    )


def _command(command: Sequence[str]) -> str:
    program, *arguments = command
    if found := _NO_PROGRAM.search(program):
        raise ConfigError(f"{program[:200]!r}: systemd takes no {found[0]} in the path of a program")
    return " ".join([_word(program), *(_word(argument).replace("$", "$$") for argument in arguments)])


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w.,:/+=@-]+", text, re.ASCII) else _quoted(text)


def _quoted(text: str) -> str:
    """Quote a word; within quotes a backslash begins an escape, and specifiers are still expanded."""
    return '"' + _percent(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _folder(text: str) -> str:
    """Escape a value that is taken up to the end of its line, unquoted, without the white space there."""
    # A backslash there would join the next line; a slash more, which systemd takes off again, ends both.
    return _percent(text) + ("/" if text[-1].isspace() or text[-1] == "\\" else "")


def _percent(text: str) -> str:
    return text.replace("%", "%%")
