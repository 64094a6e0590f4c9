"""The one queue every input of a session passes: stamped on arrival, taken out in order, bounded."""

import asyncio
from collections import deque

from l2_exporter.archive.tape import TapeLine

FULL_AT = 50_000
ROOM_AT = 25_000


class Inbox:
    """A bounded queue for one event loop. Who would overfill it waits before reading on; nothing is dropped."""

    def __init__(self) -> None:
        self._items: deque[TapeLine] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, line: TapeLine) -> None:
        """Add an input. It is taken even if the queue is full: whoever reads asks for room first."""
        self._items.append(line)
        self._filled.set()
        if len(self._items) >= FULL_AT:
            self._room.clear()

    async def room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    async def take(self, limit: int) -> list[TapeLine]:
        """Wait for inputs and take out up to `limit` of them, oldest first."""
        await self._filled.wait()
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        if not self._items:
            self._filled.clear()
        if len(self._items) <= ROOM_AT:
            self._room.set()
        return taken
