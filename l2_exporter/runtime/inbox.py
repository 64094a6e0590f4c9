"""The one queue every input of a session passes: stamped on arrival, taken out in order, bounded in number and size."""

import asyncio
from collections import deque

from l2_exporter.archive.tape import TapeLine

FULL_AT = 50_000
ROOM_AT = 25_000
FULL_AT_BYTES = 128 << 20
"""Of frames and answers; a venue that sends few and huge ones fills the queue by this long before their number does."""
ROOM_AT_BYTES = 64 << 20


class Inbox:
    """A bounded queue for one event loop. Who would overfill it waits before reading on; nothing is dropped."""

    def __init__(self) -> None:
        self._items: deque[TapeLine] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, line: TapeLine) -> None:
        """Add an input. It is taken even if the queue is full: whoever reads asks for room first."""
        self._items.append(line)
        self._bytes += len(line.frame)
        self._filled.set()
        if len(self._items) >= FULL_AT or self._bytes >= FULL_AT_BYTES:
            self._room.clear()

    async def room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    async def take(self, limit: int) -> list[TapeLine]:
        """Wait for inputs and take out up to `limit` of them, oldest first."""
        await self._filled.wait()
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        self._bytes -= sum(len(line.frame) for line in taken)
        if not self._items:
            self._filled.clear()
        if len(self._items) <= ROOM_AT and self._bytes <= ROOM_AT_BYTES:
            self._room.set()
        return taken
