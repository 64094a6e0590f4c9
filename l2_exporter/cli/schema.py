"""The command `schema`: the fields of a line, and loaders to paste that give every column its type.

A loader never infers: readers that guess from the first lines lose values of later ones (docs/FORMAT.md, "Reading").
"""

import json

import click

from l2_exporter.archive.schema import (
    BOOK_NUMBER,
    DEFAULT_DEPTH,
    EVENT_FIELDS,
    LEDGER_FIELDS,
    SNAPSHOT_FIELDS,
    Field,
    Type,
    book_fields,
    snapshot_fields,
)
from l2_exporter.cli.loaders import FILES, TEMPLATES

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

TOOLS = tuple(TEMPLATES)


def loader_text(tool: str, depths: tuple[int, ...]) -> str:
    """Write the loader of one tool for lines of these depths, ready to paste."""
    columns = _duckdb_columns(depths) if tool == "duckdb" else _columns(tool, SNAPSHOT_FIELDS)
    times = [field.name for field in SNAPSHOT_FIELDS if field.type is Type.TIME]
    parts = {
        "@FILES@": FILES,
        "@COLUMNS@": columns,
        "@LEDGER@": _columns(tool, LEDGER_FIELDS),
        "@EVENTS@": _columns(tool, EVENT_FIELDS),
        "@BOOKS@": _duckdb_columns(depths) + _columns(tool, (BOOK_NUMBER,)),
        "@INTEGER@": _native(tool, Type.INTEGER),
        "@DEPTHS@": ", ".join(map(str, depths)),
        "@LEVELS@": _native(tool, Type.LEVELS),
        "@GUARDS@": _duckdb_guards(depths),
        "@TIMES@": json.dumps(times),
    }
    if tool == "duckdb":
        parts["@TIMES@"] = ",\n".join(f"  {name}::TIMESTAMP_NS AS {name}" for name in times)
    text = TEMPLATES[tool]
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
    indent = "        " if fields is SNAPSHOT_FIELDS else "    "
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
@click.option(
    "--of",
    "what",
    type=click.Choice(["levels", "events", "books"]),
    default="levels",
    show_default=True,
    help="Whose fields are printed: lines of levels, events of orders, whole books of orders. A loader has all three.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(tool: str | None, depths: tuple[int, ...], what: str, as_json: bool) -> None:
    """Print the fields of a line, or a loader that gives each of them its type.

    A loader reads hour files of every suffix (.jsonl, .jsonl.gz, .jsonl.zst) and leaves out a half-written last
    line. Types are never inferred: readers that do lose the flags of a line in silence.
    """
    depths = tuple(dict.fromkeys(depths))
    fields = _fields_of(what, depths)
    if tool is not None:
        code = loader_text(tool, depths)
        text = json.dumps({"for": tool, "depths": depths, "code": code}) + "\n" if as_json else code
    elif as_json:
        text = json.dumps({"depths": depths, "fields": [_as_json(field) for field in fields]}) + "\n"
    else:
        text = _table(fields)
    click.echo(text, nl=False)


def _fields_of(what: str, depths: tuple[int, ...]) -> tuple[Field, ...]:
    """List the fields of one kind of line, of all these depths."""
    if what == "events":
        return EVENT_FIELDS
    of_depth = book_fields if what == "books" else snapshot_fields
    fields = {field.name: field for depth in depths for field in of_depth(depth)}
    return (*fields.values(),)


def _as_json(field: Field) -> dict[str, object]:
    return {
        "name": field.name,
        "type": field.type.value,
        "unit": field.unit or None,
        "null": field.nullable,
        "meaning": field.meaning,
    }
