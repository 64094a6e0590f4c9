"""What is no fault of one call: other hands in the vault, other clocks, a second recorder, damage of old files."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from l2_exporter.archive.defects import Flaw
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.verify import verify
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S
from tests.crash import oracle
from tests.crash.cells import judged
from tests.crash.disk import CrashDisk
from tests.crash.faults import FAULTS
from tests.crash.oracle import RULES, Found
from tests.crash.running import DATASET, INSTS, VENUE
from tests.crash.verdict import Verdict, aside
from tests.crash.worlds import OPERATIONS, RECOVERY_S, SKEW_NS, World

Scene = Callable[[Path], Iterator[str]]
HOUR = "2026-11-21/23"
DAY_NS = 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scene, and what is expected of it beside conservation."""

    name: str
    expected: str
    scene: Scene


def run_scenario(scenario: Scenario) -> Verdict:
    """Play a scene in a folder of its own."""
    with aside() as folder:
        return Verdict(tuple(scenario.scene(folder)), scenario.expected)


def fresh(folder: Path) -> World:
    """Make an empty vault, shortly before an hour and a day end."""
    return OPERATIONS[0].prepare(folder)


def hour_file(world: World, inst: str, place: str = HOUR, suffix: str = ".jsonl") -> Path:
    """Name the file of an hour."""
    return world.vault / "raw" / VENUE / DATASET / inst / f"{place}{suffix}"


# ---- clocks ---------------------------------------------------------------------------------------------------------


def _clock_back(folder: Path) -> Iterator[str]:
    """Between two runs the machine's clock goes back by a day: the ledger goes on in an older file."""
    world = fresh(folder)
    disk = CrashDisk(world.vault)
    outcome = world.record("r1", disk, 12)
    yield from _but_replays(judged(world, outcome, disk, folder, skew_ns=SKEW_NS - DAY_NS))


def _clock_forward(folder: Path) -> Iterator[str]:
    """The run that goes wrong has a clock a day ahead, and is killed; the next one has it right."""
    world = fresh(folder)
    disk = CrashDisk(world.vault, 150, FAULTS[1].strike)
    outcome = world.record("r1", disk, 12, SKEW_NS + DAY_NS)
    yield from _but_replays(judged(world, outcome, disk, folder))


def _but_replays(problems: Iterator[str]) -> Iterator[str]:
    """Leave out that tapes are replayed in the order of clocks that contradict each other."""
    return (problem for problem in problems if not problem.startswith("replay: "))


# ---- other hands ----------------------------------------------------------------------------------------------------


def _second_instance(folder: Path) -> Iterator[str]:
    """Another recorder is started on the same vault: it is refused, and changes nothing."""
    world = fresh(folder)
    disk = CrashDisk(world.vault)

    def second() -> None:
        before = {path: path.read_bytes() for path in world.vault.rglob("*") if path.is_file()}
        other = world.record("r9", CrashDisk(world.vault), 1)
        told.append(other.end)
        told.extend(str(path) for path, data in before.items() if path.read_bytes() != data)

    told: list[str] = []
    outcome = world.record("r1", disk, 12, happens=[(6, second)])
    if len(told) != 1 or "another recorder" not in told[0]:
        yield f"second instance: {told}"
    yield from judged(world, outcome, disk, folder)


def _lock_file_gone(folder: Path) -> Iterator[str]:
    """Somebody deletes the lock file; the recorder ends by itself, and the next one takes a new one."""
    world = fresh(folder)
    disk = CrashDisk(world.vault)
    outcome = world.record("r1", disk, 12, happens=[(6, Vault(world.vault).lock_file(VENUE).unlink)])
    yield from judged(world, outcome, disk, folder)


def _symlink(folder: Path) -> Iterator[str]:
    """A symbolic link stands where the next hour's file is to come: nothing is written through it."""
    world = fresh(folder)
    outside, link = folder / "outside", hour_file(world, INSTS[0], "2026-11-22/00")
    outside.write_bytes(b"")
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    disk = CrashDisk(world.vault)
    outcome = world.record("r1", disk, 12, happens=[(11, link.unlink)])
    if outside.read_bytes():
        yield "a link led out of the vault"
    if not Found(world.vault, world.exchange.truth).suspended(INSTS[0]):
        yield "nobody said that lines could not be written"
    yield from judged(world, outcome, disk, folder)


