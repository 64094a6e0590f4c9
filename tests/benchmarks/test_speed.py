"""What is timed does the work it is said to do: the product's own bytes, every case in every round, and tables."""

import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from benchmarks.speed import chart, measuring
from benchmarks.speed.groups import GROUPS
from benchmarks.speed.measuring import Case, Figure
from benchmarks.speed.product import digest_of
from benchmarks.speed.publish import published
from benchmarks.speed.tables import Goal, Table, markdown, rounded
from benchmarks.streams import binance, okx, orders, walk
from benchmarks.streams.lines import Line, line
from l2_exporter.cli.main import cli
from tests.recordings import needs_recordings, path_of

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need wait4 and getrusage")


def tape(path: Path, lines: Iterable[Line]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def okx_lines(count: int) -> Iterable[Line]:
    return (line(ms, frame, okx.URL) for ms, frame in okx.frames(walk.walked(walk.LIGHT, "test", count)))


def timed(stage: str, path: Path, venue: str, skip: int) -> dict[str, object]:
    """Run a stage twice in one worker; both must say the same of what they did."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.product",
        stage,
        str(path),
        "--venue",
        venue,
        "--skip",
        str(skip),
    ]
    done = subprocess.run(command, cwd=ROOT, input="run\nrun\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ready, first, second = map(json.loads, done.stdout.splitlines())
    assert ready == {"ready": stage}
    for told in (first, second):
        assert told.pop("cpu_s") >= 0
        assert told.pop("wall_s") > 0
        assert told.pop("rss_bytes") > 1 << 20
    assert first == second
    return dict(first)


def replayed(vault: Path, path: Path, venue: str) -> str:
    """Return the digest of what the command `replay` writes."""
    result = CliRunner().invoke(cli, ["replay", str(path), "--vault", str(vault), "--venue", venue])
    assert result.exit_code == 0, result.output
    return digest_of(vault)


@POSIX
def test_what_is_timed_writes_the_bytes_of_a_replay(tmp_path: Path) -> None:
    path = tape(tmp_path / "tape.jsonl", okx_lines(60))
    told = timed("line", path, "okx", 0)
    assert told["digest"] == replayed(tmp_path / "v", path, "okx")
    assert (told["count"], told["lines"], told["checks"]) == (61, 3, {"ok": 61})
    (file,) = (tmp_path / "v/raw").rglob("*.jsonl")
    last = json.loads(file.read_text().splitlines()[-1])
    assert told["best"] == [float(last["best_bid"]), float(last["best_ask"])]


@POSIX
@pytest.mark.parametrize("venue", ["binance", "coinbase"])
def test_so_do_books_of_rest_and_single_orders(venue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LIVE", 200)
    lines = (
        binance.generated(walk.walked(walk.DEEP, "test", 45)) if venue == "binance" else orders.coinbase("test", 900)
    )
    path = tape(tmp_path / "tape.jsonl", lines)
    told = timed("line", path, venue, 2)
    assert told["digest"] == replayed(tmp_path / "v", path, venue)
    assert told["count"] == len(path.read_text().splitlines()) - 2


@POSIX
@needs_recordings
def test_so_does_a_recording_of_single_orders(tmp_path: Path) -> None:
    path = tape(tmp_path / "tape.jsonl", islice(orders.bitfinex(path_of(orders.BITFINEX)), 800))
    told = timed("line", path, "bitfinex", 3)
    assert told["digest"] == replayed(tmp_path / "v", path, "bitfinex")
    assert told["losses"] == {}


@POSIX
@pytest.mark.parametrize("stage", ["loads", "decode", "feed"])
def test_the_other_stages_count_frames_and_write_nothing(stage: str, tmp_path: Path) -> None:
    assert timed(stage, tape(tmp_path / "tape.jsonl", okx_lines(9)), "okx", 4) == {"count": 6}


WORKER = """
import sys
print('{{}}', flush=True)
for _ in sys.stdin:
    open({log!r}, 'a').write({name!r})
    print('{{"cpu_s": {cpu_s}, "count": 4}}', flush=True)
"""


def test_every_case_runs_in_every_round_and_another_one_begins(tmp_path: Path) -> None:
    log = tmp_path / "log"
    cases = [
        Case(name, [sys.executable, "-c", WORKER.format(log=str(log), name=name, cpu_s=cpu_s)])
        for name, cpu_s in (("a", 1e-6), ("b", 2e-6), ("c", 6e-6))
    ]
    found = measuring.compared(cases, 3)
    assert log.read_text() == "cab" + "abc" + "bca" + "cab"
    assert [(one.name, round(one.us, 6), one.ratio) for one in found] == [("a", 0.25, 1), ("b", 0.5, 2), ("c", 1.5, 6)]


def test_ratios_are_of_the_same_round() -> None:
    slow_second = [{"cpu_s": cpu_s, "count": 1} for cpu_s in (1e-6, 3e-6, 1e-6)]
    twice = [{"cpu_s": cpu_s, "count": 1} for cpu_s in (2e-6, 6e-6, 2e-6)]
    floor, other = measuring.figures({"floor": slow_second, "other": twice})
    assert (floor.us, other.us, other.ratio, measuring.times(other, floor)) == (1, 2, 2, 0.5)
    assert other.spread == pytest.approx(2)


@POSIX
def test_a_program_is_timed_from_start_to_end() -> None:
    told = measuring.whole(Case("busy", [sys.executable, "-c", "sum(range(3_000_000))"], 5))
    assert told["count"] == 5
    assert 0 < told["cpu_s"] < 60
    with pytest.raises(SystemExit, match="ended with 3"):
        measuring.whole(Case("failing", [sys.executable, "-c", "raise SystemExit(3)"], 1))


def figure(name: str, us: float, ratio: float) -> Figure:
    return Figure(name, us, 0.04, ratio, [{"cpu_s": us / 1e6, "count": 1}])


TABLE = Table(
    "okx",
    "Books",
    [figure("floor", 5, 1), figure("part", 8, 1.6), figure("**ours**", 20, 4), figure("peer & co", 50, 10)],
    "**ours**",
    ("part",),
    [Goal("x floor", 4.5, 4), Goal("beside peer", 3, 2.5, least=True, unit="x")],
    ["Something was not there."],
)


def test_tables_say_what_was_found_and_what_was_missed() -> None:
    assert "\n".join(markdown(TABLE)) == (
        "Books:\n\n"
        "<!-- figures: speed okx -->\n"
        "|  | µs of CPU a frame (spread) | frames/s | x floor | x ours |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| floor | 5.00 (4%) | 200,000 | 1.00 | 0.25 |\n"
        "| part | 8.00 (4%) | 125,000 | 1.60 | 0.40 |\n"
        "| **ours** | 20.00 (4%) | 50,000 | 4.00 | 1.00 |\n"
        "| peer & co | 50.00 (4%) | 20,000 | 10.00 | 2.50 |\n\n"
        "Something was not there.\n\n"
        "| goal | measured |  |\n"
        "| --- | --- | --- |\n"
        "| x floor: at most 4.5 | 4.00 | met |\n"
        "| beside peer: at least 3x | 2.50x | missed |"
    )


def test_what_was_not_measured_has_a_sentence() -> None:
    assert [*markdown(Table("live", "Live: not measured, it needs Linux"))] == ["Live: not measured, it needs Linux."]


def test_rates_have_three_digits() -> None:
    assert [rounded(rate) for rate in (123_456, 99_949, 1_005.5, 0.4)] == [123_000, 99_900, 1_010, 0]


def test_a_chart_shows_whole_ways_only() -> None:
    root = ElementTree.fromstring(chart.svg([TABLE, Table("memory", "Memory")]))
    space = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{space}text")] == [
        "Books", "floor", "1.0", "ours", "4.0", "peer & co", "10.0",
    ]  # fmt: skip
    widths = [float(bar.get("width", "")) for bar in [*root.iter(f"{space}rect")][1:]]
    assert widths == pytest.approx([widths[2] / 10, widths[2] * 0.4, widths[2]], abs=0.1)


def test_a_page_gets_new_tables_where_the_old_ones_stood() -> None:
    old = "<!-- speed: okx -->\nold\n\nold\n<!-- end of okx -->\nC\n"
    page = f"A\n<!-- speed: about -->\nold\n<!-- end of about -->\nB\n{old}"
    assert published(page, "today", [TABLE]) == (
        "A\n<!-- speed: about -->\nMeasured today.\n<!-- end of about -->\nB\n<!-- speed: okx -->\n"
        + "\n".join(markdown(TABLE))
        + "\n<!-- end of okx -->\nC\n"
    )
    with pytest.raises(SystemExit, match="no place for memory"):
        published(page, "today", [Table("memory", "Memory")])


def test_the_page_has_a_place_for_every_group() -> None:
    page = (ROOT / "docs/BENCHMARKS.md").read_text(encoding="utf-8")
    for key in GROUPS:
        assert f"<!-- speed: {key} -->\n" in page
        assert f"\n<!-- end of {key} -->\n" in page
