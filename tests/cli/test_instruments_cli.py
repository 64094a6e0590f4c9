"""The command `instruments`: what it prints, and one clear line where the venue cannot be asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.archive.metadata import metadata_object
from l2_exporter.cli.instruments import command
from l2_exporter.cli.main import Group
from l2_exporter.venues.okx import Okx
from l2_exporter.venues.registry import VENUES
from tests.runtime.webserver import Server, closed_port, page, serving
from tests.venues.test_okx_instruments import BTC_USD_CALL, BTC_USD_FUTURE, BTC_USD_SWAP, BTC_USDT, BTC_USDT_SWAP, body

ROOT = "/api/v5/public"
UM_SWAP = {**BTC_USD_SWAP, "instId": "BTC-USD_UM-SWAP", "ctType": "linear", "settleCcy": "USDⓈ", "tickSz": ""}

TABLE = """\
id                      symbol         market   kind     contract  tick    lot         state  expiry
BTC-USD-SWAP            BTC/USD:BTC    perp     inverse  100 USD   0.1     1           live   -
BTC-USDT-SWAP           BTC/USDT:USDT  perp     linear   0.01 BTC  0.1     0.01        live   -
BTC-USD_UM-SWAP         BTC/USD:USDⓈ   perp     linear   100 USD   -       1           live   -
BTC-USD-241220          BTC/USD:BTC    futures  inverse  100 USD   0.1     1           live   2024-12-20T08:00Z
BTC-USDT                BTC/USDT       spot     -        -         0.1     0.00000001  live   -
BTC-USD-241217-92000-C  BTC/USD:BTC    option   inverse  0.01 BTC  0.0001  1           live   2024-12-17T08:00Z
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.pages = {
            f"{ROOT}/instruments?instType=SPOT": page(body(BTC_USDT)),
            f"{ROOT}/instruments?instType=SWAP": page(body(UM_SWAP, BTC_USDT_SWAP, BTC_USD_SWAP)),
            f"{ROOT}/instruments?instType=FUTURES": page(body(BTC_USD_FUTURE)),
            f"{ROOT}/underlying?instType=OPTION": page(body(["BTC-USD"])),
            f"{ROOT}/instruments?instType=OPTION&uly=BTC-USD": page(body(BTC_USD_CALL)),
        }
        yield server


def run(*arguments: object) -> Result:
    return CliRunner().invoke(Group(commands=[command]), ["instruments", *map(str, arguments)])


def test_all_markets_in_order(server: Server) -> None:
    result = run("okx", "--rest-url", server.url)
    assert result.exit_code == 0, result.output
    assert result.stdout == TABLE
    assert result.stderr == "6 of 6 instruments\n"


def test_markets_and_text_select(server: Server) -> None:
    result = run("okx", "--rest-url", server.url, "--market", "perp", "--market", "spot", "--match", "btc/usdt")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", "BTC-USDT-SWAP", "BTC-USDT"]
    assert result.stderr == "2 of 4 instruments\n"
    assert server.asked == [f"{ROOT}/instruments?instType=SWAP", f"{ROOT}/instruments?instType=SPOT"]


def test_nothing_matches(server: Server) -> None:
    result = run("okx", "--rest-url", server.url, "--market", "spot", "--match", "doge")
    assert (result.exit_code, result.stderr) == (0, "0 of 1 instruments\n")


def test_json_is_the_metadata_of_the_archive(server: Server) -> None:
    result = run("okx", "--rest-url", server.url, "--market", "option", "--json")
    assert result.exit_code == 0
    (expected,) = Okx().decode_instruments(body(BTC_USD_CALL))
    (printed,) = json.loads(result.stdout)
    assert list(printed.items()) == list(metadata_object(expected).items())


def test_an_unknown_venue() -> None:
    result = run("okex")
    known = ", ".join(VENUES)
    assert (result.exit_code, result.stderr) == (2, f"error: no venue is called 'okex'; there are: {known}\n")


def test_a_venue_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url = f"http://127.0.0.1:{closed_port()}"
    result = run("okx", "--rest-url", url, "--market", "perp")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"error: okx: the list of instruments could not be fetched from {url}{ROOT}/instruments?instType=SWAP: "
        "ConnectionError (ConnectionRefusedError"
    )


def test_an_answer_that_is_no_list(server: Server) -> None:
    server.pages[f"{ROOT}/instruments?instType=SWAP"] = page("<html>not in your country</html>")
    result = run("okx", "--rest-url", server.url, "--market", "perp")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: OKX answered its list of instruments with something else than JSON: "
        "'<html>not in your country</html>'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rest-url", "okx.com"), "a REST address looks like https://www.okx.com, not 'okx.com'"),
        (("--ca-file", "nowhere.pem"), "ca_file 'nowhere.pem' is not a file"),
        (("--market", "lottery"), "'lottery' is not one of"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("okx", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_signs_that_the_output_cannot_hold(server: Server) -> None:
    runner = CliRunner(charset="cp1252")
    result = runner.invoke(command, ["okx", "--rest-url", server.url, "--market", "perp", "--match", "_UM"])
    assert result.exit_code == 0, result.exception
    assert "BTC/USD:USD?" in result.stdout
