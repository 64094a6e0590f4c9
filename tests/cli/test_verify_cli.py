"""The command `verify`: what it prints, and the exit code a script acts on."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.cli.verify import command
from tests.archive.records import record, told
from tests.archive.samples import DAY, INST, VENUE, Sample, encode, lines, manifest


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "vault")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def spoil(sample: Sample) -> None:
    spoilt = lines()
    spoilt[1]["mid_price"] = "1"
    sample.put(sample.hour, encode(spoilt) + b"{")


def test_a_sound_archive(sample: Sample) -> None:
    result = run(sample.vault.root)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(sample.vault.root), "2 files, 5 lines, 0 defects"]
    assert result.stderr == ""


def test_defects_are_listed_with_file_and_line(sample: Sample) -> None:
    spoil(sample)
    result = run(sample.vault.root)
    assert result.exit_code == 1
    root, mid, torn, summary = result.stdout.splitlines()
    assert root == str(sample.vault.root)
    assert mid == f"{sample.hour}:2 mid mid_price is '1', the mean of the best prices '43250.75'"
    assert torn == f"{sample.hour}:6 torn_tail 1 bytes without an end of line"
    assert summary == "2 files, 5 lines, 2 defects"


def test_json(sample: Sample) -> None:
    spoil(sample)
    sample.put(sample.hour.with_name("notes.txt"), b"")
    sealed = manifest(sample.hour.read_bytes(), lines(), origin="override")
    sample.put(sample.manifest, encode([sealed]))
    result = run("--json", sample.vault.root)
    assert result.exit_code == 1
    assert result.stderr == f"{sample.vault.root}\n"
    report = json.loads(result.stdout)
    assert [(defect["path"], defect["line"], defect["reason"]) for defect in report.pop("defects")] == [
        (str(sample.hour), 2, "mid"),
        (str(sample.hour), 6, "torn_tail"),
    ]
    assert report == {
        "paths": [str(sample.vault.root)],
        "files": 3,
        "lines": 5,
        "foreign": [str(sample.hour.with_name("notes.txt"))],
        "not_live": [{"path": str(sample.manifest), "origin": "override"}],
        "deleted": [],
    }


def test_hours_that_are_not_live_and_foreign_files_are_named(sample: Sample) -> None:
    sample.put(sample.manifest, encode([manifest(sample.hour.read_bytes(), lines(), origin="replay")]))
    sample.put(sample.hour.with_name("notes.txt"), b"")
    result = run(sample.vault.root)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        f"note: {sample.hour.with_name('notes.txt')} is no file of the archive",
        f"note: {sample.manifest} tells of lines whose origin is replay, not live",
        "3 files, 5 lines, 0 defects",
    ]


def test_what_retention_deleted_is_named_and_is_no_defect(sample: Sample) -> None:
    data = sample.hour.read_bytes()
    sample.hour.unlink()
    record(sample, told("deleted", data), told("deleted", data, hour=18))
    book = sample.hour.parents[1]
    result = run(sample.vault.root)
    assert result.exit_code == 0
    span = f"{DAY}T15:00:00.000Z to {DAY}T19:00:00.000Z"
    assert result.stdout.splitlines()[1:] == [
        f"note: {book}: 2 hours deleted by retention, {span}, 10 lines",
        "2 files, 0 lines, 0 defects",
    ]
    span = {"from": f"{DAY}T15:00:00.000Z", "until": f"{DAY}T19:00:00.000Z"}
    expected = [{"path": str(book), "what": "hour", "count": 2, "lines": 10} | span]
    assert json.loads(run("--json", sample.vault.root).stdout)["deleted"] == expected


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not take")
def test_names_of_foreign_files_are_shown_on_one_line(sample: Sample) -> None:
    folder = os.fsencode(sample.hour.parent)
    for name in (b"\xff.jsonl", b"a\n0 defects.jsonl", b"\x1b[2Jnote"):
        Path(os.fsdecode(folder + b"/" + name)).touch()
    result = run(sample.vault.root)
    assert result.exit_code == 1
    book = f"{sample.hour.parent}/"
    assert result.stdout.splitlines()[1:] == [
        book + r"a\n0 defects.jsonl:0 foreign_file readers would take it for a line file",
        book + r"\udcff.jsonl:0 foreign_file readers would take it for a line file",
        "note: " + book + r"\x1b[2Jnote is no file of the archive",
        "2 files, 5 lines, 2 defects",
    ]


def test_a_relative_path_is_told_in_full(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample.vault.root)
    result = run("raw", Path("meta") / VENUE / "events" / f"{DAY}.jsonl")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        str(sample.vault.root / "raw"),
        str(sample.ledger),
        "2 files, 5 lines, 0 defects",
    ]


@pytest.mark.parametrize("name", ["gone", "empty", "notes.txt"])
def test_nothing_to_verify(sample: Sample, name: str) -> None:
    (sample.vault.root / "empty").mkdir()
    (sample.vault.root / "notes.txt").touch()
    path = sample.vault.root / name
    for arguments in ((path,), (sample.vault.root, path), ("--json", path)):
        result = run(*arguments)
        assert result.exit_code == 2
        assert f"Error: {path}" in result.stderr
        assert "Traceback" not in result.output


def test_a_file_that_only_looks_like_a_line_file_is_a_defect(sample: Sample) -> None:
    path = sample.put(sample.hour.with_name("copy.jsonl"), b"")
    result = run(path)
    assert result.exit_code == 1
    assert f"{path}:0 foreign_file" in result.stdout


def test_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert f"l2-exporter verify vault/raw/okx/l2_perps/{INST}/" in result.stdout
