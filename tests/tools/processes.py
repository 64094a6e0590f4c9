"""Run `python -m l2_exporter` as a process of its own, watch it from outside, and read back what it left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.running import running_exchange
from l2_exporter.simulator.server import SimulatedExchange

T = TypeVar("T")

PATIENCE_S = 30.0
"""How long a test waits for something that must happen; nothing is ever waited for just so."""
POLL_S = 0.01
INSTRUMENTS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
FAST_NS = 20_000_000

NO_UVLOOP = str(Path(__file__).parent / "without_uvloop")
"""Holds a uvloop that cannot be imported: Python's own loop is the one that every platform has."""

Entry = dict[str, Any]


def until(what: Callable[[], T], why: str, within_s: float = PATIENCE_S) -> T:
    """Look again and again until something is true, and return it."""
    deadline_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {why}"
        time.sleep(POLL_S)
    return found


@contextmanager
def exchange(
    *, faults: str = "", interval_ns: int = FAST_NS, instruments: Any = INSTRUMENTS, port: int = 0
) -> Iterator[SimulatedExchange]:
    """Serve a simulated exchange that is faster than the real one."""
    settings = Settings(seed=3, instruments=instruments, interval_ns=interval_ns, faults=faults)
    with running_exchange(settings, port=port) as served:
        yield served


class Process:
    """One run of the program.

    Args:
        inject: Python that is executed in the process before the program begins, to break something in it.
        stdout: where its output goes; None: a file that `said` reads.
    """

    def __init__(
        self,
        folder: Path,
        args: Sequence[str],
        *,
        inject: str = "",
        stdout: int | None = None,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len([*folder.glob("out-*")])
        self.out = folder / f"out-{number:03d}"
        self._err = folder / f"err-{number:03d}"
        begin = [sys.executable, "-m", "l2_exporter"]
        if inject:
            code = f"{inject}\nimport sys\nfrom l2_exporter.cli.main import main\nmain(sys.argv[1:])"
            begin = [sys.executable, "-c", code]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("L2_")}
        with self.out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(
                [*begin, *args],
                stdout=out if stdout is None else stdout,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=clean
                | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{NO_UVLOOP}{os.pathsep}{Path.cwd()}"}
                | dict(env or {}),
                user=user,
            )

    @property
    def said(self) -> str:
        """What it printed so far, errors behind."""
        return self.out.read_text() + self._err.read_text()

    @property
    def complaint(self) -> str:
        """What it said on standard error."""
        return self._err.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = PATIENCE_S) -> int:
        """Ask it to stop; return its exit code."""
        self.popen.send_signal(number)
        return self.ended(within_s)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit code."""
        return self.popen.wait(within_s)

    def kill(self) -> None:
        """End it at once, without a word."""
        self.popen.kill()
        self.popen.wait()


@contextmanager
def recorder(
    vault: Path,
    served: SimulatedExchange | None,
    *args: str,
    insts: Sequence[str] = INSTRUMENTS,
    folder: Path | None = None,
    **how: Any,
) -> Iterator[Process]:
    """Run `record` against a simulated exchange until the block is left."""
    command = ["record", "--vault", str(vault)]
    for inst in insts:
        command += ["-i", inst]
    if served is not None:
        command += ["--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}"]
    process = Process(folder or vault.parent / "run", [*command, *args], **how)
    try:
        yield process
    finally:
        process.kill()


def run(*args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("L2_")}
    return subprocess.run(
        [sys.executable, "-m", "l2_exporter", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=clean
        | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{NO_UVLOOP}{os.pathsep}{Path.cwd()}"}
        | dict(env or {}),
    )


def verify(vault: Path) -> str:
    """Run `verify`; return what it found wrong, empty if nothing."""
    done = run("verify", str(vault))
    return "" if done.returncode == 0 else f"exit {done.returncode}: {done.stdout}{done.stderr}"


# ---- what a vault holds ---------------------------------------------------------------------------------------------


def status(vault: Path) -> Entry | None:
    """Read the status; None while there is none. Half a file fails."""
    try:
        found: Entry = json.loads((vault / "meta" / "okx" / "status.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def status_of(vault: Path, process: Process) -> Entry | None:
    """Read the status that this process has written, if it has."""
    found = status(vault)
    return found if found is not None and found["pid"] == process.popen.pid else None


def state_is(vault: Path, process: Process, state: str) -> Callable[[], bool]:
    """Make a test for the state of this process."""
    return lambda: (status_of(vault, process) or {}).get("state") == state


def live_in(vault: Path) -> Callable[[], bool]:
    """Make a test for both books having been live in a vault; faster than the status, for its first run."""
    return lambda: {entry["instId"] for entry in ledger(vault, "live", torn=True)} == {*INSTRUMENTS}


def ledger(vault: Path, kind: str | None = None, *, torn: bool = False) -> list[Entry]:
    """Read the ledger, or its lines of one kind. While it is written the last line may be half: `torn`."""
    entries = []
    for path in sorted((vault / "meta" / "okx" / "events").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if torn and not line.endswith(b"\n"):
                continue
            entries.append(json.loads(line))
    return [entry for entry in entries if kind in (None, entry["kind"])]


def raw_lines(vault: Path) -> dict[str, list[bytes]]:
    """Read the lines of all hour files, by (dataset/instrument)."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(vault.glob("raw/okx/*/*/*/*.jsonl")):
        name = "/".join(path.relative_to(vault).parts[2:4])
        found.setdefault(name, []).extend(path.read_bytes().splitlines(keepends=True))
    return found


def lines(vault: Path) -> dict[str, list[Entry]]:
    """Read the lines of all hour files, decoded; half a line fails."""
    return {name: [json.loads(line) for line in found] for name, found in raw_lines(vault).items()}


def line_count(vault: Path) -> int:
    """Count the whole lines of all hour files."""
    return sum(path.read_bytes().count(b"\n") for path in vault.glob("raw/okx/*/*/*/*.jsonl"))


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Read every file below a folder, with its time of change."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
