"""What the core asks of the shell. A replay ignores all of them: what they led to stands on the tape."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send this text on this connection."""

    conn: str
    text: str


@dataclass(frozen=True, slots=True)
class FetchBook:
    """Fetch this instrument's book by REST.

    Attributes:
        request: the name the reply must come back under.
        path: path and query below the venue's REST root.
        weight: what it costs of the venue's budget.
    """

    request: str
    path: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close this connection and open it anew."""

    conn: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenSuccessor:
    """Open a connection that takes over the books of this one, which the venue is going to close."""

    conn: str


@dataclass(frozen=True, slots=True)
class KeepFrame:
    """Keep this frame, which was rejected, for whoever has to find out why."""

    frame: str | bytes
    reason: str


@dataclass(frozen=True, slots=True)
class StopVenue:
    """Stop recording this venue: its frames are not what its channel promises.

    Attributes:
        line: the line for the log, `BUILD_FAIL venue=... channel=... missing=[...]`.
    """

    line: str


Command = SendFrame | FetchBook | CloseLink | OpenSuccessor | KeepFrame | StopVenue
