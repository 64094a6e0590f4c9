"""The loopback server's other half: HTTP on the same port, its faults, and TLS for both."""

import asyncio
import json
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.httpsocket import MOST_BYTES
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.wire import Reply
from tests.simulator.naive import BTC, ask
from tests.simulator.sockets import BOOK, LIMIT_S, get, next_book, run, until_the_end


def test_http_is_answered_on_the_same_port_also_when_the_answer_is_long() -> None:
    async def ask_http() -> None:
        async with SimulatedExchange(Settings()) as served:
            answer = await get(served.rest_url + BOOK)
            assert answer.headers["Content-Type"] == "application/json"
            (book,) = answer.json()["data"]
            assert len(book["bids"]) == len(book["asks"]) == 400
            listing = (await get(f"{served.rest_url}/api/v5/public/instruments?instType=SWAP")).json()
            assert len(listing["data"]) == 55
            assert (await get(served.rest_url + "/nothing")).status_code == 404

    run(ask_http())


@pytest.mark.parametrize("parts", [1, 3, 60])
def test_what_is_posted_arrives_whole_however_it_is_sent(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[tuple[str, str | None, str]] = []

    def received(exchange: Exchange, target: str, now_ns: int, body: str | None, headers: dict[str, str]) -> Reply:
        posted.append((target, body, headers["Host"]))
        return Reply(200, "heard")

    monkeypatch.setattr(Exchange, "request_received", received)
    body = json.dumps({"type": "métà"}).encode()
    head = f"POST /info?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-LENGTH: {len(body)}\r\n\r\n".encode()
    size = -(-len(head + body) // parts)

    async def post() -> None:
        async with SimulatedExchange(Settings()) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(served.rest_url).port)
            for start in range(0, len(head + body), size):
                writer.write((head + body)[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.read()).endswith(b"\r\n\r\nheard")
            writer.close()
            await get(served.rest_url + "/plain")
            posted.append((served.rest_url, None, ""))

    run(post())
    host = urlsplit(posted.pop()[0]).netloc
    assert posted == [("/info?x=1", body.decode(), "127.0.0.1"), ("/plain", None, host)]


def test_a_post_that_never_ends_is_cut_off() -> None:
    async def post() -> None:
        async with SimulatedExchange(Settings()) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(served.rest_url).port)
            writer.write(b"POST " + b"x" * (MOST_BYTES + 1))
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    run(post())


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("rest_429:1", 429, "json"),
        ("rest_5xx:1", 500, "html"),
        ("rest_html:1", 200, "html"),
        ("rest_late:60s", 200, "json"),
    ],
)
def test_faults_of_http_reach_the_client(fault: str, status: int, kind: str) -> None:
    async def ask_http() -> None:
        async with SimulatedExchange(Settings(faults=fault), speed=200) as served:
            answer = await get(served.rest_url + BOOK)
            assert answer.status_code // 100 == status // 100
            assert kind in answer.headers["Content-Type"]
            assert ("Retry-After" in answer.headers) == (status == 429)

    run(ask_http())


def test_a_hanging_request_never_gets_an_answer() -> None:
    async def hang() -> None:
        async with SimulatedExchange(Settings(faults="rest_hang:1")) as served:
            with pytest.raises(requests.Timeout):
                await get(served.rest_url + BOOK, timeout_s=0.2)

    run(hang())


def test_other_paths_and_other_hosts_are_refused() -> None:
    async def refuse() -> None:
        async with SimulatedExchange(Settings()) as served:
            with pytest.raises(InvalidStatus) as caught:
                await connect(served.ws_url + "x")
            assert caught.value.response.status_code == 404
            answer = await asyncio.to_thread(
                requests.get, served.rest_url + BOOK, headers={"Host": "example.com"}, timeout=LIMIT_S
            )
            assert answer.status_code == 403
            assert (await get(served.rest_url.replace("127.0.0.1", "localhost") + BOOK)).status_code == 200

    run(refuse())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate of our own for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_tls_serves_wss_and_https_with_the_given_certificate(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    client_side = ssl.create_default_context(cafile=str(cert))

    async def encrypted() -> None:
        settings = Settings(faults="close_mid_frame@2s")
        async with SimulatedExchange(settings, tls=server_side, speed=5) as served:
            assert served.ws_url.startswith("wss://127.0.0.1:")
            answer = await asyncio.to_thread(requests.get, served.rest_url + BOOK, verify=str(cert), timeout=LIMIT_S)
            assert answer.json()["code"] == "0"
            async with connect(served.ws_url, ssl=client_side) as link:
                await link.send(ask("subscribe", BTC))
                assert (await next_book(link))["prevSeqId"] == -1
                with pytest.raises(ConnectionClosedError):
                    await until_the_end(link)

    run(encrypted())
