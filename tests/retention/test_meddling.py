"""Somebody writes to a file while the job is at it: whatever the moment, the bytes stay."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.retention.faulty import FaultyDisk, full
from tests.retention.running import left, run
from tests.retention.vaults import World, lines


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "v")


class Meddling(FaultyDisk):
    """A disk on which somebody else acts before a call of one kind."""

    def __init__(self, call: str, act: Callable[[], object]) -> None:
        super().__init__(0, full)
        self._call = call
        self._act = act

    def rename(self, old: Path, new: Path) -> None:
        if self._call == "rename":
            self._act()
        super().rename(old, new)

    def write(self, fd: int, data: bytes) -> None:
        if self._call == "write":
            self._act()
        super().write(fd, data)

    def open_append(self, path: Path) -> int:
        if self._call == "open_append":
            self._act()
        return super().open_append(path)


@pytest.mark.parametrize("call", ["write", "rename"])
def test_a_file_that_grows_meanwhile_is_left(world: World, call: str) -> None:
    plain = world.put(world.hour(9), lines(1))

    def grow() -> None:
        if plain.stat().st_size == len(lines(1)):
            with plain.open("ab") as file:
                file.write(lines(2, 1))

    result = run(world, disk=Meddling(call, grow))
    assert re.search("changed|grew", left(result)["03.jsonl"])
    assert [path.name for path in plain.parent.iterdir()] == ["03.jsonl"]
    assert plain.read_bytes() == lines(1) + lines(2, 1)
    assert world.record() == []


@pytest.mark.parametrize(("ago", "action"), [(9, "compressed"), (200, "deleted")])
def test_a_file_that_grows_while_it_is_recorded_stays(world: World, ago: int, action: str) -> None:
    """The line stands then; what it tells of comes true, with other bytes, in the next run."""
    plain = world.put(world.hour(ago), lines(1))
    whole = lines(1) + lines(2, 1)
    result = run(world, disk=Meddling("open_append", lambda: plain.write_bytes(whole)))
    assert "it changed after it was read" in left(result)[plain.name]
    assert [path.name for path in plain.parent.iterdir()] == [plain.name]
    assert plain.read_bytes() == whole
    assert left(run(world)) == {}
    assert not plain.exists()
    assert [(line["action"], line["bytes"]) for line in world.record()] == [
        (action, len(lines(1))),
        (action, len(whole)),
    ]
