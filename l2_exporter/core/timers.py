"""Deadlines inside the core: they run at their own time, in order, from inputs alone, live and in a replay alike."""

import heapq
from collections.abc import Callable, Iterator

Action = Callable[..., None]
NEVER_NS = 1 << 63


class Timers:
    """A queue of deadlines in elapsed nanoseconds. Equal times run in the order they were set.

    Attributes:
        next_ns: the earliest deadline; far in the future without one.
    """

    __slots__ = ("_count", "_heap", "next_ns")

    def __init__(self) -> None:
        self.next_ns = NEVER_NS
        self._heap: list[tuple[int, int, Action]] = []
        self._count = 0

    def set(self, due_ns: int, action: Action) -> None:
        """Call for `action` at this time. There is no taking back: an action looks whether it is still wanted."""
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, action))
        self.next_ns = self._heap[0][0]

    def next_due_ns(self) -> int | None:
        """Return the earliest deadline."""
        return self._heap[0][0] if self._heap else None

    def due(self, elapsed_ns: int) -> Iterator[tuple[int, Action]]:
        """Take out, one after the other, what is due at this time, including what falls due meanwhile."""
        while self._heap and self._heap[0][0] <= elapsed_ns:
            due_ns, _, action = heapq.heappop(self._heap)
            self.next_ns = self._heap[0][0] if self._heap else NEVER_NS
            yield due_ns, action
