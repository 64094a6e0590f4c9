"""REST: paced by what the venue allows and asks, each request answered once and in time, whatever the server does."""

import gzip
import queue
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_S, utc_ns
from l2_exporter.core.venue import Post
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.httpcall import MAX_BODY_BYTES, USER_AGENT
from l2_exporter.runtime.pacing import Pace, RestLimits, limits_of, retry_after_ns
from l2_exporter.runtime.rest import RestClient, RestReply
from l2_exporter.venues.okx import Okx
from tests.runtime.webserver import Server, closed_port, drip, hang, in_turn, page, raw, serving

SOON_S = 0.3
WALL_NS = utc_ns("2026-11-21T15:00:00Z")
HEAD = b"HTTP/1.1 200 OK\r\n"


class StillClock(Clock):
    """A clock that stands until somebody waits, and notes for how long."""

    def __init__(self) -> None:
        self.now_ns = 5 * NS_PER_S
        self.waits: list[float] = []

    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns

    def elapsed_ns(self) -> int:
        return self.now_ns

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now_ns += round(seconds * NS_PER_S)
        return event.is_set()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def client_of(server: Server, clock: StillClock | None = None, **limits: int) -> closing[RestClient]:
    if clock is None:
        return closing(RestClient(server.url, RestLimits(**limits)))
    return closing(RestClient(server.url, RestLimits(**limits), clock=clock, wait=clock.wait))


def fetch(server: Server, path: str = "/x", deadline_s: float = 5) -> RestReply:
    with client_of(server) as client:
        return client.fetch(path, "books/X", deadline_s)


# Pacing, without a thread


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("Sat, 21 Nov 2026 15:00:30 GMT", 30),
        ("Saturday, 21-Nov-26 15:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 15:00:30 -0000", 30),
        ("Sat, 21 Nov 2026 14:00:00 GMT", 0),
        ("9" * 400, 3 * 86_400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3 * 86_400),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Sat, 99 Nov 2026 15:00:30 GMT", None),
        (None, None),
    ],
)
def test_retry_after(text: str | None, seconds: int | None) -> None:
    assert retry_after_ns(text, WALL_NS) == (None if seconds is None else seconds * NS_PER_S)


@given(st.text(max_size=40))
def test_any_retry_after_is_read(text: str) -> None:
    assert 0 <= (retry_after_ns(text, WALL_NS) or 0) <= 3 * 86_400 * NS_PER_S


def test_the_budget_is_the_venues() -> None:
    assert limits_of(Okx().link) == RestLimits(weight=40, window_ns=2 * NS_PER_S)


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 7)), max_size=30),
)
def test_no_window_ever_holds_more_than_the_budget(budget: int, requests: list[tuple[int, int]]) -> None:
    pace, now_ns, sent = Pace(RestLimits(weight=budget, window_ns=100)), 0, []
    for idle_ns, weight in requests:
        now_ns += idle_ns
        wait_ns = pace.wait_ns(weight, now_ns)
        if wait_ns:
            assert pace.wait_ns(weight, now_ns + wait_ns - 1) == 1, "not longer than needed"
        now_ns += wait_ns
        assert pace.wait_ns(weight, now_ns) == 0
        within = sum(each for at_ns, each in sent if at_ns > now_ns - 100)
        assert within + weight <= budget or not within, "a weight above the budget goes out alone"
        pace.answered(weight, 200, None, now_ns, WALL_NS)
        sent.append((now_ns, weight))


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "7", 7),
        (418, "300", 300),
        (503, "30", 30),
        (429, "Sat, 21 Nov 2026 15:00:30 GMT", 30),
        (429, None, 1),
        (429, "soon", 1),
        (418, None, 120),
        (503, None, 0),
        (500, "30", 0),
        (200, "30", 0),
        (0, None, 0),
    ],
)
def test_what_an_answer_asks_for_is_obeyed(status: int, retry_after: str | None, seconds: int) -> None:
    pace = Pace(RestLimits())
    pace.answered(1, status, retry_after, 50, WALL_NS)
    assert pace.blocked_ns(50) == pace.wait_ns(1, 50) == seconds * NS_PER_S
    assert pace.wait_ns(1, 50 + seconds * NS_PER_S) == 0


