"""The Kraken recordings: every line is a naive replay's book, and every checksum that was sent is ours.

The recording of the present protocol is short, at depth 10. That of the retired one is long, at depth 1000, and is told
in the present protocol's words (tests/reference/naive_kraken.py): it proves books, truncation and checksums.
"""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.core.books import Settings
from l2_exporter.core.feed import Feed
from l2_exporter.core.history import NoHistory
from l2_exporter.core.inputs import Stamp
from l2_exporter.venues.kraken import Kraken
from l2_exporter.venues.registry import line_rules, venue_of_url
from tests.recordings import load, needs_recordings, path_of
from tests.reference.naive_kraken import State, as_v2, best, crc, nanoseconds, sampled, states
from tests.tools.replaying import hour_files, ledger, write_tape

V2 = "kraken/tickvault-20260824-v2-book10-BTC_USD.jsonl.gz"
V1 = "kraken/cryptofeed-20210405-v1-book1000.jsonl.gz"
MS = 1_000_000


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each instrument."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(hour_files(vault)):
        for raw in hour_files(vault)[path]:
            line = json.loads(raw)
            lines.setdefault(line["instId"], []).append(line)
    return lines


def assert_is(line: dict[str, Any], state: State, depth: int) -> None:
    """Compare a line with a book, texts and all."""
    assert line["timestamp_utc"] == state.time
    assert line[f"bids_top{depth}"] == state.bids[:depth]
    assert line[f"asks_top{depth}"] == state.asks[:depth]
    assert (line["seqId"], line["prevSeqId"], line["checksum"]) == (None, None, state.checksum)
    assert (line["gap_detected"], line["flags"]) == (False, [])


@needs_recordings
@pytest.mark.parametrize("cadence", ["0.01", "1", "2"])
def test_each_line_is_the_naive_book(cadence: str, tmp_path: Path) -> None:
    replay(tmp_path, path_of(V2), "--cadence", cadence)
    (expected,) = sampled(states(load(V2)), round(float(cadence) * 1000) * MS).values()
    (lines,) = written(tmp_path).values()
    assert len(lines) == len(expected)
    for line, state in zip(lines, expected, strict=True):
        assert_is(line, state, 10)
        assert line["checksum_ok"] is True
        assert crc(state) == state.checksum
    assert {path.rsplit("/", 2)[0] for path in hour_files(tmp_path)} == {"raw/kraken/l2_spot.book-10/BTC%2FUSD"}
    assert [event for event in ledger(tmp_path) if event["kind"] in ("gap", "canary", "event_time_odd")] == []
    assert [*verify([tmp_path], line_rules())] == []


@needs_recordings
def test_a_second_replay_adds_nothing(tmp_path: Path) -> None:
    replay(tmp_path, path_of(V2), "--cadence", "0.01")
    once = hour_files(tmp_path)
    replay(tmp_path, path_of(V2), "--cadence", "0.01")
    assert hour_files(tmp_path) == once


@needs_recordings
def test_lost_update_is_declared_with_the_next_one(tmp_path: Path) -> None:
    lines, lost = load(V2), 5
    replay(tmp_path / "v", write_tape(tmp_path / "tape.jsonl", lines[:lost] + lines[lost + 1 :]), "--cadence", "0.01")
    (gap,) = [event for event in ledger(tmp_path / "v") if event["kind"] == "gap"]
    before = [*states(lines[:lost])][-1]
    next_one = json.loads(lines[lost + 1]["frame"])["data"][0]
    assert (gap["reason"], gap["since_event"], gap["until_event"]) == ("checksum", before.time, None)
    assert gap["expected"] == next_one["checksum"] != gap["got"]
    (*_, last) = written(tmp_path / "v")["BTC/USD"]
    assert (last["timestamp_utc"], last["gap_detected"], last["flags"]) == (before.time, True, ["gap"])
    assert (last["bids_top10"], last["asks_top10"]) == (before.bids, before.asks)


