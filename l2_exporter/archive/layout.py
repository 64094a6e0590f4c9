"""The paths of the archive: which file holds what, and which name stands for which instrument.

This module imports nothing of the project: the retention job, which deletes files, knows the archive by it
alone. It builds and reads paths and lists folders; it opens, writes and deletes no file. Hours are counted
since 1970 UTC.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote_to_bytes

LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
MANIFEST_SUFFIX = ".manifest.json"
TORN_SUFFIX = ".torn"
TEMPORARY_PREFIX = ".tmp-"
MAX_NAME_BYTES = 200
"""Longest encoded instrument: file systems take 255 bytes, the longest ending of ours needs 30."""

T = TypeVar("T")

_EPOCH = date(1970, 1, 1).toordinal()
_END_HOUR = (date.max.toordinal() + 1 - _EPOCH) * 24
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+")
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|(?:COM|LPT)[0-9¹²³])(?:\..*)?", re.IGNORECASE | re.DOTALL)
_VENUE = re.compile(r"(?!(?:con|prn|aux|nul|com\d|lpt\d|logs|retention)$)[a-z][a-z0-9_]{0,31}", re.ASCII)
_DATASET = re.compile(r"(?=.{1,64}$)l[23]_[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_HOUR_NAME = re.compile(r"(\d\d)(\.[a-z.]+)", re.ASCII)
_CONN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_START = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_TAPE_NAME = re.compile(r"(\d\d)-([A-Za-z0-9._-]+)-([A-Za-z0-9]+)(\.jsonl(?:\.gz|\.zst)?)", re.ASCII)


class LayoutError(ValueError):
    """A name that the archive cannot hold, or that it would never have written."""


@dataclass(frozen=True, slots=True)
class HourPath:
    """One hour file (or manifest) and what its path says: `inst` is the venue's own id, `hour` since 1970."""

    path: Path
    venue: str
    dataset: str
    inst: str
    hour: int
    suffix: str


@dataclass(frozen=True, slots=True)
class TapePath:
    """One tape file and what its path says: `hour` since 1970."""

    path: Path
    venue: str
    hour: int
    conn: str
    start: str
    suffix: str


@dataclass(frozen=True, slots=True)
class LedgerPath:
    """One ledger file and what its path says: `day` is its UTC date, `2026-11-21`."""

    path: Path
    venue: str
    day: str


def encode_inst(inst: str) -> str:
    """Turn an instrument id into the name of its folder, safe on every file system. No two ids share a name.

    Raises:
        LayoutError: the id is empty or no text that UTF-8 can hold, or its name would exceed 200 bytes.
    """
    try:
        raw = inst.encode()
    except UnicodeEncodeError as error:
        raise LayoutError(f"instrument {_clip(inst)} is not valid text: {error.reason}") from error
    if not raw:
        raise LayoutError("an instrument needs a name")
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)
    if inst == "..":
        name = "%2E%2E"
    elif inst.endswith("."):
        name = name[:-1] + "%2E"
    if _RESERVED.fullmatch(inst):
        name = f"%{raw[0]:02X}" + name[1:]
    if len(name) > MAX_NAME_BYTES:
        raise LayoutError(f"instrument {_clip(inst)} needs a name longer than {MAX_NAME_BYTES} bytes")
    return name


def decode_inst(name: str) -> str:
    """Read back the instrument id that `encode_inst` turned into this name.

    Raises:
        LayoutError: `encode_inst` never gives this name.
    """
    if _ENCODED.fullmatch(name) is None:
        raise LayoutError(f"{_clip(name)} is not the name of an instrument")
    try:
        inst = unquote_to_bytes(name).decode()
    except UnicodeDecodeError as error:
        raise LayoutError(f"{_clip(name)} is not the name of an instrument: {error.reason}") from error
    if encode_inst(inst) != name:
        raise LayoutError(f"{_clip(name)} is not the name of instrument {_clip(inst)}")
    return inst


def refuse_clashes(insts: Iterable[str]) -> None:
    """Refuse different ids that are equal after casefold: some file systems would put both into one folder.

    Raises:
        LayoutError: naming both ids.
    """
    seen: dict[str, str] = {}
    for inst in insts:
        other = seen.setdefault(inst.casefold(), inst)
        if other != inst:
            raise LayoutError(f"instruments {_clip(other)} and {_clip(inst)} differ in upper and lower case only")


def hour_text(hour: int) -> tuple[str, str]:
    """Split an hour number into the date and hour of its path, `("2026-11-21", "15")`.

    Raises:
        LayoutError: the hour is before 1970 or after 9999.
    """
    if not 0 <= hour < _END_HOUR:
        raise LayoutError(f"hour {hour} since 1970 has no place in the archive")
    day, of_day = divmod(hour, 24)
    return date.fromordinal(_EPOCH + day).isoformat(), f"{of_day:02d}"


