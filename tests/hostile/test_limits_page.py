"""docs/OPERATIONS.md names every limit as the code has it."""

import importlib
import re
from pathlib import Path

import pytest

from l2_exporter.cli import settings_schema

PAGE = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## 13. Limits")[2].splitlines()
    if line.startswith("| ") and not line.startswith(("| what", "| ---"))
]
UNITS = {"MiB": 1 << 20}
NAMED = [row for row in ROWS if re.match(r"`[A-Z_]+` in", row[2])]
KEYS = [row for row in ROWS if re.match(r"`[a-z_]+` in `\[", row[2])]


def value(text: str) -> int:
    """Read `32 MiB`, `4096` or `100 a run`."""
    number, _, unit = text.partition(" ")
    return int(number) * UNITS.get(unit.partition(" ")[0], 1)


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row[2])
def test_constant(row: list[str]) -> None:
    match = re.fullmatch(r"`([A-Z_]+)` in `([a-z_.]+)`", row[2])
    assert match is not None
    held = getattr(importlib.import_module(f"l2_exporter.{match[2]}"), match[1])
    assert held == value(row[1].removesuffix(" s"))


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row[0])
def test_setting(row: list[str]) -> None:
    match = re.match(r"`([a-z_]+)` in `\[([a-z.]+)\]`", row[2])
    assert match is not None
    default = next(key.default for key in settings_schema.all_keys() if key.name == f"{match[2]}.{match[1]}")
    assert default == int(row[1].partition(" ")[0])


def test_the_table_is_read() -> None:
    assert (len(NAMED), len(KEYS), len(ROWS)) == (16, 4, 21)
