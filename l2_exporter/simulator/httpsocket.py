"""The server side of a connection that may begin with an HTTP POST, which WebSocket servers refuse to read."""

from typing import Any

from websockets.asyncio.server import ServerConnection

HEAD_END = b"\r\n\r\n"
MOST_BYTES = 1 << 20


class HttpSocket(ServerConnection):
    """A connection that reads a POST with its body, and passes it on as the GET of the same path.

    Attributes:
        posted: the body, None for any other request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.posted: str | None = None
        self._begun: bytes | None = b""

    def data_received(self, data: bytes) -> None:
        """Hold back the beginning until it is known not to be a POST, or the whole of one is here."""
        if self._begun is None:
            super().data_received(data)
            return
        self._begun += data
        if b"POST "[: len(self._begun)] != self._begun[:5]:
            self._pass_on(self._begun)
        elif len(self._begun) > MOST_BYTES:
            self.transport.abort()
        elif HEAD_END in self._begun:
            self._read_post(*self._begun.split(HEAD_END, 1))

    def _read_post(self, head: bytes, body: bytes) -> None:
        line, *headers = head.split(b"\r\n")
        is_length = b"content-length:"
        lengths = [header[len(is_length) :] for header in headers if header.lower().startswith(is_length)]
        length = int(lengths[0]) if lengths and lengths[0].strip().isdigit() else 0
        if len(body) >= length:
            self.posted = body[:length].decode("utf-8", "replace")
            others = [header for header in headers if not header.lower().startswith(is_length)]
            self._pass_on(b"\r\n".join([line.replace(b"POST", b"GET", 1), *others]) + HEAD_END)

    def _pass_on(self, data: bytes) -> None:
        self._begun = None
        super().data_received(data)
