"""The command `venues`: what is supported, and how each channel's continuity is proven."""

import json
from dataclasses import asdict

import click

from l2_exporter.core.venue import Channel
from l2_exporter.venues.registry import VENUES

HEADINGS = ("venue", "channel", "datasets", "depth", "continuity", "checksum", "event time", "keys", "proof")

EXAMPLE = """\b
Examples:
  l2-exporter venues
  l2-exporter venues --json | jq '.[] | select(.continuity == "sequence")'
"""


@click.command("venues", epilog=EXAMPLE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(as_json: bool) -> None:
    """List venues and channels, what proves that nothing is missing, and whether a recording has shown it.

    A channel is `proven` where a real recording of it replays without a break, else `unproven`.
    """
    channels = [(name, channel) for name, venue in VENUES.items() for channel in venue.channels.values()]
    if as_json:
        click.echo(json.dumps([_as_json(name, channel) for name, channel in channels]))
        return
    rows = [HEADINGS, *(_row(name, channel) for name, channel in channels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(venue: str, channel: Channel) -> tuple[str, ...]:
    return (
        venue,
        channel.name,
        "l2_*" + (f".{channel.suffix}" if channel.suffix else ""),
        "whole book" if channel.depth is None else str(channel.depth),
        channel.continuity.value,
        "where sent" if channel.checksum else "none",
        f"{channel.event_time}, {channel.time_decimals} decimals",
        "needed" if channel.needs_keys else "none",
        "proven" if channel.proven else "unproven",
    )


def _as_json(venue: str, channel: Channel) -> dict[str, object]:
    return {"venue": venue, **asdict(channel), "continuity": channel.continuity.value}
