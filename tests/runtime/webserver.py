"""A web server on the loopback that misbehaves as a test says."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIP_S = 0.01


class Server(ThreadingHTTPServer):
    """Answers each path with its page, everything else with 404.

    Attributes:
        asked: paths in order of arrival; headers and client addresses beside them.
        bodies: what was posted.
        arrived: set when a request has come.
        released: pages that hold on do so until this is set.
        ended: set when a page that held on was ended by the client.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.clients: list[tuple[str, int]] = []
        self.bodies: list[str] = []
        self.arrived = threading.Event()
        self.released = threading.Event()
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is what most tests are about."""
        self.ended.set()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.clients.append(self.client_address)
        self.server.arrived.set()
        self.server.pages.get(self.path, page("not found", 404))(self)

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Page = Callable[[Handler], None]


def page(body: str | bytes, status: int = 200, **headers: str) -> Page:
    """Make a page that answers at once. Underscores in the names of headers stand for dashes."""
    data = body.encode() if isinstance(body, str) else body

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def raw(data: bytes) -> Page:
    """Make a page that sends these bytes and hangs up."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def drip(head: bytes, endless: bytes) -> Page:
    """Make a page that sends its head, and then the same bytes again and again."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        while not handler.server.released.wait(DRIP_S):
            handler.wfile.write(endless)
        handler.close_connection = True

    return answer


def hang(handler: Handler) -> None:
    """Be a page that never answers, and notices when the client hangs up."""
    handler.connection.settimeout(DRIP_S)
    while not handler.server.released.is_set():
        with contextlib.suppress(TimeoutError):
            if not handler.connection.recv(1):
                handler.server.ended.set()
                break
    handler.close_connection = True


def in_turn(*pages: Page) -> Page:
    """Make a page that is another one each time."""
    left = list(pages)
    return lambda handler: left.pop(0)(handler)


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server on a free port."""
    server = Server()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
