"""The command `verify`: what is wrong in an archive, line by line."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from l2_exporter.archive.defects import Defect
from l2_exporter.archive.verify import Verification
from l2_exporter.archive.verify_select import Selection, select
from l2_exporter.core.timetext import utc_text
from l2_exporter.venues.registry import line_rules

EXAMPLES = """\b
Examples:
  l2-exporter verify vault
  l2-exporter verify vault/raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21
  l2-exporter verify --json vault | jq ".defects[]"
"""

_WORDS = {"hour": "hour", "tape": "tape", "ledger": "day"}
"""What is counted of each kind of thing that retention deletes."""

_ERASE_LINE = "\r\x1b[K"


@click.command("verify", epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check lines, order, hours, books, checksums, ledgers and manifests; tell deleted hours from missing ones.

    PATH is a vault, a folder in one, or a single file. Exit code 0: all is well; 1: there are defects, listed as
    file:line reason detail (line 0: the file as a whole); 2: a path does not exist or holds nothing to verify.
    """
    for path in paths:
        click.echo(path.absolute(), err=as_json)
    selection = _select(paths)
    with _progress(selection.count()) as (file_done, erase):
        run = Verification(selection, line_rules(), file_done)
        defects = _defects(run, show=None if as_json else lambda defect: click.echo(erase + _text(defect)))
    if as_json:
        click.echo(json.dumps(_report(paths, selection, run, defects)))
    else:
        _summarize(selection, run, len(defects))
    sys.exit(1 if defects else 0)


def _select(paths: Sequence[Path]) -> Selection:
    """Find what to verify; every single path must hold something."""
    found = []
    for path in paths:
        try:
            found.append(select([path]))
        except OSError as error:
            raise click.UsageError(f"{path.absolute()} cannot be verified: {error.strerror or error}.") from error
        if not found[-1].count() and not found[-1].misnamed:
            raise click.UsageError(f"{path.absolute()} holds no hour files, ledgers, manifests or records to verify.")
    return found[0] if len(found) == 1 else select(paths)


def _defects(run: Verification, show: Callable[[Defect], None] | None) -> list[Defect]:
    found = []
    for defect in run.run():
        found.append(defect)
        if show is not None:
            show(defect)
    return found


@contextmanager
def _progress(files: int) -> Iterator[tuple[Callable[[], None], str]]:
    """Draw a bar on an interactive stderr. Gives what to call after each file, and what erases the bar's line."""
    if not sys.stderr.isatty():
        yield lambda: None, ""
        return
    with click.progressbar(length=files, label="files", file=sys.stderr) as bar:
        yield lambda: bar.update(1), _ERASE_LINE if sys.stdout.isatty() else ""


def _text(defect: Defect) -> str:
    return f"{_shown(defect.path)}:{defect.line} {defect.reason} {defect.detail}"


def _shown(path: Path) -> str:
    """Write a path on one line; names of foreign files can hold anything, text that is none included."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(path))


def _summarize(selection: Selection, run: Verification, defects: int) -> None:
    for path in selection.foreign:
        click.echo(f"note: {_shown(path)} is no file of the archive")
    for path, origin in run.not_live:
        click.echo(f"note: {path} tells of lines whose origin is {origin}, not live")
    for one in run.deleted:
        what = _counted(one.count, _WORDS[one.what])
        span = f"{_utc(one.from_ns)} to {_utc(one.until_ns)}"
        click.echo(f"note: {one.folder}: {what} deleted by retention, {span}, {_counted(one.lines, 'line')}")
    click.echo(f"{run.files} files, {run.lines} lines, {defects} defects")


def _report(paths: Sequence[Path], selection: Selection, run: Verification, defects: list[Defect]) -> dict[str, object]:
    return {
        "paths": [str(path.absolute()) for path in paths],
        "files": run.files,
        "lines": run.lines,
        "defects": [
            {"path": str(defect.path), "line": defect.line, "reason": defect.reason, "detail": defect.detail}
            for defect in defects
        ],
        "foreign": [str(path) for path in selection.foreign],
        "not_live": [{"path": str(path), "origin": origin} for path, origin in run.not_live],
        "deleted": [
            {
                "path": str(one.folder),
                "what": one.what,
                "count": one.count,
                "lines": one.lines,
                "from": _utc(one.from_ns),
                "until": _utc(one.until_ns),
            }
            for one in run.deleted
        ],
    }


def _utc(ns: int) -> str:
    return utc_text(ns, 3)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