@needs_recordings
def test_lost_update_that_the_next_one_overwrites_leaves_no_trace_and_no_wrong_line(tmp_path: Path) -> None:
    """It set a level that the next one deletes: nothing can show it, and the book is right without it."""
    lines, lost = load(V2), 6
    replay(tmp_path / "v", write_tape(tmp_path / "tape.jsonl", lines[:lost] + lines[lost + 1 :]), "--cadence", "0.01")
    assert [event for event in ledger(tmp_path / "v") if event["kind"] == "gap"] == []
    after = [*states(lines)][-1]
    (*_, last) = written(tmp_path / "v")["BTC/USD"]
    assert_is(last, after, 10)
    assert last["checksum_ok"] is True


@needs_recordings
def test_every_line_of_the_deep_recording_is_the_naive_book(tmp_path: Path) -> None:
    tape = as_v2(load(V1))
    replay(tmp_path / "v", write_tape(tmp_path / "tape.jsonl", tape), "--cadence", "10", "--depth", "1000")
    expected = sampled(states(tape, sort=False), 10_000 * MS)
    lines = written(tmp_path / "v")
    assert {inst: len(own) for inst, own in lines.items()} == {inst: len(own) for inst, own in expected.items()}
    for inst, own in lines.items():
        for line, state in zip(own, expected[inst], strict=True):
            assert_is(line, sorted_state(state), 1000)
            assert line["checksum_ok"] in (True, None)
    said = [(event["kind"], event["reason"]) for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary")]
    assert said == [("canary", "checksum_absent")]  # a snapshot of v1 has none


def sorted_state(state: State) -> State:
    """Put the levels of a state in order."""
    bids, asks = ({Decimal(row[0]): row for row in side} for side in (state.bids, state.asks))
    return state._replace(bids=best(bids, bids=True), asks=best(asks, bids=False))


@needs_recordings
def test_every_checksum_of_the_deep_recording_is_ours_and_the_window_is_the_subscribed_one() -> None:
    feed = Feed(Kraken(), Settings(), NoHistory())
    tape = as_v2(load(V1))
    kept = states(tape, sort=False)
    deepest = 0
    for number, line in enumerate(tape):
        feed.frame_received("c", line["frame"], Stamp(None, None))
        if '"data"' not in line["frame"]:
            continue
        state = next(kept)
        book = feed.keepers["book", state.inst].state.book
        deepest = max(deepest, len(book.bids.rows), len(book.asks.rows))
        if number % 500 == 0:
            whole = sorted_state(state)
            assert (book.bids.rows, book.asks.rows) == (whole.bids, whole.asks)
    sums: Counter[str] = Counter()
    for keeper in feed.keepers.values():
        sums.update(keeper.checksums)
    assert sums == {"ok": 14_496, "unchecked": 10}
    assert deepest == 1000


@needs_recordings
def test_levels_that_left_the_window_without_a_delete_come_back_in_the_deep_recording() -> None:
    """What the truncation is for: thousands of levels are told again, though nobody said that they had gone."""
    returned = [
        row
        for line in load(V1)
        if line["dir"] == "in" and line["frame"].startswith("[")
        for part in json.loads(line["frame"])[1:-2]
        for side in ("a", "b")
        for row in part.get(side, [])
        if row[-1] == "r"
    ]
    assert len(returned) == 2535
    assert {float(row[1]) > 0 for row in returned} == {True}


def test_only_addresses_of_the_present_protocol_are_this_venue() -> None:
    assert venue_of_url("wss://ws.kraken.com/v2") == "kraken"
    assert [venue_of_url(url) for url in ("wss://ws.kraken.com", "wss://futures.kraken.com/ws/v1")] == [None, None]


def test_naive_times() -> None:
    assert nanoseconds("1970-01-01T00:00:01.000002Z") == 1_000_002_000
