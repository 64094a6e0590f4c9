"""The job's log, meta/logs/l2_retention.log: turned over by size before it is opened, so no open file is renamed.

A log that cannot be written stops nothing: all that matters is in the record.
"""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from l2_exporter.archive.layout import Vault
from retention.timetext import utc_text

MAX_BYTES = 5 << 20
KEEP = 3


def append(root: Path, lines: Iterable[tuple[str, str]]) -> None:
    """Append lines of (level, text). The lock of the job must be held."""
    path = Vault(root).retention_log()
    at = utc_text(time.time_ns())
    text = "".join(f"{at} {level} l2_retention {_one_line(line)}\n" for level, line in lines)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size >= MAX_BYTES:
            _turn_over(path)
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)


def _turn_over(path: Path) -> None:
    """Give every old file the next number; the oldest is written over."""
    with contextlib.suppress(OSError):
        for number in range(KEEP, 1, -1):
            older = path.with_name(f"{path.name}.{number - 1}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number}"))
        path.replace(path.with_name(f"{path.name}.1"))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
