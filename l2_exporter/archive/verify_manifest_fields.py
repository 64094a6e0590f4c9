"""What a manifest says held against itself: closed lists, shapes, sums, and times that lie in its hour."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from l2_exporter.archive.defects import Flaw, FlawError, said
from l2_exporter.archive.layout import HourPath
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.schema import LINE_FLAGS, LOSS_REASONS, METADATA_FIELDS, words
from l2_exporter.archive.stored import check_fields, time_ns
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS, NS_PER_S

FORMAT = 1
SEALED_BY_RUN, SEALED_LATER = "run", "later"

_WORDS = {
    "origin": ("live", "override", "replay"),
    "continuity": ("sequence", "checksum", "none"),
    "sealed": (SEALED_BY_RUN, SEALED_LATER),
}
_OUTCOMES = ("ok", "mismatch", "unchecked")
_MESSAGES = ("received", "applied", "duplicate", "before_seed", "rejected", "ignored")
_FLAGS = frozenset(words(LINE_FLAGS))
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_EMPTY = hashlib.sha256().hexdigest()


def check_by_itself(manifest: Mapping[str, Any], place: HourPath) -> None:
    """Refuse a manifest that contradicts itself; its fields and their types are right.

    Raises:
        FlawError: naming the first field that cannot be.
    """
    _check_words(manifest)
    _check_numbers(manifest, kind_of(place.dataset))
    _check_content(manifest, place.hour)
    _check_times(manifest, place.hour)
    metadata = manifest["metadata"]
    if metadata is not None:
        try:
            check_fields(metadata, METADATA_FIELDS)
        except FlawError as flaw:
            raise FlawError(Flaw.MANIFEST, f"metadata: {flaw}") from flaw
        if (metadata["venue"], metadata["inst"]) != (place.venue, place.inst):
            _refuse("metadata", metadata, "of another instrument")


def read_episodes(manifest: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Read when the book was live, each from and until in nanoseconds.

    Raises:
        FlawError: an entry is none.
    """
    found = []
    for entry in manifest["episodes"]:
        if type(entry) is not dict or [*entry] != ["from", "until"]:
            _refuse("episodes", entry, "no {from, until}")
        found.append((_time("episodes", entry["from"]), _time("episodes", entry["until"])))
    return found


def _refuse(name: str, value: object, why: str) -> None:
    raise FlawError(Flaw.MANIFEST, f"{said(name, value)}, {why}")


