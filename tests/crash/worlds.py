"""Vaults to break: a simulated exchange, what was recorded before, and the run in which something goes wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2_exporter.archive.layout import Vault
from l2_exporter.core.timetext import NS_PER_S, hour_of, utc_ns
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth
from tests.crash.disk import Call, CrashDisk, Kept, PutHalf, Strike
from tests.crash.running import CADENCE_NS, CHANNEL, DATASET, INSTS, VENUE, Happening, Outcome, record
from tests.tools.wired import Plan

RECOVERY_S = 32
"""Long enough for the run after to look which hours are over."""
PAUSE_S = 150
"""Between two runs: the hour that the first one has left is over by then."""
SKEW_NS = -1_500_000_000
TORN_AT = 24
"""The append of the run that is killed in the middle, the evening before."""
TORN = b'{"timestamp_utc":"2026-11-2'


class World:
    """One vault and the exchange it is recorded from."""

    def __init__(self, folder: Path, start: str, *pauses: tuple[int, int]) -> None:
        """Begin at a moment.

        Args:
            pauses: from and until when, in seconds after the start, the books stand still: nobody is to record then.
        """
        self.vault = folder / "vault"
        self.vault.mkdir(parents=True)
        self._start_ns = utc_ns(start)
        self._pauses = [*pauses]
        quiet = ",".join(f"quiet:{until - begin - 2}s@{begin + 1}s" for begin, until in pauses)
        self._kept: Kept | None = None
        self.exchange = Exchange(Settings(VENUE, 3, INSTS, NS_PER_S, quiet), self._start_ns, Truth(with_rows=True))

    def disk(self, at: int = 0, strike: Strike | None = None) -> CrashDisk:
        """Give the disk as the run before has left it: what that did not sync a loss of power can still take."""
        disk = CrashDisk(self.vault, at, strike, self._kept)
        self._kept = disk.kept
        return disk

    def unsync(self, folder: Path) -> None:
        """Let a loss of power take what files below a folder hold, as if it had been written just now."""
        assert self._kept is not None
        self._kept.sizes |= {path.stat().st_ino: 0 for path in folder.rglob("*.jsonl")}

    def record(
        self,
        name: str,
        disk: CrashDisk,
        seconds: float,
        skew_ns: int = SKEW_NS,
        happens: Sequence[Happening] = (),
    ) -> Outcome:
        """Record for a while, on this disk."""
        plan = Plan(INSTS, 5, CHANNEL, seed=1, cadence_ns=CADENCE_NS, run=name, skew_ns=skew_ns)
        return record(self.exchange, self.vault, plan, disk, seconds, happens)

    def pause(self) -> None:
        """Let time pass to the end of the next pause."""
        _, until = self._pauses.pop(0)
        self.exchange.time_advanced(self._start_ns + until * NS_PER_S)

    def hour_file(self, inst: str) -> Path:
        """Name the file of the hour it is."""
        return Vault(self.vault).hour_file(VENUE, DATASET, inst, hour_of(self.exchange.now_ns))


@dataclass(frozen=True, slots=True)
class Operation:
    """What the recorder does while something goes wrong.

    Attributes:
        prepare: makes the world, with what has happened before.
        seconds: how long the run is.
        parts: which calls are struck, by the part of the run; empty: all.
        power: only losses of power are of interest.
    """

    name: str
    prepare: Callable[[Path], World]
    seconds: float
    parts: frozenset[str] = frozenset()
    power: bool = False

    def calls(self, folder: Path) -> list[Call]:
        """List the calls to be struck, as they are made when nothing goes wrong."""
        world = self.prepare(folder)
        disk = world.disk()
        outcome = world.record("r1", disk, self.seconds)
        assert outcome.end == "stopped", outcome.end
        return [call for call in disk.calls if not self.parts or call.part in self.parts]


def _fresh(folder: Path) -> World:
    """An empty vault, shortly before an hour and a day end."""
    return World(folder, "2026-11-21T23:59:54Z", (12, 12 + PAUSE_S))


def _killed(folder: Path) -> World:
    """The evening before, a run was killed: torn, and full of NUL bytes, and things lying about."""
    world = World(folder, "2026-11-21T23:59:40Z", (12, 40), (45, 45 + PAUSE_S))

    def strike(disk: CrashDisk, call: Call, put_half: PutHalf) -> None:
        appends = [each for each in disk.calls if each.kind == "append" and each.part == "run"]
        if len(appends) == TORN_AT and call.kind == "append":
            put_half()
            disk.die()

    outcome = world.record("r0", world.disk(1, strike), 12)
    assert outcome.end == "killed", outcome.end
    first, second = (world.hour_file(inst) for inst in INSTS)
    _put_behind(first, TORN)
    _put_behind(second, bytes(5_000))
    _put_behind(Vault(world.vault).ledger_file(VENUE, "2026-11-21"), TORN)
    _put_behind(Vault(world.vault).history_file(VENUE, INSTS[0]), TORN)
    _put_behind(Vault(world.vault).meta_folder(VENUE) / ".tmp-status.json-999999", TORN)
    world.pause()
    return world


def _left_hours(folder: Path) -> World:
    """A run was killed when it came to seal the hours of two books, their lines unsynced; one has a torn end."""
    world = World(folder, "2026-11-21T23:59:54Z", (12, 140), (173, 173 + PAUSE_S))

    def strike(disk: CrashDisk, call: Call, _put_half: PutHalf) -> None:
        if call.part == "seal":
            disk.die()

    torn = world.hour_file(INSTS[0])
    outcome = world.record("r0", world.disk(1, strike), 12)
    assert outcome.end == "killed", outcome.end
    _put_behind(torn, TORN)
    world.unsync(world.vault / "raw")
    world.pause()
    return world


def _cut_short(appends: int, start: str) -> Callable[[Path], World]:
    """A run was killed after so many appends: of what it made last neither content nor names had been synced."""

    def prepare(folder: Path) -> World:
        world = World(folder, start, (12, 40), (45, 45 + PAUSE_S))

        def strike(disk: CrashDisk, call: Call, _put_half: PutHalf) -> None:
            made = sum(each.kind == "append" and each.part == "run" for each in disk.calls)
            if made == appends and call.kind == "append":
                disk.die()

        outcome = world.record("r0", world.disk(1, strike), 12)
        assert outcome.end == "killed", outcome.end
        world.pause()
        return world

    return prepare


def _put_behind(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


OPERATIONS = (
    Operation("record, over the end of an hour and a day, and seal it", _fresh, 12),
    Operation("start and repair after a kill, the day before", _killed, 5),
    Operation("seal hours that earlier runs left", _left_hours, 33, frozenset({"seal"})),
    Operation("start after a kill before the first sync", _cut_short(7, "2026-11-21T23:59:40Z"), 5, power=True),
    Operation("start after a kill just when a day began", _cut_short(19, "2026-11-21T23:59:54Z"), 5, power=True),
)
