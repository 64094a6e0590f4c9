"""A simulated exchange on a loopback port: WebSocket and HTTP on the same one, only for this machine."""

import asyncio
import errno
import http
import logging
import ssl
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.httpsocket import HttpSocket
from l2_exporter.simulator.peer import Peer
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Output, Reply

HOST = "127.0.0.1"
HOSTS = frozenset({HOST, "localhost"})
CLOSE_TIMEOUT_S = 2
IDLE_TICK_S = 0.001

log = logging.getLogger(__name__)


class SimulatedExchange:
    """Serves a simulated exchange while it is entered.

    Args:
        port: 0 takes a free one.
        speed: simulated seconds in one real second.
        tls: certificate and key to serve `wss` and `https` with; None serves `ws` and `http`.
        start_ns: simulated time at the start; None: now.
        truth: where to keep what really happened; None: in memory.

    Attributes:
        exchange: what is served, from the start on.

    Raises:
        ConfigError: on entering: a port that is taken, an unknown venue, instrument or fault.
    """

    exchange: Exchange

    def __init__(
        self,
        settings: Settings,
        *,
        port: int = 0,
        host: str = HOST,
        speed: float = 1.0,
        tls: ssl.SSLContext | None = None,
        start_ns: int | None = None,
        truth: Truth | None = None,
    ) -> None:
        if host != HOST:
            raise ConfigError(f"a simulated exchange listens on {HOST} only, not on {host!r}")
        if not 0 < speed <= 1000:
            raise ConfigError(f"the speed must lie between 0 and 1000, not {speed}")
        self._settings = settings
        self._port = port
        self._speed = speed
        self._tls = tls
        self._start_ns = start_ns
        self._truth = truth
        self._peers: dict[str, Peer] = {}

    @property
    def ws_url(self) -> str:
        """Return the address for a WebSocket client."""
        return f"ws{'s' if self._tls else ''}://{HOST}:{self._port}{self.exchange.dialect.ws_path}"

    @property
    def rest_url(self) -> str:
        """Return the address that REST paths are appended to."""
        return f"http{'s' if self._tls else ''}://{HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        start_ns = time.time_ns() if self._start_ns is None else self._start_ns
        self.exchange = Exchange(self._settings, start_ns, self._truth)
        self._begin = (start_ns, time.monotonic_ns())
        self._stopping = asyncio.Event()
        self._server = await self._listening()
        self._port = self._server.sockets[0].getsockname()[1]
        self._clock = asyncio.create_task(self._run_clock())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._clock.cancel()
        with suppress(asyncio.CancelledError):
            await self._clock
        for peer in self._peers.values():
            peer.abort()
        self._server.close()
        await self._server.wait_closed()

    async def _listening(self) -> Server:
        try:
            return await serve(
                self._serve_link,
                HOST,
                self._port,
                ssl=self._tls,
                process_request=self._answer,
                create_connection=HttpSocket,
                open_timeout=None,
                ping_interval=None,
                close_timeout=CLOSE_TIMEOUT_S,
                logger=log,
            )
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "taken" if error.errno == errno.EADDRINUSE else "not ours to take"
            raise ConfigError(f"port {self._port} of {HOST} is {why}; choose another, or 0 for a free one") from error

    def _now_ns(self) -> int:
        start_ns, begin_ns = self._begin
        return start_ns + int((time.monotonic_ns() - begin_ns) * self._speed)

    async def _run_clock(self) -> None:
        """Let the markets move when it is time."""
        while True:
            self._carry(self.exchange.time_advanced(self._now_ns()))
            wait_s = (self.exchange.due_ns - self._now_ns()) / NS_PER_S / self._speed
            await asyncio.sleep(max(wait_s, IDLE_TICK_S))

    def _carry(self, outputs: list[Output]) -> None:
        for output in outputs:
            peer = self._peers.get(output.conn)
            if peer is not None:
                peer.put(output)

    async def _serve_link(self, socket: ServerConnection) -> None:
        """Serve one client until either side ends it."""
        path = socket.request.path if socket.request is not None else ""
        conn, outputs = self.exchange.link_opened(path, self._now_ns())
        peer = self._peers[conn] = Peer(socket)
        writer = asyncio.create_task(peer.write())
        self._carry(outputs)
        try:
            while (frame := await peer.read()) is not None:
                self._carry(self.exchange.frame_received(conn, frame, self._now_ns()))
        finally:
            del self._peers[conn]
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            self._carry(self.exchange.link_closed(conn, self._now_ns()))

    async def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request, or a handshake that is not accepted; None lets the handshake go on."""
        host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
        if host not in HOSTS:
            return _response(Reply(403, f"this exchange serves {HOST} only"))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            refusal = self.exchange.link_refused(request.path, self._now_ns())
            return None if refusal is None else _response(refusal)
        posted = socket.posted if isinstance(socket, HttpSocket) else None
        headers = dict(request.headers.raw_items())
        reply = self.exchange.request_received(request.path, self._now_ns(), posted, headers)
        if reply.hangs or reply.delay_ns:
            await self._waited(socket, None if reply.hangs else reply.delay_ns / NS_PER_S / self._speed)
        return _response(Reply(503, "") if reply.hangs else reply)

    async def _waited(self, socket: ServerConnection, seconds: float | None) -> None:
        """Wait that long, but not longer than the client or the server are there; None: until then."""
        waits = [asyncio.create_task(socket.wait_closed()), asyncio.create_task(self._stopping.wait())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _response(reply: Reply) -> Response:
    """Write an answer after which the connection is closed."""
    body = reply.body.encode()
    headers = Headers({**reply.headers, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(reply.status, http.HTTPStatus(reply.status).phrase, headers, body)
