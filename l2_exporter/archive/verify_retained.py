"""What retention deleted told from what is missing: its record held against the files, and the chain of manifests.

A tombstone can stand for a file that is still there, and a line that says `compressed` for one that is still plain:
the job was killed behind it, and its next run goes on. Then the content must be the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Defect, Flaw
from l2_exporter.archive.verify_manifest import Link, Seal, check_chain
from l2_exporter.archive.verify_record import DELETED, HOUR, LEDGER, Told

_PLAIN = layout.LINE_SUFFIXES[0]


@dataclass(slots=True)
class Fate:
    """All that the record says of one hour, tape or day of the ledger, in its order."""

    compressed: list[Told] = field(default_factory=list)
    deleted: list[Told] = field(default_factory=list)

    @property
    def told(self) -> list[Told]:
        """Every line, tombstones last."""
        return [*self.compressed, *self.deleted]

    def knows(self, digest: str) -> bool:
        """Tell whether a line vouches for this content."""
        return any(told.sha256 == digest for told in self.told)

    def buries(self, digest: str | None) -> bool:
        """Tell whether a tombstone is of this content."""
        return any(told.sha256 == digest for told in self.deleted)


@dataclass(slots=True)
class Found:
    """What a vault was seen to hold, by the path of each hour's plain file.

    Attributes:
        hours: the files of an hour that were read, and the digest of their plain bytes; None: damaged.
        links: its manifest.
        vanished: files that were listed and then gone, hour files and manifests.
    """

    hours: dict[Path, list[tuple[Path, str | None]]] = field(default_factory=dict)
    links: dict[Path, Link] = field(default_factory=dict)
    vanished: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Deleted:
    """What retention deleted of one book, of a venue's tapes or of its ledger, for the summary.

    Attributes:
        folder: where the date folders lie, or the ledger's files.
        count: of hours, tapes or days; lines: in them; from_ns, until_ns: from the first to the last.
    """

    folder: Path
    what: str
    count: int
    lines: int
    from_ns: int
    until_ns: int


class Retained:
    """Holds one vault against its record, after all of both was read.

    Args:
        covers: whether a path is among what the user asked for.

    Attributes:
        deleted: what is gone and has its tombstone, by folder, in order of paths.
    """

    def __init__(self, root: Path, found: Found, covers: Callable[[Path], bool]) -> None:
        self.deleted: dict[Path, Deleted] = {}
        self._root = root
        self._found = found
        self._covers = covers
        self._fates: dict[Path, Fate] = {}

    def add(self, told: Told) -> None:
        """Take the next line of the record."""
        name = told.name
        if self._covers(name) or name in self._found.hours or name in self._found.links:
            fate = self._fates.setdefault(name, Fate())
            (fate.deleted if told.action == DELETED else fate.compressed).append(told)

    def should_be_there(self, name: Path) -> bool:
        """Tell whether a file was asked for, and nothing tells that it was deleted."""
        return self._covers(name) and not self._fates.get(name, Fate()).deleted

    def was_never_sealed(self, name: Path) -> bool:
        """Tell whether an hour had no manifest when it was compressed: a version that made none has recorded it."""
        return any(told.manifest_sha256 is None for told in self._fates.get(name, Fate()).compressed)

    def tells_of_manifest(self, name: Path) -> bool:
        """Tell whether the record says that an hour had a manifest when it was compressed: so it is missed here."""
        fate = self._fates.get(name, Fate())
        return not fate.deleted and any(told.manifest_sha256 is not None for told in fate.compressed)

    def links_of(self, venue: str) -> dict[tuple[str, str], dict[int, Link]]:
        """List the manifests of a venue that are there or lie in tombstones, by book and hour."""
        found: dict[tuple[str, str], dict[int, Link]] = {}
        buried = {name: _buried(fate) for name, fate in self._fates.items()}
        for name, link in sorted({**buried, **self._found.links}.items()):
            place = layout.parse_hour_path(name, self._root)
            if link is not None and place is not None and place.venue == venue:
                found.setdefault((place.dataset, place.inst), {})[place.hour] = link
        return found

    def judge(self) -> Iterator[Defect]:
        """Yield what contradicts the record, what is missing, and where the chain of manifests does not close."""
        for name in sorted({*self._fates, *self._found.links}):
            yield from self._judge_item(name, self._fates.get(name, Fate()))
        for path in self._found.vanished:
            if not self._explains(path):
                yield Defect(path, 0, Flaw.MISSING, "it was there when this verification began, and has no tombstone")
        yield from self._check_chains()

    def _judge_item(self, name: Path, fate: Fate) -> Iterator[Defect]:
        files = self._found.hours.get(name)
        if files is not None:
            yield from _check_content(files, fate)
        elif not is_there(name):
            missing = list(self._check_gone(name, fate))
            yield from missing
            if missing:
                return
            if fate.deleted:
                self._count(fate.deleted[-1])
        yield from self._check_manifest(name, fate)

    def _check_gone(self, name: Path, fate: Fate) -> Iterator[Defect]:
        """No file is gone without a tombstone of what it held last."""
        link = self._found.links.get(name)
        if fate.compressed and not fate.buries(fate.compressed[-1].sha256):
            last = fate.compressed[-1]
            yield Defect(name, 0, Flaw.MISSING, f"compressed with sha256 {last.sha256} ({_place(last)}), no tombstone")
        elif link and link.seal.lines and not fate.buries(link.seal.sha256):
            detail = f"its manifest tells of {link.seal.lines} lines with sha256 {link.seal.sha256}, no tombstone"
            yield Defect(name, 0, Flaw.MISSING, detail)

    def _check_manifest(self, name: Path, fate: Fate) -> Iterator[Defect]:
        """The manifest is the one that the record tells of, or it lies in a tombstone."""
        link = self._found.links.get(name)
        told = [one for one in fate.told if one.manifest_sha256 is not None]
        if not told:
            return
        if link is not None and link.seal.digest not in {one.manifest_sha256 for one in told}:
            detail = f"its sha256 is {link.seal.digest}, {_place(told[-1])} says {told[-1].manifest_sha256}"
            yield Defect(link.path, 0, Flaw.RECORD, detail)
        path = name.with_name(name.name.removesuffix(_PLAIN) + layout.MANIFEST_SUFFIX)
        if link is None and told[-1].action != DELETED and not path.exists():
            yield Defect(path, 0, Flaw.MISSING, f"it stood beside its hour ({_place(told[-1])}), no tombstone holds it")

    def _explains(self, path: Path) -> bool:
        """Tell whether the record says why a file has gone, or will be judged with it."""
        name = plain_name(path)
        fate = self._fates.get(name, Fate())
        if path.name.endswith(layout.MANIFEST_SUFFIX):
            return any(told.manifest_sha256 is not None for told in fate.deleted)
        return bool(fate.told) or name in self._found.hours

    def _check_chains(self) -> Iterator[Defect]:
        chains: dict[Path, dict[int, Link]] = {}
        for name, fate in self._fates.items():
            for told in fate.deleted:
                if told.seal is not None:
                    chains.setdefault(_folder(told.what, name), {})[told.seal.hour] = _link(told, told.seal)
        for name, link in self._found.links.items():
            chains.setdefault(_folder(HOUR, name), {})[link.seal.hour] = link
        for folder in sorted(chains):
            yield from check_chain(chains[folder].values(), from_the_first=self._covers(folder))

    def _count(self, told: Told) -> None:
        folder = _folder(told.what, told.name)
        sums = self.deleted.get(folder)
        if sums is None:
            sums = self.deleted[folder] = Deleted(folder, told.what, 0, 0, told.start_ns, told.end_ns)
        sums.count += 1
        sums.lines += told.lines
        sums.from_ns, sums.until_ns = min(sums.from_ns, told.start_ns), max(sums.until_ns, told.end_ns)


def plain_name(path: Path) -> Path:
    """Return the path of the plain file of an hour, given any of its files."""
    return path.with_name(path.name.partition(".")[0] + _PLAIN)


def is_there(name: Path) -> bool:
    """Tell whether any file of an item is there, or a link in its place."""
    stem = name.name.removesuffix(_PLAIN)
    paths = (name.with_name(stem + suffix) for suffix in layout.LINE_SUFFIXES)
    return any(path.is_symlink() or path.exists() for path in paths)


def _check_content(files: list[tuple[Path, str | None]], fate: Fate) -> Iterator[Defect]:
    """An hour that is there holds what the record says of it, if it says anything."""
    last = next((told for told in reversed(fate.told) if told.sha256 is not None), None)
    for path, digest in files:
        if last and digest is not None and not fate.knows(digest):
            detail = f"its plain bytes have sha256 {digest}, {_place(last)} says {last.action} {last.sha256}"
            yield Defect(path, 0, Flaw.RECORD, detail)


def _buried(fate: Fate) -> Link | None:
    """Return the manifest that lies in the last tombstone that holds one."""
    return next((_link(told, told.seal) for told in reversed(fate.deleted) if told.seal is not None), None)


def _link(told: Told, seal: Seal) -> Link:
    return Link(seal, told.path, told.line)


def _folder(what: str, name: Path) -> Path:
    """Return the folder that stands for a book, a venue's tapes or its ledger."""
    return name.parent if what == LEDGER else name.parents[1]


def _place(told: Told) -> str:
    return f"{told.path.name}:{told.line}"
