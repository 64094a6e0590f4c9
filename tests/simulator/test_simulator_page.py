"""docs/SIMULATOR.md follows the code: every fault is in its table, every example reads, its programs run."""

import re
from pathlib import Path

import pytest

from l2_exporter.simulator.faultkinds import FAULTS
from l2_exporter.simulator.faultspec import parse_faults

PAGE = (Path(__file__).parents[2] / "docs" / "SIMULATOR.md").read_text(encoding="utf-8")
FAULT_ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.partition("\n## Faults\n")[2].partition("\n## ")[0], re.M)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_table_names_every_fault_once_and_no_other() -> None:
    names = [spec.name for example, _ in FAULT_ROWS for spec in parse_faults(example)]
    assert names == list(FAULTS)


def test_examples_within_the_text_read() -> None:
    text = PAGE.partition("\n## Faults\n")[2].partition("\n## ")[0]
    for quoted in re.findall(r"`([a-z_]+[:@=][^`]*)`", text):
        assert parse_faults(quoted)


@pytest.mark.parametrize("program", PROGRAMS, ids=["memory", "thread"])
def test_its_programs_run(program: str) -> None:
    names: dict[str, object] = {}
    exec(compile(program, "SIMULATOR.md", "exec"), names)
    if "lost" in names:
        assert len(names["lost"]) == 1  # type: ignore[arg-type]
        assert len(names["frames"]) > 90  # type: ignore[arg-type]
    else:
        assert str(names["addresses"]).startswith("('ws://127.0.0.1:")
