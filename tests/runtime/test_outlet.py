"""The ways out of the event loop: nothing blocks, nothing is reordered, and what is dropped is counted and said."""

import io
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from l2_exporter.runtime.outlet import Console, Outlet

PATIENCE_S = 10


class Gate:
    """Takes lines, but only while it is open."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.lines: list[str] = []

    def write(self, lines: Sequence[str]) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        self.lines += lines


class SlowStream(io.StringIO):
    """A console somebody clicked into: a write to it returns only once the gate is open."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def write(self, text: str) -> int:
        self.gate.write([])
        return super().write(text)


def test_a_stuck_way_out_never_blocks_and_what_does_not_fit_is_counted_and_said_in_its_place() -> None:
    gate = Gate()
    outlet = Outlet(gate.write, "console", limit=3)
    outlet.put("1")
    assert gate.entered.wait(PATIENCE_S)
    for number in range(2, 10):
        outlet.put(str(number))
    assert outlet.dropped == 5
    gate.open.set()
    assert outlet.close(PATIENCE_S)
    assert gate.lines == ["1", "2", "3", "4", "lines dropped here: 5; the console did not take them"]
    outlet.put("too late")
    assert outlet.dropped == 6


def test_a_way_out_that_fails_says_what_it_lost_once_it_works() -> None:
    written: list[str] = []
    tried = threading.Semaphore(0)
    faults = iter([OSError("no"), OSError("no"), None])

    def write(lines: Sequence[str]) -> None:
        fault = next(faults)
        tried.release()
        if fault is not None:
            raise fault
        written.extend(lines)

    outlet = Outlet(write, "log file", limit=10)
    for line in ("1", "2", "3"):
        outlet.put(line)
        assert tried.acquire(timeout=PATIENCE_S)
    assert outlet.close(PATIENCE_S)
    assert written == ["3", "lines dropped here: 2; the log file did not take them"]
    assert outlet.dropped == 2


def test_a_stop_waits_for_a_stuck_console_only_so_long() -> None:
    gate = Gate()
    console = Console(SlowStream(gate))
    console.say("anything")
    assert gate.entered.wait(PATIENCE_S)
    assert console.close(timeout_s=0.01) is False
    gate.open.set()
    assert console.close(timeout_s=PATIENCE_S) is True


def test_what_is_said_is_printed_in_order_a_line_each() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.say("[BTC-USDT-SWAP] Snapshot loaded: 400 bids, 400 asks")
    console.say("a\nb\r\t\x1b[31m\x85\u2028é")
    assert console.close()
    assert stream.getvalue() == (
        "[BTC-USDT-SWAP] Snapshot loaded: 400 bids, 400 asks\na\\nb\\r\\t\\x1b[31m\\x85\\u2028é\n"
    )
    assert console.dropped == 0


def test_without_a_console_or_with_a_closed_one_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    ended = Console(closed)
    monkeypatch.setattr(sys, "stdout", None)
    none = Console()
    for console in (ended, none):
        console.say("to nobody")
        assert console.close()
    assert (ended.dropped, none.dropped) == (1, 0)


STUCK = """
import sys
from l2_exporter.runtime.outlet import Console

console = Console(limit=5)
print("first", flush=True)
for number in range(100):
    console.say("x" * 100_000)
print(console.close(timeout_s=0.01), console.dropped >= 90, file=sys.stderr)
"""


def test_a_process_whose_console_is_stuck_still_ends_cleanly() -> None:
    """Standard output is a pipe that nobody reads; the interpreter must not wait for it or abort at its end."""
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(PATIENCE_S) == 0
    assert said == "False True\n"


def test_a_console_that_is_a_file_gets_every_byte(tmp_path: Path) -> None:
    script = "from l2_exporter.runtime.outlet import Console\nconsole = Console()\n"
    script += "for number in range(500):\n    console.say(f'{number} é' * 20)\nassert console.close()\n"
    with (tmp_path / "out").open("wb") as out:
        assert subprocess.run([sys.executable, "-c", script], stdout=out, check=False).returncode == 0
    text = (tmp_path / "out").read_text(encoding="utf-8")
    assert text.splitlines() == [f"{number} é" * 20 for number in range(500)]
