"""One cell of the matrix: an operation, a fault, and the call it begins at; run, followed by a start, and judged."""

from collections.abc import Iterator
from pathlib import Path

from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.timetext import HOUR_NS, NS_PER_MS, NS_PER_S, utc_ns
from tests.crash import oracle
from tests.crash.disk import CrashDisk
from tests.crash.faults import Fault
from tests.crash.oracle import Before, Found, TapeEnd
from tests.crash.running import Outcome
from tests.crash.verdict import CRASHED, Verdict, aside
from tests.crash.worlds import RECOVERY_S, SKEW_NS, Operation, World

LATE_NS = 120 * NS_PER_S


def run_cell(operation: Operation, fault: Fault, at: int) -> Verdict:
    """Run a cell in a folder of its own."""
    with aside() as folder:
        world = operation.prepare(folder)
        disk = world.disk(at, fault.strike)
        outcome = world.record("r1", disk, operation.seconds)
        if fault.loses_power:
            disk.lose_power(nuls=fault.nuls)
        problems = [*oracle.check_promised(disk.promised), *judged(world, outcome, disk, folder)]
        return Verdict(tuple(problems), how(world, outcome))


def judged(world: World, outcome: Outcome, disk: CrashDisk, folder: Path, skew_ns: int = SKEW_NS) -> Iterator[str]:
    """Start again on what a run has left, stop cleanly, and yield all that is wrong then."""
    if outcome.end.startswith(CRASHED):
        yield outcome.end
    before = oracle.look(world.vault, disk.took)
    if outcome.end == "stopped" and outcome.run is not None:
        yield from stopped_short(before, Found(world.vault, world.exchange.truth), _arrived(outcome))
    world.pause()
    following = world.record("r2", CrashDisk(world.vault), RECOVERY_S, skew_ns)
    if following.end != "stopped":
        yield f"the next run: {following.end}"
        return
    yield from all_that_is_wrong(world, before, following, folder)


def all_that_is_wrong(world: World, before: Before, following: Outcome, folder: Path) -> Iterator[str]:
    """Yield what the oracle finds."""
    yield from oracle.check_verified(world.vault)
    yield from oracle.check_kept(before)
    found = Found(world.vault, world.exchange.truth)
    yield from oracle.check_true(found)
    yield from oracle.check_order(found)
    yield from oracle.check_complete(found, _arrived(following))
    yield from oracle.check_ledger(found, before, "r2")
    yield from oracle.check_sealed(world.vault, (world.exchange.now_ns - LATE_NS) // HOUR_NS)
    yield from oracle.check_replay(found, folder / "again", before, tape_ends(found))


def stopped_short(before: Before, found: Found, arrived: dict[str, int]) -> Iterator[str]:
    """After a clean stop the last change that came is there, unless the disk did not take lines then."""
    for inst, newest in arrived.items():
        if before.newest.get(inst) != newest and not any(until is None for _, until, _ in found.suspended(inst)):
            yield f"stopped short: {inst} ends at {before.newest.get(inst)}, it stood at {newest}"


def tape_ends(found: Found) -> list[TapeEnd]:
    """Find the runs whose tapes do not reach to their ends."""
    starts = [entry["at"] for entry in found.ledger if entry["kind"] == "started"]
    begun = [utc_ns(at) // NS_PER_MS for at in starts]
    last: dict[str | None, int] = {}
    for line in read_tapes(sorted(found.vault.glob("tape/**/*.jsonl"))):
        if line.conn != "control":
            last[line.run] = (line.recv_ns or 0) // NS_PER_MS
    ends = []
    for begin, until in zip(begun, [*begun[1:], 1 << 62], strict=True):
        taped = [received for received in last.values() if begin <= received < until]
        ends.append(TapeEnd(max(taped, default=begin), until))
    return ends


def how(world: World, outcome: Outcome) -> str:
    """Say in a word how a run ended, and what it declared."""
    words = [outcome.end.split(":")[0]]
    refused = [entry for entry in oracle.ledger_of(world.vault) if entry["kind"] == "write_suspended"]
    if any(entry["instId"] for entry in refused):
        words.append("lines suspended")
    if any(entry["reason"] == "tape" for entry in refused):
        words.append("tape ended")
    return ", ".join(words)


def _arrived(outcome: Outcome) -> dict[str, int]:
    assert outcome.run is not None
    return {inst: max(times) // NS_PER_MS for inst, times in outcome.run.arrived.items() if times}
