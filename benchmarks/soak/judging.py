"""What a soak has left behind, held together: messages counted, losses declared, faults put in.

A fault that swallowed an update must lie in a declared loss of its book; a declared loss must have a fault that can
have been its cause. Both are compared by the clock of this one machine: the exchanges run on it, and the ledger's `at`,
`since_received` and `until_received` are of it too.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.soak.sampling import statuses
from l2_exporter.core.venue import Continuity, Scope
from l2_exporter.venues.registry import VENUES

Json = Mapping[str, Any]
OUTCOMES = ("applied", "duplicate", "before_seed", "rejected", "ignored")
SWALLOWING = ("drop", "corrupt", "close_mid_frame", "oversize")
SWALLOWED = "lost"
"""Stands in the truth with each frame that a dead connection took with it."""
OF_LINKS = ("close", "close_mid_frame", "notice", "maintenance", "half_open", "oversize", "stall", "quiet", "garbage")
AROUND = timedelta(seconds=2)
"""Between a frame being made and its arrival on a busy machine."""
LINK_AROUND = timedelta(seconds=150)
"""From a connection dying to its being given up, opened again, and every book of it being back."""
DEAD_FOR = timedelta(seconds=60)
"""For so long at most the exchange writes to a dead connection that the recorder has left."""
UNNOTICED = timedelta(seconds=5)
"""At the end of a run: a lost update shows by the next one, which may not have come any more."""
HANDING_OVER = timedelta(seconds=15)
"""From the announcement of a close: the book comes on two connections, and what one lacks the other has."""


@dataclass(slots=True)
class Loss:
    """A declared loss of one book, in receive times; `until` is None if it never ended."""

    venue: str
    inst: str
    reason: str
    since: datetime
    at: datetime
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Tell whether something that happened then is in it."""
        return self.since - AROUND <= moment and (self.until is None or moment <= self.until + AROUND)


@dataclass(slots=True)
class Judgement:
    """What was found.

    Attributes:
        unbalanced: books whose messages are not the sum of their outcomes.
        undeclared: faults that swallowed an update of a live book which no loss holds.
        uncaused: losses without a fault that can be their cause.
        unended: losses that were not over when the run was.
    """

    books: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Counter[str]] = field(default_factory=dict)
    losses: dict[str, Counter[str]] = field(default_factory=dict)
    sealed: int = 0
    unbalanced: list[str] = field(default_factory=list)
    undeclared: list[Json] = field(default_factory=list)
    uncaused: list[Loss] = field(default_factory=list)
    unended: list[Loss] = field(default_factory=list)


def judged(vault: Path, folder: Path, ahead_s: float) -> Judgement:
    """Judge a vault, and what the exchanges, whose clocks were so far ahead, wrote into their folder."""
    found = Judgement()
    count_messages(found, vault, json.loads((folder / "sent.json").read_bytes()))
    faults = [json.loads(line) for line in (folder / "faults.jsonl").read_text().splitlines()]
    for fault in faults:
        fault["moment"] = moment(fault["at"]) - timedelta(seconds=ahead_s)
        name = "swallowed" if fault["detail"] == SWALLOWED else fault["fault"]
        found.faults.setdefault(fault["venue"], Counter())[name] += 1
    losses, first_live, stopped = declared(vault)
    for loss in losses:
        found.losses.setdefault(loss.venue, Counter())[loss.reason] += 1
    found.unended = [loss for loss in losses if loss.until is None]
    noticeable = [fault for fault in faults if fault["moment"] < stopped[fault["venue"]] - UNNOTICED]
    found.undeclared = [*undeclared(noticeable, losses, first_live)]
    found.uncaused = [*uncaused(faults, losses)]
    return found


def count_messages(found: Judgement, vault: Path, sent: Mapping[str, Mapping[str, int]]) -> None:
    """Add up what the last status says of each book, and hold each sum against its parts; so for sealed hours."""
    for venue, state in statuses(vault).items():
        found.sent[venue] = sum(sent[venue].values())
        for book in state["instruments"]:
            parts = {word: book["outcomes"][word] for word in OUTCOMES}
            found.books[venue] += 1
            found.received[venue] += book["messages"]
            found.lines[venue] += book["lines"]
            found.outcomes.update(parts)
            if book["messages"] != sum(parts.values()):
                found.unbalanced.append(f"{venue} {book['id']}: {book['messages']} received, {parts}")
    for path in sorted(vault.glob("raw/**/*.manifest.json")):
        messages = json.loads(path.read_bytes())["messages"]
        if messages is not None:
            found.sealed += 1
            if messages["received"] != sum(messages[word] for word in OUTCOMES):
                found.unbalanced.append(f"{path.relative_to(vault)}: {messages}")


