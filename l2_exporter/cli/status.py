"""The command `status`: the health of a running recorder, for people and for scripts."""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from l2_exporter.archive.layout import Vault
from l2_exporter.cli.options import Seconds, VaultFolder
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
@click.option("--vault", type=VaultFolder(), help="Default: ./vault.")
@click.option("--max-age", type=Seconds(min=0), default=30.0, show_default=True, metavar="S")
@click.option("--watch", is_flag=True, help="Show a live table until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(vault: Path | None, max_age: float, watch: bool, as_json: bool) -> None:
    """Tell how a recorder stands.

    Exit code 1 if it does not run or has not renewed its status for --max-age seconds; if a book is suspect, or not
    live and without a line for that time; if the disk takes no lines, or has not synced them for that time.
    """
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
            problems = diagnose(status, max_age_s, now_ns)
            table([status], {})
        except (OSError, ValueError, KeyError, TypeError) as error:
            ill.append(f"{name}: its status cannot be read: {type(error).__name__} {error}")
            continue
        venues.append(status)
        ill += [f"{name}: {problem}" for problem in problems]
    if not names:
        ill.append(f"no recorder has left a status in {folder}")
    return venues, ill


def diagnose(status: dict[str, Any], max_age_s: float, now_ns: int) -> list[str]:
    """Say what is wrong with one recorder. What may pass by itself is wrong once it has lasted for `max_age_s`.

    Raises:
        ValueError, KeyError, TypeError: it is no status of ours.
    """
    age_s, state = _age_s(status["written_utc"], now_ns), str(status["state"])
    if state == "stopped":
        return [f"nothing runs: the recorder was stopped {age_s:.0f} s ago"]
    if age_s > max_age_s:
        return [f"nothing runs: the status is {age_s:.0f} s old, state {state}"]
    problems = [state] if state in ILL else []
    for one in status["instruments"]:
        last = one["last_line_utc"] or status["started_utc"]
        if one["state"] == "suspect":
            problems.append(f"{one['id']} is suspect")
        elif one["state"] != "live" and _age_s(last, now_ns) > max_age_s:
            problems.append(f"{one['id']} is {one['state']}, and has no line since {last}")
    if status["books_suspended"]:
        problems.append(f"the disk takes no lines of {status['books_suspended']} books")
    if status["sync_lag_s"] > max_age_s:
        problems.append(f"the disk has not synced for {status['sync_lag_s']:.0f} s")
    return problems


def _age_s(moment_utc: str, now_ns: int) -> float:
    return (now_ns - utc_ns(moment_utc)) / NS_PER_S


def table(venues: list[dict[str, Any]], before: dict[str, tuple[float, int]]) -> list[str]:
    """Lay the instruments out as lines of a table. `before` keeps (seconds, messages) between two tables."""
    rows: list[tuple[str, ...]] = [
        ("instrument", "state", "bid", "ask", "spread", "msg/s", "messages", "lines", "losses", "lag ms", "last line")
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
    cells = [*(_cell(one.get(name)) for name in names), _spread(one.get("best_bid"), one.get("best_ask"))]
    return (*cells, rate, *(_cell(one.get(name)) for name in counted))


def _spread(bid: object, ask: object) -> str:
    """Tell the exact difference of two prices, negative in a crossed book."""
    if not (isinstance(bid, str) and isinstance(ask, str)):
        return "-"
    return f"{Decimal(ask) - Decimal(bid):f}"


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
