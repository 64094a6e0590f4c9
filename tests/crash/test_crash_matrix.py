"""Some cells of the crash matrix, the same ones each time; `make crash-matrix` runs all of them."""

from random import Random

import pytest

from tests.crash import matrix
from tests.crash.matrix import Cell
from tests.crash.mutations import MUTATIONS
from tests.crash.scenarios import SCENARIOS, Scenario, run_scenario

CELLS = 88
PARTS = 4
NOTICED_BY = {"a short write counts as a whole one": 3, "a torn end is not repaired": 8, "lines need not ascend": 4}
"""Of how many cells drawn one at least must fail with a precaution taken away."""


def failures(cells: list[Cell]) -> list[tuple[Cell, tuple[str, ...]]]:
    """Run cells here; return those that were not survived."""
    return [(cell, verdict.problems) for cell in cells if (verdict := cell.run()).problems]


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_without_a_word_whatever_the_disk_does(part: int) -> None:
    assert failures(matrix.some(matrix.all_cells(), CELLS)[part::PARTS]) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_other_hands_and_clocks_do(scenario: Scenario) -> None:
    assert run_scenario(scenario).problems == ()


@pytest.mark.parametrize("name", NOTICED_BY)
def test_the_matrix_notices_what_is_taken_away(name: str) -> None:
    number = next(number for number, mutation in enumerate(MUTATIONS) if mutation.name == name)
    cells = Random(1).sample(matrix.mutated_cells(number), NOTICED_BY[name])
    assert any(verdict.problems for _, verdict in map(matrix.run_one, cells))


def test_every_operation_makes_calls_that_every_fault_can_begin_at() -> None:
    rows = {(cell.operation, cell.fault) for cell in matrix.all_cells()}
    of_record = {fault for operation, fault in rows if operation == 0}
    assert of_record == {*range(len(matrix.FAULTS))}
    assert {operation for operation, _ in rows} == {*range(matrix.SCENES)}
