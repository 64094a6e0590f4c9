"""Results as tables in Markdown."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.speed.measuring import Figure, times


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at; `least` tells that more is better."""

    text: str
    limit: float
    measured: float
    least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.measured >= self.limit if self.least else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    """What one group found.

    Attributes:
        title: what was measured on; ours: the row that others are compared with; stages: rows that are parts of it.
        missing: what could not be run here, and why.
        rows: another table than that of the figures: a header and rows, as texts.
    """

    key: str
    title: str
    figures: Sequence[Figure] = ()
    ours: str | None = None
    stages: Sequence[str] = ()
    goals: Sequence[Goal] = ()
    missing: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    raw: Any = field(default=None)


def markdown(table: Table) -> Iterator[str]:
    """Write a table, its goals, and what is missing from it."""
    if not table.figures and not table.rows:
        yield f"{table.title}."
        return
    yield f"{table.title}:"
    yield ""
    yield f"<!-- figures: speed {table.key} -->"
    if table.figures:
        yield from _figures(table)
    if table.rows:
        yield from grid(table.rows)
    for what in table.missing:
        yield ""
        yield what
    if table.goals:
        yield ""
        yield from grid([["goal", "measured", ""], *map(_goal, table.goals)])


def grid(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows, the first as the header."""
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield "|" + " --- |" * len(row)


def _figures(table: Table) -> Iterator[str]:
    ours = next((one for one in table.figures if one.name == table.ours), None)
    header = ["", "µs of CPU a frame (spread)", "frames/s", "x floor"]
    rows = [header if ours is None else [*header, "x ours"]]
    for one in table.figures:
        row = [one.name, f"{one.us:.2f} ({one.spread:.0%})", f"{rounded(1e6 / one.us):,}", f"{one.ratio:.2f}"]
        rows.append(row if ours is None else [*row, f"{times(ours, one):.2f}"])
    yield from grid(rows)


def _goal(goal: Goal) -> list[str]:
    sign = "at least" if goal.least else "at most"
    aim = f"{goal.text}: {sign} {goal.limit:g}{goal.unit}"
    return [aim, f"{goal.measured:.2f}{goal.unit}", "met" if goal.met else "missed"]


def rounded(value: float) -> int:
    """Round to three digits: more is noise."""
    unit = int(10 ** max(0, math.floor(math.log10(value)) - 2)) if value >= 1 else 1
    return round(value / unit) * unit
