"""Streams by name, written once as tapes below `.benchmarks/streams` and made again when their makers change."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import orjson

from benchmarks.streams import binance, capture, okx, orders, walk
from benchmarks.streams.lines import Line, line

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".benchmarks"
RECORDINGS = ROOT.parent / "shared" / "recordings"
WARM_UPDATES = 25
"""Updates of each of many books before the time begins: their files are open then."""

Pushes = Callable[[int], Iterable[okx.Push]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream on disk.

    Attributes:
        path: a tape, one frame a line; count: how many; what: one line for a reader.
        skip: lines to take before the time begins.
    """

    name: str
    path: Path
    venue: str
    count: int
    what: str
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Maker:
    """How a stream is made: `lines` makes about so many."""

    venue: str
    what: str
    lines: Callable[[int], Iterable[Line]]
    skip: int = 0


def makers() -> dict[str, Maker]:
    """List the streams that can be made here."""
    light: tuple[Pushes, str] = (partial(_walk, walk.LIGHT), "a light seeded walk")
    heavy: tuple[Pushes, str] = (partial(_walk, walk.HEAVY), "a heavy seeded walk")
    if (RECORDINGS / capture.NAME).is_file():
        heavy = (_sampled, "a capture of Binance futures, cut into frames of OKX")
    found = {
        f"okx-{name}{suffix}": Maker("okx", what, partial(_okx, pushes, summed))
        for name, (pushes, what) in (("light", light), ("heavy", heavy))
        for suffix, summed in (("", True), ("-unsummed", False))
    }
    for books in (1, 100, 500):
        many = partial(_many, books)
        found[f"okx-{books}"] = Maker("okx", f"{books} books in turn", many, books * (1 + WARM_UPDATES))
    found["binance"] = _binance()
    found["coinbase"] = Maker("coinbase", "a seeded market of 100,000 orders", partial(orders.coinbase, "coinbase"), 2)
    if (RECORDINGS / orders.BITFINEX).is_file():
        lines = orders.bitfinex(RECORDINGS / orders.BITFINEX)
        found["bitfinex"] = Maker("bitfinex", "a recording of tBTCUSD", partial(islice, lines), 3)
    return found


def _walk(pace: walk.Pace, count: int) -> Iterable[okx.Push]:
    return walk.walked(pace, "books", count - 1)


def _sampled(count: int) -> Iterable[okx.Push]:
    return islice(capture.sampled(RECORDINGS / capture.NAME), count)


def _okx(pushes: Pushes, summed: bool, count: int) -> Iterator[Line]:
    for ms, frame in okx.frames(pushes(count), summed=summed):
        yield line(ms, frame, okx.URL)


def _many(books: int, count: int) -> Iterator[Line]:
    """Yield the same pushes for so many books, one book after the other."""
    pushes = 1 + WARM_UPDATES + count // books
    for ms, frame in okx.frames(_walk(walk.LIGHT, pushes)):
        for inst in okx.instruments(books):
            yield line(ms, frame.replace(okx.INST, inst, 1), okx.URL)


def _binance() -> Maker:
    paths = [RECORDINGS / name for name in binance.NAMES]
    if paths[0].is_file():
        return Maker("binance", "a recording of BTCUSDT", lambda count: islice(binance.recorded(paths[0]), count))
    return Maker("binance", "a deep seeded walk", lambda count: binance.generated(_walk(walk.DEEP, count)))


def stream(name: str, count: int) -> Stream:
    """Return a stream of up to so many frames; make it if it is not there yet."""
    maker = makers()[name]
    path = WORK / "streams" / f"{name}-{count}-{_version()}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        with part.open("wb") as file:
            file.writelines(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in maker.lines(count))
        part.replace(path)
    with path.open("rb") as lines:
        return Stream(name, path, maker.venue, sum(1 for _ in lines), maker.what, maker.skip)


def _version() -> str:
    """Name the makers' present state: what older ones made is not used."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
