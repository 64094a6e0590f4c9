"""Lines that leave the event loop: bounded queues with a thread each, so that no console and no disk can block it.

A click in a Windows console stops every write to it until a key is pressed, and a disk can hang. While a way out is
stuck its lines wait; what no longer fits is dropped, counted, and said to have been dropped once it moves again.
"""

import io
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

CONSOLE_LINES = 1_000
"""Lines that wait for a console that does not move."""

STOP_S = 5.0
"""How long a clean stop waits for a stuck way out."""

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def one_line(text: str) -> str:
    """Escape line breaks and other control characters: a venue's text must not write lines of its own."""
    return _BREAKS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class Outlet:
    """A bounded queue of lines and the daemon thread that hands them on.

    Args:
        write: takes the waiting lines in order; may block; with an OSError these lines count as dropped.
        name: what drops lines, for the line that says so.
        limit: lines that may wait.
    """

    def __init__(self, write: Callable[[Sequence[str]], None], name: str, limit: int) -> None:
        self._write = write
        self._name = name
        self._limit = limit
        self._waiting: list[str] = []
        self._unsaid = 0
        self._dropped = 0
        self._closing = False
        # Reentrant: a signal handler may say something while the thread it interrupts is in `put`.
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._run, name=f"l2-{name}", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._dropped

    def put(self, line: str) -> None:
        """Queue a line, or drop and count it if the queue is full or closed. Never blocks."""
        with self._changed:
            if self._closing or len(self._waiting) >= self._limit:
                self._drop(1)
            else:
                self._waiting.append(line)
                self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Hand on what waits and end; False if that did not finish in time. Later lines are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _drop(self, count: int) -> None:
        self._unsaid += count
        self._dropped += count

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                lines, self._waiting = self._waiting, []
                unsaid, self._unsaid = self._unsaid, 0
                ending = self._closing
            if lines or unsaid:
                self._hand_on(lines, unsaid)
            if ending:
                return

    def _hand_on(self, lines: Sequence[str], unsaid: int) -> None:
        note = [f"lines dropped here: {unsaid}; the {self._name} did not take them"] if unsaid else []
        try:
            self._write([*lines, *note])
        except OSError:
            with self._changed:
                self._drop(len(lines))
                self._unsaid += unsaid


class Console:
    """Standard output, for lines that a person may read. Saying something never blocks.

    Args:
        stream: where to write instead; None: standard output, if this process has one.
        limit: lines that may wait.
    """

    def __init__(self, stream: TextIO | None = None, limit: int = CONSOLE_LINES) -> None:
        self._outlet = Outlet(_writer(sys.stdout if stream is None else stream), "console", limit)

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._outlet.dropped

    def say(self, line: str) -> None:
        """Print one line. Line breaks within it are escaped."""
        self._outlet.put(one_line(line))

    def close(self, timeout_s: float = STOP_S) -> bool:
        """Print what waits and end; False if the console was stuck until the time was over."""
        return self._outlet.close(timeout_s)


def _writer(stream: TextIO | None) -> Callable[[Sequence[str]], None]:
    """Return what writes lines to a stream.

    A stream of the operating system is written past Python's buffer: a thread that hangs in the buffer holds its lock,
    and the interpreter aborts at its end because it cannot flush it.
    """
    if stream is None:
        return lambda _lines: None
    try:
        stream.flush()
        raw = open(stream.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115 - as long as the process lives
    except (OSError, ValueError):
        return lambda lines: _write_text(stream, lines)
    return lambda lines: _write_raw(raw, "".join(line + os.linesep for line in lines).encode())


def _write_text(stream: TextIO, lines: Sequence[str]) -> None:
    try:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()
    except ValueError as error:
        raise OSError(f"the stream takes no text: {error}") from error


def _write_raw(raw: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written: int | None = raw.write(rest)
        if written is None:  # the descriptor does not block
            select.select([], [raw], [])
        else:
            rest = rest[written:]
