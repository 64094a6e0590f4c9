"""The command `config`: what the settings are, where each came from, what is wrong with them, and an example."""

import json
from itertools import groupby
from pathlib import Path

import click

from l2_exporter.cli.settings import Examination, Setting, examine

EXIT_USAGE = 2

EXAMPLES = """\b
Examples:
  l2-exporter config example > l2.toml
  l2-exporter config check
  l2-exporter config show --config /etc/l2/l2.toml --json
"""

EXAMPLE_FILE = """\
# Settings of l2-exporter and l2-retention. Flags win over L2_VAULT and L2_CONFIG, those over this file, and this file
# over the defaults, which are the values below. A line that begins with # sets nothing: take the # away to use it.
# Windows paths need single quotes: 'D:\\l2\\vault'. A relative path is relative to the folder of this file.

# Where everything is written.
vault = 'vault'

[record]
# What to record, as venue:instrument; without a venue it is OKX. An instrument is the venue's own id, a symbol such as
# BTC/USDT or BTC/USDT:USDT, or a pattern of ids; "!" excludes: ["okx:*-USDT-SWAP", "!okx:*DOGE*"].
instruments = ["okx:BTC-USDT-SWAP", "okx:ETH-USDT-SWAP"]
# Seconds of book time that a line stands for: whole milliseconds, 0.01 to 3600.
cadence_s = 2
# Levels a side at most.
depth = 400
# Seconds that a line waits for late updates after the end of its bucket.
grace_s = 1
# Whether every input is written to a tape too, from which the lines can be made again.
tape = false
# Seconds until a written line must be safe from a loss of power, 0.1 to 60.
fsync_s = 5
# More instruments than this are taken for a mistake.
max_instruments = 200
# Of order-level channels: seconds of book time between two whole books of orders, 1 to 3600 ...
order_books_s = 60
# ... and orders of a book that are held at most; beyond, the levels farthest from the market go.
max_orders = 1000000

# One such section for each venue that needs one.
[venue.okx]
# Other addresses than the venue's own, such as a simulator's. Lines from there are marked as not live.
# ws_url = "ws://127.0.0.1:8080/ws/v5/public"
# rest_url = "http://127.0.0.1:8080"
# The venue's channel; every channel but its first has a dataset of its own.
channel = "books"
# Instruments a connection, if not what the venue advises.
# max_per_connection = 25
# Wrong checksums in a row that end a book which has sequence numbers too; 0: never.
checksum_resync = 3
# Certificates to trust instead of the system's, for a proxy that opens TLS.
# ca_file = 'proxy-ca.pem'
# Keys for a channel that needs some (Coinbase: full), in a file that only you can read, with a line for each part: key,
# secret, passphrase. Or set L2_COINBASE_KEY, L2_COINBASE_SECRET and L2_COINBASE_PASSPHRASE.
# key_file = 'coinbase.toml'
# Size in MiB of one message or one answer at most, unpacked, 1 to 1024; a longer one is a loss (docs/OPERATIONS.md).
max_message_mib = 32

# Read by l2-retention alone. A time is a number and s, m, h or d, or "never".
[retention]
# Age at which an hour is compressed; the second one is for single orders (l3_*), of which a busy hour is 2.5 GB.
compress_after = "6h"
compress_l3_after = "1h"
# Age at which an hour is deleted.
delete_after = "5d"
# gzip or zstd, and its level (gzip 1 to 9, usually 6; zstd 1 to 22, usually 9).
codec = "gzip"
# level = 6
# Age at which tapes, and days of the ledger, are deleted.
# tape_after = "5d"
ledger_after = "never"

[log]
# If not meta/logs/l2_exporter.log in the vault.
# file = 'l2_exporter.log'
# debug (every line written), info, warning or error.
level = "info"
# Size at which the file is turned over, and how many old ones are kept.
max_bytes = 10485760
keep = 5
"""

_CONFIG = click.option(
    "--config", metavar="FILE", type=click.Path(path_type=Path), help="The file; default: L2_CONFIG, else ./l2.toml."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("config", epilog=EXAMPLES)
def command() -> None:
    """Check or show the settings, or print an example of l2.toml."""


@command.command("check", epilog=EXAMPLES)
@_CONFIG
@_JSON
@click.pass_context
def check(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Check every setting, those of l2-retention too. Exit code 2 and a line for each problem if something is wrong."""
    found = examine({"config": config})
    if as_json:
        report = {"vault": _text(found.vault), "config": _text(found.file), "problems": list(found.problems)}
        click.echo(json.dumps(report))
    else:
        _say_places(found)
        _say_problems(found)
        if not found.problems:
            click.echo("no problems")
    if found.problems:
        context.exit(EXIT_USAGE)


@command.command("show", epilog=EXAMPLES)
@_CONFIG
@_JSON
@click.pass_context
def show(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Print every merged value and where it came from: a flag, the environment, the file or the default."""
    found = examine({"config": config})
    if found.problems:
        _say_problems(found)
        context.exit(EXIT_USAGE)
    if as_json:
        report = {"vault": _text(found.vault), "config": _text(found.file), "settings": _report(found)}
        click.echo(json.dumps(report))
        return
    _say_places(found)
    for section, settings in groupby(found.settings, key=lambda one: one.name.rpartition(".")[0]):
        click.echo(f"\n[{section}]" if section else "")
        for one in settings:
            click.echo(f"{_assignment(one):<50}  # {one.source}")


@command.command("example", epilog=EXAMPLES)
@_JSON
def example(as_json: bool) -> None:
    """Print a complete l2.toml with all defaults and what they mean."""
    click.echo(json.dumps({"toml": EXAMPLE_FILE}) if as_json else EXAMPLE_FILE, nl=as_json)


def _say_places(found: Examination) -> None:
    if found.vault is not None:
        click.echo(f"vault: {found.vault}")
    click.echo(f"config: {found.file or 'none, there is no l2.toml in this folder'}")


def _say_problems(found: Examination) -> None:
    for problem in found.problems:
        click.echo(f"error: {problem}", err=True)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _report(found: Examination) -> dict[str, object]:
    return {
        one.name: {"value": one.value, "origin": one.source.origin, "from": one.source.name} for one in found.settings
    }


def _assignment(setting: Setting) -> str:
    """Write a setting as l2.toml would have it; one that is not set as a comment."""
    name = setting.name.rpartition(".")[2]
    if setting.value is None:
        return f"# {name}: {setting.unset}"
    if isinstance(setting.value, str) and "\\" in setting.value:
        return f"{name} = '{setting.value}'"
    return f"{name} = {json.dumps(setting.value, ensure_ascii=False)}"
