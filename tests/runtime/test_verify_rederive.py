"""Lines made again from tapes: the same bytes, or the file and the first line that differs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.runtime.rederive import Rederived, rederive, tapes_of
from tests.okx_frames import INST
from tests.tools.recorded import DAY, SEALED, Frame, Run, moment, record, steps
from tests.tools.replaying import run_replay

BOOK = Path(f"raw/okx/l2_perps/{INST}/{DAY}")
LEDGER = Path(f"meta/okx/events/{DAY}.jsonl")


def again(vault: Path, *tapes: Path) -> tuple[list[tuple[str, int, str]], list[tuple[str, str]]]:
    """Make a vault again: the defects, and what was left out."""
    done = Rederived()
    found = [*rederive(vault, tapes_of(vault, tapes), lambda _path: True, done)]
    assert {str(defect.reason) for defect in found} <= {"rederived", "damaged"}
    left_out = [(path.name, why) for path, why in done.left_out]
    return [(defect.path.name, defect.line, defect.detail) for defect in found], left_out


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return record(tmp_path / "vault")


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_what_was_recorded_is_made_again_across_a_kill_and_a_loss(vault: Path) -> None:
    done = Rederived()
    assert [*rederive(vault, tapes_of(vault, ()), lambda _path: True, done)] == []
    assert (done.hours, done.left_out) == (4, [])
    assert done.lines == sum(len(lines_of(path)) for path in (vault / BOOK).glob("*.jsonl"))


def test_compressed_hours_and_tapes(vault: Path) -> None:
    for path in [vault / BOOK / "11.jsonl", *vault.rglob("tape/okx/*/*.jsonl")]:
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert again(vault) == ([], [])


def test_the_first_line_that_differs_is_named_of_every_file(vault: Path) -> None:
    for hour in ("10", "11"):
        path = vault / BOOK / f"{hour}.jsonl"
        lines = lines_of(path)
        lines[2:] = [line.replace(b'["100.5","3","0","1"]', b'["100.5","4","0","1"]') for line in lines[2:]]
        lines[2] = lines[2].replace(b'"best_bid":"100"', b'"best_bid":"101"')
        path.write_bytes(b"".join(lines))
    assert again(vault)[0] == [
        ("10.jsonl", 3, "best_bid is '101', the tapes make '100'"),
        ("11.jsonl", 3, "best_bid is '101', the tapes make '100'"),
    ]


def test_a_line_that_is_missing_or_too_many(vault: Path) -> None:
    path = vault / BOOK / "11.jsonl"
    lines = lines_of(path)
    stamps = [json.loads(line)["timestamp_utc"] for line in lines]
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert again(vault)[0] == [
        ("11.jsonl", 2, f"the tapes make a line of {stamps[1]} here, the file has one of {stamps[2]}")
    ]
    path.write_bytes(b"".join(lines[:-1]))
    assert again(vault)[0] == [("11.jsonl", len(lines), f"the tapes make a line of {stamps[-1]} here, the file ends")]
    path.write_bytes(b"".join([*lines, lines[-1]]))
    detail = f"the tapes make no line here, the file has one of {stamps[-1]}"
    assert again(vault)[0] == [("11.jsonl", len(lines) + 1, detail)]
    path.unlink()
    assert again(vault)[0] == [("11.jsonl", 1, f"the tapes make a line of {stamps[0]} here, the file ends")]


def note(vault: Path, kind: str, since: str, until: str | None = None) -> None:
    """Add a line about lines that were not written."""
    entry: dict[str, Any] = dict.fromkeys(("conn", "id", "reason", "since_received", "until_received"))
    entry |= {"at": f"{DAY}T12:00:00.000000Z", "kind": kind, "venue": "okx", "instId": INST, "since_event": since}
    entry |= {"until_event": until, "detail": {"dataset": "l2_perps"}}
    with (vault / LEDGER).open("a") as file:
        file.write(json.dumps(entry) + "\n")


@pytest.mark.parametrize("kind", ["write_suspended", "late_line"])
def test_lines_that_the_ledger_declares_unwritten_may_be_missing(vault: Path, kind: str) -> None:
    path = vault / BOOK / "11.jsonl"
    lines = lines_of(path)
    stamps = [json.loads(line)["timestamp_utc"] for line in lines]
    path.write_bytes(b"".join([*lines[:2], *lines[4:]]))
    assert len(again(vault)[0]) == 1
    note(vault, kind, stamps[2])
    if kind == "write_suspended":
        note(vault, "write_resumed", stamps[2], stamps[4])
    assert again(vault) == ([], [])
    path.write_bytes(b"".join([lines[0], *lines[4:]]))
    assert [line for _, line, _ in again(vault)[0]] == [2]


def test_hours_that_the_tapes_do_not_cover_are_left_out(vault: Path) -> None:
    """Without the tape of its second hour, a run cannot be made again from there on."""
    (vault / f"tape/okx/{DAY}/11-okx-1-r0.jsonl").unlink()
    found, left_out = again(vault)
    assert found == []
    assert left_out == [
        ("11.jsonl", "line 1 was not received on these tapes"),
        ("12.jsonl", "line 1 was not received on these tapes"),
    ]
    for path in vault.rglob("tape/okx/*/10-*"):
        path.unlink()
    assert [name for name, _ in again(vault)[1]] == ["10.jsonl", "11.jsonl", "12.jsonl"]


def test_a_damaged_tape_hides_nothing_of_the_others(vault: Path) -> None:
    tape = vault / f"tape/okx/{DAY}/10-okx-1-r0.jsonl"
    tape.write_bytes(tape.read_bytes().replace(b'"dir":"in"', b'"dir":"in'))
    path = vault / BOOK / "13.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"best_bid":"100"', b'"best_bid":"101"', 1))
    found, _ = again(vault)
    assert [(name, line) for name, line, _ in found] == [(tape.name, 0), ("13.jsonl", 1)]


def test_a_clean_stop_leaves_no_line_unwritten(tmp_path: Path) -> None:
    vault = record(tmp_path, [Run("10:00:00", steps("10:00:01", 8, 1), "10:00:20")])
    assert again(vault) == ([], [])
    path = vault / BOOK / "10.jsonl"
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    assert len(again(vault)[0]) == 1


def test_a_vault_made_from_tapes_of_others_with_settings_of_its_own(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    frames = [*steps("10:00:01", 8, 1), Frame("10:00:12", 30, 29), *steps("10:00:20", 8, 40)]
    inputs = [{"recv_ns": moment(frame.at), "dir": "in", "frame": frame.line().frame} for frame in frames]
    tape.write_text("".join(json.dumps(line) + "\n" for line in inputs))
    vault = tmp_path / "vault"
    run_replay(vault, tape, options=["--cadence", "1", "--depth", "1"])
    assert again(vault, tape) == ([], [])
    path = vault / BOOK / "10.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seqId":41', b'"seqId":42'))
    assert [(name, detail) for name, _, detail in again(vault, tape)[0]] == [
        ("10.jsonl", "seqId is 42, the tapes make 41")
    ]


def test_runs_are_made_again_with_the_past_they_had(tmp_path: Path) -> None:
    """The first run has no tape: the lines of the second begin behind its own."""
    vault = record(tmp_path, SEALED[:1], tape=False)
    record(vault, [Run("12:30:00", SEALED[1].frames, "13:00:09")])
    found, left_out = again(vault)
    assert found == []
    assert [name for name, _ in left_out] == ["10.jsonl", "11.jsonl", "12.jsonl"]
