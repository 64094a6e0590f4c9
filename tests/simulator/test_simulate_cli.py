"""The command `simulate`: its first lines, its end, its truth, its refusals."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result
from websockets.sync.client import connect

from l2_exporter.cli.main import Group
from l2_exporter.cli.simulate import command
from tests.simulator.naive import BTC, ask

PROGRAM = "from l2_exporter.cli.simulate import command; command()"


def simulate(*args: str) -> Result:
    """Run the command as the program does, with its exit codes."""
    group = Group("l2-exporter", commands=[command])
    return CliRunner().invoke(group, ["simulate", *args])


def test_the_addresses_come_first() -> None:
    result = simulate("--port", "0", "--duration", "0")
    first, second, _ = result.output.splitlines()
    assert result.exit_code == 0
    assert first.startswith("ws:   ws://127.0.0.1:")
    assert first.endswith("/ws/v5/public")
    assert second.startswith("rest: http://127.0.0.1:")


def test_json_is_one_object() -> None:
    result = simulate("--port", "0", "--duration", "0", "--json", "--seed", "5", "--instruments", "2")
    report = json.loads(result.output)
    assert list(report) == ["venue", "ws_url", "rest_url", "seed", "instruments"]
    assert (report["venue"], report["seed"], report["instruments"]) == ("okx", 5, [BTC, "ETH-USDT-SWAP"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--faults", "dorp:0.1"], "did you mean drop?"),
        (["--venue", "okex"], "did you mean okx?"),
        (["--instruments", "btc"], "no ids like 'btc'"),
        (["--interval", "fast"], "--interval must be seconds"),
        (["--interval", "0"], "above 0"),
        (["--truth", "/nowhere/at/all.jsonl"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(args: list[str], says: str) -> None:
    result = simulate("--port", "0", "--duration", "0", *args)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_port_that_is_taken_is_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = simulate("--port", str(taken.getsockname()[1]), "--duration", "0")
    assert result.exit_code == 2
    assert "is taken; choose another, or 0 for a free one" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_interrupted_and_leaves_the_truth_whole(number: signal.Signals, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    args = ["--port", "0", "--json", "--interval", "0.02", "--faults", "drop:0.5", "--truth", str(truth)]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *args], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        report = json.loads(process.stdout.readline())
        assert requests.get(f"{report['rest_url']}/api/v5/public/time", timeout=10).status_code == 200
        with connect(report["ws_url"]) as link:
            link.send(ask("subscribe", BTC))
            frames = [json.loads(link.recv(timeout=10)) for _ in range(10)]
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    lines = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    seen = {line["seq"] for line in lines if "seq" in line}
    assert {frame["data"][0]["seqId"] for frame in frames if "data" in frame} <= seen
    assert {line["fault"] for line in lines if "fault" in line} == {"drop"}
