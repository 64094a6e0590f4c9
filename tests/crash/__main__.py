"""Run the crash matrix, or its mutations, and write the page: `python -m tests.crash [--mutations] [--cells N]`."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.crash import matrix, processes
from tests.crash.faults import FAULTS
from tests.crash.matrix import NAMES, SCENES, Row
from tests.crash.mutations import MUTATIONS
from tests.crash.page import mutations_page, page

PAGE = Path("docs/CRASH_MATRIX.md")
MUTATED = Path("docs/CRASH_MUTATIONS.md")


def main() -> int:
    """Run, print what did not survive, write the page; return 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--mutations", action="store_true", help="run the mutations instead, and write docs/CRASH_MUTATIONS.md"
    )
    parser.add_argument("--cells", type=int, help="run so many cells only, and write no page")
    args = parser.parse_args()
    return mutations() if args.mutations else whole(args.cells)


def mutations() -> int:
    """Run every mutation's cells."""
    every = [cell for number in range(len(MUTATIONS)) for cell in matrix.mutated_cells(number)]
    rows = [Row() for _ in MUTATIONS]
    for cell, verdict in matrix.run_all(every, _progress(len(every))):
        rows[cell.mutation].add(cell, verdict)
    MUTATED.write_text(mutations_page(rows, datetime.now(UTC).date()))
    for mutation, row in zip(MUTATIONS, rows, strict=True):
        print(f"{row.failed:5} of {row.cells:5} cells fail: {mutation.name}")
    return int(any(not row.failed for row in rows))


def whole(count: int | None) -> int:
    """Run the matrix, or some of it."""
    every = matrix.all_cells()
    every = [*(every if count is None else matrix.some(every, count)), *matrix.scenes()]
    rows = matrix.rows_of(matrix.run_all(every, _progress(len(every))))
    if count is None:
        rows |= processes.rows()
    for (operation, fault), row in sorted(rows.items()):
        where = f"scenario {fault}" if operation >= SCENES else f"{NAMES[operation]}, {FAULTS[fault].name}"
        for problem in row.problems:
            print(f"{where}: {problem}")
    if count is None:
        PAGE.write_text(page(rows, datetime.now(UTC).date()))
    print(f"{sum(row.cells for row in rows.values())} cells, {sum(row.failed for row in rows.values())} not survived")
    return int(any(row.failed for row in rows.values()))


def _progress(total: int) -> Callable[[int], None]:
    def done(count: int) -> None:
        if count % 100 == 0 or count == total:
            print(f"\r{count} of {total}", end="" if count < total else "\n", file=sys.stderr, flush=True)

    return done


if __name__ == "__main__":
    sys.exit(main())
