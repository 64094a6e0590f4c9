"""One connection: opened, read, kept alive, closed, opened again. What its frames mean is the feed's business."""

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, PayloadTooBig, WebSocketException

from l2_exporter.archive.tape import TapeLine
from l2_exporter.core.errors import TransportError, VenueError
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.venue import LinkRules
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.guarded import GuardedConnection
from l2_exporter.runtime.inbox import Inbox
from l2_exporter.runtime.reconnecting import Bucket, reconnect_waits

MAX_MESSAGE_BYTES = 32 << 20
OPEN_TIMEOUT_S = 10
CLOSE_TIMEOUT_S = 2
FULL_FOR_S = 30.0
"""An inbox that stays full so long is a machine that cannot keep up: the link is closed, and the loss declared."""
STABLE_AFTER_S = 60.0
WATCH_EVERY_S = 1.0
STALL_S = 2.0
_QUERY = re.compile(r"\?\S*")


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How one connection is made.

    Attributes:
        replaces: the connection it takes over from.
        before_connect: waits until the venue allows another attempt.
        max_bytes: of a message, behind its decompression.
        address: finds out where to connect, where that is another address each time (it may hold a secret: it is
            neither taped nor logged); raises TransportError or VenueError. None: `url`.
        sent: told of every text that has been sent, as it was before it was signed.
        sign: adds to a text what proves who sends it; None: nobody has to.
    """

    conn: str
    url: str
    rules: LinkRules
    tls: ssl.SSLContext | None
    replaces: str | None
    before_connect: Callable[[], Awaitable[None]]
    sent: Callable[[str, str], None]
    max_bytes: int = MAX_MESSAGE_BYTES
    sign: Callable[[str], str] | None = None
    address: Callable[[], Awaitable[str]] | None = None


class Link:
    """Keeps one connection open until it is stopped.

    Attributes:
        state: connecting, open, waiting or stopped; opened: how often; last_error: why it was closed last.
    """

    def __init__(self, settings: LinkSettings, inbox: Inbox, clock: Clock) -> None:
        self.settings = settings
        self.state = "connecting"
        self.opened = 0
        self.frames = 0
        self.last_error: str | None = None
        self._inbox = inbox
        self._clock = clock
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._close_why: str | None = None
        self._closing = asyncio.Event()
        self._retired = False
        self._heard_s = 0.0
        self._asked = False
        self._running: asyncio.Task[None] | None = None

    @property
    def retired(self) -> bool:
        """Whether it is not opened again once it ends."""
        return self._retired

    @property
    def conn(self) -> str:
        """Its name."""
        return self.settings.conn

    def send(self, text: str) -> None:
        """Send a text as soon as the venue's limits allow."""
        self._outbox.put_nowait(text)

    def close(self, why: str, *, retire: bool = False) -> None:
        """Close the connection; it is opened again unless it is retired. What is not open yet is given up at once."""
        self._retired = self._retired or retire
        self._close_why = why
        self._closing.set()
        if self._retired and self.state != "open" and self._running is not None:
            self._running.cancel()

    async def run(self) -> None:
        """Connect, read, and connect again, until retired."""
        self._running = asyncio.current_task()
        try:
            if not self._retired:  # else it was given up before it began
                await self._keep_open()
        finally:
            self.state = "stopped"

    async def _keep_open(self) -> None:
        waits = reconnect_waits(random.Random())
        loop = asyncio.get_running_loop()
        while True:
            opened_s = loop.time()
            self.last_error = await self._one_connection()
            if self.retired:
                return
            if loop.time() - opened_s > STABLE_AFTER_S:
                waits = reconnect_waits(random.Random())
            self.state = "waiting"
            await asyncio.sleep(next(waits))

    async def _one_connection(self) -> str:
        """Open one connection and read it to its end; return why it ended."""
        settings = self.settings
        self.state = "connecting"
        self._closing.clear()
        self._close_why = None
        self._outbox = asyncio.Queue()
        url = settings.url
        try:
            await settings.before_connect()
            if settings.address is not None:
                url = await settings.address()
            async with connect(
                url,
                ssl=settings.tls if url.startswith("wss:") else None,
                compression="deflate" if settings.rules.deflate else None,
                create_connection=GuardedConnection,
                max_size=settings.max_bytes,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,  # _watch asks
            ) as socket:
                why = await self._opened(cast(GuardedConnection, socket))
        except (OSError, WebSocketException, TimeoutError, ValueError, TransportError, VenueError) as error:
            # Some errors quote the address, which may hold a secret.
            why = f"connect_failed: {type(error).__name__}: {error}".replace(url, settings.url)
            if settings.address is not None:
                why = _QUERY.sub("", why)
        self._put("close", why)
        return why

    async def _opened(self, socket: GuardedConnection) -> str:
        """Use an open connection until it ends; return why it ended."""
        self.state = "open"
        self.opened += 1
        self._heard_s = asyncio.get_running_loop().time()
        replaces = self.settings.replaces
        self._put("open", "" if replaces is None else f'{{"replaces":"{replaces}"}}')
        parts = (self._read(socket), self._send(socket), self._watch(socket), self._told())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, socket: GuardedConnection) -> str:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame = await socket.take()
                if not self._inbox.has_room:  # asked first: to set up a time limit takes 7 us a frame
                    try:
                        # Not `wait_for`: before Python 3.12 it can swallow the cancellation that ends this task.
                        async with asyncio.timeout(FULL_FOR_S):
                            await self._inbox.room()
                    except TimeoutError:
                        return f"overflow: inputs wait for more than {FULL_FOR_S:.0f} s"
                self._heard_s = loop.time()
                self.frames += 1
                self._put("in", frame)
        except PayloadTooBig as error:
            return f"oversize: {error}"
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == 1009:
                return f"oversize: {error}"
            return f"disconnect: {error}"
        except OSError as error:
            return f"disconnect: {error}"

    async def _send(self, socket: GuardedConnection) -> str:
        """Send what is in the outbox, within the venue's limit of requests."""
        rules, loop = self.settings.rules, asyncio.get_running_loop()
        bucket = Bucket(rules.request_burst, rules.requests_per_hour / 3600)
        with contextlib.suppress(ConnectionClosed):
            while True:
                text = await self._outbox.get()
                await asyncio.sleep(bucket.wait_s(loop.time()))
                await socket.send(text if self.settings.sign is None else self.settings.sign(text))
                self.settings.sent(self.conn, text)
        # The reader tells why the connection ended.
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await ended

    async def _watch(self, socket: GuardedConnection) -> str:
        """Ask a silent venue whether it is there; give up on one that does not answer. A stall of ours is not its."""
        rules, loop = self.settings.rules, asyncio.get_running_loop()
        self._asked = False
        before_s = loop.time()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now_s = loop.time()
            if now_s - before_s > WATCH_EVERY_S + STALL_S or len(self._inbox) > 0:
                self._heard_s = max(self._heard_s, now_s - rules.ping_after_s)
            before_s = now_s
            silent_s = now_s - self._heard_s
            self._asked = self._asked and silent_s >= rules.ping_after_s
            if silent_s >= rules.dead_after_s:
                return f"stale: silent for {silent_s:.0f} s"
            if silent_s >= rules.ping_after_s and not self._asked:
                self._asked = True
                with contextlib.suppress(ConnectionClosed):
                    await self._ask(socket, rules.ping)

    async def _ask(self, socket: GuardedConnection, ping: str | None) -> None:
        """Ask a silent venue whether it is there; where it has no ping of its own, by the protocol's, out of the tape.

        Raises:
            ConnectionClosed: it is not.
        """
        if ping is not None:
            await socket.send(ping)
            self.settings.sent(self.conn, ping)
        else:
            asyncio.ensure_future(await socket.ping()).add_done_callback(self._answered)

    def _answered(self, pong: asyncio.Future[float]) -> None:
        """Take note of a pong; no frame of the venue tells that it is there."""
        if not pong.cancelled() and pong.exception() is None:
            self._heard_s = asyncio.get_running_loop().time()
            self._asked = False

    async def _told(self) -> str:
        """Wait until we are told to close."""
        await self._closing.wait()
        return self._close_why or "disconnect: closed by us"

    def _put(self, direction: str, frame: str | bytes) -> None:
        stamp = self._clock.stamp()
        self._inbox.put(input_line(direction, self.conn, stamp, frame, url=self.settings.url))


def input_line(
    direction: str,
    conn: str,
    stamp: Stamp,
    frame: str | bytes,
    *,
    url: str | None = None,
    request: str | None = None,
    status: int = 200,
) -> TapeLine:
    """Make an input of this moment; it gets its number when it is processed."""
    return TapeLine(direction, conn, None, stamp.recv_ns, stamp.elapsed_ns, url, frame, request, status)
