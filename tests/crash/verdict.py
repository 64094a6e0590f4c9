"""What became of one cell of the matrix, and where cells are run."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CRASHED = "crashed"
"""How a run ended by an error that nobody expected: live a traceback."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a cell.

    Attributes:
        problems: what the oracle found wrong; none: it was survived.
        how: in a word, what the run that went wrong did.
    """

    problems: tuple[str, ...]
    how: str


@contextmanager
def aside() -> Iterator[Path]:
    """Make a folder for one cell, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
