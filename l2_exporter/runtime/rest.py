"""A venue's REST in one worker thread: in order, within its budget, each request within its deadline.

Nothing is raised into the caller's loop and nothing is dropped: every request is answered exactly once, with what the
venue said or with status 0 and the reason.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_S
from l2_exporter.core.venue import Post
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.httpcall import MAX_BODY_BYTES, HttpAnswer, HttpCaller
from l2_exporter.runtime.pacing import Pace, RestLimits

DEADLINE_S = 10.0
PATIENCE_NS = 60 * NS_PER_S
"""A venue that wants to hear nothing for longer is not waited for: the request fails at once, and says so."""


@dataclass(frozen=True, slots=True)
class RestReply:
    """The answer to one request, as the tape has it.

    Attributes:
        request: the name it was submitted under.
        status: the HTTP status; 0: it failed, and `body` is the reason.
    """

    request: str
    url: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class _Job:
    request: str
    url: str
    on_reply: Callable[[RestReply], None]
    deadline_s: float
    weight: int
    posted: str | None
    path: str

    def reply(self, answer: HttpAnswer) -> RestReply:
        return RestReply(self.request, self.url, answer.status, answer.body)


class RestClient:
    """REST requests to one venue. Proxies come from the environment.

    Args:
        base_url: root that paths are appended to, `https://www.okx.com`.
        ca_file: certificates to trust instead of the usual ones.
        headers: makes the headers of a path that prove who asks, when it is asked for; None: nobody has to.
        max_bytes: of an answer's body, unpacked.
        wait: waits for an event at most so many seconds.

    Raises:
        ConfigError: the URL is none, or the file is not there.
    """

    def __init__(
        self,
        base_url: str,
        limits: RestLimits,
        ca_file: Path | None = None,
        clock: Clock | None = None,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        headers: Callable[[str, int], Mapping[str, str]] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        _require_url(base_url)
        if ca_file is not None and not ca_file.is_file():
            raise ConfigError(f"ca_file {str(ca_file)!r} is not a file")
        self._base_url = base_url.rstrip("/")
        self._limits = limits
        self._clock = clock or Clock()
        self._wait = wait
        self._headers = headers
        self._pace = Pace(limits)
        self._caller = HttpCaller(ca_file, max_bytes)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(limits.waiting)
        self._gate = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rest {urlsplit(base_url).hostname}", daemon=True)
        self._thread.start()

    def submit(
        self,
        request: str,
        path: str | Post,
        on_reply: Callable[[RestReply], None],
        deadline_s: float = DEADLINE_S,
        weight: int = 1,
    ) -> None:
        """Ask for a path; never waits. The deadline runs from the moment the request goes out.

        Args:
            request: the name the reply comes back under.
            on_reply: called once, from the worker's thread (at once and from this one if no place is left or the
                client is closed). It must not raise, and has to hand the reply over to the caller's own loop.
        """
        target, posted = (path.path, path.body) if isinstance(path, Post) else (path, None)
        job = _Job(request, self._base_url + target, on_reply, deadline_s, weight, posted, target)
        with self._gate:
            closed = self._closing.is_set()
            taken = not closed and self._places.acquire(blocking=False)
            if taken:
                self._jobs.put(job)
        if not taken:
            why = "closed" if closed else f"not sent: {self._limits.waiting} requests are waiting already"
            on_reply(job.reply(HttpAnswer(0, why)))

    def fetch(self, path: str | Post, request: str = "fetch", deadline_s: float = DEADLINE_S) -> RestReply:
        """Ask for a path and wait for the reply. For the start of a program, not for a loop."""
        reply: Future[RestReply] = Future()
        self.submit(request, path, reply.set_result, deadline_s)
        return reply.result()

    def close(self) -> None:
        """End the request under way and answer all that wait with status 0. May be called again."""
        with self._gate:
            if not self._closing.is_set():
                self._closing.set()
                self._jobs.put(None)
        self._caller.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._places.release()
                job.on_reply(job.reply(self._answer(job)))
        finally:
            self._closing.set()  # an on_reply that raised ends the client: what comes later is told so

    def _answer(self, job: _Job) -> HttpAnswer:
        refusal = self._wait_for_turn(job.weight)
        if refusal is not None:
            return HttpAnswer(0, refusal)
        headers = None if self._headers is None else self._headers(job.path, self._clock.wall_ns())
        answer = self._caller.call(job.url, job.deadline_s, job.posted, headers)
        now_ns, wall_ns = self._clock.elapsed_ns(), self._clock.wall_ns()
        self._pace.answered(job.weight, answer.status, answer.retry_after, now_ns, wall_ns)
        return answer

    def _wait_for_turn(self, weight: int) -> str | None:
        """Wait as long as budget and venue ask for; return why the request cannot go out, None if it can."""
        while not self._closing.is_set():
            now_ns = self._clock.elapsed_ns()
            blocked_ns = self._pace.blocked_ns(now_ns)
            if blocked_ns > PATIENCE_NS:
                return f"not sent: the venue wants no request for another {blocked_ns // NS_PER_S} s"
            wait_ns = self._pace.wait_ns(weight, now_ns)
            if not wait_ns:
                return None
            self._wait(self._closing, wait_ns / NS_PER_S)
        return "closed"


def _require_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"a REST address looks like https://www.okx.com, not {base_url!r}")
