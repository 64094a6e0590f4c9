"""What the keepers of one feed share: clocks, deadlines, the archive's past, and where their output goes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from l2_exporter.core.checking import ChecksumPolicy
from l2_exporter.core.commands import Command
from l2_exporter.core.history import History
from l2_exporter.core.records import Record
from l2_exporter.core.timers import Timers
from l2_exporter.core.venueclock import VenueClock

Output = Record | Command


@dataclass(slots=True)
class Surroundings:
    """One feed's common ground.

    Attributes:
        new_id: makes the ids of gaps, unique over all runs.
        ask: asks the venue for a fresh book of (channel, instrument): by REST if the flag says so, else by
            subscribing anew.
        pushes_snapshots: whether subscribing brings a snapshot; None until the first book frames have shown it.
        out: records and commands of the input at hand, in order.
    """

    clock: VenueClock
    timers: Timers
    history: History
    checks: ChecksumPolicy
    new_id: Callable[[], str]
    ask: Callable[[str, str, bool], None]
    pushes_snapshots: bool | None = None
    out: list[Output] = field(default_factory=list)
