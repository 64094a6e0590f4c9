"""The command `schedule`: what it takes from the machine, and where the definitions go."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from retention import schedule_cron, schedule_systemd, schedule_windows, settings
from retention.errors import ConfigError
from retention.schedule import Document, Role, Setup

_SCHEDULERS: Mapping[str, Callable[[Setup, Sequence[Role]], list[Document]]] = {
    "windows": schedule_windows.documents,
    "systemd": schedule_systemd.documents,
    "cron": schedule_cron.documents,
}
_PROGRAMS: Mapping[str, Sequence[Role]] = {
    "recorder": [Role.RECORDER],
    "retention": [Role.RETENTION],
    "all": [Role.RECORDER, Role.RETENTION],
}

EXAMPLES = """\b
Examples:
  l2-retention schedule --print systemd
  l2-retention schedule --print systemd --user l2 --config /srv/l2/l2.toml --out /etc/systemd/system
  l2-retention schedule --print windows --for recorder --out l2-recorder.xml
  l2-retention schedule --print cron --vault /srv/l2/vault
"""

if sys.platform == "win32":

    def _account() -> str:
        return "\\".join(filter(None, (os.environ.get("USERDOMAIN"), os.environ.get("USERNAME"))))
else:
    import pwd

    def _account() -> str:
        uid = os.geteuid()
        if uid == 0 and os.environ.get("SUDO_USER"):
            return os.environ["SUDO_USER"]
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)


@click.command("schedule", epilog=EXAMPLES)
@click.option("--print", "scheduler", type=click.Choice(list(_SCHEDULERS)), required=True, help="For which scheduler.")
@click.option("--for", "program", type=click.Choice(list(_PROGRAMS)), default="all", help="Of which (default: all).")
@click.option("--vault", metavar="D", help="The vault (default: L2_VAULT, else l2.toml, else ./vault).")
@click.option("--config", metavar="F", help="Settings (default: L2_CONFIG, else ./l2.toml if it is there).")
@click.option("--user", metavar="NAME", help="Account to run as (default: yours). Not for cron.")
@click.option("--out", metavar="PATH", help="Write a file, or several into a folder, instead of printing.")
def command(
    scheduler: str, program: str, vault: str | None, config: str | None, user: str | None, out: str | None
) -> None:
    """Print what makes a scheduler run the recorder all the time and retention every hour.

    The definitions name this Python, l2.toml and the vault by absolute paths, and work in the folder of l2.toml. What
    flags and environment say now is written into them; what l2.toml says is read at each start, so instruments and
    ages belong there. Their first lines tell what to do with them; docs/OPERATIONS.md tells more.

    --out writes one file, for Windows in UTF-16; into a folder that is there it writes all, by their own names.

    Exit codes: 0 fine; 2 usage, configuration, or a path that the scheduler cannot be told.
    """
    for flag, value in (("--vault", vault), ("--config", config), ("--user", user), ("--out", out)):
        if value == "":  # a variable that a script did not set
            raise ConfigError(f"{flag} is empty: give it a value, or leave it out")
    chosen = settings.load({"vault": vault, "config": config})
    if scheduler == "cron" and user is not None:
        raise ConfigError("--user: the lines of a crontab run as the user whose crontab it is; leave --user out")
    setup = _setup(chosen, bool(vault), user)
    made = _SCHEDULERS[scheduler](setup, _PROGRAMS[program])
    _require_installed(setup.python)
    said = [] if out is None else _write(made, Path(out))
    click.echo(f"vault: {chosen.vault}", err=out is None)
    for note in _notes(scheduler, setup):
        click.echo(f"note: {note}", err=True)
    for line in said:
        click.echo(line)
    if out is None:
        click.echo("\n".join(document.text for document in made).encode(), nl=False)


def _setup(chosen: settings.Settings, has_vault_flag: bool, user: str | None) -> Setup:
    """Take from the flags and the machine what a job started elsewhere would not find again."""
    options: list[str] = []
    if chosen.file is not None:
        options += ["--config", str(chosen.file)]
    if has_vault_flag or os.environ.get(settings.VAULT_VARIABLE):
        options += ["--vault", str(chosen.vault)]
    return Setup(
        # Not resolved: in a virtual environment it is a link, and the environment is found by the link's place.
        python=str(Path(sys.executable).absolute()) if sys.executable else "",
        folder=str(chosen.file.parent if chosen.file is not None else Path.cwd()),
        vault=str(chosen.vault),
        user=_account() if user is None else user,
        options=tuple(options),
    )


def _require_installed(python: str) -> None:
    """Refuse programs that are only found in the folder they were started in, or by PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    tried = subprocess.run(
        [python, "-P", "-c", "import l2_exporter, retention"], env=environment, capture_output=True, check=False
    )
    if tried.returncode:
        raise ConfigError(f"{python} does not find l2_exporter and retention by itself: install them (pip install .)")


def _notes(scheduler: str, setup: Setup) -> list[str]:
    notes = []
    if (scheduler == "windows") != (sys.platform == "win32"):
        notes.append(f"the paths and the user are those of this machine, which has no {scheduler}")
    elif scheduler == "systemd" and setup.user == "root":
        notes.append("the services will run as root; --user names another account")
    return notes


def _write(made: Sequence[Document], out: Path) -> list[str]:
    """Write the one file, or all into a folder; return what to say of it."""
    if not out.is_dir() and len(made) > 1:
        names = ", ".join(document.name for document in made)
        raise ConfigError(
            f"--out {out} is no folder, and these are {len(made)} files: {names}; name a folder, or use --for"
        )
    written, commands = [], []
    for document in made:
        path = (out / document.name if out.is_dir() else out).absolute()
        try:
            path.write_bytes(document.data)
        except OSError as error:
            raise ConfigError(f"--out: {path} cannot be written: {error.strerror or error}") from error
        written.append(f"wrote {path}")
        commands += [document.where, *(f"  {one.replace(document.name, path.name)}" for one in document.commands)]
    return [*written, *dict.fromkeys(commands)]
