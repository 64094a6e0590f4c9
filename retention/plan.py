"""What is to be done, and why: limits held against what is there. Pure: no file, no clock.

An hour is over when a line of a later hour exists or its end + 120 s has passed. Age counts from the end of the hour
as the path says it, so neither a copy nor a touch changes it. A clock that stands before an hour's end makes it young.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from retention.inventory import Group, Item, Leftover, What
from retention.policy import HOUR_NS, NS_PER_S, Limits, Policy, duration_text

HOUR_GRACE_NS = 120 * NS_PER_S
"""DESIGN 10: the venue's clock must have passed an hour's end by so much."""

QUIET_NS = HOUR_NS
"""A tape or a temporary file is left alone until its hour has been over for longer than this."""


class Kind(StrEnum):
    """What can be done to an item."""

    SWEEP = "sweep"
    FINISH = "finish"
    DELETE = "delete"
    COMPRESS = "compress"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Action:
    """One step of the plan. LEAVE does nothing: its reason is what the user must know.

    Attributes:
        subject: what it is about.
        reason: why now.
        size: bytes it works on.
    """

    kind: Kind
    subject: Item | Leftover
    reason: str
    size: int


def plan(group: Group, policy: Policy, now_ns: int) -> Iterator[Action]:
    """Yield what is to be done in a group: first what makes room, then what needs it; older before newer."""
    actions = [action for leftover in group.leftovers if (action := _swept(leftover, now_ns))]
    newest_ns = _newest_end_ns(group)
    for item in group.items:
        action = _aged(item, policy, now_ns, superseded=item.end_ns < newest_ns)
        if action is not None:
            actions.append(action)
    order = list(Kind)
    yield from sorted(actions, key=lambda action: order.index(action.kind))


def _newest_end_ns(group: Group) -> int:
    """Return the end of the newest item that holds a line; before all time where there is none."""
    return max((item.end_ns for item in group.items if any(one.size for one in item.files)), default=0)


def _swept(leftover: Leftover, now_ns: int) -> Action | None:
    if leftover.alive or now_ns - leftover.end_ns <= QUIET_NS:
        return None
    return Action(Kind.SWEEP, leftover, "left behind by a process that is gone", leftover.file.size)


def _aged(item: Item, policy: Policy, now_ns: int, *, superseded: bool) -> Action | None:
    """Hold one item against its limits; None: nothing is due."""
    age_ns = now_ns - item.end_ns
    if not _is_over(item, age_ns, superseded=superseded):
        return None
    if len(item.packed) > 1:
        return Action(Kind.LEAVE, item, "the hour stands in two compressed files; keep one of them", item.size)
    limits = _limits(item, policy)
    if _due(age_ns, limits.delete_after_ns):
        return Action(Kind.DELETE, item, _reason(item, age_ns, limits.delete_after_ns), item.size)
    if item.plain is None:
        return None
    if item.packed:
        return Action(Kind.FINISH, item, "stands plain and compressed", item.plain.size)
    if _due(age_ns, limits.compress_after_ns):
        return Action(Kind.COMPRESS, item, _reason(item, age_ns, limits.compress_after_ns), item.plain.size)
    return None


def _is_over(item: Item, age_ns: int, *, superseded: bool) -> bool:
    """Tell whether nothing more can come."""
    if item.what is What.HOUR:
        return age_ns >= HOUR_GRACE_NS or (superseded and age_ns >= 0)
    if item.what is What.TAPE:
        return age_ns > QUIET_NS
    return superseded and age_ns > QUIET_NS  # the newest ledger tells the next start what is open


def _limits(item: Item, policy: Policy) -> Limits:
    if item.what is What.HOUR:
        return policy.of_dataset(item.dataset)
    return policy.tapes if item.what is What.TAPE else Limits(None, policy.ledger_after_ns)


def _due(age_ns: int, after_ns: int | None) -> bool:
    return after_ns is not None and age_ns >= after_ns


def _reason(item: Item, age_ns: int, after_ns: int | None) -> str:
    minutes = age_ns // (60 * NS_PER_S)
    days, hours = divmod(minutes // 60, 24)
    age = f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
    return f"{item.what} ended {age} ago, limit {duration_text(after_ns)}"
