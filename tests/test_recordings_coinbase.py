"""The recording of Coinbase Advanced Trade: every line is a naive replay's book, and every lost frame is declared."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.archive.verify import verify
from l2_exporter.cli.main import cli
from l2_exporter.venues.registry import line_rules
from tests.recordings import load, needs_recordings
from tests.reference.naive_coinbase import State, milliseconds, replayed, six_decimals
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "coinbase/cryptofeed-20260809-advanced_trade-level2.jsonl.gz"
INSTS = {"BTC-USD", "ETH-USD"}
Lines = Sequence[dict[str, Any]]


def undated(lines: Lines) -> list[dict[str, Any]]:
    """Leave out times of arrival: what becomes a line is then decided by event times alone."""
    return [{key: value for key, value in line.items() if key != "recv_ns"} for line in lines]


def shallow(lines: Lines, count: int) -> list[dict[str, Any]]:
    """Keep the first lines, and of their whole books the best 100 levels a side, to be quick."""
    kept = []
    for line in lines[:count]:
        message = json.loads(line["frame"])
        if message.get("channel") == "l2_data" and message["events"][0]["type"] == "snapshot":
            (event,) = message["events"]
            sides = [[level for level in event["updates"] if level["side"] == side] for side in ("bid", "offer")]
            event["updates"] = [level for side in sides for level in side[:100]]
            line = {**line, "frame": json.dumps(message)}
        kept.append(line)
    return kept


def replay(vault: Path, lines: Lines, *options: str) -> None:
    tape = write_tape(vault.with_suffix(".jsonl"), lines)
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each instrument."""
    found: dict[str, list[dict[str, Any]]] = {}
    for lines in hour_files(vault).values():
        for line in map(json.loads, lines):
            found.setdefault(line["instId"], []).append(line)
    return found


def shown(line: dict[str, Any], depth: int) -> State:
    """Return what a line says of a book."""
    return State(line["seqId"], line["timestamp_utc"], line[f"bids_top{depth}"], line[f"asks_top{depth}"])


@needs_recordings
@pytest.mark.parametrize(("cadence", "depth"), [("0.5", 400), ("2", 25)])
def test_each_line_is_the_naive_book(cadence: str, depth: int, tmp_path: Path) -> None:
    replay(tmp_path / "v", undated(load(NAME)), "--cadence", cadence, "--depth", str(depth))
    expected = replayed(load(NAME), round(float(cadence) * 1000), depth)
    lines = written(tmp_path / "v")
    assert {inst: [shown(line, depth) for line in own] for inst, own in lines.items()} == expected.states
    for line in (line for own in lines.values() for line in own):
        assert (line["exchange"], line["market"], line["channel"]) == ("coinbase", "spot", "level2")
        assert (line["prevSeqId"], line["checksum"], line["checksum_ok"]) == (None, None, None)
        assert (line["gap_detected"], line["flags"]) == (False, [])
    assert {path.rsplit("/", 2)[0] for path in hour_files(tmp_path / "v")} == {
        f"raw/coinbase/l2_spot.advanced/{inst}" for inst in INSTS
    }
    # What the recording is known for: every frame counted, deletes of levels that were never shown, 27,245 levels.
    assert expected.numbers == [*range(1030)]
    assert (expected.unknown_deletes, expected.deepest) == (52, 27_245)


@needs_recordings
def test_arrival_times_decide_when_but_not_what(tmp_path: Path) -> None:
    tape = shallow(load(NAME), 1035)
    replay(tmp_path / "v", tape, "--cadence", "2", "--depth", "25")
    states = replayed(tape, 1, 25).states
    expected = {(inst, state.number): state for inst, own in states.items() for state in own}
    lines = written(tmp_path / "v")
    assert {inst: len(own) >= 12 for inst, own in lines.items()} == dict.fromkeys(INSTS, True)
    for inst, own in lines.items():
        assert [shown(line, 25) for line in own] == [expected[inst, line["seqId"]] for line in own]
        assert [line["received_utc"] is None for line in own] == [False] * len(own)
    events = Counter(event["kind"] for event in ledger(tmp_path / "v"))
    assert {kind: events[kind] for kind in ("gap", "canary", "event_time_odd", "stale")} == dict.fromkeys(
        ("gap", "canary", "event_time_odd", "stale"), 0
    )
    assert events["subscribed"] == len(INSTS)
    assert [*verify([tmp_path / "v"], line_rules())] == []
    once = hour_files(tmp_path / "v")
    replay(tmp_path / "v", tape, "--cadence", "2", "--depth", "25")
    assert hour_files(tmp_path / "v") == once


