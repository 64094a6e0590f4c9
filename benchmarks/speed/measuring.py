"""Runs things to compare in turn, each in a process of its own, in another order each round.

A worker is a program that reads its input, says it is ready, and does its work once for each line it is sent, with one
JSON object as the answer: `cpu_s`, `wall_s`, `count` of frames, and whatever else it can tell.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Those that this process might use at the beginning; empty where the system does not let choose."""

Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """Something to measure.

    Attributes:
        name: in the tables; command: of the worker, or of a whole program that is timed from start to end.
        count: of frames that a whole program works on; None for a worker.
        before: what to do before each run of a whole program.
        environment: variables of the worker, beside those that there are.
    """

    name: str
    command: Sequence[str]
    count: int | None = None
    before: Callable[[], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a case took.

    Attributes:
        us: CPU microseconds a frame, median of all rounds; spread: distance of the quartiles, as a part of it.
        ratio: to the floor of the same round, median over the rounds.
    """

    name: str
    us: float
    spread: float
    ratio: float
    samples: Sequence[Sample]


def compared(cases: Sequence[Case], rounds: int) -> list[Figure]:
    """Run every case once to warm up and then in every round, starting with another one each time.

    The first case is the floor.
    """
    with ExitStack() as stack:
        runs = {case.name: stack.enter_context(_running(case)) for case in cases}
        samples: dict[str, list[Sample]] = {name: [] for name in runs}
        for number in range(-1, rounds):
            names = [*runs]
            start = number % len(names)
            for name in names[start:] + names[:start]:
                sample = runs[name]()
                if number >= 0:
                    samples[name].append(sample)
    return figures(samples)


def figures(samples: Mapping[str, Sequence[Sample]]) -> list[Figure]:
    """Sum the rounds up; the first is the floor."""
    base = [us_of(sample) for sample in next(iter(samples.values()))]
    found = []
    for name, taken in samples.items():
        us = [us_of(sample) for sample in taken]
        middle = statistics.median(us)
        ratio = statistics.median(one / of for one, of in zip(us, base, strict=True))
        found.append(Figure(name, middle, _quartile_range(us) / middle, ratio, taken))
    return found


def times(figure: Figure, other: Figure) -> float:
    """Tell how many times the time of a figure another one took, median over the rounds."""
    pairs = zip(figure.samples, other.samples, strict=True)
    return statistics.median(us_of(theirs) / us_of(ours) for ours, theirs in pairs)


def us_of(sample: Sample) -> float:
    """Tell the CPU time of a frame, in microseconds."""
    return float(sample["cpu_s"]) / int(sample["count"]) * 1e6


def _quartile_range(values: Sequence[float]) -> float:
    if len(values) < 4:
        return max(values) - min(values)
    low, _, high = statistics.quantiles(values, n=4)
    return high - low


@contextmanager
def _running(case: Case) -> Iterator[Callable[[], Sample]]:
    """Start a worker; what is given runs it once."""
    if case.count is not None:
        yield lambda: whole(case)
        return
    process = subprocess.Popen(
        [*case.command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, **case.environment},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told, asked = process.stdout, process.stdin
    _answer(case, told.readline())

    def run() -> Sample:
        asked.write("run\n")
        return _answer(case, told.readline())

    try:
        yield run
    finally:
        asked.close()
        told.close()
        process.wait()


def _answer(case: Case, line: str) -> Sample:
    if not line:
        raise SystemExit(f"{case.name} ended before it answered: {' '.join(case.command)}")
    answer: Sample = json.loads(line)
    return answer


def whole(case: Case) -> Sample:
    """Run a program from start to end and tell what it took; its peak memory is `rss_bytes`."""
    if case.before is not None:
        case.before()
    begun_s = time.perf_counter()
    process = subprocess.Popen([*case.command], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(case.command)} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - begun_s,
        "count": case.count,
        "rss_bytes": used.ru_maxrss * scale,
    }


def pin() -> int | None:
    """Keep this process, and those it starts, on one CPU, the last it may use; return which, None if that cannot be."""
    if not CPUS:
        return None
    os.sched_setaffinity(0, CPUS[-1:])
    return CPUS[-1]
