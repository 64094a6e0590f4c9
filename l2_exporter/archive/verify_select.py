"""What there is to verify below the paths a user gives, sorted out by what each file's place says it is."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from l2_exporter.archive import layout
from l2_exporter.archive.layout import HourPath, LedgerPath
from l2_exporter.archive.verify_record import is_record_path

T = TypeVar("T")

Venue = tuple[Path, str]
"""Root of a vault, and a venue in it."""

_HOUR_DEPTH = 5
_LEDGER_DEPTH = 3
_RECORD_DEPTH = 2
"""How many folders below the root these files lie: a file's place tells its vault's root."""


@dataclass(slots=True)
class Selection:
    """Files to verify, each kind sorted by path.

    Attributes:
        misnamed: files among the hour files that readers would take for line files, and that are none.
        links: symbolic links where these files and their folders should be; they are not followed.
        foreign: other files that have no business there.
        tops: the paths that were given; singles: those that are single files.
    """

    hours: list[HourPath] = field(default_factory=list)
    manifests: list[HourPath] = field(default_factory=list)
    ledgers: list[LedgerPath] = field(default_factory=list)
    records: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    misnamed: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    tops: list[Path] = field(default_factory=list)
    singles: set[Path] = field(default_factory=set)

    def count(self) -> int:
        """Number the files that will be looked at."""
        return len(self.hours) + len(self.manifests) + len(self.ledgers) + len(self.records) + len(self.links)

    def covers(self, path: Path) -> bool:
        """Tell whether a path is one that was given or lies below one, whether it exists or not."""
        return any(top == path or top in path.parents for top in self.tops)

    def roots(self) -> list[Path]:
        """List the vaults that anything of is selected, sorted."""
        places: list[HourPath | LedgerPath] = [*self.hours, *self.manifests, *self.ledgers]
        return sorted({venue_of(place)[0] for place in places} | {path.parents[_RECORD_DEPTH] for path in self.records})


def select(paths: Iterable[Path]) -> Selection:
    """Find what there is to verify: paths are vaults, folders below one, or files. Symbolic links are not followed,
    but for the vault's own `raw` and `meta`.

    Raises:
        OSError: a path cannot be listed, or does not exist.
    """
    selection = Selection()
    selection.tops = [Path(os.path.normpath(path.absolute())) for path in paths]
    selection.singles.update(top for top in selection.tops if not top.is_dir())
    for file in sorted({file for top in selection.tops for file in _files(top)}):
        _sort_in(selection, file)
    return selection


def venue_of(place: HourPath | LedgerPath) -> Venue:
    """Tell which vault and venue a file belongs to."""
    depth = _HOUR_DEPTH if isinstance(place, HourPath) else _LEDGER_DEPTH
    return place.path.parents[depth], place.venue


def _files(path: Path) -> Iterator[Path]:
    """List the files below a path, and the links to folders."""
    if not path.is_dir():
        path.lstat()
        yield path
        return
    moved = [link for name in ("raw", "meta") if (link := path / name).is_symlink()]  # to another disk, by the user
    for top in (path, *moved):
        for folder, folders, names in os.walk(top, onerror=_raise):
            yield from (Path(folder, name) for name in names)
            yield from (link for name in folders if (link := Path(folder, name)).is_symlink() and link not in moved)


def _raise(error: OSError) -> None:
    raise error


def _sort_in(selection: Selection, path: Path) -> None:
    hour = _placed(path, _HOUR_DEPTH, layout.parse_hour_path)
    manifest = _placed(path, _HOUR_DEPTH, layout.parse_manifest_path)
    ledger = _placed(path, _LEDGER_DEPTH, layout.parse_ledger_path)
    record = _placed(path, _RECORD_DEPTH, is_record_path)
    among_hours = len(path.parents) > _HOUR_DEPTH and path.parents[_HOUR_DEPTH - 1].name == "raw"
    looks_like_lines = among_hours and path.name.endswith(layout.LINE_SUFFIXES)
    if path.is_symlink():
        if hour or manifest or ledger or record or looks_like_lines or _is_hour_folder(path):
            selection.links.append(path)
    elif hour:
        selection.hours.append(hour)
    elif manifest:
        selection.manifests.append(manifest)
    elif ledger:
        selection.ledgers.append(ledger)
    elif record:
        selection.records.append(path)
    elif among_hours:
        if looks_like_lines:
            selection.misnamed.append(path)
        elif not path.name.endswith(layout.TORN_SUFFIX) and not path.name.startswith(layout.TEMPORARY_PREFIX):
            selection.foreign.append(path)


def _is_hour_folder(path: Path) -> bool:
    """Tell whether a folder's place is that of a venue, dataset, instrument or day below `raw`."""
    return path.is_dir() and "raw" in [parent.name for parent in path.parents[: _HOUR_DEPTH - 1]]


def _placed(path: Path, depth: int, parse: Callable[[Path, Path], T | None]) -> T | None:
    return parse(path, path.parents[depth]) if len(path.parents) > depth else None