@needs_recordings
def test_engine_time_never_falls_and_the_time_of_sending_is_another() -> None:
    """Why the event time is `event_time`: one a message, microseconds, in order, before the message was sent."""
    newest: dict[str, str] = {}
    late_ms = []
    for line in load(NAME):
        message = json.loads(line["frame"])
        for event in message["events"] if message.get("channel") == "l2_data" else ():
            (time,) = {six_decimals(update["event_time"]) for update in event["updates"]}
            assert newest.get(event["product_id"], "") <= time
            newest[event["product_id"]] = time
            late_ms.append(milliseconds(six_decimals(message["timestamp"])) - milliseconds(time))
    assert {*newest} == INSTS
    assert (min(late_ms), max(late_ms)) == (11, 516)


def told(message: dict[str, Any]) -> str:
    """Name what a frame says: its channel, and of a book which one."""
    event = message["events"][0]
    return f"{message['channel']} {event['type']} {event['product_id']}" if "updates" in event else message["channel"]


@needs_recordings
@pytest.mark.parametrize("kind", ["l2_data update BTC-USD", "l2_data update ETH-USD", "heartbeats", "ticker"])
def test_every_lost_frame_is_a_loss_of_both_books(kind: str, tmp_path: Path) -> None:
    lines = undated(shallow(load(NAME), 500))
    messages = [json.loads(line["frame"]) for line in lines]
    places = [
        place
        for place, message in enumerate(messages[:-1])
        if "events" in message and told(message) == kind and message["sequence_num"] > 21
    ]
    for number, place in enumerate(random.Random(5).sample(places, 3)):
        lost = messages[place]
        vault = tmp_path / str(number)
        replay(vault, lines[:place] + lines[place + 1 :], "--cadence", "0.1")
        gaps = [event for event in ledger(vault) if event["kind"] == "gap"]
        assert {(gap["instId"], gap["reason"], gap["until_event"]) for gap in gaps} == {
            (inst, "sequence", None) for inst in INSTS
        }
        assert {(gap["expected"], gap["got"]) for gap in gaps} == {(lost["sequence_num"], lost["sequence_num"] + 1)}
        before = {inst: own[-1] for inst, own in replayed(lines[:place], 100, 400).states.items()}
        assert {gap["instId"]: gap["since_event"] for gap in gaps} == {
            inst: state.time for inst, state in before.items()
        }
        ends = {inst: own[-1] for inst, own in written(vault).items()}
        assert {inst: (line["flags"], shown(line, 400)) for inst, line in ends.items()} == {
            inst: (["gap"], state) for inst, state in before.items()
        }


@needs_recordings
def test_whole_book_that_is_lost_is_missing_and_the_other_is_whole(tmp_path: Path) -> None:
    lines = undated(shallow(load(NAME), 300))
    (place,) = [
        place
        for place, line in enumerate(lines)
        if line["dir"] == "in" and told(json.loads(line["frame"])) == "l2_data snapshot BTC-USD"
    ]
    rest = lines[:place] + lines[place + 1 :]
    replay(tmp_path / "v", rest, "--cadence", "0.5")
    others = [line for line in rest if '"product_id":"BTC-USD"' not in line["frame"]]
    expected = replayed(others, 500, 400).states["ETH-USD"]
    assert {inst: [shown(line, 400) for line in own] for inst, own in written(tmp_path / "v").items()} == {
        "ETH-USD": expected
    }
    assert [event for event in ledger(tmp_path / "v") if event["kind"] == "gap"] == []


@needs_recordings
def test_frames_that_come_twice_change_nothing_and_one_that_comes_late_is_a_loss(tmp_path: Path) -> None:
    lines = undated(shallow(load(NAME), 300))
    replay(tmp_path / "once", lines, "--cadence", "0.1")
    replay(tmp_path / "twice", [line for line in lines for _ in range(2)], "--cadence", "0.1")
    assert hour_files(tmp_path / "twice") == hour_files(tmp_path / "once")
    assert [event for event in ledger(tmp_path / "twice") if event["kind"] == "gap"] == []
    late = [*lines[:200], lines[201], lines[200], *lines[202:]]
    replay(tmp_path / "late", late, "--cadence", "0.1")
    gaps = [event for event in ledger(tmp_path / "late") if event["kind"] == "gap"]
    assert {gap["instId"]: gap["reason"] for gap in gaps} == dict.fromkeys(INSTS, "sequence")
