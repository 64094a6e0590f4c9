"""The commands `orders`, `l3-stats` and `rebuild` on a vault of one book of orders, against the naive model."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from l2_exporter.archive.orders_stats import Durations
from l2_exporter.cli.main import cli
from l2_exporter.core.timetext import utc_ns
from tests.tools.order_world import BOOKS, EVENTS, INST, LEVELS, VENUE, OrderWorld, lively, plain, text

Line = dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> OrderWorld:
    made = lively(11)
    made.write(tmp_path_factory.mktemp("vault"))
    return made


@pytest.fixture(scope="module")
def root(world: OrderWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    world.write(folder)
    return folder


def run(root: Path, *arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(cli, [*words, "--vault", str(root)], catch_exceptions=False)


def shown(root: Path, *arguments: object) -> Any:
    """Run with --json and return what it prints."""
    result = run(root, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# ---- orders ------------------------------------------------------------------------------------------------------


def test_pages_continue_exactly_and_are_the_stored_lines(world: OrderWorld, root: Path) -> None:
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = shown(root, "orders", INST, "--limit", 37, *(["--after", cursor] if cursor else []))
        assert len(page["events"]) <= 37
        found += page["events"]
        cursor, pages = page["next"], pages + 1
    assert found == world.lines[EVENTS]
    assert pages == -(-len(found) // 37)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--type", "match"], lambda line: line["type"] == "match"),
        (["--type", "open", "--type", "live"], lambda line: line["type"] in ("open", "live")),
        (["--side", "sell"], lambda line: line["side"] == "sell"),
        (["--order-id", "3"], lambda line: line["order_id"] == "3"),
        (["--order-id", "t"], lambda line: line["taker_order_id"] == "t"),
        (["--order-id", '"'], lambda line: False),
        (
            ["--min-size", "2.25"],
            lambda line: Decimal(line["size"] or (line["remaining"] or "0" if line["type"] == "done" else "0")) >= 2.25,
        ),
    ],
)
def test_filters(options: list[str], wanted: Any, world: OrderWorld, root: Path) -> None:
    expected = [line for line in world.lines[EVENTS] if wanted(line)]
    assert shown(root, "orders", f"{VENUE}:{INST}", "--limit", 1000, *options) == {"events": expected, "next": None}


def test_a_window_includes_both_its_ends(world: OrderWorld, root: Path) -> None:
    lines = world.lines[EVENTS]
    first, last = lines[20]["timestamp_utc"], lines[60]["timestamp_utc"]
    expected = [line for line in lines if first <= line["timestamp_utc"] <= last]
    assert shown(root, "orders", INST, "--from", first, "--to", last)["events"] == expected


def test_text_says_one_event_a_line_and_the_cursor(world: OrderWorld, root: Path) -> None:
    result = run(root, "orders", INST, "--limit", 2, "--type", "done", "--type", "live")
    picked = [line for line in world.lines[EVENTS] if line["type"] in ("done", "live")][:2]
    done = picked[1]
    size = f"{done['side'] or '-':4}  {done['order_id']}  {done['price'] or '-'}  -"
    left = f"  left {done['remaining']}" if done["remaining"] else ""
    reason = f"  {done['reason']}" if done["reason"] else ""
    assert result.stdout.splitlines()[1:] == [
        f"{picked[0]['timestamp_utc']}  live",
        f"{done['timestamp_utc']}  done    {size}{left}{reason}",
    ]
    assert result.stderr == f"more: --after {done['timestamp_utc']}/{done['n']}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["orders", "tBTC"], "near it are:\n  bitfinex:tBTCUSD --dataset l3_spot.25"),
        (["orders", INST, "--dataset", "l3_spot"], "it is in:\n  bitfinex:tBTCUSD --dataset l3_spot.25"),
        (["orders", INST, "--after", "here"], "no cursor such as"),
        (["orders", INST, "--after", "2026-13-01T00:00:00Z/1"], "no cursor such as"),
        (["orders", INST, "--min-size", "big"], "not a plain number"),
        (["orders", INST, "--from", "today"], "not a UTC time"),
        (["rebuild", INST], "Missing option '--at'"),
        (["rebuild", INST, "--at", "2020-01-01T00:00:00Z"], "no event at or before that time; its first line is at"),
        (["show", INST, "--dataset", EVENTS], "holds events of orders, not books"),
        (["show", INST, "--dataset", "l3_spot_books"], f"it is in:\n  bitfinex:tBTCUSD --dataset {BOOKS}"),
    ],
)
def test_bad_usage_ends_with_2(arguments: list[str], said: str, root: Path) -> None:
    result = run(root, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_two_datasets_of_events_are_told_apart_by_name(world: OrderWorld, tmp_path: Path) -> None:
    world.write(tmp_path)
    (tmp_path / "raw" / VENUE / EVENTS).rename(tmp_path / "raw" / VENUE / "l3_spot")
    world.write(tmp_path)
    result = run(tmp_path, "orders", INST)
    assert result.exit_code == 2
    assert "  bitfinex:tBTCUSD --dataset l3_spot\n  bitfinex:tBTCUSD --dataset l3_spot.25" in result.stderr
    assert len(shown(tmp_path, "orders", INST, "--dataset", "l3_spot", "--limit", 5)["events"]) == 5


# ---- l3-stats ----------------------------------------------------------------------------------------------------


def expected_lifetimes(lines: list[Line]) -> tuple[list[int], Counter[str]]:
    """Work out lifetimes the plain way."""
    found, resting, excluded, filled = [], {}, Counter(), set()
    live = None
    for line in lines:
        if line["live_since_utc"] != live:
            excluded["lost"] += len(resting)
            live, resting = line["live_since_utc"], {}
        at_ns, ident = utc_ns(line["timestamp_utc"]), line["order_id"]
        if line["type"] == "open":
            resting[ident] = at_ns
        elif line["type"] == "done" or (line["type"] == "match" and line["remaining"] == "0"):
            if ident in resting:
                found.append(at_ns - resting.pop(ident))
                filled |= {ident} if line["type"] == "match" else set()
            elif ident in filled:
                filled.remove(ident)
            else:
                excluded["without_open"] += 1
    excluded["rest_at_end"] = len(resting)
    return sorted(found), excluded


def seconds(ns: int) -> str:
    return plain(Decimal(ns) / 10**9)


@pytest.mark.parametrize("window", [None, (30, 200)])
def test_stats_are_those_of_the_lines(window: tuple[int, int] | None, world: OrderWorld, root: Path) -> None:
    lines, options = world.lines[EVENTS], []
    if window is not None:
        first, last = (lines[at]["timestamp_utc"] for at in window)
        options = ["--from", first, "--to", last]
        lines = [line for line in lines if first <= line["timestamp_utc"] <= last]
    stats = shown(root, "l3-stats", INST, *options)
    counts = Counter((line["type"], line["side"] or "unknown") for line in lines)
    assert stats["counts"] == {
        kind: {side: counts[kind, side] for side in ("buy", "sell", "unknown") if counts[kind, side]}
        for kind in ("live", "gap", "open", "change", "match", "done")
    }
    events = [line for line in lines if line["type"] not in ("live", "gap")]
    assert (stats["events"], stats["losses"]) == (len(events), sum(line["type"] == "gap" for line in lines))
    by_episode: dict[str, list[int]] = {}
    for line in lines:
        by_episode.setdefault(line["live_since_utc"], []).append(utc_ns(line["timestamp_utc"]))
    known_ns = sum(times[-1] - times[0] for times in by_episode.values())
    assert (stats["known_s"], stats["episodes"]) == (seconds(known_ns), len(by_episode))
    rate = Decimal(sum(line["type"] == "open" for line in lines)) * 10**9 / known_ns
    assert stats["opens_per_s"] == str(rate.quantize(Decimal("0.001")))
    second, most = max(Counter(line["timestamp_utc"][:19] for line in events).items(), key=lambda item: item[1])
    assert stats["peak"] == {"second_utc": f"{second}Z", "events": most}
    lifetimes, excluded = expected_lifetimes(lines)
    told = stats["lifetimes"]
    assert told["count"] == len(lifetimes)
    for name, share in (("median_s", 50), ("p90_s", 90), ("p99_s", 99), ("max_s", 100)):
        assert told[name] == seconds(lifetimes[-(-len(lifetimes) * share // 100) - 1])
    assert {name: told["excluded"][name] for name in ("without_open", "rest_at_end", "lost")} == {
        name: excluded[name] for name in ("without_open", "rest_at_end", "lost")
    }
    for side in ("buy", "sell"):
        sizes = [Decimal(line["size"]) for line in lines if line["type"] == "open" and line["side"] == side]
        opened = stats["opened"][side]
        assert {name: Decimal(opened[name]) for name in ("count", "total", "min", "max")} == {
            "count": len(sizes),
            "total": sum(sizes),
            "min": min(sizes),
            "max": max(sizes),
        }


def test_stats_as_text_and_of_an_empty_window(root: Path) -> None:
    told = run(root, "l3-stats", INST).stdout
    assert "orders whose open and end lie in the window and in one episode" in told
    assert "left out: " in told
    assert run(root, "l3-stats", INST, "--from", "2030-01-01T00:00:00Z").stdout.endswith("no events in this window\n")


def test_ranks_are_exact_beyond_what_memory_holds(tmp_path: Path) -> None:
    numbers = [(number * 7_919_999_983) % 10**12 for number in range(200_000)]
    with (tmp_path / "durations").open("w+b") as file:
        durations = Durations(file)
        for number in numbers:
            durations.add(number)
        numbers.sort()
        for share in ("0.5", "0.9", "0.99", "1"):
            assert durations.ranked(Decimal(share)) == numbers[int(len(numbers) * Decimal(share)) - 1]


# ---- rebuild -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["l2", "l3"])
def test_rebuild_as_json(level: str, world: OrderWorld, root: Path) -> None:
    known = world.episodes[0].known[-5]
    truth = world.at(known.ns)
    assert truth is not None
    made = shown(root, "rebuild", INST, "--at", text(known.ns, 9), "--depth", 3, "--level", level)
    rows = truth.book.level_rows if level == "l2" else truth.book.order_rows
    assert (made["bids"], made["asks"]) == (rows("buy", 3), rows("sell", 3))
    assert (made["n"], made["timestamp_utc"], made["live_since_utc"]) == (truth.number, text(truth.ns), truth.live)
    assert made["age_s"] == "0"
    assert made["partial"] == {"bids_known_to": None, "asks_known_to": None, "max_orders": False}
    base = world.lines[BOOKS]
    assert made["built_on"]["n"] in [line["n"] for line in base if line["live_since_utc"] == truth.live]
    assert made["built_on"]["n"] + made["built_on"]["events"] == truth.number


def test_rebuild_as_a_ladder(world: OrderWorld, root: Path) -> None:
    known = world.episodes[0].known[-5]
    truth = world.at(known.ns)
    assert truth is not None
    told = run(root, "rebuild", INST, "--at", text(known.ns + 250_000, 9), "--depth", 1, "--level", "l2").stdout
    lines = [line.rstrip() for line in told.splitlines()]
    bid, ask = truth.book.level_rows("buy", 1)[0], truth.book.level_rows("sell", 1)[0]
    middle = next(at for at, line in enumerate(lines) if line.startswith("  ---- spread "))
    assert lines[middle - 1].split() == [ask[0], ask[1], ask[3], "orders"]
    assert lines[middle + 1].split() == [bid[0], bid[1], bid[3], "orders"]
    assert f"event     {text(truth.ns)}, 0.00025 s before: " in told
    assert f"episode   since {truth.live}" in lines
    counts = [len(truth.book.order_rows(side, 99)) for side in ("buy", "sell")]
    depths = [len(truth.book.level_rows(side, 99)) for side in ("buy", "sell")]
    assert lines[-1] == f"bids      {counts[0]} orders in {depths[0]} levels"
    assert f"asks      {counts[1]} orders in {depths[1]} levels" in lines


def test_rebuild_says_where_knowledge_ends(tmp_path: Path) -> None:
    world = lively(12, depth=2, prices=12)
    world.write(tmp_path)
    known = world.episodes[0].known[3]
    told = run(tmp_path, "rebuild", INST, "--at", text(known.ns, 9)).stdout
    base = world.lines[BOOKS][0]
    for name in ("bids", "asks"):
        limit = base[f"{name}_top2"][-1][0]
        assert f"known     {name} to {Decimal(limit)}" in told.replace(f"to {limit}:", f"to {Decimal(limit)}:")


def test_rebuild_refuses_a_loss_with_its_window_and_reason(world: OrderWorld, root: Path) -> None:
    first, second = world.episodes[:2]
    result = run(root, "rebuild", INST, "--at", text(first.until_ns + 10**6))
    assert result.exit_code == 2
    window = f"since {text(first.until_ns)} until {text(second.live_ns)}"
    assert f"the book was lost (sequence) {window}." in result.stderr


# ---- show --------------------------------------------------------------------------------------------------------


def test_show_of_whole_books_has_orders_with_their_ids(world: OrderWorld, root: Path) -> None:
    line = world.lines[BOOKS][-1]
    told = run(root, "show", INST, "--dataset", BOOKS, "--levels", 2).stdout
    best = line["bids_top25"][0]
    assert any(row.split() == best[:3] for row in told.splitlines())
    levels = len({Decimal(row[0]) for row in line["bids_top25"]})
    assert f"bids      {len(line['bids_top25'])} orders in {levels} levels of at most 25" in told
    stored = shown(root, "show", INST, "--dataset", BOOKS, "--levels", 99)["line"]
    assert stored == line
    assert shown(root, "show", INST, "--levels", 99)["line"] == world.lines[LEVELS][-1]
