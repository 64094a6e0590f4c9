"""The compiled part does what Python does: each against the other, and what it refuses."""

import gc
import hashlib
import itertools
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2_exporter.core import heldlevels, rows, speedups
from l2_exporter.core.decimaltext import fits_float, is_number
from l2_exporter.core.events import Row
from l2_exporter.core.heldlevels import MANY
from l2_exporter.core.rows import alternating, any_removed, are_rows, in_order, sides_of
from l2_exporter.core.side import Side
from l2_exporter.core.speedups import compiled

pytestmark = pytest.mark.skipif(compiled is None, reason="the compiled part has not been built here")

ROOT = Path(__file__).parents[2]
WITHOUT = ROOT / "tests" / "tools" / "without_compiled"

PLAIN = st.from_regex(r"[0-9]{1,7}(\.[0-9]{1,6})?", fullmatch=True)
ODD = st.sampled_from(
    [
        "123456789012345",
        "1234567890123456",
        "0.1234567890123456789",
        "100000000000000000000000000001",
        "0.00000000000000000000000000001",
        "1e5",
        "2.5E-3",
        "0e8",
        "007.5",
        "000000000000000000000000000007",
    ]
)
PRICES = st.one_of(st.integers(1, 40).map(str), st.integers(1, 40).map(lambda n: f"{n / 2:.2f}"), PLAIN, ODD)
SIZES = st.one_of(st.sampled_from(["0", "0.00", "1", "2.5"]), PLAIN, ODD)
MORE = st.one_of(st.sampled_from(["0", "5", "", "\x7f", "a/b"]), st.text(max_size=3), st.just("x" * 70))
ROWS = st.lists(
    st.tuples(PRICES, SIZES, st.lists(MORE, max_size=2)).map(lambda row: [row[0], row[1], *row[2]]), max_size=12
).filter(lambda drawn: are_rows(drawn, 2))


@contextmanager
def by_python() -> Iterator[None]:
    with patch.object(heldlevels, "compiled", None), patch.object(rows, "compiled", None):
        yield


def numbers_of(drawn: list[Row]) -> Any:
    sides = sides_of(drawn, [], 2)
    return None if sides is None or sides[2] is None else sides[2][0]


class Both:
    """A side kept by compiled code and one kept by Python."""

    def __init__(self, sign: float) -> None:
        self.ours = Side(sign)
        with by_python():
            self.python = Side(sign)

    def apply(self, drawn: list[Row]) -> None:
        """Apply rows with their numbers, as a decoder has read them, where they are plain."""
        self.ours.apply(drawn, numbers_of(drawn))
        with by_python():
            self.python.apply(drawn, numbers_of(drawn))

    def call(self, name: str, *arguments: Any) -> None:
        results = [getattr(self.ours, name)(*arguments)]
        with by_python():
            results.append(getattr(self.python, name)(*arguments))
        assert [*(results[0] or [])] == [*(results[1] or [])]

    def agree(self) -> None:
        assert self.ours.rows == self.python.rows
        assert (self.ours.depth, self.ours.best, self.ours.last_known) == (
            self.python.depth,
            self.python.best,
            self.python.last_known,
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), ROWS),
        st.tuples(st.just("with numbers"), ROWS),
        st.tuples(st.just("replace"), ROWS),
        st.tuples(st.sampled_from(["cover", "keep", "nearest", "top"]), st.integers(1, 6)),
    ),
    max_size=12,
)


@settings(max_examples=150)
@given(st.sampled_from([-1.0, 1.0]), STEPS)
def test_sides_agree_after_any_steps(sign: float, steps: list[tuple[str, Any]]) -> None:
    both = Both(sign)
    for name, argument in steps:
        if name == "with numbers":
            both.apply(argument)
        else:
            both.call(name, argument)
        both.agree()


@settings(max_examples=40)
@given(st.lists(ROWS, max_size=6), st.lists(ROWS, max_size=6))
def test_a_copy_is_not_touched_by_later_changes(before: list[list[Row]], after: list[list[Row]]) -> None:
    side = Side(-1.0)
    for drawn in before:
        side.apply(drawn)
    kept, copied = side.rows, side.copy()
    for drawn in after:
        side.apply(drawn)
    assert copied.rows == kept
    later = side.rows
    for drawn in after:
        copied.apply(drawn)
    assert side.rows == later


