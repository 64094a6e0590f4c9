"""What the ledger tells of one book: its episodes in the order in which they happened, and where each of them ended.

Book time may begin anew lower with an episode, and a ledger's files are sorted by date although a replay of an older
tape came later. So the end of an episode is believed only where the order of the lines that tell it is certain.
"""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Run:
    """One run of a recorder, told from others by identity.

    Attributes:
        replayed: it was a replay; None: that is not known.
        may_be_split: lines of it may stand in a later file. Those of a replay without receive times are dated by event
            times, so that they change to and fro between two dates.
        settings: what its `started` says in `detail`; empty: that is not known.
    """

    replayed: bool | None
    may_be_split: bool = False
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def is_in_order(self) -> bool:
        """Whether its ledger lines stand, over all files, in the order in which things happened."""
        return self.replayed is False or not self.may_be_split


class Runs:
    """Tells which run a ledger line belongs to, given all lines in order of their files.

    A run stands in one piece within a file, and may go on in the next one; so may, of replays, several.

    Attributes:
        current: the run of the line taken last; going_on: runs whose end has not been seen.
        broken: how often a run began while the end of another had not been seen.
    """

    def __init__(self) -> None:
        self.current = Run(None)
        self.going_on: list[Run] = []
        self.broken = 0
        self._ended: list[Run] = []
        self._any = False
        self._begun = False

    def begin_file(self) -> None:
        """Begin the next ledger file: it goes on with the run before if only one can have gone on."""
        self._end(self.going_on[0] if len(self.going_on) == 1 else Run(None))

    def take(self, kind: str, *, replayed: bool) -> None:
        """Take the next line; `replayed` is asked of `started` and `connected` only."""
        if kind == "started":
            self._end(Run(replayed))
            self.broken += bool(self.going_on)
            # A recorder that starts shows that those before it are gone; a replay may come at any time after them.
            self.going_on = [*(self.going_on if replayed else []), self.current]
            self._begun = True
        else:
            self._go_on(kind, replayed=replayed)
        self._any = True

    def _go_on(self, kind: str, *, replayed: bool) -> None:
        """Take a line of a run that has begun, here or in an earlier file."""
        if not self._begun:
            for run in (*self._ended, self.current):
                run.may_be_split = True
            self._ended = []
        if kind == "connected" and self.current.replayed is None:
            self.current.replayed = replayed
        if not self._any:
            self.going_on.append(self.current)
        if kind == "stopped":
            self.going_on = [run for run in self.going_on if run is not self.current]
            self._end(Run(None))

    def _end(self, following: Run) -> None:
        """Leave the current run; the line that begins the following one has not been seen yet."""
        self._ended.append(self.current)
        self.current = following
        self._begun = False


@dataclass(slots=True, eq=False)
class Episode:
    """One life of a book, from a `live` to the `gap` after it. Book times, in nanoseconds.

    Attributes:
        live_ns: where it began; None: at the first book time that came later.
        after_loss: it ended one loss or several.
        told_last_ns: where it ended by the order of the ledger's lines, None if not known.
        next_ns: where the episode after it began, None if not known or not yet.
        by_loss: the run that kept it declared its end, so that it could say so in the data too.
    """

    live_ns: int | None
    run: Run
    after_loss: bool
    told_last_ns: int | None = None
    next_ns: int | None = None
    by_loss: bool = False

    @property
    def last_ns(self) -> int | None:
        """Where it ended for certain: none of its lines is later. None: not known."""
        return self.told_last_ns if self.run.is_in_order else None


class Chain:
    """The episodes of one book, taken from its `gap` and `live` lines in their order.

    Attributes:
        begins_with_first_life: the first of these lines says that the book was live for the first time.
        living: the episode that has not ended, by the lines taken so far.
        since_ns: where losses began; resumed_ns: the first lines that could be written again after the disk failed.
        unwritten_ns: lines that were not written: the first of each row that the disk refused, and the first that
            came too late for its hour.
        restarts_ns: where those losses began that were declared by the next start.
    """

    def __init__(self) -> None:
        self.begins_with_first_life: bool | None = None
        self.since_ns: set[int] = set()
        self.resumed_ns: set[int] = set()
        self.unwritten_ns: set[int] = set()
        self.restarts_ns: set[int] = set()
        self._by_live: dict[int | None, list[Episode]] = {}
        self.living: Episode | None = None
        self._ended: Episode | None = None

    def of(self, live_ns: int) -> list[Episode]:
        """List the episodes that a line with this `live_since_utc` can belong to."""
        undated = self._by_live.get(None, [])
        return [*self._by_live.get(live_ns, []), *undated]

    def lost(self, since_ns: int | None, reason: str | None, run: Run) -> None:
        """Take a `gap`: the episode before it has ended, if it is the one this line speaks of."""
        if self.begins_with_first_life is None:
            self.begins_with_first_life = False
        ended, self.living = self.living, None
        if since_ns is None:
            return
        self.since_ns.add(since_ns)
        if reason == "restart":
            self.restarts_ns.add(since_ns)
        if ended is None or (ended.live_ns is not None and since_ns < ended.live_ns):
            return
        # A recorder's restart begins behind every line there is; that of a replay behind the lines it has made.
        restarted = reason == "restart" and ended.live_ns is not None
        if run is ended.run or (restarted and run.replayed is False and ended.run.replayed is False):
            ended.told_last_ns = since_ns
            ended.by_loss = reason != "restart"
            self._ended = ended

    def lived(self, live_ns: int | None, *, after_loss: bool, run: Run) -> None:
        """Take a `live`; several that end losses at one moment begin one episode."""
        if self.begins_with_first_life is None:
            self.begins_with_first_life = not after_loss
        before = self.living
        if before and before.run is run and before.live_ns == live_ns and before.after_loss and after_loss:
            return
        if self._ended is not None:
            self._ended.next_ns = live_ns
            self._ended = None
        self.living = Episode(live_ns, run, after_loss)
        self._by_live.setdefault(live_ns, []).append(self.living)
