"""Socket to line: frames come over a loopback connection as fast as they are read, beside the same frames in memory."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.speed.live import Load, config, losses, sending, started
from benchmarks.speed.measuring import CPUS, Figure
from benchmarks.speed.tables import Goal, Table, rounded
from benchmarks.streams.store import WORK

BOOKS = 100
SECONDS = 10.0
UPDATES_PER_S = 60_000
"""More than any recorder here takes; so many are made that the sender does not run dry."""
CADENCE_S = 0.1
"""A book gets a hundredth of all frames here, up to 200 a second: in memory 20 frames lead to a line."""


def flooded(load: Load) -> dict[str, Any]:
    """Record for a while what a sender on another CPU sends without a pause.

    Raises:
        SystemExit: something was lost.
    """
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="flood-") as name:
        folder = Path(name)
        updates = round(UPDATES_PER_S * load.duration_s / load.books)
        with sending(load.books, updates, "--flood", "--summed") as addresses:
            result = folder / "result.json"
            until_s = load.first_s + load.seconds
            command = [sys.executable, "-m", "benchmarks.speed.receiver", "record", str(load.first_s), str(until_s)]
            given = ["--config", str(config(folder, load, addresses)), "--vault", f"{folder}/vault"]
            given += ["--cadence", str(CADENCE_S), "--duration", str(load.duration_s)]
            process = started([*command, str(result), *given], CPUS[-1:], stdout=subprocess.DEVNULL)
            if process.wait():
                raise SystemExit(f"the recorder ended with {process.returncode}")
        told: dict[str, Any] = json.loads(result.read_text())
        lines = sum(path.read_bytes().count(b"\n") for path in folder.glob("vault/raw/**/*.jsonl"))
        told |= {"losses": losses(folder / "vault"), "lines": lines}
    if told["losses"]:
        raise SystemExit(f"a recorder that was flooded lost something: {told}")
    return told


def saturated(memory: Figure, rounds: int) -> Table:
    """Hold the rate behind a socket against that of the same books in memory.

    Args:
        memory: what a frame of as many books takes there.
    """
    title = f"From a socket that is never empty, OKX `books`, {BOOKS} books, without TLS, sender on another CPU"
    if len(CPUS) < 2:
        return Table("socket", f"{title}: not measured, it needs Linux and two CPUs")
    runs = [flooded(Load(BOOKS, SECONDS)) for _ in range(rounds)]
    rates = [run["frames"] / run["seconds"] for run in runs]
    rate, inside = statistics.median(rates), 1e6 / memory.us
    spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
    rows = [
        ["", "frames/s (least to greatest)", "CPU"],
        ["frame to line, in memory", f"{rounded(inside):,}", "100%"],
        [
            "**socket to line**",
            f"{rounded(rate):,} ({spread})",
            f"{statistics.median(run['cpu_s'] / run['seconds'] for run in runs):.0%}",
        ],
    ]
    goal = Goal("socket to line, x the rate in memory", 0.7, rate / inside, least=True, unit="x")
    return Table("socket", f"{title}, {rounds} runs of {SECONDS:.0f} s", rows=rows, goals=[goal], raw=runs)
