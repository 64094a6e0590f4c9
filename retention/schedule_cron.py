"""Lines of a user's crontab, by crontab(5), for Vixie cron and its descendants. busybox takes them too, unless there is
a `#` in a path: a comment begins there."""

import re
from collections.abc import Sequence

from retention.errors import ConfigError
from retention.schedule import Document, Role, Setup

_LONGEST_BYTES = 998
"""Of a command: MAX_COMMAND in Vixie cron's cron.h is 1000, with what ends it."""

_COMMANDS = ("crontab -e", "crontab -l")
_HEAD = f"""\
# Paste these lines into the crontab of the user that is to own the vault, and look at them again:
#   {_COMMANDS[0]}
#   {_COMMANDS[1]}
SHELL=/bin/sh
"""
_RECORDER = """\
# The recorder: at boot, and every 5 minutes unless a healthy one runs. Should one run after all, the new one finds the
# vault in use and ends with exit code 4. To stop recording, take these two lines out first.
"""
_RETENTION = """\
# Retention, every hour. cron mails what a line prints: here only what went wrong.
"""
_QUIET = ">/dev/null"
_SILENT = ">/dev/null 2>&1"
_TOLD = 'echo "l2-retention ended with exit code $?: see meta/logs/l2_retention.log in the vault"'


def documents(setup: Setup, roles: Sequence[Role]) -> list[Document]:
    """Make the lines of all roles, as one text.

    Raises:
        ConfigError: a command longer than cron takes.
    """
    text = _HEAD
    if Role.RECORDER in roles:
        record, status = _words(setup.command(Role.RECORDER)), _words(setup.status())
        text += _RECORDER
        text += _line(setup, "@reboot", f"exec {record} {_QUIET}")
        text += _line(setup, "*/5 * * * *", f"{{ {status} {_SILENT} || exec {record} {_SILENT}; }}")
    if Role.RETENTION in roles:
        text += _RETENTION
        text += _line(setup, "17 * * * *", f"{_words(setup.command(Role.RETENTION))} {_QUIET} || {_TOLD}")
    return [Document("l2.cron", text, text.encode(), "paste the lines, and look at them again:", _COMMANDS)]


def _line(setup: Setup, when: str, command: str) -> str:
    command = f"cd {_word(setup.folder)} && {command}"
    if (length := len(command.encode())) > _LONGEST_BYTES:
        raise ConfigError(f"with these paths a command has {length} bytes; cron takes {_LONGEST_BYTES} at most")
    return f"{when} {command}\n"


def _words(command: Sequence[str]) -> str:
    return " ".join(map(_word, command))


def _word(text: str) -> str:
    """Quote a word for the shell, and for cron before it.

    cron takes the backslash of `\\%` away, some of them also one of two backslashes; others leave both as they are. So
    `\\%` stands outside the quotes, where the shell takes what cron has left, and no two backslashes follow each other.
    """
    if re.fullmatch(r"[\w.,:/+=@-]+", text, re.ASCII):
        return text
    quoted = "'" + text.replace("'", "'\"'\"'") + "'"
    return re.sub(r"\\(?=\\)", r"\\''", quoted).replace("%", r"'\%'")
