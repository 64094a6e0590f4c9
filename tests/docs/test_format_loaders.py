"""What `l2-exporter schema --for X` prints, pasted as it is, gives every value of every line; what inference does."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

from l2_exporter.archive import schema
from l2_exporter.core.timetext import utc_ns
from tests.docs.readers import Rows, bash, objects, printed, run, whole_lines
from tests.docs.vaults import BOOKS, BTC, DAY, ETH, LEDGER, QUIET, Book, compact, plain_line, write

TIMES = ("timestamp_utc", "received_utc", "live_since_utc")
EVENTS_FILES = "vault/meta/okx/events/*.jsonl"
LOAD = {
    "duckdb": "SELECT * FROM l2_lines('{pattern}') ORDER BY instId, timestamp_utc, gap_detected",
    "polars": "l2_lines({arguments}).collect()",
    "pandas": "l2_lines({arguments})",
}
TYPED = {
    "duckdb": "SELECT "
    + ", ".join(f"epoch_ns({name})" for name in TIMES)
    + " FROM l2_times('{pattern}') ORDER BY 1, 2",
    "polars": "l2_times(l2_lines({arguments})).select(pl.col(" + repr(list(TIMES)) + ").dt.timestamp('ns')).collect()",
    "pandas": "l2_times(l2_lines({arguments}))["
    + repr(list(TIMES))
    + "].map(lambda time: time.value, na_action='ignore')",
}


def load(tool: str, query: dict[str, str], pattern: str, *depths: int) -> tuple[list[str], Rows]:
    """Run a loader as printed; in Python the depth is an argument, left out where it is the default."""
    arguments = ", ".join([repr(pattern), *(str(depth) for depth in depths if depths != (400,))])
    code = query[tool].format(pattern=pattern, arguments=arguments)
    return run(tool, code, *(depths if tool == "duckdb" else ()))


@pytest.mark.parametrize("tool", LOAD)
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: f"{book.venue}-{book.dataset}-{book.inst}")
@pytest.mark.usefixtures("here")
def test_loader_gives_every_value_of_every_line(tool: str, book: Book) -> None:
    pattern = f"{book.path}/*/*.jsonl*"
    lines = objects(pattern)
    assert len(lines) == sum(count for _, count, _ in book.hours)
    names, rows = load(tool, LOAD, pattern, book.depth)
    assert names == [field.name for field in schema.snapshot_fields(book.depth)]
    assert rows == [list(line.values()) for line in lines]
    moments = [[None if line[name] is None else utc_ns(line[name]) for name in TIMES] for line in lines]
    assert load(tool, TYPED, pattern, book.depth)[1] == moments


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: f"{book.venue}-{book.dataset}-{book.inst}")
@pytest.mark.usefixtures("here")
def test_jq_loader_gives_every_line_byte_for_byte(book: Book) -> None:
    loader = printed("--for", "jq")
    pattern = f"{book.path}/*/*.jsonl*"
    assert bash(f"{loader} l2_lines {pattern}") == b"".join(whole_lines(pattern))
    if book.seq is None or book.seq < 2**53:
        sides = [[line[f"bids_top{book.depth}"], line[f"asks_top{book.depth}"]] for line in objects(pattern)]
        assert run("jq", f"""l2_lines {pattern} | jq -c "$L2"'[bids, asks]'""")[1] == sides


@pytest.mark.parametrize("tool", LOAD)
@pytest.mark.usefixtures("here")
def test_one_pattern_loads_several_instruments(tool: str) -> None:
    rows = load(tool, LOAD, "vault/raw/okx/l2_perps/*/*/*.jsonl*", 400)[1]
    assert rows == [list(line.values()) for book in (BTC, ETH) for line in objects(f"{book.path}/*/*.jsonl*")]


@pytest.mark.parametrize("tool", [*LOAD, "jq"])
def test_an_hour_that_is_there_twice_is_read_once(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = b"".join(compact(plain_line(BTC, 11, number)) for number in range(3))
    for name in ("11.jsonl", "11.jsonl.gz", "12.jsonl.gz", "12.jsonl.zst"):
        write(tmp_path / name, data.replace(b"T11:", b"T12:") if name > "12" else data)
    lines = objects("*.jsonl") + objects("12.jsonl.gz")
    if tool == "jq":
        assert run(tool, "l2_lines *.jsonl*")[1] == lines
    else:
        assert load(tool, LOAD, "*.jsonl*", 400)[1] == [list(line.values()) for line in lines]


@pytest.mark.parametrize("tool", LOAD)
def test_a_line_of_another_depth_is_never_read_as_null(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deep, flat = plain_line(BTC, 11, 0), plain_line(ETH, 11, 1)
    flat = {name.replace("top400", "top50"): value for name, value in flat.items()}
    write(tmp_path / "11.jsonl", compact(deep) + compact(flat))
    with pytest.raises(Exception, match="another depth"):
        load(tool, LOAD, "11.jsonl", 400)
    names, rows = load(tool, LOAD, "11.jsonl", 400, 50)
    assert names[5:9] == ["bids_top400", "asks_top400", "bids_top50", "asks_top50"]
    assert [dict(zip(names, row, strict=True)) for row in rows] == [
        deep | {"bids_top50": None, "asks_top50": None},
        flat | {"bids_top400": None, "asks_top400": None},
    ]


@pytest.mark.parametrize("tool", LOAD)
@pytest.mark.usefixtures("here")
def test_ledger_loader_gives_every_value(tool: str) -> None:
    collect = {
        "duckdb": "SELECT * FROM l2_ledger('{0}')",
        "polars": "l2_ledger('{0}').collect()",
        "pandas": "l2_ledger('{0}')",
    }
    names, rows = run(tool, collect[tool].format(EVENTS_FILES))
    assert names == [field.name for field in schema.LEDGER_FIELDS]
    assert len(rows) == len(LEDGER)
    for row, event in zip(rows, LEDGER, strict=True):
        detail = row[-1] if tool == "pandas" or row[-1] is None else json.loads(row[-1])
        expected = [event["expected"], event["got"]]
        if tool != "pandas":
            expected = [None if value is None else str(value) for value in expected]
        assert [*row[:-3], *row[-3:-1], detail] == [*list(event.values())[:-3], *expected, event["detail"]]


def test_jq_loader_fails_at_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "11.jsonl.gz").write_bytes(gzip.compress(compact(plain_line(BTC, 11, 0)) * 50)[:-20])
    write(tmp_path / "12.jsonl", b"")
    with pytest.raises(AssertionError, match="unexpected end of file"):
        run("jq", "l2_lines 11.jsonl.gz 12.jsonl")


# ---- what inference does (section 11) ----


def infer_only_with(module: Any, version: str) -> None:
    if not module.__version__.startswith(version):
        pytest.skip(f"{module.__name__} {module.__version__}: docs/FORMAT.md tells what version {version} did")


@pytest.mark.parametrize("vault", [None], indirect=True)
@pytest.mark.usefixtures("here")
def test_polars_inference_loses_late_flags_in_silence() -> None:
    infer_only_with(pl, "2.1.")
    table = pl.read_ndjson(f"{BTC.path}/{DAY}/11.jsonl", ignore_errors=True).select("flags")
    assert table.row(150) == ([None],)
    with pytest.raises(pl.exceptions.ComputeError, match="NULL-typed column"):
        pl.read_ndjson(f"{BTC.path}/{DAY}/11.jsonl")


def test_duckdb_inference_types_flags_by_luck(tmp_path: Path) -> None:
    infer_only_with(duckdb, "2.0.")
    line = compact(plain_line(QUIET, 11, 0))
    write(tmp_path / "11.jsonl", line * 20_480 + line.replace(b'"flags":[]', b'"flags":["gap"]'))
    with duckdb.connect() as connection:
        types = f"SELECT DISTINCT typeof(flags), typeof(checksum_ok) FROM '{tmp_path}/11.jsonl'"
        assert connection.execute(types).fetchall() == [("JSON[]", '"NULL"')]
        with pytest.raises(duckdb.ConversionException):
            connection.execute(f"SELECT count(*) FROM '{tmp_path}/11.jsonl' WHERE 'gap' IN flags")


@pytest.mark.parametrize("vault", [None], indirect=True)
@pytest.mark.usefixtures("here")
def test_pandas_inference_rounds() -> None:
    infer_only_with(pd, "3.1.")
    table = pd.read_json(f"{BTC.path}/{DAY}/11.jsonl", lines=True)
    assert table.dtypes[["best_bid", "prevSeqId"]].astype(str).to_list() == ["float64", "float64"]
