"""A recorder without a network: it keeps trying, says so, and begins as soon as it can."""

import itertools
import random
from pathlib import Path

import pytest

from l2_exporter.runtime.reconnecting import reconnect_waits
from tests.tools.processes import (
    INSTRUMENTS,
    Entry,
    exchange,
    ledger,
    recorder,
    run,
    state_is,
    until,
    verify,
)

REFUSED = "127.0.0.1:9"
NOWHERE = "nonexistent.invalid"
SWIFT = """
import l2_exporter.runtime.reconnecting as r, l2_exporter.runtime.listing as l
import l2_exporter.runtime.record as c
r.FIRST_WAIT_S, r.LONGEST_WAIT_S, l.AGAIN_S, c.STATUS_EVERY_S = 0.05, 0.3, 0.3, 0.1
"""


def why(entry: Entry) -> str:
    return str(entry["detail"]["why"]).strip("'\"")


def told_of(vault: Path, words: str) -> str:
    """Ask for the status; return what it printed if it has these words, and exit code 1 with them."""
    told = run("status", "--vault", str(vault), "--max-age", "1")
    if words not in told.stdout:
        return ""
    assert told.returncode == 1
    return told.stdout


def test_waits_before_attempts() -> None:
    waits = [[*itertools.islice(reconnect_waits(random.Random(seed)), 12)] for seed in range(300)]
    assert {of_one[0] for of_one in waits} == {0.0}
    second = [of_one[1] for of_one in waits]
    assert 4.5 < sum(second) / len(second) < 5.5
    assert all(2.5 <= wait <= 7.5 for wait in second)
    assert all(15 <= wait <= 30 for of_one in waits for wait in of_one[4:])


@pytest.mark.parametrize(
    ("scheme", "host", "reason"),
    [
        ("ws", REFUSED, "connect_failed: ConnectionRefusedError"),
        ("ws", NOWHERE, "connect_failed: gaierror"),
        ("wss", None, "connect_failed: "),
    ],
)
def test_it_keeps_trying_and_says_so(tmp_path: Path, scheme: str, host: str | None, reason: str) -> None:
    vault = tmp_path / "vault"
    with exchange() as served:
        place = host or served.ws_url.removeprefix("ws://")
        rest = served.rest_url if host is None else f"http://{host}"
        urls = ("--ws-url", f"okx={scheme}://{place}", "--rest-url", f"okx={rest}")
        with recorder(vault, None, *urls, inject=SWIFT) as process:
            until(lambda: len(ledger(vault, "disconnected", torn=True)) >= 4, "attempts")
            until(state_is(vault, process, "seeding"), "a status")
            told = until(lambda: told_of(vault, "has no line since"), "the status tells it")
            assert process.stop() == 0, process.said
            assert process.complaint == ""
    assert [w for e in ledger(vault, "disconnected") if not (w := why(e)).startswith(reason)] == []
    assert "problem: okx: l2_perps/BTC-USDT-SWAP is empty, and has no line since" in told
    assert f"last error: {reason}" in told
    assert {entry["kind"] for entry in ledger(vault)} <= {"started", "config", "disconnected", "stopped"}
    unchecked = [entry["detail"]["instruments_unchecked"] for entry in ledger(vault, "config")]
    assert unchecked == ([] if host is None else [[*INSTRUMENTS]])
    assert verify(vault) == ""


def test_it_begins_when_the_venue_is_back_and_checks_then(tmp_path: Path) -> None:
    vault, insts = tmp_path / "vault", ("BTC-USDT-SWAP", "NO-SUCH-SWAP")
    with exchange() as served:
        port = int(served.rest_url.rpartition(":")[2])
    urls = ("--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx={served.rest_url}")
    with recorder(vault, None, *urls, insts=insts, inject=SWIFT) as process:
        until(lambda: len(ledger(vault, "disconnected", torn=True)) >= 2, "attempts")
        with exchange(port=port):
            until(lambda: ledger(vault, "live", torn=True), "live")
            until(lambda: ledger(vault, "delisted", torn=True), "checked")
            until(lambda: (vault / "meta/okx/instruments/BTC-USDT-SWAP.json").exists(), "metadata")
            assert process.stop() == 0, process.said
    assert [entry["instId"] for entry in ledger(vault, "live")] == ["BTC-USDT-SWAP"]
    assert [(e["instId"], e["detail"]["listed"]) for e in ledger(vault, "delisted")] == [("NO-SUCH-SWAP", False)]
    assert verify(vault) == ""


def test_saved_metadata_counts_as_checked(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served:
        with recorder(vault, served) as process:
            until(state_is(vault, process, "live"), "live")
            assert process.stop() == 0
        urls = ("--ws-url", f"okx={served.ws_url}", "--rest-url", f"okx=http://{REFUSED}")
        with recorder(vault, None, *urls) as process:
            until(state_is(vault, process, "live"), "live")
            assert process.stop() == 0
    assert [entry["detail"]["instruments_unchecked"] for entry in ledger(vault, "config")] == [[]]
