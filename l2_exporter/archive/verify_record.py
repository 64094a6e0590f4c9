"""The lines of the retention job's record, each by itself: what it says became of which file of the archive.

Written from docs/RETENTION.md, apart from the job that writes them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive import layout
from l2_exporter.archive.defects import Finding, Flaw, FlawError, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.schema import Field, Type
from l2_exporter.archive.stored import check_fields, time_ns
from l2_exporter.archive.verify_manifest import ManifestChecker, Seal
from l2_exporter.core.errors import clip
from l2_exporter.core.timetext import DAY_NS, HOUR_NS, date_of, utc_ns

COMPRESSED, DELETED = "compressed", "deleted"
HOUR, TAPE, LEDGER = "hour", "tape", "ledger"
FORMAT = 1

RECORD_FIELDS = (
    Field("format", Type.INTEGER, "", False, "version of this schema"),
    Field("at", Type.TIME, "UTC", False, "when the run began, or its --now"),
    Field("action", Type.TEXT, "", False, "compressed or deleted"),
    Field("what", Type.TEXT, "", False, "hour, tape or ledger"),
    Field("venue", Type.TEXT, "venue", False, "the venue, as in the path"),
    Field("dataset", Type.TEXT, "", True, "the dataset, as in the path; null: not an hour"),
    Field("inst", Type.TEXT, "", True, "the venue's own id of the instrument; null: not an hour"),
    Field("from", Type.TIME, "UTC", False, "start of the time that the path names"),
    Field("until", Type.TIME, "UTC", False, "its end; half open"),
    Field("reason", Type.TEXT, "", False, "age and limit"),
    Field("path", Type.TEXT, "", False, "the plain file, from the vault on"),
    Field("lines", Type.INTEGER, "lines", False, "lines of the plain content"),
    Field("bytes", Type.INTEGER, "bytes", False, "length of the plain content"),
    Field("sha256", Type.TEXT, "hex", True, "digest of the plain content; null: only a manifest was there"),
    Field("stored_path", Type.TEXT, "", True, "the compressed file that was made, or the file that was deleted"),
    Field("stored_bytes", Type.INTEGER, "bytes", False, "its length; 0: there was none"),
    Field("stored_sha256", Type.TEXT, "hex", True, "its digest"),
    Field("manifest_sha256", Type.TEXT, "hex", True, "digest of the manifest file; null: no manifest"),
    Field("manifest", Type.OBJECT, "", True, "the manifest, whole"),
)

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGESTS = ("sha256", "stored_sha256", "manifest_sha256")
_COUNTS = ("lines", "bytes", "stored_bytes")
_PLAIN, *_PACKED = layout.LINE_SUFFIXES
_MANIFEST = b',"manifest":'


@dataclass(frozen=True, slots=True)
class Told:
    """What one line says.

    Attributes:
        path, line: where it stands.
        name: the plain file, whether it was there or not.
        lines, sha256: of its content; None: only a manifest was there.
        manifest_sha256: digest of the hour's manifest; seal: what that says, if it could be read.
    """

    path: Path
    line: int
    action: str
    what: str
    name: Path
    start_ns: int
    end_ns: int
    lines: int
    sha256: str | None
    manifest_sha256: str | None
    seal: Seal | None


def record_files(root: Path) -> list[Path]:
    """List the files of a vault's record in order of their dates; links and what has another name are passed over."""
    found = sorted((root / "meta" / "retention").glob("*.jsonl"))
    return [path for path in found if is_record_path(path, root) and path.is_file() and not path.is_symlink()]


def is_record_path(path: Path, root: Path) -> bool:
    """Tell whether a path is that of a file of the record."""
    try:
        return layout.Vault(root).retention_file(path.name.removesuffix(".jsonl")) == path
    except layout.LayoutError:
        return False