def test_the_pause_doubles_until_something_else_is_answered() -> None:
    pace, now_ns, pauses = Pace(RestLimits()), 0, []
    for status in (429,) * 8 + (0, 429, 200, 429):
        pace.answered(1, status, None, now_ns, WALL_NS)
        pauses.append(pace.blocked_ns(now_ns) // NS_PER_S)
        now_ns += pace.blocked_ns(now_ns)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 0, 60, 0, 1]


def test_a_shorter_request_to_wait_does_not_shorten_a_longer_one() -> None:
    pace = Pace(RestLimits())
    pace.answered(1, 418, "300", 0, WALL_NS)
    pace.answered(1, 429, "1", 0, WALL_NS)
    assert pace.blocked_ns(0) == 300 * NS_PER_S


# Answers


def test_an_answer(server: Server) -> None:
    server.pages["/api/books?instId=A%2FB&sz=400"] = page('{"code":"0"} é')
    with closing(RestClient(server.url + "/api/", RestLimits())) as client:
        reply = client.fetch("/books?instId=A%2FB&sz=400", "books/A/B")
    assert reply == RestReply("books/A/B", f"{server.url}/api/books?instId=A%2FB&sz=400", 200, '{"code":"0"} é')
    assert server.headers[0]["user-agent"] == USER_AGENT


def test_what_is_posted(server: Server) -> None:
    server.pages["/api/info"] = page("[]")
    with closing(RestClient(server.url + "/api", RestLimits())) as client:
        replies = [client.fetch(Post("/info", body), "list") for body in ('{"type":"méta"}', "")]
    assert replies == [RestReply("list", f"{server.url}/api/info", 200, "[]")] * 2
    assert server.bodies == ['{"type":"méta"}', ""]
    assert [headers.get("content-type") for headers in server.headers] == ["application/json", None]


def test_no_credentials_are_sent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fetch(server)
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>blocked</html>"),
        (200, ""),
        (302, "moved"),
        (400, '{"code":"51001"}'),
        (404, "not found"),
        (500, "oops"),
        (503, "busy"),
    ],
)
def test_whatever_the_server_says_is_reported(server: Server, status: int, body: str) -> None:
    server.pages["/x"] = page(body, status, Location="/elsewhere")
    assert fetch(server) == RestReply("books/X", server.url + "/x", status, body)
    assert server.asked == ["/x"]


def test_text_that_is_not_utf8_is_kept_as_far_as_it_can(server: Server) -> None:
    server.pages["/x"] = page(b"caf\xe9")
    assert fetch(server).body == "caf�"


def test_requests_are_answered_in_order_over_one_connection(server: Server) -> None:
    server.pages |= {f"/{number}": page(f"page {number}") for number in range(5)}
    replies: queue.SimpleQueue[RestReply] = queue.SimpleQueue()
    with client_of(server) as client:
        for number in range(5):
            client.submit(f"request {number}", f"/{number}", replies.put)
        got = [replies.get(timeout=5) for _ in range(5)]
    assert [(reply.request, reply.status, reply.body) for reply in got] == [
        (f"request {number}", 200, f"page {number}") for number in range(5)
    ]
    assert len(set(server.clients)) == 1


