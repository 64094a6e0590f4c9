"""How often a connection may be used and made anew. Pure; time is an argument."""

import random
from collections.abc import Iterator

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 30.0


class Bucket:
    """A token bucket: so many at once, then at a steady rate."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        self._tokens = float(burst)
        self._at_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Take a token; return how long to wait before using it."""
        if self._at_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else -self._tokens / self._per_s


def reconnect_waits(jitter: random.Random) -> Iterator[float]:
    """Yield the seconds to wait before each attempt after the first: none, then about 5 s, growing to at most 30 s."""
    yield 0.0
    wait_s = FIRST_WAIT_S
    while True:
        yield min(LONGEST_WAIT_S, wait_s * jitter.uniform(0.5, 1.5))
        wait_s = min(LONGEST_WAIT_S, wait_s * 2)
