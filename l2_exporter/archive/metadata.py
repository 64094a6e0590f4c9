"""What is known about each instrument: the newest metadata, and every change with the time from which it was valid.

`<inst>.json` holds the newest form. `<inst>.history.jsonl` holds every form there was, the newest last, each behind
`valid_from`, the local receive time at which it was first seen. The history is written first: after a crash between
the two the next look writes the rest, and appends nothing twice.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.repair import repair_tail
from l2_exporter.archive.schema import METADATA_FIELDS, Field, Type
from l2_exporter.core.decimaltext import is_number
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.instrument import Instrument, changes
from l2_exporter.core.timetext import utc_ns, utc_text

RECEIVED_DECIMALS = 6
VALID_FROM = "valid_from"


def metadata_object(instrument: Instrument) -> dict[str, object]:
    """Return the JSON object of one instrument, its fields in the order of the format."""
    return {field.name: getattr(instrument, field.name) for field in METADATA_FIELDS}


def read_metadata(data: bytes) -> Instrument | None:
    """Read one instrument's JSON object; None if it is damaged. Fields we do not know are passed over."""
    try:
        stored = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if type(stored) is not dict or not all(_fits(field, stored.get(field.name)) for field in METADATA_FIELDS):
        return None
    values: dict[str, Any] = {field.name: stored.get(field.name) for field in METADATA_FIELDS}
    return Instrument(**values)


class Metadata:
    """The metadata files of a vault. One writer per venue, whoever holds the venue's lock."""

    def __init__(self, disk: Disk, vault: Vault) -> None:
        self._disk = disk
        self._vault = vault

    def newest(self, venue: str, inst: str) -> Instrument | None:
        """Return the newest metadata of an instrument; None if there is none or its file is damaged.

        Raises:
            ArchiveError: the file is there and cannot be read.
        """
        try:
            instrument = read_metadata(self._vault.instrument_file(venue, inst).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"the metadata of {venue} {inst} cannot be read: {error}") from error
        return instrument if instrument and (instrument.venue, instrument.inst) == (venue, inst) else None

    def all(self, venue: str) -> list[Instrument]:
        """Return the newest metadata of every instrument of a venue; damaged and unreadable files are left out."""
        found = []
        for path in sorted(self._vault.instruments_folder(venue).glob("*.json")):
            try:
                instrument = read_metadata(path.read_bytes())
            except OSError:  # it is as good as none: what depends on it is told so
                continue
            if instrument is not None and instrument.venue == venue:
                found.append(instrument)
        return found

    def remember(self, instrument: Instrument, at_ns: int) -> tuple[str, ...] | None:
        """Store what the venue says now, received at `at_ns`; return the fields that changed, None if it is new.

        A changed `raw` alone is stored as the newest, and is no change (see `core.instrument.changes`).

        Raises:
            ArchiveError: it cannot be written; it is safe to call again.
        """
        newest = self.newest(instrument.venue, instrument.inst)
        path = self._vault.instrument_file(instrument.venue, instrument.inst)
        history = self._vault.history_file(instrument.venue, instrument.inst)
        try:
            last = self._last(history)
            if last is None or changes(last, instrument):
                self._append(history, _line(instrument, at_ns))
            if newest != instrument:
                self._disk.write_whole(path, _dumps(metadata_object(instrument)))
        except OSError as error:
            what = f"the metadata of {instrument.venue} {instrument.inst}"
            raise ArchiveError(f"{what} cannot be written: {error}") from error
        before = newest or last
        return None if before is None else changes(before, instrument)

    def _last(self, history: Path) -> Instrument | None:
        """Read the last form of a history, once its torn end is repaired."""
        if not history.exists():
            return None
        line = repair_tail(self._disk, history, history.with_suffix(".torn")).last_line
        return None if line is None else read_metadata(line)

    def _append(self, history: Path, line: bytes) -> None:
        fd = self._disk.open_append(history)
        try:
            size = self._disk.size(fd)
            try:
                self._disk.append_all(fd, line)
                self._disk.fsync(fd)
            except OSError:
                with contextlib.suppress(OSError):  # if even that fails, the next look repairs the end
                    self._disk.truncate(fd, size)
                raise
        finally:
            self._disk.close(fd)


def _line(instrument: Instrument, at_ns: int) -> bytes:
    """Write a line of the history. `valid_from` stands first, so that new fields can be added behind."""
    return _dumps({VALID_FROM: utc_text(at_ns, RECEIVED_DECIMALS), **metadata_object(instrument)})


def _dumps(stored: dict[str, object]) -> bytes:
    return orjson.dumps(stored, option=orjson.OPT_APPEND_NEWLINE)


def _is_time(value: Any) -> bool:
    try:
        utc_ns(value)
    except ValueError:
        return False
    return True


_CHECKS: dict[Type, tuple[type, Callable[[Any], bool]]] = {
    Type.TEXT: (str, lambda _value: True),
    Type.TIME: (str, _is_time),
    Type.DECIMAL: (str, is_number),
    Type.OBJECT: (dict, lambda _value: True),
}


def _fits(field: Field, value: object) -> bool:
    """Tell whether a stored value is what the schema says; anything else is damage."""
    if value is None:
        return field.nullable
    kind, check = _CHECKS[field.type]
    return type(value) is kind and check(value)