@given(st.one_of(PLAIN, ODD, st.text(max_size=8)))
def test_a_number_is_that_of_its_text_or_left_to_python(text: str) -> None:
    assert compiled is not None
    for row, column in (([text, "1"], 0), (["1", text], 1)):
        numbers = compiled.numbers_of([row], 2)
        if numbers is None:
            continue
        assert is_number(text)
        assert fits_float(text)
        (number,) = [*numbers][column]
        assert number == float(text)


@given(ROWS)
def test_what_verify_asks_of_numbers_is_as_python_tells_it(drawn: list[Row]) -> None:
    numbers = numbers_of(drawn)
    if numbers is None:
        return
    prices, sizes = numbers
    assert any_removed(numbers) == any_removed((prices, sizes)) == (0 in sizes)
    for descending in (False, True):
        ordered = sorted({*prices}, reverse=descending) == prices
        assert in_order(numbers, descending=descending) == in_order((prices, sizes), descending=descending) == ordered


@given(st.from_regex(r"(0|[1-9][0-9]{0,6})(\.[0-9]{1,8})?", fullmatch=True))
def test_ordinary_numbers_are_not_left_to_python(text: str) -> None:
    assert compiled is not None
    assert compiled.numbers_of([["1", text, "0", "12"]], 2) is not None


@given(ROWS, st.integers(0, 14))
def test_the_json_of_levels_is_that_of_their_rows(drawn: list[Row], depth: int) -> None:
    side = Side(1.0)
    side.apply(drawn)
    top = side.top(depth)
    assert [*top] == side.rows[:depth]
    if compiled is not None and isinstance(top, compiled.Levels):
        assert top.json == orjson.dumps(side.rows[:depth])


@given(ROWS, ROWS, st.integers(0, 14))
def test_levels_are_joined_as_python_joins_them(bids: list[Row], asks: list[Row], most: int) -> None:
    sides = Side(-1.0), Side(1.0)
    for side, drawn in zip(sides, (bids, asks), strict=True):
        side.apply(drawn)
    joined = alternating(sides[0].nearest(14), sides[1].nearest(14), most)
    texts = itertools.zip_longest(sides[0].rows[:most], sides[1].rows[:most])
    assert joined.decode() == ":".join(f"{row[0]}:{row[1]}" for pair in texts for row in pair if row is not None)


def levels(prices: range, size: str = "1") -> list[Row]:
    return [[f"{price}.5", size, "0", "3"] for price in prices]


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_many_changes_at_once_are_as_one_after_the_other(sign: float) -> None:
    both = Both(sign)
    both.call("apply", levels(range(1, 300)))
    both.call("apply", [*levels(range(200, 200 + MANY)), *levels(range(250, 260), "0"), *levels(range(255, 257), "7")])
    both.agree()
    both.call("cover", 100)
    both.call("apply", [*levels(range(1, 4 + MANY), "2")])
    both.agree()
    both.call("apply", levels(range(1, 100), "0"))
    both.agree()


def test_a_side_beyond_all_bounds_keeps_its_best_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2_exporter.core.side.MAX_LEVELS", 4000)
    side = Side(1.0)
    side.apply(levels(range(1, 4500)))
    assert side.depth == 4000
    assert side.last_known == "4000.5"
    side.apply(levels(range(1, 50), "0"))
    side.apply(levels(range(1, 20)))
    assert (side.depth, side.best) == (4000 - 30, "1.5")


def test_levels_are_a_sequence_that_compares_like_a_list() -> None:
    side = Side(1.0)
    side.apply(levels(range(1, 4)))
    top = side.top(2)
    assert len(top) == 2
    assert top[0] == ["1.5", "1", "0", "3"]
    assert top[-1] == top[1] == ["2.5", "1", "0", "3"]
    assert top[1:] == levels(range(2, 3))
    assert top == levels(range(1, 3)) == top
    assert top == side.top(2)
    assert top != side.top(3)
    assert top != ()
    assert repr(top) == repr(levels(range(1, 3)))
    with pytest.raises(IndexError):
        top[2]


