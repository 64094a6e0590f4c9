"""The values of settings: what each means exactly, and what is said of one that cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2_exporter.cli.settings import SettingsError, examine, load

MS = 1_000_000
S = 1_000_000_000


@pytest.fixture(autouse=True)
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Write the l2.toml of an empty folder with no other settings around."""
    monkeypatch.delenv("L2_VAULT", raising=False)
    monkeypatch.delenv("L2_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "l2.toml").write_text


def problems(**flags: object) -> tuple[str, ...]:
    """Load settings that cannot be and return what is said of them."""
    with pytest.raises(SettingsError) as raised:
        load(flags)
    return raised.value.problems


@pytest.mark.parametrize(
    ("written", "ns"),
    [("2", 2 * S), ("0.01", 10 * MS), ("'0.5'", 500 * MS), ("3600", 3_600 * S), ("1.500", 1_500 * MS)],
)
def test_cadence_is_exact(write: Callable[[str], int], written: str, ns: int) -> None:
    write(f"[record]\ncadence_s = {written}")
    assert load({}).record.cadence_ns == ns
    assert load({"cadence": written.strip("'")}).record.cadence_ns == ns


LIMITS = "must lie between 0.01 and 3600 seconds, not"
PLAIN = "must be seconds in plain decimals such as 2 or 0.5, not"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0.009", f"{LIMITS} 0.009"),
        ("3600.001", f"{LIMITS} 3600.001"),
        ("0", f"{LIMITS} 0"),
        ("0.0105", "must be whole milliseconds, not '0.0105'"),
        ("-1", f"{PLAIN} '-1'"),
        ("1e1", f"{PLAIN} '1e1'"),
        ("nan", f"{PLAIN} 'nan'"),
        ("true", "must be seconds such as 2 or 0.5, not True"),
        ("[2]", "must be seconds such as 2 or 0.5, not [2]"),
    ],
)
def test_cadence_that_cannot_be(write: Callable[[str], int], written: str, said: str) -> None:
    write(f"[record]\ncadence_s = {written}")
    assert problems() == (f"l2.toml: [record] cadence_s {said}",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vault = 5", "vault must be a path in quotes, not 5"),
        ("vault = 1.5", "vault must be a path in quotes, not 1.5"),
        ("vault = ''", "vault must be a path in quotes, not ''"),
        ("vault = '~/l2'", "vault '~/l2' begins with ~, which is not expanded: write the whole path"),
        ("[record]\ndepth = '400'", "[record] depth must be a whole number from 1 to 100000, not '400'"),
        ("[record]\ndepth = 400.0", "[record] depth must be a whole number from 1 to 100000, not 400.0"),
        ("[record]\ndepth = true", "[record] depth must be a whole number from 1 to 100000, not True"),
        ("[record]\ntape = 'yes'", "[record] tape must be true or false, not 'yes'"),
        ("[record]\ngrace_s = 61", "[record] grace_s must lie between 0 and 60 seconds, not 61"),
        ("[record]\nfsync_s = 0", "[record] fsync_s must lie between 0.1 and 60 seconds, not 0"),
        ("[record]\nmax_instruments = 1", "[record] instruments names 2 instruments, max_instruments allows 1"),
        ("[venue.okx]\nws_url = 'https://a'", "[venue.okx] ws_url must be an address that begins with wss:// or ws://"),
        ("[venue.okx]\nws_url = 'ws://'", "[venue.okx] ws_url must be an address that begins with wss:// or ws://"),
        ("[venue.okx]\nrest_url = 'http://a:99999'", "[venue.okx] rest_url must be an address that begins with https:"),
        ("[venue.okx]\nrest_url = 'http://a b'", "[venue.okx] rest_url must be an address such as https://127.0.0.1"),
        ("[venue.okx]\nws_url = 'wss://me:secret@a'", "[venue.okx] ws_url must hold no user name and no password"),
        ("[venue.okx]\nchannel = 'book'", "[venue.okx] channel must be one of books, books-l2-tbt, books50-l2-tbt"),
        ("[venue.okx]\nmax_per_connection = 0", "[venue.okx] max_per_connection must be a whole number from 1 to 1000"),
        ("[venue.okx]\nchecksum_resync = -1", "[venue.okx] checksum_resync must be a whole number from 0 to 1000"),
        ("[venue.okx]\nca_file = 'none.pem'", "[venue.okx] ca_file: there is no file "),
        ("[retention]\ndelete_after = '5 d'", "[retention] delete_after must be a time such as"),
        ("[retention]\ncodec = 'zip'", "[retention] codec must be one of gzip, zstd, not 'zip'; did you mean 'gzip'?"),
        ("[retention]\nlevel = 10", "[retention] level must be a whole number from 1 to 9 for gzip, not 10"),
        ("[retention]\ncodec = 'zstd'\nlevel = 23", "[retention] level must be a whole number from 1 to 22, not 23"),
        ("[log]\nlevel = 'INFO'", "[log] level must be one of debug, info, warning, error, not 'INFO'; did you mean"),
        ("[log]\nmax_bytes = 1000", "[log] max_bytes must be a whole number from 65536 to 1073741824, not 1000"),
        ("[log]\nkeep = 2000-01-01", "[log] keep must be a whole number from 0 to 100, not datetime.date"),
    ],
)
def test_values_that_cannot_be(write: Callable[[str], int], text: str, said: str) -> None:
    write(text)
    (problem,) = examine({}).problems
    assert problem.removeprefix("l2.toml: ").startswith(said)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([""], "'' names no instrument; write it like okx:BTC-USDT-SWAP"),
        (["okx:"], "'okx:' names no instrument; write it like okx:BTC-USDT-SWAP"),
        (["okx: BTC-USDT"], "'okx: BTC-USDT' names no instrument; write it like okx:BTC-USDT-SWAP"),
        (["OKX:BTC-USDT"], "'OKX:BTC-USDT': no venue is called 'OKX'; there are: okx"),
        (["BTC-USDT", "okx:BTC-USDT"], "names okx:BTC-USDT twice"),
        (["BTC-USDT", "btc-usdt"], ": instruments 'BTC-USDT' and 'btc-usdt' differ in upper and lower case only"),
        (["X" * 201], f"'{'X' * 198}…: instrument 'XXX"),
    ],
)
def test_instruments_that_cannot_be(write: Callable[[str], int], names: list[str], said: str) -> None:
    write(f"[record]\ninstruments = {names}".replace("'", '"'))
    for label, flags in (("l2.toml: [record] instruments", {}), ("-i", {"instruments": tuple(names)})):
        (problem,) = problems(**flags)
        assert problem.startswith(f"{label}{'' if said[0] == ':' else ' '}{said}")