# Servers that misbehave


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        drip(b"", b"H"),
        drip(HEAD, b"X"),
        drip(HEAD, b"X: y\r\n"),
        drip(HEAD + b"Content-Length: 1000000\r\n\r\n", b"{"),
        drip(HEAD + b"Connection: close\r\n\r\n", b"{"),
        drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1", b"0"),
        drip(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n", gzip.compress(b"")),
    ],
    ids=["hang", "status", "header", "headers", "body", "endless", "chunks", "chunk size", "gzip"],
)
def test_a_server_that_hangs_or_drips_is_cut_off_at_the_deadline(server: Server, behaviour: object) -> None:
    server.pages |= {"/x": behaviour, "/next": page("ok")}
    with client_of(server) as client:
        assert client.fetch("/x", deadline_s=SOON_S).body == "no complete answer within 0.3 s"
        assert server.ended.wait(5), "the connection was closed"
        assert client.fetch("/next") == RestReply("fetch", server.url + "/next", 200, "ok")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ConnectionError (RemoteDisconnected: "),
        (b"SSH-2.0-OpenSSH\r\n", "ConnectionError (BadStatusLine: "),
        (HEAD + b"Content-Length: 10\r\n\r\nshort", "ProtocolError (IncompleteRead: "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "ProtocolError (ValueError: "),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", "the body cannot be unpacked: Error -3 "),
        (HEAD + b"A: " + b"a" * 70_000 + b"\r\n\r\n", "ConnectionError (LineTooLong: "),
    ],
)
def test_an_answer_that_is_none_is_a_failure(server: Server, data: bytes, why: str) -> None:
    server.pages["/x"] = raw(data)
    reply = fetch(server)
    assert (reply.status, reply.body[: len(why)]) == (0, why)


def test_a_body_is_limited_after_decompression(server: Server) -> None:
    bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1), 1)
    server.pages["/x"] = page(bomb, Content_Encoding="gzip")
    assert fetch(server).body == f"the body is longer than {MAX_BODY_BYTES} bytes"


def test_nobody_listens() -> None:
    with closing(RestClient(f"http://127.0.0.1:{closed_port()}", RestLimits())) as client:
        reply = client.fetch("/x")
    assert (reply.status, reply.body.partition(":")[0]) == (0, "ConnectionError (ConnectionRefusedError")


def test_a_name_that_does_not_exist() -> None:
    with closing(RestClient("https://nonexistent.invalid", RestLimits())) as client:
        reply = client.fetch("/x", deadline_s=2)
    assert (reply.url, reply.status) == ("https://nonexistent.invalid/x", 0)
    assert reply.body.startswith("ConnectionError (gaierror: ") or reply.body == "no complete answer within 2 s"