class RecordChecker:
    """Checks the lines of one vault's record.

    Attributes:
        told: what the line checked last says; None: it cannot be relied on.
    """

    def __init__(self, root: Path) -> None:
        self.told: Told | None = None
        self._root = root

    def check(self, path: Path, number: int, raw: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next line, given without its `\\n`; `number` counts lines from 1."""
        self.told = None
        try:
            fields = _read(raw)
            check_fields(fields, RECORD_FIELDS)
            at_ns = time_ns("at", fields["at"])
            _check_words(fields)
            name = self._name(fields)
            self._check_stored(fields, name)
        except FlawError as flaw:
            yield flaw.finding
            return
        if date_of(at_ns) != path.stem:
            yield Flaw.DATE, f"{said('at', fields['at'])}, of another date"
        manifest = ManifestChecker()
        if fields["manifest"] is not None:
            yield from _check_manifest(manifest, _manifest_place(name, fields), fields, raw)
        times = utc_ns(fields["from"]), utc_ns(fields["until"])
        self.told = Told(
            path,
            number,
            fields["action"],
            fields["what"],
            name,
            *times,
            fields["lines"],
            fields["sha256"],
            fields["manifest_sha256"],
            manifest.seal,
        )

    def _name(self, fields: Mapping[str, Any]) -> Path:
        """Return the plain file that a line is about.

        Raises:
            FlawError: the path is none of the archive, or the line says other things than it.
        """
        name = self._root.joinpath(fields["path"])
        told = _said_by_path(fields["what"], name, self._root)
        if told is None or name.relative_to(self._root).as_posix() != fields["path"]:
            raise FlawError(Flaw.PATH, f"{said('path', fields['path'])}, no plain file of {fields['what']}s")
        times = tuple(time_ns(word, fields[word]) for word in ("from", "until"))
        if (fields["venue"], fields["dataset"], fields["inst"], *times) != told:
            raise FlawError(Flaw.PATH, f"the line is of another {fields['what']} than its path {fields['path']}")
        return name

    def _check_stored(self, fields: Mapping[str, Any], name: Path) -> None:
        """Refuse what a line says of a file that cannot have been."""
        if fields["stored_path"] is None:
            _refuse_unless_empty(fields)
            return
        stored = self._root / fields["stored_path"]
        packed = [name.with_name(name.name.removesuffix(_PLAIN) + suffix) for suffix in _PACKED]
        allowed = [*([name] if fields["action"] == DELETED else []), *(packed if fields["what"] != LEDGER else [])]
        if stored not in allowed:
            raise FlawError(Flaw.PATH, f"{said('stored_path', fields['stored_path'])}, of {name.name}")
        if fields["sha256"] is None or fields["stored_sha256"] is None:
            raise FlawError(Flaw.RECORD, "a file without its digest")
        same = [fields["bytes"], fields["sha256"]] == [fields["stored_bytes"], fields["stored_sha256"]]
        if stored == name and not same:
            raise FlawError(Flaw.RECORD, "a plain file of other bytes than its content")


def _read(raw: bytes) -> dict[str, Any]:
    """Read one JSON object. A manifest stands in it as it was, blanks included."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FlawError(Flaw.NOT_JSON, str(error)) from error
    if not isinstance(fields, dict):
        raise FlawError(Flaw.NOT_JSON, f"not an object but {clip(fields)}")
    return fields


def _check_words(fields: Mapping[str, Any]) -> None:
    """Refuse words, digests and counts that no job of ours writes."""
    if fields["format"] != FORMAT:
        raise FlawError(Flaw.KIND, f"{said('format', fields['format'])}, {FORMAT} is known")
    for name, words in (("action", (COMPRESSED, DELETED)), ("what", (HOUR, TAPE, LEDGER))):
        if fields[name] not in words:
            raise FlawError(Flaw.KIND, said(name, fields[name]))
    for name in _DIGESTS:
        if fields[name] is not None and _DIGEST.fullmatch(fields[name]) is None:
            raise FlawError(Flaw.RECORD, f"{said(name, fields[name])}, no digest")
    for name in _COUNTS:
        if fields[name] < 0:
            raise FlawError(Flaw.RECORD, said(name, fields[name]))
    if (fields["manifest"] is None) is not (fields["manifest_sha256"] is None):
        raise FlawError(Flaw.RECORD, "a manifest without its digest, or a digest without its manifest")


def _refuse_unless_empty(fields: Mapping[str, Any]) -> None:
    """Only a manifest that seals no lines can have been deleted alone."""
    nothing = (0, 0, 0, None, None)
    if fields["action"] != DELETED or fields["manifest"] is None:
        raise FlawError(Flaw.RECORD, f"{fields['action']}, but neither a file nor a manifest")
    if tuple(fields[name] for name in (*_COUNTS, "sha256", "stored_sha256")) != nothing:
        raise FlawError(Flaw.RECORD, "it tells of bytes, but of no file")


def _said_by_path(what: str, name: Path, root: Path) -> tuple[str, str | None, str | None, int, int] | None:
    """Tell what a path names: venue, dataset, instrument, start and end; None if it is no plain file of that kind."""
    if what == HOUR and (hour := layout.parse_hour_path(name, root)) and hour.suffix == _PLAIN:
        return hour.venue, hour.dataset, hour.inst, hour.hour * HOUR_NS, (hour.hour + 1) * HOUR_NS
    if what == TAPE and (tape := layout.parse_tape_path(name, root)) and tape.suffix == _PLAIN:
        return tape.venue, None, None, tape.hour * HOUR_NS, (tape.hour + 1) * HOUR_NS
    if what == LEDGER and (ledger := layout.parse_ledger_path(name, root)):
        start_ns = utc_ns(f"{ledger.day}T00:00:00Z")
        return ledger.venue, None, None, start_ns, start_ns + DAY_NS
    return None


def _manifest_place(name: Path, fields: Mapping[str, Any]) -> HourPath:
    path = name.with_name(name.name.removesuffix(_PLAIN) + layout.MANIFEST_SUFFIX)
    hour = utc_ns(fields["from"]) // HOUR_NS
    return HourPath(path, fields["venue"], fields["dataset"] or "", fields["inst"] or "", hour, layout.MANIFEST_SUFFIX)


def _check_manifest(
    checker: ManifestChecker, place: HourPath, fields: Mapping[str, Any], raw: bytes
) -> Iterator[Finding]:
    """Hold the manifest that stands in a line against its digest, its path and what the line says of the hour."""
    data = _manifest_of(raw)
    digest = fields["manifest_sha256"]
    if digest not in (hashlib.sha256(data + ending).hexdigest() for ending in (b"\n", b"")):
        yield Flaw.RECORD, f"{said('manifest_sha256', digest)}, not that of the manifest beside it"
    yield from checker.check(place, data, None, digest)
    seal = checker.seal
    if seal is None or not seal.is_read:
        return
    # Where only a manifest was there it sealed an hour without lines; such a line tells no digest.
    empty = hashlib.sha256().hexdigest()
    told = (fields["lines"], fields["bytes"], fields["sha256"] or empty)
    if (seal.lines, seal.size, seal.sha256) != told:
        yield Flaw.RECORD, f"its manifest tells of {seal.lines} lines, {seal.size} bytes and sha256 {seal.sha256}"


def _manifest_of(raw: bytes) -> bytes:
    """Cut the manifest out of a line, byte for byte. No text before it can hold these quotes unescaped."""
    text = raw[raw.index(_MANIFEST) + len(_MANIFEST) :].decode()
    return text[: json.JSONDecoder().raw_decode(text)[1]].encode()
