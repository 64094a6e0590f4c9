"""The grammar of faults: every example reads, every mistake gets one clear line."""

import pytest

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.exchange import Exchange, Settings
from l2_exporter.simulator.faultkinds import FAULTS
from l2_exporter.simulator.faults import FaultPlan
from l2_exporter.simulator.faultspec import FaultSpec, parse_faults
from tests.simulator.naive import MS, T0, S


@pytest.mark.parametrize("kind", FAULTS.values(), ids=lambda kind: kind.name)
def test_every_example_reads_as_its_own_fault(kind: object) -> None:
    (spec,) = parse_faults(kind.example)  # type: ignore[attr-defined]
    assert spec.name == kind.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("drop:0.01", {"name": "drop", "chance": 0.01}),
        ("drop:1/BTC-USDT-SWAP", {"name": "drop", "chance": 1.0, "insts": "BTC-USDT-SWAP"}),
        ("drop:0.5@10s/BTC/USD", {"name": "drop", "chance": 0.5, "at_ns": 10 * S, "insts": "BTC/USD"}),
        ("drop@1.5s", {"name": "drop", "at_ns": 1500 * MS}),
        ("stall:200ms@2m+1h", {"name": "stall", "span_ns": 200 * MS, "at_ns": 120 * S, "every_ns": 3600 * S}),
        ("half_open@20s", {"name": "half_open", "span_ns": 120 * S, "at_ns": 20 * S}),
        ("oversize:500kB@0s", {"name": "oversize", "size_bytes": 500_000, "at_ns": 0}),
        ("checksum=change@30s", {"name": "checksum", "word": "change", "at_ns": 30 * S}),
        ("no_snapshot/SIM*", {"name": "no_snapshot", "insts": "SIM*"}),
        ("rest_late:3s", {"name": "rest_late", "span_ns": 3 * S}),
    ],
)
def test_a_fault_is_read(text: str, spec: dict[str, object]) -> None:
    assert parse_faults(text) == (FaultSpec(text, **spec),)  # type: ignore[arg-type]


def test_faults_are_separated_by_commas_and_none_is_fine() -> None:
    assert [spec.name for spec in parse_faults(" drop:0.1, close@1s ,")] == ["drop", "close"]
    assert parse_faults("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dorp:0.1", "did you mean drop?"),
        ("rest_503:0.1", "did you mean rest_5xx?"),
        ("zzz", "there are: drop, "),
        ("drop", "takes a chance from 0 to 1, or a moment"),
        ("drop:2", "takes a chance from 0 to 1"),
        ("drop:-1", "takes a chance from 0 to 1"),
        ("drop:", "takes a chance from 0 to 1"),
        ("drop=0.1", "takes :P"),
        ("drop:0.1@5", "'5' is not a time"),
        ("drop:0.1@5s+5s", "only what happens at a moment can repeat"),
        ("close", "say when"),
        ("close:1@5s", "takes no value"),
        ("close@5s+0s", "only after a time above 0"),
        ("stall@5s", "'' is not a time"),
        ("oversize:5@5s", "'5' is not a size"),
        ("checksum=wright", "did you mean right?"),
        ("checksum", "it is one of right, zero"),
        ("no_snapshot@5s", "lasts from the start on"),
        ("maintenance:5s@5s/BTC-USDT", "hits the whole venue"),
        ("rest_late:3s@1s+5s", "only what happens at a moment can repeat"),
        ("!", "is not written like"),
    ],
)
def test_a_mistake_is_refused_with_what_to_do(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults(text)
    assert says in str(caught.value)


def test_a_fault_the_venue_cannot_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing like notice"):
        FaultPlan(parse_faults("notice@5s"), 1, T0, lacks=("notice",))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(venue="okex"), "did you mean okx?"),
        (Settings(venue="nasdaq"), "there are: okx"),
        (Settings(instruments=0), "1 to 64 instruments"),
        (Settings(instruments=65), "1 to 64 instruments"),
        (Settings(instruments=()), "at least one instrument"),
        (Settings(instruments=("btc-usdt",)), "no ids like 'btc-usdt'"),
        (Settings(instruments=("BTC-USD-261399",)), "261399 is no date"),
        (Settings(interval_ns=0), "above 0"),
        (Settings(faults="dorp:1"), "did you mean drop?"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: Settings, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Exchange(settings, T0)
    assert says in str(caught.value)


def test_a_chance_with_a_moment_begins_there_and_a_repeated_moment_comes_back() -> None:
    plan = FaultPlan(parse_faults("drop:1@10s,close@10s+5s,quiet:1s@10s+4s"), 1, T0)
    (drop,), (close,) = plan.of("drop"), plan.of("close")
    assert [drop.strikes(T0 + second * S, "X") for second in (0, 9, 10, 11)] == [False, False, True, True]
    assert [second for second in range(30) if close.strikes(T0 + second * S)] == [10, 15, 20, 25]
    assert [half / 2 for half in range(36) if plan.lasting("quiet", T0 + half * S // 2, "X")] == [10, 10.5, 14, 14.5]


def test_a_moment_that_was_missed_comes_once_not_as_often_as_it_was_missed() -> None:
    (trigger,) = FaultPlan(parse_faults("close@10s+5s"), 1, T0).of("close")
    assert [trigger.take(T0 + second * S) for second in (42, 43, 45, 46)] == [True, False, True, False]