def test_a_name_server_that_hangs_does_not_hold_the_next_request(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/x"] = page("ok")
    really = socket.getaddrinfo

    def slow(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(socket, "getaddrinfo", really)
        server.released.wait(5)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with client_of(server) as client:
        replies = [client.fetch("/x", deadline_s=SOON_S), client.fetch("/x")]
    assert [(reply.status, reply.body) for reply in replies] == [(0, "no complete answer within 0.3 s"), (200, "ok")]


def test_plain_text_where_tls_was_expected(server: Server) -> None:
    with closing(RestClient(server.url.replace("http:", "https:"), RestLimits())) as client:
        assert client.fetch("/x").body.startswith("SSLError")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificates_of_ones_own(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    kind = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *kind, *name, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving(context) as server:
        url = server.url.replace("http:", "https:")
        server.pages |= {"/x": page("ok"), "/drip": drip(HEAD, b"X"), "/hang": hang}
        with closing(RestClient(url, RestLimits())) as client:
            assert client.fetch("/x").body.startswith("SSLError (SSLCertVerificationError: ")
        with closing(RestClient(url, RestLimits(), cert)) as client:
            server.ended.clear()
            assert client.fetch("/x") == RestReply("fetch", url + "/x", 200, "ok")
            assert client.fetch("/drip", deadline_s=SOON_S).body == "no complete answer within 0.3 s"
            assert server.ended.wait(5)
            assert client.fetch("/x").body == "ok"


def test_a_proxy_of_the_environment_is_used_and_cut_off_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.pages |= {"http://venue.invalid/x": page("by proxy"), "http://venue.invalid/drip": drip(HEAD, b"X")}
    with closing(RestClient("http://venue.invalid", RestLimits())) as client:
        assert client.fetch("/x") == RestReply("fetch", "http://venue.invalid/x", 200, "by proxy")
        assert client.fetch("/drip", deadline_s=SOON_S).status == 0
    assert server.ended.wait(5)


# Waiting


def test_requests_above_the_budget_wait(server: Server) -> None:
    clock = StillClock()
    with client_of(server, clock, weight=2) as client:
        assert [client.fetch("/x").status for _ in range(5)] == [404] * 5
    assert clock.waits == [2, 2]


def test_all_wait_as_long_as_the_venue_asks(server: Server) -> None:
    server.pages["/x"] = in_turn(page("slow down", 429, Retry_After="7"), page("ok"))
    clock = StillClock()
    with client_of(server, clock) as client:
        replies = [client.fetch("/x"), client.fetch("/other"), client.fetch("/x")]
    assert [(reply.status, reply.body) for reply in replies] == [(429, "slow down"), (404, "not found"), (200, "ok")]
    assert clock.waits == [7]


def test_a_long_ban_is_told_at_once_and_kept(server: Server) -> None:
    server.pages["/x"] = in_turn(page("banned", 418, Retry_After="3600"), page("ok"))
    clock = StillClock()
    with client_of(server, clock) as client:
        assert client.fetch("/x").status == 418
        assert client.fetch("/x") == RestReply(
            "fetch", server.url + "/x", 0, "not sent: the venue wants no request for another 3600 s"
        )
        assert server.asked == ["/x"]
        clock.now_ns += 3_550 * NS_PER_S
        assert client.fetch("/x").body == "ok"
    assert clock.waits == [50]


def test_every_request_is_answered_once_also_when_full_and_when_closed(server: Server) -> None:
    server.pages["/x"] = hang
    replies: list[tuple[str, str]] = []
    client = RestClient(server.url, RestLimits(waiting=1))

    def note(reply: RestReply) -> None:
        assert reply.status == 0
        replies.append((reply.request, reply.body))

    client.submit("under way", "/x", note)
    assert server.arrived.wait(5)
    client.submit("waiting", "/x", note)
    client.submit("too many", "/x", note)
    assert replies == [("too many", "not sent: 1 requests are waiting already")]
    client.close()
    assert replies[1:] == [("under way", "closed"), ("waiting", "closed")]
    client.submit("late", "/x", note)
    assert replies[3:] == [("late", "closed")]
    client.close()
    assert server.ended.wait(5)
    assert server.asked == ["/x"]


def test_closing_ends_a_pause(server: Server) -> None:
    server.pages["/x"] = page("slow down", 429, Retry_After="50")
    waiting = threading.Event()
    replies: queue.SimpleQueue[str] = queue.SimpleQueue()

    def wait(event: threading.Event, seconds: float) -> bool:
        waiting.set()
        return event.wait(seconds)

    client = RestClient(server.url, RestLimits(), wait=wait)
    for _ in range(2):
        client.submit("x", "/x", lambda reply: replies.put(reply.body))
    assert waiting.wait(5)
    client.close()
    assert [replies.get(timeout=5), replies.get(timeout=5)] == ["slow down", "closed"]


def test_a_client_can_be_closed_by_a_reply(server: Server) -> None:
    client = RestClient(server.url, RestLimits())
    closed = threading.Event()

    def stop(_reply: RestReply) -> None:
        client.close()
        closed.set()

    client.submit("x", "/x", stop)
    assert closed.wait(5)
    client.close()


def test_a_reply_that_cannot_be_handed_over_is_no_secret(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: queue.SimpleQueue[object] = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.put(args.exc_value))

    def broken(_reply: RestReply) -> None:
        raise RuntimeError("Event loop is closed")

    with client_of(server) as client:
        client.submit("x", "/x", broken)
        assert str(seen.get(timeout=5)) == "Event loop is closed"
        assert client.fetch("/x").body == "closed"


@pytest.mark.parametrize(
    "base_url",
    ["", "www.okx.com", "ftp://www.okx.com", "https://", "https://okx.com:x", "https://[", "https://okx.com?a=b"],
)
def test_an_address_that_is_none(base_url: str) -> None:
    with pytest.raises(ConfigError, match="REST address looks like"):
        RestClient(base_url, RestLimits())


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a file"):
        RestClient("https://www.okx.com", RestLimits(), tmp_path / "ca.pem")


def test_certificates_that_are_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with closing(RestClient(server.url.replace("http:", "https:"), RestLimits(), tmp_path / "ca.pem")) as client:
        assert client.fetch("/x").status == 0
