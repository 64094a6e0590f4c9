"""The same tapes, with and without the compiled part: the same files, to the byte."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from l2_exporter.core.speedups import compiled
from tests.okx_frames import T0, snapshot, update
from tests.recordings import needs_recordings, path_of
from tests.tools.replaying import write_tape

ROOT = Path(__file__).parents[1]
WITHOUT = ROOT / "tests" / "tools" / "without_compiled"
PROGRAM = """
import sys
from l2_exporter.cli.main import main
from l2_exporter.core.speedups import compiled
assert (compiled is None) == (sys.argv.pop(1) == "without"), compiled
main()
"""

pytestmark = pytest.mark.skipif(compiled is None, reason="the compiled part has not been built here")


def replayed(way: str, tape: Path, vault: Path, venue: str) -> dict[str, bytes]:
    """Replay a tape in a process with or without the compiled part; return the hour files."""
    path = [str(ROOT), *([str(WITHOUT)] if way == "without" else [])]
    command = [sys.executable, "-c", PROGRAM, way, "replay", str(tape), "--vault", str(vault), "--venue", venue]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(path)})
    return {path.relative_to(vault).as_posix(): path.read_bytes() for path in sorted(vault.glob("raw/**/*.jsonl"))}


def assert_same(tape: Path, folder: Path, venue: str) -> None:
    with_it = replayed("with", tape, folder / "with", venue)
    assert with_it == replayed("without", tape, folder / "without", venue)
    assert sum(map(len, with_it.values())) > 1000


@needs_recordings
@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("okx/cryptofeed-20220513-books.jsonl.gz", "okx"),
        ("okx/tickvault-20260824-books-BTC-USDT.jsonl.gz", "okx"),
        ("binance_coinm/cryptofeed-20210722-100ms.jsonl.gz", "binance_coinm"),
        ("bybit/cryptofeed-20260809-v5-orderbook200-2conns.jsonl.gz", "bybit"),
        ("kraken/tickvault-20260824-v2-book10-BTC_USD.jsonl.gz", "kraken"),
        ("lighter/nautilus-20251208-order_book1-start_overlap.jsonl.gz", "lighter"),
        ("poloniex/cryptofeed-20220821b-book_lv2.jsonl.gz", "poloniex"),
    ],
)
def test_recordings_give_the_same_bytes(name: str, venue: str, tmp_path: Path) -> None:
    assert_same(path_of(name), tmp_path, venue)


ODD_PRICES = ["1e2", "100.0000000000000001", "0100.5", "99.99999999999999999", "1234567890123456.5"]
ODD_MORE = ['a "quote"', "back\\slash", "\u00e9", "x" * 60, ""]


def rows(chance: random.Random, odd: float) -> list[list[str]]:
    """Draw a few levels, of them some with texts that compiled code does not take."""
    drawn = []
    for _ in range(chance.randrange(1, 9)):
        price = chance.choice(ODD_PRICES) if chance.random() < odd else f"{chance.randrange(180, 220) / 2:.1f}"
        size = chance.choice(["0", "0.00", "1", "2.50", "1e-3" if odd else "3"])
        drawn.append([price, size, "0", chance.choice(ODD_MORE) if chance.random() < odd else "5"])
    return drawn


@pytest.mark.parametrize("odd", [0.0, 0.02])
def test_made_up_texts_give_the_same_bytes(odd: float, tmp_path: Path) -> None:
    chance = random.Random(f"odd {odd}")
    lines = []
    for number in range(1500):
        ms = T0 + 100 * number
        sides = {"bids": rows(chance, odd), "asks": rows(chance, odd)}
        text = snapshot(ms, 1 + number, **sides) if number % 300 == 0 else update(ms, 1 + number, number, **sides)
        recv_ns = (ms + 20) * 1_000_000
        lines.append({"n": number, "recv_ns": recv_ns, "mono_ns": recv_ns, "conn": "okx-1", "dir": "in", "frame": text})
    assert_same(write_tape(tmp_path / "tape.jsonl", lines), tmp_path, "okx")
