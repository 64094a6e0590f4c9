"""l2.toml itself: what can be read of it, and what is said of what is no setting."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2_exporter.cli.settings import SettingsError, examine, load


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with no settings around."""
    monkeypatch.delenv("L2_VAULT", raising=False)
    monkeypatch.delenv("L2_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(here: Path) -> Callable[[str | bytes], None]:
    """Write l2.toml."""

    def put(text: str | bytes) -> None:
        (here / "l2.toml").write_bytes(text if isinstance(text, bytes) else text.encode())

    return put


def problems(**flags: object) -> tuple[str, ...]:
    """Load settings that cannot be and return what is said of them."""
    with pytest.raises(SettingsError) as raised:
        load(flags)
    return raised.value.problems


def test_a_byte_order_mark_and_windows_lines_are_passed_over(here: Path, write: Callable[[str | bytes], None]) -> None:
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
def test_a_file_that_is_no_toml(write: Callable[[str | bytes], None], data: bytes, said: str) -> None:
    write(data)
    (problem,) = problems()
    assert problem.startswith(said)
    assert examine({}).problems == (problem,)


@pytest.mark.parametrize("path", ["C:\\Users\\quant", "C:\\vault", "D:\\l2\\x"])
def test_a_windows_path_that_is_no_toml_in_double_quotes(write: Callable[[str | bytes], None], path: str) -> None:
    write(f'vault = "{path}"\n')
    (said,) = problems()
    assert said.startswith("l2.toml: line 1, column ")
    assert said.endswith("; a path with backslashes needs single quotes, like 'C:\\temp\\new'")


@pytest.mark.parametrize("key", ["vault", "[log]\nfile", "[venue.okx]\nca_file"])
def test_a_windows_path_that_became_control_characters(write: Callable[[str | bytes], None], key: str) -> None:
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
def test_what_is_no_setting_is_answered_by_the_nearest_one(
    write: Callable[[str | bytes], None], text: str, said: str
) -> None:
    write(text)
    (problem,) = examine({}).problems
    assert problem.startswith(f"l2.toml: {said}")
