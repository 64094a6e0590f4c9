"""One hour file held against what tapes make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from l2_exporter.archive.read import read_lines
from l2_exporter.core.errors import ArchiveError, clip
from l2_exporter.core.timetext import utc_ns

_RECEIVED = b'"received_utc":"'
_STAMP = b'{"timestamp_utc":"'


@dataclass(frozen=True, slots=True)
class Part:
    """One run made again.

    Attributes:
        first_ns, last_ns: when its inputs were received; None: that is not known.
        stopped: it ended cleanly, so that its last lines must be there.
    """

    root: Path
    first_ns: int | None
    last_ns: int | None
    stopped: bool

    def received(self, at_ns: int | None) -> bool:
        """Tell whether something was received in this run."""
        if at_ns is None or self.first_ns is None or self.last_ns is None:
            return True
        return self.first_ns <= at_ns <= self.last_ns


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Lines of a book that were made and not written, by their book times.

    Attributes:
        suspended: from the first to before the first that was written again, None: none was.
        late_ns: of the first that came too late for the hour.
    """

    suspended: Sequence[tuple[int, int | None]]
    late_ns: int | None

    def declares(self, raw: bytes) -> bool:
        """Tell whether the ledger says that this line was not written."""
        at_ns = _time(raw, _STAMP)
        if at_ns is None:
            return False
        if self.late_ns is not None and at_ns >= self.late_ns:
            return True
        return any(since <= at_ns and (until is None or at_ns < until) for since, until in self.suspended)


@dataclass(slots=True)
class Comparison:
    """What came of it.

    Attributes:
        lines: of the file; left_out: why it cannot be compared.
        line, difference: the first line that differs, and how.
    """

    lines: int = 0
    left_out: str | None = None
    line: int = 0
    difference: str | None = None


def compare_hour(
    path: Path | None, sources: Sequence[tuple[Part, Path]], parts: Sequence[Part], unwritten: Unwritten
) -> Comparison:
    """Compare an hour file (None: there is none) with what was made, run by run."""
    found = Comparison()
    try:
        if path is not None:
            for raw in read_lines(path):
                found.lines += 1
                at_ns = _time(raw, _RECEIVED)
                if not any(part.received(at_ns) for part in parts):
                    found.left_out = f"line {found.lines} was not received on these tapes"
                    return found
        _compare(found, iter(()) if path is None else read_lines(path), _made(sources), unwritten)
    except (ArchiveError, OSError) as error:
        found.left_out = str(error)
    return found


def _made(sources: Sequence[tuple[Part, Path]]) -> Iterator[tuple[Part, bytes]]:
    for part, path in sources:
        for raw in read_lines(path):
            yield part, raw


def _compare(
    found: Comparison, stored: Iterator[bytes], made: Iterator[tuple[Part, bytes]], unwritten: Unwritten
) -> None:
    number, line = 1, next(stored, None)
    for part, raw in made:
        if raw == line:
            number, line = number + 1, next(stored, None)
        elif not unwritten.declares(raw) and not _is_cut(part, line):
            found.line = number
            found.difference = _difference(line, raw)
            return
    if line is not None:
        found.line = number
        found.difference = f"the tapes make no line here, the file has one of {_text(line)}"


def _is_cut(part: Part, line: bytes | None) -> bool:
    """Tell whether the run was over before the next line that there is, and may have been killed before it wrote."""
    if part.stopped:
        return False
    at_ns = None if line is None else _time(line, _RECEIVED)
    return line is None or (at_ns is not None and part.last_ns is not None and at_ns > part.last_ns)


def _difference(stored: bytes | None, made: bytes) -> str:
    if stored is None:
        return f"the tapes make a line of {_text(made)} here, the file ends"
    try:
        pairs = orjson.loads(stored), orjson.loads(made)
        if pairs[0]["timestamp_utc"] != pairs[1]["timestamp_utc"]:
            return f"the tapes make a line of {_text(made)} here, the file has one of {_text(stored)}"
        name = next(name for name in pairs[1] if pairs[0].get(name) != pairs[1][name])
        return f"{name} is {clip(pairs[0].get(name))}, the tapes make {clip(pairs[1][name])}"
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        return "the tapes make other bytes"


def _text(raw: bytes) -> str:
    return raw[len(_STAMP) : raw.find(b'"', len(_STAMP))].decode("utf-8", "replace")


def _time(raw: bytes, name: bytes) -> int | None:
    """Read a time from a line without reading all of it; None if it has none."""
    place = raw.rfind(name)
    if place < 0:
        return None
    start = place + len(name)
    try:
        return utc_ns(raw[start : raw.index(b'"', start)].decode())
    except ValueError:
        return None
