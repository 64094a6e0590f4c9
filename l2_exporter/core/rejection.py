"""What becomes of frames that cannot be used: kept, declared, in the end a reason to stop (FORMAT, "Odd frames")."""

from collections import Counter
from collections.abc import Mapping

from l2_exporter.core.commands import CloseLink, KeepFrame, StopVenue
from l2_exporter.core.errors import SchemaError, VenueError, cut
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.records import LedgerRecord
from l2_exporter.core.surroundings import Surroundings

NOT_JSON_LIMIT = 3
ODD_LIMIT = 3


class Rejection:
    """The rejected frames of one venue.

    Attributes:
        broken: the schema break that stopped the venue, None while it runs.
    """

    def __init__(self, venue: str, keepers: Mapping[tuple[str, str], Keeper], shared: Surroundings) -> None:
        self.broken: SchemaError | None = None
        self._venue = venue
        self._keepers = keepers
        self._shared = shared
        self._good_channels: set[str] = set()
        self._odd_in_row: Counter[str] = Counter()
        self._unreadable_in_row: Counter[str] = Counter()

    def good(self, channel: str) -> None:
        """Take note of a book frame as the channel promises it."""
        if channel not in self._good_channels:
            self._good_channels.add(channel)
        if self._odd_in_row:
            del self._odd_in_row[channel]

    def readable(self, conn: str) -> None:
        """Take note of a frame that could be read."""
        if self._unreadable_in_row:
            del self._unreadable_in_row[conn]

    def odd(self, conn: str, frame: str | bytes, error: SchemaError, keeper: Keeper | None, stamp: Stamp) -> None:
        """Reject a book frame without the shape its channel promises.

        Args:
            keeper: of the book it names; None: it names none.
        """
        self.readable(conn)
        if keeper is None:
            self._lose_unprovable(conn, error, stamp)
        else:
            keeper.frame_rejected(", ".join(error.missing), error.books, stamp)
        self._shared.out.append(KeepFrame(frame, str(error)))
        self._odd_in_row[error.channel] += 1
        if error.channel not in self._good_channels or self._odd_in_row[error.channel] >= ODD_LIMIT:
            self._break(conn, error, stamp)

    def unreadable(self, conn: str, frame: str | bytes, error: VenueError, stamp: Stamp) -> None:
        """Reject what is no frame at all; three in a row and the link is not worth keeping."""
        self._unreadable_in_row[conn] += 1
        self._shared.out.append(KeepFrame(frame, str(error)))
        self._note("canary", conn, stamp, reason="not_json", detail={"error": cut(str(error))})
        self._lose_unprovable(conn, error, stamp)
        if self._unreadable_in_row[conn] >= NOT_JSON_LIMIT:
            self._shared.out.append(CloseLink(conn, "not_json"))

    def _lose_unprovable(self, conn: str, error: VenueError, stamp: Stamp) -> None:
        """Give up books that could miss a message without any test to show it: what was rejected may have been one."""
        for keeper in self._keepers.values():
            if keeper.says.conn == conn and not keeper.is_provable:
                keeper.lose("sequence", stamp, detail={"odd_frame": cut(str(error))})
            if keeper.heir is not None and keeper.heir.conn == conn:
                keeper.heir.unread()

    def _break(self, conn: str, error: SchemaError, stamp: Stamp) -> None:
        """Stop the venue: its channel is not what it was."""
        self.broken = error
        self._note("schema_break", conn, stamp, detail={"channel": error.channel, "missing": list(error.missing)})
        for keeper in self._keepers.values():
            keeper.lose("disconnect", stamp, detail={"why": "schema_break"}, recover=False)
        missing = ", ".join(error.missing)
        line = f"BUILD_FAIL venue={self._venue} channel={error.channel} missing=[{missing}]"
        self._shared.out.append(StopVenue(line))

    def _note(
        self, kind: str, conn: str, stamp: Stamp, *, reason: str | None = None, detail: dict[str, object]
    ) -> None:
        self._shared.out.append(LedgerRecord(stamp.recv_ns, kind, conn, reason=reason, detail=detail))
