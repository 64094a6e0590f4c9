"""What the retention job costs and saves, beside `gzip -6` and `zstd -3` on the same files in the same run.

    python -m benchmarks.retention --help

Each variant works on the same hour files as often as `--rounds` says, in another order each time, so that what else the
machine does meanwhile hits all of them. Times are CPU times of the whole process: start of Python, compression, proof
and record of the job included. Every file that is made is read back and compared.
"""

import argparse
import gzip
import hashlib
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import BinaryIO, cast

import zstandard

from benchmarks import lines

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT.parent / "shared" / "recordings"
HOUR_BYTES = 40_000_000
"""About an hour of one book. Recordings are shorter and are repeated: farther apart than any window here reaches."""
LEAST_BYTES = 80_000_000
"""What a run works on at least: the hour of the two books that are recorded by default."""
NOW = "2026-11-21T12:00:00Z"
HOUR = Path("2026-11-21") / "03.jsonl"
GZIP_LEVELS = (4, 5, 6, 9)
ZSTD_LEVELS = (3, 6, 9, 12)
USUAL = (("gzip", 6), ("zstd", 9))
MIB = 1 << 20


@dataclass
class Variant:
    """One way to compress, and what it took each time.

    Attributes:
        threads: how many files the job works on at a time; 0: the program of that name, not the job.
        packed: bytes of all files that were made; rss: greatest memory, in bytes.
    """

    name: str
    codec: str
    level: int
    threads: int = 1
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    packed: int = 0
    rss: int = 0


def variants() -> list[Variant]:
    """List what is compared, the two programs first."""
    jobs = [Variant(f"job, gzip {level}", "gzip", level) for level in GZIP_LEVELS]
    jobs += [Variant(f"job, zstd {level}", "zstd", level) for level in ZSTD_LEVELS]
    jobs += [Variant(f"job, {codec} {level}, 2 threads", codec, level, 2) for codec, level in USUAL]
    return [Variant("`gzip -6`", "gzip", 6, 0), Variant("`zstd -3`", "zstd", 3, 0), *jobs]


class Bench:
    """Runs variants on copies of one file.

    Args:
        folder: where there is room for the files and what is made of them.
    """

    def __init__(self, folder: Path, source: Path, books: int) -> None:
        self._folder = folder
        self._source = source
        self._books = books
        self._digest = _digest(source)

    def run(self, variant: Variant) -> None:
        """Run a variant once, and check what it made."""
        vault = self._folder / "vault"
        paths = [vault / "raw/okx/l2_perps" / f"BOOK{number}-USDT-SWAP" / HOUR for number in range(self._books)]
        for path in paths:
            path.parent.mkdir(parents=True)
            os.link(self._source, path)
        cpu_s, wall_s, rss = measured(self._command(variant, vault, paths))
        variant.cpu_s.append(cpu_s)
        variant.wall_s.append(wall_s)
        variant.rss = max(variant.rss, rss)
        variant.packed = sum(self._checked(path, variant) for path in paths)
        shutil.rmtree(vault)

    def _command(self, variant: Variant, vault: Path, paths: Sequence[Path]) -> list[str]:
        if not variant.threads:
            program = ["gzip", "--force"] if variant.codec == "gzip" else ["zstd", "-q", "--single-thread"]
            return [*program, f"-{variant.level}", "--keep", *map(str, paths)]
        options = ["--vault", str(vault), "--now", NOW, "--codec", variant.codec, "--level", str(variant.level)]
        return [sys.executable, "-m", "retention", "run", *options, "--jobs", str(variant.threads)]

    def _checked(self, plain: Path, variant: Variant) -> int:
        """Return the size of a file that was made; what it holds must be the source."""
        packed = plain.with_name(plain.name + (".gz" if variant.codec == "gzip" else ".zst"))
        if _digest(packed) != self._digest:
            raise SystemExit(f"{variant.name} made something else of {plain}")
        return packed.stat().st_size


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def measured(command: Sequence[str]) -> tuple[float, float, int]:
    """Run a command; return its CPU seconds, its wall seconds and its greatest memory in bytes."""
    begun_s = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return used.ru_utime + used.ru_stime, time.monotonic() - begun_s, used.ru_maxrss * scale


def compared(bench: Bench, rounds: int, seed: int) -> list[Variant]:
    """Run every variant in every round, in an order of its own."""
    found, random = variants(), Random(seed)
    for number in range(rounds):
        for variant in random.sample(found, len(found)):
            bench.run(variant)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return found


