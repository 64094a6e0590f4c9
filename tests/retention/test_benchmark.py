"""The benchmark of the job runs, on lines that are what they are said to be. Its times are no matter for tests."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import lines
from l2_exporter.archive.stored import decode_line
from tests.recordings import ROOT as RECORDINGS
from tests.recordings import needs_recordings

ROOT = Path(__file__).resolve().parents[2]


def test_generated_lines_are_lines_of_the_archive_and_depend_on_the_seed_alone() -> None:
    first = list(lines.generated(3, 4))
    assert first == list(lines.generated(3, 4)) != list(lines.generated(4, 4))
    for raw in first:
        line = decode_line(raw.removesuffix(b"\n"))
        assert (len(line.bids), len(line.asks)) == (400, 400)
        assert float(line.bids[0][0]) < float(line.asks[0][0])


@needs_recordings
def test_recorded_lines_are_books_that_stand_as_books_do() -> None:
    for raw in islice(lines.recorded(RECORDINGS), 5):
        line = decode_line(raw.removesuffix(b"\n"))
        assert (len(line.bids), len(line.asks)) == (400, 400)
        prices = [float(row[0]) for row in (*reversed(line.bids), *line.asks)]
        assert prices == sorted(set(prices))


@pytest.mark.skipif(sys.platform == "win32", reason="needs wait4")
def test_every_variant_runs_and_makes_what_it_should(tmp_path: Path) -> None:
    missing = [name for name in ("gzip", "zstd") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    source = tmp_path / "10.jsonl"
    source.write_bytes(b"".join(lines.generated(1, 8)))
    options = ["--lines", str(source), "--rounds", "1", "--books", "2", "--folder", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "benchmarks.retention", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["bytes"], told["books"]) == (source.stat().st_size, 2)
    packed = {one["name"]: one["packed"] for one in told["variants"]}
    assert len(packed) == 12
    assert packed["job, gzip 6"] == packed["job, gzip 6, 2 threads"]
    assert abs(packed["job, gzip 6"] - packed["`gzip -6`"]) < 0.01 * packed["`gzip -6`"]
    assert packed["job, gzip 4"] > packed["job, gzip 6"] > packed["job, gzip 9"]
    assert [path.name for path in tmp_path.iterdir()] == ["10.jsonl"]
