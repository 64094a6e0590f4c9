"""The command `demo`: the same recorder against the built-in simulator, then a check and a summary."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from l2_exporter.archive.layout import Vault, iter_hour_files
from l2_exporter.archive.verify import Verification
from l2_exporter.archive.verify_select import select
from l2_exporter.cli.options import Seconds, VaultFolder
from l2_exporter.cli.record import run_recording
from l2_exporter.cli.settings import load
from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.simulator.running import running_exchange
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.venues.registry import line_rules

INSTRUMENTS = 3
"""Of each venue, the best known first."""
DEFECTS_SHOWN = 20
ALL = "all"

EXAMPLE = """\b
Examples:
  l2-exporter demo
  l2-exporter demo --duration 10 --faults drop:0.01,close@5s
  l2-exporter demo --venues all
"""


@click.command("demo", epilog=EXAMPLE)
@click.option("--duration", type=Seconds(min=1), default=30.0, show_default=True, metavar="S")
@click.option("--vault", type=VaultFolder(), help="Default: a new vault-demo/TIME.")
@click.option("--venues", default="okx", show_default=True, metavar="V,...", help="Simulated venues, or all.")
@click.option("--faults", default="", metavar="SPEC", help="Faults to inject, as in docs/SIMULATOR.md.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the simulated market does.")
def command(duration: float, vault: Path | None, venues: str, faults: str, seed: int) -> None:
    """Record a simulated exchange on this machine for a while, verify what was written, and sum it up.

    No network is used, and no other vault is touched.
    """
    names = _chosen(venues)
    root = vault.absolute() if vault is not None else _new_vault()
    if any(root.glob("raw/**/*.jsonl*")):
        raise click.UsageError(f"{root} holds lines already; a demo needs a vault of its own.")
    logging.getLogger("l2_exporter.simulator").setLevel(logging.WARNING)
    started_s = time.monotonic()
    with ExitStack() as stack:
        exchanges = {
            name: stack.enter_context(
                running_exchange(Settings(venue=name, seed=seed, instruments=INSTRUMENTS, faults=faults))
            )
            for name in names
        }
        settings = load(
            {
                "config": Path(os.devnull),  # a demo takes no settings, nor the name of a log, from a real l2.toml
                "vault": root,
                "instruments": _instruments(exchanges),
                "tape": True,
                "ws_url": tuple(f"{name}={exchange.ws_url}" for name, exchange in exchanges.items()),
                "rest_url": tuple(f"{name}={exchange.rest_url}" for name, exchange in exchanges.items()),
            }
        )
        breaks = run_recording(settings, duration, None)
    if breaks:
        sys.exit(3)
    sys.exit(_sum_up(root, names, _instruments(exchanges)[0], time.monotonic() - started_s))


def _chosen(venues: str) -> list[str]:
    """Read the names of venues, each once.

    Raises:
        ConfigError: none, or one that cannot be simulated.
    """
    names = [*dict.fromkeys(name.strip() for name in venues.split(",") if name.strip())]
    if names == [ALL]:
        return [*DIALECTS]
    if not names or not {*names} <= {*DIALECTS}:
        raise ConfigError(f"the simulator offers {', '.join(DIALECTS)}, or all, not {venues!r}")
    return names


def _instruments(exchanges: Mapping[str, SimulatedExchange]) -> tuple[str, ...]:
    return tuple(f"{name}:{inst}" for name, exchange in exchanges.items() for inst in exchange.exchange.instruments)


def _new_vault() -> Path:
    return Path("vault-demo").absolute() / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _books(status: Path) -> list[str]:
    """Say what became of each book, from the recorder's last status; nothing if it could not be written."""
    try:
        books = json.loads(status.read_bytes())["instruments"]
    except (OSError, ValueError, KeyError):
        return []
    lines = []
    for book in books:
        sums = book["checksum"]
        said = f"{sums['ok']} right, {sums['mismatch']} wrong, {sums['unchecked']} not sent"
        counts = f"{book['messages']} messages, {book['lines']} lines, {book['losses']} losses"
        lines.append(f"{book['id']}: {counts}; checksums {said}")
    return lines


def _sum_up(root: Path, names: Sequence[str], first: str, took_s: float) -> int:
    """Verify the vault and print what is in it; return the exit code."""
    verification = Verification(select([root]), line_rules())
    defects = list(verification.run())
    click.echo("")
    click.echo(f"recorded for {took_s:.0f} s: {verification.lines} lines in {verification.files} files")
    for name in names:
        for line in _books(Vault(root).status_file(name)):
            click.echo(f"  {name} {line}")
    for hour in iter_hour_files(root):
        size = hour.path.stat().st_size
        click.echo(f"  {hour.path.relative_to(root)}  {size / 1e6:.1f} MB")
    for defect in defects[:DEFECTS_SHOWN]:
        click.echo(f"  defect: {defect.path}:{defect.line} {defect.reason.value} {defect.detail}")
    click.echo(f"verify: {len(defects)} defects")
    click.echo("")
    click.echo("what to look at next:")
    click.echo(f"  l2-exporter show {first} --vault {root}")
    click.echo(f"  l2-exporter status --vault {root}   (the recorder has stopped, so it says so)")
    click.echo(f"  the ledger: {Vault(root).ledger_folder(names[0])}")
    click.echo("  docs/FORMAT.md for what every field means; make record for the real thing")
    return 1 if defects else 0
