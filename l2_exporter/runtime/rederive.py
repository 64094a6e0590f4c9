"""Lines made again from tapes and held against the archive, byte for byte.

Each run on the tapes is replayed by itself into a vault of its own, with what its start says of the past, as far as its
inputs are all there. An hour is compared if every line of it was received on a tape; a run that was killed may have
left its last lines unwritten, and lines that the ledger declares unwritten may be missing. A vault that was itself
made from tapes is made again as a whole.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Flaw
from l2_exporter.archive.layout import HourPath, Vault
from l2_exporter.archive.tape import TapeLine, is_tape_name
from l2_exporter.archive.tapeorder import Progress, read_tapes
from l2_exporter.core.errors import ConfigError, L2Error
from l2_exporter.core.timetext import NS_PER_MS
from l2_exporter.runtime.rederive_compare import Part, Unwritten, compare_hour
from l2_exporter.runtime.rederive_ledger import LedgerFacts, deleted_paths, read_facts
from l2_exporter.runtime.replay import ReplayOptions, replay

_VENUE_AT = 3
"""How many folders below the root a tape lies."""


@dataclass(slots=True)
class Rederived:
    """What was made again so far.

    Attributes:
        hours, lines: that were compared; left_out: hours that the tapes do not cover wholly, each with the reason.
    """

    hours: int = 0
    lines: int = 0
    left_out: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Watched:
    """The inputs of one run, up to the first that is missing.

    Attributes:
        first_ns, last_ns: receive times of what was given on; None: there was none.
        stopped: the run ended cleanly, and all of it is there.
    """

    lines: Iterable[TapeLine]
    first_ns: int | None = None
    last_ns: int | None = None
    stopped: bool = False

    def __iter__(self) -> Iterator[TapeLine]:
        number: int | None = None
        for line in self.lines:
            if line.n is not None and number is not None and line.n > number + 1:
                return
            number = line.n if line.n is not None else number
            if line.recv_ns is not None:
                self.first_ns = line.recv_ns if self.first_ns is None else self.first_ns
                self.last_ns = max(line.recv_ns, self.last_ns or 0)
            self.stopped = line.dir == "stop"
            yield line


def tapes_of(root: Path, given: Sequence[Path]) -> dict[str | None, list[Path]]:
    """Sort tapes by venue: those that were given, files or folders, else those of the vault. None: they do not tell.

    Raises:
        ConfigError: there are none.
    """
    found: dict[str | None, list[Path]] = {}
    if not given:
        for tape in layout.iter_tape_files(root):
            found.setdefault(tape.venue, []).append(tape.path)
    for path in given:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in filter(is_tape_name, files):
            found.setdefault(_venue_of(file.absolute()), []).append(file)
    if not found:
        raise ConfigError(f"there are no tapes to make lines again from: {', '.join(map(str, given)) or root / 'tape'}")
    return found


def rederive(
    root: Path,
    tapes: dict[str | None, list[Path]],
    asked: Callable[[Path], bool],
    done: Rederived,
    progress: Progress | None = None,
) -> Iterator[Defect]:
    """Yield where the tapes make other lines than the archive holds, of each hour file the first.

    Args:
        asked: whether an hour file is to be compared.
        done: is kept up to date.

    Raises:
        OSError: there is no room for what is made.
    """
    for venue, paths in tapes.items():
        good = []
        for path in paths:
            damage = _damage(path)
            if damage is None:
                good.append(path)
            else:
                yield Defect(path, 0, Flaw.DAMAGED, damage)
        if good:
            with tempfile.TemporaryDirectory(prefix="l2-rederive-") as folder:
                yield from _rederive_venue(root, venue, good, asked, done, progress, Path(folder))


def _venue_of(path: Path) -> str | None:
    """Tell the venue of a tape that lies in a vault."""
    tape = layout.parse_tape_path(path, path.parents[_VENUE_AT]) if len(path.parents) > _VENUE_AT else None
    return None if tape is None else tape.venue


def _damage(path: Path) -> str | None:
    """Tell why a tape cannot be read; None if it can."""
    try:
        next(read_tapes([path]), None)
    except (ConfigError, OSError) as error:
        return str(error)
    return None


def _rederive_venue(
    root: Path,
    venue: str | None,
    paths: list[Path],
    asked: Callable[[Path], bool],
    done: Rederived,
    progress: Progress | None,
    folder: Path,
) -> Iterator[Defect]:
    facts = {name: read_facts(Vault(root), name) for name in _venues(root)}
    known = facts.get(venue or "") or (next(iter(facts.values())) if len(facts) == 1 else LedgerFacts())
    name = venue or (next(iter(facts)) if len(facts) == 1 else None)
    lines = read_tapes(paths, progress)
    groups: Iterator[Iterable[TapeLine]] = iter([lines])
    options = ReplayOptions(name)
    if known.is_replayed:
        cadence_ns = None if known.cadence_ms is None else known.cadence_ms * NS_PER_MS
        options = ReplayOptions(name, cadence_ns, known.depth)
    else:
        groups = (group for _, group in groupby(lines, key=lambda line: line.run))
    parts: list[Part] = []
    for group in groups:
        first = next(iter(group), None)
        if first is None or (first.n is not None and not (first.dir == "start" and first.n <= 1)):
            continue  # its beginning is not there, and with it what the books were
        watched = _Watched(chain([first], group))
        made = folder / str(len(parts))
        try:
            summary = replay(watched, Vault(made), options)
        except L2Error as error:
            yield Defect(paths[0], 0, Flaw.REDERIVED, f"a run of these tapes cannot be replayed: {error}")
            continue
        name = summary.venue
        parts.append(Part(made, watched.first_ns, watched.last_ns, watched.stopped or known.is_replayed))
    if name is not None:
        yield from _compare(root, name, parts, facts.get(name, LedgerFacts()), asked, done)


def _compare(
    root: Path, venue: str, parts: list[Part], facts: LedgerFacts, asked: Callable[[Path], bool], done: Rederived
) -> Iterator[Defect]:
    """Compare every hour that one of the parts has."""
    made: dict[tuple[str, str, int], dict[int, Path]] = {}
    for number, part in enumerate(parts):
        for hour in layout.iter_hour_files(part.root):
            made.setdefault((hour.dataset, hour.inst, hour.hour), {})[number] = hour.path
    newest = {(dataset, inst, each): hour for dataset, inst, hour in sorted(made) for each in made[dataset, inst, hour]}
    stored: dict[tuple[str, str, int], HourPath] = {}
    for hour in layout.iter_hour_files(root):
        if hour.venue == venue:
            stored.setdefault((hour.dataset, hour.inst, hour.hour), hour)
    deleted = deleted_paths(Vault(root))
    for key in sorted({*made, *stored}):
        dataset, inst, number = key
        plain = Vault(root).hour_file(venue, dataset, inst, number)
        place = stored.get(key)
        path = plain if place is None else place.path
        if not asked(path) or plain.relative_to(root).as_posix() in deleted:
            continue
        unwritten = Unwritten(facts.suspended.get((dataset, inst), []), facts.late.get((dataset, inst), {}).get(number))
        sources = [
            # Only the newest hour of a run can lack what a kill left unwritten.
            (parts[each] if number == newest[dataset, inst, each] else replace(parts[each], stopped=True), file)
            for each, file in sorted(made.get(key, {}).items())
        ]
        found = compare_hour(path if place else None, sources, parts, unwritten)
        if found.left_out is not None:
            done.left_out.append((path, found.left_out))
            continue
        done.hours += 1
        done.lines += found.lines
        if found.difference is not None:
            yield Defect(path, found.line, Flaw.REDERIVED, found.difference)


def _venues(root: Path) -> list[str]:
    return sorted({ledger.venue for ledger in layout.iter_ledger_files(root)})
