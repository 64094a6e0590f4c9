"""How a connection is let in: the address a venue names for it, and what proves who sends a request.

Neither an address with a ticket nor a signature is taped or logged.
"""

import asyncio
from collections.abc import Awaitable, Callable

from l2_exporter.core.errors import TransportError, clip
from l2_exporter.core.keys import Keys
from l2_exporter.core.venue import AsksForTicket, Signs, Venue
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.rest import RestClient, RestReply

HTTP_OK = 200


def ticket_asker(venue: Venue, ws_url: str, rest: RestClient) -> Callable[[], Awaitable[str]] | None:
    """Return what asks a venue where to connect; None for one that is always at the same place."""
    if not isinstance(venue, AsksForTicket):
        return None
    asks = venue

    async def address() -> str:
        """Ask.

        Raises:
            TransportError: no answer came.
            VenueError: it is no ticket.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[RestReply] = loop.create_future()

        def settle(reply: RestReply) -> None:
            if not answered.done():
                answered.set_result(reply)

        def on_reply(reply: RestReply) -> None:
            loop.call_soon_threadsafe(settle, reply)

        rest.submit("ticket", asks.ticket_path(), on_reply)
        reply = await answered
        if reply.status != HTTP_OK:
            raise TransportError(f"no ticket for a connection: {reply.status} {clip(reply.body)}")
        return asks.address(ws_url, reply.body)

    return address


def signer(venue: Venue, keys: Keys | None, clock: Clock) -> Callable[[str], str] | None:
    """Return what adds to a text what proves who sends it; None where nobody has to."""
    if keys is None or not isinstance(venue, Signs):
        return None
    signs, held = venue, keys
    return lambda text: signs.signed(text, held, clock.wall_ns())
