"""Deadlines inside the core: they run at their own time, in order, from inputs alone, live and in a replay alike."""

import heapq
from collections.abc import Callable, Iterator

Action = Callable[..., None]


class Timers:
    """A queue of deadlines in elapsed nanoseconds. Equal times run in the order they were set."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._count = 0

    def set(self, due_ns: int, action: Action) -> None:
        """Call for `action` at this time. There is no taking back: an action looks whether it is still wanted."""
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, action))

    def next_due_ns(self) -> int | None:
        """Return the earliest deadline."""
        return self._heap[0][0] if self._heap else None

    def is_due(self, elapsed_ns: int) -> bool:
        """Tell whether anything is due at this time."""
        return bool(self._heap) and self._heap[0][0] <= elapsed_ns

    def due(self, elapsed_ns: int) -> Iterator[tuple[int, Action]]:
        """Take out, one after the other, what is due at this time, including what falls due meanwhile."""
        while self._heap and self._heap[0][0] <= elapsed_ns:
            due_ns, _, action = heapq.heappop(self._heap)
            yield due_ns, action
