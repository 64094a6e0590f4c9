"""The command `schema`: the fields of a line, and loaders to paste that give every column its type.

A loader never infers: readers that guess from the first lines lose values of later ones (docs/FORMAT.md, "Reading").
"""

import json

import click

from l2_exporter.archive.schema import DEFAULT_DEPTH, LEDGER_FIELDS, SNAPSHOT_FIELDS, Field, Type, snapshot_fields

_NATIVE: dict[str, dict[Type, str]] = {
    "duckdb": {
        Type.INTEGER: "BIGINT",
        Type.BOOLEAN: "BOOLEAN",
        Type.LEVELS: "VARCHAR[][]",
        Type.WORDS: "VARCHAR[]",
        Type.OBJECT: "JSON",
    },
    "polars": {
        Type.INTEGER: "pl.Int64",
        Type.BOOLEAN: "pl.Boolean",
        Type.LEVELS: "pl.List(pl.List(pl.String))",
        Type.WORDS: "pl.List(pl.String)",
    },
    "pandas": {
        Type.INTEGER: '"Int64"',
        Type.BOOLEAN: '"boolean"',
        Type.LEVELS: '"object"',
        Type.WORDS: '"object"',
        Type.SCALAR: '"object"',
        Type.OBJECT: '"object"',
    },
}
_TEXT = {"duckdb": "VARCHAR", "polars": "pl.String", "pandas": '"string"'}

_DUCKDB = r"""-- Hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst), depth @DEPTHS@. No type is inferred.
-- Paste once, then:
--   SELECT * FROM l2_lines('vault/raw/okx/l2_perps/BTC-USDT-SWAP/*/*.jsonl*')
--   ORDER BY instId, timestamp_utc, gap_detected;
-- l2_times(...) is the same with the times as TIMESTAMP_NS, UTC.
-- A half-written last line is left out. Of an hour that is there plain and compressed only one file is read.
CREATE OR REPLACE TEMP MACRO l2_lines(files) AS TABLE
SELECT * EXCLUDE (filename) REPLACE (
@GUARDS@)
FROM read_json(files, format = 'newline_delimited', ignore_errors = true, filename = true, columns = {
@COLUMNS@})
WHERE timestamp_utc IS NOT NULL
  AND filename IN (SELECT min(file) FROM glob(files) GROUP BY regexp_replace(file, '\.(gz|zst)$', ''));

CREATE OR REPLACE TEMP MACRO l2_times(files) AS TABLE
SELECT * REPLACE (
@TIMES@)
FROM l2_lines(files);

-- The ledger: SELECT * FROM l2_ledger('vault/meta/okx/events/*.jsonl');
CREATE OR REPLACE TEMP MACRO l2_ledger(files) AS TABLE
SELECT * FROM read_json(files, format = 'newline_delimited', ignore_errors = true, columns = {
@LEDGER@})
WHERE "at" IS NOT NULL;
"""

_FILES = '''
def l2_files(pattern):
    """List the files of a pattern in order; of an hour that is there plain and compressed, only the plain one."""
    newest_first = sorted(glob(pattern), reverse=True)
    files = {name.removesuffix(".gz").removesuffix(".zst"): name for name in newest_first}
    if not files:
        raise FileNotFoundError(f"no file matches {pattern}")
    return list(files.values())[::-1]
'''

_POLARS = '''# Hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst). No type is inferred. Paste once, then:
#   l2_lines("vault/raw/okx/l2_perps/BTC-USDT-SWAP/*/*.jsonl*").collect()
#   l2_lines("vault/raw/okx/l2_spot.books5/*/*/*.jsonl*", 5)      another depth; several, if it was changed: 400, 50
#   l2_times(lines)                                               the times as Datetime("ns", "UTC")
# A half-written last line is left out. Of an hour that is there plain and compressed only one file is read.
from glob import glob

import polars as pl

LEDGER = {
@LEDGER@}


def l2_lines(pattern, *depths):
    """Scan lines; a line of none of these depths is an error."""
    depths = depths or (@DEPTHS@,)
    levels = {f"{side}_top{n}": @LEVELS@ for n in depths for side in ("bids", "asks")}
    schema = {
@COLUMNS@    }

    def check(lines):
        for side in ("bids", "asks"):
            names = [f"{side}_top{n}" for n in depths]
            known = lines.select(pl.any_horizontal(pl.col(names).is_not_null()).all()) if names[0] in lines else None
            if known is not None and not known.item():
                raise ValueError(f"{pattern}: a line of another depth than {depths}")
        return lines

    lines = pl.concat([pl.scan_ndjson(l2_whole(name), schema=schema) for name in l2_files(pattern)])
    return lines.map_batches(check, predicate_pushdown=True, projection_pushdown=True)


def l2_times(lines):
    """Turn the times from text into nanoseconds UTC."""
    times = pl.col(@TIMES@)
    return lines.with_columns(times.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns", time_zone="UTC"))


def l2_ledger(pattern):
    """Scan the ledger, e.g. "vault/meta/okx/events/*.jsonl"; detail is JSON text."""
    return pl.concat([pl.scan_ndjson(l2_whole(name), schema=LEDGER) for name in l2_files(pattern)])

@FILES@

def l2_whole(name):
    """Return the file, or its whole lines where the last one is half-written: Polars would refuse all of it."""
    if not name.endswith(".jsonl"):
        return name
    with open(name, "rb") as file:
        file.seek(max(file.seek(0, 2) - 1, 0))
        if file.read(1) in (b"", b"\\n"):
            return name
        file.seek(0)
        return file.read().rpartition(b"\\n")[0] + b"\\n"
'''

