"""The command `replay`: an archive rebuilt from tapes."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import is_tape_name
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS, seconds_to_ns
from l2_exporter.runtime.replay import BookSummary, ReplayOptions, ReplaySummary, replay
from l2_exporter.venues.registry import venue_named

EXIT_BUILD_FAIL = 3

EXAMPLE = """\b
Examples:
  l2-exporter replay tape.jsonl.gz --vault /tmp/rebuilt --venue okx
  l2-exporter replay vault/tape/okx/2026-11-21/*.jsonl --vault /tmp/rebuilt
  l2-exporter replay tape.jsonl.zst --vault /tmp/rebuilt -i okx:BTC-USDT-SWAP --cadence 0.5
"""


@click.command("replay", epilog=EXAMPLE)
@click.argument("tapes", nargs=-1, required=True, metavar="TAPE...", type=click.Path(path_type=Path))
@click.option("--vault", type=click.Path(path_type=Path, file_okay=False), help="Where to rebuild. Must be named.")
@click.option("--venue", metavar="V", help="The tapes' venue, where neither their start nor an address tells it.")
@click.option("--cadence", metavar="S", help="Seconds of book time a line stands for (default: the tape's, else 2).")
@click.option("--depth", type=click.IntRange(1, 100_000), help="Levels a side (default: the tape's, else 400).")
@click.option("-i", "--instrument", "instruments", multiple=True, metavar="V:INST", help="Only these; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(
    tapes: tuple[Path, ...],
    vault: Path | None,
    venue: str | None,
    cadence: str | None,
    depth: int | None,
    instruments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rebuild an archive from tapes (plain, .gz or .zst), offline.

    The same tapes give the same bytes; replaying again adds nothing. Deadlines, losses and gaps come out as they did
    when the tape was made. Exit code 3 if the venue's frames are not what its channel promises.
    """
    if vault is None:
        raise click.UsageError("replay needs --vault: a replay never writes into the default vault.")
    for tape in tapes:
        _require_tape(tape)
    root = vault.absolute()
    click.echo(f"vault: {root}", err=as_json)
    options = ReplayOptions(venue, _cadence_ns(cadence), depth, _insts(instruments, venue))
    with _progress(tapes) as progress:
        summary = replay(read_tapes(tapes, progress), Vault(root), options)
    if as_json:
        click.echo(json.dumps(_report(summary, root)))
    else:
        _print(summary)
    for inst in summary.missing:
        click.echo(f"warning: {inst} has no frame on these tapes", err=True)
    if summary.build_fail is not None:
        click.echo(summary.build_fail, err=True)
        sys.exit(EXIT_BUILD_FAIL)


def _require_tape(tape: Path) -> None:
    if not tape.is_file():
        raise click.UsageError(f"{tape} is not a file.")
    if not is_tape_name(tape):
        raise click.UsageError(f"{tape} is not named like a tape: .jsonl, .jsonl.gz or .jsonl.zst.")


def _cadence_ns(text: str | None) -> int | None:
    """Read the cadence: decimal seconds, whole milliseconds, 10 ms to 1 h."""
    if text is None:
        return None
    cadence_ns = seconds_to_ns(text, "--cadence")
    if not 10 * NS_PER_MS <= cadence_ns <= HOUR_NS:
        raise ConfigError(f"--cadence must lie between 0.01 and 3600 seconds, not {text!r}")
    return cadence_ns


def _insts(named: tuple[str, ...], venue: str | None) -> frozenset[str] | None:
    """Read `-i`: split at the first colon, a bare id means OKX."""
    if not named:
        return None
    insts = set()
    for name in named:
        of_venue, colon, inst = name.partition(":")
        if not colon:
            of_venue, inst = "okx", name
        if not inst:
            raise ConfigError(f"-i {name!r} names no instrument; write it like okx:BTC-USDT-SWAP")
        venue_named(of_venue)
        if venue is not None and of_venue != venue:
            raise ConfigError(f"-i {name!r} is an instrument of {of_venue}, the tapes are of {venue}")
        insts.add(inst)
    return frozenset(insts)


@contextmanager
def _progress(tapes: tuple[Path, ...]) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on an interactive terminal. Its length is a guess for compressed tapes."""
    if not sys.stderr.isatty():
        yield None
        return
    length = sum(tape.stat().st_size * (1 if tape.suffix == ".jsonl" else 8) for tape in tapes)
    with click.progressbar(length=length, label="replay", file=sys.stderr) as bar:
        yield bar.update


def _report(summary: ReplaySummary, root: Path) -> dict[str, object]:
    return {
        "vault": str(root),
        "venue": summary.venue,
        "runs": summary.runs,
        "inputs": summary.inputs,
        "lines": summary.lines,
        "losses": dict(summary.losses),
        "control": summary.control,
        "ignored": summary.ignored,
        "rejected": summary.rejected,
        "missing": summary.missing,
        "build_fail": summary.build_fail,
        "books": [_book_report(book) for book in summary.books.values()],
    }


def _book_report(book: BookSummary) -> dict[str, object]:
    return {
        "dataset": book.dataset,
        "inst": book.inst,
        "lines": book.lines,
        "not_ascending": book.not_ascending,
        "late": book.late,
        "messages": dict(book.messages),
        "checksums": dict(book.checksums),
    }


def _print(summary: ReplaySummary) -> None:
    losses = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.losses.items())) or "none"
    counts = f"{summary.runs} run(s), {summary.inputs} inputs, {summary.lines} lines written"
    click.echo(f"venue: {summary.venue}, {counts}")
    click.echo(f"losses: {losses}")
    if summary.rejected or summary.ignored:
        click.echo(f"frames of no recorded book: {summary.ignored} ignored, {summary.rejected} rejected")
    for book in summary.books.values():
        messages, sums = book.messages, book.checksums
        click.echo(
            f"  {book.dataset} {book.inst}: {book.lines} lines; {messages['received']} messages, "
            f"{messages['applied']} applied, {messages['duplicate']} repeated, "
            f"{messages['before_seed']} before a book, {messages['rejected']} rejected; checksums {sums['ok']} ok, "
            f"{sums['mismatch'] + sums['changed']} wrong, {sums['unchecked']} not sent"
        )
