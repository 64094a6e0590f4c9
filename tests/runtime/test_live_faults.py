"""A live session over loopback sockets, with everything going wrong at once: the same oracle as in memory."""

from pathlib import Path

import pytest

from tests.tools.live import Recipe, exchange, judged, recording, run

FAULTS = (
    "drop:0.01,duplicate:0.01,reorder:0.005,close@2s",
    "drop:0.01/BTC*,corrupt:0.004,garbage:0.001,notice:1s@1500ms",
    "no_snapshot,rest_late:200ms,reorder:0.005,reset@2s,stall:700ms@1500ms",
    "checksum=right,wrong_size:0.02,event_time_jump:0.02,close_mid_frame@2s",
    "drop:0.02/ETH*,crossed:1s@1s,notice:500ms@1s/BTC-USDT-SWAP,duplicate:0.02,half_open:1s@3s/SIM01*",
)
LINES = 250


async def record_all(vault: Path, seed: int) -> None:
    recipe = Recipe()
    async with exchange(recipe, FAULTS[seed % len(FAULTS)], seed) as served, recording(served, vault, recipe) as live:
        await live.all_live()
        await live.more_lines(LINES)
    figures = judged(live, served.exchange.truth)
    assert figures.lines >= LINES


@pytest.mark.parametrize("seed", range(1, 6))
def test_lines_are_true_losses_declared_and_the_tape_gives_the_same_bytes(tmp_path: Path, seed: int) -> None:
    run(record_all(tmp_path / "live", seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6, 41))
def test_the_same_many_times(tmp_path: Path, seed: int) -> None:
    run(record_all(tmp_path / "live", seed))
