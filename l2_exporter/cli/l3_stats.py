"""The command `l3-stats`: what the events of orders of one book add up to."""

import json
import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from l2_exporter.archive.find import ArchivedBook, books
from l2_exporter.archive.orders import Kind
from l2_exporter.archive.orders_line import DONE, OPEN, SIDES
from l2_exporter.archive.orders_stats import Durations, Sizes, Stats, stats_of
from l2_exporter.archive.schema import EVENT_TYPES, words
from l2_exporter.cli.choosing import choose, moment
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import NS_PER_S

EXAMPLES = """\b
Examples:
  l2-exporter l3-stats tBTCUSD
  l2-exporter l3-stats tBTCUSD --from 2026-11-21T15:00:00Z --to 2026-11-21T16:00:00Z --json | jq .lifetimes
"""

IN_MEMORY_BYTES = 8 << 20
"""Lifetimes beyond that lie in a temporary file."""
RANKS = (("median_s", Decimal("0.5")), ("p90_s", Decimal("0.9")), ("p99_s", Decimal("0.99")))
_EXCLUDED = {
    "without_open": "went without an open in the window: had rested before it, or never did",
    "rest_at_end": "rested still at its end",
    "lost": "rested when their episode ended",
    "replaced": "came to rest anew without having gone",
}


@click.command("l3-stats", epilog=EXAMPLES)
@click.argument("inst")
@click.option("--from", "from_ns", metavar="TIME", callback=moment, help="From this moment on, book time, UTC.")
@click.option("--to", "to_ns", metavar="TIME", callback=moment, help="Up to this moment, itself included.")
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--dataset", help="Dataset of events, where an instrument is in more than one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    inst: str, from_ns: int | None, to_ns: int | None, vault: Path | None, dataset: str | None, as_json: bool
) -> None:
    """Add up the events of orders of INST (such as tBTCUSD or bitfinex:tBTCUSD): counts, rates, lifetimes, sizes.

    A lifetime is from an open to the done, or to the event that leaves nothing of the order, in book time and within
    one episode; the ranks are exact (nearest rank). Exit code 1: a file cannot be read; 2: no such instrument, or
    more than one.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    held = books(root)
    book = choose(root, held, inst, dataset, [Kind.EVENTS])
    try:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
            report = _report(book, stats_of(held[book], from_ns, to_ns, Durations(file)))
    except (ArchiveError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(report) if as_json else "\n".join(_lines(report)))


def _report(book: ArchivedBook, stats: Stats) -> dict[str, Any]:
    counts = {
        kind: {side or "unknown": stats.counts[kind, side] for side in (*SIDES, None) if stats.counts[kind, side]}
        for kind in words(EVENT_TYPES)
    }
    lifetimes = stats.lifetimes
    ranks = {name: _seconds(lifetimes.ranked(share)) if lifetimes.count else None for name, share in RANKS}
    return {
        "venue": book.venue,
        "dataset": book.dataset,
        "inst": book.inst,
        "first_utc": stats.first,
        "last_utc": stats.last,
        "known_s": _seconds(stats.known_ns),
        "episodes": stats.episodes,
        "losses": stats.losses,
        "events": stats.events,
        "counts": counts,
        "opens_per_s": _rate(sum(counts[OPEN].values()), stats.known_ns),
        "dones_per_s": _rate(sum(counts[DONE].values()), stats.known_ns),
        "peak": {"second_utc": stats.peak_second and f"{stats.peak_second}Z", "events": stats.peak},
        "lifetimes": {
            "count": lifetimes.count,
            **ranks,
            "max_s": _seconds(lifetimes.greatest) if lifetimes.count else None,
            "excluded": asdict(stats.excluded),
        },
        "opened": {side: _sizes(sizes) for side, sizes in sorted(stats.opened.items())},
        "matched": {side: _sizes(sizes) for side, sizes in sorted(stats.matched.items())},
    }


def _sizes(sizes: Sizes) -> dict[str, object]:
    least, greatest = (None if size is None else _plain(size) for size in (sizes.least, sizes.greatest))
    return {"count": sizes.count, "total": _plain(sizes.total), "min": least, "max": greatest}


def _seconds(duration_ns: int) -> str:
    """Write a duration in seconds, exactly."""
    whole, fraction = divmod(duration_ns, NS_PER_S)
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")


def _rate(count: int, known_ns: int) -> str | None:
    """Write how many a second, to three decimals; None where no time is known."""
    return None if known_ns <= 0 else str((Decimal(count) * NS_PER_S / known_ns).quantize(Decimal("0.001")))


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _lines(report: dict[str, Any]) -> list[str]:
    name = f"{report['venue']}:{report['inst']}  ({report['dataset']})"
    if report["first_utc"] is None:
        return [name, "no events in this window"]
    lifetimes, peak = report["lifetimes"], report["peak"]
    lines = [
        name,
        f"from       {report['first_utc']}",
        f"to         {report['last_utc']}",
        f"known      {report['known_s']} s in {report['episodes']} episodes, {report['losses']} losses",
        f"events     {report['events']}, at most {peak['events']} in a second ({peak['second_utc']})",
    ]
    for kind, counts in report["counts"].items():
        told = ", ".join(f"{side} {count}" for side, count in counts.items() if side != "unknown")
        lines.append(f"  {kind:8} {sum(counts.values())}{f'  ({told})' if told else ''}")
    lines += [
        f"arrivals   {report['opens_per_s'] or '-'} opens per second",
        f"departures {report['dones_per_s'] or '-'} dones per second",
        f"lifetimes  {lifetimes['count']} orders whose open and end lie in the window and in one episode",
    ]
    if lifetimes["count"]:
        told = ", ".join(f"{rank.removesuffix('_s')} {lifetimes[rank]} s" for rank, _ in RANKS)
        lines.append(f"  {told}, max {lifetimes['max_s']} s")
    lines += [f"  left out: {lifetimes['excluded'][name]} that {text}" for name, text in _EXCLUDED.items()]
    for what in ("opened", "matched"):
        for side, sizes in report[what].items():
            text = f"{sizes['total']} in {sizes['count']}, from {sizes['min']} to {sizes['max']}"
            lines.append(f"{what:10} {side}: {text}")
    return lines
