"""The command `rebuild`: the book of orders at an exact moment, from whole books and the events since."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click

from l2_exporter.archive.find import ArchivedBook, books
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, books_beside, levels_beside
from l2_exporter.archive.orders_book import UNKNOWN_ENTRY, RebuiltSide
from l2_exporter.archive.orders_line import BUY, SELL, event_ns
from l2_exporter.archive.orders_rebuild import Moment, UnknownMomentError, rebuild
from l2_exporter.cli.choosing import choose, moment
from l2_exporter.cli.ladder import aligned, spread
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.decimaltext import mean_text
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import NS_PER_S, utc_text
from l2_exporter.runtime.outlet import one_line
from l2_exporter.venues.registry import line_rules

EXAMPLES = """\b
Examples:
  l2-exporter rebuild tBTCUSD --at 2026-11-21T15:30:45.123Z
  l2-exporter rebuild bitfinex:tBTCUSD --at 2026-11-21T15:30:45Z --level l2 --depth 5
  l2-exporter rebuild tBTCUSD --at 2026-11-21T15:30:45Z --json | jq ".bids[0]"
"""

Row = Sequence[str | None]


@click.command("rebuild", epilog=EXAMPLES)
@click.argument("inst")
@click.option("--at", "at_ns", metavar="TIME", callback=moment, required=True, help="The moment, in book time, UTC.")
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--dataset", help="Dataset of events, where an instrument is in more than one.")
@click.option(
    "--level", type=click.Choice(["l2", "l3"]), default="l3", show_default=True, help="Levels, or single orders."
)
@click.option("--depth", type=click.IntRange(min=1), default=10, show_default=True, help="Levels a side.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the ladder.")
def command(
    inst: str, at_ns: int, vault: Path | None, dataset: str | None, level: str, depth: int, as_json: bool
) -> None:
    """Build the book of INST (such as tBTCUSD or bitfinex:tBTCUSD) at an exact moment, order by order.

    Exit code 1: a file cannot be read; 2: no such instrument, more than one, or the book is not known at that time:
    before its first line, in a loss, behind its newest line, or where lines are missing. The message says which.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    held = books(root)
    book = choose(root, held, inst, dataset, [Kind.EVENTS])
    try:
        made = _rebuilt(root, held, book, at_ns)
    except UnknownMomentError as error:
        raise click.UsageError(str(error)) from error
    except (ArchiveError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(_report(book, made, level, depth)))
    else:
        click.echo("\n".join(_ladder(book, made, level, depth)))


def _rebuilt(root: Path, held: dict[ArchivedBook, list[HourPath]], book: ArchivedBook, at_ns: int) -> Moment:
    def beside(dataset: str) -> list[HourPath]:
        return held.get(ArchivedBook(book.venue, dataset, book.inst), [])

    levels = [hour for name in levels_beside(book.venue, book.dataset, line_rules()) for hour in beside(name)]
    return rebuild(root, book, held[book], beside(books_beside(book.dataset)), levels, at_ns)


def _rows(side: RebuiltSide, level: str, depth: int) -> list[Row]:
    """List the orders of the best levels, or the levels, as the lines of the archive have them."""
    if level == "l2":
        return [*side.side.top(depth)]
    return [[*row[:-1], None if row[-1] == UNKNOWN_ENTRY else row[-1]] for row in side.orders(depth)]


def _ladder(book: ArchivedBook, made: Moment, level: str, depth: int) -> list[str]:
    """Write the ladder, asks above bids, in a level the order that is filled first next to the spread."""
    last, base = made.last, made.base
    bids, asks = made.book.sides[BUY], made.book.sides[SELL]
    below, above = _rows(bids, level, depth), _rows(asks, level, depth)
    shown = [*reversed(above), *below]
    prices, sizes = aligned([str(row[0]) for row in shown]), aligned([str(row[1]) for row in shown])
    more = [_more(row, level) for row in shown]
    rows = [f"  {price}  {size}  {rest}".rstrip() for price, size, rest in zip(prices, sizes, more, strict=True)]
    best_bid, best_ask = bids.side.best, asks.side.best
    mid = None if best_bid is None or best_ask is None else mean_text(best_bid, best_ask)
    return [
        f"{book.name}  {last.market}  {last.channel}  ({book.dataset})",
        f"at        {utc_text(made.at_ns, 9)}",
        f"event     {last.timestamp_utc}, {_age(made)} s before: {last.type}, n {last.number}",
        f"episode   since {last.live_since_utc}",
        f"built on  the book line of {base.line.timestamp_utc}, n {base.number}, and {made.applied} events",
        *[f"known     {text}" for text in _partial(made)],
        f"asks      {_counted(asks)}",
        *rows[: len(above)],
        f"  ---- spread {spread(best_bid, best_ask) or 'none'}, mid {mid or 'none'} ----",
        *rows[len(above) :],
        f"bids      {_counted(bids)}",
    ]


def _more(row: Row, level: str) -> str:
    return f"{row[3]} orders" if level == "l2" else f"{one_line(row[2] or '')}  {row[3] or ''}"


def _counted(side: RebuiltSide) -> str:
    return f"{side.side.count} orders in {side.side.depth} levels"


def _age(made: Moment) -> Decimal:
    """Tell how many seconds lie between the last event and the moment."""
    age = Decimal(made.at_ns - event_ns("", made.last.timestamp_utc)) / NS_PER_S
    return age.normalize() if age != age.to_integral() else age.quantize(Decimal(1))


def _partial(made: Moment) -> list[str]:
    """Say where knowledge ends, if it does."""
    told = []
    for name, side in (("bids", made.book.sides[BUY]), ("asks", made.book.sides[SELL])):
        if side.limit is not None:
            told.append(f"{name} to {side.limit}: the book line ends there; of what lies behind, only what came since")
    if made.cut:
        told.append("not all: there were more orders than the recorder held, and the deepest levels may be wrong")
    return told


def _report(book: ArchivedBook, made: Moment, level: str, depth: int) -> dict[str, object]:
    last, base = made.last, made.base
    bids, asks = made.book.sides[BUY], made.book.sides[SELL]
    return {
        "venue": book.venue,
        "dataset": book.dataset,
        "inst": book.inst,
        "level": level,
        "at": utc_text(made.at_ns, 9),
        "timestamp_utc": last.timestamp_utc,
        "age_s": str(_age(made)),
        "live_since_utc": last.live_since_utc,
        "n": last.number,
        "seqId": last.seq,
        "built_on": {
            "file": str(made.path),
            "line": made.line,
            "timestamp_utc": base.line.timestamp_utc,
            "n": base.number,
            "events": made.applied,
        },
        "partial": {"bids_known_to": bids.limit, "asks_known_to": asks.limit, "max_orders": made.cut},
        "orders": {"bids": bids.side.count, "asks": asks.side.count},
        "levels": {"bids": bids.side.depth, "asks": asks.side.depth},
        "spread": spread(bids.side.best, asks.side.best),
        "bids": _rows(bids, level, depth),
        "asks": _rows(asks, level, depth),
    }
