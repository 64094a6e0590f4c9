"""The tree of errors. The type says whose fault it was; the command line turns each into its exit code."""


class L2Error(Exception):
    """Base of every error this program raises on purpose: a clear line for the user, never a traceback."""


class ConfigError(L2Error):
    """The user asked for something that cannot be: a flag, a name, a file of settings (exit 2)."""


class VenueError(L2Error):
    """The venue sent something that breaks its protocol; the frame is rejected."""


class SchemaError(VenueError):
    """A book frame lacks what its channel promises, or has it in another shape.

    One such frame is odd; the first of a channel, or three in a row, are a schema break (exit 3).

    Attributes:
        channel: the channel the frame belongs to.
        inst: the instrument it names, None where it names none.
        missing: the fields that were missing or wrong, in reading order.
        books: how many books the frame held.
    """

    def __init__(
        self, message: str, *, channel: str, inst: str | None, missing: tuple[str, ...], books: int = 1
    ) -> None:
        super().__init__(message)
        self.books = books
        self.channel = channel
        self.inst = inst
        self.missing = missing


class BookError(L2Error):
    """A message that cannot be true of the book as it stands: one of the two is wrong."""


class TransportError(L2Error):
    """A socket or an HTTP request failed."""


class ArchiveError(L2Error):
    """A file of the archive cannot be written or read (exit 5)."""


class VaultBusyError(ArchiveError):
    """Another recorder holds this venue's lock in this vault (exit 4)."""


def cut(text: str, limit: int = 200) -> str:
    """Cut a text for the ledger."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clip(value: object, limit: int = 200) -> str:
    """Cut an offending value for a message: its repr, at most `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
