"""The command `report`: how well each instrument was recorded, day by day, in plain words."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click

from l2_exporter.archive.find import ArchivedBook
from l2_exporter.archive.layout import hour_text
from l2_exporter.archive.report import NEWEST_DAYS, SHARES, BookDay, Holdings, Report, make_report, seconds
from l2_exporter.cli.choosing import listed
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.timetext import NS_PER_MS, utc_text

EXAMPLES = """\b
Examples:
  l2-exporter report
  l2-exporter report --from 2026-11-20 --to 2026-11-20 BTC-USDT-SWAP
  l2-exporter report --min-coverage 99.9 --json | jq ".days[] | select(.look != [])"
"""

_EPOCH = date(1970, 1, 1).toordinal()
_DEAD_S = 900
"""A book that is live and has been silent for so long at the end of a day is called dead."""
_CLOCKS = "latency is receive time minus event time: clocks that differ shift all of it, and it can be negative"


def _day(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Read a date such as 2026-11-21 as a number of days since 1970."""
    try:
        return None if text is None else date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a date such as 2026-11-21") from error


@click.command("report", epilog=EXAMPLES)
@click.argument("insts", nargs=-1, metavar="[INST]...")
@click.option("--vault", type=click.Path(path_type=Path), help="Root of the vault; default: L2_VAULT, else vault/.")
@click.option("--from", "first", metavar="DATE", callback=_day, help="First UTC day; default: the newest 7 days.")
@click.option("--to", "last", metavar="DATE", callback=_day, help="Last UTC day, inclusive; default: the newest.")
@click.option(
    "--min-coverage", type=click.FloatRange(0, 100), default=99.0, show_default=True, metavar="PERCENT",
    help="A book and day below it needs a look.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes that read; default: one a core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    insts: tuple[str, ...],
    vault: Path | None,
    first: int | None,
    last: int | None,
    min_coverage: float,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Tell for each book and UTC day: coverage, losses, resyncs, checksums, latency, silence, disk.

    INST is an instrument such as BTC-USDT-SWAP or okx:BTC-USDT-SWAP; default: all. Exit code 0: all is well; 1:
    something needs a look (coverage below --min-coverage, suspect, schema_break, write_suspended, a damaged file); 2:
    wrong usage, or nothing to report on.
    """
    root = resolve_vault(vault)
    click.echo(f"vault: {root}", err=as_json)
    holdings = Holdings(root)
    books = _chosen(holdings, insts)
    newest = holdings.newest_day()
    if newest is None:
        raise click.UsageError(f"{root} holds no hour files and no manifests to report on.")
    last_day = newest if last is None else last
    first_day = last_day - NEWEST_DAYS + 1 if first is None else first
    if first_day > last_day:
        raise click.UsageError("--from is later than --to.")
    hours = sum(first_day * 24 <= hour < (last_day + 1) * 24 for book in books for hour in holdings.hours.get(book, {}))
    with _progress(hours, as_json) as hour_done:
        report = make_report(
            holdings, books, first_day, last_day, jobs=jobs or os.cpu_count() or 1, hour_done=hour_done
        )
    if not report.days:
        raise click.UsageError(f"{root} holds nothing from {_date(first_day)} to {_date(last_day)}.")
    looks = [_look(found, min_coverage) for found in report.days]
    if as_json:
        click.echo(json.dumps(_report(root, report, looks)))
    else:
        _print(report, looks)
    sys.exit(1 if any(looks) or report.trouble or report.damaged else 0)


def _chosen(holdings: Holdings, insts: Sequence[str]) -> list[ArchivedBook]:
    """Find the books that a user names."""
    chosen = set()
    for inst in insts:
        found = [book for book in holdings.books if inst in (book.inst, book.name)]
        if not found:
            raise click.UsageError(f"{inst} is not in {holdings.root}; there are:\n{listed(holdings.books)}")
        chosen.update(found)
    return sorted(chosen) if insts else holdings.books


@contextmanager
def _progress(hours: int, as_json: bool) -> Iterator[Callable[[], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=hours, label="hours", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _look(found: BookDay, min_coverage: float) -> list[str]:
    """List what somebody should look at."""
    coverage = found.coverage
    looks = [] if coverage is None or coverage >= min_coverage else [f"coverage is below {min_coverage:g} %"]
    looks += [f"{what}, {_times(count)}" for what, count in sorted(found.trouble.items())]
    if found.seen.damage is not None:
        looks.append(f"damaged: {found.seen.damage}")
    return looks


def _print(report: Report, looks: Sequence[list[str]]) -> None:
    for found, look in zip(report.days, looks, strict=True):
        click.echo(f"\n{found.book.name}  {found.book.dataset}  {_date(found.day)}")
        for name, text in _lines(found):
            click.echo(f"  {name:<10} {text}")
        for text in look:
            click.echo(f"  {'LOOK':<10} {text}")
    click.echo("")
    for (venue, day), counts in sorted(report.trouble.items()):
        for what, count in sorted(counts.items()):
            click.echo(f"LOOK: {venue} {_date(day)}: {what}, {_times(count)}")
    for path, why in report.damaged:
        click.echo(f"LOOK: {path}: {why}")
    click.echo(f"disk: {_bytes(report.free_bytes)} free, {_bytes(report.bytes_a_day)} a day{_until_full(report)}")
    click.echo(f"note: {_CLOCKS}")
    need = sum(map(bool, looks))
    click.echo(f"{len(looks)} book days, {need} of them need a look")


def _lines(found: BookDay) -> Iterator[tuple[str, str]]:
    """Write what there is to say of a day, a name and a text each."""
    dark_ns = found.asked_ns - found.live_ns
    coverage = found.coverage
    if coverage is None:
        yield "coverage", "nothing was to be recorded"
    else:
        what = "all of it live" if not dark_ns else f"{_span(dark_ns)} not live"
        yield "coverage", f"{_percent(coverage)} % of {_span(found.asked_ns)}: {what}"
    yield "losses", _losses(found)
    yield "resyncs", _counts(found.resyncs)
    sums = found.seen.checksums
    yield "checksums", f"{sums['ok']} right, {sums['mismatch']} wrong, {sums['unchecked']} not checked"
    if found.latency_ns[0] is None:
        yield "latency", "unknown"
    else:
        names = ("p50", "p90", "p99", "max")
        yield "latency", ", ".join(f"{name} {_ms(ns)}" for name, ns in zip(names, found.latency_ns, strict=True))
    yield "silence", _silence(found)
    yield "disk", f"{_bytes(found.size)} for {found.seen.lines} lines in {found.hours} hours"
    for origin, hours in sorted(found.origins.items()):
        yield "origin", f"{origin}, not live{': hours ' + ', '.join(f'{hour:02d}' for hour in hours) if hours else ''}"


def _losses(found: BookDay) -> str:
    if not found.losses:
        return "none"
    reasons = Counter(loss.reason for loss in found.losses)
    spans = {reason: sum(loss.lost_ns for loss in found.losses if loss.reason == reason) for reason in reasons}
    open_ = sum(loss.until_ns is None for loss in found.losses)
    said = ", ".join(f"{count} {reason} ({_span(spans[reason])})" for reason, count in sorted(reasons.items()))
    return f"{said}{f'; {open_} not over' if open_ else ''}"


def _silence(found: BookDay) -> str:
    seen = found.seen
    if not seen.lines:
        return "no line at all"
    dead = (
        f"dead: no line in the last {_span(found.quiet_ns)}, though live; "
        if seconds(found.quiet_ns) >= _DEAD_S
        else ""
    )
    if seen.silence_from_ns is None:
        return f"{dead}fewer than two lines in a row"
    return f"{dead}at most {_span(seen.silence_ns)} between lines while live, from {utc_text(seen.silence_from_ns, 3)}"


def _report(root: Path, report: Report, looks: Sequence[list[str]]) -> dict[str, object]:
    return {
        "vault": str(root),
        "days": [_day_report(found, look) for found, look in zip(report.days, looks, strict=True)],
        "venues": [
            {"venue": venue, "day": _date(day), "trouble": dict(counts)}
            for (venue, day), counts in sorted(report.trouble.items())
        ],
        "damaged": [{"path": str(path), "why": why} for path, why in report.damaged],
        "disk": {
            "free_bytes": report.free_bytes,
            "bytes_a_day": round(report.bytes_a_day),
            "days_to_full": None if report.days_to_full is None else round(report.days_to_full, 1),
        },
        "clocks": _CLOCKS,
    }


def _day_report(found: BookDay, look: list[str]) -> dict[str, object]:
    seen, coverage = found.seen, found.coverage
    names = [f"p{share * 100:g}" if share < 1 else "max" for share in SHARES]
    values = [None if ns is None else ns / NS_PER_MS for ns in found.latency_ns]
    return {
        "venue": found.book.venue,
        "dataset": found.book.dataset,
        "inst": found.book.inst,
        "day": _date(found.day),
        "coverage": None if coverage is None else round(coverage, 4),
        "asked_s": seconds(found.asked_ns),
        "live_s": seconds(found.live_ns),
        "losses": [
            {
                "reason": loss.reason,
                "from": utc_text(loss.from_ns, 6),
                "until": None if loss.until_ns is None else utc_text(loss.until_ns, 6),
                "lost_s": seconds(loss.lost_ns),
            }
            for loss in found.losses
        ],
        "resyncs": dict(found.resyncs),
        "checksums": {name: seen.checksums[name] for name in ("ok", "mismatch", "unchecked")},
        "latency_ms": dict(zip(names, values, strict=True)),
        "silence_s": seconds(seen.silence_ns),
        "silence_from": None if seen.silence_from_ns is None else utc_text(seen.silence_from_ns, 3),
        "quiet_s": seconds(found.quiet_ns),
        "lines": seen.lines,
        "hours": found.hours,
        "bytes": found.size,
        "origins": found.origins,
        "trouble": dict(found.trouble),
        "look": look,
    }


def _date(day: int) -> str:
    return hour_text(day * 24)[0]


def _percent(coverage: float) -> str:
    """Write a percentage, cut: 99.999 is not 100."""
    return "100" if coverage == 100 else f"{int(coverage * 100) / 100:.2f}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(ns: int) -> str:
    """Write a length of time in words."""
    whole = round(seconds(ns))
    if whole < 60:
        return f"{seconds(ns):.1f} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min {rest % 60} s" if hours else f"{rest // 60} min {rest % 60} s"


def _ms(ns: int | None) -> str:
    return "unknown" if ns is None else f"{ns / NS_PER_MS:g} ms"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _until_full(report: Report) -> str:
    days = report.days_to_full
    return "" if days is None else f", full in {days:.0f} days if nothing is deleted"
