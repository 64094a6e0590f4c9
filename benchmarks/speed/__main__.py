"""How fast the product is: beside bare decoding of the same frames, and beside other programs, in one run.

    python -m benchmarks.speed --quick
    python -m benchmarks.speed --group okx-light --group books
    python -m benchmarks.speed --peers --json figures.json

Times are CPU times, on one CPU where the system allows to choose. Every round runs everything once, starting with
another one each time; a figure is the median of the rounds, and a ratio the median of the rounds' ratios.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks.peers import install
from benchmarks.retention import processor
from benchmarks.speed import chart, measuring
from benchmarks.speed.groups import GROUPS, Plan
from benchmarks.speed.publish import published
from benchmarks.speed.tables import markdown

DRAWN = ("okx", "binance")
QUICK = ("okx-light", "okx-light-unsummed", "okx-heavy", "okx-heavy-unsummed")


def surroundings(cpu: int | None) -> str:
    """Tell what the figures depend on."""
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    pinned = "not pinned" if cpu is None else f"pinned to CPU {cpu}"
    machine = f"{processor()}, {os.cpu_count()} CPUs, {pinned}{load}, {platform.system()}"
    versions = f"Python {platform.python_version()}, orjson {orjson.__version__}"
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {versions}{_commit()}"


def _commit() -> str:
    """Name the state that is measured, where git can."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=measuring.ROOT, capture_output=True, text=True, check=False)
    return f"; state {done.stdout.strip()}" if done.returncode == 0 else ""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="OKX alone, less than a minute, no peers")
    parser.add_argument("--group", action="append", choices=GROUPS, help="measure only this; may be repeated")
    parser.add_argument("--peers", action="store_true", help="install the other programs if need be, and compare")
    parser.add_argument("--rounds", type=int, help="how often everything runs (default: 9, quick 5)")
    parser.add_argument("--frames", type=int, help="of a light stream (default: 12000, quick 3000)")
    parser.add_argument("--seconds", type=float, default=60, help="that a live load is measured for (default: 60)")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the figures of OKX and Binance as SVG")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables into this page, docs/BENCHMARKS.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    if options.page is not None and not options.page.is_file():
        raise SystemExit(f"{options.page} is not there: the tables are put into a page that has places for them")
    peers = install.missing() if options.peers else None
    rounds, frames = (5, 3000) if options.quick else (9, 12_000)
    plan = Plan(options.rounds or rounds, options.frames or frames, options.seconds, peers)
    about = surroundings(measuring.pin())
    print(about, flush=True)
    found = []
    for name in options.group or (QUICK if options.quick else GROUPS):
        table = GROUPS[name](plan)
        found.append(table)
        print("\n" + "\n".join(markdown(table)), flush=True)
    if options.chart:
        chart.write([table for table in found if table.key.startswith(DRAWN)], options.chart)
    if options.page:
        options.page.write_text(published(options.page.read_text(encoding="utf-8"), about, found), encoding="utf-8")
    if options.json:
        told = {"about": about, "tables": [asdict(table) for table in found]}
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
