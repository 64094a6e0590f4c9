"""What the keepers of one feed share: clocks, deadlines, the archive's past, and where their output goes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from l2_exporter.core.checking import ChecksumPolicy
from l2_exporter.core.commands import Command
from l2_exporter.core.history import History
from l2_exporter.core.inputs import UNKNOWN, Stamp
from l2_exporter.core.records import Ended, Record
from l2_exporter.core.timers import Timers
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venueclock import VenueClock

Output = Record | Ended | Command
FURTHEST_BACK_NS = 1800 * NS_PER_S
LEAP_NS = 60 * NS_PER_S


@dataclass(slots=True)
class Surroundings:
    """One feed's common ground.

    Attributes:
        new_id: makes the ids of gaps, unique over all runs.
        ask: asks the venue for a fresh book of (channel, instrument): by REST if the flag says so, else by
            subscribing anew.
        stamp: the arrival of the input at hand.
        venue_ns: the venue's time before the input was looked at, or at the deadline that runs; 0: unknown.
        most_orders: of a book of orders that are held.
        pushes_snapshots: whether subscribing brings a snapshot; None until the first book frames have shown it.
        out: records and commands of the input at hand, in order.
    """

    clock: VenueClock
    timers: Timers
    history: History
    checks: ChecksumPolicy
    new_id: Callable[[], str]
    ask: Callable[[str, str, bool], None]
    stamp: Stamp = UNKNOWN
    venue_ns: int = 0
    most_orders: int = 1_000_000
    pushes_snapshots: bool | None = None
    out: list[Output] = field(default_factory=list)

    def run_deadlines(self, stamp: Stamp) -> None:
        """Run what is due when an input arrives, each at its own time, but never far back.

        After a jump of the clock what repeats would else be run for every period that was missed.
        """
        before_ns, elapsed_ns, self.stamp = self.stamp.elapsed_ns, stamp.elapsed_ns, stamp
        if elapsed_ns is not None:
            if before_ns is not None and elapsed_ns - before_ns > LEAP_NS:
                self.clock.leapt()
            if elapsed_ns >= self.timers.next_ns:
                earliest_ns = elapsed_ns - FURTHEST_BACK_NS
                for due_ns, action in self.timers.due(elapsed_ns):
                    self.venue_ns = self.clock.now_ns(due_ns)
                    action(stamp.at(max(due_ns, earliest_ns)))
        self.venue_ns = self.clock.now_ns(elapsed_ns)
