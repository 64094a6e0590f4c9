"""What it takes to read an archive back: `python -m benchmarks.speed.reading STAGE VAULT` is a worker for it."""

import argparse
import gc
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import orjson

from benchmarks.speed.measuring import ROOT, Case, compared
from benchmarks.speed.tables import Goal, Table
from benchmarks.streams.store import WORK, stream
from l2_exporter.archive.layout import iter_hour_files
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.stored import decode_line
from l2_exporter.archive.verify_hour import HourJob, HourResult, run_job
from l2_exporter.venues.registry import line_rules


def _loads(paths: Sequence[Path]) -> Callable[[], int]:
    """Decode lines that are in memory."""
    lines = [line for path in paths for line in read_lines(path)]
    return lambda: _count(map(orjson.loads, lines))


def _read(paths: Sequence[Path]) -> Callable[[], int]:
    """Read lines from their files and decode their JSON."""
    return lambda: sum(_count(map(orjson.loads, read_lines(path))) for path in paths)


def _decode(paths: Sequence[Path]) -> Callable[[], int]:
    """Read lines from their files and make of each what the recorder itself reads back."""
    return lambda: sum(_count(map(decode_line, read_lines(path))) for path in paths)


def _check(paths: Sequence[Path]) -> Callable[[], int]:
    """Do to each line what `verify` does to it alone: shape, decimal texts, order, times, flags, checksum."""
    root = next(folder.parent for folder in paths[0].parents if folder.name == "raw")
    jobs = [HourJob(((hour, (hour,)),)) for hour in iter_hour_files(root)]
    return lambda: sum(_clean(run_job(line_rules(), job)) for job in jobs)


def _clean(results: Iterable[HourResult | None]) -> int:
    """Count lines.

    Raises:
        SystemExit: some of them are not as they should be.
    """
    count = 0
    for result in results:
        if result is None or result.defects or result.tail:
            raise SystemExit(f"not clean: {result and [*result.defects, *result.tail][:3]}")
        count += result.lines
    return count


def _count(values: Iterable[object]) -> int:
    return sum(1 for _ in values)


CHECKED = "`verify`'s tests of each line, with its decimal texts"
STAGES = {
    "`orjson.loads` of lines in memory": ("loads", _loads),
    "`read_lines`, `orjson.loads`": ("read", _read),
    "`read_lines`, `decode_line`": ("decode", _decode),
    CHECKED: ("check", _check),
}


def reading(frames: int, rounds: int) -> Table:
    """Measure reading and verifying what a replay writes."""
    made = stream("okx-light", frames)
    vault = WORK / "read-back"
    shutil.rmtree(vault, ignore_errors=True)
    product = [sys.executable, "-m", "l2_exporter"]
    replay = [*product, "replay", str(made.path), "--vault", str(vault), "--venue", made.venue]
    subprocess.run(replay, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    files = sorted((vault / "raw").rglob("*.jsonl"))
    count = sum(1 for path in files for _ in read_lines(path))
    worker = [sys.executable, "-m", "benchmarks.speed.reading"]
    cases = [Case(name, [*worker, stage, str(vault)]) for name, (stage, _) in STAGES.items()]
    cases.append(Case("`l2-exporter verify`, whole process", [*product, "verify", str(vault)], count))
    found = compared(cases, rounds)
    size = sum(path.stat().st_size for path in files)
    what = f"{count:,} lines of 400 levels a side, {size / 1e6:.1f} MB"
    title = f"Reading back {what}, {rounds} rounds; a frame is a line here"
    checked = next(one for one in found if one.name == CHECKED)
    rate = 1 / checked.ratio
    goals = [
        Goal("`verify`'s tests of each line, x the rate of `orjson.loads`", 0.2, rate, least=True),
        Goal("the same, aimed at for tests without the decimal texts", 0.4, rate, least=True),
    ]
    return Table("reading", title, found, goals=goals)


def main() -> None:
    """Serve runs until nobody asks any more."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.reading", description=__doc__)
    parser.add_argument("stage", choices=[stage for stage, _ in STAGES.values()])
    parser.add_argument("vault", type=Path)
    options = parser.parse_args()
    prepare = next(make for stage, make in STAGES.values() if stage == options.stage)
    run = prepare(sorted((options.vault / "raw").rglob("*.jsonl")))
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": options.stage}), flush=True)
    for _ in sys.stdin:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        count = run()
        told = {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s, "count": count}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
