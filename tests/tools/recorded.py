"""Vaults as a recorder leaves them, tapes included, made from inputs at given times instead of a network."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import TapeLine
from l2_exporter.archive.tapefile import TapeFiles
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.feed import Feed
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.records import BookSpec
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S, utc_ns, utc_text
from l2_exporter.runtime.recorder import Recorder, venue_continuity
from l2_exporter.runtime.tapedpast import describe_past
from l2_exporter.venues.okx import Okx
from tests.okx_frames import ASKS, BIDS, INST, snapshot, update

DAY = "2026-11-21"
LATE_NS = 50 * NS_PER_MS
"""How long after its event time a frame is received."""
URL = "wss://ws.okx.com:8443/ws/v5/public"


SPEC = BookSpec("okx", "perp", "l2_perps", "books", INST, 400, 3)


def moment(text: str) -> int:
    """Name a moment of the day by its time, `10:59:40`."""
    return utc_ns(f"{DAY}T{text}Z")


@dataclass(frozen=True)
class Frame:
    """A frame with event time `at`; a snapshot where `prev` is None."""

    at: str
    seq: int
    prev: int | None = None
    size: str = "1"

    def line(self) -> TapeLine:
        """Write it as an input."""
        at_ms = moment(self.at) // NS_PER_MS
        bids = [[BIDS[0][0], self.size, "0", "1"], *BIDS[1:]]
        if self.prev is None:
            text = snapshot(at_ms, self.seq, bids=bids)
        else:
            text = update(at_ms, self.seq, self.prev, bids=bids[:1], asks=ASKS[:1])
        return _input("in", moment(self.at) + LATE_NS, text)


@dataclass(frozen=True)
class Run:
    """One run of the recorder; without `stop` it is killed behind its last frame."""

    start: str
    frames: Sequence[Frame]
    stop: str | None = None


def steps(first: str, count: int, seq: int, *, prev: int | None = None, every_s: float = 1) -> list[Frame]:
    """Make frames of an unbroken sequence; the first is a snapshot where `prev` is None."""
    start_ns = moment(first)
    found = []
    for number in range(count):
        at_ns = start_ns + round(number * every_s * NS_PER_S)
        follows = seq + number - 1 if number or prev is not None else None
        found.append(Frame(utc_text(at_ns, 3)[len(DAY) + 1 : -1], seq + number, follows, str(number + 1)))
    return found


SEALED = (
    Run(
        "10:59:40",
        [
            *steps("10:59:41", 8, 1),
            Frame("10:59:50", 12, 11),  # 9 to 11 are missing
            *steps("10:59:54", 20, 20),
            *steps("12:00:01", 6, 40, prev=39),
        ],
    ),
    Run("12:30:00", [*steps("12:30:02", 5, 100), *steps("13:00:01", 5, 105, prev=104)], "13:00:09"),
)
"""Hours 10 to 12 are sealed, 13 is not; hour 10 has a loss, and within hour 12 the recorder was killed."""


def record(root: Path, runs: Sequence[Run] = SEALED, *, tape: bool = True) -> Path:
    """Record runs, one after the other."""
    for number, run in enumerate(runs):
        _record(Vault(root), run, f"r{number}", tape=tape)
    return root


def _record(vault: Vault, run: Run, name: str, *, tape: bool) -> None:
    venue = Okx()
    settings = Settings(run=name, connections={"okx-1": [("books", INST)]})
    archive = Archive(vault, venue.name, patient=False, continuity_of=venue_continuity(venue))
    archive.begin()
    feed = Feed(venue, settings, archive.past)
    recorder = Recorder(feed, archive, "live")
    start_ns = moment(run.start)
    past = describe_past([SPEC], archive.past) if tape else {}
    described = {
        "run": name,
        "venue": venue.name,
        "cadence_ms": settings.cadence_ns // NS_PER_MS,
        "depth": settings.depth,
        "connections": settings.connections,
        "past": past,
    }
    start = _input("start", start_ns, json.dumps(described), "control")._replace(n=1)
    tapes = TapeFiles(Disk(), vault, venue.name, name, start)
    detail = {"version": "test", "cadence_ms": settings.cadence_ns // NS_PER_MS, "depth": settings.depth}
    recorder.started(Stamp(start_ns, start_ns), detail)
    inputs = [_input("open", start_ns, "")._replace(url=URL), *(frame.line() for frame in run.frames)]
    if run.stop is not None:
        inputs.append(_input("stop", moment(run.stop), "", "control"))
    for number, line in enumerate(inputs, 2):
        if tape:
            tapes.write(line, number)
        if line.dir == "stop":
            recorder.stopped(Stamp(line.recv_ns, line.recv_ns), "stop")
        else:
            recorder.take(line)
    tapes.close()
    archive.close(start_ns)


def _input(kind: str, at_ns: int, text: str, conn: str = "okx-1") -> TapeLine:
    return TapeLine(kind, conn, None, at_ns, at_ns, None, text, None, 200)
