"""`verify --rederive` and `--jobs` as their user meets them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.cli.verify import command
from tests.tools.recorded import DAY, record


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return record(tmp_path / "vault")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_vault_is_made_again(vault: Path) -> None:
    result = run("--rederive", "--jobs", 2, vault)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(vault), "made again: 4 hours, 24 lines", "8 files, 24 lines, 0 defects"]


def test_a_difference_and_hours_left_out(vault: Path, tmp_path: Path) -> None:
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    for path in vault.rglob("tape/okx/*/*-r1.jsonl"):
        path.rename(tapes / path.name)
    hour = vault / f"raw/okx/l2_perps/BTC-USDT-SWAP/{DAY}/13.jsonl"
    hour.write_bytes(hour.read_bytes().replace(b'"seqId":107', b'"seqId":108'))
    result = run("--rederive", "--json", "--tapes", tapes, vault)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [(defect["reason"], defect["line"], defect["detail"]) for defect in report["defects"]] == [
        ("rederived", 2, "seqId is 108, the tapes make 107")
    ]
    assert report["rederived"]["hours"] == 1
    assert [Path(one["path"]).name for one in report["rederived"]["left_out"]] == ["10.jsonl", "11.jsonl", "12.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tapes", "{vault}", "{vault}"), "--tapes goes with --rederive"),
        (("--rederive", "{vault}/raw"), "--rederive needs one PATH, the root of a vault"),
        (("--rederive", "--tapes", "{vault}/raw/okx/l2_perps/BTC-USDT-SWAP", "{vault}"), ""),
        (("--jobs", "0", "{vault}"), "--jobs"),
    ],
)
def test_wrong_usage(vault: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*(argument.format(vault=vault) for argument in arguments))
    if said:
        assert result.exit_code == 2
        assert said in result.stderr
    else:  # hour files are no tapes: they are named, and nothing is compared
        assert result.exit_code == 1
        assert result.stdout.count(" damaged ") == 4


def test_no_tapes(tmp_path: Path) -> None:
    vault = record(tmp_path / "vault", tape=False)
    for path in vault.rglob("tape/okx/*/*.jsonl"):
        path.unlink()
    result = run("--rederive", vault)
    assert "there are no tapes" in str(result.exception)
