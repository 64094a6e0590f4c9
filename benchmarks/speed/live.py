"""The product live over TLS on this machine: lag, CPU and memory at the load of many books."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.measuring import CPUS, ROOT
from benchmarks.speed.tables import Goal, Table
from benchmarks.streams.okx import CONNECTS_PER_S, PER_CONNECTION, instruments
from benchmarks.streams.store import WORK
from l2_exporter.runtime import loops

SAMPLE_S = 2.0
SETTLE_S = 4.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: books, and for how many seconds it is measured."""

    books: int
    seconds: float

    @property
    def first_s(self) -> float:
        """When all connections have been open for a while."""
        return self.books / PER_CONNECTION / CONNECTS_PER_S + SETTLE_S

    @property
    def duration_s(self) -> float:
        """How long the recorder runs."""
        return self.first_s + self.seconds + 2


def measured(load: Load, what: str) -> dict[str, Any]:
    """Send this load to the product (`record`) or to a client that only reads (`read`), each on a CPU of its own."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="live-") as name:
        folder = Path(name)
        cert, key = certificate(folder)
        updates = round(10 * (load.duration_s + 10))
        with sending(load.books, updates, "--cert", str(cert), "--key", str(key)) as addresses:
            result = folder / "result.json"
            until_s = load.first_s + load.seconds
            command = [sys.executable, "-m", "benchmarks.speed.receiver", what, str(load.first_s), str(until_s)]
            path = config(folder, load, addresses, cert)
            given = {
                "record": ["--config", str(path), "--vault", f"{folder}/vault", "--duration", str(load.duration_s)],
                "read": [addresses["ws"], str(cert), str(load.books), str(load.duration_s)],
            }
            rss = _watched([*command, str(result), *given[what]])
            told: dict[str, Any] = json.loads(result.read_text())
            return {**told, "rss_mib": rss, "losses": losses(folder / "vault")}


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for the loopback address."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def config(folder: Path, load: Load, addresses: dict[str, str], cert: Path | None = None) -> Path:
    """Write what the recorder is to record, and from where."""
    names = ", ".join(f'"okx:{inst}"' for inst in instruments(load.books))
    path = folder / "l2.toml"
    text = f"[record]\ninstruments = [{names}]\nmax_instruments = {load.books}\n\n[venue.okx]\n"
    text += f'ws_url = "{addresses["ws"]}"\nrest_url = "{addresses["rest"]}"\n'
    path.write_text(text if cert is None else f'{text}ca_file = "{cert}"\n')
    return path


@contextmanager
def sending(books: int, updates: int, *options: str) -> Iterator[dict[str, str]]:
    """Run the sender on the first CPU; yield its addresses."""
    command = [sys.executable, "-m", "benchmarks.speed.sender", "--books", str(books), "--updates", str(updates)]
    process = started([*command, *options], CPUS[:1], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def started(command: Sequence[str], cpus: Sequence[int], **options: Any) -> "subprocess.Popen[str]":
    """Start a process on some CPUs."""
    process = subprocess.Popen([*command], cwd=ROOT, text=True, **options)
    os.sched_setaffinity(process.pid, cpus)
    return process


def _watched(command: Sequence[str]) -> list[float]:
    """Run the receiver on the last CPU to its end; return its memory every two seconds, in MiB."""
    process = started(command, CPUS[-1:], stdout=subprocess.DEVNULL)
    found = []
    while process.poll() is None:
        memory = memory_mib(process.pid)
        if memory is not None:
            found.append(memory)
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:6])} ended with {process.returncode}")
    return found


def memory_mib(pid: int) -> float | None:
    """Tell how much memory a process has in use; None where the system does not say, or it has ended."""
    try:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    sizes = [int(row.split()[1]) for row in rows if row.startswith("VmRSS")]
    return round(sizes[0] / 1024, 1) if sizes else None


def losses(vault: Path) -> int:
    """Count the losses that the recorder declared."""
    entries = [json.loads(line) for path in vault.glob("meta/*/events/*.jsonl") for line in path.open()]
    return sum(entry["kind"] == "gap" for entry in entries)


def live(books: int, seconds: float) -> Table:
    """Measure many books beside a client that only reads, then fewer, and the two of the default."""
    if shutil.which("openssl") is None or not CPUS:
        return Table("live", "Live over TLS: not measured, it needs Linux and the program openssl")
    runs = {
        f"reading only, {books} books": measured(Load(books, seconds), "read"),
        f"**`l2-exporter record`**, {books} books": measured(Load(books, seconds), "record"),
        "**`l2-exporter record`**, 100 books": measured(Load(100, seconds), "record"),
        "**`l2-exporter record`**, 2 books": measured(Load(2, seconds), "record"),
    }
    header = [
        "",
        "frames/s",
        "CPU",
        "µs a frame",
        "lag p50, p99, p99.9, max in ms",
        "memory: first to last, MiB",
        "collections, longest in ms",
        "losses",
    ]
    rows = [header, *([name, *_row(run)] for name, run in runs.items())]
    reading, recording, *_ = runs.values()
    goals = [
        Goal(
            "CPU, x reading only", 3.2, recording["cpu_s"] / reading["cpu_s"] * reading["frames"] / recording["frames"]
        ),
        Goal("CPU of one core", 50, 100 * recording["cpu_s"] / recording["seconds"], unit=" %"),
        Goal("lag, p99", 50, recording["lag_ms"]["99"], unit=" ms"),
        Goal("memory with two books", 60, max(runs["**`l2-exporter record`**, 2 books"]["rss_mib"]), unit=" MiB"),
    ]
    loop = "Python's own loop" if loops.fastest() is None else "uvloop"
    title = f"Live over TLS on this machine, on {loop}, OKX `books`, 10 updates/s a book, {seconds:.0f} s"
    title += ", sender on another CPU"
    return Table("live", title, rows=rows, goals=goals, raw=runs)


def _row(run: dict[str, Any]) -> list[str]:
    lags = ", ".join(f"{lag:.2f}" for lag in run["lag_ms"].values())
    first, last = _window(run)
    return [
        f"{run['frames'] / run['seconds']:,.0f}",
        f"{run['cpu_s'] / run['seconds']:.0%}",
        f"{run['cpu_s'] / run['frames'] * 1e6:.0f}",
        lags,
        f"{first:.0f} to {last:.0f}",
        f"{run['collections']}, {run['longest_collection_ms']:.1f}",
        str(run["losses"]),
    ]


def _window(run: dict[str, Any]) -> tuple[float, float]:
    """Return the memory at the start and at the end of the time that was measured."""
    samples = run["rss_mib"]
    settled = samples[-max(2, round(run["seconds"] / SAMPLE_S)) :]
    return settled[0], settled[-1]
