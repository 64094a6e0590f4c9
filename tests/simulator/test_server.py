"""The loopback server over real sockets: WebSocket links, how they end, and stopping.

Nothing sleeps: every step waits for a frame, an answer or the end of a connection. Simulated time runs faster where a
test would have to wait for it.
"""

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.peer import frame_head
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth
from tests.simulator.naive import BTC, ETH, NaiveBook, ask
from tests.simulator.sockets import BOOK, get, next_book, next_frame, run, until_the_end


def test_a_client_follows_a_book_and_its_book_is_the_truth() -> None:
    async def follow() -> None:
        settings = Settings(instruments=(BTC, ETH), interval_ns=10_000_000)
        async with SimulatedExchange(settings) as served, connect(served.ws_url) as link:
            await link.send(ask("subscribe", BTC, request_id="1"))
            ack = json.loads(await link.recv())
            assert (ack["id"], ack["event"]) == ("1", "subscribe")
            book = NaiveBook()
            for _ in range(20):
                push = await next_book(link)
                assert book.seq is None or push["prevSeqId"] == book.seq
                book.apply(push)
                line = served.exchange.truth.book(BTC, int(str(push["seqId"])))
                assert line is not None
                assert line.sha256 == book.digest()
            await link.send("ping")
            while await link.recv() != "pong":
                pass

    run(follow())


def test_compression_is_agreed_on_with_a_client_that_offers_it() -> None:
    async def compare() -> None:
        async with SimulatedExchange(Settings()) as served:
            for compression, agreed in (("deflate", 1), (None, 0)):
                async with connect(served.ws_url, compression=compression) as link:
                    assert len(link.protocol.extensions) == agreed
                    await link.send(ask("subscribe", BTC))
                    assert len((await next_book(link))["bids"]) == 400  # type: ignore[arg-type]

    run(compare())


def test_a_close_mid_frame_is_an_unclean_end_for_the_client_and_it_can_come_back() -> None:
    async def break_off() -> None:
        settings = Settings(faults="close_mid_frame@1s")
        async with SimulatedExchange(settings, speed=10) as served:
            async with connect(served.ws_url) as link:
                await link.send(ask("subscribe", BTC))
                with pytest.raises(ConnectionClosedError) as caught:
                    await until_the_end(link)
                assert caught.value.rcvd is None
            async with connect(served.ws_url) as link:
                await link.send(ask("subscribe", BTC))
                assert (await next_book(link))["prevSeqId"] == -1

    run(break_off())


def test_a_cut_frame_begins_like_a_text_frame_of_its_whole_length() -> None:
    assert frame_head(70_000) == b"\x81\x7f" + (70_000).to_bytes(8, "big")


def test_a_proper_close_is_announced_by_the_notice_before() -> None:
    async def announced() -> None:
        settings = Settings(faults="notice:60s@1s")
        async with SimulatedExchange(settings, speed=200) as served, connect(served.ws_url) as link:
            await link.send(ask("subscribe", BTC))
            while (await next_frame(link)).get("code") != "64008":
                pass
            with pytest.raises(ConnectionClosedOK) as caught:
                await until_the_end(link)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001

    run(announced())


def test_an_idle_link_is_closed_with_the_venues_code() -> None:
    async def idle() -> None:
        async with SimulatedExchange(Settings(), speed=300) as served, connect(served.ws_url) as link:
            with pytest.raises(ConnectionClosedError) as caught:
                await link.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4004, "No data received in 30s")

    run(idle())


def test_a_half_open_link_says_nothing_and_ends_without_a_close() -> None:
    async def dead() -> None:
        settings = Settings(faults="half_open:100s@1s")
        async with SimulatedExchange(settings, speed=100) as served:
            async with connect(served.ws_url, close_timeout=0.1) as link:
                await link.send(ask("subscribe", BTC))
                with pytest.raises(ConnectionClosedError) as caught:
                    await until_the_end(link)
                assert caught.value.rcvd is None
            lost = [line for line in served.exchange.truth.faults if line.detail == "lost"]
            assert len(lost) > 900

    run(dead())


def test_stopping_is_quick_while_a_link_is_dead_and_a_request_hangs() -> None:
    async def stop() -> None:
        settings = Settings(faults="half_open:1h@0s,rest_hang:1")
        hangs = asyncio.Event()
        truth = Truth(sink=lambda line: hangs.set() if "rest_hang" in line else None)
        async with asyncio.timeout(5), SimulatedExchange(settings, truth=truth) as served:
            link = await connect(served.ws_url, close_timeout=0)
            await link.send(ask("subscribe", BTC))
            await link.recv()
            hanging = asyncio.create_task(get(served.rest_url + BOOK))
            await hangs.wait()
        await link.wait_closed()
        assert (await hanging).status_code == 503

    run(stop())


def test_an_oversized_frame_ends_the_link_of_a_client_with_a_limit() -> None:
    async def too_big() -> None:
        settings = Settings(faults="oversize:2MB@1s")
        async with (
            SimulatedExchange(settings, speed=10) as served,
            connect(served.ws_url, max_size=2**20) as link,
        ):
            await link.send(ask("subscribe", BTC))
            with pytest.raises(ConnectionClosedError) as caught:
                await until_the_end(link)
            assert caught.value.sent is not None
            assert caught.value.sent.code == 1009

    run(too_big())


def test_it_listens_on_loopback_only() -> None:
    with pytest.raises(ConfigError, match=r"listens on 127\.0\.0\.1 only, not on '0\.0\.0\.0'"):
        SimulatedExchange(Settings(), host="0.0.0.0")
    with pytest.raises(ConfigError, match="speed"):
        SimulatedExchange(Settings(), speed=0)

    async def where() -> None:
        async with SimulatedExchange(Settings()) as served:
            assert [address.getsockname()[0] for address in served._server.sockets] == ["127.0.0.1"]

    run(where())


def test_a_port_that_is_taken_is_named() -> None:
    async def twice() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(ConfigError, match=rf"port {port} of 127\.0\.0\.1 is taken"):
                async with SimulatedExchange(Settings(), port=port):
                    pass

    run(twice())


def test_a_client_that_does_not_read_loses_its_link_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2_exporter.simulator.peer.MAX_WAITING", 50)

    async def slow() -> None:
        settings = Settings(instruments=(BTC, ETH), faults=f"oversize:500kB@0s+100ms/{ETH}")
        async with SimulatedExchange(settings, speed=20) as served:
            deaf = await connect(served.ws_url, compression=None, max_queue=1, close_timeout=0, ping_interval=None)
            async with connect(served.ws_url) as link:
                await deaf.send(ask("subscribe", ETH))
                await link.send(ask("subscribe", BTC))
                assert (await next_book(link))["prevSeqId"] == -1
                while len(served._peers) == 2:
                    await next_book(link)
                assert (await next_book(link))["prevSeqId"] != -1
            await deaf.close()

    run(slow())
