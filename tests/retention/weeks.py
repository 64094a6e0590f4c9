"""A week of three instruments on one tape, a few frames an hour, replayed as a user would: real lines, real ledger.

Every instrument has three updates an hour, 5, 25 and 45 minutes past, which at a cadence of 20 minutes are three
lines. Where a loss is wanted, the update at minute 45 does not chain to the one before, and the book is pushed anew
with the next one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.okx_frames import snapshot, update
from tests.retention.vaults import World
from tests.tools.replaying import run_replay, write_tape

FIRST = datetime(2026, 11, 15, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTES = (5, 25, 45)
OPTIONS = ("--cadence", "1200", "--depth", "5")


@dataclass(frozen=True)
class Course:
    """When an instrument is recorded.

    Attributes:
        silent: hours of every day without an update.
        losses: hours since FIRST in which its chain breaks.
    """

    inst: str
    begin: datetime = FIRST
    end: datetime = NOW
    silent: tuple[int, ...] = ()
    losses: tuple[int, ...] = ()


COURSES = (
    Course("BTC-USDT-SWAP", losses=(23, 36, 47, 100, 101, 149, 155)),
    Course("ETH-USDT-SWAP", begin=FIRST + 30 * HOUR, end=FIRST + 141 * HOUR, losses=(47, 71)),
    Course("SOL-USDT-SWAP", silent=(3, 4, 5)),
)


def frames(course: Course) -> Iterator[tuple[int, str]]:
    """Yield an instrument's pushes and their event times in milliseconds."""
    seq, live = 100, False
    moment = course.begin
    while moment < course.end:
        for minute in MINUTES if moment.hour not in course.silent else ():
            ts = int((moment + timedelta(minutes=minute)).timestamp() * 1000)
            seq += 7
            rows = {"bids": [[str(100 + seq % 13), str(seq), "0", "1"]], "inst": course.inst}
            breaks = live and minute == MINUTES[-1] and (moment - FIRST) // HOUR in course.losses
            if not live:
                yield ts, snapshot(ts, seq, asks=[["200", "1", "0", "1"]], **rows)
            else:
                yield ts, update(ts, seq, seq - (8 if breaks else 7), **rows)
            live = not breaks
        moment += HOUR


def tape(folder: Path, courses: tuple[Course, ...] = COURSES) -> Path:
    """Write the tape."""
    pushes = sorted(push for course in courses for push in frames(course))
    lines = [
        {"recv_ns": (ts + 50) * 10**6, "conn": "okx-1", "dir": "in", "url": "wss://ws.okx.com/ws", "frame": text}
        for ts, text in pushes
    ]
    return write_tape(folder / "week.jsonl", lines)


def build(folder: Path, courses: tuple[Course, ...] = COURSES) -> World:
    """Replay the tape into a new vault."""
    run_replay(folder / "vault", tape(folder, courses), options=OPTIONS)
    return World(folder / "vault")


def listing(world: World, insts: Mapping[str, str]) -> str:
    """Draw which file each hour has: P plain, g .gz, z .zst, 2 several, - none. A day a row, an instrument a block."""
    rows = []
    for inst, dataset in insts.items():
        rows.append(inst)
        for day in range(7):
            folder = world.root / "raw/okx" / dataset / inst / f"{FIRST + timedelta(days=day):%Y-%m-%d}"
            rows.append(f"{folder.name[-2:]} " + "".join(_sign(folder, hour) for hour in range(24)))
    return "\n".join(rows)


def _sign(folder: Path, hour: int) -> str:
    signs = {".jsonl": "P", ".jsonl.gz": "g", ".jsonl.zst": "z"}
    found = [sign for suffix, sign in signs.items() if (folder / f"{hour:02d}{suffix}").exists()]
    return found[0] if len(found) == 1 else "2" if found else "-"


def as_it_stands(world: World) -> dict[str, tuple[bytes, int, int]]:
    """Tell every file with its time of change and its identity, but for the job's log and lock."""
    own = {world.root / "meta/logs/l2_retention.log", world.root / "meta/retention/.lock"}
    files = [path for path in sorted(world.root.rglob("*")) if path.is_file() and path not in own]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def json_lines(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.splitlines()]
