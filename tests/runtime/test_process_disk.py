"""A recorder on a disk that fills up, on one that is full, and what it says of it (a small tmpfs, as root)."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2_exporter.archive.writer import ROOM_BYTES
from l2_exporter.runtime.session import TAPE_NEEDS_BYTES
from tests.runtime.test_process_kill import assert_sound
from tests.tools.processes import (
    Entry,
    Process,
    everything,
    exchange,
    ledger,
    line_count,
    lines,
    live_in,
    recorder,
    run,
    state_is,
    status_of,
    until,
)

SIZE_BYTES = 2 * TAPE_NEEDS_BYTES
FAST = ("--cadence", "0.05")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system of its own can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(folder: Path, free_bytes: int) -> None:
    """Let a file of somebody else's take all room but this."""
    stats = os.statvfs(folder)
    more = stats.f_bavail * stats.f_frsize - free_bytes
    path = folder / "filler"
    with path.open("ab") as file:
        if more > 0:
            os.posix_fallocate(file.fileno(), path.stat().st_size, more)


def kinds(vault: Path, *wanted: str) -> list[tuple[str, str | None, str | None]]:
    """Return kind, instrument and reason of some ledger lines."""
    events = ledger(vault, torn=True)
    return [(entry["kind"], entry["instId"], entry["reason"]) for entry in events if entry["kind"] in wanted]


def is_suspended(vault: Path, process: Process) -> bool:
    found: Entry = status_of(vault, process) or {}
    return found.get("books_suspended") == 2


SUSPENDED = [("write_suspended", inst, None) for inst in ("BTC-USDT-SWAP", "ETH-USDT-SWAP")]


def assert_only_declared_lines_are_missing(vault: Path) -> None:
    """Check that the books stayed live, and that what is missing is what the ledger says."""
    for of_book in lines(vault).values():
        assert len({line["live_since_utc"] for line in of_book}) == 1
    for resumed in ledger(vault, "write_resumed"):
        of_book = lines(vault)[f"l2_perps/{resumed['instId']}"]
        lost = [line for line in of_book if resumed["since_event"] <= line["timestamp_utc"] < resumed["until_event"]]
        assert lost == []
        assert resumed["until_event"] in [line["timestamp_utc"] for line in of_book]
        assert resumed["detail"]["lines_lost"] > 0


def test_a_disk_that_fills_and_empties_again(small: Path, tmp_path: Path) -> None:
    vault = small / "vault"
    with (
        exchange(interval_ns=5_000_000) as served,
        recorder(vault, served, *FAST, "--tape", folder=tmp_path) as process,
    ):
        until(live_in(vault), "live")
        leave(small, TAPE_NEEDS_BYTES - 4_000_000)
        until(lambda: kinds(vault, "write_suspended"), "the tape stops")
        assert kinds(vault, "write_suspended") == [("write_suspended", None, "tape")]
        before = line_count(vault)
        until(lambda: line_count(vault) > before, "lines go on")
        leave(small, 100_000)
        until(lambda: is_suspended(vault, process), "the status tells it")
        full = status_of(vault, process)
        assert full is not None
        assert full["state"] == "live"
        assert full["disk"]["free_bytes"] < ROOM_BYTES
        assert sorted(kinds(vault, "write_suspended")[1:]) == SUSPENDED
        said = run("status", "--vault", str(vault))
        assert (said.returncode, "the disk takes no lines of 2 books" in said.stdout) == (1, True)
        (small / "filler").unlink()
        until(lambda: len(kinds(vault, "write_resumed")) == 2, "lines are written again")
        until(state_is(vault, process, "live"), "live")
        assert process.stop() == 0, process.said
    assert_sound(vault)
    assert kinds(vault, "gap", "disconnected") == []
    assert_only_declared_lines_are_missing(vault)
    assert (vault / "meta" / "okx" / ".reserve").exists()


def test_a_stop_on_a_full_disk_and_a_start_on_it(small: Path, tmp_path: Path) -> None:
    vault = small / "vault"
    with exchange() as served:
        with recorder(vault, served, *FAST, folder=tmp_path) as process:
            until(live_in(vault), "live")
            leave(small, 100_000)
            until(lambda: is_suspended(vault, process), "full")
            assert process.stop() == 0, process.said
        assert ledger(vault)[-1]["kind"] == "stopped"
        before = line_count(vault)
        with recorder(vault, served, *FAST, folder=tmp_path) as process:
            assert process.ended() == 5
            assert process.complaint.count("\n") == 1
            assert process.complaint.startswith("error: the vault cannot be written: ")
        assert line_count(vault) == before
        (small / "filler").unlink()
        with recorder(vault, served, *FAST, folder=tmp_path) as process:
            until(state_is(vault, process, "live"), "live")
            assert process.stop() == 0, process.said
    assert_sound(vault)


def test_a_start_on_a_read_only_disk(small: Path, tmp_path: Path) -> None:
    with exchange() as served:
        with recorder(small / "vault", served, "--duration", "0.5", folder=tmp_path) as process:
            assert process.ended() == 0, process.said
        before = everything(small)
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        with recorder(small / "vault", served, folder=tmp_path) as process:
            assert process.ended() == 5, process.said
            assert process.complaint.count("\n") == 1
            assert process.complaint.endswith("Read-only file system\n")
    assert everything(small) == before
