"""The job run in this process, without its shell."""

from datetime import datetime

from retention.apply import Outcome
from retention.disk import Disk
from retention.inventory import Leftover
from retention.job import Job, Result, locked, make_plan
from retention.policy import Codec, Limits, Policy, parse_duration
from tests.retention.faulty import quick
from tests.retention.vaults import NOW, Mixed, World, ns


def policy(compress: str = "6h", delete: str = "5d", ledger: str = "never", codec: Codec = Codec.GZIP) -> Policy:
    """Make a policy from texts."""
    limits = Limits(parse_duration(compress), parse_duration(delete))
    return Policy(limits, limits, parse_duration(ledger), codec=codec, level=codec.usual_level)


def run(
    world: World, rules: Policy | None = None, now: datetime = NOW, disk: Disk | None = None, threads: int = 1
) -> Result:
    """Plan and carry out."""
    rules = rules or policy()
    with locked(world.root):
        made = make_plan(world.root, rules, ns(now))
        return Job(world.root, rules, ns(now), disk=disk or quick(), threads=threads).run(made)


def run_all(world: Mixed, disk: Disk | None = None) -> Result:
    """Run on a vault in which everything is due, with the codec that goes with it."""
    codec = next(one for one in Codec if one.suffix == world.suffix)
    return run(world, policy(ledger="5d", codec=codec), disk=disk)


def left(result: Result) -> dict[str, str]:
    """Tell what was left, by file name."""
    return {name_of(one): one.left for one in result.outcomes if one.left is not None}


def name_of(outcome: Outcome) -> str:
    """Name the file of an outcome."""
    subject = outcome.action.subject
    return subject.file.path.name if isinstance(subject, Leftover) else subject.name.name
