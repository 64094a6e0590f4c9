"""The simulator reads the venues' protocols for itself: it may use the core's errors and time texts, nothing else."""

import ast
from pathlib import Path

import pytest

import l2_exporter.simulator

ROOT = Path(next(iter(l2_exporter.simulator.__path__)))
ALLOWED = ("l2_exporter.simulator", "l2_exporter.core.errors", "l2_exporter.core.timetext")


@pytest.mark.parametrize("module", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_shares_no_code_with_the_recorder(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert all(name.startswith(ALLOWED) for name in names if name.startswith("l2_exporter"))
