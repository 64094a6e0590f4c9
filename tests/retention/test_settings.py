"""Where settings come from, which of them wins, and how a mistake is told."""

from pathlib import Path

import pytest

from retention.errors import ConfigError
from retention.policy import HOUR_NS, Codec, Limits
from retention.settings import load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("L2_VAULT", "L2_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_defaults(folder: Path) -> None:
    found = load({})
    assert found.vault == folder / "vault"
    assert found.policy.hours == found.policy.tapes == Limits(6 * HOUR_NS, 120 * HOUR_NS)
    assert found.policy.of_dataset("l2_spot.from_l3") == found.policy.hours
    for dataset in ("l3_spot", "l3_spot.25", "l3_spot_books", "l3_spot_books.25", "l3_perps"):
        assert found.policy.of_dataset(dataset) == Limits(HOUR_NS, 120 * HOUR_NS)
    assert found.policy.ledger_after_ns is None
    assert (found.policy.codec, found.policy.level) == (Codec.GZIP, Codec.GZIP.usual_level)


def test_hours_of_orders_have_a_limit_of_their_own(folder: Path) -> None:
    (folder / "l2.toml").write_text("[retention]\ncompress_l3_after = '30m'\ncompress_after = 'never'\n")
    found = load({})
    assert found.policy.of_dataset("l3_spot") == Limits(HOUR_NS // 2, 120 * HOUR_NS)
    assert found.policy.of_dataset("l2_spot") == found.policy.tapes == Limits(None, 120 * HOUR_NS)
    found = load({"compress_l3_after": "never", "delete_after": "2h"})
    assert found.policy.of_dataset("l3_spot_books.25") == Limits(None, 2 * HOUR_NS)


def test_flags_over_environment_over_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = folder / "etc" / "mine.toml"
    named.parent.mkdir()
    named.write_bytes(
        b"\xef\xbb\xbfvault = 'd'\n[retention]\ncompress_after = '1h'\ndelete_after = '2h'\ntape_after = 'never'\n"
        b"codec = 'zstd'\n[record]\nnonsense = 1\n"
    )
    monkeypatch.setenv("L2_CONFIG", str(named))
    found = load({})
    assert found.vault == folder / "etc" / "d"
    assert found.policy.hours == Limits(HOUR_NS, 2 * HOUR_NS)
    assert found.policy.tapes == Limits(HOUR_NS, None)
    assert (found.policy.codec, found.policy.level) == (Codec.ZSTD, Codec.ZSTD.usual_level)
    monkeypatch.setenv("L2_VAULT", "e")
    assert load({}).vault == folder / "e"
    flags = {"vault": "../f", "compress_after": "never", "codec": "gzip", "level": 9}
    found = load(flags)
    assert found.vault == folder.parent / "f"
    assert found.policy.hours == Limits(None, 2 * HOUR_NS)
    assert (found.policy.codec, found.policy.level) == (Codec.GZIP, 9)
    (folder / "l2.toml").write_text("[retention]\ndelete_after = '9h'\n")
    assert load({"config": "l2.toml"}).policy.hours.delete_after_ns == 9 * HOUR_NS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[retention]\ndelete_aftr = '5d'", "[retention] has no key `delete_aftr`; did you mean `delete_after`?"),
        ("[retention]\nxyz = 1", "there are: compress_after, compress_l3_after, delete_after"),
        ("[retention]\ncompress_after = 6", 'compress_after must be a time such as "90m"'),
        ("[retention]\nlevel = 10", "level must be a whole number from 1 to 9 for gzip, not 10"),
        ("[retention]\nlevel = true", "level must be a whole number"),
        ("[retention]\ncodec = 'zst'", "codec must be one of gzip, zstd, not 'zst'; did you mean `zstd`?"),
        ("retention = 1", "write [retention] on a line of its own"),
        ('vault = "C:\\temp"', "use single quotes"),
        ('vault = "C:\\path"', "single quotes"),
        ("vault = '~/v'", "~, which is not expanded"),
        ("vault = 7", "must be a path in quotes"),
        ("vault = ", "l2.toml cannot be read"),
    ],
)
def test_mistakes_in_the_file(folder: Path, text: str, said: str) -> None:
    (folder / "l2.toml").write_text(text + "\n")
    with pytest.raises(ConfigError) as told:
        load({})
    assert said in str(told.value)


def test_files_that_cannot_be_read(folder: Path) -> None:
    for name, data, said in (
        ("a.toml", "x = 1".encode("utf-16"), "UTF-16"),
        ("b.toml", b"# \xff", "line 1 is not UTF-8"),
        ("c.toml", b"a = " + b"[" * 5000, "nested too deeply"),
    ):
        (folder / name).write_bytes(data)
        with pytest.raises(ConfigError, match=said):
            load({"config": name})
    with pytest.raises(ConfigError, match=r"--config names gone\.toml, but there is no such file"):
        load({"config": "gone.toml"})
    with pytest.raises(ConfigError, match="cannot be read"):
        load({"config": str(folder)})


def test_an_empty_vault_is_a_mistake_and_not_the_default(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--vault must be a path"):
        load({"vault": ""})
