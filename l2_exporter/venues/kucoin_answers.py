"""KuCoin's REST answers: their envelope, numbers as their own texts, sides of books, and tickets for connections."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from l2_exporter.core.errors import VenueError, clip
from l2_exporter.core.events import Row
from l2_exporter.core.fields import is_counter, text_of
from l2_exporter.core.rows import are_rows

DONE = "200000"
DOMAIN = "kucoin.com"
NO_TICKET = "KuCoin gave no ticket for a connection"
_COUNTER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_PRINTED = re.compile(r"[!-~]{1,4096}", re.ASCII)


def answered(body: str, what: str) -> Any:
    """Return the data of an answer, every number as its own text.

    Args:
        what: said before the reason where there are none.

    Raises:
        VenueError: not JSON that a file of ours could hold, or an error answer.
    """
    answer = _loaded(body)
    if answer is None:
        raise VenueError(f"{what}: not JSON: {clip(body)}")
    if not _is_done(answer):
        raise VenueError(f"{what}: {clip(body)}")
    return answer["data"]


def side_of(book: Any, name: str) -> list[Row] | None:
    """Read one side of a book; null has no levels. None: it is not there, or no side."""
    if type(book) is not dict or name not in book:
        return None
    rows = [] if book[name] is None else book[name]
    return [row[:2] for row in rows] if are_rows(rows, 2) else None


def counter_of(value: Any) -> int | None:
    """Read a sequence number, which the venue writes as text or as number; it can be -1."""
    if type(value) is not str or _COUNTER.fullmatch(value) is None:
        return None
    return int(value) if is_counter(int(value)) else None


@dataclass(frozen=True, slots=True, repr=False)
class Ticket:
    """What a connection is opened with.

    Attributes:
        token: whoever has it can connect, for 24 hours; it stands in no text of ours.
        server: where to, as the venue says.
    """

    token: str
    server: str

    @property
    def conn_id(self) -> str:
        """The client's name of the connection: of its choice, and another one for each ticket."""
        return sha256(self.token.encode()).hexdigest()[:16]

    def endpoint(self) -> str:
        """Return where to connect.

        Raises:
            VenueError: it is not the company's, or not encrypted.
        """
        if not _is_ours(self.server):
            raise VenueError(f"{NO_TICKET}: it leads to {clip(self.server.partition('?')[0])}, not to wss://*.{DOMAIN}")
        return self.server


def ticket_of(body: str) -> Ticket:
    """Read a ticket.

    Raises:
        VenueError: an error answer, or no ticket. It does not quote what a ticket may hold.
    """
    answer = _loaded(body)
    if answer is None or not _is_done(answer):
        said = [text_of(answer, name) for name in ("code", "msg")]
        raise VenueError(f"{NO_TICKET}: {'not JSON' if answer is None else clip(said)}")
    token, servers = text_of(answer["data"], "token"), _member(answer["data"], "instanceServers")
    server = text_of(servers[0], "endpoint") if type(servers) is list and servers else None
    if token is None or _PRINTED.fullmatch(token) is None or server is None:
        raise VenueError(f"{NO_TICKET}: its `token` or `instanceServers[].endpoint` is missing or odd")
    return Ticket(token, server)


def _loaded(body: str) -> Any:
    """Read JSON with every number as its own text; None for what is none, or could not be written again."""
    try:
        answer = json.loads(body, parse_float=str, parse_int=str, parse_constant=_no_number)
        json.dumps(answer, ensure_ascii=False).encode()  # refuses half a character
    except (ValueError, RecursionError):
        return None
    return answer


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _is_done(answer: Any) -> bool:
    return text_of(answer, "code") == DONE and _member(answer, "data") is not None


def _member(value: Any, key: str) -> Any:
    return value.get(key) if type(value) is dict else None


def _is_ours(server: str) -> bool:
    """Tell whether an address is the company's, encrypted, and nothing but an address."""
    try:
        parts = urlsplit(server)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    ours = host == DOMAIN or host.endswith("." + DOMAIN)
    plain = _PRINTED.fullmatch(server) is not None and "@" not in parts.netloc and not parts.fragment
    return ours and plain and parts.scheme == "wss" and port != 0
