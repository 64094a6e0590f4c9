"""What a run says: as text for a person, as one object for a program, as lines for the log."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retention.apply import Outcome
from retention.inventory import Item
from retention.job import Plan, Result, path_of
from retention.plan import Action, Kind
from retention.policy import Policy
from retention.timetext import utc_text

SHOWN_NOTES = 20
USUAL_RATIO = 9
"""How many times smaller an hour becomes, to tell beforehand what compressing may free."""

_PAST = {
    Kind.SWEEP: "swept",
    Kind.FINISH: "compressed",
    Kind.DELETE: "deleted",
    Kind.COMPRESS: "compressed",
    Kind.LEAVE: "left",
}


def size_text(size: int) -> str:
    """Write a number of bytes for a person."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def would_free(made: Plan) -> tuple[int, int]:
    """Return the bytes that deleting frees for certain, and those that compressing may free."""
    sure = sum(action.size for action in made.actions if action.kind in (Kind.DELETE, Kind.SWEEP))
    sure += sum(action.size for action in made.actions if action.kind is Kind.FINISH)
    plain = sum(action.size for action in made.actions if action.kind is Kind.COMPRESS)
    return sure, plain - plain // USUAL_RATIO


def plan_lines(made: Plan, root: Path) -> Iterator[str]:
    """Tell what would be done."""
    for action in made.actions:
        yield f"{action.kind} {_shown(_relative(action, root))} {size_text(action.size)}: {action.reason}"
    for path, why in made.failed:
        yield f"left {_shown(_under(path, root))}: {why}"
    sure, perhaps = would_free(made)
    yield from notes(made.skipped, root)
    yield (
        f"nothing was changed; {len(made.actions)} actions would free {size_text(sure)} for certain and about "
        f"{size_text(perhaps)} by compressing"
    )


def outcome_line(outcome: Outcome, root: Path) -> str:
    """Tell what became of one action."""
    action = outcome.action
    name = _shown(_relative(action, root))
    if outcome.left is not None:
        return f"left {name}: {outcome.left}"
    wrote = f" -> {size_text(outcome.wrote)}" if outcome.wrote else ""
    return f"{_PAST[action.kind]} {name} {size_text(action.size)}{wrote}: {action.reason}"


def summary_line(result: Result, made: Plan) -> str:
    """Tell a run in a sentence."""
    kinds = [outcome.action.kind for outcome in result.outcomes if outcome.left is None]
    left = len(lefts(result, made, Path("/")))
    freed = sum(outcome.freed for outcome in result.outcomes)
    stopped = f"; stopped with {len(made.actions) - len(result.outcomes)} actions to go" if result.interrupted else ""
    compressed = kinds.count(Kind.COMPRESS) + kinds.count(Kind.FINISH)
    return (
        f"{compressed} compressed, {kinds.count(Kind.DELETE)} deleted, {kinds.count(Kind.SWEEP)} leftovers and "
        f"{len(result.folders)} empty folders removed, {left} left; {size_text(freed)} freed{stopped}"
    )


def notes(skipped: Sequence[tuple[Path, str]], root: Path) -> Iterator[str]:
    """Tell what was passed over, the first of it."""
    for path, why in skipped[:SHOWN_NOTES]:
        yield f"note: {_shown(_under(path, root))}: {why}"
    if len(skipped) > SHOWN_NOTES:
        yield f"note: and {len(skipped) - SHOWN_NOTES} more that were passed over"


def lefts(result: Result, made: Plan, root: Path) -> list[tuple[str, str]]:
    """List what was not done, and why."""
    left = [(_relative(one.action, root), one.left) for one in result.outcomes if one.left is not None]
    return left + [(_under(path, root), why) for path, why in made.failed]


def as_object(root: Path, policy: Policy, now_ns: int, made: Plan, result: Result | None) -> dict[str, object]:
    """Tell everything; `result` None: a dry run."""
    sure, perhaps = would_free(made)
    told: dict[str, object] = {
        "vault": str(root),
        "now": utc_text(now_ns),
        "codec": str(policy.codec),
        "level": policy.level,
        "dry_run": result is None,
        "actions": [_action(action, root) for action in made.actions]
        if result is None
        else [_outcome(outcome, root) for outcome in result.outcomes],
        "skipped": [{"path": _under(path, root), "reason": why} for path, why in made.skipped],
    }
    if result is None:
        left = [(_relative(action, root), action.reason) for action in made.actions if action.kind is Kind.LEAVE]
        left += [(_under(path, root), why) for path, why in made.failed]
        told |= {"would_free_bytes": sure, "may_free_bytes": perhaps}
    else:
        left = lefts(result, made, root)
        told |= {
            "freed_bytes": sum(outcome.freed for outcome in result.outcomes),
            "folders_removed": [_under(folder, root) for folder in result.folders],
            "interrupted": result.interrupted,
        }
    return told | {"left": [{"path": path, "reason": why} for path, why in left]}


def _action(action: Action, root: Path) -> dict[str, object]:
    what = str(action.subject.what) if isinstance(action.subject, Item) else "leftover"
    return {
        "action": str(action.kind),
        "what": what,
        "path": _relative(action, root),
        "bytes": action.size,
        "reason": action.reason,
    }


def _outcome(outcome: Outcome, root: Path) -> dict[str, object]:
    told = _action(outcome.action, root)
    told["result"] = "left" if outcome.left is not None else _PAST[outcome.action.kind]
    return told | {"freed_bytes": outcome.freed, "wrote_bytes": outcome.wrote, "left": outcome.left}


def _relative(action: Action, root: Path) -> str:
    return _under(path_of(action.subject), root)


def _shown(name: str) -> str:
    """Write a name so that any console can show it on one line; the archive's own names are plain ASCII."""
    return "".join(char if char.isascii() and char.isprintable() else ascii(char)[1:-1] for char in name)


def _under(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
