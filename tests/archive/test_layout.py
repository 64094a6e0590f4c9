"""Paths: no name leaves the vault, no two ids share one, and only what the archive writes is read back."""

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.archive import layout
from l2_exporter.archive.layout import (
    HourPath,
    LayoutError,
    LedgerPath,
    TapePath,
    Vault,
    decode_inst,
    encode_inst,
    iter_hour_files,
    iter_ledger_files,
    iter_manifest_files,
    iter_tape_files,
    parse_hour_path,
    parse_ledger_path,
    parse_manifest_path,
    parse_tape_path,
    refuse_clashes,
    temporary,
)

ROOT = Path("/vault")
VAULT = Vault(ROOT)
HOUR = 498_807
"""2026-11-26T15:00Z."""

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³")}
HOSTILE = [
    "..",
    ".",
    "../..",
    "a/../../b",
    "\\",
    "C:\\x",
    "CON",
    "con.txt",
    "COM¹",
    "a.",
    "a ",
    "a\n",
    "%2F",
    "~",
    "\0",
]
insts = st.one_of(
    st.text(min_size=1, max_size=16),
    st.text(alphabet=" ./\\:%ACNOnocaux019¹é-_*?\0", min_size=1, max_size=8),
    st.sampled_from(HOSTILE),
)


def named(inst: str) -> str | None:
    try:
        return encode_inst(inst)
    except LayoutError:
        return None


def clash(one: str, other: str) -> str | None:
    try:
        refuse_clashes([one, other])
    except LayoutError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("inst", "name"),
    [
        ("BTC-USDT-SWAP", "BTC-USDT-SWAP"),
        ("BTC/USD", "BTC%2FUSD"),
        ("100%", "100%25"),
        ("a b:c~", "a%20b%3Ac%7E"),
        ("é", "%C3%A9"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..%2E"),
        (".hidden", ".hidden"),
        ("ends.", "ends%2E"),
        ("CON", "%43ON"),
        ("nul", "%6Eul"),
        ("Aux.tar.gz", "%41ux.tar.gz"),
        ("COM1", "%43OM1"),
        ("LPT9.", "%4CPT9%2E"),
        ("COM¹", "%43OM%C2%B9"),
        ("COM", "COM"),
        ("CONE", "CONE"),
        ("x.CON", "x.CON"),
    ],
)
def test_names_of_instruments(inst: str, name: str) -> None:
    assert encode_inst(inst) == name
    assert decode_inst(name) == inst


@pytest.mark.parametrize("inst", ["", "\ud800", "x" * 201, "é" * 40])
def test_an_id_that_no_file_system_takes_is_refused(inst: str) -> None:
    with pytest.raises(LayoutError):
        encode_inst(inst)


@pytest.mark.parametrize(
    "name", ["", "a/b", "%2f", "%", "%41", "CON", "a.", ".", "..", "é", "%FF", "a\n", "%2", "x" * 201]
)
def test_a_name_that_is_never_written_is_not_read(name: str) -> None:
    with pytest.raises(LayoutError):
        decode_inst(name)


@given(insts)
def test_round_trip(inst: str) -> None:
    name = named(inst)
    if name is not None:
        assert decode_inst(name) == inst


@given(insts)
def test_no_id_leaves_the_vault_or_breaks_a_file_system(inst: str) -> None:
    name = named(inst)
    if name is None:
        return
    for path in (
        VAULT.hour_file("okx", "l2_perps", inst, HOUR),
        VAULT.torn_file("okx", "l2_perps", inst, HOUR),
        VAULT.manifest_file("okx", "l2_perps", inst, HOUR),
        VAULT.instrument_file("okx", inst),
        VAULT.history_file("okx", inst),
    ):
        assert path.resolve() == path
        assert path.is_relative_to(ROOT)
        assert all(len(part.encode()) <= 255 for part in path.parts)
    windows = PureWindowsPath(name)
    assert windows.parts == (name,)
    assert name.partition(".")[0].upper() not in RESERVED
    assert not name.endswith((".", " "))


@given(insts, insts)
def test_different_ids_never_share_a_folder_unless_refused(one: str, other: str) -> None:
    names = named(one), named(other)
    if one == other or None in names:
        refuse_clashes([one, one])
        return
    assert names[0] != names[1]
    refusal = clash(one, other)
    if refusal is None:
        assert str(names[0]).casefold() != str(names[1]).casefold()
    else:
        assert repr(one) in refusal
        assert repr(other) in refusal


def test_a_clash_names_both_ids() -> None:
    with pytest.raises(LayoutError, match="'btc-usdt' and 'BTC-USDT'"):
        refuse_clashes(["eth", "btc-usdt", "sol", "BTC-USDT"])
    refuse_clashes(["a", "b", "a"])


