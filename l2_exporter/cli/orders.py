"""The command `orders`: events of orders, chosen and page by page."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import click

from l2_exporter.archive.find import books
from l2_exporter.archive.orders import Kind
from l2_exporter.archive.orders_filter import Choice, chosen
from l2_exporter.archive.orders_line import SIDES, OrderEvent
from l2_exporter.archive.orders_read import Read
from l2_exporter.archive.schema import EVENT_TYPES, words
from l2_exporter.cli.choosing import choose, moment
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.decimaltext import is_number
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import utc_ns
from l2_exporter.runtime.outlet import one_line

EXAMPLES = """\b
Examples:
  l2-exporter orders tBTCUSD --from 2026-11-21T15:30:00Z --limit 20
  l2-exporter orders tBTCUSD --order-id 60504617884 --json | jq .events[]
  l2-exporter orders tBTCUSD --type open --side sell --min-size 5 --after 2026-11-21T15:30:45.123Z/8812
"""

_CURSOR = re.compile(r"([^/]+)/(\d{1,18})", re.ASCII)

Found = tuple[Read, OrderEvent]


def _cursor(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Read a cursor: time and number of the last line of the page before."""
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    try:
        if match is not None:
            return utc_ns(match[1]), int(match[2])
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is no cursor such as 2026-11-21T15:30:45.123Z/8812")


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> Decimal | None:
    if text is not None and not is_number(text):
        raise click.BadParameter(f"{text!r} is not a plain number such as 0.5")
    return None if text is None else Decimal(text)


@click.command("orders", epilog=EXAMPLES)
@click.argument("inst")
@click.option("--from", "from_ns", metavar="TIME", callback=moment, help="From this moment on, book time, UTC.")
@click.option("--to", "to_ns", metavar="TIME", callback=moment, help="Up to this moment, itself included.")
@click.option("--order-id", metavar="ID", help="Of this order only, as maker or taker of a match too.")
@click.option("--side", type=click.Choice(SIDES), help="Of orders of this side only.")
@click.option("--min-size", metavar="SIZE", callback=_size, help="Of at least this size; of a done, what was left.")
@click.option("--type", "types", type=click.Choice(words(EVENT_TYPES)), multiple=True, help="Only these; repeatable.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Lines a page.")
@click.option("--after", metavar="CURSOR", callback=_cursor, help="Go on behind the page that ended with this cursor.")
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--dataset", help="Dataset of events, where an instrument is in more than one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: events as stored, and the next cursor.")
def command(
    inst: str,
    from_ns: int | None,
    to_ns: int | None,
    order_id: str | None,
    side: str | None,
    min_size: Decimal | None,
    types: tuple[str, ...],
    limit: int,
    after: tuple[int, int] | None,
    vault: Path | None,
    dataset: str | None,
    as_json: bool,
) -> None:
    """List events of orders of INST (such as tBTCUSD or bitfinex:tBTCUSD) in the order in which they happened.

    If there are more than a page holds, the cursor for the next one is told: a time and a number that stay valid
    whatever happens to the files. Exit code 1: a file cannot be read; 2: no such instrument, or more than one.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    held = books(root)
    book = choose(root, held, inst, dataset, [Kind.EVENTS])
    choice = Choice(from_ns, to_ns, order_id, side, min_size, frozenset(types), after)
    found = chosen(held[book], choice)
    try:
        (_print_json if as_json else _print_text)(found, limit)
    except (ArchiveError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _print_json(found: Iterator[Found], limit: int) -> None:
    """Print the page as it is read."""
    last: OrderEvent | None = None
    for read, event in islice(found, limit):
        click.echo(("," if last else '{"events":[') + read.raw.decode())
        last = event
    more = next(found, None) is not None
    click.echo(("" if last else '{"events":[') + f'],"next":{json.dumps(_place(last) if more else None)}}}')


def _print_text(found: Iterator[Found], limit: int) -> None:
    last: OrderEvent | None = None
    for _, event in islice(found, limit):
        click.echo(_line(event))
        last = event
    if next(found, None) is not None:
        click.echo(f"more: --after {_place(last)}", err=True)


def _line(event: OrderEvent) -> str:
    """Write an event: when, what, which order, and what is left of it."""
    if event.order_id is None:
        return f"{event.timestamp_utc}  {event.type:6}  {' '.join(event.flags)}".rstrip()
    side, price, size = event.side or "-", event.price or "-", event.size or "-"
    text = f"{event.timestamp_utc}  {event.type:6}  {side:4}  {event.order_id}  {price}  {size}"
    left = f"  left {event.remaining}" if event.remaining not in (None, event.size) else ""
    return one_line(text + left + (f"  {event.reason}" if event.reason else ""))


def _place(event: OrderEvent | None) -> str | None:
    return None if event is None else f"{event.timestamp_utc}/{event.number}"
