"""What a recorder process is seen doing from outside: memory, descriptors, threads, how new its newest lines are."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

TAIL_BYTES = 1 << 17
RECEIVED = re.compile(rb'"received_utc":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        at_s: since the recorder began.
        age_s, oldest_s: now minus `received_utc` of the newest line, median and greatest of all live books.
        lag_ms: receive minus event time of the last update, median of all live books.
        waiting: inputs that wait to be processed, the greatest of all venues.
        live, books: how many of how many are live.
    """

    at_s: float
    rss_mib: float
    cpu_s: float
    files: int
    threads: int
    age_s: float
    oldest_s: float
    lag_ms: float
    waiting: int
    live: int
    books: int
    messages: int


def looked(pid: int, vault: Path, at_s: float, now: datetime, ahead_s: float) -> Sample:
    """Take a sample of a running recorder, whose exchanges' clocks are so far ahead of the machine's."""
    process = Path(f"/proc/{pid}")
    facts = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    states = statuses(vault)
    books = [(venue, book) for venue, state in states.items() for book in state["instruments"]]
    live = [(venue, book) for venue, book in books if book["state"] == "live"]
    newest = [newest_line(vault / "raw" / venue / folder_of(book["id"])) for venue, book in live]
    ages = [(now - received).total_seconds() for received in newest if received is not None]
    lags = [book["lag_ms"] + ahead_s * 1000 for _, book in live if book["lag_ms"] is not None]
    return Sample(
        at_s=at_s,
        rss_mib=int(facts["VmRSS"].split()[0]) / 1024,
        cpu_s=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        files=len([*(process / "fd").iterdir()]),
        threads=int(facts["Threads"]),
        age_s=median(ages) if ages else 0.0,
        oldest_s=max(ages, default=0.0),
        lag_ms=median(lags) if lags else 0.0,
        waiting=max((state["inputs_waiting"] for state in states.values()), default=0),
        live=len(live),
        books=len(books),
        messages=sum(book["messages"] for _, book in books),
    )


def statuses(vault: Path) -> Mapping[str, Any]:
    """Read the status of every venue that has one."""
    found = {}
    for path in sorted(vault.glob("meta/*/status.json")):
        found[path.parent.name] = json.loads(path.read_bytes())
    return found


def folder_of(book: str) -> str:
    """Name a book's folder below its venue's, from its id in the status."""
    dataset, _, inst = book.partition("/")
    return f"{dataset}/{encoded(inst)}"


def encoded(inst: str) -> str:
    """Write an instrument as paths have it: those of a soak have letters, digits and `/ : @` only."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda found: f"%{ord(found[0]):02X}", inst)


def newest_line(folder: Path) -> datetime | None:
    """Tell when the update of a book's newest line was received; None if there is no line yet."""
    paths = sorted(folder.glob("*/*.jsonl"))
    if not paths:
        return None
    with paths[-1].open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        found = RECEIVED.findall(file.read())
    return datetime.fromisoformat(found[-1].decode()).astimezone(UTC) if found else None
