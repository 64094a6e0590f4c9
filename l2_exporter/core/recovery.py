"""When to try again for a lost book: exponential back-off with jitter, and a budget that ends every storm.

The budget is a lesson of June 2026, when a venue's changed checksum sent several recorders into endless resubscribing.
"""

import random
from dataclasses import dataclass

from l2_exporter.core.timetext import NS_PER_S

FIRST_WAIT_NS = 5 * NS_PER_S
LONGEST_WAIT_NS = 60 * NS_PER_S
BUDGET = 20
SUSPECT_WAIT_NS = 900 * NS_PER_S
CLEARED_AFTER_NS = 600 * NS_PER_S


@dataclass(slots=True)
class Recovery:
    """The attempts of one instrument.

    Attributes:
        attempts: made since the book was last live for ten minutes.
        suspect: the budget is spent: one attempt every 15 minutes.
    """

    jitter: random.Random
    attempts: int = 0
    suspect: bool = False

    def attempt(self) -> int:
        """Count one attempt; return how long to wait for its success before the next, in nanoseconds."""
        if self.attempts >= BUDGET:
            self.suspect = True
            return SUSPECT_WAIT_NS
        wait_ns = min(LONGEST_WAIT_NS, FIRST_WAIT_NS << self.attempts)
        self.attempts += 1
        return wait_ns + self.jitter.randrange(wait_ns // 2)

    def clear(self) -> None:
        """Forget the attempts: the book has been live long enough."""
        self.attempts = 0
        self.suspect = False
