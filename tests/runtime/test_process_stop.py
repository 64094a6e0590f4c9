"""A recorder that is asked to stop: whatever it is doing, it ends at once, with 0, and loses nothing."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tools.processes import (
    INSTRUMENTS,
    everything,
    exchange,
    ledger,
    lines,
    live_in,
    recorder,
    state_is,
    status,
    until,
    verify,
)

AT_ONCE_S = 4.0


@contextmanager
def silent_server() -> Iterator[int]:
    """Listen on a port and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def addresses(port: int) -> tuple[str, ...]:
    return ("--ws-url", f"okx=ws://127.0.0.1:{port}/ws", "--rest-url", f"okx=http://127.0.0.1:{port}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_writes_the_open_bucket_and_declares_no_loss(tmp_path: Path, number: signal.Signals) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, recorder(vault, served, "--cadence", "3600") as process:
        until(live_in(vault), "live")
        assert process.stop(number, AT_ONCE_S) == 0, process.said
    written = lines(vault)
    assert sorted(written) == [f"l2_perps/{inst}" for inst in INSTRUMENTS]
    for (line,) in written.values():
        assert (line["gap_detected"], line["flags"]) == (False, [])
    assert [entry["kind"] for entry in ledger(vault)].count("gap") == 0
    last = ledger(vault)[-1]
    assert (last["kind"], last["reason"]) == ("stopped", "stop")
    stopped = status(vault)
    assert stopped is not None
    assert stopped["state"] == "stopped"
    assert [one["last_line_utc"] for one in stopped["instruments"]] == [
        written[one["id"]][0]["timestamp_utc"] for one in stopped["instruments"]
    ]
    assert verify(vault) == ""


def test_being_asked_again_and_again_changes_nothing(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, recorder(vault, served, "--cadence", "0.05") as process:
        until(live_in(vault), "live")
        deadline_s = time.monotonic() + AT_ONCE_S
        while "losses" not in process.said and time.monotonic() < deadline_s:
            process.send(signal.SIGINT)
            process.send(signal.SIGTERM)
        assert process.ended(AT_ONCE_S) == 0, process.said
    assert [entry["kind"] for entry in ledger(vault)].count("stopped") == 1
    assert verify(vault) == ""


def test_a_stop_while_frames_pour_in_ends_the_link_at_once(tmp_path: Path) -> None:
    with exchange(interval_ns=2_000_000) as served:
        for number in range(4):
            vault = tmp_path / str(number) / "vault"
            with recorder(vault, served, "--cadence", "0.05") as process:
                until(live_in(vault), "live")
                assert process.stop(signal.SIGTERM, AT_ONCE_S) == 0, process.said


def test_a_stop_while_connecting(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange() as served, silent_server() as port:
        rest = ("--rest-url", f"okx={served.rest_url}")
        with recorder(vault, None, *addresses(port)[:2], *rest) as process:
            until(state_is(vault, process, "seeding"), "recording")
            assert process.stop(signal.SIGINT, AT_ONCE_S) == 0, process.said
    assert [entry["kind"] for entry in ledger(vault)] == ["started", "stopped"]


def test_a_stop_while_waiting_to_connect_again(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with recorder(vault, None, *addresses(9)) as process:
        until(lambda: len(ledger(vault, "disconnected", torn=True)) == 2, "two attempts")
        assert process.stop(signal.SIGTERM, AT_ONCE_S) == 0, process.said
    assert ledger(vault)[-1]["kind"] == "stopped"


def test_a_stop_while_the_list_of_instruments_does_not_come(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with silent_server() as port, recorder(vault, None, *addresses(port)) as process:
        until(lambda: "vault: " in process.said, "begun")
        assert process.stop(signal.SIGINT, AT_ONCE_S) == 0, process.said
        assert process.complaint == ""
    assert not vault.exists() or everything(vault) == {}


def test_a_stop_while_a_book_does_not_come_by_rest(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    with exchange(faults="no_snapshot,rest_hang:1@0s") as served, silent_server() as port:
        rest = ("--rest-url", f"okx=http://127.0.0.1:{port}")
        hurry = "import l2_exporter.runtime.instruments as i; i.DEADLINE_S = 0.2"
        with recorder(vault, None, "--ws-url", f"okx={served.ws_url}", *rest, inject=hurry) as process:
            until(lambda: [entry["reason"] for entry in ledger(vault, "resync", torn=True)] == ["rest"] * 2, "asked")
            assert process.stop(signal.SIGTERM, AT_ONCE_S) == 0, process.said
            assert process.complaint == ""
    assert ledger(vault)[-1]["kind"] == "stopped"


def test_a_stop_while_the_list_is_fetched_again(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    hurry = "import l2_exporter.runtime.instruments as i, l2_exporter.runtime.listing as l\n"
    hurry += "i.DEADLINE_S = 0.2; l.AGAIN_S = 0.1\n"
    hurry += (
        "real = l.Listing.run\nasync def run(self, session):\n    i.DEADLINE_S = 60\n    await real(self, session)\n"
    )
    hurry += "l.Listing.run = run"
    with exchange() as served, silent_server() as port:
        rest = ("--rest-url", f"okx=http://127.0.0.1:{port}")
        with recorder(vault, None, "--ws-url", f"okx={served.ws_url}", *rest, inject=hurry) as process:
            until(live_in(vault), "live")
            assert process.stop(signal.SIGTERM, AT_ONCE_S) == 0, process.said
            assert process.complaint == ""
    assert ledger(vault)[-1]["kind"] == "stopped"
