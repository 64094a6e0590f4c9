"""What one hour file tells a report: its lines, how late they came, how long it was silent. Levels are passed over."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.archive.read import read_lines
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S, utc_ns

_STAMP = b'{"timestamp_utc":"'
_RECEIVED = b',"received_utc":'
_LIVE = b',"live_since_utc":"'
_VERDICT = b',"checksum_ok":'
_VERDICTS = {b"t": "ok", b"f": "mismatch", b"n": "unchecked"}
_STEPS = ((100 * NS_PER_MS, NS_PER_MS // 10), (10 * NS_PER_S, NS_PER_MS))
_COARSE_NS = NS_PER_S


@dataclass(slots=True)
class HourLook:
    """What an hour file holds, or several of a day.

    Attributes:
        late: lines by receive time minus event time, in nanoseconds, cut to 0.1 ms below 100 ms, to 1 ms below 10 s,
            and to 1 s beyond: a day of any size fits into memory.
        checksums: lines by their verdict.
        first, last: time and episode of the first and the last line.
        silence_ns: the longest time between two lines of one episode; silence_from_ns: when it began.
        damage: why it could not be read to its end.
    """

    lines: int = 0
    late: Counter[int] = field(default_factory=Counter)
    checksums: Counter[str] = field(default_factory=Counter)
    first: tuple[int, bytes] | None = None
    last: tuple[int, bytes] | None = None
    silence_ns: int = 0
    silence_from_ns: int | None = None
    damage: str | None = None

    def add(self, other: "HourLook") -> None:
        """Add a later hour."""
        self.lines += other.lines
        self.late.update(other.late)
        self.checksums.update(other.checksums)
        if other.first is not None:
            self.silent(other.first)
            self.first = self.first or other.first
            self.last = other.last
        if other.silence_ns > self.silence_ns:
            self.silence_ns, self.silence_from_ns = other.silence_ns, other.silence_from_ns
        self.damage = self.damage or other.damage

    def silent(self, following: tuple[int, bytes]) -> None:
        """Take note of the next line's time and episode."""
        if self.last is not None and self.last[1] == following[1] and following[0] - self.last[0] > self.silence_ns:
            self.silence_ns, self.silence_from_ns = following[0] - self.last[0], self.last[0]


def look(path: Path) -> HourLook:
    """Read an hour file; lines that are none of ours are passed over, `verify` names them."""
    found = HourLook()
    try:
        for raw in read_lines(path):
            _take(found, raw)
    except (ArchiveError, OSError) as error:
        found.damage = str(error)
    return found


def percentiles(late: Counter[int], shares: tuple[float, ...]) -> Iterator[int | None]:
    """Yield for each share the smallest value that so many lines do not exceed; None: there are no lines.

    Args:
        shares: ascending, of 1.
    """
    total, seen, values = sum(late.values()), 0, iter(sorted(late))
    value: int | None = None
    for share in shares:
        while total and seen < share * total:
            value = next(values)
            seen += late[value]
        yield value


def _take(found: HourLook, raw: bytes) -> None:
    received, live = raw.rfind(_RECEIVED), raw.rfind(_LIVE)
    if not raw.startswith(_STAMP) or received < 0 or live < received:
        return
    try:
        event_ns = utc_ns(raw[len(_STAMP) : raw.index(b'"', len(_STAMP))].decode())
        start = received + len(_RECEIVED)
        if raw[start : start + 1] == b'"':
            found.late[_cut(utc_ns(raw[start + 1 : raw.index(b'"', start + 1)].decode()) - event_ns)] += 1
    except ValueError:
        return
    episode = raw[live + len(_LIVE) : raw.index(b'"', live + len(_LIVE))]
    found.lines += 1
    found.silent((event_ns, episode))
    found.first = found.first or (event_ns, episode)
    found.last = (event_ns, episode)
    verdict = raw.rfind(_VERDICT)
    if verdict >= received:
        found.checksums[_VERDICTS.get(raw[verdict + len(_VERDICT) : verdict + len(_VERDICT) + 1], "unchecked")] += 1


def _cut(ns: int) -> int:
    step = next((step for limit, step in _STEPS if abs(ns) < limit), _COARSE_NS)
    return ns // step * step
