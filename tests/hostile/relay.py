"""Between a recorder and a simulated exchange: passes on what both say, and puts something hostile in its place."""

import asyncio
import struct
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from urllib.parse import urlsplit

Bytes = Callable[[], AsyncIterator[bytes]]
"""What is written to a client in the place of what the exchange says; the connection is left open behind it."""

TEXT, BINARY, PING = 1, 2, 9
FIN, COMPRESSED = 0x80, 0x40
FRAMES_FIRST = 10
"""Of the exchange, before an attack: acknowledgements, whole books and some changes."""
SPARED = 2
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""


def frame(payload: bytes, opcode: int = TEXT, flags: int = FIN, length: int | None = None) -> bytes:
    """Write a server's frame; `length`: the one it claims to have."""
    size = len(payload) if length is None else length
    if size < 126:
        return struct.pack("!BB", flags | opcode, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", flags | opcode, 126, size) + payload
    return struct.pack("!BBQ", flags | opcode, 127, size) + payload


def deflated(chunk: bytes, count: int) -> bytes:
    """Write a compressed text message that inflates to so many chunks."""
    packer = zlib.compressobj(9, wbits=-15)
    data = b"".join(packer.compress(chunk) for _ in range(count)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return frame(data.removesuffix(b"\x00\x00\xff\xff"), flags=FIN | COMPRESSED)


def once(data: bytes) -> Bytes:
    """Say this, and nothing more."""

    async def say() -> AsyncIterator[bytes]:
        yield data

    return say


def again(data: bytes, every_s: float = 0) -> Bytes:
    """Say this for ever."""

    async def say() -> AsyncIterator[bytes]:
        while True:
            yield data
            await asyncio.sleep(every_s)

    return say


@asynccontextmanager
async def hostile(attack: Bytes) -> AsyncIterator[str]:
    """Serve an exchange that only attacks; yield its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.partition(":")[2].strip() for line in head.splitlines() if line.startswith("Sec-WebSocket-Key"))
        accept = b64encode(sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if "permessage-deflate" in head else ""
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extension}"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        with suppress(ConnectionError):
            async for part in attack():
                writer.write(part)
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


class Relay:
    """Listens on a port of its own. Of its connections all are attacked, but the second, which is to go on undisturbed.

    Args:
        ws_url: of the exchange.
        attacks: one for each connection, in order; when none is left the others are let alone.

    Attributes:
        ws_url: for the recorder.
        attacked: how many attacks have begun.
    """

    def __init__(self, ws_url: str, attacks: Sequence[Bytes]) -> None:
        self._there = urlsplit(ws_url)
        self._attacks = [*attacks]
        self._connections = 0
        self.attacked = 0
        self.ws_url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Relay"]:
        """Serve until the block is left."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.ws_url = f"ws://127.0.0.1:{port}{self._there.path}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._there.hostname, self._there.port)
        self._connections += 1
        is_spared = self._connections == SPARED
        tasks = [
            asyncio.create_task(self._forward(reader, back)),
            asyncio.create_task(self._answer(there, writer, is_spared)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (back, writer):
            each.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            back.write(data)

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, is_spared: bool) -> None:
        """Pass on what the exchange says until it is time to attack, frame by frame."""
        writer.write(await there.readuntil(b"\r\n\r\n"))
        passed = 0
        while is_spared or not self._attacks or passed < FRAMES_FIRST:
            data = await there.readexactly(2)
            more = await there.readexactly({126: 2, 127: 8}.get(data[1], 0))
            writer.write(data + more + await there.readexactly(int.from_bytes(more) if more else data[1]))
            await writer.drain()
            passed += 1
        self.attacked += 1
        async for part in self._attacks.pop(0)():
            writer.write(part)
            await writer.drain()
        await asyncio.Event().wait()
