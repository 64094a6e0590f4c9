"""Whatever goes wrong, at every venue: lines are true, losses declared, none without a cause, and replays identical."""

from pathlib import Path
from random import Random

import pytest

from tests.tools.contract import Recording, Subject, protocols, recorded, shown, subjects

every_protocol = pytest.mark.parametrize("subject", protocols(), ids=str)
usual = {str(each) for each in protocols()}
of_other_depths = [each for each in subjects() if str(each) not in usual]

FRAME_FAULTS = (
    "drop:0.02",
    "drop:0.05/{A}",
    "duplicate:0.02",
    "reorder:0.01",
    "corrupt:0.005",
    "garbage:0.003",
)
OTHER_FAULTS = (
    "close@{t}s",
    "close@{t}s/{A}",
    "close_mid_frame@{t}s",
    "notice:4s@{t}s",
    "notice:3s@{t}s/{C}",
    "maintenance:5s@{t}s",
    "half_open:3m@{t}s/{C}",
    "stall:3s@{t}s",
    "stall:2s@{t}s/{B}",
    "reset@{t}s",
    "crossed:3s@{t}s",
    "quiet:15s@{t}s",
    "no_snapshot",
    "drop_snapshot:0.2",
    "rest_late:3s",
    "rest_cached:10s",
    "rest_429:0.3",
    "rest_5xx:0.3",
    "rest_html:0.3",
    "rest_hang:0.2",
)


def some_faults(seed: int) -> str:
    """Draw what goes wrong in one run."""
    random = Random(seed)
    chosen = [fault for fault in FRAME_FAULTS if random.random() < 0.6]
    others = random.sample(OTHER_FAULTS, random.randrange(2, 7))
    chosen += [fault.replace("{t}", str(random.randrange(3, 40))) for fault in others]
    return ",".join(chosen)


def assert_true(recording: Recording) -> None:
    """Check lines and losses, as far as a venue has the means to notice.

    Where nothing shows that an update is missing, a line may be wrong that comes after one, in the same episode.
    """
    assert recording.uncaused() == []
    assert recording.behind() == []
    if recording.subject.forgetful:
        assert recording.unexcused() == []
    else:
        assert recording.wrong() == []
        assert recording.undeclared() == []


def assert_survives(subject: Subject, vault: Path, seed: int) -> None:
    assert_true(recorded(subject, vault, shown(subject, some_faults(seed)), seed=seed, seconds=45))


@every_protocol
@pytest.mark.parametrize("seed", range(1, 3))
def test_whatever_goes_wrong(subject: Subject, tmp_path: Path, seed: int) -> None:
    assert_survives(subject, tmp_path / "v", seed)


@pytest.mark.soak
@every_protocol
@pytest.mark.parametrize("first", range(1, 101, 25))
def test_whatever_goes_wrong_many_times(subject: Subject, tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 25):
        assert_survives(subject, tmp_path / f"seed-{seed}", seed)


@pytest.mark.soak
@pytest.mark.parametrize("subject", of_other_depths, ids=str)
def test_whatever_goes_wrong_on_channels_of_other_depths(subject: Subject, tmp_path: Path) -> None:
    for seed in range(1, 26):
        assert_survives(subject, tmp_path / f"seed-{seed}", seed)
