"""The order of inputs over several tapes: by run, in it by number, else by receive time (docs/FORMAT.md, "The tape").

Each tape is read twice: once to learn which runs it has and whether its lines stand in order, once to yield them. Tapes
that are in order, as ours are, are merged with one line of each in memory; only a tape that is not is sorted.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from l2_exporter.archive.read import read_lines
from l2_exporter.archive.tape import TapeLine, parse_tape_line, start_settings
from l2_exporter.core.errors import ArchiveError, ConfigError

SORTED_IN_MEMORY_BYTES = 256 << 20
FIRST = -1
"""The place of a run that nothing dates."""

Progress = Callable[[int], None]
"""Told the number of bytes of lines read since it was last called."""

Key = tuple[int, int, int, int]
"""(place of the run, number or receive time, file, line)."""


@dataclass(slots=True)
class Segment:
    """The lines of one tape from a `start` (or the tape's beginning) to the next.

    Attributes:
        run: its run's name, None before the first `start` of the tape.
        first_line: counted from 1; dated_ns: receive time of the start, else the first receive time in it.
        numbered: a line of it has a number.
        n_ascends, recv_ascends: its lines stand in order by their numbers, by their receive times.
    """

    run: str | None
    first_line: int
    dated_ns: int | None
    lines: int = 0
    numbered: bool = False
    n_ascends: bool = True
    recv_ascends: bool = True
    last_n: int = 0
    last_recv_ns: int = 0

    def note(self, line: TapeLine) -> None:
        """Take note of a line."""
        self.lines += 1
        if line.n is not None:
            self.numbered = True
            self.n_ascends = self.n_ascends and line.n >= self.last_n
            self.last_n = line.n
        if line.recv_ns is not None:
            self.dated_ns = line.recv_ns if self.dated_ns is None else self.dated_ns
            self.recv_ascends = self.recv_ascends and line.recv_ns >= self.last_recv_ns
            self.last_recv_ns = line.recv_ns


@dataclass(slots=True)
class Survey:
    """What the first reading of a tape shows.

    Attributes:
        size: bytes of its lines, uncompressed.
    """

    path: Path
    index: int
    size: int = 0
    segments: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs on the tapes: where each stands in time, and which go by number."""

    places: dict[str, int]
    numbered: frozenset[str | None]
    starts: list[tuple[int, str]]

    def of(self, segment: Segment) -> str | None:
        """Name the run of a segment: its own, the only one there is, or the latest that began before it."""
        if segment.run is not None or not self.places:
            return segment.run
        if len(self.places) == 1:
            return next(iter(self.places))
        dated_ns = FIRST if segment.dated_ns is None else segment.dated_ns
        return next((name for start_ns, name in reversed(self.starts) if start_ns <= dated_ns), None)


def read_tapes(paths: Sequence[Path], progress: Progress | None = None) -> Iterator[TapeLine]:
    """Yield the inputs of several tapes in the order they arrived.

    A line without number or time stays behind the one before it in its tape. Half a line at the end of a tape, left by
    a killed recorder, is not an input.

    Raises:
        ConfigError: a file that is no tape or is damaged (nothing has been yielded then), or a compressed one that is
            out of order and too large to be sorted.
        OSError: a file cannot be read.
    """
    surveys = [_survey(index, path) for index, path in enumerate(paths)]
    runs = _runs(surveys)
    streams = [_in_order(survey, runs, progress) for survey in surveys]
    for _, line in heapq.merge(*streams, key=_key_of):
        yield line


def _survey(index: int, path: Path) -> Survey:
    survey = Survey(path, index, segments=[Segment(None, 1, None)])
    try:
        for number, raw in enumerate(read_lines(path), 1):
            survey.size += len(raw) + 1
            if raw.strip():
                _note(survey, number, parse_tape_line(raw, f"{path}:{number}", None))
    except ArchiveError as error:
        raise ConfigError(f"{error}; nothing has been replayed, a good copy is needed") from error
    return survey


def _note(survey: Survey, number: int, line: TapeLine) -> None:
    if line.dir == "start":
        named = start_settings(line).get("run")
        run = named if isinstance(named, str) else f"{survey.index}:{number}"
        survey.segments.append(Segment(run, number, None))
    survey.segments[-1].note(line)


def _runs(surveys: Sequence[Survey]) -> Runs:
    """Put the runs in order: by the receive time of their start, those without one where they stand."""
    named = [segment for survey in surveys for segment in survey.segments if segment.run is not None]
    dated: dict[str, int] = {}
    before_ns = FIRST
    for segment in named:
        before_ns = before_ns if segment.dated_ns is None else segment.dated_ns
        dated.setdefault(str(segment.run), before_ns)
    starts = sorted((start_ns, name) for name, start_ns in dated.items())
    order = sorted(dated, key=lambda name: dated[name])
    runs = Runs({name: place for place, name in enumerate(order)}, frozenset(), starts)
    every = [segment for survey in surveys for segment in survey.segments]
    return replace(runs, numbered=frozenset(runs.of(segment) for segment in every if segment.numbered))


def _in_order(survey: Survey, runs: Runs, progress: Progress | None) -> Iterator[tuple[Key, TapeLine]]:
    """Yield one tape's lines by their keys."""
    lines = _keyed(survey, runs, progress)
    if _is_in_order(survey, runs):
        return lines
    if survey.size > SORTED_IN_MEMORY_BYTES:
        why = "is out of order and too large to be sorted here; sort it by n or recv_ns first"
        raise ConfigError(f"{survey.path} {why}")
    return iter(sorted(lines, key=_key_of))


def _is_in_order(survey: Survey, runs: Runs) -> bool:
    segments = [segment for segment in survey.segments if segment.lines]
    places = [runs.places.get(runs.of(segment) or "", FIRST) for segment in segments]
    ascending = (
        segment.n_ascends if runs.of(segment) in runs.numbered else segment.recv_ascends for segment in segments
    )
    return len(set(places)) == len(places) and places == sorted(places) and all(ascending)


def _keyed(survey: Survey, runs: Runs, progress: Progress | None) -> Iterator[tuple[Key, TapeLine]]:
    """Give each line of a tape its key and run."""
    coming = iter(survey.segments)
    segment, following = next(coming), next(coming, None)
    place = 0
    for number, raw in enumerate(read_lines(survey.path), 1):
        if progress is not None:
            progress(len(raw) + 1)
        while following is not None and number >= following.first_line:
            segment, following, place = following, next(coming, None), 0
        if not raw.strip():
            continue
        run = runs.of(segment)
        line = parse_tape_line(raw, f"{survey.path}:{number}", run)
        own = line.n if run in runs.numbered else line.recv_ns
        place = place if own is None else own
        yield (runs.places.get(run or "", FIRST), place, survey.index, number), line


def _key_of(keyed: tuple[Key, TapeLine]) -> Key:
    return keyed[0]