def test_the_paths_of_the_contract() -> None:
    day = ROOT / "raw/okx/l2_perps/BTC-USDT-SWAP/2026-11-26"
    book = ("okx", "l2_perps", "BTC-USDT-SWAP", HOUR)
    assert VAULT.hour_file(*book) == day / "15.jsonl"
    assert VAULT.hour_file(*book, ".jsonl.zst") == day / "15.jsonl.zst"
    assert VAULT.manifest_file(*book) == day / "15.manifest.json"
    assert VAULT.torn_file(*book) == day / "15.torn"
    assert temporary(VAULT.manifest_file(*book), 7) == day / ".tmp-15-7"
    tape = VAULT.tape_file("okx", HOUR, "okx-1", "20261126T150000Z")
    assert tape == ROOT / "tape/okx/2026-11-26/15-okx-1-20261126T150000Z.jsonl"
    assert VAULT.instrument_file("okx", "BTC/USD") == ROOT / "meta/okx/instruments/BTC%2FUSD.json"
    assert VAULT.history_file("okx", "BTC/USD") == ROOT / "meta/okx/instruments/BTC%2FUSD.history.jsonl"
    assert VAULT.ledger_file("okx", "2026-11-26") == ROOT / "meta/okx/events/2026-11-26.jsonl"
    assert VAULT.status_file("okx") == ROOT / "meta/okx/status.json"
    assert temporary(VAULT.status_file("okx"), 7) == ROOT / "meta/okx/.tmp-status.json-7"
    assert VAULT.lock_file("okx") == ROOT / "meta/okx/.lock"
    assert VAULT.rejected_folder("okx") == ROOT / "meta/okx/rejected"
    assert VAULT.recorder_log() == ROOT / "meta/logs/l2_exporter.log"
    assert VAULT.retention_log() == ROOT / "meta/logs/l2_retention.log"
    assert VAULT.retention_file("2026-11-26") == ROOT / "meta/retention/2026-11-26.jsonl"
    assert VAULT.retention_lock() == ROOT / "meta/retention/.lock"
    assert VAULT.retention_reserve() == ROOT / "meta/retention/.reserve"


@pytest.mark.parametrize("venue", ["", "..", "a/b", "OKX", "con", "logs", "retention", "okx\n", "okx.", "1okx"])
def test_venues_that_are_none(venue: str) -> None:
    with pytest.raises(LayoutError):
        VAULT.hour_file(venue, "l2_perps", "x", HOUR)
    with pytest.raises(LayoutError):
        VAULT.lock_file(venue)


@pytest.mark.parametrize(
    "dataset", ["", "..", "l2_", "l2_perps.", "l2_perps..x", "L2_perps", "l2_a/b", "perps", "l2_a\n"]
)
def test_datasets_that_are_none(dataset: str) -> None:
    with pytest.raises(LayoutError):
        VAULT.hour_file("okx", dataset, "x", HOUR)


@pytest.mark.parametrize(
    "dataset",
    ["l2_perps", "l2_spot.books-l2-tbt", "l2_perps.depth20", "l2_perps.bookTicker", "l3_spot", "l3_spot_books"],
)
def test_datasets(dataset: str) -> None:
    path = VAULT.hour_file("okx", dataset, "x", HOUR)
    assert parse_hour_path(path, ROOT) == HourPath(path, "okx", dataset, "x", HOUR, ".jsonl")


@pytest.mark.parametrize("hour", [-1, layout._END_HOUR])
def test_hours_without_a_place(hour: int) -> None:
    with pytest.raises(LayoutError):
        VAULT.hour_file("okx", "l2_perps", "x", hour)


def test_endings_connections_and_dates_that_are_none() -> None:
    with pytest.raises(LayoutError):
        VAULT.hour_file("okx", "l2_perps", "x", HOUR, ".json")
    with pytest.raises(LayoutError):
        VAULT.tape_file("okx", HOUR, "okx/1", "1")
    with pytest.raises(LayoutError):
        VAULT.tape_file("okx", HOUR, "okx-1", "a-b")
    with pytest.raises(LayoutError):
        VAULT.tape_file("okx", HOUR, "okx-1", "1", ".torn")
    for day in ("2026-13-01", "20261126", "1969-12-31", "../x"):
        with pytest.raises(LayoutError):
            VAULT.ledger_file("okx", day)


@given(
    insts,
    st.integers(0, layout._END_HOUR - 1),
    st.sampled_from(layout.LINE_SUFFIXES),
)
def test_paths_are_read_back(inst: str, hour: int, suffix: str) -> None:
    if named(inst) is None:
        return
    path = VAULT.hour_file("okx", "l2_spot.books5", inst, hour, suffix)
    assert parse_hour_path(path, ROOT) == HourPath(path, "okx", "l2_spot.books5", inst, hour, suffix)
    sealed = VAULT.manifest_file("okx", "l2_spot.books5", inst, hour)
    expected = HourPath(sealed, "okx", "l2_spot.books5", inst, hour, ".manifest.json")
    assert parse_manifest_path(sealed, ROOT) == expected
    tape = VAULT.tape_file("okx", hour, "okx-1", "start1", suffix)
    assert parse_tape_path(tape, ROOT) == TapePath(tape, "okx", hour, "okx-1", "start1", suffix)
    ledger = VAULT.ledger_file("okx", layout.hour_text(hour)[0])
    assert parse_ledger_path(ledger, ROOT) == LedgerPath(ledger, "okx", layout.hour_text(hour)[0])


