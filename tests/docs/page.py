"""docs/FORMAT.md taken apart: its fenced blocks and its tables.

Examples are fenced blocks under `<!-- example: <name> <tool> -->`. Samples (`<!-- sample: <name> -->`) are files of the
test vault, word for word. Tables of fields stand under `<!-- fields: <name> -->`.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
FORMAT = (DOCS / "FORMAT.md").read_text(encoding="utf-8")
RETENTION = (DOCS / "RETENTION.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"(?:^<!-- (example|sample): ([^>]+) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCES = [match.groups() for match in _FENCE.finditer(FORMAT)]
EXAMPLES = {tuple(name.split()): (language, code) for kind, name, language, code in FENCES if kind == "example"}
SAMPLES = {name: code for kind, name, _, code in FENCES if kind == "sample"}


def examples_of(page: str) -> dict[tuple[str, ...], str]:
    """Return the code of a page's examples, by name and tool."""
    return {tuple(name.split()): code for kind, name, _, code in _FENCE.findall(page) if kind == "example"}


def table_after(mark: str, page: str = FORMAT) -> list[list[str]]:
    """Read the cells of the table that follows a mark or starts with a header."""
    text = page[page.index(mark) :]
    lines = text[text.index("\n|") if mark.startswith("<") else 0 :].strip().split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[2:]]


def bare(cell: str) -> str:
    return cell.strip("`")
