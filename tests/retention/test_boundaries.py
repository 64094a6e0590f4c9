"""The second at which a file is compressed or deleted, by the clock and by --now; clocks and hours that are not now."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from freezegun import freeze_time

from retention import cli as program
from tests.retention.vaults import World, lines

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
COMPRESS, DELETE = timedelta(hours=6), timedelta(days=5)

ENDS = {
    "an afternoon": datetime(2026, 11, 21, 16, tzinfo=UTC),
    "a midnight": datetime(2026, 11, 21, tzinfo=UTC),
    "the end of a month": datetime(2026, 12, 1, tzinfo=UTC),
    "the end of a year": datetime(2027, 1, 1, tzinfo=UTC),
    "a leap day": datetime(2028, 2, 29, tzinfo=UTC),
    "behind a leap day": datetime(2028, 3, 1, tzinfo=UTC),
    "the year 2038": datetime(2038, 1, 19, 4, tzinfo=UTC),
}

AGES: list[tuple[timedelta, str]] = [
    (-HOUR, ".jsonl"),
    (-SECOND, ".jsonl"),
    (COMPRESS - SECOND, ".jsonl"),
    (COMPRESS, ".jsonl.gz"),
    (COMPRESS + SECOND, ".jsonl.gz"),
    (DELETE - SECOND, ".jsonl.gz"),
    (DELETE, ""),
    (DELETE + SECOND, ""),
]

Run = Callable[[World, datetime], None]


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program.processes, "lower_priority", lambda: None)
    for name in ("L2_VAULT", "L2_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def command(world: World, *options: str) -> None:
    result = CliRunner().invoke(program.cli, ["run", "--vault", str(world.root), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def by_the_clock(world: World, now: datetime) -> None:
    with freeze_time(now):
        command(world)


def by_now(world: World, now: datetime) -> None:
    """The clock stands years behind meanwhile."""
    with freeze_time("2020-06-01T12:00:00Z"):
        command(world, "--now", now.isoformat())


def put(world: World, end: datetime, data: bytes, suffix: str = ".jsonl") -> Path:
    """Write the file of the hour that ended then; return its path without the suffix."""
    start = end - HOUR
    folder = world.root / "raw/okx/l2_perps/BTC-USDT-SWAP" / f"{start:%Y-%m-%d}"
    world.put(folder / f"{start:%H}{suffix}", data)
    return folder / f"{start:%H}"


def suffixes(stem: Path) -> list[str]:
    return [suffix for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst") if Path(f"{stem}{suffix}").exists()]


@pytest.mark.parametrize("told", [by_the_clock, by_now])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_to_the_second(tmp_path: Path, told: Run, end: datetime) -> None:
    """One vault as it ages, and at each age one that the job sees for the first time."""
    grows = World(tmp_path / "grows")
    stem = put(grows, end, lines(1))
    for number, (age, expected) in enumerate(AGES):
        first = World(tmp_path / str(number))
        for world in (grows, first):
            if world is first:
                put(world, end, lines(1))
            told(world, end + age)
            there = suffixes(world.root / stem.relative_to(grows.root))
            assert there == ([expected] if expected else []), (age, world.root.name)
    assert [line["action"] for line in grows.record()] == ["compressed", "deleted"]
    assert [line["at"] for line in grows.record()] == [f"{end + age:%Y-%m-%dT%H:%M:%SZ}" for age in (COMPRESS, DELETE)]
    days = {path.stem for path in grows.root.glob("meta/retention/*.jsonl")}
    assert days == {f"{end + age:%Y-%m-%d}" for age in (COMPRESS, DELETE)}


@pytest.mark.parametrize("told", [by_the_clock, by_now])
def test_a_clock_that_is_set_back_undoes_and_hastens_nothing(tmp_path: Path, told: Run) -> None:
    world, end = World(tmp_path / "v"), ENDS["the end of a year"]
    stem = put(world, end, lines(1))
    told(world, end + COMPRESS)
    younger = put(world, end + HOUR, lines(2))
    before = world.files(), world.record()
    for back in (SECOND, HOUR, timedelta(days=400)):
        told(world, end + COMPRESS - back)
        assert (world.files().keys(), world.record()) == (before[0].keys(), before[1])
        assert (suffixes(stem), suffixes(younger)) == ([".jsonl.gz"], [".jsonl"])
    told(world, end + COMPRESS + HOUR)
    assert (suffixes(stem), suffixes(younger)) == ([".jsonl.gz"], [".jsonl.gz"])


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("told", [by_the_clock, by_now])
def test_an_hour_in_the_future_is_left_alone_until_it_is_old(tmp_path: Path, told: Run, suffix: str) -> None:
    """A venue's clock, or ours, was wrong: it is not older than it says, whatever is beside it."""
    world, now = World(tmp_path / "v"), datetime(2026, 11, 21, 12, tzinfo=UTC)
    data = lines(1) if suffix == ".jsonl" else b"not even read"
    stems = [put(world, now + ahead, data, suffix) for ahead in (SECOND * 3600, 50 * HOUR, timedelta(days=9000))]
    old = put(world, now - 7 * HOUR, lines(2))
    told(world, now)
    assert [suffixes(stem) for stem in stems] == [[suffix]] * 3
    assert suffixes(old) == [".jsonl.gz"]
    assert all(Path(f"{stem}{suffix}").read_bytes() == data for stem in stems)


def test_the_limits_zero_and_never(tmp_path: Path) -> None:
    """Nothing is due before its hour is surely over: a later line is there, or 120 s have passed."""
    world, end = World(tmp_path / "v"), ENDS["a midnight"]
    stem = put(world, end, lines(1))
    eager = ("--compress-after", "0s", "--delete-after", "never")
    command(world, *eager, "--now", (end + timedelta(seconds=119)).isoformat())
    assert suffixes(stem) == [".jsonl"]
    command(world, *eager, "--now", (end + timedelta(seconds=120)).isoformat())
    assert suffixes(stem) == [".jsonl.gz"]
    command(world, *eager, "--now", "9999-12-31T23:59:59Z")
    assert suffixes(stem) == [".jsonl.gz"]
