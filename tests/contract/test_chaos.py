"""Whatever goes wrong, at every venue: lines are true, losses declared, none without a cause, and replays identical."""

from pathlib import Path
from random import Random

import pytest

from l2_exporter.core.venue import Scope
from tests.tools.contract import Recording, Subject, defaults, recorded, shown

every_venue = pytest.mark.parametrize("subject", defaults(), ids=str)

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


def assert_true(recording: Recording, faults: str) -> None:
    """Check lines and losses, as far as a venue has the means to notice.

    With two connections of one book an update that one of them lacks may have come on the other. Where REST answers
    are old, or numbers fall, a book may have begun with what its stream does not continue. Where a connection is
    counted, frames of one book that are held back are missing to all others.
    """
    if recording.subject.forgetful:
        return
    assert recording.wrong() == []
    if "notice" not in faults:
        assert recording.undeclared() == []
    by_link = recording.subject.channel.scope is Scope.LINK
    untold = ("notice", "rest_cached", "reset", "no_snapshot", *(["stall"] if by_link else []))
    if not any(name in faults for name in untold):
        assert recording.uncaused() == []


@every_venue
@pytest.mark.parametrize("seed", range(1, 3))
def test_whatever_goes_wrong(subject: Subject, tmp_path: Path, seed: int) -> None:
    faults = shown(subject, some_faults(seed))
    assert_true(recorded(subject, tmp_path / "v", faults, seed=seed, seconds=45), faults)


@pytest.mark.soak
@every_venue
@pytest.mark.parametrize("seed", range(3, 103))
def test_whatever_goes_wrong_many_times(subject: Subject, tmp_path: Path, seed: int) -> None:
    faults = shown(subject, some_faults(seed))
    assert_true(recorded(subject, tmp_path / "v", faults, seed=seed, seconds=45), faults)
