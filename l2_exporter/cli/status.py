"""The command `status`: the health of a running recorder, for people and for scripts."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from l2_exporter.archive.layout import Vault
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.timetext import NS_PER_S, utc_ns

WATCH_EVERY_S = 2.0
ILL = ("suspect", "schema_break", "failed")

EXAMPLE = """\b
Examples:
  l2-exporter status
  l2-exporter status --json | jq '.venues[].state'
  l2-exporter status --watch
"""


@click.command("status", epilog=EXAMPLE)
@click.option("--vault", type=click.Path(path_type=Path, file_okay=False), help="Default: ./vault.")
@click.option("--max-age", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="S")
@click.option("--watch", is_flag=True, help="Show a live table until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(vault: Path | None, max_age: float, watch: bool, as_json: bool) -> None:
    """Tell how a recorder stands. Exit code 1 if its status is older than --max-age seconds, or a book is suspect."""
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    if watch and not as_json:
        _watch(root, max_age)
        return
    venues, ill = examine(root, max_age, time.time_ns())
    if as_json:
        click.echo(json.dumps({"vault": str(root), "ok": not ill, "problems": ill, "venues": venues}))
    else:
        for line in table(venues, {}):
            click.echo(line)
        for problem in ill:
            click.echo(f"problem: {problem}")
    sys.exit(1 if ill else 0)


def examine(root: Path, max_age_s: float, now_ns: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Read every venue's status; return them and what is wrong, in plain words."""
    folder = root / "meta"
    names = sorted(path.parent.name for path in folder.glob("*/status.json"))
    venues, ill = [], []
    for name in names:
        try:
            status = json.loads(Vault(root).status_file(name).read_bytes())
            age_s = (now_ns - utc_ns(status["written_utc"])) / NS_PER_S
            state = str(status["state"])
            suspects = [str(one["id"]) for one in status["instruments"] if one["state"] == "suspect"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            ill.append(f"{name}: its status cannot be read: {error}")
            continue
        venues.append(status)
        if age_s > max_age_s:
            ill.append(f"{name}: nothing runs: the status is {age_s:.0f} s old, state {state}")
        elif state in ILL:
            ill.append(f"{name}: {state}")
        ill += [f"{name}: {inst} is suspect" for inst in suspects]
    if not names:
        ill.append(f"no recorder has left a status in {folder}")
    return venues, ill


def table(venues: list[dict[str, Any]], before: dict[str, tuple[float, int]]) -> list[str]:
    """Lay the instruments out as lines of a table. `before` keeps (seconds, messages) between two tables."""
    rows: list[tuple[str, ...]] = [
        ("instrument", "state", "bid", "ask", "msg/s", "messages", "lines", "losses", "lag ms", "last line")
    ]
    notes = []
    for status in venues:
        notes.append(_headline(status))
        at_s = utc_ns(status["written_utc"]) / NS_PER_S
        rows += [
            _row(one, _rate(before, f"{status['venue']}/{one['id']}", at_s, one["messages"]))
            for one in status["instruments"]
        ]
        notes += [
            f"  {link['conn']}: {link['state']}, opened {link['opened']} times, last error: {link['last_error']}"
            for link in status["connections"]
            if link["last_error"] or link["state"] != "open"
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    laid = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*notes, *laid]


def _headline(status: dict[str, Any]) -> str:
    disk = status["disk"]
    free = disk["free_bytes"]
    room = "unknown" if free is None else f"{free / 1e9:.1f} GB"
    hours = disk["hours_to_full"]
    return (
        f"{status['venue']}: {status['state']}, pid {status['pid']}, since {status['started_utc']}, "
        f"written {status['written_utc']}, free {room}" + (f", full in {hours} h" if hours is not None else "")
    )


def _row(one: dict[str, Any], rate: str) -> tuple[str, ...]:
    names = ("id", "state", "best_bid", "best_ask")
    counted = ("messages", "lines", "losses", "lag_ms", "last_line_utc")
    cells = [_cell(one.get(name)) for name in names]
    return (*cells, rate, *(_cell(one.get(name)) for name in counted))


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _rate(before: dict[str, tuple[float, int]], name: str, at_s: float, messages: int) -> str:
    last = before.get(name)
    before[name] = (at_s, messages)
    if last is None or at_s <= last[0] or messages < last[1]:
        return "-"
    return f"{(messages - last[1]) / (at_s - last[0]):.1f}"


def _watch(root: Path, max_age_s: float) -> None:
    before: dict[str, tuple[float, int]] = {}
    while True:
        venues, ill = examine(root, max_age_s, time.time_ns())
        lines = [*table(venues, before), *(f"problem: {problem}" for problem in ill)]
        click.clear()
        click.echo("\n".join(lines))
        time.sleep(WATCH_EVERY_S)
