"""The command `verify`: what is wrong in an archive, line by line."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from l2_exporter.archive.defects import Defect
from l2_exporter.archive.verify import Verification
from l2_exporter.archive.verify_select import Selection, select
from l2_exporter.core.timetext import utc_text
from l2_exporter.runtime.rederive import Rederived, rederive, tapes_of
from l2_exporter.venues.registry import VENUES, line_rules

EXAMPLES = """\b
Examples:
  l2-exporter verify vault
  l2-exporter verify vault/raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21
  l2-exporter verify --json vault | jq ".defects[]"
  l2-exporter verify --rederive vault
"""

_WORDS = {"hour": "hour", "tape": "tape", "ledger": "day"}
"""What is counted of each kind of thing that retention deletes."""

_ERASE_LINE = "\r\x1b[K"
_UNPACKED = 8
"""How many times larger a compressed tape is taken to be: for the bar, a guess."""

Show = Callable[[Defect], None]


@click.command("verify", epilog=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes that read; default: one a core.")
@click.option(
    "--rederive", "again", is_flag=True, help="Make the lines again from tapes, and compare. PATH: one vault."
)
@click.option(
    "--tapes",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="With --rederive: tapes, or a folder of them, instead of the vault's own. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(paths: tuple[Path, ...], jobs: int | None, again: bool, tapes: tuple[Path, ...], as_json: bool) -> None:
    """Check lines, order, hours, books, checksums, ledgers and manifests; tell deleted hours from missing ones.

    PATH is a vault, a folder in one, or a single file. Exit code 0: all is well; 1: there are defects, listed as
    file:line reason detail (line 0: the file as a whole); 2: a path does not exist or holds nothing to verify.
    """
    _refuse_senseless(paths, again, tapes)
    for path in paths:
        click.echo(path.absolute(), err=as_json)
    selection = _select(paths)
    taped = tapes_of(paths[0].absolute(), tapes) if again else {}
    defects: list[Defect] = []
    with _progress("files", selection.count(), as_json) as (advance, erase):
        show = _taken(defects, as_json, erase)
        proofs = {
            (venue.name, each.name): each.continuity.value
            for venue in VENUES.values()
            for each in venue.channels.values()
        }
        run = Verification(selection, line_rules(), lambda: advance(1), jobs=jobs or os.cpu_count() or 1, proofs=proofs)
        for defect in run.run():
            show(defect)
    rederived = Rederived() if again else None
    if rederived is not None:
        with _progress("tapes", _size(taped), as_json) as (advance, erase):
            show = _taken(defects, as_json, erase)
            for defect in rederive(paths[0].absolute(), taped, lambda _path: True, rederived, advance):
                show(defect)
    if as_json:
        click.echo(json.dumps(_report(paths, selection, run, defects, rederived)))
    else:
        _summarize(selection, run, len(defects), rederived)
    sys.exit(1 if defects else 0)


def _refuse_senseless(paths: Sequence[Path], again: bool, tapes: Sequence[Path]) -> None:
    if tapes and not again:
        raise click.UsageError("--tapes goes with --rederive.")
    if again and (len(paths) != 1 or not (paths[0] / "raw").is_dir()):
        raise click.UsageError("--rederive needs one PATH, the root of a vault.")


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


def _taken(defects: list[Defect], as_json: bool, erase: str) -> Show:
    """Return what takes note of a defect, and prints it at once unless it is for a program."""

    def take(defect: Defect) -> None:
        defects.append(defect)
        if not as_json:
            click.echo(erase + _text(defect))

    return take


@contextmanager
def _progress(label: str, length: int, as_json: bool) -> Iterator[tuple[Callable[[int], None], str]]:
    """Draw a bar on an interactive stderr. Gives what to call with each step, and what erases the bar's line."""
    if as_json or not sys.stderr.isatty():
        yield lambda _steps: None, ""
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update, _ERASE_LINE if sys.stdout.isatty() else ""


def _size(tapes: dict[str | None, list[Path]]) -> int:
    paths = [path for found in tapes.values() for path in found]
    return sum(path.stat().st_size * (1 if path.suffix == ".jsonl" else _UNPACKED) for path in paths)


def _text(defect: Defect) -> str:
    return f"{_shown(defect.path)}:{defect.line} {defect.reason} {defect.detail}"


def _shown(path: Path) -> str:
    """Write a path on one line; names of foreign files can hold anything, text that is none included."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(path))


def _summarize(selection: Selection, run: Verification, defects: int, rederived: Rederived | None) -> None:
    for path in selection.foreign:
        click.echo(f"note: {_shown(path)} is no file of the archive")
    for path, origin in run.not_live:
        click.echo(f"note: {path} tells of lines whose origin is {origin}, not live")
    for one in run.deleted:
        what = _counted(one.count, _WORDS[one.what])
        span = f"{_utc(one.from_ns)} to {_utc(one.until_ns)}"
        click.echo(f"note: {one.folder}: {what} deleted by retention, {span}, {_counted(one.lines, 'line')}")
    if rederived is not None:
        for path, why in rederived.left_out:
            click.echo(f"note: {path} was not made again: {why}")
        click.echo(f"made again: {_counted(rederived.hours, 'hour')}, {_counted(rederived.lines, 'line')}")
    click.echo(f"{run.files} files, {run.lines} lines, {defects} defects")


def _report(
    paths: Sequence[Path], selection: Selection, run: Verification, defects: list[Defect], rederived: Rederived | None
) -> dict[str, object]:
    report: dict[str, object] = {
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
    if rederived is not None:
        report["rederived"] = {
            "hours": rederived.hours,
            "lines": rederived.lines,
            "left_out": [{"path": str(path), "why": why} for path, why in rederived.left_out],
        }
    return report


def _utc(ns: int) -> str:
    return utc_text(ns, 3)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
