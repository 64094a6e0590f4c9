"""A loss of power at any moment of a run: no hour is gone without a safe tombstone, and the next run converges."""

import shutil
from pathlib import Path

import pytest

from tests.retention.powercut import CutDisk
from tests.retention.running import left, run_all
from tests.retention.test_faults import settled
from tests.retention.vaults import Mixed


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("has_run_before", [False, True])
def test_whatever_a_loss_of_power_leaves_is_whole(tmp_path: Path, suffix: str, has_run_before: bool) -> None:
    template = Mixed(tmp_path / "template", suffix).build()
    if has_run_before:
        (template.root / "meta/retention").mkdir()  # else it is made by the run, and is not safe of itself
    calm = Mixed(tmp_path / "calm", suffix).build()
    run_all(calm)
    moments: list[Path] = []
    seen: set[tuple[tuple[str, bytes], ...]] = set()

    def looked() -> None:
        state = tuple((str(path), path.read_bytes() if path.is_file() else b"") for path in sorted(survived.rglob("*")))
        if state not in seen:
            seen.add(state)
            moments.append(tmp_path / f"cut-{len(moments)}")
            shutil.copytree(survived, moments[-1])

    survived = tmp_path / "survived"
    disk = CutDisk(template.root, survived, looked)
    assert left(run_all(template, disk)) == {}
    assert len(moments) > 25
    for moment in moments:
        world = Mixed(moment, suffix)
        for name in ("kept", "doomed"):
            files = getattr(template, name).items()
            setattr(world, name, {moment / path.relative_to(template.root): data for path, data in files})
        world.check()
        assert left(run_all(world)) == {}, moment.name
        world.check()
        assert settled(world) == settled(calm), moment.name
