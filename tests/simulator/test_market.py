"""The market: what a window of it may look like, that differences add up, and that a seed decides everything."""

import hashlib
import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from l2_exporter.simulator.dialects.okx import Okx
from l2_exporter.simulator.market import Market, Window
from tests.simulator.naive import BTC, MS, T0, Memory

SEEDS = st.integers(0, 2**32)
IDS = st.sampled_from(
    [BTC, "BTC-USDT", "DOGE-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-270326", "BTC-USD-270326-40000-C", "SIM09-USDT-SWAP"]
)


def market_of(seed: object, inst: str = BTC) -> Market:
    """Make a market of OKX rows."""
    okx = Okx(1)
    return Market(okx.instrument(inst, T0), okx.row, str(seed), T0)


def prices(rows: object) -> list[float]:
    """Return the prices of a window's side, in order."""
    return [float(row[0]) for row in rows.values()]  # type: ignore[attr-defined]


def assert_is_book(window: Window) -> None:
    """Best first, one row a price, sizes above zero, at least one order, not crossed."""
    bids, asks = prices(window.bids), prices(window.asks)
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids
    assert asks
    assert 0 < bids[0] < asks[0]
    for row in (*window.bids.values(), *window.asks.values()):
        assert float(row[1]) > 0
        assert int(row[3]) >= 1


@settings(max_examples=25, deadline=None)
@given(SEEDS, IDS)
def test_every_window_is_a_book_and_differences_add_up(seed: int, inst: str) -> None:
    market = market_of(seed, inst)
    shown = {depth: market.window(depth) for depth in (1, 50, 400)}
    for number in range(1, 40):
        market.step(T0 + number * 100 * MS)
        for depth, old in shown.items():
            new = market.window(depth)
            assert_is_book(new)
            assert max(len(new.bids), len(new.asks)) <= depth
            bids, asks = market.changes(old, new)
            assert after(old.bids, bids) == {row[0]: row for row in new.bids.values()}
            assert after(old.asks, asks) == {row[0]: row for row in new.asks.values()}
            shown[depth] = new


def after(old: object, rows: list[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Apply rows to a side by price text; each price comes at most once, best first."""
    assert len({row[0] for row in rows}) == len(rows)
    side = {row[0]: row for row in old.values()}  # type: ignore[attr-defined]
    for row in rows:
        if row[1] == "0":
            assert row[2:] == ("0", "0")
            side.pop(row[0], None)
        else:
            side[row[0]] = row
    return side


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_liquid_window_stays_full_and_numbers_rise_by_1_to_20(seed: int) -> None:
    market = market_of(seed)
    for number in range(60):
        before = market.seq
        if market.step(T0 + number):
            assert market.prev_seq == before
            assert 1 <= market.seq - before <= 20
        window = market.window(400)
        assert (len(window.bids), len(window.asks)) == (400, 400)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_numbers_can_count_the_levels_that_change(seed: int) -> None:
    okx = Okx(1)
    market = Market(okx.instrument(BTC, T0), okx.row, str(seed), T0, max_step=0)
    spare = set()
    for number in range(60):
        before, old = market.seq, market.window(1000)
        if market.step(T0 + number):
            bids, asks = market.changes(old, market.window(1000))
            spare.add(market.seq - before - len(bids) - len(asks))
            assert market.prev_seq == before < market.seq
    assert {0, 1} <= spare <= {0, 1, 2, 3}


def test_reset_lets_the_number_fall_once_and_never_repeats_one() -> None:
    market = market_of(5)
    seen = {market.seq}
    for number in range(300):
        if number % 60 == 59:
            market.reset()
        before = market.seq
        if market.step(T0 + number):
            assert market.prev_seq == before
            assert market.seq not in seen
            assert (market.seq < min(seen)) == (market.seq < before)
            seen.add(market.seq)
    assert min(seen) < 8_000_000_000 // 16


def test_a_crossed_market_has_its_best_bid_above_its_best_ask_until_it_ends() -> None:
    market = market_of(5)
    market.crossed = True
    market.step(T0)
    window = market.window(400)
    assert prices(window.bids)[0] > prices(window.asks)[0]
    market.crossed = False
    while not market.step(T0):
        pass
    assert_is_book(market.window(400))


def test_a_liquid_book_changes_as_much_as_recorded_ones_do() -> None:
    """Recordings of BTC-USDT: 30 to 43 rows each 100 ms, a third to a half of them deletes, some of unknown prices."""
    memory = Memory(instruments=(BTC,))
    memory.subscribe(BTC)
    memory.outputs.clear()
    memory.run(60)
    rows = [row for output in memory.outputs for row in (*output.push.bids, *output.push.asks)]  # type: ignore[union-attr]
    deletes = sum(row[1] == "0" for row in rows)
    assert 30 <= len(rows) / len(memory.outputs) <= 43
    assert 0.2 <= deletes / len(rows) <= 0.5


RUN = """
import hashlib
from tests.simulator.naive import BTC, ETH, Memory
memory = Memory("drop:0.1,duplicate:0.1,reorder:0.1,corrupt:0.1,garbage:0.1,stall:1s@2s,checksum=right")
for channel in ("books", "books5", "bbo-tbt", "books50-l2-tbt"):
    memory.subscribe(BTC, ETH, "BTC-USDT", channel=channel)
memory.run(6)
print(hashlib.sha256(repr(memory.outputs).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_frames_under_any_hash_seed() -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."}
        done = subprocess.run([sys.executable, "-c", RUN], env=env, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == hashlib.sha256().digest_size * 2


def test_another_seed_gives_another_market() -> None:
    assert market_of(1).window(400) != market_of(2).window(400)
