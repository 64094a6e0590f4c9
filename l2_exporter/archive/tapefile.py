"""Tapes being written: one file for each connection and hour of receive time, each beginning with the run's `start`."""

import re
from base64 import b64encode

import orjson

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tape import TapeLine
from l2_exporter.core.timetext import hour_of

_SECRET = re.compile(r'("(?:apiKey|passphrase|sign|signature|secret|key|token|listenKey)"\s*:\s*)"[^"]*"')
REDACTED = r'\1"***"'


def encode_tape_line(line: TapeLine, n: int | None) -> bytes:
    """Write a tape line with its newline, as input number `n`. Keys and signatures in what was sent are redacted."""
    fields: dict[str, object] = {
        "n": n,
        "recv_ns": line.recv_ns,
        "mono_ns": line.mono_ns,
        "conn": line.conn,
        "dir": line.dir,
        "url": line.url,
    }
    if line.dir == "http":
        fields |= {"req": line.request, "status": line.status}
    if isinstance(line.frame, bytes):
        fields["b64"] = b64encode(line.frame).decode()
    else:
        fields["frame"] = _SECRET.sub(REDACTED, line.frame) if line.dir == "out" else line.frame
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class TapeFiles:
    """The tapes of one run of one venue. Each line is one write, made before its input is processed.

    Args:
        run: letters and digits that tell this run's files from all others.
        start: the `start` line every file begins with.
    """

    def __init__(self, disk: Disk, vault: Vault, venue: str, run: str, start: TapeLine) -> None:
        self._disk = disk
        self._vault = vault
        self._venue = venue
        self._run = run
        self._start = encode_tape_line(start, start.n)
        self._files: dict[str, tuple[int, int]] = {}
        self._ended: list[int] = []
        self._unsynced_since_ns: int | None = None

    def write(self, line: TapeLine, n: int) -> None:
        """Append a line to the tape of its connection, as the run's input number `n`.

        Raises:
            OSError: the disk refused it, whole or in part; the tape is of no use from here on.
        """
        self._disk.append_all(self._file(line.conn, hour_of(line.recv_ns or 0)), encode_tape_line(line, n))
        if self._unsynced_since_ns is None:
            self._unsynced_since_ns = line.mono_ns or 0

    def to_sync(self, elapsed_ns: int, after_ns: int) -> list[int]:
        """Hand over descriptors to sync and close elsewhere: of tapes that have ended, and of all every `after_ns`.

        Raises:
            OSError: no descriptor is left.
        """
        fds = []
        if self._unsynced_since_ns is not None and elapsed_ns - self._unsynced_since_ns >= after_ns:
            fds = [self._disk.duplicate(fd) for _, fd in self._files.values()]
            self._unsynced_since_ns = None
        ended, self._ended = self._ended, []
        return [*ended, *fds]

    def close(self) -> None:
        """Sync and close all tapes.

        Raises:
            OSError: one of them could not be synced; all were closed.
        """
        fds = [*self._ended, *(fd for _, fd in self._files.values())]
        self._ended, self._files = [], {}
        failed: OSError | None = None
        for fd in fds:
            try:
                self._disk.fsync(fd)
            except OSError as error:
                failed = error
            finally:
                self._disk.close(fd)
        if failed is not None:
            raise failed

    def _file(self, conn: str, hour: int) -> int:
        held = self._files.get(conn)
        if held is not None and held[0] == hour and self._disk.is_named(held[1]):
            return held[1]
        if held is not None:
            del self._files[conn]
            self._ended.append(held[1])
        fd = self._disk.open_append(self._vault.tape_file(self._venue, hour, conn, self._run))
        self._files[conn] = (hour, fd)
        self._disk.append_all(fd, self._start)
        return fd
