"""A long run with faults, watched from outside and judged; what it shows goes into docs/SOAK.md.

    python -m benchmarks.soak                       30 minutes over sockets, a day in minutes, the page
    python -m benchmarks.soak --minutes 3 --page ''  a short one, without the page
    python -m benchmarks.soak --only day

Exit code 1 if something that must hold does not. Linux only: memory and open files are read from /proc.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.soak import day, page, running
from benchmarks.speed.__main__ import surroundings
from benchmarks.streams.store import WORK
from l2_exporter import __version__
from l2_exporter.venues.registry import VENUES

PAGE = running.ROOT / "docs" / "SOAK.md"
RESULTS = WORK / "soak"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30, help="of the soak over sockets (default: 30)")
    parser.add_argument("--hours", type=int, default=24, help="of the day in minutes (default: 24)")
    parser.add_argument("--only", choices=("sockets", "day"), help="make one of the two anew, keep the other's result")
    parser.add_argument("--seed", type=int, default=1, help="of markets and faults (default: 1)")
    parser.add_argument("--page", default=str(PAGE), help="where to write the page; empty: nowhere")
    parser.add_argument("--keep", action="store_true", help="keep the vaults, and say where they are")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for, write the page, and tell whether everything holds."""
    asked = arguments()
    RESULTS.mkdir(parents=True, exist_ok=True)
    began = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    about = f"version {__version__}; {surroundings(None).partition('; ')[2]}"
    folder = Path(tempfile.mkdtemp(dir=RESULTS, prefix="run-"))
    try:
        if asked.only != "day":
            plan = running.Plan(duration_s=round(asked.minutes * 60), seed=asked.seed, venues=tuple(VENUES))
            _save("sockets", {**running.saved(running.soaked(plan, folder)), "about": about})
        if asked.only != "sockets":
            lived = running.saved(day.lived(day.Plan(hours=asked.hours, seed=asked.seed), folder / "day"))
            _save("day", {**lived, "began": began, "about": about})
    finally:
        if asked.keep:
            print(f"vaults: {folder}")
        else:
            shutil.rmtree(folder)
    return told(asked.page)


def told(where: str) -> int:
    """Write the page of the newest results, and print what must hold; 1 if something does not."""
    soak, whole_day = _saved("sockets"), _saved("day")
    checks: Sequence[tuple[str, str, bool]] = []
    if soak is not None:
        checks = [*checks, *page.soak_checks(soak)]
    if whole_day is not None:
        checks = [*checks, *page.day_checks(whole_day)]
    for what, found, holds in checks:
        print(f"{'yes' if holds else 'NO ':3}  {what}: {found}")
    if where and soak is not None:
        Path(where).write_text(page.page(soak, whole_day), encoding="utf-8")
        print(f"written: {where}")
    return 0 if all(holds for _, _, holds in checks) else 1


def _save(name: str, result: dict[str, Any]) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(result))


def _saved(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_bytes()) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
