"""Task definitions for the Windows Task Scheduler, by its schema 1.2 (learn.microsoft.com, "Task Scheduler Schema")."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape  # not xml.sax.saxutils, whose imports cost every run of the job 18 ms
from subprocess import list2cmdline

from retention.errors import ConfigError
from retention.schedule import Document, Role, Setup

_VARIABLE = re.compile(r"%[^%\\/:]+%")

_DECLARATION = '<?xml version="1.0" encoding="UTF-16"?>\n'


@dataclass(frozen=True, slots=True)
class _Task:
    """What differs between the tasks. `priority`: 4 is normal; 7 is below normal, for disk and memory too."""

    name: str
    description: str
    triggers: str
    priority: int
    restart_interval: str
    restart_count: int


# RestartOnFailure restarts what "fails for any reason"; whether an exit code is one is not documented, and its count,
# an unsigned byte, ends at 255. So the recorder is also started every five minutes, which IgnoreNew makes harmless.
# Windows with fast startup wakes a saved kernel instead of booting: hence at logon, too.
_TASKS = {
    Role.RECORDER: _Task(
        name="L2 recorder",
        description="Records order books. Started at boot, at logon, and every 5 minutes if it does not run.",
        triggers="""\
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
    <TimeTrigger>
      <Enabled>true</Enabled>
      <StartBoundary>2020-01-01T00:00:00</StartBoundary>
      <Repetition>
        <Interval>PT5M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
    </TimeTrigger>""",
        priority=4,
        restart_interval="PT1M",
        restart_count=255,
    ),
    Role.RETENTION: _Task(
        name="L2 retention",
        description="Compresses and deletes hours of the order book archive, 17 minutes past every hour.",
        triggers="""\
    <TimeTrigger>
      <Enabled>true</Enabled>
      <StartBoundary>2020-01-01T00:17:00</StartBoundary>
      <Repetition>
        <Interval>PT1H</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
    </TimeTrigger>""",
        priority=7,
        restart_interval="PT10M",
        restart_count=3,
    ),
}


def documents(setup: Setup, roles: Sequence[Role]) -> list[Document]:
    """Make a task definition for each role. Printed, it is ASCII and declares no encoding; written, it is UTF-16.

    Raises:
        ConfigError: a path that the Task Scheduler would read as something else.
    """
    return [_document(setup, role) for role in roles]


def _document(setup: Setup, role: Role) -> Document:
    task = _TASKS[role]
    name = f"l2-{role}.xml"
    create = f'schtasks /Create /TN "{task.name}" /XML "{name}" /RU "{{}}" /RP *'
    run = f'schtasks /Run /TN "{task.name}"'
    # In a comment no character reference is one, and two hyphens are not allowed (XML 1.0, section 2.5).
    user = setup.user if setup.user.isascii() and "--" not in setup.user else "USER"
    comment = f"""\
<!-- Save as {name} (UTF-16 or ASCII), then as administrator, in its folder (the first asks for the password):
       {create.format(user)}
       {run}
-->
"""
    xml = comment + _xml(task, setup, role)
    return Document(
        name=name,
        # Character references survive every code page and every redirection; no declaration means that they are right.
        text=xml.encode("ascii", "xmlcharrefreplace").decode("ascii"),
        data=codecs.BOM_UTF16_LE + (_DECLARATION + xml).replace("\n", "\r\n").encode("utf-16-le"),
        where="as administrator, in that folder (the first asks for the password of the user):",
        commands=(create.format(setup.user), run),
    )


def _xml(task: _Task, setup: Setup, role: Role) -> str:
    # LogonType: S4U would need no password, but has "no access to the network" (TASK_LOGON_TYPE enumeration).
    program, *arguments = setup.command(role)
    return f"""\
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{task.description}</Description>
  </RegistrationInfo>
  <Triggers>
{task.triggers}
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(setup.user, quote=False)}</UserId>
      <LogonType>Password</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>{task.priority}</Priority>
    <RestartOnFailure>
      <Interval>{task.restart_interval}</Interval>
      <Count>{task.restart_count}</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{_text(program)}</Command>
      <Arguments>{_text(list2cmdline(arguments))}</Arguments>
      <WorkingDirectory>{_text(setup.folder)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def _text(text: str) -> str:
    """Escape what the scheduler expands environment variables in, for which it has no escape of its own."""
    if found := _VARIABLE.search(text):
        raise ConfigError(
            f"{found[0][:200]} in {text[:200]!r}: the Task Scheduler puts an environment variable in place of what "
            "stands between two percent signs; use a path without them"
        )
    return escape(text, quote=False)