_PANDAS = '''# Hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst). No type is inferred. Paste once, then:
#   l2_lines("vault/raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/15.jsonl*")
#   l2_lines("vault/raw/okx/l2_spot.books5/*/*/*.jsonl*", 5)      another depth; several, if it was changed: 400, 50
#   l2_lines(..., columns=["timestamp_utc", "best_bid"])          an hour of 400 levels takes much memory: ask for less
#   l2_times(lines)                                               the times as datetime64[ns, UTC]
# A half-written last line is left out. Of an hour that is there plain and compressed only one file is read.
# .zst needs the package zstandard. pandas.read_json is not used: it turns prices and nullable integers into floats.
import gzip
import io
import json
from glob import glob

import pandas as pd

LEDGER = {
@LEDGER@}


def l2_lines(pattern, *depths, columns=None):
    """Load lines; a line of none of these depths is an error."""
    depths = depths or (@DEPTHS@,)
    levels = {f"{side}_top{n}": @LEVELS@ for n in depths for side in ("bids", "asks")}
    dtypes = {
@COLUMNS@    }

    def checked(line):
        if all(line.get(f"bids_top{n}") is None for n in depths):
            raise ValueError(f"{pattern}: a line of another depth than {depths}")
        return line

    return l2_frame(pattern, {name: dtypes[name] for name in columns or dtypes}, checked)


def l2_times(lines):
    """Turn the times from text into nanoseconds UTC."""
    times = [name for name in @TIMES@ if name in lines]
    return lines.assign(**{
        name: pd.to_datetime(lines[name], format="ISO8601", utc=True).dt.as_unit("ns") for name in times
    })


def l2_ledger(pattern):
    """Load the ledger, e.g. "vault/meta/okx/events/*.jsonl"."""
    return l2_frame(pattern, LEDGER, lambda line: line)


def l2_frame(pattern, dtypes, checked):
    """Load JSON lines into typed columns; integers never pass through a float."""
    rows = []
    for name in l2_files(pattern):
        with l2_open(name) as file:
            lines = (checked(json.loads(text)) for text in file if text.endswith("\\n"))
            rows += [tuple(line.get(column) for column in dtypes) for line in lines]
    cells = zip(*rows) if rows else [()] * len(dtypes)
    return pd.DataFrame({name: pd.Series(list(cell), dtype=dtypes[name]) for name, cell in zip(dtypes, cells)})


def l2_open(name):
    """Open a file of any suffix as text."""
    if name.endswith(".zst"):
        import zstandard

        stream = zstandard.ZstdDecompressor().stream_reader(open(name, "rb"), read_across_frames=True)
        return io.TextIOWrapper(stream, encoding="utf-8", newline="\\n")
    return (gzip.open if name.endswith(".gz") else open)(name, "rt", encoding="utf-8", newline="\\n")

@FILES@'''

_JQ = r"""# Hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst) and every depth, for bash. Paste once, then:
#   l2_lines vault/raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-21/*.jsonl* | jq -c "$L2"'[.timestamp_utc, bids[0]]'
# l2_lines prints whole lines byte for byte; a half-written last line is left out. Of an hour that is there plain and
# compressed only one file is read. The ledger is read alike: l2_lines vault/meta/okx/events/*.jsonl
# jq computes with floats: leave prices as text, and integers above 2^53 lose digits once jq prints them (jq 1.6).
@COLUMNS@
l2_lines() (
  set -o pipefail
  for file in "$@"; do
    case $file in
      *.gz) [ -e "${file%.gz}" ] || gzip -dc -- "$file" ;;
      *.zst) [ -e "${file%.zst}" ] || [ -e "${file%.zst}.gz" ] || zstd -dcq -- "$file" ;;
      *) cat -- "$file" ;;
    esac | jq -rR 'select(try (fromjson | true) catch false)' || exit
  done
)
L2='
  def side($name): .[first((keys_unsorted[] | select(startswith($name + "_top"))), error("no levels in this line"))];
  def bids: side("bids");
  def asks: side("asks");
'
"""

_TEMPLATES = {"duckdb": _DUCKDB, "polars": _POLARS, "pandas": _PANDAS, "jq": _JQ}
TOOLS = tuple(_TEMPLATES)