@pytest.mark.parametrize(
    "name",
    [
        "raw/okx/l2_perps/X/2026-11-26/24.jsonl",
        "raw/okx/l2_perps/X/2026-11-26/1.jsonl",
        "raw/okx/l2_perps/X/2026-11-26/15.json",
        "raw/okx/l2_perps/X/2026-11-26/15.jsonl.bz2",
        "raw/okx/l2_perps/X/2026-11-26/15.manifest.json",
        "raw/okx/l2_perps/X/2026-11-26/15.torn",
        "raw/okx/l2_perps/X/2026-11-26/.tmp-15-7",
        "raw/okx/l2_perps/X/2026-11-26/15.jsonl/x",
        "raw/okx/l2_perps/X/2026-11-31/15.jsonl",
        "raw/okx/l2_perps/X/20261126/15.jsonl",
        "raw/okx/l2_perps/X/2026-W48-4/15.jsonl",
        "raw/okx/l2_perps/X/٢٠٢٦-11-26/15.jsonl",
        "raw/okx/l2_perps/a b/2026-11-26/15.jsonl",
        "raw/okx/l2_perps/CON/2026-11-26/15.jsonl",
        "raw/okx/perps/X/2026-11-26/15.jsonl",
        "raw/logs/l2_perps/X/2026-11-26/15.jsonl",
        "raw/okx/../l2_perps/2026-11-26/15.jsonl",
        "tape/okx/l2_perps/X/2026-11-26/15.jsonl",
        "elsewhere/raw/okx/l2_perps/X/2026-11-26/15.jsonl",
    ],
)
def test_what_the_archive_never_writes_is_no_hour_file(name: str) -> None:
    assert parse_hour_path(ROOT / name, ROOT) is None
    assert parse_hour_path(Path("/other") / name, ROOT) is None


@pytest.mark.parametrize(
    "name",
    [
        "tape/okx/2026-11-26/15-okx.jsonl",
        "tape/okx/2026-11-26/24-okx-1-x.jsonl",
        "tape/OKX/2026-11-26/15-okx-1-x.jsonl",
        "meta/okx/events/2026-11-26.jsonl.gz",
        "meta/okx/events/today.jsonl",
        "meta/logs/events/2026-11-26.jsonl",
        "meta/okx/rejected/2026-11-26.jsonl",
    ],
)
def test_what_the_archive_never_writes_is_no_tape_or_ledger(name: str) -> None:
    assert parse_tape_path(ROOT / name, ROOT) is None
    assert parse_ledger_path(ROOT / name, ROOT) is None


@given(st.lists(st.sampled_from(["raw", "okx", "l2_perps", "X", "2026-11-26", "15.jsonl", "..", "", "."]), max_size=7))
def test_a_path_is_read_only_if_it_would_be_written(parts: list[str]) -> None:
    path = ROOT.joinpath(*parts)
    hour = parse_hour_path(path, ROOT)
    if hour is not None:
        assert VAULT.hour_file(hour.venue, hour.dataset, hour.inst, hour.hour, hour.suffix) == path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_are_listed_in_order_without_foreign_ones_and_links(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "v")
    first = touch(vault.hour_file("binance", "l2_spot", "B", HOUR))
    second = touch(vault.hour_file("okx", "l2_perps", "A/B", HOUR - 24, ".jsonl.gz"))
    third = touch(vault.hour_file("okx", "l2_perps", "A/B", HOUR))
    sealed = touch(vault.manifest_file("okx", "l2_perps", "A/B", HOUR))
    touch(vault.torn_file("okx", "l2_perps", "A/B", HOUR))
    touch(third.with_name("notes.txt"))
    touch(third.with_name("1.jsonl"))
    third.with_name("16.jsonl").symlink_to(third)
    third.with_name("17.jsonl").mkdir()
    (third.parents[1] / "2026-11-27").symlink_to(third.parent)
    tape = touch(vault.tape_file("okx", HOUR, "okx-1", "1"))
    ledger = touch(vault.ledger_file("okx", "2026-11-26"))
    touch(vault.recorder_log())
    assert [hour.path for hour in iter_hour_files(vault.root)] == [first, second, third]
    assert [hour.path for hour in iter_manifest_files(vault.root)] == [sealed]
    assert [found.path for found in iter_tape_files(vault.root)] == [tape]
    assert [found.path for found in iter_ledger_files(vault.root)] == [ledger]


def test_an_empty_or_odd_vault_holds_nothing(tmp_path: Path) -> None:
    assert list(iter_hour_files(tmp_path / "gone")) == []
    touch(tmp_path / "raw")
    assert list(iter_hour_files(tmp_path)) == []