def table(found: Sequence[Variant], plain: int) -> Iterator[str]:
    """Write the figures as a table in Markdown; spread is from the least to the greatest of all rounds."""
    gzip_program, zstd_program = found[:2]
    against_both = "of `gzip -6`: ratio, CPU | of `zstd -3`: ratio, CPU"
    yield f"| | ratio | CPU s, median (spread) | wall s | MB/s of CPU | {against_both} |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for variant in found:
        cpu_s = statistics.median(variant.cpu_s)
        against = [
            f"{base.packed / variant.packed:.2f}, {cpu_s / statistics.median(base.cpu_s):.2f}"
            for base in (gzip_program, zstd_program)
        ]
        spread = f"{cpu_s:.2f} ({min(variant.cpu_s):.2f}-{max(variant.cpu_s):.2f})"
        cells = [variant.name, f"{plain / variant.packed:.2f}", spread, f"{statistics.median(variant.wall_s):.2f}"]
        yield f"| {' | '.join([*cells, f'{plain / cpu_s / 1e6:.0f}', *against])} |"


def memory(folder: Path, source: Path) -> Iterator[str]:
    """Write the peak memory of the job by codec, for one file and for one ten times as long."""
    tenfold = folder / "tenfold.jsonl"
    with source.open("rb") as file, tenfold.open("wb") as long:
        for _ in range(10):
            file.seek(0)
            shutil.copyfileobj(file, long)
    yield "| peak memory | " + " | ".join(f"{path.stat().st_size / 1e6:.0f} MB" for path in (source, tenfold)) + " |"
    yield "| --- | --- | --- |"
    for codec, level in USUAL:
        peaks = []
        for path in (source, tenfold):
            variant = Variant(codec, codec, level)
            Bench(folder, path, 1).run(variant)
            peaks.append(f"{variant.rss / MIB:.0f} MiB")
        yield f"| job, {codec} {level} | " + " | ".join(peaks) + " |"
    tenfold.unlink()


def surroundings() -> str:
    """Tell what the figures depend on."""
    programs = [
        subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        for name in ("gzip", "zstd")
    ]
    libraries = f"zlib {zlib.ZLIB_RUNTIME_VERSION}, zstandard {zstandard.__version__}"
    machine = f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}"
    versions = f"Python {platform.python_version()}, {libraries}; {'; '.join(programs)}"
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {versions}"


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    rows = info.read_text().splitlines() if info.exists() else []
    names = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def source_of(options: argparse.Namespace, folder: Path) -> tuple[Path, str]:
    """Write the lines to measure on; return their file and what they are."""
    made = folder / "lines.jsonl"
    if options.lines:
        write(made, _blocks(options.lines))
        return made, f"the lines of {options.lines.name}"
    if options.seed is None and RECORDINGS.is_dir():
        write(made, lines.recorded(RECORDINGS))
        times = -(-HOUR_BYTES // made.stat().st_size)
        once = made.rename(folder / "once.jsonl")
        write(made, itertools.chain.from_iterable(_blocks(once) for _ in range(times)))
        return made, f"books of real recordings, a line each 2 s, {times} times over"
    seed = 1 if options.seed is None else options.seed
    write(made, lines.generated(seed))
    return made, f"an hour of a book that walks at random, seed {seed}"


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece: what this process has held in memory counts for those it starts, too."""
    with path.open("wb") as file:
        file.writelines(pieces)


def _blocks(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        while block := file.read(MIB):
            yield block


def opened(path: Path) -> BinaryIO:
    """Open a file to read its plain bytes, by the end of its name."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path))
    return cast(BinaryIO, zstandard.open(path, "rb")) if path.suffix == ".zst" else path.open("rb")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=Path, metavar="FILE", help="an hour file to measure on, plain or compressed")
    parser.add_argument("--seed", type=int, help="measure on generated lines, even if recordings are there")
    parser.add_argument("--rounds", type=int, default=7, help="how often each variant runs (default: 7)")
    parser.add_argument("--books", type=int, help="how many such files a run works on (default: 80 MB)")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--json", action="store_true", help="print the raw figures instead of tables")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    for program in ("gzip", "zstd"):
        if shutil.which(program) is None:
            raise SystemExit(f"this compares with the program {program}: install it")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        folder = Path(name)
        source, what = source_of(options, folder)
        size = source.stat().st_size
        books = options.books or -(-LEAST_BYTES // size)
        found = compared(Bench(folder, source, books), options.rounds, 1)
        if options.json:
            print(json.dumps({"source": what, "bytes": size, "books": books, "variants": [vars(one) for one in found]}))
            return
        print(f"{surroundings()}\n")
        count = sum(block.count(b"\n") for block in _blocks(source))
        print(f"{what}: {count} lines, {size / 1e6:.1f} MB; {books} such files a run, {options.rounds} rounds\n")
        print("\n".join([*table(found, books * size), "", *memory(folder, source)]))


if __name__ == "__main__":
    main()
