"""docs/FORMAT.md and the code say the same: every field, kind, reason, flag and direction, in the same order."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from l2_exporter.archive import schema
from l2_exporter.cli.schema import command
from tests.docs.page import SAMPLES, bare, table_after
from tests.docs.readers import printed
from tests.docs.vaults import BTC, LEDGER, plain_line


def cells(fields: tuple[schema.Field, ...]) -> Iterator[tuple[str, str, str, bool]]:
    return ((field.name, field.type.value, field.unit, field.nullable) for field in fields)


FIELDS = {
    "snapshot": schema.snapshot_fields(),
    "ledger": schema.LEDGER_FIELDS,
    "manifest": schema.MANIFEST_FIELDS,
    "status": schema.STATUS_FIELDS,
    "status instrument": schema.STATUS_INSTRUMENT_FIELDS,
    "tape": schema.TAPE_FIELDS,
    "metadata": schema.METADATA_FIELDS,
}


@pytest.mark.parametrize("name", FIELDS)
def test_table_of_fields_equals_the_schema(name: str) -> None:
    table = [(bare(row[0]), row[1], bare(row[2]), row[3] != "never") for row in table_after(f"<!-- fields: {name} -->")]
    assert table == list(cells(FIELDS[name]))


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_has_every_field_in_order(name: str) -> None:
    names = [field.name for field in FIELDS[name]]
    if name == "tape":
        for line in map(json.loads, SAMPLES[name].splitlines()):
            assert list(line) == [field for field in names if field in line]
    else:
        assert list(json.loads(SAMPLES[name])) == names
    if name == "status":
        inner = [field.name for field in FIELDS["status instrument"]]
        assert [list(book) for book in json.loads(SAMPLES[name])["instruments"]] == [inner, inner]


def test_lines_of_the_test_vault_have_every_field_in_order() -> None:
    assert list(plain_line(BTC, 11, 0)) == [field.name for field in schema.snapshot_fields()]
    assert list(LEDGER[0]) == [field.name for field in schema.LEDGER_FIELDS]
    assert {event["kind"] for event in LEDGER} <= set(schema.words(schema.LEDGER_KINDS))


@pytest.mark.parametrize(
    ("header", "entries"),
    [
        ("| flag |", schema.LINE_FLAGS),
        ("| kind | meaning |", schema.LEDGER_KINDS),
        ("| reason | of kind |", schema.LEDGER_REASONS),
        ("| dir |", schema.TAPE_DIRECTIONS),
    ],
)
def test_closed_list_equals_the_code(header: str, entries: tuple[schema.Word, ...]) -> None:
    rows = table_after(header)
    assert [bare(row[0]) for row in rows] == list(schema.words(entries))
    if isinstance(entries[0], schema.Reason):
        assert [tuple(map(bare, row[1].split(", "))) for row in rows] == [
            entry.kinds for entry in schema.LEDGER_REASONS
        ]
    assert all(entry.meaning for entry in entries)


def test_loss_reasons_are_those_of_the_contract() -> None:
    reasons = "sequence checksum disconnect stale overflow oversize venue_reset clock restart"
    assert list(schema.LOSS_REASONS) == reasons.split()


def test_schema_prints_the_fields_as_a_table_and_as_json() -> None:
    names = [field.name for field in schema.snapshot_fields(5)]
    table = printed("--depth", "5").splitlines()
    assert [line.split()[0] for line in table] == ["field", *names]
    fields = json.loads(printed("--depth", "5", "--json"))["fields"]
    assert [field["name"] for field in fields] == names
    assert json.loads(printed("--for", "duckdb", "--json"))["code"] == printed("--for", "duckdb")


@pytest.mark.parametrize("arguments", [["--for", "excel"], ["--depth", "0"], ["--depth", "many"], ["surplus"]])
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(command, arguments).exit_code == 2
