"""One HTTP GET with a total deadline: name, connection, TLS, headers and body together.

The timeouts of `requests` count from byte to byte, so a server that drips is never too late, and a name server can
hold `getaddrinfo` longer than any of them. Each call therefore runs in a short-lived thread of its own; at the deadline
its socket is shut down, which ends the thread, and the caller has its answer whatever the thread still waits for.
"""

import contextlib
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from l2_exporter import __version__
from l2_exporter.runtime.httpbody import ACCEPTED, CHUNK_BYTES, BodyError, read_body

MAX_BODY_BYTES = 32 << 20
REASON_CHARS = 200
SPARE_S = 1.0
"""The socket's own timeouts are longer than the deadline: they only end what could not be cut off."""
USER_AGENT = f"l2-exporter/{__version__}"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came of a call. Status 0: nothing usable came, and the body is the reason."""

    status: int
    body: str
    retry_after: str | None = None


class HttpCaller:
    """Makes one call at a time over connections that are kept open. Proxies come from the environment.

    Args:
        ca_file: certificates to trust instead of the usual ones.
        max_bytes: of a body, unpacked.
    """

    def __init__(self, ca_file: Path | None = None, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._verify: bool | str = True if ca_file is None else str(ca_file)
        self._line = _Line()
        self._call: _Call | None = None
        self._closed = False

    def call(
        self, url: str, deadline_s: float, posted: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Ask for a URL; return within the deadline, whatever happens. Redirects are not followed but returned.

        Args:
            posted: the JSON text to POST, or an empty one; None asks by GET.
            headers: more of them.
        """
        call = self._call = _Call(self._line, url, deadline_s, self._verify, self._max_bytes, posted, headers)
        if not self._closed:
            threading.Thread(target=call.run, name=f"{call.method} {url}", daemon=True).start()
            call.over.wait(deadline_s)
        answer = call.answer
        if answer is None:
            self._line.cut()
            self._line = _Line()
            answer = HttpAnswer(0, "closed" if self._closed else f"no complete answer within {deadline_s:g} s")
        return answer

    def close(self) -> None:
        """End the call under way, if there is one, and every later one at once. May be called from any thread."""
        self._closed = True
        if self._call is not None:
            self._call.over.set()
        self._line.session.close()


class _Call:
    """One request in a thread of its own. `answer` stays None until it is complete; then `over` is set."""

    def __init__(
        self,
        line: "_Line",
        url: str,
        deadline_s: float,
        verify: bool | str,
        max_bytes: int,
        posted: str | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        self.over = threading.Event()
        self.answer: HttpAnswer | None = None
        self._line = line
        self.method = "GET" if posted is None else "POST"
        self._posted = posted
        self._is_secret = headers is not None
        self._headers = {**(headers or {}), **({"Content-Type": "application/json"} if posted else {})}
        self._url = url
        self._deadline_s = deadline_s
        self._verify = verify
        self._max_bytes = max_bytes

    def run(self) -> None:
        """Make the call. Whatever the server does, there is an answer and no exception."""
        try:
            self.answer = self._ask()
        except BodyError as error:
            self.answer = HttpAnswer(0, str(error))
        except (OSError, HTTPError, ValueError) as error:
            # RequestException is an OSError; ValueError: an odd URL or header (UnicodeError, LocationValueError).
            # An error of a header quotes it, and with headers of its own a call holds a secret.
            quotes = self._is_secret and isinstance(error, ValueError)
            self.answer = HttpAnswer(0, type(error).__name__ if quotes else _reason(error))
        finally:
            self.over.set()
            if self._line.is_cut:
                self._line.session.close()

    def _ask(self) -> HttpAnswer:
        timeout = self._deadline_s + SPARE_S
        with self._line.session.request(
            self.method,
            self._url,
            data=self._posted.encode() if self._posted else None,
            headers=self._headers,
            timeout=timeout,
            verify=self._verify,
            stream=True,
            allow_redirects=False,
        ) as response:
            chunks = response.raw.stream(CHUNK_BYTES, decode_content=False)
            body = read_body(chunks, response.headers.get("Content-Encoding"), self._max_bytes)
            return HttpAnswer(
                response.status_code, body.decode("utf-8", "replace"), response.headers.get("Retry-After")
            )


class _Line:
    """A session and the socket it has opened last, which can be cut from another thread."""

    def __init__(self) -> None:
        self.session = _Session()
        self.session.headers["User-Agent"] = USER_AGENT
        self.session.headers["Accept-Encoding"] = ACCEPTED
        self.session.auth = _no_credentials
        adapter = _Adapter(self)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, adapter)
        self._socket: socket.socket | None = None
        self.is_cut = False

    def opened(self, opened: object) -> None:
        """Take note of a connection; one that comes after the cut is cut too."""
        self._socket = opened if isinstance(opened, socket.socket) else None
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """Shut down the connection: whoever reads from it reads its end. Nothing uses this line afterwards."""
        self.is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which pulls the TLS layer away from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Session(requests.Session):
    """A session that takes a redirect for an answer like any other: to find the next address it would read it whole."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is none."""


class _Adapter(HTTPAdapter):
    """The transport of `requests`, with connections that tell their line when they are open."""

    def __init__(self, line: _Line) -> None:
        self._pools = _pools(line)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # whose connections are of their own kind, and not told of
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(line: _Line) -> dict[str, type[HTTPConnectionPool]]:
    """Make connection pools whose connections tell the line when they are open."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            line.opened(self.sock)

    class Tls(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            line.opened(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in the place of an authentication, so that `requests` takes none from .netrc."""
    return request


def _reason(error: BaseException) -> str:
    """Name the error and the one at its bottom; the layers of `requests` and `urllib3` between them say it again."""
    inner = error
    while (cause := _cause(inner)) is not None:
        inner = cause
    bottom = f"{type(inner).__name__}: {inner}"
    return (bottom if inner is error else f"{type(error).__name__} ({bottom})")[:REASON_CHARS]


def _cause(error: BaseException) -> BaseException | None:
    wrapped = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
    return next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