@pytest.mark.parametrize(
    "wrong",
    [
        [["1", 2]],
        [["1"]],
        [[]],
        [("1", "2")],
        [None],
        [["1", "2", None]],
        [["1", "2", "\ud800"]],
        [["1", "2", 'quote"']],
        [["1", "2", "back\\slash"]],
        [["1", "2", "\x1f"]],
        [["1", "2", "\u00e9"]],
        [["0", "1"]],
        [["0.000", "1"]],
        [["-1", "1"]],
        [["1", "-0"]],
        [["", "1"]],
        [[".5", "1"]],
        [["5.", "1"]],
        [["1", "2"] + ["3"] * 40],
    ],
)
def test_what_is_no_plain_row_is_left_to_python(wrong: list[Any]) -> None:
    assert compiled is not None
    assert compiled.numbers_of(wrong, 2) is None
    assert compiled.numbers_of([["1", "1"], *wrong], 2) is None


def test_what_cannot_be_kept_is_refused() -> None:
    assert compiled is not None
    side = compiled.Sorted(highest_first=True)
    with pytest.raises(ValueError, match="short and plain"):
        side.set([["1e5", "1"]], ([1e5], [1.0]))
    with pytest.raises(TypeError):
        side.set(None, None)
    with pytest.raises(TypeError):
        compiled.numbers_of(None, 2)
    with pytest.raises(TypeError):
        compiled.alternating([["1", "2"]], [], 1)
    with pytest.raises(IndexError):
        side.worst()
    assert len(side) == 0
    assert side.set([], compiled.Numbers()) == 0
    assert [*side.top(5)] == [*side.top(-1)] == [*compiled.Levels()] == []
    with pytest.raises(IndexError):
        side.last()
    with pytest.raises(ValueError, match="as many"):
        side.set([["1", "1"]], compiled.Numbers())
    side.keep(0)
    side.keep(-3)
    assert compiled.alternating(compiled.Levels(), compiled.Levels(), 25) == b""


def test_numbers_in_either_form_lead_to_the_same_side() -> None:
    ours, pairs = Side(-1.0), Side(-1.0)
    drawn = [["2", "1"], ["1.5", "2"], ["1", "0"]]
    ours.apply(drawn, (sides_of(drawn, [], 2) or ((), (), None))[2][0])  # type: ignore[index]
    pairs.apply(drawn, ([2.0, 1.5, 1.0], [1.0, 2.0, 0.0]))
    assert ours.rows == pairs.rows == drawn[:2]


def test_memory_follows_what_is_held() -> None:
    def size(side: Side) -> int:
        tracemalloc.start()
        try:
            copied = side.copy()
            return tracemalloc.get_traced_memory()[0] * (copied.depth > 0)
        finally:
            tracemalloc.stop()

    few, many = Side(-1.0), Side(-1.0)
    few.apply(levels(range(1, 26)))
    many.apply(levels(range(1, 20_000)))
    many.keep(25)
    last = many
    for _ in range(50):
        last = last.copy()
    assert max(size(few), size(many), size(last)) < 2 * size(few)


def test_nothing_is_left_in_memory() -> None:
    def use() -> None:
        side = Side(-1.0)
        for step in range(20):
            side.apply(levels(range(step + 1, step + 60)))
            side.apply(levels(range(step + 1, step + 20), "0"))
            side.copy().keep(3)
            alternating(side.nearest(25), side.nearest(25), 25)
            sides_of([["1", "2", 'quote"']], [["1", "1"]], 2)
        side.apply(levels(range(1, MANY + 2)))
        side.replace([["1", "1"]])

    use()
    tracemalloc.start()
    try:
        use()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            use()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 4096
    finally:
        tracemalloc.stop()


def test_python_stands_in_where_it_is_not_built() -> None:
    code = "from l2_exporter.core.speedups import compiled; print(compiled)"
    environment = {**os.environ, "PYTHONPATH": str(WITHOUT)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert said.stdout == "None\n"


EDITIONS = {2: "9fce2807dfd980b2"}


def test_what_was_built_from_another_source_is_not_used() -> None:
    """Whoever changes the source raises `EDITION`, there and in `speedups`, and adds a digest here.

    What an older source was built into stays until the next installation, and must not be taken for the new one.
    """
    # Who has an environment already installs again when this file changes, on Windows too.
    assert f"Edition {speedups.EDITION} of the source" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    source = Path(speedups.__file__).with_name("_compiled.pyx").read_text(encoding="utf-8")
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == EDITIONS[speedups.EDITION]
    assert compiled is not None
    with patch.object(compiled, "EDITION", speedups.EDITION - 1):
        assert speedups._built() is None
    with patch.object(compiled, "EDITION", speedups.EDITION):
        assert speedups._built() is compiled
