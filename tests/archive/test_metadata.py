"""Metadata files: the newest form whole or not at all, every change once, damage survived."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2_exporter.archive.disk import Disk
from l2_exporter.archive.layout import Vault
from l2_exporter.archive.metadata import Metadata, metadata_object, read_metadata
from l2_exporter.archive.schema import METADATA_FIELDS
from l2_exporter.core.errors import ArchiveError
from l2_exporter.core.instrument import Instrument
from l2_exporter.core.timetext import NS_PER_S, utc_ns
from tests.archive.faulty import FaultyDisk, broken, full

T0 = utc_ns("2026-11-21T15:00:00.123456789Z")
SWAP = Instrument(
    venue="okx",
    inst="BTC-USD_UM-SWAP",
    symbol="BTC/USD:USDⓈ",
    base="BTC",
    quote="USD",
    settle="USDⓈ",
    market="perp",
    kind="linear",
    size_unit="contract",
    contract_value="0.01",
    contract_value_ccy="BTC",
    tick="0.1",
    lot="0.01",
    state="live",
    list_utc="2019-11-12T15:16:48.000Z",
    raw={"instId": "BTC-USD_UM-SWAP", "instIdCode": 10459, "futureSettlement": False, "upcChg": []},
)
NEWEST = (
    '{"venue":"okx","inst":"BTC-USD_UM-SWAP","symbol":"BTC/USD:USDⓈ","base":"BTC","quote":"USD","settle":"USDⓈ",'
    '"market":"perp","kind":"linear","size_unit":"contract","contract_value":"0.01","contract_value_ccy":"BTC",'
    '"tick":"0.1","lot":"0.01","state":"live","list_utc":"2019-11-12T15:16:48.000Z","expiry_utc":null,"strike":null,'
    '"right":null,"raw":{"instId":"BTC-USD_UM-SWAP","instIdCode":10459,"futureSettlement":false,"upcChg":[]}}\n'
)
FIRST = '{"valid_from":"2026-11-21T15:00:00.123456Z",' + NEWEST[1:]
SUSPENDED = replace(SWAP, state="suspend", tick="0.5")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def newest_file(vault: Vault) -> Path:
    return vault.instrument_file(SWAP.venue, SWAP.inst)


def history_file(vault: Vault) -> Path:
    return vault.history_file(SWAP.venue, SWAP.inst)


def history(vault: Vault) -> list[tuple[str, Instrument | None]]:
    """Read the history as (valid_from, form)."""
    lines = history_file(vault).read_bytes().splitlines()
    return [(json.loads(line)["valid_from"], read_metadata(line)) for line in lines]


def files(vault: Vault) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in newest_file(vault).parent.iterdir()}


def test_the_fields_are_those_of_the_format_in_its_order() -> None:
    assert list(metadata_object(SWAP)) == [field.name for field in METADATA_FIELDS] == list(Instrument.__slots__)


def test_a_new_instrument(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    assert metadata.newest("okx", SWAP.inst) is None
    assert metadata.remember(SWAP, T0) is None
    assert files(vault) == {
        "BTC-USD_UM-SWAP.json": NEWEST.encode(),
        "BTC-USD_UM-SWAP.history.jsonl": FIRST.encode(),
    }
    assert metadata.newest("okx", SWAP.inst) == SWAP


def test_nothing_is_written_where_nothing_changed(vault: Vault) -> None:
    Metadata(Disk(), vault).remember(SWAP, T0)
    disk = FaultyDisk(lambda _call, _count: broken())
    assert Metadata(disk, vault).remember(replace(SWAP), T0 + NS_PER_S) == ()


def test_a_change_is_appended_with_the_time_from_which_it_is_valid(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    assert metadata.remember(SUSPENDED, T0 + NS_PER_S) == ("tick", "state")
    assert metadata.remember(SWAP, T0 + 2 * NS_PER_S) == ("tick", "state")
    assert metadata.newest("okx", SWAP.inst) == SWAP
    assert history(vault) == [
        ("2026-11-21T15:00:00.123456Z", SWAP),
        ("2026-11-21T15:00:01.123456Z", SUSPENDED),
        ("2026-11-21T15:00:02.123456Z", SWAP),
    ]


def test_raw_fields_alone_are_the_newest_but_no_change(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    other = replace(SWAP, raw={"instId": SWAP.inst, "lever": "50"})
    assert metadata.remember(other, T0 + NS_PER_S) == ()
    assert metadata.newest("okx", SWAP.inst) == other
    assert history(vault) == [("2026-11-21T15:00:00.123456Z", SWAP)]


def test_ids_that_no_file_system_takes(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    for inst in ("BTC/USD", "../../etc/passwd", "NUL", "é"):
        instrument = replace(SWAP, inst=inst)
        assert metadata.remember(instrument, T0) is None
        assert metadata.newest("okx", inst) == instrument
    assert {path.parent for path in vault.root.rglob("*.json")} == {vault.meta_folder("okx") / "instruments"}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\0" * 100,
        NEWEST.replace('"market":"perp"', '"market":null').encode(),
        NEWEST.replace('"tick":"0.1"', '"tick":0.1').encode(),
        NEWEST.replace('"tick":"0.1"', '"tick":"a lot"').encode(),
        NEWEST.replace("2019-11-12T15:16:48.000Z", "long ago").encode(),
        NEWEST.replace('"raw":{', '"raw":[{').replace("}}", "}]}").encode(),
        NEWEST.replace('"inst":"BTC-USD_UM-SWAP"', '"inst":"ETH-USDT-SWAP"').encode(),
        NEWEST.replace('"venue":"okx"', '"venue":"binance"').encode(),
    ],
)
def test_a_damaged_newest_is_none_and_is_written_again(vault: Vault, damaged: bytes) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    newest_file(vault).write_bytes(damaged)
    assert metadata.newest("okx", SWAP.inst) is None
    assert metadata.remember(SUSPENDED, T0 + NS_PER_S) == ("tick", "state"), "told from the history"
    assert metadata.newest("okx", SWAP.inst) == SUSPENDED
    assert len(history(vault)) == 2


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert read_metadata(NEWEST.replace('"raw":', '"more":1,"raw":').encode()) == SWAP


def test_the_torn_end_of_a_history_is_kept_aside(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    with history_file(vault).open("ab") as file:
        file.write(b'{"valid_from":"2026-')
    assert metadata.remember(SWAP, T0 + NS_PER_S) == ()
    assert files(vault) == {
        "BTC-USD_UM-SWAP.json": NEWEST.encode(),
        "BTC-USD_UM-SWAP.history.jsonl": FIRST.encode(),
        "BTC-USD_UM-SWAP.history.torn": b'{"valid_from":"2026-',
    }


@pytest.mark.parametrize("line", [b"{}\n", b'{"valid_from":"x","tick":1}\n'])
def test_a_history_whose_last_line_says_nothing_gets_the_form_again(vault: Vault, line: bytes) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    history_file(vault).write_bytes(line)
    assert metadata.remember(SWAP, T0) == ()
    assert history_file(vault).read_bytes() == line + FIRST.encode()


def test_a_lost_history_begins_again(vault: Vault) -> None:
    metadata = Metadata(Disk(), vault)
    metadata.remember(SWAP, T0)
    history_file(vault).unlink()
    assert metadata.remember(SWAP, T0) == ()
    assert history_file(vault).read_bytes() == FIRST.encode()


@pytest.mark.parametrize("call", ["open_append", "append", "fsync"])
@pytest.mark.parametrize("step", range(4))
def test_a_failure_at_any_step_leaves_whole_files_and_can_be_repeated(vault: Vault, call: str, step: int) -> None:
    Metadata(Disk(), vault).remember(SWAP, T0)

    def fault(asked: str, count: int) -> OSError | None:
        return full() if (asked, count) == (call, step) else None

    try:
        told = Metadata(FaultyDisk(fault), vault).remember(SUSPENDED, T0 + NS_PER_S)
    except ArchiveError:
        assert Metadata(Disk(), vault).newest("okx", SWAP.inst) == SWAP
        told = Metadata(Disk(), vault).remember(SUSPENDED, T0 + NS_PER_S)
    assert told == ("tick", "state")
    assert Metadata(Disk(), vault).newest("okx", SWAP.inst) == SUSPENDED
    assert [form for _, form in history(vault)] == [SWAP, SUSPENDED]
    assert len(files(vault)) == 2


def test_a_short_write_that_cannot_be_taken_back_is_repaired_by_the_next(vault: Vault) -> None:
    Metadata(Disk(), vault).remember(SWAP, T0)

    def fault(asked: str, count: int) -> OSError | int | None:
        answers: dict[tuple[str, int], OSError | int] = {("append", 0): 10, ("append", 1): full()}
        return broken() if asked == "truncate" else answers.get((asked, count))

    with pytest.raises(ArchiveError, match=r"okx BTC-USD_UM-SWAP cannot be written: .*No space left"):
        Metadata(FaultyDisk(fault), vault).remember(SUSPENDED, T0 + NS_PER_S)
    assert Metadata(Disk(), vault).remember(SUSPENDED, T0 + NS_PER_S) == ("tick", "state")
    assert [form for _, form in history(vault)] == [SWAP, SUSPENDED]


def test_a_file_that_cannot_be_read_is_an_error(vault: Vault) -> None:
    newest_file(vault).mkdir(parents=True)
    with pytest.raises(ArchiveError, match="okx BTC-USD_UM-SWAP cannot be read"):
        Metadata(Disk(), vault).newest("okx", SWAP.inst)


TEXTS = st.none() | st.text(max_size=5)
AMOUNTS = st.none() | st.sampled_from(["0.1", "1", "1e-8", "92000"])
TIMES = st.none() | st.sampled_from(["2026-11-21T15:00:00.000Z", "1970-01-01T00:00:00.001Z"])
INSTRUMENTS = st.builds(
    Instrument,
    venue=st.just("okx"),
    inst=st.just("BTC-USDT"),
    market=st.sampled_from(["perp", "futures", "spot", "option"]),
    raw=st.dictionaries(st.text(max_size=5), TEXTS | st.integers(-(2**63), 2**63) | st.lists(TEXTS), max_size=3),
    **dict.fromkeys(("symbol", "base", "quote", "settle", "kind", "size_unit", "state", "right"), TEXTS),
    **dict.fromkeys(("contract_value", "tick", "lot", "strike"), AMOUNTS),
    **dict.fromkeys(("list_utc", "expiry_utc"), TIMES),
)


@given(INSTRUMENTS)
def test_what_is_written_is_read(instrument: Instrument) -> None:
    assert read_metadata(orjson.dumps(metadata_object(instrument))) == instrument


@given(st.binary(max_size=80))
def test_any_bytes_are_read(data: bytes) -> None:
    assert read_metadata(data) is None
