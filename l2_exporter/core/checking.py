"""Checksums of a venue against our books: what a mismatch means, and when to stop believing the venue's own.

Rules: docs/FORMAT.md, "Checksums". In mid-2026 a venue switched its checksum to a constant 0; clients that took that
for corruption resubscribed without end. Hence: 0 or absent is no mismatch, and a sum that fails again right after a
fresh snapshot while the sequence holds is a changed algorithm, not a broken book.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from l2_exporter.core.book import Book
from l2_exporter.core.events import CHECKSUM, BookPush
from l2_exporter.core.orderbook import OrderBook
from l2_exporter.core.venue import Venue


class Checked(StrEnum):
    """What came of comparing one message's checksum (texts: they are counted for every message)."""

    UNCHECKED = "unchecked"
    OK = "ok"
    MISMATCH = "mismatch"
    CHANGED = "changed"
    """It failed right after the resync that an earlier failure had led to: the venue counts differently now."""

    @property
    def ok(self) -> bool | None:
        """The line's `checksum_ok`."""
        return True if self is OK else False if self is Checked.MISMATCH else None


OK: Final = Checked.OK
UNCHECKED: Final = Checked.UNCHECKED


@dataclass(slots=True)
class ChecksumPolicy:
    """What all books of one venue share.

    Attributes:
        resync_after: mismatches in a row that make a loss where a sequence proves continuity too; 0: never.
        stopped: the algorithm has changed: nothing is checked any more in this run.
        said: canaries already in the ledger, or of channels that never have a checksum, as (channel, reason).
    """

    venue: Venue
    resync_after: int = 3
    stopped: bool = False
    said: set[tuple[str, str]] = field(default_factory=set)

    def canary(self, push: BookPush, book: Book | OrderBook) -> str | None:
        """Name the reason why this message's channel gives no checksum, the first time that is seen."""
        reason = _reason(push)
        if (push.channel, reason) in self.said:
            return None
        channel = self.venue.channels[push.channel]
        if not channel.checksum:
            self.said.add((push.channel, reason))
            return None
        apart = channel.checksum_apart and push.push is not CHECKSUM
        if apart or self.venue.checksum_given(push.checksum) or (push.checksum is not None and book.is_empty()):
            return None
        self.said.add((push.channel, reason))
        return reason

    def has_said(self, push: BookPush) -> bool:
        """Tell whether nothing is ever to be said again of a message like this one that gives no checksum."""
        return (push.channel, _reason(push)) in self.said


def _reason(push: BookPush) -> str:
    return "checksum_absent" if push.checksum is None else "checksum_zero"


@dataclass(slots=True)
class ChecksumWatch:
    """The checks of one book.

    Attributes:
        streak: mismatches in a row.
        on_trial: the last loss was a checksum's while the sequence held: the next check decides whose fault it was.
        calculated: our sum of the last message checked.
        quiet: what an unchecked message had in the place of a checksum, of which all has been said; at first a number
            that none can have.
        outcomes: how many messages ended how.
    """

    policy: ChecksumPolicy
    streak: int = 0
    on_trial: bool = False
    calculated: int | None = None
    quiet: int | None = 1 << 63
    outcomes: Counter[Checked] = field(default_factory=Counter)

    def decides(self, push: BookPush, has_sequence: bool) -> bool:
        """Tell whether a mismatch of this message would be a loss, so that the book before it must be kept."""
        decides = not has_sequence or (not self.on_trial and self.streak + 1 == self.policy.resync_after)
        return decides and self._applies(push)

    def check(self, push: BookPush, book: Book | OrderBook) -> Checked:
        """Compare the checksum a message carries with the one of the book after it."""
        applies = push.checksum != self.quiet and self._applies(push)
        outcome = self._compare(push, book) if applies else UNCHECKED
        self.outcomes[outcome] += 1
        return outcome

    def _compare(self, push: BookPush, book: Book | OrderBook) -> Checked:
        on_trial, self.on_trial = self.on_trial, False
        venue = self.policy.venue
        self.calculated = venue.checksum(*book.summed(venue.channels[push.channel].checksum_depth))
        if self.calculated == push.checksum:
            self.streak = 0
            return OK
        if on_trial:
            self.policy.stopped = True
            return Checked.CHANGED
        self.streak += 1
        return Checked.MISMATCH

    def lost(self, *, on_trial: bool) -> None:
        """Begin anew after a loss; on trial if checksums decided it against a sequence that held."""
        self.streak = 0
        self.on_trial = self.on_trial or on_trial

    def _applies(self, push: BookPush) -> bool:
        if push.checksum is None or self.policy.stopped:
            return False
        return self.policy.venue.checksum_given(push.checksum)
