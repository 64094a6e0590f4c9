"""docs/OPERATIONS.md names commands that exist, log lines as they are written, and data as the format has it."""

import json
import re
from pathlib import Path

from l2_exporter.archive import schema
from l2_exporter.cli.main import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
LEVELS = ("bids_top400", "asks_top400")
LOG_LINES = (
    r"\[X\] Snapshot loaded: \d+ bids, \d+ asks",
    r"\[X\] Snapshot written: bids=\d+, asks=\d+, gap=false",
    r"\[X\] GAP DETECTED: expected prevSeqId=\d+, got=\d+",
    r"\[X\] Checksum mismatch: expected=-?\d+, calculated=-?\d+",
    r"\[X\] Forced resubscribe completed",
)


def json_lines() -> list[dict[str, object]]:
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [json.loads(line) for block in blocks for line in block.splitlines()]


def test_lines_of_ledger_and_hour_file_have_the_fields_of_the_format_and_tell_one_story() -> None:
    ledger = [line for line in json_lines() if "kind" in line]
    hour = [line for line in json_lines() if "kind" not in line]
    assert [list(line) for line in ledger] == [[field.name for field in schema.LEDGER_FIELDS]] * 3
    fields = [field.name for field in schema.snapshot_fields() if field.name not in LEVELS]
    assert [list(line) for line in hour] == [fields] * 2
    gap, _, live = ledger
    assert [line["kind"] for line in ledger] == ["gap", "resync", "live"]
    assert {line["reason"] for line in ledger} <= set(schema.words(schema.LEDGER_REASONS))
    last, first = hour
    assert (gap["id"], gap["expected"]) == (live["id"], last["seqId"])
    assert (gap["since_event"], gap["since_received"]) == (last["timestamp_utc"], last["received_utc"])
    assert live["until_event"] == first["live_since_utc"] != last["live_since_utc"]
    assert (last["flags"], first["flags"]) == (["gap"], ["after_gap"])


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"l2-exporter ([a-z]+)(?= |`|$)", PAGE, re.MULTILINE))
    assert {"record", "demo", "status", "verify", "replay", "show", "config"} <= named
    assert named <= {*COMMANDS}


def test_the_log_lines_to_watch_are_in_its_table() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert [line for line in LOG_LINES if not any(re.fullmatch(line, row) for row in rows)] == []


def test_its_sections_are_those_it_lists() -> None:
    titles = re.findall(r"^## (\d+)\. (.+)$", PAGE, re.MULTILINE)
    listed = re.findall(r"^(\d+)\. \[(.+)\]\(#(.+)\)$", PAGE, re.MULTILINE)
    assert [(number, title) for number, title, _ in listed] == titles
    anchors = {anchor: f"{number}-{title.lower().replace(' ', '-')}" for number, title, anchor in listed}
    assert all(anchor == right for anchor, right in anchors.items())
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) == set(anchors)
