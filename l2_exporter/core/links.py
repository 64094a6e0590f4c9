"""What a feed knows of its connections."""

from collections.abc import Iterable
from dataclasses import dataclass

from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
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


def number_follows(keepers: Iterable[Keeper], conn: str, link: Link, number: int, stamp: Stamp) -> bool:
    """Take the number of a frame among all of its connection: one that is missing may have been of any book on it.

    Returns False for a frame that came before, or too late: what it said has been declared lost already.
    """
    last = link.number
    if last is not None and number <= last:
        return False
    link.number = number
    if last is not None and number != last + 1:
        for keeper in keepers:
            if keeper.says.conn == conn:
                keeper.lose("sequence", stamp, expected=last + 1, got=number)
            elif keeper.heir is not None and keeper.heir.conn == conn:
                keeper.heir.missed()
    return True
