"""Random tapes through the command line, against the naive replay: the same lines to the byte, the same losses."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from l2_exporter.archive.layout import iter_manifest_files
from l2_exporter.cli.main import cli
from tests.reference.naive_okx import Outcome
from tests.reference.naive_okx import replay as naive_replay
from tests.tools.random_tapes import Case, Options, TapeLine, random_case
from tests.tools.replaying import arguments, assert_same_lines, hour_files, ledger, write_tape
from tests.tools.shrinking import shrunk

MIXES = {
    "losses": Options(),
    "long": Options(inputs=300, books=5, repeated=20),
    "closes": Options(closed=10, lost=1),
    "links": Options(other_link=5, closed=6),
    "rest": Options(rest=12, closed=4, snapshots=2, proofs=("sequence", "both"), channels=("books", "books-l2-tbt")),
    "rest-only": Options(rest=30, closed=4, snapshots=0, proofs=("sequence",), inputs=60),
    "odd-frames": Options(odd_frames=4),
    "schema-breaks": Options(odd_frames=25, books=2),
    "not-json": Options(not_json=8, other_link=3, books=4, proofs=("checksum", "none"), channels=("books", "books5")),
    "odd-times": Options(odd_times=10),
    "odd-keep-alives": Options(odd_times=40, proofs=("sequence",), channels=("books",)),
    "leaps": Options(leaps=2, closed=1, lost=1, proofs=("sequence", "none")),
    "unreceived": Options(unreceived=5),
    "restarts": Options(parts=3, closed=1),
    "everything": Options(rest=4, odd_frames=1, not_json=1, odd_times=5, other_link=2, unreceived=2, parts=2),
}
SEEDS = range(1, 7)
BUILD_FAIL = 3
REACHED = {
    *("sequence", "checksum", "venue_reset", "disconnect", "restart"),
    *("gap", "after_gap", "seeded_from_rest", "checksum_mismatch", "crossed"),
    *("schema break", "odd event time", "algorithm_changed"),
}

every_mix = pytest.mark.parametrize("mix", MIXES)
every_seed = pytest.mark.parametrize("seed", SEEDS)


@every_mix
@every_seed
def test_random_tapes_give_the_naive_lines_and_losses(mix, seed, tmp_path):
    case = random_case(seed, MIXES[mix])
    found = difference(case, tmp_path)
    if found is not None:
        small = smallest(case, lambda shorter: difference(shorter, tmp_path) is not None)
        text = f"mix {mix!r}, seed {seed}: {found}\n\nminimised: {difference(small, tmp_path)}\n{as_text(small)}"
        pytest.fail(text, pytrace=False)


def test_random_tapes_reach_what_can_go_wrong():
    outcomes = [
        outcome for mix in MIXES.values() for seed in SEEDS for outcome in naive_outcomes(random_case(seed, mix))
    ]
    reached = {loss["reason"] for outcome in outcomes for loss in outcome.windows}
    lines = (json.loads(line) for outcome in outcomes for file in outcome.files.values() for line in file)
    reached |= {flag for line in lines for flag in line["flags"]}
    reached |= {canary for outcome in outcomes for canary in outcome.canaries}
    reached |= {"schema break" for outcome in outcomes if outcome.schema_break}
    reached |= {"odd event time" for outcome in outcomes if outcome.odd_event_times}
    assert reached == REACHED


def test_what_a_failure_does_not_need_is_left_out():
    def needs_three_and_both_ends(items: Sequence[int]) -> bool:
        return {0, 41, 99} <= set(items)

    assert shrunk(range(100), needs_three_and_both_ends) == [0, 41, 99]


# ---------------------------------------------------------------------------------------------- two replays


def naive_outcomes(case: Case) -> list[Outcome]:
    """Replay the parts of a case one after the other, each over what those before it left."""
    outcomes: list[Outcome] = []
    before = Outcome(files={})
    for part in case.parts:
        before = naive_replay(
            [part], cadence_s=case.cadence_s, depth=case.depth, existing=before.files, lost=before.lost
        )
        outcomes.append(before)
    return outcomes


def difference(case: Case, folder: Path) -> str | None:
    """Tell where the two replays of a case part, None if they agree."""
    with TemporaryDirectory(dir=folder) as own:
        try:
            assert_replayed_alike(case, Path(own))
        except AssertionError as error:
            return str(error)
    return None


def assert_replayed_alike(case: Case, folder: Path) -> None:
    vault = folder / "vault"
    before = Outcome(files={})
    for number, part in enumerate(case.parts):
        outcome = before = naive_replay(
            [part],
            cadence_s=case.cadence_s,
            depth=case.depth,
            existing=before.files,
            lost=before.lost,
            sealed=sealed_hours(vault),
        )
        code = exit_code(case, vault, write_tape(folder / f"{number}.jsonl", part))
        assert code == (BUILD_FAIL if outcome.schema_break else 0)
        assert_same_lines(hour_files(vault), outcome.files)
        if len(case.parts) == 1:
            declared, expected = declared_losses(vault), expected_losses(outcome)
            assert [loss for loss in declared if loss not in expected] == []
            assert declared == expected


def sealed_hours(vault: Path) -> list[tuple[str, str, int]]:
    """List the hours that have a manifest, as the recorder counts them."""
    return [(place.dataset, place.inst, place.hour) for place in iter_manifest_files(vault)]


def exit_code(case: Case, vault: Path, tape: Path) -> int:
    """Replay a tape through the command line, in this process."""
    options = ("--cadence", case.cadence_s, "--depth", str(case.depth))
    result = CliRunner().invoke(cli, arguments(vault, [tape], *options))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code


TIMES = ("since_event", "since_received", "until_event", "until_received")


def declared_losses(vault: Path) -> list[tuple[str | None, ...]]:
    """Return every loss of the ledger with the window it spans, sorted."""
    events = ledger(vault)
    ends = {event["id"]: event for event in events if event["kind"] == "live"}
    losses = [
        (event["detail"]["dataset"], event["instId"], event["reason"], *(end[name] for name in TIMES))
        for event in events
        if event["kind"] == "gap" and (end := ends.get(event["id"], event))
    ]
    return sorted(losses, key=str)


def expected_losses(outcome: Outcome) -> list[tuple[str | None, ...]]:
    names = ("dataset", "inst", "reason", *TIMES)
    return sorted((tuple(loss[name] for name in names) for loss in outcome.windows), key=str)


# ---------------------------------------------------------------------------------------------- a failure


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Leave out every input that a failing case does not need."""
    inputs = [(number, line) for number, part in enumerate(case.parts) for line in part]

    def with_inputs(kept: Sequence[tuple[int, TapeLine]]) -> Case:
        numbers = sorted({number for number, _ in kept})
        return replace(case, parts=[[line for part, line in kept if part == number] for number in numbers])

    return with_inputs(shrunk(inputs, lambda kept: fails(with_inputs(kept))))


def as_text(case: Case) -> str:
    """Write a case down so that it can be replayed by hand."""
    tapes = ["".join(json.dumps(line) + "\n" for line in part) for part in case.parts]
    return f"--cadence {case.cadence_s} --depth {case.depth}\n" + "--- next run\n".join(tapes)
