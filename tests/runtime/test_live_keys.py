"""Keys: they open the channel that needs them, and appear nowhere: no log, tape, error, status, ledger or line."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.simulator.dialects.coinbase_full import TEST_KEY, TEST_PASSPHRASE, TEST_SECRET, signature
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.running import running_exchange
from l2_exporter.venues.registry import line_rules
from tests.tools.processes import everything

INSTS = ("BTC-USD", "ETH-USD")
CONFIG = "[venue.coinbase]\nchannel = 'full'\n"
FILE = f"key = '{TEST_KEY}'\nsecret = '{TEST_SECRET}'\npassphrase = '{TEST_PASSPHRASE}'\n"
WRONG = base64.b64encode(b"another secret of 32 bytes length").decode()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the channel `full` chosen, and without settings from outside."""
    for name in [name for name in os.environ if name.startswith("L2_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l2.toml").write_text(CONFIG)
    return tmp_path


def key_file(folder: Path, text: str = FILE, mode: int = 0o600) -> None:
    (folder / "l2.toml").write_text(CONFIG + "key_file = 'keys.toml'\n")
    (folder / "keys.toml").write_text(text)
    (folder / "keys.toml").chmod(mode)


def record(*args: str) -> Result:
    return CliRunner().invoke(cli, ["record", "--vault", "vault", "-i", "coinbase:BTC-USD", *args])


def recorded(duration: str) -> Result:
    """Record from a simulated exchange that checks the keys."""
    with running_exchange(Settings("coinbase", seed=3, instruments=INSTS)) as served:
        urls = ("--ws-url", f"coinbase={served.ws_url}", "--rest-url", f"coinbase={served.rest_url}")
        return record("-i", "coinbase:ETH-USD", "--tape", "--duration", duration, *urls)


def lines_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(root.rglob("*.jsonl")) for line in path.read_text().splitlines()]


def assert_hidden(folder: Path, output: str, *secrets: str) -> None:
    """Look for secrets in all that was written and said."""
    files = {name: content for name, content in everything(folder).items() if name != "keys.toml"}
    assert any("tape" in name for name in files)
    for secret in secrets:
        assert secret not in output
        assert [name for name, content in files.items() if secret.encode() in content] == []


@pytest.mark.parametrize("way", ["file", "environment"])
def test_orders_are_recorded_and_no_secret_is_written(way: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "file":
        key_file(folder)
    else:
        for part, text in (("KEY", TEST_KEY), ("SECRET", TEST_SECRET), ("PASSPHRASE", TEST_PASSPHRASE)):
            monkeypatch.setenv(f"L2_COINBASE_{part}", text)
    result = recorded("4")
    assert result.exit_code == 0, result.output
    ledger = lines_of(folder / "vault/meta/coinbase/events")
    assert sorted(entry["instId"] for entry in ledger if entry["kind"] == "live") == [*INSTS]
    assert [entry for entry in ledger if entry["kind"] in ("gap", "canary")] == []
    for inst in INSTS:
        lines = lines_of(folder / f"vault/raw/coinbase/l3_spot/{inst}")
        assert {line["type"] for line in lines} >= {"live", "open", "done"}
        assert [line["n"] for line in lines] == [*range(len(lines))]
    assert [*verify([folder / "vault"], line_rules())] == []
    stamps = {line.get("frame") for line in lines_of(folder / "vault/tape")}
    assert '{"type":"subscribe","product_ids":["BTC-USD","ETH-USD"],"channels":["full"]}' in stamps
    assert_hidden(folder, result.output, TEST_KEY, TEST_SECRET, TEST_PASSPHRASE, '"signature"')


def test_keys_the_venue_refuses_are_no_reason_to_write_them_down(folder: Path) -> None:
    key_file(folder, FILE.replace(TEST_SECRET, WRONG))
    result = recorded("2")
    assert result.exit_code == 0, result.output
    ledger = (b"").join(path.read_bytes() for path in (folder / "vault/meta/coinbase/events").glob("*"))
    assert b'"refused"' in ledger
    assert_hidden(folder, result.output, TEST_KEY, WRONG, TEST_PASSPHRASE, signature("1", "/"))


def test_without_keys_it_is_said_what_the_venue_allows(folder: Path) -> None:
    result = record()
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == (
        "error: coinbase: the channel full needs keys of the venue: set L2_COINBASE_KEY, L2_COINBASE_SECRET, "
        "L2_COINBASE_PASSPHRASE, or [venue.coinbase] key_file; without keys are recorded: level2_batch, level2"
    )
    assert [*everything(folder)] == ["l2.toml"]


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (FILE, 0o644, "can be read by others: chmod 600 it"),
        (FILE, 0o640, "can be read by others: chmod 600 it"),
        (FILE.replace("'\n", "\n"), 0o600, "is no TOML; it holds lines such as: key = 'abc'"),
        (FILE.replace(f"'{TEST_SECRET}'", "[1]"), 0o600, "secret must be a text in quotes"),
        (FILE.replace(f"'{TEST_SECRET}'", "''"), 0o600, "secret must be a text in quotes"),
        (FILE.replace("secret", "secrets"), 0o600, "set L2_COINBASE_SECRET, or [venue.coinbase] key_file"),
        (FILE.replace(TEST_SECRET, "no base64!"), 0o600, "the secret of Coinbase is not base64"),
    ],
)
def test_key_files_that_cannot_be_used(text: str, mode: int, why: str, folder: Path) -> None:
    key_file(folder, text, mode)
    result = record()
    assert (result.exit_code, why in result.output) == (2, True), result.output
    for secret in (TEST_KEY, TEST_SECRET, TEST_PASSPHRASE, "no base64!"):
        assert secret not in result.output
    assert not (folder / "vault").exists()


def test_a_channel_whose_venue_cannot_be_signed_in_to_is_refused(folder: Path) -> None:
    (folder / "l2.toml").write_text("[venue.okx]\nchannel = 'books-l2-tbt'\n")
    result = CliRunner().invoke(cli, ["record", "--vault", "vault", "-i", "okx:BTC-USDT"])
    assert result.exit_code == 2
    assert "signing in there is not supported; without keys: books, books5, bbo-tbt" in result.output
