"""One soak: the exchanges, the recorder, a look at it every ten seconds, a clean stop, verification and judgement."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.soak import faults
from benchmarks.soak.judging import Judgement, judged
from benchmarks.soak.sampling import Sample, looked
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.venues.registry import VENUES

ROOT = Path(__file__).resolve().parents[2]
EVERY_S = 10.0
STOP_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to soak.

    Attributes:
        instruments: of each venue, the best known first.
        interval_ms: between two updates of a book.
        niceness: of all processes: a soak stands back behind other work of the machine.
    """

    duration_s: int = 1800
    venues: tuple[str, ...] = tuple(VENUES)
    instruments: int = 10
    interval_ms: int = 500
    cadence_s: float = 5
    seed: int = 1
    niceness: int = 3


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of one.

    Attributes:
        exit_code: of the recorder; verified: what `verify` printed last, and its exit code.
        line_bytes: of all hour files at the end.
    """

    plan: Plan
    began: datetime
    samples: list[Sample]
    exit_code: int
    verified: tuple[str, int]
    line_bytes: int
    judgement: Judgement


def soaked(plan: Plan, folder: Path) -> Soak:
    """Run a soak in an empty folder.

    Raises:
        SystemExit: the recorder or the exchanges ended before their time.
    """
    vault, began = folder / "vault", datetime.now(UTC)
    ahead_s = _until_hour_s(began) - plan.duration_s / 3
    with _exchanges(plan, folder, ahead_s) as (addresses, exchanges):
        recorder = _recorder(plan, folder, addresses)
        try:
            samples = [*_watched(recorder, exchanges, vault, plan.duration_s, ahead_s)]
            recorder.terminate()
            exit_code = recorder.wait(STOP_WITHIN_S)
        finally:
            recorder.kill()
    size = sum(path.stat().st_size for path in vault.glob("raw/**/*.jsonl"))
    return Soak(plan, began, samples, exit_code, _verified(plan, vault), size, judged(vault, folder, ahead_s))


def _until_hour_s(now: datetime) -> float:
    """Tell how long the hour lasts: the exchanges' clocks are set so that one ends after a third of the run."""
    return 3600 - (now.timestamp() % 3600)


def _command(plan: Plan, *args: str) -> list[str]:
    return ["nice", "-n", str(plan.niceness), sys.executable, "-m", *args]


@contextmanager
def _exchanges(plan: Plan, folder: Path, ahead_s: float) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]"]]:
    """Serve every venue's exchange in one process of its own; yield the addresses, and the process."""
    told = {
        venue: {
            "seed": plan.seed,
            "instruments": plan.instruments,
            "interval_ns": plan.interval_ms * 1_000_000,
            "ahead_ns": round(ahead_s * 1_000_000_000),
            "faults": faults.drawn(venue, plan.seed, plan.duration_s, DIALECTS[venue](plan.seed).lacks),
        }
        for venue in plan.venues
    }
    command = _command(plan, "benchmarks.soak.exchanges", str(folder), json.dumps(told))
    with (folder / "exchanges.err").open("wb") as err:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.stdin.close()
        process.wait(STOP_WITHIN_S)
        process.stdout.close()


def _recorder(plan: Plan, folder: Path, addresses: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """Start the recorder, all venues in one process, without a tape."""
    insts = [f"{venue}:{inst}" for venue, one in addresses.items() for inst in one["instruments"]]
    sections = [
        f'[venue.{venue}]\nws_url = "{one["ws"]}"\nrest_url = "{one["rest"]}"\n' for venue, one in addresses.items()
    ]
    head = (
        f"[record]\ninstruments = {json.dumps(insts)}\nmax_instruments = {len(insts)}\ncadence_s = {plan.cadence_s}\n"
    )
    config = folder / "l2.toml"
    config.write_text(head + "tape = false\n\n" + "\n".join(sections))
    args = ["l2_exporter", "record", "--config", str(config), "--vault", str(folder / "vault")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("L2_")}
    with (folder / "recorder.out").open("wb") as out, (folder / "recorder.err").open("wb") as err:
        return subprocess.Popen(_command(plan, *args), cwd=ROOT, stdout=out, stderr=err, env=env)


def _watched(
    recorder: "subprocess.Popen[bytes]",
    exchanges: "subprocess.Popen[str]",
    vault: Path,
    duration_s: float,
    ahead_s: float,
) -> Iterator[Sample]:
    """Look at the recorder every ten seconds until its time is over."""
    began_s = time.monotonic()
    looks = 0
    while (due_s := EVERY_S * (looks + 1)) <= duration_s:
        time.sleep(max(0.0, began_s + due_s - time.monotonic()))
        looks += 1
        if recorder.poll() is not None:
            raise SystemExit(f"the recorder ended with {recorder.returncode} after {due_s:.0f} s")
        if exchanges.poll() is not None:
            raise SystemExit(f"the exchanges ended with {exchanges.returncode} after {due_s:.0f} s")
        sample = looked(recorder.pid, vault, time.monotonic() - began_s, datetime.now(UTC), ahead_s)
        print(
            f"{sample.at_s:6.0f} s  {sample.rss_mib:.1f} MiB  {sample.live}/{sample.books} live  "
            f"age {sample.age_s:.1f} s  waiting {sample.waiting}  files {sample.files}",
            flush=True,
        )
        yield sample


def _verified(plan: Plan, vault: Path) -> tuple[str, int]:
    """Run `verify`; return its last line and its exit code."""
    done = subprocess.run(
        _command(plan, "l2_exporter", "verify", str(vault)), cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).strip().splitlines()
    return (said[-1] if said else "", done.returncode)


def saved(result: object) -> dict[str, Any]:
    """Write a result as JSON has it; times as text."""
    found: dict[str, Any] = json.loads(json.dumps(result, default=_plain))
    return found


def _plain(value: Any) -> Any:
    return {one.name: getattr(value, one.name) for one in fields(value)} if is_dataclass(value) else str(value)
