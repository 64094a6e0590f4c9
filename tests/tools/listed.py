"""What a recorder must know of a simulated exchange before it connects: where, and what the wire calls instruments."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from l2_exporter.core.venue import DATASETS, AsksForTicket, Post, Venue
from l2_exporter.simulator.exchange import Exchange

SOCKET = "wss://simulated.invalid"


def ws_path(exchange: Exchange, venue: Venue, channel: str) -> str:
    """Name the path of the socket that a channel is reached at."""
    own = venue.channels[channel].ws_url
    return exchange.dialect.ws_path if own is None else urlsplit(own).path


def asked_for(exchange: Exchange, path: str | Post) -> str:
    """Return the body of the answer to a request."""
    posted, target = (path.body, path.path) if isinstance(path, Post) else (None, path)
    return exchange.request_received(target, exchange.now_ns, posted).body


def entrance(exchange: Exchange, venue: Venue, channel: str) -> str:
    """Name path and query that a connection is opened with, asking for a ticket where the venue wants one.

    Raises:
        VenueError: it gave none.
    """
    path = ws_path(exchange, venue, channel)
    if not isinstance(venue, AsksForTicket):
        return path
    return venue.address(SOCKET + path, asked_for(exchange, venue.ticket_path())).removeprefix(SOCKET)


def codes_of(exchange: Exchange, venue: Venue, insts: Sequence[str]) -> dict[str, str]:
    """Learn from the exchange's own listing what the wire calls instruments that it does not call by their id.

    Another exchange of the same kind is asked, one that nothing goes wrong in, so that this one's faults stay as drawn.
    """
    twin = Exchange(replace(exchange.settings, faults=""), exchange.now_ns)
    paths = deque(venue.instrument_paths([*DATASETS]))
    asked = {*paths}
    listed = []
    while paths:
        body = asked_for(twin, paths.popleft())
        listed += venue.decode_instruments(body)
        further = [path for path in venue.further_instrument_paths(body) if path not in asked]
        paths.extend(further)
        asked.update(further)
    missing = {*insts} - {one.inst for one in listed}
    assert not missing, f"the exchange lists no {missing}"
    return {one.inst: code for one in listed if (code := venue.code_of(one)) != one.inst and one.inst in insts}
