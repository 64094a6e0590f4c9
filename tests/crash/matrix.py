"""The matrix: every row an operation and a fault, every cell a call at which it begins; run by several processes."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from random import Random

from l2_exporter.core.errors import L2Error
from tests.crash import cells, repeats, retaining
from tests.crash.disk import Call
from tests.crash.faults import FAULTS
from tests.crash.mutations import MUTATIONS
from tests.crash.scenarios import SCENARIOS, run_scenario
from tests.crash.verdict import Verdict
from tests.crash.worlds import OPERATIONS

NAMES = (*(operation.name for operation in OPERATIONS), repeats.NAME, retaining.NAME)
REPLAY, RETENTION, SCENES = len(OPERATIONS), len(OPERATIONS) + 1, len(OPERATIONS) + 2
PROCESSES = SCENES + 1
SECONDS = 60.0
"""A cell that takes longer is told as failed by whoever waits for it; the usual ones take a tenth of a second."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Place of a cell: operation and fault by their numbers, and the call; of a scenario its own number.

    Attributes:
        mutation: number of the mutation of the product that is in force, -1: none.
    """

    operation: int
    fault: int
    at: int
    mutation: int = -1

    def run(self) -> Verdict:
        """Run it here."""
        broken = nullcontext() if self.mutation < 0 else MUTATIONS[self.mutation].in_force()
        with broken:
            if self.operation == SCENES:
                return run_scenario(SCENARIOS[self.at])
            fault = FAULTS[self.fault]
            if self.operation == REPLAY:
                return repeats.run_cell(fault, self.at)
            if self.operation == RETENTION:
                return retaining.run_cell(fault, self.at)
            return cells.run_cell(OPERATIONS[self.operation], fault, self.at)


@dataclass
class Row:
    """What became of the cells of one operation and fault."""

    cells: int = 0
    failed: int = 0
    how: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, cell: Cell, verdict: Verdict) -> None:
        """Count a cell."""
        self.cells += 1
        self.how[verdict.how] += 1
        if verdict.problems:
            self.failed += 1
            self.problems.append(f"call {cell.at}: {verdict.problems[0]}")


Rows = dict[tuple[int, int], Row]


@cache
def _calls(operation: int, mutation: int) -> tuple[Call, ...]:
    if operation == REPLAY:
        return tuple(repeats.calls())
    broken = nullcontext() if mutation < 0 else MUTATIONS[mutation].in_force()
    with broken, tempfile.TemporaryDirectory() as folder:
        return tuple(OPERATIONS[operation].calls(Path(folder) / "calm"))


def begins_at(operation: int, fault: int, mutation: int = -1) -> list[int]:
    """List the calls of an operation that a fault can begin at."""
    if operation == RETENTION:
        return retaining.begins_at(FAULTS[fault])
    if operation < REPLAY and OPERATIONS[operation].power and not FAULTS[fault].loses_power:
        return []
    return FAULTS[fault].begins_at(_calls(operation, mutation))


def all_cells(operations: Iterable[int] = range(SCENES), faults: Iterable[int] | None = None) -> list[Cell]:
    """List the cells, scenarios left out, in order of rows and calls."""
    chosen = [*range(len(FAULTS))] if faults is None else [*faults]
    return [Cell(op, fault, at) for op in operations for fault in chosen for at in begins_at(op, fault)]


def mutated_cells(number: int) -> list[Cell]:
    """List the cells that are run with one mutation."""
    mutation = MUTATIONS[number]
    places = [(op, fault, at) for op, fault in mutation.rows for at in begins_at(op, fault, number)]
    places += [(cell.operation, cell.fault, cell.at) for cell in scenes() if mutation.scenes]
    return [Cell(*place, mutation=number) for place in places]


def scenes() -> list[Cell]:
    """List the scenarios as cells."""
    return [Cell(SCENES, 0, number) for number in range(len(SCENARIOS))]


def some(every: list[Cell], count: int, seed: int = 1) -> list[Cell]:
    """Draw cells, of every row one at least, always the same ones."""
    random = Random(seed)
    rows: dict[tuple[int, int], list[Cell]] = {}
    for cell in every:
        rows.setdefault((cell.operation, cell.fault), []).append(cell)
    drawn = {random.choice(row) for row in rows.values()}
    drawn |= {*random.sample(every, min(len(every), max(0, count - len(drawn))))}
    return sorted(drawn)


def run_one(cell: Cell) -> tuple[Cell, Verdict]:
    """Run a cell; what the product raises where it should not is a problem like others."""
    try:
        return cell, cell.run()
    except (L2Error, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        return cell, Verdict((f"raised: {error!r}",), "raised")


def run_all(every: list[Cell], done: Callable[[int], None] = lambda _count: None) -> Iterator[tuple[Cell, Verdict]]:
    """Run cells in as many processes as there are processors, and yield them in their order."""
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        running = [pool.apply_async(run_one, (cell,)) for cell in every]
        for count, each in enumerate(running, 1):
            yield each.get(timeout=SECONDS)
            done(count)


def rows_of(results: Iterable[tuple[Cell, Verdict]]) -> Rows:
    """Sum up results by row."""
    rows: Rows = {}
    for cell, verdict in results:
        rows.setdefault((cell.operation, cell.fault if cell.operation != SCENES else cell.at), Row()).add(cell, verdict)
    return rows
