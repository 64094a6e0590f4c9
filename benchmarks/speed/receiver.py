"""What receives from the sender: the product itself, or a client that reads and does nothing else.

    python -m benchmarks.speed.receiver record|read SECONDS_FROM SECONDS_UNTIL ...

Both tell, of the time between: frames, CPU seconds, the lags from the sender's stamp in a frame to the moment it was
applied to its book, or read, and how often and how long at most the garbage collector stopped everything.
"""

import argparse
import asyncio
import gc
import json
import ssl
import time
from array import array
from pathlib import Path

from websockets.asyncio.client import connect

from benchmarks.streams.okx import CONNECTS_PER_S, PER_CONNECTION, instruments
from l2_exporter.archive.tape import TapeLine
from l2_exporter.cli.main import cli
from l2_exporter.core.commands import Command
from l2_exporter.runtime import loops
from l2_exporter.runtime.recorder import Recorder

STAMP = slice(-20, -1)


class Watch:
    """Collects the lags within a window, and the CPU time of it."""

    def __init__(self, first_s: float, until_s: float) -> None:
        self._begun_ns = time.time_ns()
        self._window_ns = (round(first_s * 1e9), round(until_s * 1e9))
        self._lags = array("q")
        self._cpu_s: list[float] = []
        self._collecting_s = 0.0
        self._pauses_s: list[float] = []
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._collecting_s = time.perf_counter()
        elif len(self._cpu_s) == 1:
            self._pauses_s.append(time.perf_counter() - self._collecting_s)

    def took(self, frame: str | bytes) -> None:
        """Note that a frame is done with."""
        stamp = frame[STAMP]
        if not stamp.isdigit():
            return
        now_ns = time.time_ns()
        since_ns = now_ns - self._begun_ns
        first_ns, until_ns = self._window_ns
        if since_ns < first_ns:
            return
        if not self._cpu_s:
            self._cpu_s.append(time.process_time())
        if since_ns < until_ns:
            self._lags.append(now_ns - int(stamp))
        elif len(self._cpu_s) == 1:
            self._cpu_s.append(time.process_time())

    def told(self) -> dict[str, object]:
        """Sum up.

        Raises:
            SystemExit: no frame came behind the window's end.
        """
        if len(self._cpu_s) != 2:
            raise SystemExit("the frames ended before the time to measure did")
        lags = sorted(self._lags)
        first_ns, until_ns = self._window_ns
        return {
            "frames": len(lags),
            "seconds": (until_ns - first_ns) / 1e9,
            "cpu_s": self._cpu_s[1] - self._cpu_s[0],
            "collections": len(self._pauses_s),
            "longest_collection_ms": 1000 * max(self._pauses_s, default=0),
            "lag_ms": {str(part): lags[int(part / 100 * (len(lags) - 1))] / 1e6 for part in (50, 99, 99.9, 100)},
        }


def record(watch: Watch, arguments: list[str]) -> None:
    """Run `l2-exporter record`, and look at each frame when it has been taken."""
    take = Recorder.take

    def taken(self: Recorder, line: TapeLine) -> list[Command]:
        commands = take(self, line)
        if line.dir == "in":
            watch.took(line.frame)
        return commands

    Recorder.take = taken  # type: ignore[method-assign]
    cli.main(["record", *arguments], standalone_mode=False)


async def read(watch: Watch, url: str, cert: str, books: int, seconds: float) -> None:
    """Read frames on as many connections as the product opens, and drop them."""
    context = ssl.create_default_context(cafile=cert)
    insts = instruments(books)

    async def one(part: list[str]) -> None:
        async with connect(url, ssl=context, ping_interval=None) as socket:
            args = [{"channel": "books", "instId": inst} for inst in part]
            await socket.send(json.dumps({"op": "subscribe", "args": args}))
            async for frame in socket:
                watch.took(frame)

    async with asyncio.TaskGroup() as group:
        tasks = []
        for start in range(0, books, PER_CONNECTION):
            tasks.append(group.create_task(one(insts[start : start + PER_CONNECTION])))
            await asyncio.sleep(1 / CONNECTS_PER_S)
        await asyncio.sleep(seconds - len(tasks) / CONNECTS_PER_S)
        for task in tasks:
            task.cancel()


def main() -> None:
    """Receive, and write what was found into the file named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.receiver", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("record", "read"))
    parser.add_argument("first_s", type=float)
    parser.add_argument("until_s", type=float)
    parser.add_argument("result", type=Path)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    watch = Watch(options.first_s, options.until_s)
    if options.what == "record":
        record(watch, options.rest)
    else:
        url, cert, books, seconds = options.rest
        with asyncio.Runner(loop_factory=loops.fastest()) as runner:
            runner.run(read(watch, url, cert, int(books), float(seconds)))
    options.result.write_text(json.dumps(watch.told()))


if __name__ == "__main__":
    main()
