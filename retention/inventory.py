"""What a vault holds, as data: the words in which listing tells it and plan judges it. No file is touched here."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class What(StrEnum):
    """The kinds of things that age."""

    HOUR = "hour"
    TAPE = "tape"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Stored:
    """One file and its size when it was listed."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that ages as a whole, with all its files: an hour, a tape, or a day of the ledger.

    Attributes:
        name: path of its plain file, whether that is there or not.
        dataset: empty for tapes and ledgers.
        inst: the venue's own id; empty for tapes and ledgers.
        start_ns: when it begins, as the path says.
        end_ns: when it ends, as the path says; age counts from here.
        packed: compressed files with its content.
        manifest: what seals an hour.
    """

    what: What
    name: Path
    venue: str
    dataset: str
    inst: str
    start_ns: int
    end_ns: int
    plain: Stored | None = None
    packed: tuple[Stored, ...] = ()
    manifest: Stored | None = None

    @property
    def files(self) -> tuple[Stored, ...]:
        """Every file that holds its content, the plain one first."""
        return (*((self.plain,) if self.plain else ()), *self.packed)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(one.size for one in self.files) + (self.manifest.size if self.manifest else 0)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A temporary file; `alive`: the process that wrote it may still be at it. `end_ns`: of the hour it names."""

    file: Stored
    end_ns: int
    alive: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What is judged together: one book, the tapes of one day, or the ledger of one venue.

    Attributes:
        items: by time.
        folders: date folders and when their date ends.
        empty: those of them that held nothing.
        skipped: what was passed over, and why; for the reader's information.
        failed: folders that could not be read, and why.
    """

    items: tuple[Item, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    folders: tuple[tuple[Path, int], ...] = ()
    empty: tuple[Path, ...] = ()
    skipped: tuple[tuple[Path, str], ...] = ()
    failed: tuple[tuple[Path, str], ...] = ()