def declared(vault: Path) -> tuple[list[Loss], dict[tuple[str, str], datetime], dict[str, datetime]]:
    """Read the losses of all ledgers, when each book was live first, and when each venue was stopped."""
    losses: dict[str, Loss] = {}
    first_live: dict[tuple[str, str], datetime] = {}
    stopped: dict[str, datetime] = {}
    for path in sorted(vault.glob("meta/*/events/*.jsonl")):
        for line in path.read_bytes().splitlines():
            event = json.loads(line)
            key = (event["venue"], event["instId"])
            if event["kind"] == "gap" and event["reason"] != "restart":
                since = moment(event["since_received"] or event["at"])
                losses[event["id"]] = Loss(*key, event["reason"], since, moment(event["at"]))
            elif event["kind"] == "live":
                until = moment(event["until_received"] or event["at"])
                first_live.setdefault(key, until)
                if event["id"] in losses:
                    losses[event["id"]].until = until
            elif event["kind"] == "stopped":
                stopped[event["venue"]] = moment(event["at"])
    return [*losses.values()], first_live, stopped


def undeclared(
    faults: Iterable[Json], losses: Iterable[Loss], first_live: Mapping[tuple[str, str], datetime]
) -> Iterator[Json]:
    """Yield the faults that swallowed an update of a live book, and that no loss of it holds."""
    of_books: dict[tuple[str, str], list[Loss]] = defaultdict(list)
    for loss in losses:
        of_books[loss.venue, loss.inst].append(loss)
    faults = [*faults]
    notices = [(fault["venue"], fault["moment"]) for fault in faults if fault["fault"] == "notice"]
    half_open = [each for each in faults if each["fault"] == "half_open" and each["detail"] != SWALLOWED]
    deaths = [((each["venue"], each["conn"]), each["moment"]) for each in half_open]
    for fault in faults:
        key, at = (fault["venue"], fault["inst"]), fault["moment"]
        channel = next(iter(VENUES[fault["venue"]].channels.values()))
        if channel.whole or channel.continuity is Continuity.NONE or key not in first_live or at < first_live[key]:
            continue  # nothing can show that it is missing, or it was not followed yet
        if fault["fault"] not in SWALLOWING or fault["seq_from"] == fault["seq_to"]:
            continue
        if any(venue == key[0] and told <= at <= told + HANDING_OVER for venue, told in notices):
            continue
        conn = (fault["venue"], fault["conn"])
        if any(dead == conn and died <= at <= died + DEAD_FOR for dead, died in deaths):
            continue
        if not any(loss.holds(at) for loss in of_books[key]):
            yield fault


def uncaused(faults: Iterable[Json], losses: Iterable[Loss]) -> Iterator[Loss]:
    """Yield the losses for which no fault of their book or connection can be the cause."""
    of_venues: dict[str, list[Json]] = defaultdict(list)
    for fault in faults:
        of_venues[fault["venue"]].append(fault)
    for loss in losses:
        channel = next(iter(VENUES[loss.venue].channels.values()))
        # Where nothing proves that a book misses nothing, a frame that cannot be read may have been of any of them.
        shared = {*SWALLOWING, "reorder", "drop_snapshot"} if channel.scope is Scope.LINK else set()
        shared |= {"corrupt"} if channel.continuity is not Continuity.SEQUENCE else set()
        if not any(_can_cause(fault, loss, shared) for fault in of_venues[loss.venue]):
            yield loss


def _can_cause(fault: Json, loss: Loss, shared: Collection[str]) -> bool:
    at = fault["moment"]
    own = fault["fault"] in shared or fault["inst"] in (None, loss.inst)
    if own and loss.since - AROUND <= at <= loss.at + AROUND:
        return True
    return fault["fault"] in OF_LINKS and loss.since - LINK_AROUND <= at <= loss.at + AROUND


def moment(text: str) -> datetime:
    """Read a time of the ledger or of the truth."""
    return datetime.fromisoformat(text)
