"""Hours of single orders: compressed sooner than others, deleted as they are, and never while they may grow."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from retention import cli as program
from tests.retention.vaults import World, lines

END = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""End of the hours that are looked at; they are those that began an hour before it."""
ORDERS = ("l3_spot", "l3_spot.25", "l3_spot_books.25", "l3_perps")
LEVELS = ("l2_spot.from_l3", "l2_perps")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program.processes, "lower_priority", lambda: None)
    for name in ("L2_VAULT", "L2_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    world = World(tmp_path / "v")
    for number, dataset in enumerate((*ORDERS, *LEVELS)):
        world.put(world.hour(1, dataset=dataset), lines(number))
    return world


def run(world: World, age: timedelta, *options: str) -> None:
    arguments = ["run", "--vault", str(world.root), "--now", (END + age).isoformat(), *options]
    result = CliRunner().invoke(program.cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def stored(world: World, datasets: tuple[str, ...]) -> dict[str, set[str]]:
    """Tell which files there are of each dataset's hour."""
    return {name: {path.name for path in (world.root / "raw" / "okx" / name).rglob("11.*")} for name in datasets}


def all_are(datasets: tuple[str, ...], *names: str) -> dict[str, set[str]]:
    return {dataset: set(names) for dataset in datasets}


def test_they_are_compressed_after_an_hour_and_deleted_with_the_others(world: World) -> None:
    data = {path: content for path, content in world.files().items() if "/l3_" in path}
    run(world, timedelta(minutes=59, seconds=59))
    assert stored(world, (*ORDERS, *LEVELS)) == all_are((*ORDERS, *LEVELS), "11.jsonl")
    run(world, timedelta(hours=1))
    assert stored(world, ORDERS) == all_are(ORDERS, "11.jsonl.gz")
    assert stored(world, LEVELS) == all_are(LEVELS, "11.jsonl")
    packed = {path: content for path, content in world.files().items() if "/l3_" in path}
    assert {path.removesuffix(".gz"): gzip.decompress(content) for path, content in packed.items()} == data
    run(world, timedelta(hours=6))
    assert stored(world, LEVELS) == all_are(LEVELS, "11.jsonl.gz")
    run(world, timedelta(days=5))
    assert stored(world, (*ORDERS, *LEVELS)) == all_are((*ORDERS, *LEVELS))
    buried = [line["dataset"] for line in world.record() if line["action"] == "deleted"]
    assert sorted(buried) == sorted((*ORDERS, *LEVELS))
    assert {line["lines"] for line in world.record()} == {40}


def test_the_flag_and_the_file_set_their_age(world: World, tmp_path: Path) -> None:
    (tmp_path / "l2.toml").write_text("[retention]\ncompress_l3_after = 'never'\n")
    run(world, timedelta(hours=7))
    assert (stored(world, ORDERS), stored(world, LEVELS)) == (
        all_are(ORDERS, "11.jsonl"),
        all_are(LEVELS, "11.jsonl.gz"),
    )
    run(world, timedelta(hours=7), "--compress-l3-after", "7h")
    assert stored(world, ORDERS) == all_are(ORDERS, "11.jsonl.gz")


def test_none_is_compressed_while_a_line_of_it_may_still_come(world: World) -> None:
    """Whatever the age: its end must be 120 s ago, or a line of a later hour be there."""
    run(world, timedelta(seconds=-1), "--compress-l3-after", "0s")
    run(world, timedelta(seconds=119), "--compress-l3-after", "0s")
    assert stored(world, ORDERS) == all_are(ORDERS, "11.jsonl")
    world.put(world.hour(0, dataset="l3_spot"), lines(9))
    run(world, timedelta(seconds=119), "--compress-l3-after", "0s")
    assert stored(world, ("l3_spot",)) == all_are(("l3_spot",), "11.jsonl.gz")
    assert stored(world, ORDERS[1:]) == all_are(ORDERS[1:], "11.jsonl")
    run(world, timedelta(seconds=120), "--compress-l3-after", "0s")
    assert stored(world, ORDERS) == all_are(ORDERS, "11.jsonl.gz")
