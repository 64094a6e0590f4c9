"""What tests of the loopback server share: an end for tests that hang, and waiting for frames."""

import asyncio
import json
from collections.abc import Coroutine

import requests
from websockets.asyncio.client import ClientConnection

from tests.simulator.naive import BTC, books

LIMIT_S = 20
"""No test takes this long; one that hangs ends here."""

BOOK = f"/api/v5/market/books?instId={BTC}&sz=400"


def run(test: Coroutine[object, object, None]) -> None:
    """Run a test, with an end."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test

    asyncio.run(limited())


async def next_frame(link: ClientConnection) -> dict[str, object]:
    """Wait for the next frame that is an object."""
    frame = json.loads(await link.recv())
    assert isinstance(frame, dict)
    return frame


async def next_book(link: ClientConnection) -> dict[str, object]:
    """Wait for the next book push."""
    while True:
        found = books([await next_frame(link)])
        if found:
            return found[0]


async def until_the_end(link: ClientConnection) -> None:
    """Take frames until the connection ends, which is raised."""
    while True:
        await link.recv()


async def get(url: str, timeout_s: float = LIMIT_S) -> requests.Response:
    """Request a URL in a thread."""
    return await asyncio.to_thread(requests.get, url, timeout=timeout_s)
