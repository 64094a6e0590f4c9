"""What a venue answers to the core where it lacks something, written once: no checksum, no REST book to join.

Why it lacks it stands in its page. A channel's data say so too, and the core does not ask then.
"""

from collections.abc import Sequence

from l2_exporter.core.errors import VenueError
from l2_exporter.core.events import BookPush, Row
from l2_exporter.core.venue import BookAsked


class NoChecksum:
    """A venue without a checksum."""

    name: str

    def checksum(self, bids: Sequence[Row], asks: Sequence[Row]) -> int:
        """Refuse to compute one.

        Raises:
            VenueError: always.
        """
        raise VenueError(f"{self.name} has no checksum")

    def checksum_given(self, checksum: int | None) -> bool:
        """Know of none."""
        return False


class NoRestBook:
    """A venue whose stream brings its own books, and whose REST has none that could be joined with it."""

    name: str

    def book_path(self, channel: str, inst: str) -> str | None:
        """Name no path."""
        return None

    def book_asked(self, url: str) -> BookAsked | None:
        """Know no URL that asks for a book of use."""
        return None

    def decode_book(self, channel: str, inst: str, body: str) -> BookPush:
        """Refuse to read one.

        Raises:
            VenueError: always.
        """
        raise VenueError(f"a REST book of {self.name} cannot be joined with its stream, so that of {inst} is not read")
