"""Every example of docs/FORMAT.md runs; its answer is compared with the one worked out from the lines themselves."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.docs.page import EXAMPLES, FENCES, SAMPLES
from tests.docs.readers import Rows, objects, run
from tests.docs.vaults import BTC, DAY, ETH, LEDGER, QUIET

LANGUAGE = {"jq": "bash", "duckdb": "sql", "polars": "python", "pandas": "python"}
HOUR = f"{BTC.path}/{DAY}/11.jsonl*"
DAY_FILES = f"{BTC.path}/{DAY}/*.jsonl*"


def expected_lines() -> Rows:
    return [
        [line["timestamp_utc"], line["best_bid"], line["best_ask"], sum(int(row[1]) for row in line["bids_top400"][:3])]
        for line in objects(HOUR)
    ]


def expected_losses() -> Rows:
    ends = {event["id"]: event["until_event"] for event in LEDGER if event["kind"] == "live"}
    names = ("instId", "reason", "since_event")
    gaps = [event for event in LEDGER if event["kind"] == "gap"]
    return [["l2_perps", *(gap[name] for name in names), ends[gap["id"]]] for gap in gaps]


def expected_known() -> Rows:
    at = ("2026-11-21T11:02:00.000000Z", "2026-11-21T11:05:02.000000Z")
    found = [[line for line in objects(DAY_FILES) if line["received_utc"] <= moment][-1] for moment in at]
    assert [line["gap_detected"] for line in found] == [False, True]
    return [[line["timestamp_utc"], None if line["gap_detected"] else line["best_bid"]] for line in found]


def expected_episodes() -> Rows:
    episodes: dict[str, list[dict[str, Any]]] = {}
    for line in objects(DAY_FILES):
        episodes.setdefault(line["live_since_utc"], []).append(line)
    rows = []
    for since, lines in episodes.items():
        changes = sum(a["mid_price"] != b["mid_price"] for a, b in pairwise(lines))
        rows.append([since, lines[0]["timestamp_utc"], lines[-1]["timestamp_utc"], len(lines), changes])
    return rows


def expected_good() -> Rows:
    lines = objects(HOUR)
    good = [line for line in lines if line["checksum_ok"] is not False]
    return [[len(lines), len(good), len([line for line in good if not line["gap_detected"]])]]


def expected_status() -> Rows:
    books = json.loads(SAMPLES["status"])["instruments"]
    return [[book["id"], book["state"], book["last_line_utc"]] for book in books if book["state"] != "live"]


def sample_row(name: str, *fields: str) -> Callable[[], Rows]:
    return lambda: [[json.loads(SAMPLES[name])[field] for field in fields]]


EXPECTED: dict[str, Callable[[], Rows]] = {
    "lines": expected_lines,
    "losses": expected_losses,
    "manifest": sample_row("manifest", "inst", "hour_utc", "lines", "not_live_s"),
    "status": expected_status,
    "tape": lambda: [
        [line["n"], line["conn"], line["frame"]]
        for line in map(json.loads, SAMPLES["tape"].splitlines())
        if line["dir"] == "in"
    ],
    "metadata": sample_row("metadata", "inst", "size_unit", "contract_value", "contract_value_ccy"),
    "ignored": lambda: [[f"{BTC.path}/{DAY}/12.jsonl", 1]],
    "seqids": lambda: [[str(line["seqId"])] for line in objects(f"{QUIET.path}/*/*.jsonl*")],
    "known": expected_known,
    "episodes": expected_episodes,
    "good": expected_good,
    "flags": lambda: [
        list(pair) for pair in sorted(Counter(f for line in objects(DAY_FILES) for f in line["flags"]).items())
    ],
    "coverage": lambda: [
        [f"l2_perps/{BTC.inst}", f"{DAY}T09:00:00.123Z", f"{DAY}T11:05:01.123Z"],
        [f"l2_perps/{ETH.inst}", f"{DAY}T11:00:00.123Z", f"{DAY}T11:39:58.123Z"],
        [f"l2_perps/{BTC.inst}", f"{DAY}T11:05:03.123Z", None],
        [f"l2_perps/{ETH.inst}", f"{DAY}T11:45:01.123Z", None],
    ],
}


def test_every_block_of_code_is_an_example_and_every_answer_is_known() -> None:
    assert [code for kind, _, language, code in FENCES if language not in ("json", "text") and kind != "example"] == []
    assert len(EXAMPLES) == sum(kind == "example" for kind, *_ in FENCES)
    assert {name for name, _ in EXAMPLES} == set(EXPECTED)
    for name in ("lines", "losses", "manifest", "status", "tape", "metadata"):
        assert {(name, tool) for tool in ("jq", "duckdb", "polars")} <= set(EXAMPLES)


@pytest.mark.parametrize(("name", "tool"), EXAMPLES)
@pytest.mark.usefixtures("here")
def test_example_gives_what_the_lines_say(name: str, tool: str) -> None:
    language, code = EXAMPLES[name, tool]
    assert language == LANGUAGE[tool]
    assert run(tool, code)[1] == EXPECTED[name]()
