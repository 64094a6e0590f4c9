"""Puts new tables into the page that shows them: what stands between the marks of a table is replaced, nothing else."""

import re
from collections.abc import Iterable

from benchmarks.speed.tables import Table, markdown

ABOUT = "about"


def published(page: str, about: str, tables: Iterable[Table]) -> str:
    """Return the page with these tables, and with what they were measured on.

    Raises:
        SystemExit: the page has no place for one of them.
    """
    page = _replaced(page, ABOUT, f"Measured {about}.")
    for table in tables:
        page = _replaced(page, table.key, "\n".join(markdown(table)))
    return page


def _replaced(page: str, key: str, text: str) -> str:
    """Replace what stands between the marks of one key."""
    first, last = f"<!-- speed: {key} -->\n", f"\n<!-- end of {key} -->"
    found, count = re.subn(
        re.escape(first) + ".*?" + re.escape(last), lambda _: first + text + last, page, count=1, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"the page has no place for {key}: it needs {first.strip()} and {last.strip()}")
    return found
