"""When the next REST request may go out: a venue's budget, and how long it asked us to wait. No clock, no thread."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import LinkRules

TOO_MANY = 429
BANNED = 418
UNAVAILABLE = 503
FIRST_PAUSE_NS = NS_PER_S
LONGEST_PAUSE_NS = 60 * NS_PER_S
BAN_PAUSE_NS = 120 * NS_PER_S
"""Bans begin at two minutes on the venue that knows the status 418 (Binance, "Limits")."""
LONGEST_ASKED_NS = 3 * 86_400 * NS_PER_S
"""No ban that is documented lasts longer than three days."""


@dataclass(frozen=True, slots=True)
class RestLimits:
    """A venue's REST budget: at most `weight` in any `window_ns`, and how many requests may wait for their turn."""

    weight: int = 20
    window_ns: int = 2 * NS_PER_S
    waiting: int = 512


def limits_of(rules: LinkRules) -> RestLimits:
    """Return the budget that a venue's data give."""
    return RestLimits(rules.rest_requests, round(rules.rest_per_s * NS_PER_S))


def retry_after_ns(text: str | None, wall_ns: int) -> int | None:
    """Read a Retry-After header, seconds or an HTTP date, as the time to wait; None if absent or unreadable.

    Source: RFC 9110, section 10.2.3. A date in the past is no wait; nothing is longer than three days.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return min(int(text[:18]) * NS_PER_S, LONGEST_ASKED_NS)
    try:
        moment = parsedate_to_datetime(text)
        until_ns = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * NS_PER_S
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0, until_ns - wall_ns), LONGEST_ASKED_NS)


class Pace:
    """One venue's turn-taking. Times are elapsed nanoseconds; a request counts from the moment its answer came.

    (The venue has counted it before that, so its window cannot hold more than ours.)
    """

    def __init__(self, limits: RestLimits) -> None:
        self._limits = limits
        self._spent: deque[tuple[int, int]] = deque()
        self._blocked_until_ns = 0
        self._refusals = 0

    def blocked_ns(self, now_ns: int) -> int:
        """Return how long the venue still wants to hear nothing from us, 0 if it does not say so."""
        return max(0, self._blocked_until_ns - now_ns)

    def wait_ns(self, weight: int, now_ns: int) -> int:
        """Return how long a request of this weight has to wait; one above the whole budget waits for all of it."""
        while self._spent and self._spent[0][0] + self._limits.window_ns <= now_ns:
            self._spent.popleft()
        over = sum(each for _, each in self._spent) + min(weight, self._limits.weight) - self._limits.weight
        free_ns = now_ns
        for spent_ns, each in self._spent:
            if over <= 0:
                break
            over -= each
            free_ns = spent_ns + self._limits.window_ns
        return max(free_ns - now_ns, self.blocked_ns(now_ns))

    def answered(self, weight: int, status: int, retry_after: str | None, now_ns: int, wall_ns: int) -> None:
        """Count a request and obey its answer: 418 and 429 stop all, 503 where it names a time. Status 0: none came."""
        self._spent.append((now_ns, weight))
        if status in (BANNED, TOO_MANY):
            self._refusals += 1
        elif status:
            self._refusals = 0
        asked_ns = retry_after_ns(retry_after, wall_ns)
        if status in (BANNED, TOO_MANY):
            asked_ns = self._own_pause_ns(status) if asked_ns is None else asked_ns
        elif status != UNAVAILABLE:
            asked_ns = None
        self._blocked_until_ns = max(self._blocked_until_ns, now_ns + (asked_ns or 0))

    def _own_pause_ns(self, status: int) -> int:
        """Return the pause where the venue names none: two minutes for a ban, else doubled with every refusal."""
        if status == BANNED:
            return BAN_PAUSE_NS
        return min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(self._refusals - 1, 30))
