"""Finding one book's line in the archive: which instruments there are, and the last line at or before a moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.read import last_line, read_lines
from l2_exporter.core.timetext import hour_of, utc_ns


@dataclass(frozen=True, slots=True, order=True)
class ArchivedBook:
    """One instrument of one dataset that has hour files."""

    venue: str
    dataset: str
    inst: str

    @property
    def name(self) -> str:
        """The way a user names it: `okx:BTC-USDT-SWAP`."""
        return f"{self.venue}:{self.inst}"


def books(root: Path) -> dict[ArchivedBook, list[HourPath]]:
    """List what a vault holds, with the hour files of each, oldest first."""
    found: dict[ArchivedBook, list[HourPath]] = {}
    for hour in layout.iter_hour_files(root):
        found.setdefault(ArchivedBook(hour.venue, hour.dataset, hour.inst), []).append(hour)
    return found


def line_at(hours: list[HourPath], at_ns: int | None) -> tuple[HourPath, bytes] | None:
    """Return the last line stamped at or before a moment (nanoseconds; None: the newest), and its file.

    Raises:
        ArchiveError: a compressed file is damaged, or zstandard is not installed.
        OSError: a file cannot be read.
    """
    for hour in reversed(hours):
        if at_ns is not None and hour.hour > hour_of(at_ns):
            continue
        if at_ns is None or hour.hour < hour_of(at_ns):
            line = last_line(hour.path)
        else:
            line = _last_until(read_lines(hour.path), at_ns)
        if line is not None:
            return hour, line
    return None


def _last_until(lines: Iterator[bytes], at_ns: int) -> bytes | None:
    """Return the last line at or before a moment; lines ascend, and one that cannot be read is passed over."""
    found = None
    for line in lines:
        try:
            if utc_ns(orjson.loads(line)["timestamp_utc"]) > at_ns:
                break
        except (ValueError, TypeError, KeyError):
            continue
        found = line
    return found
