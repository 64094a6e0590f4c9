"""docs/RETENTION.md, docs/BENCHMARKS.md and the code say the same; what the page shows runs on what the job writes."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from l2_exporter.archive.verify_record import RECORD_FIELDS
from retention.policy import Codec
from tests.docs.page import DOCS, RETENTION, bare, examples_of, table_after
from tests.docs.readers import bash
from tests.retention.running import left, run
from tests.retention.vaults import NOW, World, lines, pack

BENCHMARKS = (DOCS / "BENCHMARKS.md").read_text(encoding="utf-8")


def test_the_table_of_the_record_is_what_verify_checks() -> None:
    rows = table_after("<!-- fields: retention -->", RETENTION)
    told = [(bare(name), kind, null != "never") for name, kind, null, _ in rows]
    assert told == [(field.name, field.type.value, field.nullable) for field in RECORD_FIELDS]


def test_the_job_writes_these_fields_in_this_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(world.hour(9), lines(1))
    world.put(world.tape(200), lines(2))
    world.seal(203, b"")
    assert left(run(world)) == {}
    names = [field.name for field in RECORD_FIELDS]
    assert [(line["what"], list(line)) for line in world.record()] == [
        ("hour", names),
        ("tape", names),
        ("hour", names),
    ]


def test_the_example_lists_what_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path / "vault")
    paths = [world.put(world.hour(ago, ".jsonl.gz"), pack(lines(ago), ".gz")) for ago in (300, 200)]
    world.put(world.hour(9), lines(1))
    run(world, now=NOW - timedelta(days=2))
    run(world)
    (example,) = examples_of(RETENTION).items()
    assert example[0] == ("deleted", "jq")
    assert [json.loads(line) for line in bash(example[1]).splitlines()] == [
        [path.relative_to(world.root).as_posix().removesuffix(".gz"), 40] for path in paths
    ]


def test_the_levels_that_are_recommended_were_measured_and_are_the_defaults() -> None:
    """Both pages show the same figures, and the usual levels are among them."""
    measured = {row[0]: row for row in table_after("<!-- figures: retention recorded -->", BENCHMARKS)}
    shown = table_after("<!-- figures: retention -->", RETENTION)
    assert [row[1:] for row in shown] == [[measured[row[0]][1], measured[row[0]][5]] for row in shown]
    for codec in Codec:
        assert f"job, {codec} {codec.usual_level}" in {row[0] for row in shown}
