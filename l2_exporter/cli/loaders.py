"""The loaders that `schema` prints, before their marks are filled in: text to paste, for a tool each."""

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

-- Order by order: SELECT * FROM l3_events('vault/raw/bitfinex/l3_spot/tBTCUSD/*/*.jsonl*') ORDER BY timestamp_utc, n;
-- l3_times(...) is the same with times; l3_books('vault/raw/bitfinex/l3_spot_books/...') gives whole books, the rows
-- of bids and asks being [price, size, order id, time of entry].
CREATE OR REPLACE TEMP MACRO l3_events(files) AS TABLE
SELECT * EXCLUDE (filename)
FROM read_json(files, format = 'newline_delimited', ignore_errors = true, filename = true, columns = {
@EVENTS@})
WHERE timestamp_utc IS NOT NULL
  AND filename IN (SELECT min(file) FROM glob(files) GROUP BY regexp_replace(file, '\.(gz|zst)$', ''));

CREATE OR REPLACE TEMP MACRO l3_times(files) AS TABLE
SELECT * REPLACE (
@TIMES@)
FROM l3_events(files);

CREATE OR REPLACE TEMP MACRO l3_books(files) AS TABLE
SELECT * EXCLUDE (filename) REPLACE (
@GUARDS@)
FROM read_json(files, format = 'newline_delimited', ignore_errors = true, filename = true, columns = {
@BOOKS@})
WHERE timestamp_utc IS NOT NULL
  AND filename IN (SELECT min(file) FROM glob(files) GROUP BY regexp_replace(file, '\.(gz|zst)$', ''));

-- The ledger: SELECT * FROM l2_ledger('vault/meta/okx/events/*.jsonl');
CREATE OR REPLACE TEMP MACRO l2_ledger(files) AS TABLE
SELECT * FROM read_json(files, format = 'newline_delimited', ignore_errors = true, columns = {
@LEDGER@})
WHERE "at" IS NOT NULL;
"""

FILES = '''
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
#   l3_events("vault/raw/bitfinex/l3_spot/tBTCUSD/*/*.jsonl*")    order by order
#   l3_books("vault/raw/bitfinex/l3_spot_books/*/*/*.jsonl*")     whole books: [price, size, order id, time of entry]
# A half-written last line is left out. Of an hour that is there plain and compressed only one file is read.
from glob import glob

import polars as pl

LEDGER = {
@LEDGER@}
EVENTS = {
@EVENTS@}


def l2_lines(pattern, *depths, **more):
    """Scan lines; a line of none of these depths is an error."""
    depths = depths or (@DEPTHS@,)
    levels = {f"{side}_top{n}": @LEVELS@ for n in depths for side in ("bids", "asks")}
    schema = {
@COLUMNS@        **more,
    }

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


def l3_events(pattern):
    """Scan events of orders."""
    return pl.concat([pl.scan_ndjson(l2_whole(name), schema=EVENTS) for name in l2_files(pattern)])


def l3_books(pattern, *depths):
    """Scan whole books of orders; a line of none of these depths is an error."""
    return l2_lines(pattern, *depths, n=@INTEGER@)


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
#   l3_events("vault/raw/bitfinex/l3_spot/tBTCUSD/2026-11-21/15.jsonl*")       order by order
#   l3_books("vault/raw/bitfinex/l3_spot_books/tBTCUSD/2026-11-21/*.jsonl*")   whole books, with ids and times of entry
# A half-written last line is left out. Of an hour that is there plain and compressed only one file is read.
# .zst needs the package zstandard. pandas.read_json is not used: it turns prices and nullable integers into floats.
import gzip
import io
import json
from glob import glob

import pandas as pd

LEDGER = {
@LEDGER@}
EVENTS = {
@EVENTS@}


def l2_lines(pattern, *depths, columns=None, **more):
    """Load lines; a line of none of these depths is an error."""
    depths = depths or (@DEPTHS@,)
    levels = {f"{side}_top{n}": @LEVELS@ for n in depths for side in ("bids", "asks")}
    dtypes = {
@COLUMNS@        **more,
    }

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


def l3_events(pattern, columns=None):
    """Load events of orders."""
    return l2_frame(pattern, {name: EVENTS[name] for name in columns or EVENTS}, lambda line: line)


def l3_books(pattern, *depths, columns=None):
    """Load whole books of orders; a line of none of these depths is an error."""
    return l2_lines(pattern, *depths, columns=columns, n=@INTEGER@)


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
# Events of orders (l3_*) and whole books of them (l3_*_books: the same fields, and n) are read alike. Of an event:
@EVENTS@
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

TEMPLATES = {"duckdb": _DUCKDB, "polars": _POLARS, "pandas": _PANDAS, "jq": _JQ}
