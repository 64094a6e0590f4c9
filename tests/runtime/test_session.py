"""A session on a loop of its own, with clocks that are set and disks that fail."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.schema import STATUS_INSTRUMENT_FIELDS
from l2_exporter.archive.tape import TapeLine
from l2_exporter.cli.status import diagnose
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.timetext import HOUR_NS, NS_PER_S
from l2_exporter.runtime.clock import Clock
from l2_exporter.runtime.inbox import Inbox
from l2_exporter.runtime.link import Link, LinkSettings
from l2_exporter.runtime.pacing import limits_of
from l2_exporter.runtime.rest import RestClient
from l2_exporter.runtime.session import STOPPED_KEPT, Session, SessionSettings
from l2_exporter.runtime.status import describe
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.venues.registry import venue_named
from tests.archive.faulty import FaultyDisk
from tests.tools.processes import ledger, lines
from tests.tools.replaying import assert_same_lines, hour_files, run_replay

PATIENCE_S = 20.0
INST = "BTC-USDT-SWAP"
OKX = venue_named("okx")


class SetClock(Clock):
    """A clock that a test sets, and lets run faster."""

    def __init__(self) -> None:
        self.wall_off_ns = 0
        self.elapsed_off_ns = 0
        self.speed = 1

    def wall_ns(self) -> int:
        return super().wall_ns() + self.wall_off_ns

    def elapsed_ns(self) -> int:
        return super().elapsed_ns() * self.speed + self.elapsed_off_ns


async def until(what: Callable[[], Any], why: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(0.005)
    assert what(), why


def settings(served: SimulatedExchange, *, tape: bool = False) -> SessionSettings:
    return SessionSettings(
        venue=OKX,
        ws_url=served.ws_url,
        origin="override",
        connections={"okx-1": [("books", INST)]},
        cadence_ns=NS_PER_S // 20,
        depth=400,
        grace_ns=NS_PER_S,
        checksum_resync=3,
        tape=tape,
        fsync_ns=5 * NS_PER_S,
        tls=None,
        jitter_seed=1,
        codes={},
        run="test",
    )


def attack(
    vault: Path,
    act: Callable[[Session, SetClock], Awaitable[None]],
    *,
    faults: str = "",
    disk: Disk | None = None,
    tape: bool = False,
) -> Session:
    """Record a simulated exchange, do something to the session, and stop it."""

    async def play() -> Session:
        clock = SetClock()
        async with SimulatedExchange(Settings(instruments=(INST,), interval_ns=20_000_000, faults=faults)) as served:
            rest = RestClient(served.rest_url, limits_of(OKX.link))
            session = Session(settings(served, tape=tape), Vault(vault), rest, clock, lambda _record: None, disk)
            running = asyncio.create_task(session.run())
            try:
                await act(session, clock)
            finally:
                session.stop()
                try:
                    await running
                finally:
                    await asyncio.to_thread(rest.close)
        return session

    return asyncio.run(play())


def more_lines(session: Session, count: int = 3) -> Callable[[], bool]:
    """Make a test for so many more lines than now."""
    target = sum(session.archive.lines.values()) + count
    return lambda: sum(session.archive.lines.values()) >= target


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_waiting_does_not_mend_ends_the_run_after_a_minute(tmp_path: Path, code: int) -> None:
    failing: list[bool] = []
    disk = FaultyDisk(lambda call, _n: OSError(code, os.strerror(code)) if failing and call == "append" else None)

    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        failing.append(True)
        await until(lambda: session.archive.suspended, "suspended")
        clock.elapsed_off_ns += 58 * NS_PER_S
        received = session.links["okx-1"].frames
        await until(lambda: session.links["okx-1"].frames > received + 10, "it goes on for 58 s")
        assert session.recorder.feed.keepers["books", INST].standing.value == "live"
        clock.elapsed_off_ns += 3 * NS_PER_S
        await until(lambda: session.links["okx-1"].state == "stopped", "ended")

    with pytest.raises(ArchiveError, match=f"for a minute now: .*{os.strerror(code)}"):
        attack(tmp_path, act, disk=disk)


def test_a_disk_that_cannot_sync_ends_the_run_after_a_minute(tmp_path: Path) -> None:
    failing: list[bool] = []
    disk = FaultyDisk(
        lambda call, _n: OSError(errno.EIO, "Input/output error") if failing and call == "fsync" else None
    )

    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        failing.append(True)
        for _ in range(20):
            clock.elapsed_off_ns += 4 * NS_PER_S
            await asyncio.sleep(0.15)

    with pytest.raises(ArchiveError, match=r"for a minute now: .*Input/output error"):
        attack(tmp_path, act, disk=disk)


def test_a_moment_of_failure_is_declared_and_over(tmp_path: Path) -> None:
    failing: list[bool] = []
    disk = FaultyDisk(lambda call, _n: OSError(errno.EIO, "I/O") if failing and call == "append" else None)

    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        failing.append(True)
        await until(lambda: session.archive.suspended, "suspended")
        clock.elapsed_off_ns += 50 * NS_PER_S
        failing.clear()
        await until(lambda: not session.archive.suspended, "resumed")
        clock.elapsed_off_ns += 50 * NS_PER_S
        await until(more_lines(session), "lines")

    attack(tmp_path, act, disk=disk)
    kinds = [entry["kind"] for entry in ledger(tmp_path)]
    assert [kind for kind in kinds if kind.startswith("write_")] == ["write_suspended", "write_resumed"]
    assert "gap" not in kinds


def test_a_ledger_that_was_refused_is_written_as_soon_as_it_can_be(tmp_path: Path) -> None:
    failing: list[bool] = []
    disk = FaultyDisk(lambda call, _n: OSError(errno.ENOSPC, "full") if failing and call == "append" else None)

    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        failing.append(True)
        await until(lambda: session.archive.suspended, "suspended")
        assert ledger(tmp_path, "write_suspended") == []
        session.links["okx-1"].close("disconnect: test", retire=True)
        await until(lambda: session.recorder.losses["disconnect"], "lost")
        failing.clear()
        clock.elapsed_off_ns += 2 * NS_PER_S
        await until(lambda: ledger(tmp_path, "gap", torn=True), "told without another event")

    attack(tmp_path, act, disk=disk)


def test_a_stop_that_cannot_write_what_it_must_is_an_error(tmp_path: Path) -> None:
    failing: list[bool] = []
    disk = FaultyDisk(lambda call, _n: OSError(errno.ENOSPC, "full") if failing and call == "append" else None)

    async def act(session: Session, _clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        failing.append(True)

    with pytest.raises(ArchiveError, match=r"could not be closed: .*full"):
        attack(tmp_path, act, disk=disk)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_moves_no_line(tmp_path: Path, hours: int) -> None:
    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        clock.wall_off_ns += hours * HOUR_NS
        await until(lambda: ledger(tmp_path / "vault", "clock_step", torn=True), "noticed")
        await until(more_lines(session), "lines after it")
        clock.wall_off_ns = 0
        await until(lambda: len(ledger(tmp_path / "vault", "clock_step", torn=True)) == 2, "noticed")
        await until(more_lines(session), "lines after it")

    attack(tmp_path / "vault", act, tape=True)
    (of_book,) = lines(tmp_path / "vault").values()
    times = [line["timestamp_utc"] for line in of_book]
    assert times == sorted(set(times))
    assert len({line["live_since_utc"] for line in of_book}) == 1
    steps = [round(entry["detail"]["seconds"]) for entry in ledger(tmp_path / "vault", "clock_step")]
    assert steps == [hours * 3600, -hours * 3600]
    assert not {"gap", "stale", "event_time_odd"} & {entry["kind"] for entry in ledger(tmp_path / "vault")}
    run_replay(tmp_path / "again", *sorted((tmp_path / "vault" / "tape").rglob("*.jsonl")))
    assert_same_lines(hour_files(tmp_path / "again"), hour_files(tmp_path / "vault"))


def test_a_sleep_is_told_and_is_nobody_s_silence(tmp_path: Path) -> None:
    async def act(session: Session, clock: SetClock) -> None:
        await until(more_lines(session), "lines")
        for offset in (HOUR_NS, 10 * NS_PER_S, 10 * NS_PER_S):
            clock.elapsed_off_ns += offset
            clock.wall_off_ns += offset
            await until(more_lines(session), "lines after it")
            await until(lambda: ledger(tmp_path, "sleep", torn=True), "noticed")

    attack(tmp_path, act)
    (slept,) = ledger(tmp_path, "sleep")
    assert 3600 <= slept["detail"]["seconds"] < 3610
    assert not {"gap", "stale", "clock_step"} & {entry["kind"] for entry in ledger(tmp_path)}


def test_a_book_that_does_not_come_back_is_suspect_and_the_status_tells_it(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    async def act(session: Session, clock: SetClock) -> None:
        await until(lambda: session.links and session.links["okx-1"].state == "open", "open")
        keeper = session.recorder.feed.keepers["books", INST]
        async with asyncio.timeout(PATIENCE_S):
            while keeper.standing.value != "suspect":
                clock.elapsed_off_ns += 20 * NS_PER_S
                clock.wall_off_ns += 20 * NS_PER_S
                await asyncio.sleep(0.02)
        found.update(describe(session, "running", str(tmp_path), clock.stamp()))

    attack(tmp_path, act, faults="drop_snapshot:1,rest_5xx:1")
    assert found["state"] == "suspect"
    (book,) = found["instruments"]
    assert list(book) == [field.name for field in STATUS_INSTRUMENT_FIELDS]
    assert book["messages"] == sum(book["outcomes"].values()) > 0
    assert "l2_perps/BTC-USDT-SWAP is suspect" in diagnose(found, 1e9, Clock().wall_ns())
    assert [entry["reason"] for entry in ledger(tmp_path, "suspect")] == ["budget_spent"]
    assert lines(tmp_path) == {}


def test_of_connections_that_are_gone_for_good_the_last_few_are_kept(tmp_path: Path) -> None:
    names: list[str] = []

    async def act(session: Session, clock: SetClock) -> None:
        await until(lambda: session.links and session.links["okx-1"].state == "open", "open")
        for number in range(2, STOPPED_KEPT + 6):
            session.join([("books", f"X{number}-USDT-SWAP")], {}, 1)
            link = session.links[f"okx-{number}"]
            link.close("disconnect: test", retire=True)
            await until(lambda link=link: link.state == "stopped", "stopped")  # type: ignore[misc]
        session.join([("books", "LAST-USDT-SWAP")], {}, 1)
        names.extend(session.links)

    attack(tmp_path, act)
    newest = STOPPED_KEPT + 6
    assert names == ["okx-1", *(f"okx-{number}" for number in range(newest - STOPPED_KEPT, newest + 1))]


def test_a_link_ends_when_it_is_told_to_even_while_inputs_wait() -> None:
    async def play(served: SimulatedExchange) -> None:
        async def at_once() -> None:
            return

        for _ in range(30):
            inbox = Inbox()
            inbox.put(TapeLine("tick", "control", None, 1, 1, None, "", None, 200))
            link = Link(
                LinkSettings("okx-1", served.ws_url, OKX.link, None, None, at_once, lambda *_: None), inbox, Clock()
            )
            running = asyncio.create_task(link.run())
            await until(lambda link=link: link.state == "open", "open")  # type: ignore[misc]
            link.send(*OKX.subscribe([("books", INST)]))
            await until(lambda link=link: link.frames > 2, "frames")  # type: ignore[misc]
            link.close("disconnect: test", retire=True)
            async with asyncio.timeout(PATIENCE_S):
                await running

    async def serve() -> None:
        async with SimulatedExchange(Settings(instruments=(INST,), interval_ns=1_000_000)) as served:
            await play(served)

    asyncio.run(serve())


def test_a_link_that_is_retired_before_it_is_open_never_opens() -> None:
    async def play() -> Link:
        async def never() -> None:
            await asyncio.Event().wait()

        link = Link(
            LinkSettings("okx-1", "ws://127.0.0.1:9/", OKX.link, None, None, never, lambda *_: None), Inbox(), Clock()
        )
        running = asyncio.create_task(link.run())
        await asyncio.sleep(0)
        link.close("disconnect: replaced", retire=True)
        with pytest.raises(asyncio.CancelledError):
            await running
        return link

    assert asyncio.run(play()).state == "stopped"
