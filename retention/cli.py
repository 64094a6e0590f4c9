"""The program `l2-retention`: its commands, and what each kind of error means for whoever called it."""

import contextlib
import errno
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import click

from retention import codec, errors, log, processes, report, schedule_command, settings
from retention.apply import Outcome
from retention.job import Job, Plan, Result, locked, make_plan
from retention.timetext import parse_utc

EXIT_LEFT = 1
EXIT_USAGE = 2
EXIT_BUSY = 4
EXIT_ARCHIVE = 5
EXIT_BUG = 70

_EXITS: tuple[tuple[type[Exception], int], ...] = (
    (errors.ConfigError, EXIT_USAGE),
    (errors.BusyError, EXIT_BUSY),
    (errors.VaultError, EXIT_ARCHIVE),
    (errors.RetentionError, EXIT_LEFT),
)
_USUAL_JOBS = 4

EXAMPLES = """\b
Examples:
  l2-retention run --dry-run
  l2-retention run --vault /srv/l2/vault --compress-after 6h --delete-after 5d
  l2-retention run --delete-after never --codec zstd --json | jq .left
"""
ALL_EXAMPLES = EXAMPLES + "  l2-retention schedule --print systemd\n"


class Group(click.Group):
    """A click group whose commands end with the documented exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except errors.RetentionError as error:
            click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(next(code for kind, code in _EXITS if isinstance(error, kind))) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(EXIT_ARCHIVE) from error


@click.group(cls=Group, epilog=ALL_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Compress the hours of an archive after a time, and delete them after a longer one.

    Exit codes: 0 fine; 1 something was left, or failed its proof; 2 usage or configuration; 4 another retention job
    works on the vault; 5 the archive cannot be written; 70 a bug of ours.
    """


cli.add_command(schedule_command.command)


@cli.command("run", epilog=EXAMPLES)
@click.option("--vault", metavar="D", help="The vault (default: L2_VAULT, else l2.toml, else ./vault).")
@click.option("--config", metavar="F", help="Settings (default: L2_CONFIG, else ./l2.toml if it is there).")
@click.option("--compress-after", metavar="T", help="Age of an hour to compress: 90m, 6h (default), never.")
@click.option(
    "--compress-l3-after", metavar="T", help="The same for hours of single orders, l3_*: 1h (default), never."
)
@click.option("--delete-after", metavar="T", help="Age of an hour to delete: 5d (default), never.")
@click.option("--codec", metavar="C", help="gzip (default) or zstd.")
@click.option("--level", type=int, metavar="N", help="Of the codec: gzip 1-9 (default 6), zstd 1-22 (default 9).")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--now", metavar="ISO", help="Count ages as of this time, 2026-11-21T15:00:00Z, not of the clock.")
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Files at a time (default: CPUs, at most 4).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def run(now: str | None, jobs: int | None, dry_run: bool, as_json: bool, **flags: object) -> None:
    """Compress what is old enough, and delete what is older; each only after a proof.

    Age counts from the end of the hour that a file's path names. Nothing is deleted that was not read, compared, and
    recorded in meta/retention before. Killed at any moment, the next run goes on; a running recorder is not disturbed.
    """
    chosen = settings.load(flags)
    root = chosen.vault
    click.echo(f"vault: {_encodable(str(root))}", err=as_json)
    now_ns = _now_ns(now)
    codec.require(chosen.policy.codec)
    if not root.is_dir():
        raise errors.ConfigError(f"there is no vault {root}")
    if dry_run:
        made = make_plan(root, chosen.policy, now_ns)
        _tell(as_json, report.as_object(root, chosen.policy, now_ns, made, None), report.plan_lines(made, root))
        return
    if not any((root / name).is_dir() for name in ("raw", "tape", "meta")):
        made, result = Plan(), Result()
    else:
        job = Job(root, chosen.policy, now_ns, threads=jobs or min(_USUAL_JOBS, os.cpu_count() or 1))
        made, result = _run(job, root, lambda: make_plan(root, chosen.policy, now_ns), quiet=as_json)
    ending = [*report.notes(made.skipped, root), report.summary_line(result, made)]
    _tell(as_json, report.as_object(root, chosen.policy, now_ns, made, result), iter(ending))
    if report.lefts(result, made, root):
        sys.exit(EXIT_LEFT)


def main(args: Sequence[str] | None = None) -> None:
    """Run the program and leave the process with its exit code."""
    try:
        cli.main(args=None if args is None else list(args), prog_name="l2-retention")
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is reported, not dumped
        _report_bug(error)
        sys.exit(EXIT_BUG)


def _run(job: Job, root: Path, planning: Callable[[], Plan], *, quiet: bool) -> tuple[Plan, Result]:
    """Plan and carry out under the lock, at low priority, and log it."""
    processes.lower_priority()
    lines: list[tuple[str, str]] = []
    with locked(root), _stopped_by_signals(job):
        made = planning()
        with _progress(len(made.actions)) as step:

            def done(outcome: Outcome) -> None:
                line = report.outcome_line(outcome, root)
                lines.append(("INFO" if outcome.left is None else "WARNING", line))
                step(None if quiet else line)

            result = job.run(made, done)
        lines += [("WARNING", f"left {path}: {why}") for path, why in made.failed]
        log.append(root, [*lines, ("INFO", report.summary_line(result, made))])
    return made, result


def _encodable(text: str) -> str:
    """Write what the console's code page does not have as an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextlib.contextmanager
def _stopped_by_signals(job: Job) -> Iterator[None]:
    """Let Ctrl-C, Ctrl-Break and SIGTERM end the job soon and cleanly."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        job.stop.set()

    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextlib.contextmanager
def _progress(steps: int) -> Iterator[Callable[[str | None], None]]:
    """Draw a bar on an interactive stderr. Gives what is called with a line to print after each step."""
    if not (steps and sys.stderr.isatty()):
        yield lambda line: None if line is None else click.echo(line)
        return
    with click.progressbar(length=steps, label="files", file=sys.stderr) as bar:

        def step(line: str | None) -> None:
            if line is not None:
                click.echo(f"\r\x1b[K{line}" if sys.stdout.isatty() else line)
            bar.update(1)

        yield step


def _now_ns(text: str | None) -> int:
    if text is None:
        return time.time_ns()
    try:
        return parse_utc(text)
    except ValueError as error:
        raise errors.ConfigError(f"--now must be a time such as 2026-11-21T15:00:00Z, not {text[:200]!r}") from error


def _tell(as_json: bool, told: dict[str, object], lines: Iterator[str]) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    for line in lines:
        click.echo(line)


def _report_bug(error: Exception) -> None:
    """Say in a few lines what went wrong and where, for a report."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
    click.echo(f"bug: {type(error).__name__}: {error}", err=True)
    click.echo(f"  at {places}", err=True)
    click.echo(f"  l2-retention, Python {sys.version.split()[0]}, {sys.platform}: please report this", err=True)