def loader_text(tool: str, depths: tuple[int, ...]) -> str:
    """Write the loader of one tool for lines of these depths, ready to paste."""
    columns = _duckdb_columns(depths) if tool == "duckdb" else _columns(tool, SNAPSHOT_FIELDS)
    times = [field.name for field in SNAPSHOT_FIELDS if field.type is Type.TIME]
    parts = {
        "@FILES@": _FILES,
        "@COLUMNS@": columns,
        "@LEDGER@": _columns(tool, LEDGER_FIELDS),
        "@DEPTHS@": ", ".join(map(str, depths)),
        "@LEVELS@": _native(tool, Type.LEVELS),
        "@GUARDS@": _duckdb_guards(depths),
        "@TIMES@": json.dumps(times),
    }
    if tool == "duckdb":
        parts["@TIMES@"] = ",\n".join(f"  {name}::TIMESTAMP_NS AS {name}" for name in times)
    text = _TEMPLATES[tool]
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _native(tool: str, kind: Type) -> str:
    """Name a type as the tool does; whatever has no entry stays text."""
    return _NATIVE[tool].get(kind, _TEXT[tool]) if tool in _NATIVE else kind.value


def _columns(tool: str, fields: tuple[Field, ...]) -> str:
    """Write the column types of one tool, a line each."""
    if tool == "jq":
        return "".join(f"#   {field.name.format(depth='N'):15} {_json_type(field)}\n" for field in fields)
    if tool == "duckdb":
        return "".join(f"  \"{field.name}\": '{_native(tool, field.type)}',\n" for field in fields)
    indent = "    " if fields is LEDGER_FIELDS else "        "
    named = [(field.name, _native(tool, field.type)) for field in fields if field.type is not Type.LEVELS]
    lines = [f'{indent}"{name}": {native},\n' for name, native in named]
    levels_at = next((at for at, field in enumerate(fields) if field.type is Type.LEVELS), None)
    if levels_at is not None:
        lines.insert(levels_at, f"{indent}**levels,\n")
    return "".join(lines)


def _duckdb_columns(depths: tuple[int, ...]) -> str:
    levels = [field for depth in depths for field in snapshot_fields(depth) if field.type is Type.LEVELS]
    at = next(at for at, field in enumerate(SNAPSHOT_FIELDS) if field.type is Type.LEVELS)
    return _columns("duckdb", (*SNAPSHOT_FIELDS[:at], *levels, *SNAPSHOT_FIELDS[at + 2 :]))


def _duckdb_guards(depths: tuple[int, ...]) -> str:
    """Write what turns a line of another depth into an error; without it its levels would be NULL in silence."""
    guards = []
    for side in ("bids", "asks"):
        names = [f"{side}_top{depth}" for depth in depths]
        other = " AND ".join(f"{name} IS NULL" for name in names)
        guards.append(
            f"  CASE WHEN {other} THEN error('a line of another depth: l2-exporter schema --depth N')\n"
            f"       ELSE {names[0]} END AS {names[0]}"
        )
    return ",\n".join(guards)


def _json_type(field: Field) -> str:
    kind = f"text ({field.type.value})" if field.type in (Type.TIME, Type.DECIMAL) else field.type.value
    return f"{kind} or null" if field.nullable else kind


def _table(fields: tuple[Field, ...]) -> str:
    rows = [("field", "type", "unit", "null?", "meaning")]
    rows += [(f.name, f.type.value, f.unit, "null" if f.nullable else "", f.meaning) for f in fields]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


@click.command("schema", epilog="Example:  l2-exporter schema --for duckdb > l2.sql")
@click.option("--for", "tool", type=click.Choice(TOOLS), help="Print a loader to paste into this tool.")
@click.option(
    "--depth",
    "depths",
    type=click.IntRange(min=1),
    multiple=True,
    default=(DEFAULT_DEPTH,),
    show_default="400",
    help="Levels a side, as in the field names (bids_top400). Again where it was changed: --depth 400 --depth 50.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(tool: str | None, depths: tuple[int, ...], as_json: bool) -> None:
    """Print the fields of a line, or a loader that gives each of them its type.

    A loader reads hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst) and leaves out a half-written last
    line. Types are never inferred: readers that do lose the flags of a line in silence.
    """
    depths = tuple(dict.fromkeys(depths))
    fields = tuple(field for depth in depths for field in snapshot_fields(depth))
    fields = tuple({field.name: field for field in fields}.values())
    if tool is not None:
        code = loader_text(tool, depths)
        text = json.dumps({"for": tool, "depths": depths, "code": code}) + "\n" if as_json else code
    elif as_json:
        text = json.dumps({"depths": depths, "fields": [_as_json(field) for field in fields]}) + "\n"
    else:
        text = _table(fields)
    click.echo(text, nl=False)


def _as_json(field: Field) -> dict[str, object]:
    return {
        "name": field.name,
        "type": field.type.value,
        "unit": field.unit or None,
        "null": field.nullable,
        "meaning": field.meaning,
    }
