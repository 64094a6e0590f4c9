"""What is there: walks a vault group by group, so that memory stays flat in its size. Follows no symbolic link.

Only what `archive.layout` would have written is taken for ours; everything else is passed over and named. The vault's
own `raw`, `tape` and `meta` may be links: a user moves them to another disk.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from l2_exporter.archive import layout
from retention.inventory import Group, Item, Leftover, Stored, What
from retention.policy import HOUR_NS, NS_PER_S

_PLAIN = layout.LINE_SUFFIXES[0]
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LEFTOVER = re.compile(re.escape(layout.TEMPORARY_PREFIX) + r"((\d\d)(?:-.+)?)-(\d{1,10})", re.ASCII | re.DOTALL)
_LINK = "a symbolic link is not followed"
_FOREIGN = "no file of the archive"

Alive = Callable[[int], bool]
"""Tells whether a process of that id runs, and is not this one."""


def groups(root: Path, alive: Alive) -> Iterator[Group]:
    """List a vault: books, then tapes, then ledgers, each by path. A folder that cannot be read is told as failed."""
    walk = _Walk(root, alive)
    for book in walk.folders(root / "raw", 3):
        yield walk.group(book, dated=True)
    for venue in walk.folders(root / "tape", 1):
        yield walk.group(venue, dated=True)
    for venue in walk.folders(root / "meta", 1):
        if layout.parse_ledger_path(venue / "events" / f"1970-01-01{_PLAIN}", root):
            yield walk.group(venue / "events", dated=False)
    if walk.passed or walk.failed:
        yield Group(skipped=tuple(walk.passed), failed=tuple(walk.failed))


@dataclass(slots=True)
class _Found:
    """What one group turned out to hold."""

    items: dict[Path, Item] = field(default_factory=dict)
    leftovers: list[Leftover] = field(default_factory=list)
    folders: list[tuple[Path, int]] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


class _Walk:
    """One walk over one vault."""

    def __init__(self, root: Path, alive: Alive) -> None:
        self._root = root
        self._alive = alive
        self.passed: list[tuple[Path, str]] = []
        self.failed: list[tuple[Path, str]] = []

    def folders(self, top: Path, depth: int) -> Iterator[Path]:
        """Yield the real folders exactly `depth` below one, sorted."""
        for entry in self._entries(top):
            path = top / entry.name
            if entry.is_symlink():
                self.passed.append((path, _LINK))
            elif entry.is_dir(follow_symlinks=False):
                if depth > 1:
                    yield from self.folders(path, depth - 1)
                else:
                    yield path

    def group(self, folder: Path, *, dated: bool) -> Group:
        """List what lies in a folder, or in its date folders."""
        found = _Found()
        for entry in self._entries(folder):
            path = folder / entry.name
            if not dated:
                self._file(found, path, entry)
            elif entry.is_symlink():
                found.skipped.append((path, _LINK))
            elif entry.is_dir(follow_symlinks=False) and (end_ns := _date_end_ns(entry.name)) is not None:
                self._date(found, path, end_ns)
            else:
                found.skipped.append((path, _FOREIGN))
        items = sorted(found.items.values(), key=lambda item: (item.end_ns, item.name))
        return Group(
            tuple(items), tuple(found.leftovers), tuple(found.folders), tuple(found.empty), tuple(found.skipped)
        )

    def _date(self, found: _Found, folder: Path, end_ns: int) -> None:
        entries = self._entries(folder)
        found.folders.append((folder, end_ns))
        if not entries and not (self.failed and self.failed[-1][0] == folder):
            found.empty.append(folder)
        for entry in entries:
            self._file(found, folder / entry.name, entry)

    def _file(self, found: _Found, path: Path, entry: os.DirEntry[str]) -> None:
        """Sort one entry into the group."""
        if entry.is_symlink():
            found.skipped.append((path, _LINK))
            return
        try:
            stored = Stored(path, entry.stat(follow_symlinks=False).st_size)
        except FileNotFoundError:
            return  # gone since the folder was listed
        regular = entry.is_file(follow_symlinks=False)
        if regular and (item := _item(path, self._root)):
            _add(found.items, item, stored)
        elif regular and (leftover := self._leftover(stored)):
            found.leftovers.append(leftover)
        elif not path.name.endswith(layout.TORN_SUFFIX):
            found.skipped.append((path, _FOREIGN))

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """List a folder, sorted; one that is not there is empty."""
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.failed.append((folder, error.strerror or str(error)))
            return []

    def _leftover(self, stored: Stored) -> Leftover | None:
        """Read a temporary file's name; None unless `layout.temporary` gives it for a file of the archive."""
        match = _LEFTOVER.fullmatch(stored.path.name)
        if match is None:
            return None
        short = match[1] == match[2]
        item = _item(stored.path.with_name(match[1] + _PLAIN if short else match[1]), self._root)
        return Leftover(stored, item.end_ns, self._alive(int(match[3]))) if item else None


def _item(path: Path, root: Path) -> Item | None:
    """Tell which item a path belongs to, without its files."""
    hour = layout.parse_hour_path(path, root) or layout.parse_manifest_path(path, root)
    if hour is not None:
        name = path.with_name(path.name.removesuffix(hour.suffix) + _PLAIN)
        start_ns = hour.hour * HOUR_NS
        return Item(What.HOUR, name, hour.venue, hour.dataset, hour.inst, start_ns, start_ns + HOUR_NS)
    tape = layout.parse_tape_path(path, root)
    if tape is not None:
        name = path.with_name(path.name.removesuffix(tape.suffix) + _PLAIN)
        return Item(What.TAPE, name, tape.venue, "", "", tape.hour * HOUR_NS, (tape.hour + 1) * HOUR_NS)
    ledger = layout.parse_ledger_path(path, root)
    end_ns = _date_end_ns(ledger.day) if ledger else None
    if ledger is None or end_ns is None:
        return None
    return Item(What.LEDGER, path, ledger.venue, "", "", end_ns - 24 * HOUR_NS, end_ns)


def _add(items: dict[Path, Item], bare: Item, stored: Stored) -> None:
    """Give a file to the item it belongs to."""
    item = items.get(bare.name, bare)
    if stored.path == item.name:
        item = replace(item, plain=stored)
    elif stored.path.name.endswith(layout.MANIFEST_SUFFIX):
        item = replace(item, manifest=stored)
    else:
        item = replace(item, packed=(*item.packed, stored))
    items[bare.name] = item


def _date_end_ns(name: str) -> int | None:
    """Return when a date ends; None if it is none."""
    if _DATE.fullmatch(name) is None:
        return None
    try:
        start = datetime.fromisoformat(name).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(start.timestamp()) * NS_PER_S + 24 * HOUR_NS
