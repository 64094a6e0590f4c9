"""Whose vault it is: one recorder at a time, and nothing simulated or replayed ever gets into the default one."""

from pathlib import Path

import pytest

from tests.tools.processes import (
    everything,
    exchange,
    ledger,
    line_count,
    live_in,
    recorder,
    run,
    until,
    verify,
)

HOSTILE = """
[record]
max_instruments = 2
[venue.okx]
channel = "books5"
ws_url = "ws://127.0.0.1:9"
[log]
file = "vault/meta/logs/l2_exporter.log"
"""


def test_a_vault_has_one_writer(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, recorder(vault, served, "--cadence", "0.05", "--tape") as process:
        until(live_in(vault), "live")
        with recorder(vault, served) as second:
            assert second.ended() == 4
            assert second.complaint.count("\n") == 1
            assert f"process {process.popen.pid}" in second.complaint
        tapes = [str(path) for path in (vault / "tape").rglob("*.jsonl")]
        replayed = run("replay", *tapes, "--vault", str(vault))
        assert (replayed.returncode, replayed.stderr.count("\n")) == (4, 1)
        before = line_count(vault)
        until(lambda: line_count(vault) > before, "the first one goes on")
        assert process.stop() == 0, process.said
    assert [entry["kind"] for entry in ledger(vault)].count("started") == 1
    assert verify(vault) == ""


@pytest.mark.parametrize("toml", ["", HOSTILE])
def test_nothing_gets_into_the_default_vault_unasked(tmp_path: Path, toml: str) -> None:
    vault = tmp_path / "vault"
    with exchange() as served:
        with recorder(vault, served, "--cadence", "0.05", "--tape", folder=tmp_path / "run") as process:
            until(live_in(vault), "live")
            assert process.stop() == 0
        before = everything(vault)
        if toml:
            (tmp_path / "l2.toml").write_text(toml)
        tape = next(str(path) for path in (vault / "tape").rglob("*okx-1*.jsonl"))
        urls = ("--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}")
        refused = [("replay", tape), ("record", *urls), ("record", *urls[:2]), ("record", *urls[2:])]
        for args in [*refused, *([("record",)] if toml else [])]:
            done = run(*args, cwd=tmp_path, env={"L2_VAULT": str(vault)} if not toml else {})
            assert (done.returncode, "--vault" in done.stderr) == (2, True), (args, done.stdout, done.stderr)
        done = run("demo", "--duration", "1", cwd=tmp_path, env={"L2_VAULT": str(vault)})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "verify: 0 defects" in done.stdout
        done = run("replay", tape, "--vault", "rebuilt", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        named = ("--vault", "named", "--duration", "0.3", "--log-file", "named.log", "-i", "BTC-USDT-SWAP")
        done = run("record", *urls, *named, cwd=tmp_path, env={"L2_VAULT": str(vault)})
        assert done.returncode == 0, done.stderr
    assert everything(vault) == before


def test_a_demo_refuses_a_vault_with_lines(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, recorder(vault, served, "--cadence", "0.05") as process:
        until(live_in(vault), "live")
        assert process.stop() == 0
    before = everything(vault)
    assert run("demo", "--duration", "1", "--vault", str(vault)).returncode == 2
    assert everything(vault) == before
