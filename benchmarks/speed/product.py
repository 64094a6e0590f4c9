"""A worker that takes frames of a tape as far as its stage says: `python -m benchmarks.speed.product STAGE TAPE`.

The frames are in memory and stay out of the garbage collector's sight. A run of the stage `line` is a recorder over an
archive in a folder of its own, as a live session and a replay have it; the time ends when all lines are handed to the
operating system. Around it, without being timed: making the folder, the stop, syncing, and a digest of the files.
"""

import argparse
import gc
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import orjson

from benchmarks.streams.store import WORK
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import TapeLine, parse_tape_line
from l2_exporter.archive.writer import Archive
from l2_exporter.core.books import Settings
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.speedups import compiled
from l2_exporter.core.venue import Venue
from l2_exporter.runtime.recorder import Recorder, stamp_of
from l2_exporter.runtime.replay import describe
from l2_exporter.venues.registry import venue_named

ORIGIN = "benchmark"
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

Told = dict[str, object]


class Run:
    """The stages, over one tape's frames.

    Args:
        skip: lines that are taken before the time begins.
    """

    def __init__(self, venue: Venue, lines: Sequence[TapeLine], skip: int) -> None:
        self._venue = venue
        self._before = lines[:skip]
        self._lines = lines[skip:]
        self._settings = Settings()

    def loads(self) -> Told:
        """Decode the JSON of every frame, and nothing else: the floor."""
        loads = orjson.loads
        texts = [line.frame for line in self._lines]
        return _timed(len(texts), lambda: _each(loads, texts))

    def decode(self) -> Told:
        """Make the venue's events of every frame."""
        texts = [line.frame for line in self._lines if line.dir == "in"]
        return _timed(len(texts), lambda: _each(self._venue.connection({}).decode, texts))

    def feed(self) -> Told:
        """Let the core make records of every frame, and drop them."""
        feed = Feed(self._venue, self._settings, NoHistory())

        def take(lines: Sequence[TapeLine]) -> None:
            received = feed.frame_received
            for line in lines:
                if line.dir == "in":
                    received(line.conn, line.frame, stamp_of(line))
                else:
                    feed.book_replied(line.url or "", line.status, str(line.frame), stamp_of(line))

        first = (self._before or self._lines)[0]
        feed.started(stamp_of(first))
        feed.link_opened(first.conn, first.url, ORIGIN, stamp_of(first))
        take(self._before)
        return _timed(len(self._lines), lambda: take(self._lines))

    def line(self) -> Told:
        """Write the lines of every frame into hour files."""
        WORK.mkdir(exist_ok=True)
        root = Path(tempfile.mkdtemp(dir=WORK, prefix="vault-"))
        try:
            return self._recorded(root)
        finally:
            shutil.rmtree(root)

    def _recorded(self, root: Path) -> Told:
        archive = Archive(Vault(root), self._venue.name, patient=False)
        archive.begin()
        recorder = Recorder(Feed(self._venue, self._settings, archive.past), archive, ORIGIN)
        recorder.started(stamp_of((self._before or self._lines)[0]), describe(self._settings))
        _take(recorder, self._before)
        before = sum(archive.lines.values())

        def run() -> None:
            _take(recorder, self._lines)
            archive.flush_events()

        told = _timed(len(self._lines), run)
        written = sum(archive.lines.values()) - before
        recorder.stopped(stamp_of(self._lines[-1]), "end")
        archive.close(time.time_ns())
        return {
            **told,
            "lines": written,
            "digest": digest_of(root),
            "losses": dict(recorder.losses),
            "checks": _checks(recorder),
            "best": _best(recorder),
            "compiled": compiled is not None,
        }


def _take(recorder: Recorder, lines: Sequence[TapeLine]) -> None:
    take = recorder.take
    for line in lines:
        # Each input becomes a tape line of its own, as a link and a tape's reader make them.
        take(TapeLine(line.dir, line.conn, None, line.recv_ns, None, line.url, line.frame, None, line.status))


def _checks(recorder: Recorder) -> dict[str, int]:
    """Sum up what became of the checksums."""
    found: dict[str, int] = {}
    for keeper in recorder.feed.keepers.values():
        for name, count in keeper.checksums.items():
            found[name] = found.get(name, 0) + count
    return found


def _best(recorder: Recorder) -> list[float | None]:
    """Tell the best prices of the first book: a peer must have the same."""
    book = next(iter(recorder.feed.keepers.values())).state.book
    return [None if side.best is None else float(side.best) for side in (book.bids, book.asks)]


def _each(function: Callable[[str | bytes], object], texts: Iterable[str | bytes]) -> None:
    for text in texts:
        function(text)


def _timed(count: int, run: Callable[[], None]) -> Told:
    gc.collect()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return {"cpu_s": cpu_s, "wall_s": wall_s, "count": count}


def digest_of(root: Path) -> str:
    """Digest all hour files of a vault, names included."""
    digest = hashlib.sha256()
    for path in sorted((root / "raw").rglob("*.jsonl")):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def inputs(path: Path) -> list[TapeLine]:
    """Read a tape."""
    with path.open("rb") as file:
        return [parse_tape_line(line, path.name, None) for line in file]


def main() -> None:
    """Serve runs until nobody asks any more."""
    import resource  # Windows has none, and tests import this module there

    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.product", description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("loads", "decode", "feed", "line"))
    parser.add_argument("tape", type=Path)
    parser.add_argument("--venue", default="okx")
    parser.add_argument("--skip", type=int, default=0, help="lines to take before the time begins")
    options = parser.parse_args()
    run = Run(venue_named(options.venue), inputs(options.tape), options.skip)
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": options.stage}), flush=True)
    for _ in sys.stdin:
        told = getattr(run, options.stage)()
        told["rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
