"""The book at any moment, against a naive model that kept every one; and no book where none is known."""

import gzip
import random
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from l2_exporter.archive.find import ArchivedBook, books
from l2_exporter.archive.orders_book import UNKNOWN_ENTRY
from l2_exporter.archive.orders_rebuild import Moment, UnknownMomentError, rebuild
from l2_exporter.core.errors import ArchiveError
from tests.tools.order_world import BOOKS, EVENTS, HOUR, INST, LEVELS, MS, VENUE, Known, OrderWorld, lively, text

SIDES = ("buy", "sell")


def rebuilt(root: Path, at_ns: int) -> Moment:
    held = books(root)
    events, whole, levels = (held.get(ArchivedBook(VENUE, dataset, INST), []) for dataset in (EVENTS, BOOKS, LEVELS))
    return rebuild(root, ArchivedBook(VENUE, EVENTS, INST), events, whole, levels, at_ns)


def moments(world: OrderWorld, dice: random.Random, count: int) -> list[int]:
    """Choose moments: exactly at events, just before them, and anywhere."""
    known = [known.ns for episode in world.episodes for known in episode.known]
    first, last = min(known) - 5 * MS, max(known) + 5 * MS
    exact = [dice.choice(known) + dice.choice((0, -1, 1, 999_999)) for _ in range(count // 2)]
    return [*exact, *(dice.randrange(first, last) for _ in range(count - len(exact)))]


def newest_ns(world: OrderWorld) -> int:
    """Tell the time of the newest line of the last episode."""
    return world.episodes[-1].until_ns


def assert_is(made: Moment, truth: Known) -> None:
    """Hold a book that is known whole against the truth, to the last text and the order of queues."""
    assert (made.last.number, made.last.live_since_utc) == (truth.number, truth.live)
    for side in SIDES:
        rows = made.book.sides[side]
        assert rows.limit is None
        assert [*rows.orders(1000)] == truth.book.order_rows(side, 1000)
        assert [*rows.side.top(1000)] == truth.book.level_rows(side, 1000)


def assert_is_as_far_as_known(made: Moment, truth: Known) -> None:
    """Hold a book that ends somewhere against the truth: whole up to there, and nothing made up behind."""
    for side in SIDES:
        mine, theirs = made.book.sides[side], truth.book.order_rows(side, 1000)
        rows = [*mine.orders(1000)]
        if mine.limit is None:
            assert rows == theirs
            continue
        sign, limit = (-1 if side == "buy" else 1), Decimal(mine.limit)

        def is_known(row: list[Any], sign: int = sign, limit: Decimal = limit) -> bool:
            return sign * Decimal(row[0]) <= sign * limit

        known = [*takewhile(is_known, rows)]
        expected = [*takewhile(is_known, theirs)]
        assert [row[:3] for row in known] == [row[:3] for row in expected]
        assert all(mine[3] in (UNKNOWN_ENTRY, told[3]) for mine, told in zip(known, expected, strict=True))
        told = {row[2]: (Decimal(row[0]), row[1]) for row in theirs}
        assert all(told[row[2]] == (Decimal(row[0]), row[1]) for row in rows[len(known) :])


@given(seed=st.integers(0, 10**6), depth=st.sampled_from([25, 3]), pick=st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None, phases=[Phase.generate])
def test_any_moment_is_the_truth_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, seed: int, depth: int, pick: random.Random
) -> None:
    root = tmp_path_factory.mktemp("vault")
    world = lively(seed, depth=depth, prices=12)
    world.write(root)
    for at_ns in moments(world, pick, 16):
        truth = world.at(at_ns)
        if truth is None:
            with pytest.raises(UnknownMomentError):
                rebuilt(root, at_ns)
            continue
        made = rebuilt(root, at_ns)
        (assert_is if depth == 25 else assert_is_as_far_as_known)(made, truth)
        assert made.applied == made.last.number - made.base.number
        assert made.last.timestamp_utc == text(truth.ns)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_across_hours_of_every_suffix(suffix: str, tmp_path: Path) -> None:
    world = OrderWorld(5, steps_ms=(20_000, 60_000))
    world.begin()
    world.happen(120)
    world.stop()
    vault = world.write(tmp_path)
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    for dataset in (EVENTS, BOOKS, LEVELS):
        path = vault.hour_file(VENUE, dataset, INST, HOUR + 1)
        if path.exists():
            path.with_name(path.name + suffix).write_bytes(pack(path.read_bytes()))
            path.unlink()
    for known in world.episodes[0].known[::11]:
        truth = world.at(known.ns)
        assert truth is not None
        assert_is(rebuilt(tmp_path, known.ns), truth)
    assert {path.suffix for path in tmp_path.rglob("raw/*/*/*/*/*")} == {suffix, ".jsonl"}


def test_an_hour_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    world = lively(2)
    vault = world.write(tmp_path)
    path = vault.hour_file(VENUE, EVENTS, INST, HOUR + 1)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    at_ns = world.episodes[-1].known[-1].ns
    truth = world.at(at_ns)
    assert truth is not None
    assert_is(rebuilt(tmp_path, at_ns), truth)


def refusal(root: Path, at_ns: int) -> str:
    with pytest.raises(UnknownMomentError) as told:
        rebuilt(root, at_ns)
    return str(told.value)


def test_what_is_not_known_is_refused_with_its_reason(tmp_path: Path) -> None:
    world = lively(1)
    world.write(tmp_path)
    first, second, third, last = world.episodes
    live = [text(episode.live_ns) for episode in world.episodes]
    assert refusal(tmp_path, first.live_ns - 1) == (
        f"bitfinex:tBTCUSD has no event at or before that time; its first line is at {live[0]}."
    )
    lost = f"the book was lost (sequence) since {text(first.until_ns)} until {live[1]}."
    assert refusal(tmp_path, first.until_ns + 1) == refusal(tmp_path, second.live_ns - 1) == lost
    assert refusal(tmp_path, third.live_ns - 1).startswith("the book was lost (disconnect) since ")
    killed = f"the book was lost (restart) since {text(third.until_ns)} until {live[3]}."
    assert refusal(tmp_path, third.until_ns + 1) == killed
    newest = text(newest_ns(world), 9).rstrip("Z").rstrip("0").rstrip(".") + "Z"
    assert (
        refusal(tmp_path, newest_ns(world) + 1) == f"the newest line is at {newest}: what came after it is not known."
    )
    assert rebuilt(tmp_path, last.until_ns).last.live_since_utc == live[3]


def test_events_that_are_missing_make_all_behind_them_unknown_until_the_next_book(tmp_path: Path) -> None:
    world = OrderWorld(8)
    world.begin()
    world.happen(30)
    world.now_ns += MS
    hole = len(world.lines[EVENTS]) - 3
    books_before = len(world.lines[BOOKS])
    world.happen(1)
    world.write_book()
    behind_ns = world.now_ns
    world.now_ns += MS
    world.happen(1)
    world.stop()
    removed = world.lines[EVENTS].pop(hole)
    del world.lines[BOOKS][1:books_before]
    world.write(tmp_path)
    assert f"n {removed['n']} to" in refusal(tmp_path, behind_ns - 1)
    truth = world.at(behind_ns)
    assert truth is not None
    assert_is(rebuilt(tmp_path, behind_ns), truth)


def test_an_episode_whose_books_are_gone(tmp_path: Path) -> None:
    world = lively(3)
    world.lines[BOOKS] = []
    world.write(tmp_path)
    at_ns = world.episodes[0].until_ns
    live = text(world.episodes[0].live_ns)
    assert refusal(tmp_path, at_ns) == f"the episode since {live} has no line with a whole book at or before that time."


def test_episodes_that_begin_at_one_moment_cannot_be_told_apart(tmp_path: Path) -> None:
    world = lively(3)
    live = next(line for line in world.ledger if line["kind"] == "live")
    gap = next(line for line in world.ledger if line["kind"] == "gap")
    world.ledger += [gap | {"id": "again"}, live | {"id": "again"}]
    world.write(tmp_path)
    assert "two episodes begin at" in refusal(tmp_path, world.episodes[0].live_ns)


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    world = lively(3)
    vault = world.write(tmp_path)
    path = vault.hour_file(VENUE, EVENTS, INST, HOUR)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"side":', b'"sude":')
    path.write_bytes(b"".join(lines))
    with pytest.raises(ArchiveError, match=r"15\.jsonl:5 cannot be read: side should stand where 'sude' is"):
        rebuilt(tmp_path, world.episodes[0].known[4].ns + 1)
