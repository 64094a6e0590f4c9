"""The plan alone: boundaries, clocks, and what it must never do whatever it is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.inventory import Group, Item, Leftover, Stored, What
from retention.plan import Kind, plan
from retention.policy import HOUR_NS, NS_PER_S, Limits, Policy, parse_duration
from tests.retention.running import policy
from tests.retention.vaults import ns

ENDS = [datetime(2026, 11, 21, 16, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]
PLAIN = Stored(Path("15.jsonl"), 100)
GZ = Stored(Path("15.jsonl.gz"), 10)


def item(end_ns: int, what: What = What.HOUR, **files: object) -> Item:
    return Item(what, PLAIN.path, "okx", "l2_perps", "X", end_ns - HOUR_NS, end_ns, **(files or {"plain": PLAIN}))


def kinds(group: Group, now_ns: int, rules: Policy | None = None) -> list[Kind]:
    return [action.kind for action in plan(group, rules or policy(), now_ns)]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("age", "kind"),
    [
        ("-1:00:00", []),
        ("5:59:59", []),
        ("6:00:00", [Kind.COMPRESS]),
        ("119:59:59", [Kind.COMPRESS]),
        ("120:00:00", [Kind.DELETE]),
        ("120:00:01", [Kind.DELETE]),
    ],
)
def test_limits_to_the_second(end: datetime, age: str, kind: list[Kind]) -> None:
    sign = -1 if age.startswith("-") else 1
    hours, minutes, seconds = (int(part) for part in age.lstrip("-").split(":"))
    now = end + sign * timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert kinds(Group((item(ns(end)),)), ns(now)) == kind


def test_an_hour_is_over_with_the_next_one_or_after_two_minutes() -> None:
    end = ns(ENDS[0])
    eager = policy("0s", "never")
    alone = Group((item(end),))
    assert kinds(alone, end + 119 * NS_PER_S, eager) == []
    assert kinds(alone, end + 120 * NS_PER_S, eager) == [Kind.COMPRESS]
    followed = Group((item(end), item(end + HOUR_NS)))
    assert kinds(followed, end, eager) == [Kind.COMPRESS]
    assert kinds(followed, end - 1, eager) == []
    without_a_line = Group((item(end), item(end + HOUR_NS, plain=Stored(PLAIN.path, 0))))
    assert kinds(without_a_line, end, eager) == []


def test_a_tape_is_left_for_an_hour_after_its_own() -> None:
    end, eager = ns(ENDS[0]), policy("0s", "0s")
    tape = Group((item(end, What.TAPE), item(end + HOUR_NS, What.TAPE)))
    assert kinds(tape, end + HOUR_NS, eager) == []
    assert kinds(tape, end + HOUR_NS + 1, eager) == [Kind.DELETE]


def test_tapes_have_limits_of_their_own() -> None:
    end = ns(ENDS[0])
    rules = Policy(policy().hours, Limits(parse_duration("2h"), parse_duration("3h")))
    assert kinds(Group((item(end, What.TAPE), item(end))), end + 2 * HOUR_NS, rules) == [Kind.COMPRESS]
    assert kinds(Group((item(end, What.TAPE), item(end))), end + 3 * HOUR_NS, rules) == [Kind.DELETE]


def test_ledgers_go_by_their_own_limit_and_the_newest_never() -> None:
    end = ns(ENDS[0])
    ledgers = Group((item(end, What.LEDGER), item(end + 24 * HOUR_NS, What.LEDGER)))
    assert kinds(ledgers, end + 10_000 * HOUR_NS) == []
    assert kinds(ledgers, end + 10_000 * HOUR_NS, policy(ledger="1d")) == [Kind.DELETE]


def test_never_means_never() -> None:
    assert kinds(Group((item(ns(ENDS[0])),)), ns(ENDS[0]) * 4, policy("never", "never")) == []


def test_a_plain_file_past_the_delete_limit_is_not_compressed_first() -> None:
    assert kinds(Group((item(ns(ENDS[0])),)), ns(ENDS[2]), policy("6h", "7h")) == [Kind.DELETE]


def test_both_files_are_finished_and_two_compressed_ones_left() -> None:
    end, now = ns(ENDS[0]), ns(ENDS[0]) + HOUR_NS
    assert kinds(Group((item(end, plain=PLAIN, packed=(GZ,)),)), now) == [Kind.FINISH]
    assert kinds(Group((item(end, packed=(GZ, GZ)),)), ns(ENDS[2])) == [Kind.LEAVE]
    assert kinds(Group((item(end, packed=(GZ,)),)), now) == []


def test_leftovers_of_dead_processes_only() -> None:
    end, tmp = ns(ENDS[0]), Stored(Path(".tmp-15-7"), 3)
    for alive, age_ns, kind in [(True, 9, []), (False, 9, [Kind.SWEEP]), (False, 1, []), (True, 1, [])]:
        assert kinds(Group(leftovers=(Leftover(tmp, end, alive),)), end + age_ns * HOUR_NS) == kind


stored = st.builds(Stored, st.sampled_from([Path("a"), Path("b")]), st.integers(0, 10))
items = st.builds(
    lambda what, hour, plain, packed, manifest: item(
        hour * HOUR_NS, what, plain=plain, packed=tuple(packed), manifest=manifest
    ),
    st.sampled_from(What),
    st.integers(1, 40),
    st.none() | stored,
    st.lists(stored, max_size=2),
    st.none() | stored,
)
limits = st.none() | st.integers(0, 30 * 3600).map(lambda seconds: seconds * NS_PER_S)
policies = st.builds(Policy, st.builds(Limits, limits, limits), st.builds(Limits, limits, limits), limits)


@given(st.lists(items, max_size=6), policies, st.integers(-5 * HOUR_NS, 60 * HOUR_NS))
def test_whatever_it_is_told(found: list[Item], rules: Policy, now_ns: int) -> None:
    """Nothing young or current is touched, nothing is deleted before its limit, and of two files one always stays."""
    actions = list(plan(Group(tuple(found)), rules, now_ns))
    assert len({id(action.subject) for action in actions}) == len(actions)
    for action in actions:
        assert isinstance(action.subject, Item)
        subject, age_ns = action.subject, now_ns - action.subject.end_ns
        own = {What.HOUR: rules.hours, What.TAPE: rules.tapes, What.LEDGER: Limits(None, rules.ledger_after_ns)}
        own_limits = own[subject.what]
        assert age_ns >= 0
        if action.kind is Kind.DELETE:
            assert own_limits.delete_after_ns is not None
            assert age_ns >= own_limits.delete_after_ns
        if action.kind is Kind.COMPRESS:
            assert subject.plain is not None
            assert not subject.packed
            assert age_ns >= (own_limits.compress_after_ns or 0)
        if action.kind is Kind.FINISH:
            assert subject.plain is not None
            assert len(subject.packed) == 1