def test_an_instrument_is_split_at_its_first_colon() -> None:
    assert load({"instruments": ["okx:A:B", "C%/D"]}).record.instruments == (("okx", "A:B"), ("okx", "C%/D"))


@pytest.mark.parametrize("value", ["[]", "'BTC-USDT'", "5"])
def test_instruments_are_a_list_of_some(write: Callable[[str], int], value: str) -> None:
    write(f"[record]\ninstruments = {value}")
    assert problems()[0].startswith('l2.toml: [record] instruments must be a list such as ["okx:BTC-USDT-SWAP"], not ')
    write("[record]\ninstruments = ['BTC-USDT', 1.5]")
    assert problems() == ("l2.toml: [record] instruments must name instruments like okx:BTC-USDT-SWAP, not '1.5'",)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"cadence": "0.001"}, f"--cadence {LIMITS} 0.001"),
        ({"depth": 0}, "--depth must be a whole number from 1 to 100000, not 0"),
        ({"vault": "a\nb"}, "--vault 'a\\nb' holds a control character"),
        ({"ws_url": ["ws://a"]}, "--ws-url 'ws://a': it must name a venue and an address, like okx=ws://127.0.0.1"),
        ({"ws_url": ["okx=ws://a", "okx=ws://b"]}, "--ws-url 'okx=ws://b': okx was given an address before"),
        ({"rest_url": ["okx=ws://a"]}, "--rest-url okx must be an address that begins with https:// or http://"),
        ({"instruments": ["A"] + [f"A{n}" for n in range(200)]}, "-i names 201 instruments, max_instruments allows"),
    ],
)
def test_flags_that_cannot_be(flags: dict[str, object], said: str) -> None:
    (problem,) = problems(**flags)
    assert problem.startswith(said)
