"""`record` and what it refuses: one clear line, the documented exit code, and not a file in the vault."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.cli.main import cli
from tests.tools.processes import everything, exchange

URLS = ("--ws-url", "okx=ws://127.0.0.1:9", "--rest-url", "okx=http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without settings from outside."""
    for name in [name for name in os.environ if name.startswith("L2_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(*args: str) -> Result:
    return CliRunner().invoke(cli, ["record", *args])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--no-such-flag",), "No such option"),
        (("--cadence", "0"), "between 0.01 and 3600"),
        (("--cadence", "2s"), "plain decimals"),
        (("--cadence", "0.0105"), "millisecond"),
        (("--depth", "0"), "not in the range"),
        (("--duration", "0"), "not in the range"),
        (("--duration", "-1"), "not in the range"),
        (("--duration", "nan"), "no number of seconds"),
        (("--duration", "inf"), "no number of seconds"),
        (("-i", "kraken7:BTC/USD"), "no venue is called"),
        (("-i", "okx:"), "names no instrument"),
        (("-i", "okx:BTC-USDT", "-i", "BTC-USDT"), "twice"),
        (("-i", "okx:BTC-USDT", "-i", "okx:btc-usdt"), "btc-usdt"),
        (("--ws-url", "okx=http://127.0.0.1:9"), "wss:// or ws://"),
        (("--rest-url", "okx=ws://127.0.0.1:9"), "https:// or http://"),
        (("--ws-url", "okx=ws://127.0.0.1:0"), "okx"),
        (("--ws-url", "okx=ws://127.0.0.1:99999"), "okx"),
        (("--ws-url", "ws://127.0.0.1:9"), "okx=ws://"),
        (("--ws-url", "nowhere=ws://127.0.0.1:9"), "no venue is called"),
        (("--ws-url", "okx=ws://me:secret@127.0.0.1:9"), "no password"),
        (("--config", "none.toml"), "no such file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(folder: Path, args: tuple[str, ...], words: str) -> None:
    result = record("--vault", "vault", *args)
    assert (result.exit_code, words in result.output) == (2, True), result.output
    assert "Traceback" not in result.output
    assert everything(folder) == {}


@pytest.mark.parametrize("args", [("--vault", ""), URLS, URLS[:2], URLS[2:]])
def test_a_vault_must_be_named(folder: Path, args: tuple[str, ...]) -> None:
    result = record(*args)
    assert (result.exit_code, "--vault" in result.output) == (2, True)
    assert everything(folder) == {}


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[record\n", "l2.toml: line 1"),
        ("[record]\ncadense_s = 2\n", "did you mean `cadence_s`?"),
        ("[recrod]\n", "did you mean [record]?"),
        ("vault = 'a'\nvault = 'b'\n", "l2.toml: line 2"),
        ('vault = "C:\\temp"\n', "use single quotes"),
        ("[record]\ninstruments = 'okx:BTC-USDT'\n", "a list such as"),
        ("[venue.okx]\nws_url = 'ws://127.0.0.1:9'\n", "name the vault with --vault"),
    ],
)
def test_settings_that_cannot_be_are_refused(folder: Path, toml: str, words: str) -> None:
    path = folder / "l2.toml"
    path.write_text(toml)
    result = record()
    assert (result.exit_code, words in result.output) == (2, True), result.output
    assert [*everything(folder)] == ["l2.toml"]


def test_unknown_instruments_are_refused_with_those_that_may_have_been_meant(folder: Path) -> None:
    with exchange() as served:
        urls = ("--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}")
        result = record("--vault", "vault", *urls, "-i", "okx:BTC-USD-SWAP", "-i", "okx:ETH-USDT-SWAP")
    assert result.exit_code == 2
    assert result.output.splitlines()[1:] == [
        "error: okx lists no BTC-USD-SWAP; did you mean BTC-USDT-SWAP or ETH-USDT-SWAP?"
    ]
    assert everything(folder) == {}


def test_an_id_that_looks_like_another_market_finds_its_near_matches_all_the_same(folder: Path) -> None:
    with exchange() as served:
        urls = ("--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}")
        result = record("--vault", "vault", *urls, "-i", "okx:ETH-USDT-SWAPP")
    assert result.exit_code == 2
    assert "okx lists no ETH-USDT-SWAPP; did you mean ETH-USDT-SWAP" in result.output
    assert everything(folder) == {}


@pytest.mark.parametrize("what", ["vault", "meta", "lock"])
def test_a_vault_that_cannot_be_written(folder: Path, what: str) -> None:
    vault = folder / "vault"
    if what == "vault":
        vault.write_bytes(b"a file")
    elif what == "lock":
        (vault / "meta" / "okx" / ".lock").mkdir(parents=True)
    else:
        vault.mkdir()
        (vault / "meta").write_bytes(b"a file")
    result = record("--vault", str(vault), *URLS, "--duration", "0.5")
    assert "Traceback" not in result.output
    if what == "vault":
        assert result.exit_code == 2
    else:
        assert result.exit_code == 5, result.output
        assert result.output.splitlines()[-1].startswith("error: ")


def test_a_log_that_cannot_be_written(folder: Path) -> None:
    (folder / "occupied").write_bytes(b"")
    result = record("--vault", "vault", *URLS, "--log-file", "occupied/l2.log")
    assert result.exit_code == 5
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert line == f"error: the log {folder}/occupied/l2.log cannot be written: Not a directory"
    assert not (folder / "vault").exists()


def test_certificates_that_are_none(folder: Path) -> None:
    (folder / "ca.pem").write_text("no certificate")
    (folder / "l2.toml").write_text("[venue.okx]\nca_file = 'ca.pem'\n")
    result = record("--vault", "vault", "--ws-url", "okx=wss://127.0.0.1:9", *URLS[2:])
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith(f"error: ca_file {folder}/ca.pem cannot be used: ")
    assert not (folder / "vault").exists()
