"""What the core must know of the archive's past: the last lines and the gaps nobody closed. The archive answers."""

from dataclasses import dataclass
from typing import Protocol

from l2_exporter.core.records import BookSpec
from l2_exporter.core.sampling import Floor


@dataclass(frozen=True, slots=True)
class LastLine:
    """The newest line of an instrument: where the knowledge of earlier runs ends."""

    event_ns: int
    recv_ns: int | None


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A loss that has begun and not ended.

    Attributes:
        since_event_ns, since_recv_ns: book time and receive time of the last update applied before it.
    """

    id: str
    reason: str
    since_event_ns: int | None
    since_recv_ns: int | None


class History(Protocol):
    """The archive as the core sees it."""

    def admit(self, spec: BookSpec) -> None:
        """Take note that this book will be recorded.

        Raises:
            ConfigError: another instrument has the same path on some file system.
            VenueError: its id can be no file name.
        """

    def newest(self, spec: BookSpec) -> LastLine | None:
        """Return the newest line of a book's dataset and instrument."""

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        """Return the last line of one hour file."""

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        """Return the gaps of earlier runs whose end the ledger does not tell."""

    def takes_lines(self, spec: BookSpec, hour: int) -> bool:
        """Tell whether an hour may still grow: it is neither sealed, compressed nor deleted."""


class NoHistory:
    """An empty archive."""

    def admit(self, spec: BookSpec) -> None:
        """Admit everything."""

    def newest(self, spec: BookSpec) -> LastLine | None:
        """Know nothing."""
        return None

    def floor(self, spec: BookSpec, hour: int) -> Floor | None:
        """Know nothing."""
        return None

    def open_gaps(self, spec: BookSpec) -> list[OpenGap]:
        """Know nothing."""
        return []

    def takes_lines(self, spec: BookSpec, hour: int) -> bool:
        """Have sealed nothing."""
        return True
