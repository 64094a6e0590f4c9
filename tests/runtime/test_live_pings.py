"""Connections of venues without a ping of their own, over loopback sockets: the protocol's own tells the quiet ones."""

from dataclasses import replace
from pathlib import Path

from tests.tools.live import INSTS, Recipe, exchange, recording, run, until

QUIET = Recipe(insts=INSTS[:2], per_connection=2)
WITHOUT = replace(QUIET, rules=replace(QUIET.rules, ping=None, ping_after_s=1, dead_after_s=3))


def test_quiet_connection_whose_pings_are_answered_is_not_given_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with exchange(WITHOUT, "quiet:7s@1s") as served, recording(served, tmp_path / "v", WITHOUT) as live:
            start_ns = served.exchange.now_ns
            await live.all_live()
            await until(lambda: served.exchange.now_ns - start_ns > 9_000_000_000)
            await live.more_lines(4)
        assert live.gaps() == []
        assert live.said("disconnected") == []

    run(test())


def test_dead_connection_that_answers_no_ping_is_given_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with exchange(WITHOUT, "half_open:1m@1s") as served, recording(served, tmp_path / "v", WITHOUT) as live:
            await until(lambda: live.gaps() == sorted((inst, "stale") for inst in INSTS[:2]))
            await until(lambda: len(live.said("live")) == 4)

    run(test())
