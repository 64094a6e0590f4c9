"""What a book takes of memory: `python -m benchmarks.speed.memory TAPE BOOKS` records the first books of a tape.

The tape is read line by line, so that nothing of it stays in memory but what the recorder keeps.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.measuring import ROOT
from benchmarks.speed.tables import Goal, Table
from benchmarks.streams.okx import instruments
from benchmarks.streams.store import WORK, stream
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import parse_tape_line
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.feed import Feed
from l2_exporter.runtime.recorder import Recorder
from l2_exporter.venues.okx import Okx

FEW, MANY = 100, 500
KIB = 1024
REPEATS = 3


def resident() -> int:
    """Tell the bytes of memory this process has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def filled(tape: Path, books: int) -> int:
    """Record the first books of a tape and tell the memory in use."""
    root = Path(tempfile.mkdtemp(dir=WORK, prefix="vault-"))
    try:
        archive = Archive(Vault(root), "okx", patient=False)
        only = frozenset(("books", inst) for inst in instruments(books))
        recorder = Recorder(Feed(Okx(), Settings(only=only), archive.past), archive, "benchmark")
        with tape.open("rb") as file:
            for line in file:
                recorder.take(parse_tape_line(line, tape.name, None))
        gc.collect()
        used = resident()
        archive.close(time.time_ns())
        if len(recorder.feed.keepers) != books:
            raise SystemExit(f"{len(recorder.feed.keepers)} books were recorded instead of {books}")
        return used
    finally:
        shutil.rmtree(root)


def memory() -> Table:
    """Measure a book's memory as the difference between few and many of them."""
    if not Path("/proc/self/statm").exists():
        return Table("memory", "Memory of a book: not measured, it needs Linux")
    tape = stream(f"okx-{MANY}", 10_000).path
    found = []
    for _ in range(REPEATS):
        few, many = (_asked(tape, books) for books in (FEW, MANY))
        found.append((many - few) / (MANY - FEW) / KIB)
    middle = sorted(found)[len(found) // 2]
    rows = [
        ["", "KiB a book (least, greatest)"],
        ["a book of 400 levels a side, its open file included", f"{middle:.0f} ({min(found):.0f}, {max(found):.0f})"],
    ]
    goals = [Goal("memory of a book of 400 levels a side", 330, middle, unit=" KiB")]
    return Table("memory", f"Memory, from {FEW} to {MANY} books", rows=rows, goals=goals, raw=found)


def _asked(tape: Path, books: int) -> int:
    command = [sys.executable, "-m", "benchmarks.speed.memory", str(tape), str(books)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(json.loads(done.stdout))


if __name__ == "__main__":
    print(filled(Path(sys.argv[1]), int(sys.argv[2])))
