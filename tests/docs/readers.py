"""Runs what a user would paste - a printed loader, then a question - and makes the answers of all tools alike."""

import ast
import gzip
import json
import shutil
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
import zstandard
from click.testing import CliRunner

from l2_exporter.cli.schema import command

Rows = list[list[Any]]


def whole_lines(pattern: str) -> list[bytes]:
    """Read the whole lines of the files a pattern names, in order of their paths, by this test's own means."""
    lines = []
    for path in sorted(Path().glob(pattern)):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
                data = reader.read()
        lines += [line + b"\n" for line in data.split(b"\n")[:-1]]
    return lines


def objects(pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in whole_lines(pattern)]


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def bash(code: str) -> bytes:
    missing = [tool for tool in ("bash", "jq", "gzip", "zstd") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = subprocess.run(["bash", "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def sql(code: str, loader: str) -> tuple[list[str], Rows]:
    with duckdb.connect() as connection:
        connection.execute(loader)
        connection.execute(code)
        assert connection.description is not None
        return [column[0] for column in connection.description], [plain(row) for row in connection.fetchall()]


def python(code: str, loader: str) -> Any:
    """Run a block as a notebook would: its value is that of its last expression."""
    names: dict[str, Any] = {}
    exec(compile(loader, "<loader>", "exec"), names)
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(tree, "<example>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<example>", "eval"), names)


def plain(value: Any) -> Any:
    """Make the values of all tools alike: lists, whole numbers, texts, None."""
    if isinstance(value, list | tuple | pl.Series):
        return [plain(item) for item in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else str(value)
    return value.item() if hasattr(value, "item") else value


def rows_of(frame: pl.DataFrame | pd.DataFrame) -> tuple[list[str], Rows]:
    rows = frame.rows() if isinstance(frame, pl.DataFrame) else list(frame.itertuples(index=False, name=None))
    return list(frame.columns), [plain(row) for row in rows]


def run(tool: str, code: str, *depths: int) -> tuple[list[str], Rows]:
    """Run code with the tool's loader pasted before it; return the names of columns, and rows."""
    loader = printed("--for", tool, *(part for depth in depths for part in ("--depth", str(depth))))
    if tool == "jq":
        return [], [json.loads(line) for line in bash(loader + code).splitlines()]
    return sql(code, loader) if tool == "duckdb" else rows_of(python(code, loader))
