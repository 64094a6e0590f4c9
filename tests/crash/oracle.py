"""What must hold of a vault after a run that went wrong and one that followed it: nothing lost without a word.

Judged from outside: hour files, ledger, manifests and tapes on one side, the simulated exchange's truth on the other. A
line is implied by every bucket of the cadence in which the book changed: that of its last change (docs/FORMAT.md,
section 4; no frame comes later than the grace here). It is in the archive, or the ledger says why not.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.archive.verify import verify
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS
from l2_exporter.runtime.replay import ReplayOptions, replay
from l2_exporter.simulator.truth import BookLine, Truth, book_digest
from l2_exporter.venues.registry import line_rules
from tests.crash.running import CADENCE_NS, INSTS
from tests.tools.replaying import hour_files
from tests.tools.truth import Window, ms

Json = dict[str, Any]
Place = tuple[str, str, bool]
"""Instrument, time and whether it is the line of a loss: what one line of a vault is told from the others by."""
CADENCE_MS = CADENCE_NS // NS_PER_MS
RULES = line_rules()


@dataclass
class Before:
    """A vault between the run that went wrong and the next.

    Attributes:
        whole: the bytes of each line file that the disk took and that must stay.
        torn: what stood behind the last line of files that still grow.
        sealed: manifests that were in place, and the hour files they vouch for.
        newest: where the knowledge of each instrument ends, in milliseconds: at its newest whole line, else where the
            ledger says that it became live.
        lined: instruments that have lines.
    """

    whole: dict[Path, bytes] = field(default_factory=dict)
    torn: dict[Path, bytes] = field(default_factory=dict)
    sealed: dict[Path, bytes] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    lined: frozenset[str] = frozenset()


def look(vault: Path, took: dict[Path, int]) -> Before:
    """Note what must not change any more.

    Args:
        took: how many bytes of each file the disk has taken as whole lines.
    """
    before = Before()
    for path, size in took.items():
        if path.suffix == ".jsonl" and path.exists() and "tape" not in path.parts:
            before.whole[path] = path.read_bytes()[:size]
    for path in sorted([*vault.glob("raw/*/*/*/*/*.jsonl"), *vault.glob("meta/*/events/*.jsonl")]):
        before.torn[path] = path.read_bytes().rpartition(b"\n")[2]
    for manifest in sorted(vault.glob("raw/*/*/*/*/*.manifest.json")):
        hour = manifest.with_name(manifest.name.replace(".manifest.json", ".jsonl"))
        for path in (manifest, hour):
            before.sealed[path] = path.read_bytes() if path.exists() else b""
    for lines in hour_files(vault).values():
        for _, line in _whole(lines):
            inst = line["instId"]
            before.newest[inst] = max(before.newest.get(inst, 0), ms(line["timestamp_utc"]) or 0)
    before.lined = frozenset(before.newest)
    for entry in ledger_of(vault):
        if entry["kind"] == "live" and entry["instId"] not in before.lined:
            before.newest[entry["instId"]] = ms(entry["until_event"]) or 0
    return before


def _whole(lines: Iterable[bytes]) -> Iterator[tuple[bytes, Json]]:
    """Read lines, each with what it says; `verify` tells of those that cannot be read."""
    for line in lines:
        try:
            yield line, orjson.loads(line)
        except ValueError:
            continue


@dataclass
class Found:
    """What a vault holds in the end, read once."""

    vault: Path
    truth: Truth

    def __post_init__(self) -> None:
        self.ledger = ledger_of(self.vault)
        self.lines: dict[str, list[Json]] = {inst: [] for inst in INSTS}
        self.bytes: dict[Place, bytes] = {}
        for raw, line in _whole(line for lines in hour_files(self.vault).values() for line in lines):
            self.lines[line["instId"]].append(line)
            self.bytes[place_of(line)] = raw

    def has(self, inst: str, at: int) -> bool:
        """Tell whether a book has a line of this moment, in milliseconds."""
        return any(ms(line["timestamp_utc"]) == at for line in self.lines[inst])

    def begun(self, inst: str) -> int | None:
        """Return when a book was live for the first time, in milliseconds."""
        lives = (entry for entry in self.ledger if entry["kind"] == "live" and entry["instId"] == inst)
        return next((ms(entry["until_event"]) for entry in lives), None)

    def windows(self, inst: str) -> list[Window]:
        """Return the declared losses of a book: those of its continuity, and lines that the disk did not take."""
        ends = {entry["id"]: entry for entry in self.ledger if entry["kind"] == "live" and entry["id"]}
        found = []
        for entry in self.ledger:
            if entry["instId"] == inst and entry["kind"] == "gap":
                end = ends.get(entry["id"])
                found.append(Window(ms(entry["since_event"]), ms(end["until_event"]) if end else None, entry))
        return found

    def suspended(self, inst: str) -> list[tuple[int, int | None, Json]]:
        """Return the windows `[since, until)` in which lines of a book were refused; until None: to the run's end."""
        found: list[tuple[int, int | None, Json]] = []
        for entry in self.ledger:
            since = ms(entry["since_event"])
            if entry["instId"] != inst or since is None:
                continue
            if entry["kind"] == "write_suspended":
                found.append((since, None, entry))
            elif entry["kind"] == "write_resumed":
                assert [each[0] for each in found][-1:] == [since], f"{entry} ends nothing"
                found[-1] = (since, ms(entry["until_event"]), entry)
        return found


