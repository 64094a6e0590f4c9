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
        # A bare future: an event takes 2 us longer, for every frame that finds nothing waiting.
        self._waiting: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, line: TapeLine) -> None:
        """Add an input. It is taken even if the queue is full: whoever reads asks for room first."""
        self._items.append(line)
        self._bytes += len(line.frame)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        if len(self._items) >= FULL_AT or self._bytes >= FULL_AT_BYTES:
            self._room.clear()

    @property
    def has_room(self) -> bool:
        """Whether who reads may read on."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    async def take(self, limit: int) -> list[TapeLine]:
        """Wait for inputs and take out up to `limit` of them, oldest first; there is one who takes."""
        items = self._items
        if not items:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        taken: list[TapeLine] = []
        while items and len(taken) < limit:
            line = items.popleft()
            self._bytes -= len(line.frame)
            taken.append(line)
        if len(items) <= ROOM_AT and self._bytes <= ROOM_AT_BYTES:
            self._room.set()
        return taken
