"""The settings: which place wins, what each value means, and what is said of a value that cannot be."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from l2_exporter.archive.layout import Vault
from l2_exporter.cli.settings import (
    Origin,
    RecordSettings,
    SettingsError,
    VenueSettings,
    examine,
    find_vault,
    load,
)
from l2_exporter.cli.vault import resolve_vault
from l2_exporter.core.errors import ConfigError
from l2_exporter.runtime.logs import LogSettings

MS = 1_000_000
S = 1_000_000_000
WHOLE = """\
vault = 'data'
[record]
instruments = ["ETH-USDT-SWAP", "okx:BTC-USDT"]
cadence_s = 0.5
depth = 50
grace_s = "1.250"
tape = true
fsync_s = 2.5
max_instruments = 2
[venue.okx]
ws_url = "ws://127.0.0.1:8080/ws/v5/public"
rest_url = "http://127.0.0.1:8080"
channel = "books5"
max_per_connection = 7
checksum_resync = 0
ca_file = 'proxy.pem'
[retention]
compress_after = "90m"
delete_after = "never"
[log]
file = 'logs/recorder.log'
level = "debug"
max_bytes = 100000
keep = 0
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with no settings around."""
    monkeypatch.delenv("L2_VAULT", raising=False)
    monkeypatch.delenv("L2_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(here: Path) -> Callable[..., Path]:
    """Write l2.toml, in the working folder unless told otherwise."""

    def put(text: str | bytes, name: str = "l2.toml") -> Path:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put


def problems(**flags: object) -> tuple[str, ...]:
    """Load settings that cannot be and return what is said of them."""
    with pytest.raises(SettingsError) as raised:
        load(flags)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


# ---- defaults, the file, and who wins -------------------------------------------------------------------------------


def test_the_defaults(here: Path) -> None:
    defaults = load({})
    assert defaults.file is None
    assert defaults.vault == here / "vault"
    assert defaults.record == RecordSettings(
        instruments=(("okx", "BTC-USDT-SWAP"), ("okx", "ETH-USDT-SWAP")),
        cadence_ns=2 * S,
        depth=400,
        grace_ns=S,
        tape=False,
        fsync_s=5.0,
        max_instruments=200,
    )
    assert defaults.venues["okx"] == VenueSettings(None, None, "books", None, 3, None)
    assert defaults.log == LogSettings(Vault(here / "vault").recorder_log(), logging.INFO, 10_485_760, 5)
    assert dict(defaults.retention) == {}
    assert {source.origin for source in defaults.sources.values()} == {Origin.DEFAULT}


def test_everything_from_the_file(here: Path, write: Callable[..., Path]) -> None:
    write("", "etc/proxy.pem")
    path = write(WHOLE, "etc/l2.toml")
    settings = load({"config": path})
    assert settings.file == path
    assert settings.vault == here / "etc" / "data"
    assert settings.record == RecordSettings(
        instruments=(("okx", "ETH-USDT-SWAP"), ("okx", "BTC-USDT")),
        cadence_ns=500 * MS,
        depth=50,
        grace_ns=1_250 * MS,
        tape=True,
        fsync_s=2.5,
        max_instruments=2,
    )
    assert settings.venues["okx"] == VenueSettings(
        ws_url="ws://127.0.0.1:8080/ws/v5/public",
        rest_url="http://127.0.0.1:8080",
        channel="books5",
        max_per_connection=7,
        checksum_resync=0,
        ca_file=here / "etc" / "proxy.pem",
    )
    assert settings.log == LogSettings(here / "etc" / "logs" / "recorder.log", logging.DEBUG, 100_000, 0)
    assert dict(settings.retention) == {"compress_after": "90m", "delete_after": "never"}
    assert settings.origin_of("venue.okx.ws_url") is Origin.FILE
    assert settings.origin_of("retention.codec") is Origin.DEFAULT


def test_flags_win_over_the_environment_over_the_file_over_defaults(
    here: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def vault() -> tuple[Path, str]:
        settings = load({})
        assert resolve_vault(None) == settings.vault
        return settings.vault, str(settings.sources["vault"])

    assert vault() == (here / "vault", "default")
    write("vault = 'of the file'")
    assert vault() == (here / "of the file", "file l2.toml")
    elsewhere = write("vault = 'v'", "etc/other.toml")
    monkeypatch.setenv("L2_CONFIG", str(elsewhere))
    assert vault() == (here / "etc" / "v", f"file {elsewhere}")
    monkeypatch.setenv("L2_VAULT", "of the environment")
    assert vault() == (here / "of the environment", "environment L2_VAULT")
    settings = load({"vault": Path("flag"), "config": None})
    assert settings.vault == resolve_vault("flag") == here / "flag"
    assert str(settings.sources["vault"]) == "flag --vault"
    assert settings.log.file == Vault(here / "flag").recorder_log()


def test_each_flag_takes_the_place_of_its_key(write: Callable[..., Path]) -> None:
    write(WHOLE.replace("ca_file", "# ca_file"))
    flags = {
        "instruments": ("BTC-USDT-SWAP",),
        "cadence": "2",
        "depth": 5,
        "tape": True,
        "ws_url": ("okx=wss://wseea.okx.com:8443/ws?a=b",),
        "rest_url": ("okx=https://eea.okx.com",),
    }
    settings = load(flags)
    assert settings.record == RecordSettings((("okx", "BTC-USDT-SWAP"),), 2 * S, 5, 1_250 * MS, True, 2.5, 2)
    assert settings.venues["okx"].ws_url == "wss://wseea.okx.com:8443/ws?a=b"
    assert settings.venues["okx"].rest_url == "https://eea.okx.com"
    names = ("instruments", "cadence_s", "depth", "tape")
    assert [str(settings.sources[f"record.{name}"]) for name in names] == [
        "flag -i",
        "flag --cadence",
        "flag --depth",
        "flag --tape",
    ]
    assert str(settings.sources["venue.okx.ws_url"]) == "flag --ws-url okx"
    assert settings.origin_of("record.grace_s") is Origin.FILE


def test_a_flag_that_was_not_given_decides_nothing(write: Callable[..., Path]) -> None:
    write(WHOLE.replace("ca_file", "# ca_file"))
    not_given = {"vault": None, "instruments": (), "cadence": None, "depth": None, "tape": False, "ws_url": ()}
    assert load({**not_given, "rest_url": None, "config": ""}) == load({})
    with pytest.raises(TypeError, match="cadense"):
        load({"cadense": "2"})


@pytest.mark.parametrize("name", ["L2_VAULT", "L2_CONFIG"])
def test_an_empty_variable_is_none(here: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert load({}).vault == find_vault("") == here / "vault"


def test_nothing_is_searched_upwards(here: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write("vault = 'data'")
    write("[project]\nname = 'another'", "pyproject.toml")
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert load({}).vault == resolve_vault(None) == here / "below" / "vault"


def test_the_vault_alone_needs_nothing_else_of_the_file(
    here: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("vault = 'data'\n[record]\ndepth = 'deep'\nunknown = 1")
    assert resolve_vault(None) == here / "data"
    write("vault = \n")
    assert resolve_vault("named") == here / "named"
    with pytest.raises(ConfigError, match=r"l2\.toml: line 1, column 9: "):
        resolve_vault(None)
    monkeypatch.setenv("L2_VAULT", "by variable")
    assert resolve_vault(None) == here / "by variable"


# ---- the file -------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_windows_lines_are_passed_over(here: Path, write: Callable[..., Path]) -> None:
    write(b"\xef\xbb\xbfvault = 'data'\r\n[record]\r\ndepth = 5\r\n")
    assert load({}).vault == here / "data"
    assert load({}).record.depth == 5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = 1\n[record\n", "l2.toml: line 2, column 8: "),
        (b"[record]\ndepth = 1\ndepth = 2\n", "l2.toml: line 3, column "),
        (b"vault = ''' data\n", "l2.toml: line 2: "),
        (b"vault = 'a'\n\n# \xff\n", "l2.toml: line 3 is not UTF-8: save the file as UTF-8"),
        (
            "vault = 'a'".encode("utf-16"),
            "l2.toml is UTF-16, as PowerShell's > writes it: save it as UTF-8",
        ),
        (b"x = " + b"[" * 5_000, "l2.toml is nested too deeply"),
    ],
)
def test_a_file_that_is_no_toml(write: Callable[..., Path], data: bytes, said: str) -> None:
    write(data)
    (problem,) = problems()
    assert problem.startswith(said)
    assert examine({}).problems == (problem,)


@pytest.mark.parametrize("path", ["C:\\Users\\quant", "C:\\vault", "D:\\l2\\x"])
def test_a_windows_path_that_is_no_toml_in_double_quotes(write: Callable[..., Path], path: str) -> None:
    write(f'vault = "{path}"\n')
    (said,) = problems()
    assert said.startswith("l2.toml: line 1, column ")
    assert said.endswith("; a path with backslashes needs single quotes, like 'C:\\temp\\new'")


@pytest.mark.parametrize("key", ["vault", "[log]\nfile", "[venue.okx]\nca_file"])
def test_a_windows_path_that_became_control_characters(write: Callable[..., Path], key: str) -> None:
    write(f'{key} = "C:\\temp\\new"\n')
    name = key.replace("\n", " ")
    assert problems() == (
        f"l2.toml: {name} 'C:\\temp\\new' holds a control character: in double quotes a backslash begins an escape; "
        "use single quotes, like 'C:\\temp\\new'",
    )


def test_a_file_that_was_named_must_be_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(config="other.toml") == ("--config names other.toml, but there is no such file",)
    monkeypatch.setenv("L2_CONFIG", "third.toml")
    assert problems() == ("L2_CONFIG names third.toml, but there is no such file",)
    (here / "folder").mkdir()
    (said,) = problems(config=Path("folder"))
    assert said.startswith("folder cannot be read: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[record]\ncadense_s = 2", "[record] has no key `cadense_s`; did you mean `cadence_s`?"),
        ("[record]\nzzz = 2", "[record] has no key `zzz`; there are: instruments, cadence_s, depth, grace_s, tape, "),
        ("valt = 'a'", "the top has no key `valt`; did you mean `vault`?"),
        ("depth = 5", "the top has no key `depth`; it belongs in [record]"),
        ("[log]\nvault = 'a'", "[log] has no key `vault`; it belongs at the top, before all sections"),
        ("[retention]\ncadence_s = 2", "[retention] has no key `cadence_s`; it belongs in [record]"),
        ("[recrod]\ndepth = 5", "there is no section [recrod]; did you mean [record]?"),
        ("[okx]\nchannel = 'books'", "there is no section [okx]; did you mean [venue.okx]?"),
        ("[[record]]\ndepth = 5", "`record` is a section: write [record] on a line of its own, and its keys below"),
        ("venue = 'okx'", "`venue` is a section: write [venue] on a line of its own, and its keys below"),
        ("[venue.okex]\nchannel = 'books'", "[venue] has no key and no venue `okex`; there are: [venue.okx]"),
        ("'record.depth' = 5", "there is no section [record.depth]; did you mean [record]?"),
        ('"a\\nb.c" = 5', "there is no section [a\\nb.c]; there are: [record], [venue.okx]"),
    ],
)
def test_what_is_no_setting_is_answered_by_the_nearest_one(write: Callable[..., Path], text: str, said: str) -> None:
    write(text)
    (problem,) = examine({}).problems
    assert problem.startswith(f"l2.toml: {said}")


def test_all_problems_are_told_at_once_and_those_of_retention_only_to_config(write: Callable[..., Path]) -> None:
    write("[record]\ndepth = 0\ntapes = true\n[retention]\ncompress_after = 6\nlevels = 3")
    of_record = (
        "l2.toml: [record] has no key `tapes`; did you mean `tape`?",
        "--ws-url kraken=ws://a: no venue is called 'kraken'; there are: okx",
        "l2.toml: [record] depth must be a whole number from 1 to 100000, not 0",
    )
    said = problems(ws_url=["kraken=ws://a"])
    assert said[0] == of_record[0]
    assert said[1].startswith("--ws-url 'kraken=ws://a': no venue is called 'kraken'; there are: okx")
    assert said[2:] == of_record[2:]
    assert list(examine({}).problems) == [
        of_record[0],
        "l2.toml: [retention] has no key `levels`; did you mean `level`?",
        of_record[2],
        'l2.toml: [retention] compress_after must be a time such as "90m", "6h", "5d", or "never", not 6',
    ]
    write("[retention]\ncompress_after = 6")
    assert dict(load({}).retention) == {"compress_after": 6}


# ---- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "ns"),
    [("2", 2 * S), ("0.01", 10 * MS), ("'0.5'", 500 * MS), ("3600", 3_600 * S), ("1.500", 1_500 * MS)],
)
def test_cadence_is_exact(write: Callable[..., Path], written: str, ns: int) -> None:
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
def test_cadence_that_cannot_be(write: Callable[..., Path], written: str, said: str) -> None:
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
def test_values_that_cannot_be(write: Callable[..., Path], text: str, said: str) -> None:
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
def test_instruments_that_cannot_be(write: Callable[..., Path], names: list[str], said: str) -> None:
    write(f"[record]\ninstruments = {names}".replace("'", '"'))
    for label, flags in (("l2.toml: [record] instruments", {}), ("-i", {"instruments": tuple(names)})):
        (problem,) = problems(**flags)
        assert problem.startswith(f"{label}{'' if said[0] == ':' else ' '}{said}")


def test_an_instrument_is_split_at_its_first_colon() -> None:
    assert load({"instruments": ["okx:A:B", "C%/D"]}).record.instruments == (("okx", "A:B"), ("okx", "C%/D"))


@pytest.mark.parametrize("value", ["[]", "'BTC-USDT'", "5"])
def test_instruments_are_a_list_of_some(write: Callable[..., Path], value: str) -> None:
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


def test_settings_cannot_be_changed() -> None:
    settings = load({})
    assert {type(mapping) for mapping in (settings.venues, settings.retention, settings.sources)} == {MappingProxyType}