def ledger_of(vault: Path) -> list[Json]:
    """Read the whole lines of the ledger, in order."""
    paths = sorted(vault.glob("meta/*/events/*.jsonl"))
    return [told for _, told in _whole(line for path in paths for line in path.read_bytes().splitlines())]


def place_of(line: Json) -> Place:
    """Name a line."""
    return line["instId"], line["timestamp_utc"], line["gap_detected"]


def implied(truth: Truth, inst: str) -> list[BookLine]:
    """List the last change of each bucket in which a book changed."""
    last: dict[int, BookLine] = {}
    for step in truth.books:
        if step.inst == inst:
            last[step.ts // CADENCE_MS] = step
    return [*last.values()]


# ---- checks: each yields what is wrong ------------------------------------------------------------------------------


def check_verified(vault: Path) -> Iterator[str]:
    """The product's own verification finds nothing, and nothing half-written is left."""
    yield from (f"verify: {defect}" for defect in verify([vault], RULES))
    yield from (f"left behind: {path.name}" for path in sorted(vault.rglob(".tmp-*")))


def check_true(found: Found) -> Iterator[str]:
    """Every line is the exchange's book at its number and time."""
    for inst, lines in found.lines.items():
        for line in lines:
            step = found.truth.book(inst, line["seqId"])
            depth = next(name.removeprefix("bids_top") for name in line if name.startswith("bids_top"))
            if step is None or ms(line["timestamp_utc"]) != step.ts:
                yield f"false: {place_of(line)} at {line['seqId']}"
            elif book_digest(line[f"bids_top{depth}"], line[f"asks_top{depth}"]) != _cut_digest(step, int(depth)):
                yield f"false: {place_of(line)} has another book"


def _cut_digest(step: BookLine, depth: int) -> str:
    return book_digest((step.bids or ())[:depth], (step.asks or ())[:depth])


def check_order(found: Found) -> Iterator[str]:
    """Lines ascend strictly, and a bucket has one ordinary line."""
    for inst, lines in found.lines.items():
        places = [(line["timestamp_utc"], line["gap_detected"]) for line in lines]
        yield from (f"order: {inst} {a} then {b}" for a, b in pairwise(places) if a >= b)
        buckets = [(ms(line["timestamp_utc"]) or 0) // CADENCE_MS for line in lines if not line["gap_detected"]]
        yield from (f"twice: {inst} bucket {a}" for a, b in pairwise(buckets) if a == b)


def check_complete(found: Found, arrived: dict[str, int]) -> Iterator[str]:
    """Every implied line is there or declared to be missing; what came last of all is there.

    Args:
        arrived: the event time of the last change of each book that reached the last run, in milliseconds.
    """
    for inst, lines in found.lines.items():
        held = {ms(line["timestamp_utc"]) for line in lines}
        for step in implied(found.truth, inst):
            if step.ts not in held and step.ts <= arrived[inst] and not _is_declared(found, inst, step.ts):
                yield f"lost without a word: {inst} at {step.ts}"
        if arrived[inst] not in held:
            yield f"behind: {inst} has no line at {arrived[inst]}, where it stands"


def check_ledger(found: Found, before: Before, run: str) -> Iterator[str]:
    """Losses have one end each, begin where the knowledge ended, and lines that are said to be lost are as many."""
    gaps = [entry["id"] for entry in found.ledger if entry["kind"] == "gap"]
    ends = [entry["id"] for entry in found.ledger if entry["kind"] == "live" and entry["id"]]
    if len(gaps) != len({*gaps}) or sorted(gaps) != sorted(ends):
        yield f"ledger: gaps {gaps}, ends {ends}"
    restarts = [e for e in found.ledger if e["kind"] == "gap" and e["reason"] == "restart" and e["id"].startswith(run)]
    told = {entry["instId"]: ms(entry["since_event"]) for entry in restarts}
    if told != before.newest:
        yield f"ledger: restart since {told}, lines end at {before.newest}"
    for inst in INSTS:
        for since, until, entry in found.suspended(inst):
            if until is None:
                continue
            lost = [step for step in implied(found.truth, inst) if since <= step.ts < until]
            if len(lost) != entry["detail"]["lines_lost"]:
                yield f"ledger: {entry['detail']} of {inst}, {len(lost)} are missing from {since} to {until}"


def check_kept(before: Before) -> Iterator[str]:
    """What the disk had taken is there still, and what was sealed is as it was."""
    for path, data in before.whole.items():
        if not path.exists() or not path.read_bytes().startswith(data):
            yield f"taken away: {path.name} held {len(data)} bytes that it no longer begins with"
    for path, data in before.torn.items():
        kept = path.with_suffix(".torn")
        if data and not (kept.exists() and data in kept.read_bytes()):
            yield f"thrown away: {len(data)} bytes behind the last line of {path.name}"
    for path, data in before.sealed.items():
        if (path.read_bytes() if path.exists() else b"") != data:
            yield f"unsealed: {path.name} was changed after it was sealed"


def check_promised(promised: dict[Path, int]) -> Iterator[str]:
    """What a finished sync job has made safe is there after a loss of power."""
    for path, size in promised.items():
        if size and path.suffix == ".jsonl" and (not path.exists() or path.stat().st_size < size):
            yield f"promise broken: {path.name} had {size} bytes that were synced"


def check_sealed(vault: Path, before_hour: int) -> Iterator[str]:
    """Every hour that is over and has lines has its manifest, which tells its digest."""
    for path in sorted(vault.glob("raw/*/*/*/*/*.jsonl")):
        _, _, _, inst, day, name = path.relative_to(vault).parts[0:6]
        manifest = path.with_name(f"{path.stem}.manifest.json")
        hour = _hour_of(day, name)
        if hour < before_hour and path.stat().st_size and not manifest.exists():
            yield f"not sealed: {inst} {day} {path.stem}"
        if manifest.exists():
            _, said = next(_whole([manifest.read_bytes()]), (b"", {}))
            if said.get("sha256") != hashlib.sha256(path.read_bytes()).hexdigest():
                yield f"manifest: {inst} {day} {path.stem} vouches for other bytes"


def _hour_of(day: str, name: str) -> int:
    return (ms(f"{day}T{name[:2]}:00:00Z") or 0) * NS_PER_MS // HOUR_NS


@dataclass(frozen=True, slots=True)
class TapeEnd:
    """A run whose tape does not reach its end: times of receipt in milliseconds.

    Attributes:
        last: of the last input on its tape.
        until: the next run began.
    """

    last: int
    until: int

    def is_behind(self, received: int) -> bool:
        """Tell whether a line of this run was made by an input that is not on the tape."""
        return self.last <= received < self.until

    def is_last(self, received: int) -> bool:
        """Tell whether a line may be that of the bucket which the end of the tape has cut short."""
        return self.last - CADENCE_MS - 1000 <= received <= self.last


def check_replay(found: Found, again: Path, before: Before, ends: Iterable[TapeEnd]) -> Iterator[str]:
    """Tapes give the same bytes again, but for lines that are declared to be missing, and what came after a tape's end.

    A run that was killed before its first line leaves nothing to the next one, but its tape makes that line.
    """
    lines = [*read_tapes(sorted(found.vault.glob("tape/**/*.jsonl")))]
    if not lines:
        return
    replay(lines, Vault(again), ReplayOptions(venue="okx"))
    played = Found(again, found.truth)
    for place, raw in found.bytes.items():
        received = ms(orjson.loads(raw)["received_utc"]) or 0
        if place not in played.bytes:
            if not any(end.is_behind(received) for end in ends):
                yield f"replay: {place} does not come again"
        elif played.bytes[place] != raw and (place[0] in before.lined or b"after_gap" not in played.bytes[place]):
            yield f"replay: {place} comes otherwise"
    for place, raw in played.bytes.items():
        received = ms(orjson.loads(raw)["received_utc"]) or 0
        if place in found.bytes or any(end.is_last(received) for end in ends):
            continue
        if not _is_declared(found, place[0], ms(place[1]) or 0):
            yield f"replay: {place} is in no archive and no window"


def _is_declared(found: Found, inst: str, at: int) -> bool:
    """Tell whether a line of this moment may be missing."""
    begun = found.begun(inst)
    if begun is None or at < begun:
        return True
    refused = any(since <= at and (until is None or at < until) for since, until, _ in found.suspended(inst))
    return refused or any(window.holds(at) for window in found.windows(inst))
