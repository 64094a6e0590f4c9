"""The settings: what they are by default, by file and by flag, which place wins, and that all problems are told."""

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
from l2_exporter.venues.registry import VENUES

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


def test_all_problems_are_told_at_once_and_those_of_retention_only_to_config(write: Callable[..., Path]) -> None:
    write("[record]\ndepth = 0\ntapes = true\n[retention]\ncompress_after = 6\nlevels = 3")
    unknown = "l2.toml: [record] has no key `tapes`; did you mean `tape`?"
    depth = "l2.toml: [record] depth must be a whole number from 1 to 100000, not 0"
    venue = f"--ws-url 'nowhere=ws://a': no venue is called 'nowhere'; there are: {', '.join(VENUES)}"
    assert problems(ws_url=["nowhere=ws://a"]) == (unknown, venue, depth)
    assert list(examine({}).problems) == [
        unknown,
        "l2.toml: [retention] has no key `levels`; did you mean `level`?",
        depth,
        'l2.toml: [retention] compress_after must be a time such as "90m", "6h", "5d", or "never", not 6',
    ]
    write("[retention]\ncompress_after = 6")
    assert dict(load({}).retention) == {"compress_after": 6}


def test_settings_cannot_be_changed() -> None:
    settings = load({})
    assert {type(mapping) for mapping in (settings.venues, settings.retention, settings.sources)} == {MappingProxyType}
