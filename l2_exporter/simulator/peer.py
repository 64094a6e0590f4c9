"""One client of the loopback server: its frames wait here until the socket takes them."""

import asyncio
import struct

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from l2_exporter.simulator.wire import Abort, Close, Cut, Freeze, Output, Send

MAX_WAITING = 10_000
"""Outputs that may wait for a slow client; after that its connection is torn down."""

TEXT_FRAME = 0x81
LONG_LENGTH = 127


class Peer:
    """Writes what the exchange says to one client, in order."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._waiting: asyncio.Queue[Output] = asyncio.Queue(MAX_WAITING)
        self._frozen = False

    def put(self, output: Output) -> None:
        """Take an output; a client that does not read loses its connection."""
        try:
            self._waiting.put_nowait(output)
        except asyncio.QueueFull:
            self._socket.transport.abort()

    def abort(self) -> None:
        """Tear the connection down if it is dead: nobody would answer a close."""
        if self._frozen:
            self._socket.transport.abort()

    async def read(self) -> str | bytes | None:
        """Wait for the client's next frame; None when it is gone. From a dead connection nothing is read."""
        try:
            frame = await self._socket.recv()
        except ConnectionClosed:
            return None
        if not self._frozen:
            return frame
        await self._socket.wait_closed()
        return None

    async def write(self) -> None:
        """Write until the connection ends."""
        try:
            while await self._written(await self._waiting.get()):
                pass
        except ConnectionClosed:
            return

    async def _written(self, output: Output) -> bool:
        """Write one output; tell whether the connection goes on."""
        match output:
            case Send(data=data):
                await self._socket.send(data)
            case Freeze():
                self._frozen = True
                self._socket.transport.pause_reading()
            case Close(code=code, reason=reason):
                await self._socket.close(code, reason)
            case Cut(data=text):
                payload = text.encode()
                self._socket.transport.write(frame_head(len(payload)) + payload[: len(payload) // 2])
                self._socket.transport.close()
            case Abort():
                self._socket.transport.abort()
        return isinstance(output, Send | Freeze)


def frame_head(length: int) -> bytes:
    """Write the head of an uncompressed text frame of this many bytes, its length in the long form."""
    return struct.pack("!BBQ", TEXT_FRAME, LONG_LENGTH, length)