def _check_words(manifest: Mapping[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        _refuse("format", manifest["format"], f"{FORMAT} is known")
    for name, known in _WORDS.items():
        if manifest[name] not in known:
            _refuse(name, manifest[name], f"none of {', '.join(known)}")
    for name in ("channel", "tool"):
        if not manifest[name].strip():
            _refuse(name, manifest[name], "empty")
    for name in ("sha256", "previous"):
        if manifest[name] is not None and _DIGEST.fullmatch(manifest[name]) is None:
            _refuse(name, manifest[name], "no digest")


def _check_numbers(manifest: Mapping[str, Any], kind: Kind | None) -> None:
    """Check counts, and which of them must be known together."""
    for name in ("lines", "bytes", "depth"):
        if manifest[name] < 0:
            _refuse(name, manifest[name], "negative")
    cadence_ms = manifest["cadence_ms"]
    by_run = manifest["sealed"] == SEALED_BY_RUN
    if cadence_ms is not None and (cadence_ms < 0 or (by_run and (cadence_ms == 0) is not (kind is Kind.EVENTS))):
        _refuse("cadence_ms", cadence_ms, "0 is for order events, and for them only")
    for name, names in (("checksum", _OUTCOMES), ("messages", _MESSAGES)):
        if manifest[name] is not None:
            _check_counts(name, manifest[name], names)
    messages = manifest["messages"]
    if messages is not None and messages["received"] != sum(messages[name] for name in _MESSAGES[1:]):
        _refuse("messages", messages, "received is not the sum of the others")
    if (messages is None) is not (manifest["checksum"] is None):
        _refuse("messages", messages, "checksum and messages are known together, or neither")
    if messages is not None and not by_run:
        _refuse("messages", messages, "sealed later, when nobody could know")
    flags = manifest["flags"]
    _check_counts("flags", flags, sorted(flags))
    if not _FLAGS.issuperset(flags) or 0 in flags.values():
        _refuse("flags", flags, "an unknown word, or one that no line has")
    if any(count > manifest["lines"] for count in flags.values()):
        _refuse("flags", flags, f"of {manifest['lines']} lines")


def _check_counts(name: str, counts: Mapping[str, Any], names: Iterable[str]) -> None:
    if sorted(counts) != sorted(names):
        _refuse(name, counts, f"not the counts of {', '.join(names)}")
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        _refuse(name, counts, "not all counts")


def _check_content(manifest: Mapping[str, Any], hour: int) -> None:
    """Check what is said of the file: an empty one has nothing, any other begins and ends in the hour."""
    names = ("first_utc", "last_utc", "seq_first", "seq_last")
    if manifest["lines"] == 0:
        for name in names:
            if manifest[name] is not None:
                _refuse(name, manifest[name], "of no lines")
        if (manifest["bytes"], manifest["sha256"]) != (0, _EMPTY):
            _refuse("bytes", manifest["bytes"], f"of no lines, {said('sha256', manifest['sha256'])}")
        return
    times = [_time(name, manifest[name]) for name in names[:2]]
    if not hour * HOUR_NS <= times[0] <= times[1] < (hour + 1) * HOUR_NS:
        _refuse("first_utc", manifest["first_utc"], f"{said('last_utc', manifest['last_utc'])}, not within the hour")
    if manifest["bytes"] < manifest["lines"]:
        _refuse("bytes", manifest["bytes"], f"of {manifest['lines']} lines")


def _check_times(manifest: Mapping[str, Any], hour: int) -> None:
    """Check episodes, losses and the seconds not live."""
    start_ns, end_ns = hour * HOUR_NS, (hour + 1) * HOUR_NS
    episodes = read_episodes(manifest)
    for begin_ns, until_ns in episodes:
        if not start_ns <= begin_ns < until_ns <= end_ns:
            _refuse("episodes", manifest["episodes"], "one is empty, or not within the hour")
    if any(before[1] > after[0] for before, after in pairwise(episodes)):
        _refuse("episodes", manifest["episodes"], "they overlap, or do not ascend")
    begins = []
    for loss in manifest["losses"]:
        if type(loss) is not dict or [*loss] != ["id", "reason", "from", "until"]:
            _refuse("losses", loss, "no {id, reason, from, until}")
        begin_ns = _time("losses", loss["from"])
        until_ns = end_ns if loss["until"] is None else _time("losses", loss["until"])
        if type(loss["id"]) is not str or loss["reason"] not in LOSS_REASONS:
            _refuse("losses", loss, "no such id or reason")
        if not begin_ns < end_ns or until_ns < max(begin_ns, start_ns):
            _refuse("losses", loss, "not in this hour")
        begins.append(begin_ns)
    if begins != sorted(begins):
        _refuse("losses", manifest["losses"], "they do not ascend")
    dead_ns = HOUR_NS - sum(until_ns - begin_ns for begin_ns, until_ns in episodes)
    if not is_about(manifest["not_live_s"], dead_ns, len(episodes)):
        _refuse("not_live_s", manifest["not_live_s"], f"its episodes leave {dead_ns / NS_PER_S}")


def is_about(seconds: float, ns: int, cuts: int) -> bool:
    """Tell whether seconds are what nanoseconds say, where each of some times may have been cut to milliseconds."""
    return abs(seconds * NS_PER_S - ns) <= (cuts + 1) * NS_PER_MS


def _time(name: str, text: object) -> int:
    try:
        return time_ns(name, str(text))
    except FlawError as flaw:
        raise FlawError(Flaw.MANIFEST, str(flaw)) from flaw
