"""The command `venues`: what is supported, and how each channel's continuity is proven."""

import json
from dataclasses import asdict
from enum import Enum

import click

from l2_exporter.core.venue import Channel, Scope, Seeding, Venue, dataset_of, order_datasets_of
from l2_exporter.venues.registry import VENUES

HEADINGS = (
    "venue",
    "channel",
    "markets",
    "dataset",
    "depth",
    "push ms",
    "continuity",
    "first book",
    "checksum",
    "event time",
    "a connection",
    "keys",
    "proof",
)

EXAMPLE = """\b
Examples:
  l2-exporter venues
  l2-exporter venues --markdown
  l2-exporter venues --json | jq '.[] | select(.continuity == "sequence")'
"""


@click.command("venues", epilog=EXAMPLE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/venues/README.md.")
def command(as_json: bool, markdown: bool) -> None:
    """List venues and channels, what proves that nothing is missing, and whether a recording has shown it.

    A channel is `proven` where a real recording of it replays without a break, else `unproven`. "a connection" tells
    how many books one carries, the silence in seconds after which it is asked whether it is there, and the hours after
    which the venue ends it (it is replaced before that, as a declared reconnect).
    """
    if as_json:
        click.echo(json.dumps([_as_json(venue, channel) for venue, channel in _channels()]))
        return
    for line in markdown_lines() if markdown else _plain_lines():
        click.echo(line)


def markdown_lines() -> list[str]:
    """Write the table as docs/venues/README.md carries it."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *(_row(venue, channel) for venue, channel in _channels())]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _plain_lines() -> list[str]:
    rows = [HEADINGS, *(_row(venue, channel) for venue, channel in _channels())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _channels() -> list[tuple[Venue, Channel]]:
    return [(venue, channel) for venue in VENUES.values() for channel in venue.channels.values()]


def _row(venue: Venue, channel: Channel) -> tuple[str, ...]:
    return (
        venue.name,
        channel.name,
        " ".join(venue.markets),
        _datasets(channel),
        _depth(channel),
        "each change" if channel.push_interval_ms is None else str(channel.push_interval_ms),
        channel.continuity.value + (" of the link" if channel.scope is Scope.LINK else ""),
        _first_book(channel),
        _checksum(channel),
        f"{channel.event_time}, {channel.time_decimals} decimals" if channel.event_time else "none: receive time",
        _link(venue),
        "needed" if channel.needs_keys else "none",
        "proven" if channel.proven else "unproven",
    )


def _datasets(channel: Channel) -> str:
    """Name its datasets, with a star for the market."""
    levels = dataset_of("spot", channel)
    names = [*order_datasets_of("spot", channel), levels] if channel.orders else [levels]
    return " ".join(name.replace("_spot", "_*") for name in names)


def _depth(channel: Channel) -> str:
    """Tell how many levels a side it knows, or single orders."""
    if channel.orders:
        return "all orders" if channel.window is None else f"best {channel.window} orders"
    return "whole book" if channel.depth is None else str(channel.depth)


def _first_book(channel: Channel) -> str:
    if channel.whole:
        return "every push"
    if channel.seeding is Seeding.REST:
        return "REST" + (f", {channel.seed_levels} levels" if channel.seed_levels else "")
    return "pushed"


def _checksum(channel: Channel) -> str:
    if not channel.checksum:
        return "none"
    return f"best {channel.checksum_depth}" + (", own frames" if channel.checksum_apart else ", where sent")


def _link(venue: Venue) -> str:
    rules = venue.link
    life = "" if rules.life_s is None else f", {rules.life_s / 3600:g} h"
    return f"{rules.books_per_connection} books, {rules.ping_after_s:g} s{life}"


def _as_json(venue: Venue, channel: Channel) -> dict[str, object]:
    fields = {name: value.value if isinstance(value, Enum) else value for name, value in asdict(channel).items()}
    return {"venue": venue.name, "markets": [*venue.markets], **fields, "link": asdict(venue.link)}
