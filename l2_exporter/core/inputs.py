"""What every input of the core carries: when it arrived.

The inputs themselves are method calls in the past tense (`Feed.frame_received`, `Feed.book_replied`, ...); each returns
the records and commands that follow from it. Time is an argument, never asked for.
"""

from typing import NamedTuple


class Stamp(NamedTuple):
    """The arrival of an input.

    Attributes:
        recv_ns: wall clock, nanoseconds since 1970 UTC; None where a recording did not keep it.
        elapsed_ns: the clock deadlines run on (monotonic where taped, else the wall clock); None: no deadline is due.
    """

    recv_ns: int | None
    elapsed_ns: int | None

    def at(self, due_ns: int) -> "Stamp":
        """Return the stamp a deadline had that fell due before this input arrived."""
        if self.elapsed_ns is None or self.recv_ns is None:
            return Stamp(self.recv_ns, due_ns)
        return Stamp(self.recv_ns - (self.elapsed_ns - due_ns), due_ns)


UNKNOWN = Stamp(None, None)
