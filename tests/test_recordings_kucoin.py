"""The KuCoin recording: each line is a naive replay's book at that number and time, and every lost message is declared.

Messages of 2021 lack `time`, which every message has today; they are given the moment they came. Nothing else is
changed.
"""

import json
import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2_exporter.cli.main import cli
from tests.recordings import load, needs_recordings
from tests.reference.naive_kucoin import TOPIC, states
from tests.tools.replaying import hour_files, ledger, write_tape

NAME = "kucoin/cryptofeed-20210425-l2update.jsonl.gz"
NS_PER_MS = 1_000_000


@cache
def lines_of_today() -> list[dict[str, Any]]:
    """Return the recording with the time that messages have today."""
    return [line | {"frame": timed(line)} for line in load(NAME)]


def timed(line: dict[str, Any]) -> str:
    """Write a frame with a time, if it is a message of a book."""
    message = json.loads(line["frame"])
    if line["dir"] != "in" or "data" not in message:
        return line["frame"]
    message["data"]["time"] = line["recv_ns"] // NS_PER_MS
    return json.dumps(message, separators=(",", ":"))


def replay(vault: Path, tape: Path, *options: str) -> None:
    result = CliRunner().invoke(cli, ["replay", str(tape), "--vault", str(vault), *options])
    assert result.exit_code == 0, result.output


def written(vault: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for lines in hour_files(vault).values() for line in lines]


@needs_recordings
@pytest.mark.parametrize(("cadence", "depth"), [("0.1", 400), ("2", 1000), ("0.5", 25)])
def test_each_line_is_the_naive_book(cadence: str, depth: int, tmp_path: Path) -> None:
    lines = lines_of_today()
    replay(tmp_path / "v", write_tape(tmp_path / "t.jsonl", lines), "--cadence", cadence, "--depth", str(depth))
    expected = states(lines, depth)
    found = written(tmp_path / "v")
    for line in found:
        state = expected[line["instId"], line["seqId"]]
        assert (line[f"bids_top{depth}"], line[f"asks_top{depth}"]) == (state.bids, state.asks)
        assert line["timestamp_utc"].endswith(f".{state.time_ms % 1000:03}Z")
        assert line["prevSeqId"] in (line["seqId"] - 1, None)
        assert (line["exchange"], line["gap_detected"], line["checksum_ok"]) == ("kucoin_spot", False, None)
        assert {*line["flags"]} <= {"seeded_from_rest"}
    assert len(found) > 50
    assert {line["instId"] for line in found} == {inst for inst, _ in expected}
    assert [event for event in ledger(tmp_path / "v") if event["kind"] in ("gap", "canary", "event_time_odd")] == []
    seeded = [line["instId"] for line in found if "seeded_from_rest" in line["flags"]]
    assert sorted(seeded) == sorted({line["instId"] for line in found})


@needs_recordings
def test_a_pair_that_never_changes_gives_nothing_and_is_no_fault(tmp_path: Path) -> None:
    """LTX-USDT was subscribed with nine others; it had no message, so no REST book was asked for."""
    lines = lines_of_today()
    assert any("LTX-USDT" in line["frame"] for line in lines if line["dir"] == "out")
    replay(tmp_path / "v", write_tape(tmp_path / "t.jsonl", lines))
    assert len({line["instId"] for line in written(tmp_path / "v")}) == 9
    assert [event for event in ledger(tmp_path / "v") if event["instId"] == "LTX-USDT"] == []


@needs_recordings
def test_rows_of_price_zero_are_in_no_book_and_their_numbers_in_the_chain() -> None:
    rows: Counter[bool] = Counter()
    for line in lines_of_today():
        message = json.loads(line["frame"])
        if line["dir"] == "in" and message.get("topic", "").startswith(TOPIC):
            changes = message["data"]["changes"]
            rows.update(row[0] == "0" for side in changes.values() for row in side)
    assert rows == {True: 1355, False: 2498}
    for state in states(lines_of_today(), 2000).values():
        assert "0" not in {row[0] for row in (*state.bids, *state.asks)}


@needs_recordings
def test_a_second_replay_adds_nothing(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.jsonl", lines_of_today())
    replay(tmp_path / "v", tape)
    once = hour_files(tmp_path / "v")
    replay(tmp_path / "v", tape)
    assert hour_files(tmp_path / "v") == once


def joined_messages(lines: list[dict[str, Any]]) -> list[int]:
    """Find messages behind the REST book's number that another one of their pair follows."""
    seeds = {line["url"].split("symbol=")[1]: line for line in lines if line["dir"] == "http"}
    numbers = {pair: int(json.loads(line["frame"])["data"]["sequence"]) for pair, line in seeds.items()}
    places: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        message = json.loads(line["frame"])
        if line["dir"] == "in" and message.get("topic", "").startswith(TOPIC):
            pair = message["data"]["symbol"]
            if place > lines.index(seeds[pair]) and message["data"]["sequenceStart"] > numbers[pair] + 1:
                places.setdefault(pair, []).append(place)
    return [place for found in places.values() for place in found[:-1]]


@needs_recordings
def test_every_lost_message_is_declared_for_its_pair_alone(tmp_path: Path) -> None:
    lines = lines_of_today()
    for number, place in enumerate(random.Random(11).sample(joined_messages(lines), 10)):
        lost = json.loads(lines[place]["frame"])["data"]
        tape = write_tape(tmp_path / f"{number}.jsonl", lines[:place] + lines[place + 1 :])
        replay(tmp_path / str(number), tape)
        (gap,) = [event for event in ledger(tmp_path / str(number)) if event["kind"] == "gap"]
        assert (gap["instId"], gap["reason"]) == (lost["symbol"], "sequence")
        assert (gap["expected"], gap["got"]) == (lost["sequenceStart"] - 1, lost["sequenceEnd"])
