"""The health of a running recorder, as `meta/<venue>/status.json` tells it (docs/FORMAT.md, "The status")."""

import os
from concurrent.futures import Future, ThreadPoolExecutor

import orjson

from l2_exporter import __version__
from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.core.inputs import Stamp
from l2_exporter.core.keeper import Keeper
from l2_exporter.core.state import Standing
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S, utc_text
from l2_exporter.runtime.session import Session

FORMAT = 1
HOUR_S = 3600
OUTCOMES = ("applied", "duplicate", "before_seed", "rejected", "ignored")


class StatusFile:
    """Replaces a venue's status file, off the event loop. An update that cannot be written is skipped."""

    def __init__(self, vault: Vault, venue: str, vault_path: str) -> None:
        self._path = vault.status_file(venue)
        self._vault = vault_path
        self._disk = Disk()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="status")
        self._writing: Future[None] | None = None

    def update(self, session: Session, state: str, now: Stamp) -> None:
        """Begin to write the present state, unless the last one is still being written."""
        if self._writing is None or self._writing.done():
            self._writing = self._pool.submit(self._write, describe(session, state, self._vault, now))

    def finish(self, session: Session, state: str, now: Stamp) -> None:
        """Write a last state and stop."""
        status = describe(session, state, self._vault, now)
        self._pool.submit(self._write, status)
        self._pool.shutdown(wait=True)

    def _write(self, status: dict[str, object]) -> None:
        try:
            self._disk.write_whole(self._path, orjson.dumps(status, option=orjson.OPT_INDENT_2), durable=False)
        except OSError:
            return  # a status that is missed grows old, which is what its readers test


def describe(session: Session, state: str, vault: str, now: Stamp) -> dict[str, object]:
    """Say how a session stands. `state` of a running one is found from its books."""
    elapsed_ns = now.elapsed_ns or 0
    keepers = list(session.recorder.feed.keepers.values())
    return {
        "format": FORMAT,
        "pid": os.getpid(),
        "started_utc": _text(session.started.recv_ns, 6),
        "written_utc": _text(now.recv_ns, 6),
        "vault": vault,
        "version": __version__,
        "venue": session.settings.venue.name,
        "state": state if state != "running" else _state_of(keepers),
        "instruments": [_instrument(session, keeper) for keeper in keepers],
        "connections": [
            {
                "conn": link.conn,
                "state": link.state,
                "opened": link.opened,
                "frames": link.frames,
                "last_error": link.last_error,
            }
            for link in session.links.values()
        ],
        "disk": _disk(session, elapsed_ns),
        "sync_lag_s": round(session.archive.sync_lag_ns(elapsed_ns) / NS_PER_S, 3),
        "books_suspended": session.archive.suspended,
        "inputs_waiting": len(session.inbox),
    }


def _state_of(keepers: list[Keeper]) -> str:
    standings = {keeper.standing for keeper in keepers}
    if Standing.SUSPECT in standings:
        return "suspect"
    return "live" if standings == {Standing.LIVE} else "seeding"


def _instrument(session: Session, keeper: Keeper) -> dict[str, object]:
    spec, state, counts = keeper.spec, keeper.state, keeper.counts
    lag_ns = state.recv_ns - state.book_ns if state.recv_ns is not None and state.book_ns is not None else None
    last = session.archive.last_lines.get(spec)
    return {
        "id": f"{spec.dataset}/{spec.inst}",
        "state": keeper.standing.value,
        "live_since_utc": _text(state.live_since_ns, spec.decimals),
        "last_event_utc": _text(state.book_ns, spec.decimals),
        "last_line_utc": _text(last, spec.decimals),
        "lag_ms": None if lag_ns is None else lag_ns // NS_PER_MS,
        "messages": counts.received,
        "lines": session.archive.lines[spec],
        "losses": keeper.says.losses,
        "checksum": {name: keeper.checksums.get(name, 0) for name in ("ok", "mismatch", "unchecked")},
        "best_bid": state.book.bids.best,
        "best_ask": state.book.asks.best,
        "outcomes": {word: getattr(counts, word) for word in OUTCOMES},
    }


def _disk(session: Session, elapsed_ns: int) -> dict[str, object]:
    """Tell the room left, and how long it lasts at the rate of this run."""
    try:
        free = session.archive.free_bytes()
    except OSError:
        return {"free_bytes": None, "hours_to_full": None}
    running_s = max(1, (elapsed_ns - (session.started.elapsed_ns or 0)) // NS_PER_S)
    per_hour = session.archive.bytes_written * HOUR_S / running_s
    return {"free_bytes": free, "hours_to_full": round(free / per_hour, 1) if per_hour else None}


def _text(moment_ns: int | None, decimals: int) -> str | None:
    return None if moment_ns is None else utc_text(moment_ns, decimals)