def temporary(final: Path, pid: int) -> Path:
    """Name the temporary file that is written first and then renamed to `final`, in the same folder."""
    match = _HOUR_NAME.fullmatch(final.name)
    return final.with_name(f"{TEMPORARY_PREFIX}{match[1] if match else final.name}-{pid}")


class Vault:
    """Every path below one root.

    Each method raises LayoutError for a name that the archive cannot hold; none touches the disk.
    """

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def inst_folder(self, venue: str, dataset: str, inst: str) -> Path:
        """Folder of one instrument's days."""
        return self.root / "raw" / _venue(venue) / _dataset(dataset) / encode_inst(inst)

    def hour_file(self, venue: str, dataset: str, inst: str, hour: int, suffix: str = ".jsonl") -> Path:
        """File of one instrument's lines of one hour; `suffix` is one of LINE_SUFFIXES."""
        if suffix not in LINE_SUFFIXES:
            raise LayoutError(f"{_clip(suffix)} is not the ending of a line file")
        return self._of_hour(venue, dataset, inst, hour, suffix)

    def torn_file(self, venue: str, dataset: str, inst: str, hour: int) -> Path:
        """File that takes what was cut from the hour's torn end."""
        return self._of_hour(venue, dataset, inst, hour, TORN_SUFFIX)

    def manifest_file(self, venue: str, dataset: str, inst: str, hour: int) -> Path:
        """File that seals the hour."""
        return self._of_hour(venue, dataset, inst, hour, MANIFEST_SUFFIX)

    def _of_hour(self, venue: str, dataset: str, inst: str, hour: int, suffix: str) -> Path:
        day, of_day = hour_text(hour)
        return self.inst_folder(venue, dataset, inst) / day / (of_day + suffix)

    def tape_file(self, venue: str, hour: int, conn: str, start: str, suffix: str = ".jsonl") -> Path:
        """Tape of one connection: `start` tells runs apart and holds letters and digits only."""
        _match(_CONN, conn, "connection")
        _match(_START, start, "start of a tape")
        if suffix not in LINE_SUFFIXES:
            raise LayoutError(f"{_clip(suffix)} is not the ending of a tape")
        day, of_day = hour_text(hour)
        return self.tape_folder(venue) / day / f"{of_day}-{conn}-{start}{suffix}"

    def tape_folder(self, venue: str) -> Path:
        """Folder of one venue's tapes."""
        return self.root / "tape" / _venue(venue)

    def meta_folder(self, venue: str) -> Path:
        """Folder of what is known about one venue."""
        return self.root / "meta" / _venue(venue)

    def instruments_folder(self, venue: str) -> Path:
        """Folder of the metadata of a venue's instruments."""
        return self.meta_folder(venue) / "instruments"

    def instrument_file(self, venue: str, inst: str) -> Path:
        """File of one instrument's newest metadata."""
        return self.instruments_folder(venue) / f"{encode_inst(inst)}.json"

    def history_file(self, venue: str, inst: str) -> Path:
        """File of every change of one instrument's metadata."""
        return self.instruments_folder(venue) / f"{encode_inst(inst)}.history.jsonl"

    def ledger_folder(self, venue: str) -> Path:
        """Folder of one venue's ledger."""
        return self.meta_folder(venue) / "events"

    def ledger_file(self, venue: str, day: str) -> Path:
        """Ledger of one UTC date of receive time, `2026-11-21`."""
        return self.ledger_folder(venue) / f"{_day(day)}.jsonl"

    def status_file(self, venue: str) -> Path:
        """File that tells the health of a running recorder."""
        return self.meta_folder(venue) / "status.json"

    def lock_file(self, venue: str) -> Path:
        """File on which the one recorder of a venue holds its lock."""
        return self.meta_folder(venue) / ".lock"

    def rejected_folder(self, venue: str) -> Path:
        """Folder of the frames kept after a schema break."""
        return self.meta_folder(venue) / "rejected"

    def recorder_log(self) -> Path:
        """Log of the recorder."""
        return self.root / "meta" / "logs" / "l2_exporter.log"

    def retention_log(self) -> Path:
        """Log of the retention job."""
        return self.root / "meta" / "logs" / "l2_retention.log"

    def retention_file(self, day: str) -> Path:
        """Record of what retention compressed and deleted on one UTC date, `2026-11-21`."""
        return self._retention_folder() / f"{_day(day)}.jsonl"

    def retention_lock(self) -> Path:
        """File on which the one retention job of a vault holds its lock."""
        return self._retention_folder() / ".lock"

    def retention_reserve(self) -> Path:
        """File that is given up so that a full disk still takes the record of what is deleted."""
        return self._retention_folder() / ".reserve"

    def _retention_folder(self) -> Path:
        return self.root / "meta" / "retention"


