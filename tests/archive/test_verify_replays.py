"""Verifying what replays of random tapes wrote, in parts and again in another order: there is no defect in it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.venues.registry import line_rules
from tests.tools.random_tapes import Options, random_case
from tests.tools.replaying import arguments, write_tape

MIXES = {
    "losses": Options(),
    "closes": Options(closed=10, lost=1),
    "restarts": Options(parts=3, closed=1),
    "everything": Options(rest=4, odd_frames=1, not_json=1, odd_times=5, other_link=2, unreceived=2, parts=2),
}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("seed", range(1, 5))
def test_what_replays_write_has_no_defect(mix: str, seed: int, tmp_path: Path) -> None:
    case = random_case(seed, MIXES[mix])
    vault = tmp_path / "vault"
    for number, part in enumerate([*case.parts, *reversed(case.parts)]):
        options = ("--cadence", case.cadence_s, "--depth", str(case.depth))
        tape = write_tape(tmp_path / f"{number}.jsonl", part)
        CliRunner().invoke(cli, arguments(vault, [tape], *options), catch_exceptions=False)
    assert list(verify([vault], line_rules())) == []
