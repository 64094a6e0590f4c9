"""The command `record`: live recording until it is stopped."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.lock import VenueLock
from l2_exporter.cli.keys import keys_for
from l2_exporter.cli.options import Seconds, VaultFolder
from l2_exporter.cli.settings import Configuration, VenueSettings, load
from l2_exporter.core.books import BookKey
from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import HOUR_NS
from l2_exporter.runtime.logs import LogSettings, start_logs
from l2_exporter.runtime.outlet import Console
from l2_exporter.runtime.record import RecordPlan, StopSignals, VenuePlan, record
from l2_exporter.venues.registry import venue_named

EXIT_BUILD_FAIL = 3
BYTES_PER_LEVEL = 32
"""Measured: 25.3 KB for 400 levels a side in four slots."""
PLAIN_HOURS, KEPT_HOURS, COMPRESSION = 6, 120, 12
"""What retention keeps by default: 6 hours plain, 5 days in all; gzip -6 makes real books 9.5 to 15 times smaller."""

EXAMPLE = """\b
Examples:
  l2-exporter record
  l2-exporter record -i okx:BTC-USDT-SWAP -i okx:ETH/USDT --cadence 1 --tape
  l2-exporter record -i 'okx:*-USDT-SWAP' -i '!okx:*DOGE*'
  l2-exporter record --vault /data/vault --duration 3600
