"""The recorder wired to a simulated exchange in memory: whatever goes wrong, what is written is true, and what is not
written is declared. Simulated time; the same seeds give the same bytes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from l2_exporter.archive.layout import Vault
from l2_exporter.archive.tapeorder import read_tapes
from l2_exporter.core.commands import CloseLink
from l2_exporter.core.recovery import BUDGET
from l2_exporter.core.state import Standing
from l2_exporter.core.timetext import NS_PER_MS, NS_PER_S
from l2_exporter.runtime.replay import ReplayOptions, replay
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.truth import Truth
from tests.tools.replaying import hour_files, ledger
from tests.tools.truth import Evidence, check, same_archive
from tests.tools.wired import Plan, Wired

START_NS = 1_795_000_000 * NS_PER_S
INSTS = (
    "BTC-USDT-SWAP",
    "ETH-USDT-SWAP",
    "BTC-USDT",
    "SOL-USDT-SWAP",
    "BTC-USD-SWAP",
    "BTC-USDT-270326",
    "BTC-USD-270326",
    "BTC-USD-270326-40000-C",
    "BTC-USD-270326-45000-P",
    "SIM01-USDT-SWAP",
)
FEW = INSTS[:3]
SECONDS = 40

FRAME_FAULTS = (
    "drop:0.01",
    "drop:0.02/BTC*",
    "duplicate:0.01",
    "reorder:0.005",
    "corrupt:0.003",
    "garbage:0.001",
    "event_time_jump:0.005",
)
OTHER_FAULTS = (
    "close@{t}s",
    "close@{t}s/BTC-*",
    "close_mid_frame@{t}s",
    "notice:4s@{t}s",
    "notice:3s@{t}s/BTC-USDT-SWAP",
    "maintenance:5s@{t}s",
    "half_open:40s@{t}s",
    "stall:3s@{t}s",
    "stall:2s@{t}s/ETH*",
    "reset@{t}s",
    "crossed:3s@{t}s",
    "quiet:15s@{t}s",
    "no_snapshot",
    "drop_snapshot:0.2",
    "rest_late:3s",
    "rest_cached:10s",
    "rest_429:0.3",
    "rest_5xx:0.3",
    "rest_html:0.3",
    "rest_hang:0.2",
    "checksum=right",
    "checksum=absent",
    "checksum=change@{t}s",
    "bad_checksum:0.02",
    "wrong_size:0.02",
)


def some_faults(seed: int) -> str:
    """Draw what goes wrong in one run."""
    random = Random(seed)
    chosen = [fault for fault in FRAME_FAULTS if random.random() < 0.6]
    chosen += [fault.format(t=random.randrange(3, 40)) for fault in random.sample(OTHER_FAULTS, random.randrange(2, 7))]
    return ",".join(chosen)


def exchange_with(faults: str, seed: int = 1, insts: Sequence[str] = INSTS) -> Exchange:
    settings = Settings(seed=seed, instruments=tuple(insts), interval_ns=400 * NS_PER_MS, faults=faults)
    return Exchange(settings, START_NS, Truth(with_rows=True))


def recorded(vault: Path, faults: str, seed: int = 1, insts: Sequence[str] = INSTS, seconds: float = SECONDS) -> Wired:
    """Record an exchange in which this goes wrong, and check everything."""
    plan = Plan(insts, seed=seed, cadence_ns=NS_PER_S // 2)
    wired = Wired(exchange_with(faults, seed, insts), vault, plan)
    wired.run(seconds)
    check(Evidence(vault, wired.exchange.truth, insts), wired.counts())
    return wired


def replayed(vault: Path, into: Path, run: str = "*") -> Path:
    """Replay tapes of a vault into another one."""
    replay(read_tapes(sorted(vault.glob(f"tape/**/*-{run}.jsonl"))), Vault(into), ReplayOptions())
    return into


def gaps(vault: Path) -> list[tuple[str, str]]:
    """Return the losses as (instrument, reason), without those of starts."""
    found = [(line["instId"], line["reason"]) for line in ledger(vault) if line["kind"] == "gap"]
    return [gap for gap in found if gap[1] != "restart"]


def timestamp(line: bytes) -> str:
    """Read the time of a line."""
    return str(json.loads(line)["timestamp_utc"])


def attempts(vault: Path, inst: str) -> int:
    """Count how often a fresh book was asked for."""
    resyncs = [line for line in ledger(vault) if line["kind"] == "resync" and line["reason"] != "rest_failed"]
    return sum(line["instId"] == inst for line in resyncs)


@pytest.mark.parametrize("seed", range(1, 5))
def test_whatever_goes_wrong_lines_are_true_losses_declared_and_replays_identical(tmp_path: Path, seed: int) -> None:
    recorded(tmp_path / "live", some_faults(seed), seed)
    same_archive(tmp_path / "live", replayed(tmp_path / "live", tmp_path / "again"))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5, 321))
def test_whatever_goes_wrong_many_times(tmp_path: Path, seed: int) -> None:
    recorded(tmp_path / "live", some_faults(seed), seed)
    same_archive(tmp_path / "live", replayed(tmp_path / "live", tmp_path / "again"))


def test_nothing_goes_wrong_nothing_is_declared(tmp_path: Path) -> None:
    wired = recorded(tmp_path, "")
    assert gaps(tmp_path) == []
    assert [attempts(tmp_path, inst) for inst in INSTS] == [0] * len(INSTS)
    assert {keeper.standing for keeper in wired.recorder.feed.keepers.values()} == {Standing.LIVE}
    lines = [json.loads(line) for each in hour_files(tmp_path).values() for line in each]
    assert [line["flags"] for line in lines] == [[]] * len(lines)


def test_what_one_instrument_loses_no_other_loses(tmp_path: Path) -> None:
    recorded(tmp_path, "drop:0.05/ETH-USDT-SWAP,reorder:0.02/ETH-USDT-SWAP")
    assert {inst for inst, _ in gaps(tmp_path)} == {"ETH-USDT-SWAP"}


def test_restart_continues_the_archive_and_each_tape_gives_its_own_lines(tmp_path: Path) -> None:
    exchange = exchange_with("drop:0.01,close@10s,notice:3s@30s")
    plan = Plan(INSTS, cadence_ns=NS_PER_S // 2)
    live = tmp_path / "live"
    Wired(exchange, live, plan).run(20)
    first = hour_files(live)
    exchange.time_advanced(exchange.now_ns + 3 * NS_PER_S)
    wired = Wired(exchange, live, replace(plan, run="r2"))
    wired.run(20)
    restarts = [line["instId"] for line in ledger(live) if line["kind"] == "gap" and line["reason"] == "restart"]
    assert restarts == [*INSTS]
    check(Evidence(live, exchange.truth, INSTS), {})
    same_archive(live, replayed(live, tmp_path / "both"))
    second = hour_files(replayed(live, tmp_path / "second", "r2"))
    for path, lines in hour_files(live).items():
        last = timestamp(first[path][-1])
        # A book that has not changed since would repeat that moment, which its file refuses; an empty vault does not.
        assert [line for line in second[path] if timestamp(line) > last] == lines[len(first[path]) :]


def test_announced_close_is_a_planned_reconnect_without_any_loss(tmp_path: Path) -> None:
    wired = recorded(tmp_path, "notice:5s@10s,notice:5s@30s")
    planned = [line["reason"] for line in ledger(tmp_path) if line["kind"] == "planned_reconnect"]
    assert sorted(planned) == ["begun"] * 4 + ["done"] * 4
    assert gaps(tmp_path) == []
    closed = sorted(each.conn for each in wired.commands if isinstance(each, CloseLink))
    assert closed == ["okx-1", "okx-2", "okx-3", "okx-4"]
    assert {line.remote is None for name, line in wired.links.items() if name in ("okx-5", "okx-6")} == {False}
    assert len({line["until_event"] for line in ledger(tmp_path) if line["kind"] == "live"}) <= len(INSTS)


def test_dead_link_is_given_up_and_every_book_on_it_declared_stale(tmp_path: Path) -> None:
    recorded(tmp_path, "half_open:2m@5s/BTC-USDT-SWAP")
    assert sorted(gaps(tmp_path)) == sorted((inst, "stale") for inst in INSTS[:5])


def test_venue_without_snapshots_is_joined_by_rest(tmp_path: Path) -> None:
    wired = recorded(tmp_path, "no_snapshot,rest_late:2s,rest_5xx:0.2", insts=FEW)
    assert gaps(tmp_path) == []
    assert {keeper.standing for keeper in wired.recorder.feed.keepers.values()} == {Standing.LIVE}


def test_rest_that_never_answers_leads_to_suspicion_not_to_a_storm(tmp_path: Path) -> None:
    seconds = 1800
    exchange = exchange_with("no_snapshot,rest_html:1", insts=FEW[:1])
    exchange = Exchange(replace(exchange.settings, interval_ns=10 * NS_PER_S), START_NS, Truth(with_rows=True))
    wired = Wired(exchange, tmp_path, Plan(FEW[:1]))
    wired.run(seconds)
    check(Evidence(tmp_path, exchange.truth, FEW[:1]), wired.counts())
    assert [line["reason"] for line in ledger(tmp_path) if line["kind"] == "suspect"] == ["budget_spent"]
    assert attempts(tmp_path, FEW[0]) in (BUDGET, BUDGET + 1)
    assert wired.recorder.feed.keepers["books", FEW[0]].standing is Standing.SUSPECT


def test_checksum_that_changes_is_noticed_once_and_costs_one_loss_each(tmp_path: Path) -> None:
    wired = recorded(tmp_path, "checksum=change@10s", insts=FEW)
    assert sorted(gaps(tmp_path)) in ([(inst, "checksum") for inst in sorted(FEW[:count])] for count in (1, 2, 3))
    canaries = [line["reason"] for line in ledger(tmp_path) if line["kind"] == "canary"]
    assert canaries == ["algorithm_changed"]
    assert wired.recorder.feed.keepers["books", FEW[0]].standing is Standing.LIVE


def test_schema_change_stops_the_venue_and_ends_every_book(tmp_path: Path) -> None:
    wired = recorded(tmp_path / "live", "schema_change@10s")
    assert wired.recorder.build_fail == "BUILD_FAIL venue=okx channel=books missing=[bids]"
    assert sorted(inst for inst, _ in gaps(tmp_path / "live")) == sorted(INSTS)
    same_archive(tmp_path / "live", replayed(tmp_path / "live", tmp_path / "again"))


def test_maintenance_is_one_loss_each_and_books_come_back(tmp_path: Path) -> None:
    wired = recorded(tmp_path, "maintenance:20s@10s,reset@31s")
    assert sorted(gaps(tmp_path)) == sorted((inst, "disconnect") for inst in INSTS)
    assert {keeper.standing for keeper in wired.recorder.feed.keepers.values()} == {Standing.LIVE}
