"""The command `show`: one book as a ladder, from the archive."""

import json
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import click

from l2_exporter.archive.defects import FlawError
from l2_exporter.archive.find import ArchivedBook, books, line_at
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.orders_line import check_order_rows, decode_book
from l2_exporter.archive.stored import StoredLine, decode_line, read_object
from l2_exporter.archive.verify_book import check_levels
from l2_exporter.cli.choosing import choose, moment
from l2_exporter.cli.ladder import aligned, spread
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.errors import ArchiveError

EXAMPLES = """\b
Examples:
  l2-exporter show BTC-USDT-SWAP
  l2-exporter show okx:BTC-USDT-SWAP --at 2026-11-21T15:30:45Z --levels 20
  l2-exporter show BTC-USDT --dataset l2_spot --json | jq .line.best_bid
"""

Rows = list[list[str]]
_VERDICTS = {True: "agrees", False: "does not agree", None: "not checked"}


@click.command("show", epilog=EXAMPLES)
@click.argument("inst")
@click.option(
    "--at", "at_ns", metavar="TIME", callback=moment, help="Last line at or before this UTC time; else the newest."
)
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--dataset", help="Dataset, where an instrument is in more than one, or l3_*_books for orders.")
@click.option("--levels", type=click.IntRange(min=1), default=10, show_default=True, help="Levels a side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the ladder.")
def command(inst: str, at_ns: int | None, vault: Path | None, dataset: str | None, levels: int, as_json: bool) -> None:
    """Show the book of INST (such as BTC-USDT-SWAP or okx:BTC-USDT-SWAP) as a ladder, asks above bids.

    Exit code 1: its line cannot be read; 2: no such instrument, more than one, or no line at that time.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    held = books(root)
    if dataset is not None and kind_of(dataset) is Kind.EVENTS:
        raise click.UsageError(f"{dataset} holds events of orders, not books: see `rebuild`, `orders` and `l3-stats`.")
    kind = Kind.BOOKS if dataset is not None and kind_of(dataset) is Kind.BOOKS else Kind.LEVELS
    book = choose(root, held, inst, dataset, [kind])
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


def _decode(hour: HourPath, raw: bytes) -> StoredLine:
    orders = kind_of(hour.dataset) is Kind.BOOKS
    check = check_order_rows if orders else check_levels
    try:
        line = decode_book(raw).line if orders else decode_line(raw)
        check("bid", line.bids)
        check("ask", line.asks)
    except FlawError as error:
        raise ArchiveError(f"the line in {hour.path} cannot be read: {error}; `verify` tells more") from error
    return line


def _ladder(book: ArchivedBook, line: StoredLine, levels: int) -> list[str]:
    """Write the ladder, prices and sizes aligned at their decimal points; of a book of orders with their ids."""
    orders = kind_of(book.dataset) is Kind.BOOKS
    bids, asks = _best(line.bids, levels, orders), _best(line.asks, levels, orders)
    shown = [*reversed(asks), *bids]
    prices, sizes = aligned([row[0] for row in shown]), aligned([row[1] for row in shown])
    ids = [row[2] if orders else "" for row in shown]
    rows = [f"  {price}  {size}  {ident}".rstrip() for price, size, ident in zip(prices, sizes, ids, strict=True)]
    return [
        f"{book.name}  {line.market}  {line.channel}  ({book.dataset})",
        f"time      {line.timestamp_utc}",
        f"received  {line.received_utc or 'unknown'}",
        f"episode   since {line.live_since_utc}",
        f"sequence  {line.seq} after {line.prev_seq}",
        f"checksum  {line.checksum} ({_VERDICTS[line.checksum_ok]})",
        f"flags     {' '.join(line.flags) or 'none'}",
        f"asks      {_counted(line.asks, orders)} of at most {line.depth}",
        *rows[: len(asks)],
        f"  ---- spread {_spread(line) or 'none'}, mid {line.mid_price or 'none'} ----",
        *rows[len(asks) :],
        f"bids      {_counted(line.bids, orders)} of at most {line.depth}",
    ]


def _best(rows: Rows, levels: int, orders: bool) -> Rows:
    """Choose the rows of the best levels."""
    return [row for level in _levels(rows)[:levels] for row in level] if orders else rows[:levels]


def _levels(rows: Rows) -> list[Rows]:
    return [list(level) for _, level in groupby(rows, key=lambda row: Decimal(row[0]))]


def _counted(rows: Rows, orders: bool) -> str:
    return f"{len(rows)} orders in {len(_levels(rows))} levels" if orders else str(len(rows))


def _spread(line: StoredLine) -> str | None:
    return spread(line.bids[0][0] if line.bids else None, line.asks[0][0] if line.asks else None)


def _report(book: ArchivedBook, hour: HourPath, raw: bytes, line: StoredLine, levels: int) -> dict[str, object]:
    """Give the line as it is stored, but for the levels that were not asked for, and where it stands."""
    stored = read_object(raw)
    orders = kind_of(book.dataset) is Kind.BOOKS
    stored[f"bids_top{line.depth}"] = _best(line.bids, levels, orders)
    stored[f"asks_top{line.depth}"] = _best(line.asks, levels, orders)
    return {
        "file": str(hour.path),
        "venue": book.venue,
        "dataset": book.dataset,
        "inst": book.inst,
        "spread": _spread(line),
        "line": stored,
    }