def parse_hour_path(path: Path, root: Path) -> HourPath | None:
    """Read an hour file's path; None unless `Vault(root).hour_file` gives exactly this path."""
    return _parse_hour(path, root, LINE_SUFFIXES)


def parse_manifest_path(path: Path, root: Path) -> HourPath | None:
    """Read a manifest's path; None unless `Vault(root).manifest_file` gives exactly this path."""
    return _parse_hour(path, root, (MANIFEST_SUFFIX,))


def parse_tape_path(path: Path, root: Path) -> TapePath | None:
    """Read a tape's path; None unless `Vault(root).tape_file` gives exactly this path."""
    parts = _parts(path, root, "tape", 4)
    match = _TAPE_NAME.fullmatch(parts[3]) if parts else None
    if match is None:
        return None
    try:
        tape = TapePath(path, parts[1], _hour(parts[2], match[1]), match[2], match[3], match[4])
        made = Vault(root).tape_file(tape.venue, tape.hour, tape.conn, tape.start, tape.suffix)
    except ValueError:
        return None
    return tape if made == path else None


def parse_ledger_path(path: Path, root: Path) -> LedgerPath | None:
    """Read a ledger file's path; None unless `Vault(root).ledger_file` gives exactly this path."""
    parts = _parts(path, root, "meta", 4)
    if not parts:
        return None
    try:
        ledger = LedgerPath(path, parts[1], parts[3].removesuffix(".jsonl"))
        made = Vault(root).ledger_file(ledger.venue, ledger.day)
    except LayoutError:
        return None
    return ledger if made == path else None


def iter_hour_files(root: Path) -> Iterator[HourPath]:
    """List the hour files of a vault, sorted by path. Foreign files and symbolic links are passed over."""
    return _listed(root, root / "raw", 4, parse_hour_path)


def iter_manifest_files(root: Path) -> Iterator[HourPath]:
    """List the manifests of a vault, sorted by path. Foreign files and symbolic links are passed over."""
    return _listed(root, root / "raw", 4, parse_manifest_path)


def iter_tape_files(root: Path) -> Iterator[TapePath]:
    """List the tapes of a vault, sorted by path. Foreign files and symbolic links are passed over."""
    return _listed(root, root / "tape", 2, parse_tape_path)


def iter_ledger_files(root: Path) -> Iterator[LedgerPath]:
    """List the ledger files of a vault, sorted by path. Foreign files and symbolic links are passed over."""
    return _listed(root, root / "meta", 2, parse_ledger_path)


def _listed(root: Path, top: Path, depth: int, parse: Callable[[Path, Path], T | None]) -> Iterator[T]:
    return (found for path in _files(top, depth) if (found := parse(path, root)) is not None)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """List the regular files exactly `depth` folders down, sorted; a folder that is gone is empty."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if depth and entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, depth - 1)
        elif not depth and entry.is_file(follow_symlinks=False):
            yield folder / entry.name


def _parse_hour(path: Path, root: Path, suffixes: tuple[str, ...]) -> HourPath | None:
    parts = _parts(path, root, "raw", 6)
    match = _HOUR_NAME.fullmatch(parts[5]) if parts else None
    if match is None or match[2] not in suffixes:
        return None
    try:
        inst, hour = decode_inst(parts[3]), _hour(parts[4], match[1])
        folder = Vault(root).inst_folder(parts[1], parts[2], inst)
        made = folder.joinpath(*hour_text(hour)).with_name(match[0])
    except ValueError:
        return None
    return HourPath(path, parts[1], parts[2], inst, hour, match[2]) if made == path else None


def _parts(path: Path, root: Path, top: str, count: int) -> tuple[str, ...]:
    """Split a path below `root`; empty unless it has `count` parts and starts at folder `top`."""
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        return ()
    return parts if len(parts) == count and parts[0] == top else ()


def _hour(day: str, of_day: str) -> int:
    """Number the hour that a path names; ValueError if there is no such hour."""
    if not of_day < "24":
        raise LayoutError(f"a day has no hour {of_day}")
    return (date.fromisoformat(_day(day)).toordinal() - _EPOCH) * 24 + int(of_day)


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise LayoutError(f"{_clip(text)} is not a date such as 2026-11-21") from error
    if day.isoformat() != text or day.toordinal() < _EPOCH:
        raise LayoutError(f"{_clip(text)} is not a date such as 2026-11-21 after 1970")
    return text


def _venue(name: str) -> str:
    return _match(_VENUE, name, "venue")


def _dataset(name: str) -> str:
    return _match(_DATASET, name, "dataset")


def _match(pattern: re.Pattern[str], name: str, what: str) -> str:
    if pattern.fullmatch(name) is None:
        raise LayoutError(f"{_clip(name)} is not the name of a {what}")
    return name


def _clip(value: str) -> str:
    return repr(value[:200])
