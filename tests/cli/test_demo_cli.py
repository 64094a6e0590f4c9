"""`demo`: records a simulation into a vault of its own, checks it, and takes no settings from anywhere."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.tools.processes import everything


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_records_verifies_and_sums_up(folder: Path) -> None:
    result = CliRunner().invoke(cli, ["demo", "--duration", "2", "--faults", "drop@1s"])
    assert result.exit_code == 0, result.output
    (vault,) = (folder / "vault-demo").iterdir()
    assert result.output.startswith(f"vault: {vault}\n")
    assert "verify: 0 defects" in result.output
    books = re.findall(
        r"^  okx (l2_\w+/\S+): \d+ messages, (\d+) lines, (\d+) losses; checksums", result.output, re.MULTILINE
    )
    assert [name for name, _, _ in books] == ["l2_perps/BTC-USDT-SWAP", "l2_perps/ETH-USDT-SWAP", "l2_spot/BTC-USDT"]
    assert all(int(lines) > 0 for _, lines, _ in books)
    assert {name.split("/")[0] for name in everything(folder)} == {"vault-demo"}
    assert (vault / "meta" / "logs" / "l2_exporter.log").exists()


@pytest.mark.parametrize(
    "args",
    [("--duration", "nan"), ("--duration", "0"), ("--venues", "nasdaq"), ("--faults", "dorp:1"), ("--vault", "")],
)
def test_what_it_refuses(folder: Path, args: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, ["demo", *args])
    assert result.exit_code == 2, result.output
    assert everything(folder) == {}


def test_a_broken_schema_is_exit_code_3() -> None:
    result = CliRunner().invoke(cli, ["demo", "--duration", "20", "--faults", "schema_change@0s"])
    assert result.exit_code == 3, result.output
    assert result.output.count("BUILD_FAIL venue=okx channel=books missing=") == 1
