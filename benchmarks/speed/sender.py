"""A venue that sends what was made before: OKX's `books` of many instruments, evenly spread over time.

    python -m benchmarks.speed.sender --books 500 --updates 600 --cert cert.pem --key key.pem

Without --cert it speaks without TLS; with --flood it sends as fast as the other side reads, once all have subscribed.
Each frame ends with the moment it was sent at, in a field that OKX does not have. The checksum is 0, as OKX sends it,
unless --summed is given.
"""

import argparse
import asyncio
import http
import json
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from benchmarks.streams import okx, walk

HOST = "127.0.0.1"
PUSH_NS = 100_000_000
NS_PER_MS = 1_000_000
SHORTEST_S = 0.001


def pieces(updates: int, *, summed: bool) -> list[tuple[str, str]]:
    """Make a book's frames: what stands between the instrument and the time, and what stands behind the time."""
    found = []
    for ms, frame in okx.frames(walk.walked(walk.LIGHT, "live", updates), summed=summed):
        _, _, behind = frame.partition(okx.INST)
        before, time_text, after = behind.partition(str(ms))
        if not time_text:
            raise ValueError(f"no time in {frame[:200]}")
        found.append((before, after[:-1]))
    return found


class Venue:
    """Who has subscribed what, and how far each book is."""

    def __init__(self, insts: Sequence[str], frames: Sequence[tuple[str, str]]) -> None:
        self.sent = 0
        self._insts = insts
        self._frames = frames
        self._sockets: dict[str, ServerConnection] = {}
        self._at: dict[str, int] = {}

    async def serve(self, socket: ServerConnection) -> None:
        """Take subscriptions until the client is gone; each begins with the snapshot."""
        try:
            async for text in socket:
                if text == "ping":
                    await socket.send("pong")
                    continue
                for arg in json.loads(text).get("args", ()):
                    await socket.send(json.dumps({"event": "subscribe", "arg": arg}))
                    self._at[arg["instId"]] = 0
                    await self._push(arg["instId"], socket)
                    self._sockets[arg["instId"]] = socket
        except ConnectionClosed:
            pass
        self._sockets = {inst: other for inst, other in self._sockets.items() if other is not socket}

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """List the instruments; None lets a handshake go on."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        row = {"instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT", "ctType": "linear", "ctVal": "0.01"}
        row |= {"ctMult": "1", "ctValCcy": "BTC", "tickSz": "0.1", "lotSz": "0.01", "state": "live"}
        rows = [{**row, "instId": inst} for inst in self._insts] if "SWAP" in request.path else []
        body = json.dumps({"code": "0", "msg": "", "data": rows}).encode()
        headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
        return Response(http.HTTPStatus.OK, "OK", headers, body)

    async def flood(self) -> None:
        """Push the books in turn until each has sent all it has."""
        while len(self._sockets) < len(self._insts):
            await asyncio.sleep(SHORTEST_S)
        try:
            while min(self._at.values()) < len(self._frames):
                for inst, socket in self._sockets.items():
                    await self._push(inst, socket)
        except ConnectionClosed:
            return

    async def run(self) -> None:
        """Push one update of each book in each tenth of a second, for ever."""
        step_ns = PUSH_NS / len(self._insts)
        begun_ns, number = time.monotonic_ns(), 0
        while True:
            due = (time.monotonic_ns() - begun_ns) / step_ns
            while number < due:
                inst = self._insts[number % len(self._insts)]
                number += 1
                socket = self._sockets.get(inst)
                if socket is not None:
                    try:
                        await self._push(inst, socket)
                    except ConnectionClosed:
                        self._sockets.pop(inst, None)
            await asyncio.sleep(SHORTEST_S)

    async def _push(self, inst: str, socket: ServerConnection) -> None:
        at = self._at[inst]
        if at == len(self._frames):
            return
        self._at[inst] = at + 1
        before, after = self._frames[at]
        now_ns = time.time_ns()
        head = f'{{"arg":{{"channel":"books","instId":"{inst}{before}'
        await socket.send(f'{head}{now_ns // NS_PER_MS}{after},"sent":{now_ns}}}')
        self.sent += 1


async def _run(options: argparse.Namespace) -> None:
    venue = Venue(okx.instruments(options.books), pieces(options.updates, summed=options.summed))
    context = None
    if options.cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    served = serve(
        venue.serve,
        HOST,
        0,
        ssl=context,
        process_request=venue.answer,
        ping_interval=None,
        compression="deflate" if options.deflate else None,
    )
    async with served as server:
        port = server.sockets[0].getsockname()[1]
        safe = "" if context is None else "s"
        print(json.dumps({"ws": f"ws{safe}://{HOST}:{port}/ws", "rest": f"http{safe}://{HOST}:{port}"}), flush=True)
        if options.flood:
            await venue.flood()
            await server.wait_closed()
        await venue.run()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.sender", description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=500)
    parser.add_argument("--updates", type=int, default=600, help="of each book, then it is silent")
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("--summed", action="store_true")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
