"""The command `instruments`: what a venue lists."""

import json
import sys
from contextlib import closing
from pathlib import Path

import click

from l2_exporter.archive.metadata import metadata_object
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.venue import DATASETS
from l2_exporter.runtime.instruments import fetch_instruments
from l2_exporter.runtime.pacing import limits_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.venues.registry import venue_named

HEADINGS = ("id", "symbol", "market", "kind", "contract", "tick", "lot", "state", "expiry")
NONE = "-"

EXAMPLE = """\b
Examples:
  l2-exporter instruments okx --market perp --match btc
  l2-exporter instruments okx --market futures --market option --match BTC-USD
  l2-exporter instruments okx --json | jq -r '.[] | select(.kind == "inverse") | .inst'
"""


@click.command("instruments", epilog=EXAMPLE)
@click.argument("venue_name", metavar="VENUE")
@click.option(
    "--market", "markets", multiple=True, type=click.Choice(list(DATASETS)), help="Only this; may be repeated."
)
@click.option("--match", "text", metavar="TEXT", default="", help="Only ids and symbols that hold this, in any case.")
@click.option("--rest-url", metavar="URL", help="Ask here instead of at the venue's own address.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="Certificates to trust instead of the usual ones.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array of metadata, as the archive has it.")
def command(
    venue_name: str, markets: tuple[str, ...], text: str, rest_url: str | None, ca_file: Path | None, as_json: bool
) -> None:
    """List the instruments of VENUE: id, symbol, kind, what a contract is worth, tick, lot, state.

    Exit code 1: the venue cannot be reached, or its answer is no list; 2: no such venue.
    """
    venue = venue_named(venue_name)
    with closing(RestClient(rest_url or venue.link.rest_url, limits_of(venue.link), ca_file)) as client:
        listed = fetch_instruments(client, venue, markets or list(DATASETS))
    found = sorted((each for each in listed if _matches(each, text)), key=_order)
    if as_json:
        click.echo(json.dumps([metadata_object(instrument) for instrument in found]))
        return
    _print([HEADINGS, *map(_row, found)])
    click.echo(f"{len(found)} of {len(listed)} instruments", err=True)


def _matches(instrument: Instrument, text: str) -> bool:
    return any(text.casefold() in name.casefold() for name in (instrument.inst, instrument.symbol or ""))


def _order(instrument: Instrument) -> tuple[int, str]:
    return list(DATASETS).index(instrument.market), instrument.inst


def _row(instrument: Instrument) -> tuple[str, ...]:
    value, currency = instrument.contract_value, instrument.contract_value_ccy
    cells = (
        instrument.inst,
        instrument.symbol,
        instrument.market,
        instrument.kind,
        None if value is None else f"{value} {currency or ''}".rstrip(),
        instrument.tick,
        instrument.lot,
        instrument.state,
        None if instrument.expiry_utc is None else instrument.expiry_utc[:16] + "Z",
    )
    return tuple(cell or NONE for cell in cells)


def _print(rows: list[tuple[str, ...]]) -> None:
    """Print aligned columns. A terminal or file that cannot hold a sign (USDⓈ on Windows) gets a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line.encode(encoding, "replace").decode(encoding))
