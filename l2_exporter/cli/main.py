"""The program: a group of commands, and what each kind of error means for whoever called it."""

import errno
import importlib
import sys
import traceback
from collections.abc import Sequence

import click

from l2_exporter import __version__
from l2_exporter.archive.layout import LayoutError
from l2_exporter.core.errors import ArchiveError, ConfigError, L2Error, SchemaError, VaultBusyError

EXIT_DEFECTS = 1
EXIT_USAGE = 2
EXIT_BUILD_FAIL = 3
EXIT_VAULT_BUSY = 4
EXIT_ARCHIVE = 5
EXIT_BUG = 70

_EXITS: tuple[tuple[type[Exception], int], ...] = (
    (ConfigError, EXIT_USAGE),
    (LayoutError, EXIT_USAGE),
    (SchemaError, EXIT_BUILD_FAIL),
    (VaultBusyError, EXIT_VAULT_BUSY),
    (ArchiveError, EXIT_ARCHIVE),
    (L2Error, EXIT_DEFECTS),
)

COMMANDS = (
    "config",
    "demo",
    "instruments",
    "l3-stats",
    "orders",
    "rebuild",
    "record",
    "replay",
    "report",
    "schema",
    "show",
    "simulate",
    "status",
    "venues",
    "verify",
)
"""Each in a module of its name."""

EXAMPLE = """\b
Examples:
  l2-exporter demo
  l2-exporter record
  l2-exporter replay tape.jsonl.gz --vault /tmp/rebuilt
  l2-exporter verify /tmp/rebuilt
  l2-exporter show BTC-USDT-SWAP --vault /tmp/rebuilt
"""


class Group(click.Group):
    """A click group whose commands end with the documented exit codes and never with a bare traceback.

    A command's module is imported when it is named: all of them take three times as long as `status` alone.
    """

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Name the commands."""
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; for an unknown one all are there, so that the nearest can be named."""
        for name in [cmd_name] if cmd_name in (*COMMANDS, *self.commands) else COMMANDS:
            if name not in self.commands:
                self.add_command(importlib.import_module(f"l2_exporter.cli.{name.replace('-', '_')}").command)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except tuple(kind for kind, _ in _EXITS) as error:
            click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(_exit_code(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(EXIT_ARCHIVE) from error


@click.group(cls=Group, epilog=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="l2-exporter")
def cli() -> None:
    """Record crypto exchange order books so that every line can be trusted years later.

    Exit codes: 0 fine; 1 defects found; 2 usage or configuration; 3 BUILD_FAIL, the venue's frames are not what they
    were; 4 the vault is in use by another recorder; 5 the archive cannot be written; 70 a bug of ours.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the program and leave the process with its exit code."""
    try:
        cli.main(args=None if args is None else list(args), prog_name="l2-exporter")
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is reported, not dumped
        _report_bug(error)
        sys.exit(EXIT_BUG)


def _exit_code(error: Exception) -> int:
    return next(code for kind, code in _EXITS if isinstance(error, kind))


def _report_bug(error: Exception) -> None:
    """Say in a few lines what went wrong and where, for a report."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
    click.echo(f"bug: {type(error).__name__}: {error}", err=True)
    click.echo(f"  at {places}", err=True)
    click.echo(
        f"  l2-exporter {__version__}, Python {sys.version.split()[0]}, {sys.platform}: please report this", err=True
    )
