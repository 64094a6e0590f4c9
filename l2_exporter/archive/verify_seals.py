"""Sealed hours held against the ledger: each manifest is the one it tells of, and says of losses what it says.

A recorder that was killed may have sealed an hour and not said so any more; one at work may be about to say it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from l2_exporter.archive.defects import Defect, Finding, Flaw, Rules, said
from l2_exporter.archive.layout import HourPath, Vault
from l2_exporter.archive.orders import Kind, kind_of
from l2_exporter.archive.read import read_lines
from l2_exporter.archive.verify_ledger import Book, LedgerChecker, Noted
from l2_exporter.archive.verify_line import EpisodeLine
from l2_exporter.archive.verify_manifest_fields import SEALED_BY_RUN, SEALED_LATER, is_about, read_episodes
from l2_exporter.archive.verify_windows import Hour, Story
from l2_exporter.core.errors import ArchiveError, clip
from l2_exporter.core.timetext import HOUR_NS, utc_ns, utc_text

Proofs = Mapping[tuple[str, str], str]
"""What proves the continuity of each (exchange, channel)."""

_TEXT_DIGITS = len("2026-11-21T15:30:45.Z")
_MOST_HOURS = 744
"""After a long sleep, the hours before the last so many have no manifest."""


class SealChecker:
    """Checks the manifests of one venue against its ledger.

    Args:
        proofs: channels that are not in it are not checked.
    """

    def __init__(self, root: Path, ledger: LedgerChecker, rules: Rules, proofs: Proofs) -> None:
        self._vault = Vault(root)
        self._ledger = ledger
        self._rules = rules
        self._proofs = proofs
        self._known_metadata: tuple[str, list[dict[str, Any]] | None] = ("", None)

    def check(
        self, place: HourPath, digest: str, manifest: dict[str, Any], told: Iterable[EpisodeLine]
    ) -> Iterator[Finding]:
        """Yield where a manifest and what else is known disagree.

        Args:
            digest: of its bytes; manifest: what it says, which does not contradict itself.
            told: the lines of its hour.
        """
        book = (place.dataset, place.inst)
        noted = self._ledger.sealed.get(book, {}).get(place.hour)
        yield from self._check_known(place, manifest)
        if noted is None:
            if self._ledger.covers(place.hour) and not self._ledger.ended_badly(book, place.hour):
                yield Flaw.SEAL, "the ledger does not say that the hour was sealed"
        elif noted.manifest_sha256 != digest:
            yield Flaw.SEAL, f"its sha256 is {digest}, {_at(noted)} says {noted.manifest_sha256}"
            return
        else:
            yield from _check_noted(manifest, noted, kind_of(place.dataset))
        yield from self._check_windows(place, manifest, noted, told)

    def _check_known(self, place: HourPath, manifest: dict[str, Any]) -> Iterator[Finding]:
        """Check what follows from the channel, and the metadata against its history."""
        channel = manifest["channel"]
        proof = self._proofs.get((place.venue, channel), manifest["continuity"])
        if proof != manifest["continuity"]:
            yield Flaw.MANIFEST, f"{said('continuity', manifest['continuity'])}, of {channel} it is {proof}"
        known = self._metadata(place)
        if manifest["metadata"] is not None and known is not None:
            without_raw = {name: value for name, value in manifest["metadata"].items() if name != "raw"}
            if without_raw not in known:
                yield Flaw.MANIFEST, f"{said('metadata', manifest['metadata'])}, not in the instrument's history"

    def _metadata(self, place: HourPath) -> list[dict[str, Any]] | None:
        """List every form of an instrument's metadata; None if there is no history that could be read."""
        if self._known_metadata[0] != place.inst:
            self._known_metadata = (place.inst, _history(self._vault.history_file(place.venue, place.inst)))
        return self._known_metadata[1]

    def _check_windows(
        self, place: HourPath, manifest: dict[str, Any], noted: Noted | None, told: Iterable[EpisodeLine]
    ) -> Iterator[Finding]:
        """Hold episodes and losses against the ledger, and the lines against the episodes."""
        if not self._is_whole(place):
            return
        story = self._ledger.stories.get((place.dataset, place.inst)) or Story()
        rules = self._rules.get((place.venue, manifest["channel"]))
        decimals = rules.decimals if rules else _decimals(manifest)
        known = (len(story), None, None) if noted is None else (noted.known, noted.at_ns, noted.run)
        likeliest: str | None = None
        for hour in story.versions(place.hour, *known):
            difference = _difference(manifest, hour, decimals)
            if difference is None:
                break
            likeliest = likeliest or difference
        else:
            yield Flaw.WINDOWS, str(likeliest)
            return
        if story.is_dated and story.is_simple:
            yield from _check_lines(manifest, told)

    def _is_whole(self, place: HourPath) -> bool:
        """Tell whether the ledger tells all of a book: none of its days has been deleted."""
        chain = self._ledger.chains.get((place.dataset, place.inst))
        return self._ledger.is_whole and chain is not None and chain.begins_with_first_life is True

    def check_missing(self, book: Book, hours: Mapping[int, str], paths: Mapping[int, Path]) -> Iterator[Defect]:
        """Yield manifests that the ledger tells of and that are not there, or are others.

        Args:
            hours: the digest of each manifest that is there or lies in a tombstone.
            paths: where those hours were asked for that the ledger tells of.
        """
        for hour, noted in sorted(self._ledger.sealed.get(book, {}).items()):
            path = paths.get(hour)
            if path is None or path.exists():
                continue
            digest = hours.get(hour)
            if digest is None:
                yield Defect(path, 0, Flaw.MISSING, f"{_at(noted)} says that it was sealed, no tombstone")
            elif digest != noted.manifest_sha256:
                detail = f"its tombstone holds another than {_at(noted)} says: {digest}, not {noted.manifest_sha256}"
                yield Defect(path, 0, Flaw.SEAL, detail)

    def holes(self, book: Book, hours: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Yield the hours behind which others are missing that nothing accounts for, and what to say of them.

        Args:
            hours: that have a manifest or a tombstone, ascending.
        """
        before: int | None = None
        story = self._ledger.stories.get(book) or Story()
        for hour in hours:
            if before is not None and hour > before + 1 and self._ledger.covers(before):
                missing = (before + 1) * HOUR_NS, hour * HOUR_NS
                if hour - before <= _MOST_HOURS and not story.was_off(*missing) and self._lived(story, missing[0]):
                    first, last = (utc_text(ns, 1)[:13] for ns in (missing[0], missing[1] - HOUR_NS))
                    yield hour, f"no hour from {first} to {last} has a manifest, and the recorder was running"
            before = hour

    def _lived(self, story: Story, start_ns: int) -> bool:
        """Tell whether a recorder would have to say that it was off: it had lines of the book before."""
        return story.was_born_before(start_ns) and self._ledger.is_whole and story.is_simple

    def should_be_sealed(self, book: Book, hour: int, newest: int | None) -> bool:
        """Tell whether an hour with lines must have a manifest: a recorder has sealed a later one."""
        story = self._ledger.stories.get(book)
        return newest is not None and hour < newest and story is not None and story.is_simple


def _check_noted(manifest: dict[str, Any], noted: Noted, kind: Kind | None) -> Iterator[Finding]:
    """Hold a manifest against the line that tells of it, and against the settings of the run that wrote both."""
    for name, value in (("lines", noted.lines), ("sha256", noted.sha256)):
        if manifest[name] != value:
            yield Flaw.SEAL, f"{said(name, manifest[name])}, {_at(noted)} says {clip(value)}"
    sealed = SEALED_BY_RUN if noted.reason is None else SEALED_LATER
    if manifest["sealed"] != sealed:
        yield Flaw.SEAL, f"{said('sealed', manifest['sealed'])}, {_at(noted)} says {sealed}"
    settings = noted.run.settings
    if sealed == SEALED_LATER or not settings:
        return
    names = ["origin", *(["cadence_ms"] if kind is Kind.LEVELS else [])]
    for name in names:
        if name in settings and manifest[name] != settings[name]:
            yield Flaw.SEAL, f"{said(name, manifest[name])}, of the run that sealed it {clip(settings[name])}"


def _check_lines(manifest: dict[str, Any], told: Iterable[EpisodeLine]) -> Iterator[Finding]:
    """Every line lies in an episode; that of a loss at its end."""
    episodes = read_episodes(manifest)
    restarts = any(loss["reason"] == "restart" for loss in manifest["losses"])
    lost = {utc_ns(loss["from"]) for loss in manifest["losses"]}  # an episode may end at the moment it began
    place = 0
    for line in told:
        event_ns = line.times.event_ns
        while place < len(episodes) and episodes[place][1] < event_ns:
            place += 1
        if event_ns in lost or (place < len(episodes) and episodes[place][0] <= event_ns):
            continue
        if not restarts:  # it begins with the newest line of one of a book's datasets; others may have newer ones
            yield Flaw.WINDOWS, f"line {line.number}, {line.timestamp_utc}, lies in none of its episodes"
        return


def _difference(manifest: dict[str, Any], hour: Hour, decimals: int) -> str | None:
    """Tell the first difference between a manifest and what the ledger makes of its hour."""

    def text(ns: int | None) -> str | None:
        return None if ns is None else utc_text(ns, decimals)

    losses = [
        {"id": loss.id, "reason": loss.reason, "from": text(loss.from_ns), "until": text(loss.until_ns)}
        for loss in hour.losses
    ]
    if manifest["losses"] != losses:
        return f"{said('losses', manifest['losses'])}, of the ledger {clip(losses)}"
    episodes = [{"from": text(begin_ns), "until": text(end_ns)} for begin_ns, end_ns in hour.episodes]
    if manifest["episodes"] != episodes:
        return f"{said('episodes', manifest['episodes'])}, of the ledger {clip(episodes)}"
    if not is_about(manifest["not_live_s"], hour.dead_ns, len(losses)):
        return f"{said('not_live_s', manifest['not_live_s'])}, of the ledger {hour.dead_ns / 1e9}"
    return None


def _decimals(manifest: dict[str, Any]) -> int:
    """Learn from a manifest's own times how many decimals they have."""
    texts = [entry["from"] for entry in (*manifest["episodes"], *manifest["losses"])]
    return len(texts[0]) - _TEXT_DIGITS if texts else 3


def _history(path: Path) -> list[dict[str, Any]] | None:
    """Read every form of an instrument's metadata, but for the time and what the venue's own fields said."""
    try:
        entries = [orjson.loads(raw) for raw in read_lines(path)]
    except (OSError, ArchiveError, json.JSONDecodeError):
        return None
    return [{name: entry[name] for name in entry if name not in ("valid_from", "raw")} for entry in entries]


def _at(noted: Noted) -> str:
    return f"{noted.path.name}:{noted.line}"