"""


@click.command("record", epilog=EXAMPLE)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings (default: ./l2.toml).")
@click.option("--vault", type=VaultFolder(), help="Where to record (default: ./vault).")
@click.option("-i", "--instrument", "instruments", multiple=True, metavar="V:INST", help="Id, symbol, pattern.")
@click.option("--cadence", metavar="S", help="Seconds of book time a line stands for (default 2).")
@click.option("--depth", type=click.IntRange(1, 100_000), help="Levels a side (default 400).")
@click.option("--tape", is_flag=True, help="Write every input to a tape as well, so that lines can be derived again.")
@click.option("--duration", type=Seconds(min=0, min_open=True), metavar="S", help="Stop after S seconds.")
@click.option("--ws-url", "ws_urls", multiple=True, metavar="V=URL", help="Another socket address; needs --vault.")
@click.option("--rest-url", "rest_urls", multiple=True, metavar="V=URL", help="Another REST root; needs --vault.")
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Default: in the vault's meta/logs.")
def command(
    config: Path | None,
    vault: Path | None,
    instruments: tuple[str, ...],
    cadence: str | None,
    depth: int | None,
    tape: bool,
    duration: float | None,
    ws_urls: tuple[str, ...],
    rest_urls: tuple[str, ...],
    log_file: Path | None,
) -> None:
    """Record order books until stopped (Ctrl-C, SIGTERM), by default BTC-USDT-SWAP and ETH-USDT-SWAP of OKX.

    The first line tells where. Losses are declared in the data and in meta/VENUE/events; `l2-exporter status` tells
    the health. Exit codes: 0 stopped; 2 settings; 3 the venue's frames are not what they were; 4 the vault is in use;
    5 the archive cannot be written.
    """
    if (ws_urls or rest_urls) and vault is None:
        raise click.UsageError("--ws-url and --rest-url need --vault: only real venues go into the default vault.")
    settings = load(
        {
            "config": config,
            "vault": vault,
            "instruments": instruments,
            "cadence": cadence,
            "depth": depth,
            "tape": tape or None,
            "ws_url": ws_urls,
            "rest_url": rest_urls,
        }
    )
    if vault is None and has_override(settings):
        raise click.UsageError("l2.toml names other addresses than the venue's own: name the vault with --vault.")
    breaks = run_recording(settings, duration, log_file)
    if breaks:
        sys.exit(EXIT_BUILD_FAIL)


def run_recording(settings: Configuration, duration_s: float | None, log_file: Path | None) -> list[str]:
    """Record by these settings until stopped; return the lines of schema breaks.

    Raises:
        ConfigError: two sources for one path, or an instrument that its venue does not list.
        VaultBusyError: another recorder holds a venue's lock.
        ArchiveError: the archive cannot be written.
    """
    vault = Vault(settings.vault)
    plan = make_plan(settings, vault, duration_s)
    log = settings.log
    log = LogSettings(log_file.absolute() if log_file is not None else log.file, log.level, log.max_bytes, log.keep)
    with StopSignals() as stops, ExitStack() as stack:
        console = Console(sys.stdout)
        stack.callback(console.close)
        console.say(f"vault: {settings.vault}")

        def begin(books: Mapping[str, Sequence[BookKey]]) -> None:
            stack.callback(start_logs(log).close)
            for venue in plan.venues:
                stack.enter_context(VenueLock(vault.lock_file(venue.venue.name)))
            for line in forecast(settings, plan, books):
                console.say(line)

        breaks = record(plan, console.say, stops, begin)
        for line in breaks:
            console.say(line)
        return breaks


def make_plan(settings: Configuration, vault: Vault, duration_s: float | None) -> RecordPlan:
    """Turn merged settings into a plan.

    Raises:
        ConfigError: an instrument twice.
    """
    recorded = settings.record
    names = dict.fromkeys(venue for venue, _ in recorded.instruments)
    plans = []
    for name in names:
        wanted = [inst for venue, inst in recorded.instruments if venue == name]
        twice = {inst for inst in wanted if wanted.count(inst) > 1}
        if twice:
            raise ConfigError(f"{name}:{min(twice)} is named twice; two sources for one path are refused")
        plans.append(_venue_plan(name, wanted, recorded.max_instruments, settings.venues[name]))
    return RecordPlan(
        vault=vault,
        venues=plans,
        cadence_ns=recorded.cadence_ns,
        depth=recorded.depth,
        grace_ns=recorded.grace_ns,
        order_books_ns=recorded.order_books_ns,
        max_orders=recorded.max_orders,
        tape=recorded.tape,
        fsync_s=recorded.fsync_s,
        duration_s=duration_s,
    )


def has_override(settings: Configuration) -> bool:
    """Tell whether a venue that is recorded has another address than its own."""
    names = {venue for venue, _ in settings.record.instruments}
    return any(settings.venues[name].ws_url or settings.venues[name].rest_url for name in names)


def _venue_plan(name: str, wanted: list[str], most: int, settings: VenueSettings) -> VenuePlan:
    venue = venue_named(name)
    own_ws_url = venue.channels[settings.channel].ws_url or venue.link.ws_url
    own = settings.ws_url in (None, own_ws_url) and settings.rest_url in (None, venue.link.rest_url)
    return VenuePlan(
        venue=venue,
        channel=settings.channel,
        wanted=wanted,
        most=most,
        ws_url=settings.ws_url or own_ws_url,
        rest_url=settings.rest_url or venue.link.rest_url,
        origin="live" if own else "override",
        books_per_connection=settings.max_per_connection or venue.link.books_per_connection,
        checksum_resync=settings.checksum_resync,
        ca_file=settings.ca_file,
        max_message_bytes=settings.max_message_mib << 20,
        keys=keys_for(venue, settings.channel, settings.key_file, os.environ),
    )


def forecast(settings: Configuration, plan: RecordPlan, books: Mapping[str, Sequence[BookKey]]) -> list[str]:
    """Say what will be recorded, how much room it takes at most, and for how long there is room."""
    lines = []
    per_hour = 0
    for venue in plan.venues:
        recorded = books[venue.venue.name]
        insts = ", ".join(inst for _, inst in recorded)
        where = "" if venue.origin == "live" else f" from {venue.ws_url}"
        lines.append(f"{venue.venue.name}: {insts}{where}")
        for channel, _ in recorded:
            depth = min(plan.depth, venue.venue.channels[channel].depth or plan.depth)
            per_hour += 2 * depth * BYTES_PER_LEVEL * HOUR_NS // plan.cadence_ns
    free = _free_bytes(settings.vault)
    if free is None:
        return lines
    days = free / (per_hour * 24)
    lines.append(
        f"at most {per_hour / 1e6:.0f} MB an hour; {free / 1e9:.1f} GB free, {days:.1f} days without retention"
    )
    kept = per_hour * PLAIN_HOURS + per_hour * (KEPT_HOURS - PLAIN_HOURS) // COMPRESSION
    if free < 2 * kept:
        lines.append(f"warning: the disk has less than twice what retention keeps ({kept / 1e9:.1f} GB)")
    return lines


def _free_bytes(vault: Path) -> int | None:
    """Tell the room on the vault's disk; the vault itself may not be there yet."""
    for folder in (vault, *vault.parents):
        if folder.exists():
            return shutil.disk_usage(folder).free
    return None
