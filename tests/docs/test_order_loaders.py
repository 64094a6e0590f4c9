"""What `l2-exporter schema` prints gives every value of every line of order events and of whole books of orders."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2_exporter.archive import schema
from l2_exporter.cli.schema import command
from l2_exporter.core.timetext import utc_ns
from tests.docs.page import bare, table_after
from tests.docs.readers import objects, run
from tests.tools.order_world import BOOKS, EVENTS, HOUR, INST, VENUE, lively

EVENT_FILES = f"vault/raw/{VENUE}/{EVENTS}/{INST}/*/*.jsonl*"
BOOK_FILES = f"vault/raw/{VENUE}/{BOOKS}/{INST}/*/*.jsonl*"
TIMES = ("timestamp_utc", "received_utc", "live_since_utc")
LOAD = {
    "duckdb": "SELECT * FROM {name}('{files}') ORDER BY timestamp_utc, n",
    "polars": "{name}('{files}'{depth}).collect()",
    "pandas": "{name}('{files}'{depth})",
}
TYPED = {
    "duckdb": "SELECT "
    + ", ".join(f"epoch_ns({name})" for name in TIMES)
    + " FROM l3_times('{files}') ORDER BY timestamp_utc, n",
    "polars": "l2_times(l3_events('{files}')).select(pl.col(" + repr(list(TIMES)) + ").dt.timestamp('ns')).collect()",
    "pandas": "l2_times(l3_events('{files}'))[" + repr(list(TIMES)) + "].map(lambda time: time.value)",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour that is compressed, one beside its compressed form, and a half-written last line."""
    root = tmp_path_factory.mktemp("orders")
    vault = lively(21).write(root / "vault")
    for dataset in (EVENTS, BOOKS):
        first, second = (vault.hour_file(VENUE, dataset, INST, hour) for hour in (HOUR, HOUR + 1))
        first.with_name(first.name + ".gz").write_bytes(gzip.compress(first.read_bytes()))
        first.unlink()
        second.with_name(second.name + ".gz").write_bytes(gzip.compress(b'{"half":'))
        with second.open("ab") as file:
            file.write(b'{"timestamp_utc":"2026')
    return root


def expected(files: str) -> list[dict[str, object]]:
    """Read the whole lines of the files that count."""
    return [line for pattern in ("15.jsonl.gz", "16.jsonl") for line in objects(files.replace("*.jsonl*", pattern))]


@pytest.mark.parametrize("tool", LOAD)
def test_every_value_of_every_event(tool: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    lines = expected(EVENT_FILES)
    names, rows = run(tool, LOAD[tool].format(name="l3_events", files=EVENT_FILES, depth=""))
    assert names == [field.name for field in schema.EVENT_FIELDS]
    assert rows == [list(line.values()) for line in lines]
    moments = [[utc_ns(str(line[name])) for name in TIMES] for line in lines]
    assert run(tool, TYPED[tool].format(files=EVENT_FILES))[1] == moments


@pytest.mark.parametrize("tool", LOAD)
def test_every_value_of_every_book(tool: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    lines = expected(BOOK_FILES)
    depths = [25] if tool == "duckdb" else []
    names, rows = run(tool, LOAD[tool].format(name="l3_books", files=BOOK_FILES, depth=", 25"), *depths)
    assert names == [field.name for field in schema.book_fields(25)]
    assert rows == sorted((list(line.values()) for line in lines), key=lambda row: (row[0], row[-1]))
    with pytest.raises(Exception, match="another depth"):
        run(tool, LOAD[tool].format(name="l3_books", files=BOOK_FILES, depth=", 400"))


def test_jq_reads_events_and_books_alike(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    files = f"vault/raw/{VENUE}/{BOOKS}/{INST}/*/15.jsonl*"
    assert run("jq", f"l2_lines {files} | jq -c '[.n]'")[1] == [[line["n"]] for line in objects(files)]
    files = f"vault/raw/{VENUE}/{EVENTS}/{INST}/*/15.jsonl*"
    found = run("jq", f"l2_lines {files} | jq -c 'select(.type == \"open\") | [.order_id, .size]'")[1]
    assert found == [[line["order_id"], line["size"]] for line in objects(files) if line["type"] == "open"]


@pytest.mark.parametrize(("what", "fields"), [("events", schema.EVENT_FIELDS), ("books", schema.book_fields(400))])
def test_schema_lists_their_fields(what: str, fields: tuple[schema.Field, ...]) -> None:
    told = json.loads(CliRunner().invoke(command, ["--of", what, "--json"]).stdout)["fields"]
    assert [(one["name"], one["type"], one["null"]) for one in told] == [
        (field.name, field.type.value, field.nullable) for field in fields
    ]


def test_table_of_event_fields_equals_the_schema() -> None:
    table = [(bare(row[0]), row[1], row[2] != "never") for row in table_after("<!-- fields: event -->")]
    assert table == [(field.name, field.type.value, field.nullable) for field in schema.EVENT_FIELDS]


def test_the_types_of_the_page_are_those_of_the_code() -> None:
    rows = table_after("| type | what it tells |")
    assert [bare(row[0]) for row in rows] == list(schema.words(schema.EVENT_TYPES))
