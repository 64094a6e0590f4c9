"""The command `show`: one book as a ladder, from the archive."""

import difflib
import json
from decimal import Context, Decimal
from pathlib import Path

import click

from l2_exporter.archive.defects import FlawError
from l2_exporter.archive.find import ArchivedBook, books, line_at
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.stored import StoredLine, decode_line, read_object
from l2_exporter.archive.verify_book import check_levels
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import utc_ns

EXAMPLES = """\b
Examples:
  l2-exporter show BTC-USDT-SWAP
  l2-exporter show okx:BTC-USDT-SWAP --at 2026-11-21T15:30:45Z --levels 20
  l2-exporter show BTC-USDT --dataset l2_spot --json | jq .line.best_bid
"""

_EXACT = Context(prec=256, Emax=10_000, Emin=-10_000)
_VERDICTS = {True: "agrees", False: "does not agree", None: "not checked"}


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Read a time such as 2026-11-21T15:30:45Z as nanoseconds since 1970."""
    try:
        return None if text is None else utc_ns(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a UTC time such as 2026-11-21T15:30:45Z") from error


@click.command("show", epilog=EXAMPLES)
@click.argument("inst")
@click.option(
    "--at", "at_ns", metavar="TIME", callback=_moment, help="Last line at or before this UTC time; else the newest."
)
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--dataset", help="Dataset, where an instrument is in more than one.")
@click.option("--levels", type=click.IntRange(min=1), default=10, show_default=True, help="Levels a side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the ladder.")
def command(inst: str, at_ns: int | None, vault: Path | None, dataset: str | None, levels: int, as_json: bool) -> None:
    """Show the book of INST (such as BTC-USDT-SWAP or okx:BTC-USDT-SWAP) as a ladder, asks above bids.

    Exit code 1: its line cannot be read; 2: no such instrument, more than one, or no line at that time.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    held = books(root)
    book = _choose(root, list(held), inst, dataset)
    try:
        found = line_at(held[book], at_ns)
        if found is None:
            raise click.UsageError(f"{book.name} has no line in {root}{' at or before that time' if at_ns else ''}.")
        hour, raw = found
        line = _decode(hour, raw)
    except (ArchiveError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(_report(book, hour, raw, line, levels)))
    else:
        click.echo("\n".join(_ladder(book, line, levels)))


def _choose(root: Path, held: list[ArchivedBook], inst: str, dataset: str | None) -> ArchivedBook:
    """Find the one book that a user means."""
    named = [book for book in held if inst in (book.inst, book.name)]
    matches = [book for book in named if dataset in (None, book.dataset)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise click.UsageError(f"{inst} is more than one book; name it in full, with --dataset:\n{_listed(matches)}")
    if named:
        raise click.UsageError(f"{inst} is not in dataset {dataset}; it is in:\n{_listed(named)}")
    near = _near(held, inst)
    raise click.UsageError(f"{inst} is not in {root}{f'; near it are:{chr(10)}{_listed(near)}' if near else '.'}")


def _near(held: list[ArchivedBook], inst: str) -> list[ArchivedBook]:
    """List the books whose name is most like what was asked for, or contains it."""
    wanted = inst.casefold()
    names = {name.casefold(): book for book in held for name in (book.inst, book.name)}
    close = difflib.get_close_matches(wanted, names, n=5)
    containing = [name for name in names if wanted in name]
    return list(dict.fromkeys(names[name] for name in (*close, *containing)))[:5]


def _listed(found: list[ArchivedBook]) -> str:
    return "\n".join(f"  {book.name} --dataset {book.dataset}" for book in found)


def _decode(hour: HourPath, raw: bytes) -> StoredLine:
    try:
        line = decode_line(raw)
        check_levels("bid", line.bids)
        check_levels("ask", line.asks)
    except FlawError as error:
        raise ArchiveError(f"the line in {hour.path} cannot be read: {error}; `verify` tells more") from error
    return line


def _ladder(book: ArchivedBook, line: StoredLine, levels: int) -> list[str]:
    """Write the ladder, prices and sizes aligned at their decimal points."""
    shown = [*reversed(line.asks[:levels]), *line.bids[:levels]]
    prices, sizes = _aligned([row[0] for row in shown]), _aligned([row[1] for row in shown])
    rows = [f"  {price}  {size}".rstrip() for price, size in zip(prices, sizes, strict=True)]
    asks = len(line.asks[:levels])
    return [
        f"{book.name}  {line.market}  {line.channel}  ({book.dataset})",
        f"time      {line.timestamp_utc}",
        f"received  {line.received_utc or 'unknown'}",
        f"episode   since {line.live_since_utc}",
        f"sequence  {line.seq} after {line.prev_seq}",
        f"checksum  {line.checksum} ({_VERDICTS[line.checksum_ok]})",
        f"flags     {' '.join(line.flags) or 'none'}",
        f"asks      {len(line.asks)} of at most {line.depth}",
        *rows[:asks],
        f"  ---- spread {_spread(line) or 'none'}, mid {line.mid_price or 'none'} ----",
        *rows[asks:],
        f"bids      {len(line.bids)} of at most {line.depth}",
    ]


def _aligned(texts: list[str]) -> list[str]:
    """Pad numbers so that their decimal points stand below each other."""
    wholes = max((len(text.partition(".")[0]) for text in texts), default=0)
    padded = [" " * (wholes - len(text.partition(".")[0])) + text for text in texts]
    width = max(map(len, padded), default=0)
    return [text.ljust(width) for text in padded]


def _spread(line: StoredLine) -> str | None:
    """Write best ask minus best bid exactly; negative on a crossed book, None if a side is empty."""
    if not line.bids or not line.asks:
        return None
    return format(_EXACT.subtract(Decimal(line.asks[0][0]), Decimal(line.bids[0][0])), "f")


def _report(book: ArchivedBook, hour: HourPath, raw: bytes, line: StoredLine, levels: int) -> dict[str, object]:
    """Give the line as it is stored, but for the levels that were not asked for, and where it stands."""
    stored = read_object(raw)
    stored[f"bids_top{line.depth}"] = line.bids[:levels]
    stored[f"asks_top{line.depth}"] = line.asks[:levels]
    return {
        "file": str(hour.path),
        "venue": book.venue,
        "dataset": book.dataset,
        "inst": book.inst,
        "spread": _spread(line),
        "line": stored,
    }
