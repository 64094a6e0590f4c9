"""How long a disk may refuse what waiting does not mend: read-only, forbidden, broken. A full disk is waited for."""

import errno

from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import NS_PER_S

HOPELESS = frozenset({errno.EROFS, errno.EACCES, errno.EIO})
HOPELESS_AFTER_NS = 60 * NS_PER_S


class Patience:
    """Watches one kind of work of the archive."""

    __slots__ = ("_since_ns",)

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def done(self) -> None:
        """Take note that it worked."""
        self._since_ns = None

    def refused(self, error: OSError, elapsed_ns: int | None) -> None:
        """Take note that it did not.

        Raises:
            ArchiveError: for a minute now, and for a reason that waiting does not mend.
        """
        if error.errno not in HOPELESS or elapsed_ns is None:
            return
        if self._since_ns is None:
            self._since_ns = elapsed_ns
        if elapsed_ns - self._since_ns >= HOPELESS_AFTER_NS:
            raise ArchiveError(f"the archive cannot be written, for a minute now: {error}") from error
