"""A simulated exchange in a thread, for callers that are not asynchronous."""

import json
import socket
import threading

import pytest
import requests
from websockets.sync.client import connect

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.running import running_exchange
from tests.simulator.naive import BTC, ask, books


def test_it_serves_a_plain_client_and_is_gone_afterwards() -> None:
    threads = threading.active_count()
    with running_exchange(Settings(instruments=2)) as served, connect(served.ws_url) as link:
        link.send(ask("subscribe", BTC))
        frames = [json.loads(link.recv(timeout=10)) for _ in range(4)]
        assert [push["prevSeqId"] == -1 for push in books(frames)] == [True, False, False]
        answer = requests.get(f"{served.rest_url}/api/v5/public/time", timeout=10)
        assert answer.json()["code"] == "0"
    assert threading.active_count() == threads
    assert {line.seq for line in served.exchange.truth.books} >= {push["seqId"] for push in books(frames)}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(served.rest_url.rpartition(":")[2])))


def test_what_prevents_the_start_is_raised_to_the_caller() -> None:
    threads = threading.active_count()
    with pytest.raises(ConfigError, match="did you mean drop"), running_exchange(Settings(faults="dorp:1")):
        pass
    assert threading.active_count() == threads


def test_an_error_of_the_caller_stops_it_too() -> None:
    with pytest.raises(RuntimeError, match="ours"), running_exchange(Settings()) as served:
        raise RuntimeError("ours")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{served.rest_url}/api/v5/public/time", timeout=10)