def _folder_gone(which: str) -> Scene:
    """Somebody deletes a folder while it is written to: what comes after that is there."""

    def scene(folder: Path) -> Iterator[str]:
        world = fresh(folder)
        disk = CrashDisk(world.vault)
        outcome = world.record("r1", disk, 12, happens=[(8.5, lambda: shutil.rmtree(world.vault / which))])
        found = Found(world.vault, world.exchange.truth)
        gone_ms = (world._start_ns + 85 * NS_PER_S // 10) // 1_000_000
        for inst in INSTS:
            for step in oracle.implied(world.exchange.truth, inst):
                if gone_ms < step.ts < world.exchange.now_ns // 1_000_000 and not found.has(inst, step.ts):
                    yield f"written to nowhere: {inst} at {step.ts}"
        if "events" in which and not any(entry["kind"] == "stopped" for entry in found.ledger):
            yield "written to nowhere: the ledger"
        assert outcome.run is not None
        following = world.record("r2", CrashDisk(world.vault), 5)
        if following.end != "stopped":
            yield f"the next run: {following.end}"
        yield from oracle.check_order(Found(world.vault, world.exchange.truth))

    return scene


# ---- old damage -----------------------------------------------------------------------------------------------------


def _torn_gzip(folder: Path) -> Iterator[str]:
    """An older hour was compressed, and its file cut: `verify` names it, and nothing else is touched by it."""
    world = fresh(folder)
    disk = CrashDisk(world.vault)
    outcome = world.record("r1", disk, 12)
    plain = hour_file(world, INSTS[0])
    packed = gzip.compress(plain.read_bytes(), mtime=0)
    plain.with_name("23.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    plain.unlink()
    problems = [*judged(world, outcome, CrashDisk(world.vault), folder)]
    named = [problem for problem in problems if Flaw.DAMAGED.name in problem and "23.jsonl.gz" in problem]
    if len(named) != 1:
        yield f"verify names {named}"
    damaged = ("lost without a word: BTC", "replay: ('BTC-USDT-SWAP', '2026-11-21T23")
    yield from (problem for problem in problems if problem not in named and not problem.startswith(damaged))


def _spoilt_manifest(folder: Path) -> Iterator[str]:
    """A manifest is full of NUL bytes: `verify` names it, and the chain goes on behind it."""
    world = fresh(folder)
    disk = CrashDisk(world.vault)
    outcome = world.record("r1", disk, 12)
    manifest = hour_file(world, INSTS[0], suffix=".manifest.json")
    manifest.write_bytes(bytes(manifest.stat().st_size))
    world.pause()
    following = world.record("r2", CrashDisk(world.vault), RECOVERY_S)
    if (outcome.end, following.end) != ("stopped", "stopped"):
        yield f"ends: {outcome.end}, {following.end}"
    defects = [defect for defect in verify([world.vault], RULES) if defect.path != manifest]
    yield from (f"verify: {defect}" for defect in defects)
    yield from oracle.check_order(Found(world.vault, world.exchange.truth))


SCENARIOS = (
    Scenario(
        "clock set back by a day between two runs",
        "recorded on; its tapes are replayed in the order of the clocks",
        _clock_back,
    ),
    Scenario(
        "clock a day ahead, killed, then right",
        "recorded on; its tapes are replayed in the order of the clocks",
        _clock_forward,
    ),
    Scenario("a second recorder on the vault", "refused", _second_instance),
    Scenario("lock file deleted while recording", "recorded on", _lock_file_gone),
    Scenario("symbolic link in place of an hour file", "suspended, resumed", _symlink),
    Scenario("hour's folder deleted underneath", "recorded on in a new one", _folder_gone(f"raw/{VENUE}/{DATASET}")),
    Scenario("ledger's folder deleted underneath", "recorded on in a new one", _folder_gone(f"meta/{VENUE}/events")),
    Scenario("tape's folder deleted underneath", "recorded on in a new one", _folder_gone(f"tape/{VENUE}")),
    Scenario("torn gzip of an older hour", "named by verify", _torn_gzip),
    Scenario("manifest full of NUL bytes", "named by verify", _spoilt_manifest),
)
