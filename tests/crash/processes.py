"""The same with real processes, sockets and disks: SIGKILL at random moments, and a small file system that fills up."""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from l2_exporter.archive.verify import verify
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import book_digest
from tests.crash.matrix import PROCESSES, Row, Rows
from tests.crash.oracle import RULES
from tests.runtime.test_process_disk import SIZE_BYTES, leave
from tests.runtime.test_process_kill import BUSY, restart, run_until_killed
from tests.tools.processes import exchange, ledger, line_count, lines, live_in, recorder, state_is, until
from tests.tools.truth import ms

KILLS = 50
FILLS = 3
EVERY = 5
"""After so many kills a run is checked while it starts; the others are killed again before they may have begun."""


def rows() -> Rows:
    """Run all of it, one after the other: real time is tried here."""
    found = {(PROCESSES, 0): _row(f"SIGKILL at {KILLS} random moments of `record --tape`", killed(KILLS), KILLS)}
    if _may_mount():
        found[PROCESSES, 1] = _row("a small disk fills up, SIGKILL on it, room again", [*filled(FILLS)], FILLS)
    return found


def _row(name: str, problems: list[str], count: int) -> Row:
    return Row(count, len(problems), Counter({name: count}), problems)


def killed(times: int, seed: int = 7) -> list[str]:
    """Kill one vault's recorder again and again, then stop it cleanly, and judge the vault."""
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as folder, exchange() as served:
        vault = Path(folder) / "vault"
        for number in range(times):
            run_until_killed(vault, served, chance, *BUSY)
            if number % EVERY == EVERY - 1:
                restart(vault, served, *BUSY)
        with recorder(vault, served, *BUSY) as process:
            until(state_is(vault, process, "live"), "live")
            if process.stop() != 0:
                return [process.said]
        return [*judged(vault, served)]


def filled(times: int) -> Iterator[str]:
    """Let a small disk fill up under a recorder, kill it there, and give it room again."""
    for _ in range(times):
        with _small() as small, tempfile.TemporaryDirectory() as beside, exchange() as served:
            vault, folder = small / "vault", Path(beside)
            with recorder(vault, served, *BUSY, folder=folder) as process:
                until(live_in(vault), "live")
                leave(small, 100_000)
                until(lambda vault=vault: ledger(vault, "write_suspended", torn=True), "it says so")
                process.kill()
            (small / "filler").unlink()
            with recorder(vault, served, *BUSY, folder=folder) as process:
                before = line_count(vault)
                until(state_is(vault, process, "live"), "live")
                until(lambda vault=vault, before=before: line_count(vault) > before, "lines go on")
                if process.stop() != 0:
                    yield process.said
            yield from judged(vault, served)


def judged(vault: Path, served: SimulatedExchange) -> Iterator[str]:
    """Yield what is wrong: lines against the exchange, order, losses and their ends."""
    yield from (f"verify: {defect}" for defect in verify([vault], RULES))
    truth = served.exchange.truth
    for name, of_book in lines(vault).items():
        places = [(line["timestamp_utc"], line["gap_detected"]) for line in of_book]
        if places != sorted({*places}):
            yield f"order: {name}"
        for line in of_book:
            step = truth.book(line["instId"], line["seqId"])
            digest = book_digest(line["bids_top400"], line["asks_top400"])
            if step is None or (ms(line["timestamp_utc"]), digest) != (step.ts, step.sha256):
                yield f"false: {name} at {line['timestamp_utc']}"
    gaps = [entry["id"] for entry in ledger(vault, "gap")]
    if sorted(gaps) != sorted(entry["id"] for entry in ledger(vault, "live") if entry["id"]):
        yield "ledger: a loss has not one end"


@contextmanager
def _small() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", folder]
        subprocess.run(mount, check=True, capture_output=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _may_mount() -> bool:
    """Tell whether a file system of our own can be mounted: by root, mostly."""
    try:
        with _small():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
