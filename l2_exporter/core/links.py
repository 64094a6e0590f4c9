"""What a feed knows of its connections."""

from dataclasses import dataclass

from l2_exporter.core.venue import Connection


@dataclass(slots=True)
class Link:
    """What is known of one connection.

    Attributes:
        protocol: what is said on it and what its frames mean.
        number: of its last frame, where the venue counts them.
        replaces: the connection whose books it is to take over before that one is closed.
        closing: the venue has announced its end; a successor has been asked for.
        control: frames without a book.
        ignored: messages of books that are not recorded.
        rejected: frames that name no book and could not be read.
    """

    protocol: Connection
    url: str | None = None
    replaces: str | None = None
    number: int | None = None
    closing: bool = False
    control: int = 0
    ignored: int = 0
    rejected: int = 0
    unknown_said: bool = False
