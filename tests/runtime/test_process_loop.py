"""The loop a recording runs on: uvloop where it is installed, Python's own everywhere else."""

import asyncio
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from l2_exporter.runtime import loops
from tests.tools.processes import INSTRUMENTS, exchange, ledger, lines, live_in, recorder, until, verify

ON_UVLOOP = {"PYTHONPATH": str(Path.cwd())}


def test_uvloop_is_taken_if_it_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loops.fastest() is None
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=asyncio.new_event_loop))
    assert loops.fastest() is asyncio.new_event_loop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_on_uvloop_losses_are_declared_and_a_stop_is_clean(tmp_path: Path, number: signal.Signals) -> None:
    pytest.importorskip("uvloop")
    vault = tmp_path / "vault"
    faults = f"drop@1s/{INSTRUMENTS[0]},close@2s"
    with (
        exchange(faults=faults) as served,
        recorder(vault, served, "--cadence", "0.2", env=ON_UVLOOP) as process,
    ):
        until(live_in(vault), "live")
        until(lambda: [one["reason"] for one in ledger(vault)].count("disconnect") >= len(INSTRUMENTS), "closed")
        until(lambda: ledger(vault)[-1]["kind"] == "live", "live again")
        assert process.stop(number) == 0, process.said
    assert "the event loop is of uvloop" in (vault / "meta/logs/l2_exporter.log").read_text()
    assert sorted(lines(vault)) == [f"l2_perps/{inst}" for inst in INSTRUMENTS]
    assert {"sequence", "disconnect"} <= {one["reason"] for one in ledger(vault) if one["kind"] == "gap"}
    assert verify(vault) == ""
